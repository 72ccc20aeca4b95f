use std::sync::Arc;

use uuid::Uuid;

use super::*;

fn guest(standing: Standing) -> Guest {
    Guest { uuid: Uuid::nil(), name: "a".into(), display_name: "b".into(), status: "", state: "", standing }
}

fn statistic(key: &str, absent: Option<Absent>, goes_in: Option<bool>) -> Statistic {
    let (module, instead_of, values) = (Arc::from("m"), Vec::new(), Vec::new());
    Statistic { key: key.into(), module, group: None, needs_process: true, instead_of, goes_in, values, absent }
}

fn source(of_guests: bool) -> Wanting {
    Wanting { name: "s".into(), interval: 10, of_guests, file: None, line: None }
}

/// A running guest of which something is wanted and nothing is there.
fn case<'a>(guest: &'a Guest, sources: &'a [Wanting], statistics: &'a [Statistic]) -> Case<'a> {
    Case {
        meter: "x",
        wanted: "x",
        module: "m",
        is_off: false,
        guest,
        guest_off: false,
        has_nics: true,
        has_media: true,
        empty_drives: &[],
        samples: 0,
        sources,
        add: ("- line", "file"),
        is_of_guests: true,
        without_nova: false,
        missing: None,
        failed: &[],
        statistics,
        handed: None,
    }
}

fn words(case: &Case<'_>) -> Vec<Word> {
    let reasons = case.reasons();
    assert!(reasons.iter().all(|why| !why.why.is_empty() && !why.remedy.is_empty()), "{reasons:?}");
    reasons.iter().map(|why| why.reason).collect()
}

#[test]
fn what_the_configuration_says_stands_first() {
    let (guest, sources) = (guest(Standing::Metered), [source(true)]);
    let good = Case { samples: 1, ..case(&guest, &sources, &[]) };
    assert_eq!(words(&good), []);
    assert_eq!(words(&Case { is_off: true, ..good }), [Word::ModuleOff]);
    assert_eq!(words(&Case { sources: &[], ..good }), [Word::NoSource]);
    assert_eq!(words(&Case { sources: &[source(false)], ..good }), [Word::SourceExcludesGuests]);
    assert_eq!(words(&Case { sources: &[source(false), source(true)], ..good }), []);
    let off = Case { is_off: true, samples: 0, guest_off: true, ..good };
    assert_eq!(words(&off), [Word::ModuleOff, Word::GuestOff]);
    assert_eq!(words(&Case { is_of_guests: false, samples: 0, ..good }), [Word::NotOfGuests]);
}

#[test]
fn a_guest_that_is_not_measured_is_why() {
    let sources = [source(true)];
    let unusable = Standing::Unusable { cause: "odd".into() };
    for (standing, word) in [
        (Standing::Gone, Word::GuestGone),
        (Standing::Nobodys, Word::GuestNobodys),
        (unusable, Word::GuestUnusable),
        (Standing::Metered, Word::NotGiven),
    ] {
        let guest = guest(standing);
        let case = Case { without_nova: true, ..case(&guest, &sources, &[]) };
        assert_eq!(words(&case), [word]);
        assert_eq!(words(&Case { without_nova: false, ..case }), [word]);
    }
    let guest = guest(Standing::Metered);
    let failed = [Failed { module: "m".into(), cause: "trap", failure: "trap: x".into(), count: 1 }];
    let case = case(&guest, &sources, &[]);
    assert_eq!(words(&Case { guest_off: true, ..case }), [Word::GuestOff]);
    let failing = Case { failed: &failed, ..case };
    assert_eq!(words(&failing), [Word::ModuleFailed]);
    assert_eq!(exit(&failing.reasons()), Exit::Module);
    assert_eq!(words(&Case { samples: 1, ..failing }), [], "it failed for others");
}

#[test]
fn what_a_meter_is_made_of_is_why() {
    let (guest, sources) = (guest(Standing::Metered), [source(true)]);
    let absent = |key: &str, why| [statistic(key, Some(why), None)];
    for (key, why, word) in [
        ("vcpu.*.time", Absent::GuestStuck, Word::GuestStuck),
        ("vcpu.*.time", Absent::Missing, Word::StatisticsMissing),
        ("vcpu.*.time", Absent::NoValue, Word::NoStatistic),
        ("vcpu.*.time", Absent::StandsIn, Word::NotGiven),
        ("balloon.usable", Absent::NoValue, Word::NoBalloon),
        ("balloon.rss", Absent::NoValue, Word::NoStatistic),
        ("perf.cmt", Absent::NoValue, Word::NoCounter),
        ("block.*.rd.bytes", Absent::NoValue, Word::NoStatistic),
    ] {
        let statistics = absent(key, why);
        let case = Case { missing: Some("slow"), ..case(&guest, &sources, &statistics) };
        assert_eq!(words(&case), [word], "{key} {why:?}");
    }
    // What it is not made of has no say.
    let statistics = [
        statistic("balloon.usable", Some(Absent::NoValue), Some(false)),
        statistic("balloon.rss", Some(Absent::NoValue), Some(true)),
    ];
    assert_eq!(words(&case(&guest, &sources, &statistics)), [Word::NoStatistic]);
}

#[test]
fn devices_that_are_not_there_are_why() {
    let (guest, sources) = (guest(Standing::Metered), [source(true)]);
    let (disk, nic) = ([statistic("block.*.rd.bytes", Some(Absent::NoValue), None)], "net.*.rx.bytes");
    let nic = [statistic(nic, Some(Absent::NoValue), None)];
    let without = Case { has_media: false, has_nics: false, ..case(&guest, &sources, &disk) };
    assert_eq!(words(&without), [Word::NoDevice]);
    assert_eq!(words(&Case { empty_drives: &["sda".into()], ..without }), [Word::NoMedium]);
    assert_eq!(words(&Case { statistics: &nic, ..without }), [Word::NoDevice]);
}

#[test]
fn a_transformer_needs_two_values() {
    let (guest, sources) = (guest(Standing::Metered), [source(true)]);
    let case = case(&guest, &sources, &[]);
    assert_eq!(words(&Case { handed: Some((0, 1)), ..case }), [Word::FirstValue]);
    assert_eq!(words(&Case { handed: Some((1, 1)), ..case }), [Word::NotGiven]);
    assert_eq!(exit(&[]), Exit::Done);
    assert_eq!(exit(&case.reasons()), Exit::Failed);
}
