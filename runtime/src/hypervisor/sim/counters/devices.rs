//! Disks and network devices.

use super::Sheet;
use crate::hypervisor::sim::guest::Block;
use crate::hypervisor::sim::life::{Effort, Pace};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// An average request of a disk, and the nanoseconds that it takes to read, to write and to flush.
const REQUEST: u64 = 16 * KIB;
const READ_TIME: u64 = 300_000;
const WRITE_TIME: u64 = 900_000;
const FLUSH_TIME: u64 = 2_000_000;

/// Disks are read and written in sectors, and their files grow in clusters.
const SECTOR: u64 = 512;
const CLUSTER: u64 = 64 * KIB;

/// By how much the length of a file in a format of its own is above the room that it takes.
const TABLES: u64 = 4 * CLUSTER;

/// An average packet.
const PACKET: u64 = 700;

/// Disks after the first one have these sizes in GiB, unless they are the flavour's ephemeral one.
const VOLUME: u64 = 10;

// === impl Sheet ===

impl Sheet<'_> {
    pub(super) fn net(&mut self) {
        let (keys, guest, dice) = (self.keys, self.guest, self.guest.dice);
        self.amount(keys.net_count, guest.nics.len());
        let pace = |purpose: u64, boot| Pace {
            always: dice.number(purpose).between(100, 2_000),
            busy: dice.number(purpose + 1).between(20_000, 8_000_000),
            boot,
        };
        let (rx, tx) = (pace(5, 30_000).after(&self.life.effort), pace(7, 9_000).after(&self.life.effort));
        for (number, name) in (0..).zip(&guest.nics) {
            // Most goes through the first device.
            let (rx, tx) = (rx >> (2 * number), tx >> (2 * number));
            self.text(keys.net_name, number, name);
            self.count(keys.net_rx_bytes, number, rx);
            self.count(keys.net_rx_pkts, number, rx / PACKET);
            self.count(keys.net_rx_errs, number, rx / PACKET / 1_000_000);
            self.count(keys.net_rx_drop, number, rx / PACKET / 20_000);
            self.count(keys.net_tx_bytes, number, tx);
            self.count(keys.net_tx_pkts, number, tx / PACKET);
            self.count(keys.net_tx_errs, number, 0);
            self.count(keys.net_tx_drop, number, tx / PACKET / 50_000);
        }
    }

    pub(super) fn block(&mut self) {
        let (guest, life) = (self.guest, self.life);
        self.amount(self.keys.block_count, guest.blocks(life).count());
        for (number, block) in (0..).zip(guest.blocks(life)) {
            self.one_block(number, block);
        }
    }

    fn one_block(&mut self, number: u32, block: Block<'_>) {
        let keys = self.keys;
        let (read, written) = block.effort.map_or((0, 0), |effort| self.transferred(number, &effort));
        self.text(keys.block_name, number, block.name);
        if self.life.runs() {
            let (reads, writes) = (read / REQUEST, written / REQUEST);
            self.count(keys.block_rd_reqs, number, reads);
            self.count(keys.block_rd_bytes, number, read);
            self.count(keys.block_rd_times, number, reads * READ_TIME);
            self.count(keys.block_wr_reqs, number, writes);
            self.count(keys.block_wr_bytes, number, written);
            self.count(keys.block_wr_times, number, writes * WRITE_TIME);
            self.count(keys.block_fl_reqs, number, writes / 8);
            self.count(keys.block_fl_times, number, writes / 8 * FLUSH_TIME);
        }
        if block.effort.is_some() {
            self.sizes(number, written);
        }
    }

    /// What a medium takes. libvirt says of a running guest how far it has been written and the room that it takes, and
    /// of one that is off the room and the length.
    fn sizes(&mut self, number: u32, written: u64) {
        let keys = self.keys;
        let dice = self.guest.dice.number(9).number(u64::from(number));
        let capacity = self.capacity(number);
        let filled = (capacity / 100 * dice.between(10, 60) + written / 16).min(capacity.saturating_sub(TABLES));
        let taken = filled - filled % CLUSTER;
        let format = self.guest.file_format(number);
        let (offset, taken, length) = match format {
            Some("raw") => ((taken + taken / 2).min(capacity), taken, capacity),
            Some(_) => (taken + TABLES, taken, taken + TABLES),
            None => (taken, capacity, capacity),
        };
        let is_file = self.life.runs() && format.is_some();
        let (allocation, physical) = if self.life.runs() { (offset, taken) } else { (taken, length) };
        self.count(keys.block_allocation, number, allocation);
        self.count(keys.block_capacity, number, capacity);
        self.count(keys.block_physical, number, physical);
        if is_file {
            self.count(keys.block_length, number, length);
            self.count(keys.block_taken, number, taken);
        }
    }

    /// Bytes read from and written to a disk.
    fn transferred(&self, number: u32, effort: &Effort) -> (u64, u64) {
        let dice = self.guest.dice.number(10).number(u64::from(number));
        // The system is on the first disk.
        let boot = u64::from(number == 0);
        let read = Pace {
            always: dice.number(0).between(0, 4 * KIB),
            busy: dice.number(1).between(100 * KIB, 20 * MIB),
            boot: boot * 30 * MIB,
        };
        let write = Pace {
            always: dice.number(2).between(KIB, 16 * KIB),
            busy: dice.number(3).between(50 * KIB, 10 * MIB),
            boot: boot * 2 * MIB,
        };
        let sectors = |bytes: u64| bytes - bytes % SECTOR;
        (sectors(read.after(effort)), sectors(write.after(effort)))
    }

    fn capacity(&self, number: u32) -> u64 {
        let shape = self.guest.shape;
        let size = match number {
            0 => shape.root,
            1 if shape.ephemeral > 0 => shape.ephemeral,
            _ => VOLUME * u64::from(number),
        };
        size * GIB
    }
}
