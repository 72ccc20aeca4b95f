//! Memory as the balloon driver sees it, in KiB. What is used swings between rest and work.

use super::Sheet;
use crate::clock::SECOND;
use crate::hypervisor::sim::life::Pace;

/// What QEMU needs besides the guest's memory.
const OVERHEAD: u64 = 40 << 10;

/// The driver tells the news this often, in seconds.
const UPDATE: u64 = 10;

// === impl Sheet ===

impl Sheet<'_> {
    pub(super) fn balloon(&mut self) {
        let (keys, dice, effort) = (self.keys, self.guest.dice, &self.life.effort);
        let maximum = self.guest.shape.ram << 10;
        let current = if self.guest.traits.deflated { maximum / 4 * 3 } else { maximum };
        self.count(keys.balloon_current, 0, current);
        self.count(keys.balloon_maximum, 0, maximum);
        if !self.life.runs() {
            return;
        }
        let available = current / 32 * 31;
        let thousandths = dice.number(3).between(200, 400) + dice.number(4).between(100, 400) * self.life.swing / 1000;
        let used = available * thousandths / 1000;
        let caches = (available - used) / 2;
        let resident = if self.life.is_up() { used + caches } else { available / 8 };
        self.count(keys.balloon_rss, 0, resident + OVERHEAD);
        if !self.life.is_up() {
            // There is no driver yet that could tell more.
            return;
        }
        let swaps = u64::from(self.guest.shape.swap > 0);
        let faults = Pace { always: 20, busy: 900, boot: 4000 }.after(effort);
        self.count(keys.balloon_swap_in, 0, swaps * Pace { always: 0, busy: 12, boot: 0 }.after(effort));
        self.count(keys.balloon_swap_out, 0, swaps * Pace { always: 0, busy: 30, boot: 0 }.after(effort));
        self.count(keys.balloon_major_fault, 0, faults / 500);
        self.count(keys.balloon_minor_fault, 0, faults);
        self.count(keys.balloon_unused, 0, available - used - caches);
        self.count(keys.balloon_available, 0, available);
        self.count(keys.balloon_usable, 0, available - used - caches / 4);
        self.count(keys.balloon_disk_caches, 0, caches);
        let seconds = self.life.at / SECOND.unsigned_abs();
        self.count(keys.balloon_last_update, 0, seconds - seconds % UPDATE);
    }
}
