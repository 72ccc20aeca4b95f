use std::collections::BTreeSet;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::discovery::Snapshot;
use crate::hypervisor::sim::Sim;
use crate::hypervisor::{Connection, Groups, Guests, Hypervisor, Request};

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
        let mut records = self.connection.read(&Request { groups, guests: Guests::All }).unwrap();
        records.iter_mut().for_each(|record| record.revision = revision);
        for guest in self.directory.unknown(&records) {
            self.directory.learn(self.connection.define(guest).unwrap().unwrap(), revision);
        }
        let others = ["here".to_owned(), "tcp://a:1".to_owned()];
        Snapshot::assemble(&mut self.directory, groups, &records, &others, self.clock.now())
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
fn declared_parts_are_bounded_and_forgotten() {
    let mut host = Host::new();
    let guest = host.slot(1).resources.get(0).unwrap().ident;
    let first = host.directory.declared(guest, "part-0").unwrap();
    for n in 1..DECLARED_PARTS {
        assert!(host.directory.declared(guest, &format!("part-{n}")).is_some());
    }
    assert_eq!(host.directory.declared(guest, "one more"), None);
    assert_eq!(host.directory.declared(guest, "part-0"), Some(first));
    // An hour later, all but the one that was declared meanwhile are gone.
    host.clock.pass(REMEMBERED / 2);
    host.slot(1);
    host.directory.declared(guest, "part-0");
    host.clock.pass(REMEMBERED / 2 + 1);
    host.slot(1);
    let gone = host.directory.forget(host.clock.now());
    assert_eq!(gone.len(), DECLARED_PARTS - 1);
    assert!(!gone.contains(&first));
    assert!(host.directory.declared(guest, "one more").is_some());
}

#[test]
fn a_guest_that_is_not_novas_is_not_asked_about_again() {
    let mut host = Host::new();
    let request = Request { groups: Groups::STATE, guests: Guests::All };
    let records = host.connection.read(&request).unwrap();
    for record in &records {
        let definition = host.connection.define(record.guest).unwrap().unwrap();
        host.directory.learn(Definition { nova: None, ..definition }, record.revision);
    }
    for _ in 0..3 {
        host.clock.pass(REMEMBERED - 1);
        host.directory.saw(&records, host.clock.now());
        host.directory.forget(host.clock.now());
        assert!(host.directory.unknown(&records).is_empty());
    }
}
