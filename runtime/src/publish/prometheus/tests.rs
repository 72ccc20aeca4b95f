use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::exporter::Exporter;
use super::latest::MOST_MADE;
use super::meter::MeterText;
use super::plan::Maker;
use super::resource::ResourceText;
use super::*;
use crate::agent::OPERATOR;
use crate::clock::{Clock, ManualClock, Moment, SECOND};
use crate::config::MeterFilter;
use crate::contract::{Column, Kind, Meter, Values};
use crate::discovery::Label;
use crate::discovery::label::{About, Metadata};
use crate::discovery::resource::{GuestResources, Ident, Resource, Resources};
use crate::pipeline::{Route, Samples};
use crate::publish::id::Ids;

fn meter(name: &str, kind: Kind, unit: &str) -> Meter {
    Meter { name: name.to_owned(), kind, unit: unit.to_owned() }
}

/// Guests by their numbers, each with a disk `a` if it is even.
fn resources(guests: &[u32]) -> Arc<Resources> {
    let guests = guests.iter().map(|guest| {
        let label = |id: String| Arc::new(Label::bare(&id));
        let disk = (Ident(100 + guest), label(format!("{guest}-a")));
        let disks = if guest % 2 == 0 { vec![disk] } else { Vec::new() };
        GuestResources { ident: Ident(*guest), label: label(guest.to_string()), parts: [disks, vec![], vec![]] }
    });
    Arc::new(Resources::number(&guests.collect::<Vec<_>>(), &[]))
}

/// A slot in which a meter has these values of these resources. `sink/meter` came out of that sink.
fn slot(at: u64, resources: &Arc<Resources>, samples: &[(&str, &[(u32, u64)])]) -> Slot {
    let at = Moment { wall: 0, monotonic: at };
    let samples = samples.iter().map(|(name, values)| {
        let (resources, values) = values.iter().copied().unzip();
        let (sink, name) = name.split_once('/').map_or((None, *name), |(sink, name)| (Some(sink.into()), name));
        Samples {
            module: if name.starts_with("t.") { "t#2".into() } else { "m".into() },
            tenant: OPERATOR.into(),
            meter: Arc::new(meter(name, Kind::Gauge, "")),
            at: at.into(),
            column: Column { resources, values: Values::Counts(values) },
            notes: Vec::new(),
            first_id: Ids::new("host", at).take(at, 0),
            route: if sink.is_some() { Route::to(Vec::new()) } else { Route::default() },
            sink,
        }
    });
    Slot { at, resources: Arc::clone(resources), samples: samples.collect() }
}

/// `meter resource value` of each series.
fn series(exporter: &Exporter) -> Vec<String> {
    let text: String = exporter.page().collect();
    let lines = text.lines().filter(|line| line.starts_with("ceilometer_"));
    let short = |line: &str| {
        let part = |after: &str| line.split_once(after).unwrap().1.split('"').next().unwrap().to_owned();
        format!("{} {} {}", part("counter=\""), part("resource=\""), line.rsplit_once(' ').unwrap().1)
    };
    lines.map(short).collect()
}

/// Everything is measured every so many seconds, and the sink `k` takes `x`.
fn plan(interval: u64) -> Plan {
    let of = |meter: &str| MeterFilter::new(vec![meter.to_owned()]).unwrap();
    let sources = vec![(of("*"), Duration::from_secs(interval))];
    Plan::new(sources, vec![(of("x"), Maker::Sink("k".into())), (of("x"), Maker::Transform("t".into()))])
}

struct Host {
    clock: Arc<ManualClock>,
    exporter: Exporter,
    plan: RefCell<Plan>,
}

impl Host {
    /// One that goes by such a [`plan`].
    fn every(interval: u64) -> Self {
        let clock = Arc::new(ManualClock::at(0));
        let exporter = Exporter::new(Arc::clone(&clock) as Arc<dyn Clock>);
        Self { exporter, clock, plan: RefCell::new(plan(interval)) }
    }

    /// The same is configured anew.
    fn reload(&self, interval: u64) {
        let mut plan = plan(interval);
        plan.follow(&self.plan.borrow());
        self.plan.replace(plan);
    }

    /// Stores a slot, and waits a second.
    fn stores(&self, resources: &Arc<Resources>, samples: &[(&str, &[(u32, u64)])]) -> Vec<String> {
        let slot = slot(self.clock.now().monotonic, resources, samples);
        self.exporter.store(&slot, &mut self.plan.borrow_mut());
        self.clock.pass(SECOND.unsigned_abs());
        series(&self.exporter)
    }
}

#[test]
fn values_stay_until_they_are_measured_again() {
    let (host, two) = (Host::every(1), resources(&[1, 2]));
    assert_eq!(host.stores(&two, &[("x", &[(0, 10), (1, 20)]), ("y", &[(0, 1)])]), ["x 1 10", "x 2 20", "y 1 1"]);
    // Another meter: nothing else goes.
    assert_eq!(host.stores(&two, &[("y", &[(0, 2)])]), ["x 1 10", "x 2 20", "y 1 2"]);
    // A guest that gave nothing, such as one that was shut off.
    assert_eq!(host.stores(&two, &[("x", &[(0, 11)])]), ["x 1 11", "y 1 2"]);
    // What was not measured for too long is not told any more, whether slots come or not.
    assert_eq!(host.stores(&two, &[]), ["x 1 11", "y 1 2"]);
    assert_eq!(host.stores(&two, &[]), ["x 1 11"]);
    assert_eq!(host.stores(&two, &[("y", &[(0, 3)])]), ["y 1 3"]);
    host.clock.pass(3 * SECOND.unsigned_abs());
    assert_eq!(series(&host.exporter), [""; 0]);
}

#[test]
fn sources_of_one_meter_do_not_put_out_each_others_values() {
    let (host, two) = (Host::every(10), resources(&[1, 2]));
    host.stores(&two, &[("x", &[(0, 10)])]);
    assert_eq!(host.stores(&two, &[("x", &[(1, 20)])]), ["x 1 10", "x 2 20"]);
    host.clock.pass(4 * SECOND.unsigned_abs());
    assert_eq!(host.stores(&two, &[("x", &[(1, 21)])]), ["x 2 21"]);
}

#[test]
fn values_go_with_their_guests_and_devices() {
    let host = Host::every(1);
    let all = [("x", &[(0, 10), (1, 20)][..]), ("z", &[(2, 5)])];
    assert_eq!(host.stores(&resources(&[1, 2]), &all), ["x 1 10", "x 2 20", "z 2-a 5"]);
    // Numbers are others now. The second guest is gone, and so is its disk, which was not measured.
    assert_eq!(host.stores(&resources(&[3, 1]), &[("x", &[(0, 30), (1, 11)])]), ["x 3 30", "x 1 11"]);
    // A device goes when its meter is measured without it.
    assert_eq!(host.stores(&resources(&[4]), &[("z", &[(1, 6)])]), ["z 4-a 6"]);
    let bare = GuestResources { ident: Ident(4), label: Arc::new(Label::bare("4")), parts: Default::default() };
    let without = Arc::new(Resources::number(&[bare], &[]));
    assert_eq!(host.stores(&without, &[("x", &[(0, 1)])]), ["x 4 1", "z 4-a 6"]);
    assert_eq!(host.stores(&without, &[("x", &[(0, 1)]), ("z", &[(0, 0)])]), ["x 4 1", "z 4 0"]);
}

#[test]
fn what_is_made_now_and_then_stays_as_long_as_samples_go_in() {
    for made in ["k/t", "t.t"] {
        let (host, two) = (Host::every(1), resources(&[1, 2]));
        let name = made.trim_start_matches("k/");
        let line = |rest: &str| format!("{name} {rest}");
        let both = ("x", &[(0, 10), (1, 20)][..]);
        assert_eq!(host.stores(&two, &[both, (made, &[(0, 1)])])[0], line("1 1"));
        for _ in 0..9 {
            assert_eq!(host.stores(&two, &[both])[0], line("1 1"), "nothing new is said");
        }
        // What comes of another does not put it out, and the next one of its own takes its place.
        assert_eq!(host.stores(&two, &[both, (made, &[(1, 1)])])[..2], [line("1 1"), line("2 1")]);
        assert_eq!(host.stores(&two, &[both, (made, &[(0, 0)])])[..2], [line("2 1"), line("1 0")]);
        assert_eq!(host.stores(&two, &[both, (made, &[(0, 1), (1, 0)])])[..2], [line("1 1"), line("2 0")]);
        // Nothing of the second guest goes in any more, which the next slots may make good.
        for _ in 0..3 {
            assert_eq!(host.stores(&two, &[("x", &[(0, 10)])])[..2], [line("1 1"), line("2 0")]);
        }
        assert_eq!(host.stores(&two, &[("x", &[(0, 10)])]), [line("1 1"), "x 1 10".to_owned()]);
        // It goes with its guest, and with all others if no slot comes.
        assert_eq!(host.stores(&resources(&[2]), &[("x", &[(0, 20)])]), ["x 2 20"]);
        assert_eq!(host.stores(&two, &[both, (made, &[(0, 1)])])[0], line("1 1"));
        host.clock.pass(3 * SECOND.unsigned_abs());
        assert_eq!(series(&host.exporter), [""; 0]);
    }
}

#[test]
fn what_is_made_of_devices_may_be_their_guests() {
    let (host, two) = (Host::every(1), resources(&[1, 2]));
    let of_disk = ("x", &[(2, 5)][..]);
    host.stores(&two, &[of_disk, ("k/t", &[(1, 7)])]);
    for _ in 0..5 {
        assert_eq!(host.stores(&two, &[of_disk])[0], "t 2 7");
    }
}

#[test]
fn parts_that_were_made_of_a_guest_stay_with_it() {
    for made in ["k/t", "t.t"] {
        let (host, two) = (Host::every(1), resources(&[1, 2]));
        let name = made.trim_start_matches("k/");
        let part = Resource { ident: Ident(900), root: 1, label: Arc::new(Label::bare("2-part")) };
        let with_part = Arc::new(two.with_declared(vec![part]));
        // No sample of the part goes in, only such of its guest.
        let both = ("x", &[(0, 10), (1, 20)][..]);
        host.stores(&with_part, &[both, (made, &[(3, 7)])]);
        for _ in 0..5 {
            assert_eq!(host.stores(&two, &[both])[0], format!("{name} 2-part 7"));
        }
        for _ in 0..3 {
            host.stores(&two, &[("x", &[(0, 10)])]);
        }
        assert_eq!(host.stores(&two, &[("x", &[(0, 10)])]), ["x 1 10"]);
    }
}

/// It was held back until nothing of the device went in any more, only of its guest.
#[test]
fn what_comes_late_of_a_device_does_not_stay() {
    for made in ["k/t", "t.t"] {
        let (host, two) = (Host::every(1), resources(&[1, 2]));
        let name = made.trim_start_matches("k/");
        host.stores(&two, &[("x", &[(1, 20), (2, 5)])]);
        for _ in 0..5 {
            host.stores(&two, &[("x", &[(1, 20)])]);
        }
        let late = host.stores(&two, &[("x", &[(1, 20)]), (made, &[(2, 7)])]);
        assert_eq!(late, [format!("{name} 2-a 7"), "x 2 20".to_owned()]);
        assert_eq!(host.stores(&two, &[("x", &[(1, 20)])]), ["x 2 20"]);
    }
}

#[test]
fn what_is_measured_is_known_after_a_reload() {
    let (host, one) = (Host::every(2), resources(&[1]));
    host.stores(&one, &[("x", &[(0, 10)])]);
    // Twice before the first slot.
    host.reload(1);
    host.reload(2);
    assert_eq!(host.stores(&one, &[("k/x", &[(0, 1)]), ("k/y", &[(0, 1)])]), ["x 1 10", "y 1 1"]);
    // It is not measured any more, and after three of its intervals that is known.
    for _ in 0..5 {
        assert!(!host.stores(&one, &[("k/x", &[(0, 2)])]).contains(&"x 1 2".to_owned()));
    }
    assert!(host.stores(&one, &[("k/x", &[(0, 3)])]).contains(&"x 1 3".to_owned()));
}

#[test]
fn what_a_sink_makes_does_not_take_turns_with_what_is_measured() {
    let (host, one) = (Host::every(2), resources(&[1]));
    assert_eq!(host.stores(&one, &[("x", &[(0, 10)]), ("k/x", &[(0, 1)])]), ["x 1 10"]);
    // Neither in a slot in which it alone comes.
    assert_eq!(host.stores(&one, &[("k/x", &[(0, 2)]), ("k/held", &[(0, 3)])]), ["held 1 3", "x 1 10"]);
    assert_eq!(host.stores(&one, &[("x", &[(0, 11)])]), ["held 1 3", "x 1 11"]);
}

#[test]
fn what_stays_is_called_as_its_resource_is() {
    let host = Host::every(1);
    let called = |name: &str| {
        let of = |ident, name: &str| GuestResources {
            ident: Ident(ident),
            label: Arc::new(Label::bare(name)),
            parts: Default::default(),
        };
        Arc::new(Resources::number(&[of(2, "other"), of(1, name)], &[]))
    };
    let x = ("x", &[(0, 5), (1, 5)][..]);
    let made = ("k/held", &[(0, 1), (1, 2)][..]);
    assert_eq!(host.stores(&called("old"), &[x, made])[..2], ["held other 1", "held old 2"]);
    assert_eq!(host.stores(&called("new"), &[x])[..2], ["held other 1", "held new 2"]);
}

#[test]
fn of_what_is_made_in_one_slot_the_last_is_told() {
    let (host, two) = (Host::every(1), resources(&[1, 2]));
    let held: [(&str, &[(u32, u64)]); 4] =
        [("x", &[(0, 3), (1, 3)]), ("k/held", &[(0, 1), (1, 1)]), ("k/held", &[(0, 2)]), ("l/held", &[(0, 3)])];
    assert_eq!(host.stores(&two, &held)[..2], ["held 2 1", "held 1 3"]);
}

#[test]
fn what_is_made_takes_bounded_memory() {
    let guests: Vec<u32> = (0..10_000).map(|guest| 2 * guest + 1).collect();
    let (plan, all) = (&mut Host::every(1).plan.into_inner(), resources(&guests));
    let texts = Known::default().of(&all);
    let values: Vec<(u32, u64)> = (0..10_000).map(|number| (number, 1)).collect();
    let (mut fed, mut latest) = (Fed::default(), Latest::default());
    let mut after = |latest: &Latest, at: u64, samples: &[(&str, &[(u32, u64)])]| {
        let slot = slot(at, &all, samples);
        plan.learn(&slot);
        fed.learn(&slot, &texts, plan);
        latest.after(&slot, &texts, plan, &fed)
    };
    // Other names in every slot.
    for at in 0..5 {
        let names: Vec<String> = (0..15).map(|number| format!("k/made.{at}.{number}")).collect();
        let made = names.iter().map(|name| (name.as_str(), &values[..]));
        latest = after(&latest, at, &made.chain([("x", &values[..])]).collect::<Vec<_>>());
    }
    let made: Vec<_> = latest.series.iter().filter(|series| series.text.metric.contains("_made_")).collect();
    let of_slot = |at: u64| made.iter().filter(|series| series.text.metric.contains(&format!("_{at}_"))).count();
    assert_eq!((0..5).map(of_slot).collect::<Vec<_>>(), [0, 15, 15, 15, 15]);
    assert!(latest.len() <= MOST_MADE + 16 * values.len());
    // Few values do not keep all of their slot.
    let lone = ("k/lone", &[(7, 1)][..]);
    let latest = after(&Latest::default(), 5, &[("x", &values[..]), lone]);
    let latest = after(&latest, 6, &[("x", &values[..])]);
    let lone = latest.series.iter().find(|series| series.text.metric.ends_with("_lone")).unwrap();
    assert_eq!((lone.blocks.len(), lone.blocks[0].texts.count()), (1, 1));
    assert_eq!(lone.blocks[0].texts.get(0).unwrap().text.id, "15");
}

#[test]
fn of_resources_with_the_same_labels_one_is_told() {
    let guest =
        |ident| GuestResources { ident: Ident(ident), label: Arc::new(Label::bare("same")), parts: Default::default() };
    let two = Arc::new(Resources::number(&[guest(1), guest(2)], &[]));
    assert_eq!(Host::every(1).stores(&two, &[("x", &[(0, 1), (1, 2)])]), ["x same 2"]);
}

#[test]
fn a_page_is_of_one_time_and_in_pieces() {
    let numbers: Vec<u32> = (0..5000).collect();
    let (host, all) = (Host::every(1), resources(&numbers));
    let values = |value: u64| (0..5000).map(|number| (number, value)).collect::<Vec<_>>();
    host.stores(&all, &[("x", &values(1))]);
    let mut page = host.exporter.page();
    let first = page.next().unwrap();
    host.stores(&all, &[("x", &values(2))]);
    let pieces: Vec<String> = std::iter::once(first).chain(page).collect();
    assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.len() < 150_000), "{}", pieces.len());
    let text = pieces.concat();
    assert_eq!(text.lines().filter(|line| line.ends_with("} 1") && line.contains("resource=")).count(), 5000);
    assert_eq!(text.matches("# TYPE ").count(), 2);
}

#[test]
fn names_and_types() {
    for (name, kind, header, start) in [
        ("cpu", Kind::Cumulative, "ceilometer_cpu untyped", "ceilometer_cpu{cpu=\""),
        (
            "disk.device.read.bytes",
            Kind::Cumulative,
            "ceilometer_disk_device_read_bytes untyped",
            "ceilometer_disk_device_read_bytes{disk=\"read\",publisher=\"ceilometer\",type=\"device\",\
             counter=\"disk.device.read.bytes\"",
        ),
        ("memory.usage", Kind::Gauge, "ceilometer_memory_usage gauge", "ceilometer_memory_usage{memory=\""),
        ("x.delta", Kind::Delta, "ceilometer_x_delta gauge", "ceilometer_x_delta{x=\""),
        ("x.total", Kind::Cumulative, "ceilometer_x_total counter", "ceilometer_x_total{x=\""),
        ("x.total", Kind::Gauge, "ceilometer_x_total untyped", "ceilometer_x_total{x=\""),
        ("a-b.c", Kind::Gauge, "ceilometer_a_b_c gauge", "ceilometer_a_b_c{a_b=\""),
        ("5g.c", Kind::Gauge, "ceilometer_5g_c gauge", "ceilometer_5g_c{_5g=\""),
        (
            "user.c",
            Kind::Gauge,
            "ceilometer_user_c gauge",
            "ceilometer_user_c{publisher=\"ceilometer\",type=\"c\",counter=\"user.c\"",
        ),
        (
            "__name__",
            Kind::Gauge,
            "ceilometer___name__ gauge",
            "ceilometer___name__{publisher=\"ceilometer\",type=\"__name__\",counter=\"__name__\"",
        ),
    ] {
        let text = MeterText::of(&meter(name, kind, "B"), None);
        assert!(text.header.ends_with(&format!("\n# TYPE {header}\n")), "{}", text.header);
        assert_eq!(text.start, start);
        assert_eq!(text.unit, ",unit=\"B\"");
    }
    let text = MeterText::of(&meter("x", Kind::Gauge, ""), None);
    assert!(text.header.starts_with("# HELP ceilometer_x Ceilometer's meter x, gauge, without a unit.\n"));
    assert_eq!(text.unit, "");
}

#[test]
fn labels_are_ceilometers_in_its_order() {
    let about = About {
        display_name: "web \"1\"\\\n".to_owned(),
        flavor: "m1".to_owned(),
        flavor_id: "2".to_owned(),
        host_id: "abc".to_owned(),
        ..About::default()
    };
    let metadata = Metadata { head: "\"name\": ".into(), name: "\"i-1\"".into(), ..Metadata::default() };
    let label = Label { project: Some("p".into()), about: Arc::new(about), metadata, ..Label::bare("r") };
    let text = ResourceText::of(&label);
    assert_eq!((&*text.id, &*text.owner), ("r", ",project=\"p\""));
    let rest = ",resource=\"r\",vm_instance=\"abc\",resource_name=\"web \\\"1\\\"\\\\\\n:i-1\",server_group=\"none\",\
                flavor_id=\"2\",flavor_name=\"m1\"";
    assert_eq!(text.rest, rest);
    let group = About { server_group: "g".to_owned(), ..About::default() };
    let text = ResourceText::of(&Label { about: Arc::new(group), ..label });
    assert_eq!(text.rest, ",resource=\"r\",resource_name=\"i-1\",server_group=\"g\"");
    assert_eq!(ResourceText::of(&Label::bare("r")).rest, ",resource=\"r\"");
}

#[test]
fn a_terminal_is_not_commanded() {
    let guest = GuestResources {
        ident: Ident(1),
        label: Arc::new(Label::bare("\u{1b}[2J\u{9b}2J\r\u{7f}\n\"\\")),
        parts: Default::default(),
    };
    let resources = Arc::new(Resources::number(&[guest], &[]));
    let text = write(&slot(0, &resources, &[("x.y.z", &[(0, 1)])]));
    let odd = "\u{fffd}[2J\u{fffd}2J\u{fffd}\u{fffd}\\n\\\"\\\\";
    assert!(text.ends_with(&format!("counter=\"x.y.z\",resource=\"{odd}\"}} 1\n")), "{text}");
    assert!(!text.contains("wasmeter_"), "{text}");
}
