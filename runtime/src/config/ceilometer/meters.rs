//! Names of meters, for telling what becomes of patterns of meters.

use crate::config::matching::{Glob, MeterFilter};

/// Who gives meters that are not given by default here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Giver {
    /// Ceilometer's agents for the whole cloud.
    Central,
    /// Its agent for hardware.
    Ipmi,
    /// Its compute agent, of other hypervisors than libvirt.
    Nobody,
    /// The module of this name, which is off by default.
    Module(&'static str),
}

/// What the compute agent gives, and so do modules that are on by default.
const GIVEN: [(&str, &[&str]); 7] = [
    ("power", &["power.state"]),
    ("cpu", &["cpu", "vcpus"]),
    ("memory", &["memory", "memory.available", "memory.usage", "memory.resident", "memory.swap.in", "memory.swap.out"]),
    ("perf", &["perf.cpu.cycles", "perf.instructions", "perf.cache.references", "perf.cache.misses"]),
    (
        "network",
        &[
            "network.incoming.bytes",
            "network.incoming.packets",
            "network.incoming.packets.error",
            "network.incoming.packets.drop",
            "network.outgoing.bytes",
            "network.outgoing.packets",
            "network.outgoing.packets.error",
            "network.outgoing.packets.drop",
            "network.incoming.bytes.delta",
            "network.outgoing.bytes.delta",
        ],
    ),
    (
        "disk",
        &[
            "disk.device.read.requests",
            "disk.device.read.bytes",
            "disk.device.write.requests",
            "disk.device.write.bytes",
            "disk.device.read.latency",
            "disk.device.write.latency",
            "disk.device.capacity",
            "disk.device.allocation",
            "disk.device.usage",
        ],
    ),
    ("flavor", &["disk.root.size", "disk.ephemeral.size"]),
];

const OTHERS: [(Giver, &[&str]); 5] = [
    (Giver::Nobody, &["network.incoming.bytes.rate", "network.outgoing.bytes.rate"]),
    (
        Giver::Central,
        &[
            "alarm.evaluation_result",
            "dns.zone.recordsets",
            "dns.zone.serial",
            "dns.zone.status",
            "dns.zone.ttl",
            "image.size",
            "ip.floating",
            "loadbalancer.operating",
            "loadbalancer.provisioning",
            "manila.share.size",
            "manila.share.status",
            "network.services.firewall",
            "network.services.firewall.policy",
            "network.services.vpn",
            "network.services.vpn.connections",
            "radosgw.containers.objects",
            "radosgw.containers.objects.size",
            "radosgw.objects",
            "radosgw.objects.containers",
            "radosgw.objects.size",
            "radosgw.usage",
            "storage.containers.objects",
            "storage.containers.objects.size",
            "storage.objects",
            "storage.objects.containers",
            "storage.objects.size",
            "volume.backup.size",
            "volume.provider.pool.capacity.allocated",
            "volume.provider.pool.capacity.free",
            "volume.provider.pool.capacity.provisioned",
            "volume.provider.pool.capacity.total",
            "volume.provider.pool.capacity.virtual_free",
            "volume.service.health",
            "volume.size",
            "volume.snapshot.size",
        ],
    ),
    (
        Giver::Ipmi,
        &[
            "hardware.ipmi.current",
            "hardware.ipmi.fan",
            "hardware.ipmi.power",
            "hardware.ipmi.temperature",
            "hardware.ipmi.voltage",
        ],
    ),
    (
        Giver::Module("mitaka"),
        &[
            "instance",
            "disk.read.requests",
            "disk.read.bytes",
            "disk.write.requests",
            "disk.write.bytes",
            "disk.capacity",
            "disk.allocation",
            "disk.usage",
            "memory.bandwidth.total",
            "memory.bandwidth.local",
            "cpu_l3_cache",
        ],
    ),
    (
        Giver::Module("deep"),
        &[
            "cpu.steal",
            "cpu.wait",
            "memory.balloon.age",
            "memory.faults.major",
            "memory.faults.minor",
            "disk.device.flush.requests",
            "disk.device.flush.latency",
        ],
    ),
];

/// Whether this daemon gives a meter that the pattern means.
pub(super) fn is_given(pattern: &Glob) -> bool {
    GIVEN.iter().any(|(_, names)| means(pattern, names))
}

/// Whether a module gives any of these meters, be it on by default or not.
pub(super) fn may_be_given(meters: &MeterFilter) -> bool {
    let others = OTHERS.iter().filter(|(giver, _)| matches!(giver, Giver::Module(_))).map(|(_, names)| names);
    let mut all = GIVEN.iter().map(|(_, names)| names).chain(others).copied().flatten();
    all.any(|name| meters.matches(name))
}

/// Whether an agent of Ceilometer's gives a meter that the pattern means, and this daemon does not.
pub fn is_given_elsewhere(pattern: &Glob) -> bool {
    givers(pattern).any(|giver| !matches!(giver, Giver::Module(_)))
}

/// The module among some that gives a meter that the pattern means.
pub fn module_of(pattern: &Glob, among: &[&'static str]) -> Option<&'static str> {
    let others = OTHERS.iter().filter_map(|(giver, names)| match giver {
        Giver::Module(name) => Some((name, names)),
        _ => None,
    });
    let mut all = GIVEN.iter().map(|(name, names)| (name, names)).chain(others);
    all.find(|(name, names)| among.contains(name) && means(pattern, names)).map(|(name, _)| *name)
}

/// Who else gives meters that the pattern means.
pub(super) fn givers(pattern: &Glob) -> impl Iterator<Item = Giver> {
    OTHERS.iter().filter(move |(_, names)| means(pattern, names)).map(|(giver, _)| *giver)
}

fn means(pattern: &Glob, names: &[&str]) -> bool {
    names.iter().any(|name| pattern.matches(name))
}
