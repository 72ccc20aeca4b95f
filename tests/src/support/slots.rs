//! A simulated host, read slot by slot.

use std::sync::Arc;

use wasmeter::clock::{Clock, ManualClock, SECOND};
use wasmeter::discovery::{Directory, Rules, Snapshot, View};
use wasmeter::hypervisor::sim::Sim;
use wasmeter::hypervisor::{Connection, Groups, Guests, Hypervisor, KeySet, Record, Request};
use wasmeter::sandbox::host::Input;

/// Some moment in 2026.
pub const START: i64 = 1_790_000_000 * SECOND;

/// A host whose guests all run, and what is known of them.
pub struct Host {
    clock: Arc<ManualClock>,
    connection: Box<dyn Connection>,
    directory: Directory,
    _sim: Sim,
}

// === impl Host ===

impl Host {
    /// A host of so many guests with two disks each.
    pub fn of(guests: u32) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let uri = format!("sim://?domains={guests}&disks=2&nics=1&calm=true");
        let sim = Sim::from_uri(&uri, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let directory = Directory::new(Rules { host: "test-host".to_owned(), ..Rules::default() });
        Self { clock, connection: sim.connect().unwrap(), directory, _sim: sim }
    }

    /// Everything in the next slot.
    pub fn slot(&mut self) -> Input {
        self.slot_of(|_| {})
    }

    /// The next slot, after something happened to what was read.
    pub fn slot_of(&mut self, happens: impl FnOnce(&mut Vec<Record>)) -> Input {
        self.read(Groups::STATE | Groups::CPU_TOTAL | Groups::BALLOON | Groups::BLOCK | Groups::INTERFACE, happens)
    }

    /// The next slot, of which only these groups were read.
    pub fn read(&mut self, groups: Groups, happens: impl FnOnce(&mut Vec<Record>)) -> Input {
        self.clock.pass(60_000_000_000);
        let mut records = self.connection.read(&Request { groups, keys: KeySet::All, guests: Guests::All }).unwrap();
        happens(&mut records);
        for guest in self.directory.unknown(&records) {
            let definition = self.connection.define(guest).unwrap().unwrap();
            let revision = records.iter().find(|record| record.guest == guest).unwrap().revision;
            self.directory.learn(definition, revision);
        }
        let snapshot = Snapshot::assemble(&mut self.directory, |_| true, groups, &records, &[], self.clock.now());
        let view = View::of(&snapshot.resources, vec![snapshot.resources.roots()]);
        Input { snapshot: Arc::new(snapshot), view: Arc::new(view), part: false, names: Arc::default() }
    }
}
