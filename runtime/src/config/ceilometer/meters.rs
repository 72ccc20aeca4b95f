//! Names of meters, for telling what becomes of patterns of meters.

use crate::config::matching::Glob;

/// Who gives meters that are not given by default here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Giver {
    /// Ceilometer's agents for the whole cloud.
    Central,
    /// Its agent for hardware.
    Ipmi,
    /// Its compute agent, of other hypervisors than libvirt.
    Nobody,
    /// The module of this name, which is off.
    Module(&'static str),
}

/// What the compute agent gives, and so does this daemon.
const GIVEN: [&str; 34] = [
    "power.state",
    "cpu",
    "vcpus",
    "memory",
    "memory.available",
    "memory.usage",
    "memory.resident",
    "memory.swap.in",
    "memory.swap.out",
    "perf.cpu.cycles",
    "perf.instructions",
    "perf.cache.references",
    "perf.cache.misses",
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
    "disk.device.read.requests",
    "disk.device.read.bytes",
    "disk.device.write.requests",
    "disk.device.write.bytes",
    "disk.device.read.latency",
    "disk.device.write.latency",
    "disk.device.capacity",
    "disk.device.allocation",
    "disk.device.usage",
    "disk.root.size",
    "disk.ephemeral.size",
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
    GIVEN.iter().any(|name| pattern.matches(name))
}

/// Whether an agent of Ceilometer's gives a meter that the pattern means, and this daemon does not.
pub fn is_given_elsewhere(pattern: &Glob) -> bool {
    givers(pattern).any(|giver| !matches!(giver, Giver::Module(_)))
}

/// The module that is off by default and gives a meter that the pattern means.
pub fn module_of(pattern: &Glob) -> Option<&'static str> {
    givers(pattern).find_map(|giver| match giver {
        Giver::Module(name) => Some(name),
        _ => None,
    })
}

/// Who else gives meters that the pattern means.
pub(super) fn givers(pattern: &Glob) -> impl Iterator<Item = Giver> {
    let means = |names: &&[&str]| names.iter().any(|name| pattern.matches(name));
    OTHERS.iter().filter(move |(_, names)| means(names)).map(|(giver, _)| *giver)
}
