//! The names of the statistics that simulated guests have.

use crate::hypervisor::{KeyId, key};

macro_rules! keys {
    ($($field:ident = $name:expr,)*) => {
        /// Each name as the number that readings carry.
        #[derive(Debug, Clone)]
        pub(super) struct Keys {
            $(pub(super) $field: KeyId,)*
        }

        impl Keys {
            /// Looks all of them up; `None` if the process knows too many names already.
            pub(super) fn resolve() -> Option<Self> {
                Some(Self { $($field: KeyId::of($name)?,)* })
            }
        }
    };
}

keys! {
    state = "state.state",
    state_reason = "state.reason",
    cpu_time = "cpu.time",
    cpu_user = "cpu.user",
    cpu_system = "cpu.system",
    balloon_current = "balloon.current",
    balloon_maximum = "balloon.maximum",
    balloon_swap_in = "balloon.swap_in",
    balloon_swap_out = "balloon.swap_out",
    balloon_major_fault = "balloon.major_fault",
    balloon_minor_fault = "balloon.minor_fault",
    balloon_unused = "balloon.unused",
    balloon_available = "balloon.available",
    balloon_usable = "balloon.usable",
    balloon_rss = "balloon.rss",
    balloon_last_update = "balloon.last-update",
    balloon_disk_caches = "balloon.disk_caches",
    vcpu_current = "vcpu.current",
    vcpu_maximum = "vcpu.maximum",
    vcpu_state = "vcpu.*.state",
    vcpu_time = "vcpu.*.time",
    vcpu_wait = "vcpu.*.wait",
    vcpu_halted = "vcpu.*.halted",
    vcpu_delay = "vcpu.*.delay",
    net_count = "net.count",
    net_name = "net.*.name",
    net_rx_bytes = "net.*.rx.bytes",
    net_rx_pkts = "net.*.rx.pkts",
    net_rx_errs = "net.*.rx.errs",
    net_rx_drop = "net.*.rx.drop",
    net_tx_bytes = "net.*.tx.bytes",
    net_tx_pkts = "net.*.tx.pkts",
    net_tx_errs = "net.*.tx.errs",
    net_tx_drop = "net.*.tx.drop",
    block_count = "block.count",
    block_name = "block.*.name",
    block_rd_reqs = "block.*.rd.reqs",
    block_rd_bytes = "block.*.rd.bytes",
    block_rd_times = "block.*.rd.times",
    block_wr_reqs = "block.*.wr.reqs",
    block_wr_bytes = "block.*.wr.bytes",
    block_wr_times = "block.*.wr.times",
    block_fl_reqs = "block.*.fl.reqs",
    block_fl_times = "block.*.fl.times",
    block_allocation = "block.*.allocation",
    block_capacity = "block.*.capacity",
    block_physical = "block.*.physical",
    block_length = key::LENGTH,
    block_taken = key::TAKEN,
    perf_cpu_cycles = "perf.cpu_cycles",
    perf_instructions = "perf.instructions",
    perf_cache_references = "perf.cache_references",
    perf_cache_misses = "perf.cache_misses",
}
