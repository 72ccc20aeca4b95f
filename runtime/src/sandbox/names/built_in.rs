//! Names of meters that built-in pollsters give.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::metric;

/// All of them, in their order. They are the operator's wherever such a pollster is off, too: whoever turns it on later,
/// or reads samples of several hosts, finds nobody else's numbers under them.
pub const METERS: [&str; 52] = [
    "cpu",
    "cpu.steal",
    "cpu.wait",
    "cpu_l3_cache",
    "disk.allocation",
    "disk.capacity",
    "disk.device.allocation",
    "disk.device.capacity",
    "disk.device.flush.latency",
    "disk.device.flush.requests",
    "disk.device.read.bytes",
    "disk.device.read.latency",
    "disk.device.read.requests",
    "disk.device.usage",
    "disk.device.write.bytes",
    "disk.device.write.latency",
    "disk.device.write.requests",
    "disk.ephemeral.size",
    "disk.read.bytes",
    "disk.read.requests",
    "disk.root.size",
    "disk.usage",
    "disk.write.bytes",
    "disk.write.requests",
    "instance",
    "memory",
    "memory.available",
    "memory.balloon.age",
    "memory.bandwidth.local",
    "memory.bandwidth.total",
    "memory.faults.major",
    "memory.faults.minor",
    "memory.resident",
    "memory.swap.in",
    "memory.swap.out",
    "memory.usage",
    "network.incoming.bytes",
    "network.incoming.bytes.delta",
    "network.incoming.packets",
    "network.incoming.packets.drop",
    "network.incoming.packets.error",
    "network.outgoing.bytes",
    "network.outgoing.bytes.delta",
    "network.outgoing.packets",
    "network.outgoing.packets.drop",
    "network.outgoing.packets.error",
    "perf.cache.misses",
    "perf.cache.references",
    "perf.cpu.cycles",
    "perf.instructions",
    "power.state",
    "vcpus",
];

/// Whether a built-in pollster gives a meter of this name.
pub fn has(name: &str) -> bool {
    METERS.binary_search(&name).is_ok()
}

/// Whether a built-in pollster gives a meter that is called so on `/metrics`.
pub(super) fn has_metric(metric: &str) -> bool {
    METRICS.contains(metric)
}

static METRICS: LazyLock<HashSet<String>> = LazyLock::new(|| METERS.into_iter().map(metric).collect());
