use std::collections::BTreeSet;

use super::declared::DECLARED_PARTS;
use super::*;
use crate::clock::{Clock, ManualClock, SECOND};
use crate::config::daemon::GuestRules;
use crate::discovery::Snapshot;
use crate::hypervisor::sim::Sim;
use crate::hypervisor::{Connection, Groups, Guests, Hypervisor, KeySet, Request};

struct Host {
    clock: Arc<ManualClock>,
    connection: Box<dyn Connection>,
    directory: Directory,
    _sim: Sim,
}

impl Host {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(1_790_000_000 * SECOND));
        let sim = Sim::from_uri("sim://?domains=3&disks=1&nics=1&calm=true", clock.clone()).unwrap();
        let rules = Rules { host: "here".to_owned(), ..Rules::default() };
        Self { clock, connection: sim.connect().unwrap(), directory: Directory::new(rules), _sim: sim }
    }

    /// One slot, in which every guest's definition has this revision.
    fn slot(&mut self, revision: u64) -> Snapshot {
        let groups = Groups::STATE | Groups::VCPU | Groups::BLOCK | Groups::INTERFACE;
        let mut records = self.connection.read(&Request { groups, keys: KeySet::All, guests: Guests::All }).unwrap();
        records.iter_mut().for_each(|record| record.revision = revision);
        for guest in self.directory.unknown(&records) {
            self.directory.learn(self.connection.define(guest).unwrap().unwrap(), revision);
        }
        let others = ["here".to_owned(), "tcp://a:1".to_owned()];
        Snapshot::assemble(&mut self.directory, |_| true, groups, &records, &others, self.clock.now())
    }

    /// The identity of a guest.
    fn guest(&mut self) -> Ident {
        self.slot(1).resources.get(0).unwrap().ident
    }

    fn remembered(&self) -> u64 {
        self.directory.remembered()
    }

    /// A slot after some nanoseconds.
    fn later(&mut self, nanoseconds: u64) {
        self.clock.pass(nanoseconds);
        self.slot(1);
    }
}

fn idents(snapshot: &Snapshot) -> Vec<Ident> {
    (0..snapshot.resources.len()).map(|number| snapshot.resources.get(number).unwrap().ident).collect()
}

#[test]
fn identities_outlast_new_definitions_and_configurations() {
    let mut host = Host::new();
    let before = idents(&host.slot(1));
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), before.len(), "no two share one");
    assert_eq!(idents(&host.slot(2)), before);
    host.directory.reconfigure(Rules { host: "elsewhere".to_owned(), ..Rules::default() });
    assert_eq!(idents(&host.slot(3)), before);
}

#[test]
fn guests_that_may_be_another_tenants_are_named_with_their_parts() {
    let mut host = Host::new();
    let snapshot = host.slot(1);
    assert!(host.directory.moved().is_empty(), "nothing is remembered of whoever is new");
    let all = idents(&snapshot);
    let guest = snapshot.resources.get(0).unwrap();
    let declared = host.directory.declared(&"module".into(), guest.ident, "part");
    let own: BTreeSet<String> = guest.label.project.iter().map(|project| project.to_string()).collect();
    // With another configuration tenants may have other projects.
    host.directory.reconfigure(Rules { host: "here".to_owned(), ..Rules::default() });
    let moved = host.directory.moved();
    let others = |own: &BTreeSet<String>| {
        all.iter().chain([&declared]).copied().filter(|ident| moved.is_anothers(*ident, own)).collect::<BTreeSet<_>>()
    };
    let guests = snapshot.resources.guests().end;
    let parts = (0..snapshot.resources.len()).filter_map(|number| snapshot.resources.get(number));
    let of_guests = parts.filter(|one| one.root < guests);
    let expected: BTreeSet<Ident> = of_guests.clone().map(|one| one.ident).chain([declared]).collect();
    assert_eq!(others(&BTreeSet::new()), expected, "of nobody");
    let is_own = |one: &&crate::discovery::resource::Resource| {
        snapshot
            .resources
            .get(one.root)
            .is_some_and(|guest| guest.label.project.as_ref().is_some_and(|p| own.contains(&**p)))
    };
    let theirs: BTreeSet<Ident> = of_guests.filter(|one| !is_own(one)).map(|one| one.ident).collect();
    assert_eq!(others(&own), theirs);
    assert!(host.directory.moved().is_empty(), "it is said once");
    // And one may go over to another project.
    let records =
        host.connection.read(&Request { groups: Groups::STATE, keys: KeySet::All, guests: Guests::All }).unwrap();
    let mut definition = host.connection.define(records[0].guest).unwrap().unwrap();
    host.directory.learn(definition.clone(), 2);
    assert!(host.directory.moved().is_empty(), "it is whose it was");
    definition.nova.as_mut().unwrap().project_id = "another".to_owned();
    host.directory.learn(definition, 3);
    let moved = host.directory.moved();
    assert!(moved.is_anothers(guest.ident, &own) && moved.is_anothers(declared, &own));
    assert!(!moved.is_anothers(guest.ident, &BTreeSet::from(["another".to_owned()])));
}

#[test]
fn devices_are_forgotten_when_they_have_been_gone_for_as_long_as_is_said() {
    let mut host = Host::new();
    let guests = GuestRules { remember: std::time::Duration::from_secs(90), ..GuestRules::default() };
    host.directory.reconfigure(Rules { guests, ..Rules::default() });
    let guest = host.guest();
    let before = idents(&host.slot(1));
    let records = host
        .connection
        .read(&Request { groups: Groups::STATE | Groups::BLOCK, keys: KeySet::All, guests: Guests::All })
        .unwrap();
    let definition = host.connection.define(records[0].guest).unwrap().unwrap();
    host.directory.learn(Definition { disks: Vec::new(), ..definition.clone() }, 1);
    let without = idents(&host.slot(1));
    let gone: Vec<Ident> = before.iter().copied().filter(|ident| !without.contains(ident)).collect();
    assert!(gone.len() == 1 && without.contains(&guest), "{before:?}, then {without:?}");
    host.later(90 * SECOND.unsigned_abs());
    assert!(host.directory.forget(host.clock.now()).is_empty());
    // It comes back in time, as what it was, and is forgotten when it does not.
    host.directory.learn(definition.clone(), 1);
    assert_eq!(idents(&host.slot(1)), before);
    host.directory.learn(Definition { disks: Vec::new(), ..definition }, 1);
    host.slot(1);
    host.later(91 * SECOND.unsigned_abs());
    assert_eq!(host.directory.forget(host.clock.now()), gone);
    assert_eq!(idents(&host.slot(1)), without);
}

#[test]
fn declared_parts_are_forgotten_when_nobody_declares_them() {
    let mut host = Host::new();
    let (guest, [one, other]) = (host.guest(), ["one", "other"].map(Arc::from));
    let parts = [(&one, "left"), (&other, "left"), (&one, "right")];
    let [left, same, right] = parts.map(|(module, suffix)| host.directory.declared(module, guest, suffix));
    assert_eq!(left, same, "a part that two modules declare is the same part");
    assert_ne!(left, right);
    host.later(host.remembered() / 2);
    assert_eq!(host.directory.declared(&other, guest, "left"), left);
    host.later(host.remembered() / 2 + 1);
    assert_eq!(host.directory.forget(host.clock.now()), [right]);
    host.later(host.remembered() / 2);
    assert_eq!(host.directory.forget(host.clock.now()), [left]);
}

/// One that declares other parts all the time forgets its own, and none of anybody else's.
#[test]
fn a_module_keeps_so_many_parts_of_a_guest() {
    let mut host = Host::new();
    let (guest, [restless, steady]) = (host.guest(), ["restless", "steady"].map(Arc::from));
    let lasting = host.directory.declared(&steady, guest, "lasting");
    let shared = host.directory.declared(&steady, guest, "part-0");
    let idents: Vec<Ident> = (0..DECLARED_PARTS)
        .map(|n| {
            host.later(SECOND.unsigned_abs());
            host.directory.declared(&restless, guest, &format!("part-{n}"))
        })
        .collect();
    assert_eq!(idents[0], shared);
    host.later(SECOND.unsigned_abs());
    assert!(host.directory.forget(host.clock.now()).is_empty());
    assert_eq!(host.directory.declared(&restless, guest, "part-1"), idents[1], "declared again, and so the newest");
    let more: Vec<Ident> = (0..3).map(|n| host.directory.declared(&restless, guest, &format!("more-{n}"))).collect();
    assert_eq!(host.directory.forget(host.clock.now()), [idents[2], idents[3]], "part-0 is another module's, too");
    assert!(more.iter().all(|ident| !idents.contains(ident)), "an identity is free after all have forgotten it");
    assert_eq!(host.directory.declared(&steady, guest, "lasting"), lasting);
    assert_eq!(host.directory.declared(&steady, guest, "part-0"), shared);
}

/// What was declared in this slot has samples in it, however much that is.
#[test]
fn parts_of_this_slot_are_kept() {
    let mut host = Host::new();
    let (guest, module) = (host.guest(), Arc::from("module"));
    let idents: BTreeSet<Ident> =
        (0..2 * DECLARED_PARTS).map(|n| host.directory.declared(&module, guest, &n.to_string())).collect();
    assert_eq!(idents.len(), 2 * DECLARED_PARTS);
    assert!(host.directory.forget(host.clock.now()).is_empty());
    host.later(1);
    host.directory.declared(&module, guest, "one more");
    assert_eq!(host.directory.forget(host.clock.now()).len(), DECLARED_PARTS + 1, "and then it is made up for");
}

#[test]
fn a_guest_that_is_not_novas_is_not_asked_about_again() {
    let mut host = Host::new();
    let request = Request { groups: Groups::STATE, keys: KeySet::All, guests: Guests::All };
    let records = host.connection.read(&request).unwrap();
    for record in &records {
        let definition = host.connection.define(record.guest).unwrap().unwrap();
        host.directory.learn(Definition { nova: None, ..definition }, record.revision);
    }
    for _ in 0..3 {
        host.clock.pass(host.remembered() - 1);
        let snapshot =
            Snapshot::assemble(&mut host.directory, |_| true, Groups::STATE, &records, &[], host.clock.now());
        assert_eq!((snapshot.resources.len(), snapshot.nobodys), (0, records.len()));
        host.directory.forget(host.clock.now());
        assert!(host.directory.unknown(&records).is_empty());
    }
}
