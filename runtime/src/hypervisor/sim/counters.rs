//! A guest's statistics, worked out from how far its life has come.
//!
//! Every counter is a sum of rates times durations, or a fixed part of one. It therefore never falls as long as the
//! guest's process is the same.

use std::sync::Arc;

use super::guest::Guest;
use super::keys::Keys;
use super::life::{Life, Pace, Phase};
use crate::hypervisor::{Groups, KeyId, KeySet, Stat, Value};

mod devices;
mod memory;

/// libvirt's numbers for the states of guests and vCPUs, and for how they came about.
const RUNNING: i64 = 1;
const PAUSED: i64 = 3;
const SHUT_OFF: i64 = 5;
const BOOTED: i64 = 1;
const MIGRATED: i64 = 2;
const MIGRATING: i64 = 2;
const SHUT_DOWN: i64 = 1;
const VCPU_RUNNING: i64 = 1;

/// Statistics of one guest in the making.
pub(super) struct Sheet<'a> {
    keys: &'a Keys,
    guest: &'a Guest,
    life: &'a Life,
    wanted: &'a KeySet,
    stats: &'a mut Vec<Stat>,
}

// === impl Sheet ===

impl<'a> Sheet<'a> {
    pub(super) fn of(
        guest: &'a Guest,
        life: &'a Life,
        (keys, wanted): (&'a Keys, &'a KeySet),
        stats: &'a mut Vec<Stat>,
    ) -> Self {
        Self { keys, guest, life, wanted, stats }
    }

    /// Writes down what these groups say about a guest, as far as it is wanted.
    pub(super) fn write(mut self, groups: Groups) {
        let running = self.life.runs();
        let asked = [
            (Groups::STATE, Self::state as fn(&mut Self), true),
            (Groups::CPU_TOTAL, Self::cpu, false),
            (Groups::BALLOON, Self::balloon, true),
            (Groups::VCPU, Self::vcpu, true),
            (Groups::INTERFACE, Self::net, false),
            (Groups::BLOCK, Self::block, true),
            (Groups::PERF, Self::perf, false),
        ];
        let asked = asked.into_iter().filter(|(group, _, stopped)| groups.contains(*group) && (running || *stopped));
        asked.for_each(|(_, asks, _)| asks(&mut self));
    }

    fn state(&mut self) {
        let (state, reason) = match self.life.phase {
            Phase::Away | Phase::Stopped => (SHUT_OFF, SHUT_DOWN),
            Phase::Arriving => (PAUSED, MIGRATING),
            Phase::Booting | Phase::Idle | Phase::Working if self.life.arrived => (RUNNING, MIGRATED),
            Phase::Booting | Phase::Idle | Phase::Working => (RUNNING, BOOTED),
        };
        self.push(self.keys.state, 0, Value::Integer(state));
        self.push(self.keys.state_reason, 0, Value::Integer(reason));
    }

    fn cpu(&mut self) {
        let time = self.cpu_time();
        self.count(self.keys.cpu_time, 0, time);
        self.count(self.keys.cpu_user, 0, time / 10 * 9);
        self.count(self.keys.cpu_system, 0, time / 12);
    }

    fn vcpu(&mut self) {
        let (numbers, maximum) = self.guest.vcpus();
        self.count(self.keys.vcpu_current, 0, u64::from(self.guest.shape.vcpus));
        self.count(self.keys.vcpu_maximum, 0, u64::from(maximum));
        if !self.life.runs() {
            return;
        }
        let one = self.one_vcpu();
        let halted = u64::from(self.life.phase == Phase::Idle);
        for number in numbers {
            let time = share(one, number);
            self.push(self.keys.vcpu_state, number, Value::Integer(VCPU_RUNNING));
            self.count(self.keys.vcpu_time, number, time);
            if !self.guest.traits.no_wait {
                self.count(self.keys.vcpu_wait, number, time / 12);
            }
            self.count(self.keys.vcpu_halted, number, halted);
            self.count(self.keys.vcpu_delay, number, time / 40);
        }
    }

    fn perf(&mut self) {
        if !self.guest.traits.perf {
            return;
        }
        let cycles = self.cpu_time() / 5 * 12;
        self.count(self.keys.perf_cpu_cycles, 0, cycles);
        self.count(self.keys.perf_instructions, 0, cycles / 10 * 13);
        self.count(self.keys.perf_cache_references, 0, cycles / 60);
        self.count(self.keys.perf_cache_misses, 0, cycles / 480);
    }

    /// What its vCPUs used, and a little more for the process around them.
    fn cpu_time(&self) -> u64 {
        let one = self.one_vcpu();
        let all: u64 = self.guest.vcpus().0.map(|number| share(one, number)).sum();
        all + all / 32
    }

    /// The nanoseconds of its first vCPU.
    fn one_vcpu(&self) -> u64 {
        let dice = self.guest.dice;
        let always = dice.number(1).between(5_000_000, 40_000_000);
        let pace = Pace { always, busy: dice.number(2).between(100_000_000, 700_000_000), boot: 200_000_000 };
        pace.after(&self.life.effort)
    }

    /// How many of something there are.
    fn amount(&mut self, key: KeyId, of: usize) {
        self.count(key, 0, u64::try_from(of).unwrap_or(u64::MAX));
    }

    fn count(&mut self, key: KeyId, number: u32, value: u64) {
        self.push(key, number, Value::Count(value));
    }

    fn text(&mut self, key: KeyId, number: u32, value: &Arc<str>) {
        self.push(key, number, Value::Text(Arc::clone(value)));
    }

    fn push(&mut self, key: KeyId, number: u32, value: Value) {
        if self.wanted.has(key) {
            self.stats.push(Stat { key, number, value });
        }
    }
}

/// The part of the first vCPU's time that another one has: the later, the less.
fn share(first: u64, number: u32) -> u64 {
    first / 32 * u64::from(32 - number.min(16))
}
