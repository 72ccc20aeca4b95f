use std::collections::BTreeSet;

use super::*;
use crate::clock::{Clock, ManualClock, SECOND};
use crate::config::daemon::{GuestRules, Whose, WithoutNova};
use crate::contract::Values;
use crate::discovery::Rules;
use crate::hypervisor::sim::Sim;
use crate::hypervisor::{Definition, Guests, Hypervisor, KeySet, Plain, Request};

/// Everything that is read of a simulated host.
fn slot(report_stopped: bool) -> Snapshot {
    let clock = Arc::new(ManualClock::at(1_790_000_000 * SECOND));
    let sim = Sim::from_uri("sim://?domains=200&freeze=0", Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let groups = Groups::keys().filter_map(Groups::of_key).fold(Groups::NONE, |all, group| all | group);
    let mut connection = sim.connect().unwrap();
    let records = connection.read(&Request { groups, keys: KeySet::All, guests: Guests::All }).unwrap();
    let guests = GuestRules { report_stopped, ..GuestRules::default() };
    let mut directory = Directory::new(Rules { guests, ..Rules::default() });
    for record in &records {
        directory.learn(connection.define(record.guest).unwrap().unwrap(), record.revision);
    }
    Snapshot::assemble(&mut directory, |_| true, groups, &records, &[], clock.now())
}

/// The guests that are off and have, themselves or by their parts, a value under each key.
fn stopped(snapshot: &Snapshot) -> BTreeSet<(u32, String)> {
    let is_off = |number: u32| snapshot.resources.get(number).unwrap().label.about.state == "shutdown";
    let mut found = BTreeSet::new();
    for (key, column) in &snapshot.columns {
        let roots = column.resources.iter().map(|number| snapshot.resources.get(*number).unwrap().root);
        found.extend(roots.filter(|root| is_off(*root)).map(|root| (root, key.clone())));
    }
    found
}

#[test]
fn guests_that_are_off_give_what_the_configuration_says() {
    let keys = |found: &BTreeSet<(u32, String)>| found.iter().map(|(_, key)| key.clone()).collect::<BTreeSet<_>>();
    let quiet = stopped(&slot(false));
    assert!(!quiet.is_empty() && keys(&quiet).iter().all(|key| key.starts_with("flavor.")), "{quiet:?}");
    let told = stopped(&slot(true));
    let more: BTreeSet<(u32, String)> = told.difference(&quiet).cloned().collect();
    let expected = [
        "balloon.current",
        "block.*.allocation",
        "block.*.capacity",
        "block.*.physical",
        "state.state",
        "vcpu.current",
    ];
    assert_eq!(keys(&more).iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let guests = |found: &BTreeSet<(u32, String)>| found.iter().map(|(guest, _)| *guest).collect::<BTreeSet<_>>();
    assert_eq!(guests(&more), guests(&quiet));
}

#[test]
fn a_guest_without_nova_has_the_sizes_that_are_known() {
    let clock = ManualClock::at(0);
    let guests = GuestRules {
        without_nova: WithoutNova::Meter,
        project: Whose { element: None, default: Some("p".into()) },
        ..GuestRules::default()
    };
    let mut directory = Directory::new(Rules { guests, ..Rules::default() });
    let uuid = uuid::Uuid::from_u128(1);
    let definition = Definition {
        uuid,
        name: "plain".into(),
        os_type: "hvm".into(),
        architecture: "x86_64".into(),
        nova: None,
        plain: Plain { vcpus: Some(4), ..Plain::default() },
        disks: vec![],
        nics: vec![],
    };
    directory.learn(definition, 0);
    let records = [Record { guest: uuid, revision: 0, stats: vec![] }];
    let snapshot = Snapshot::assemble(&mut directory, |_| true, Groups::NONE, &records, &[], clock.now());
    assert_eq!((snapshot.nobodys, snapshot.resources.guests().end), (0, 1));
    assert_eq!(snapshot.columns.keys().collect::<Vec<_>>(), ["flavor.vcpus"]);
    assert!(matches!(&snapshot.column("flavor.vcpus").unwrap().values, Values::Counts(vcpus) if *vcpus == [4]));
    directory.reconfigure(Rules::default());
    let snapshot = Snapshot::assemble(&mut directory, |_| true, Groups::NONE, &records, &[], clock.now());
    assert_eq!((snapshot.nobodys, snapshot.resources.guests().end), (1, 0));
}
