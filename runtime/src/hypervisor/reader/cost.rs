//! What reading statistics costs the host, and how often they may be read for a tenant without a grant.

use crate::hypervisor::Groups;
use crate::sandbox::price::CORE_SECOND;

/// CPU time of libvirt and QEMU for one guest with a disk, a network device and two vCPUs, in microseconds, and seconds
/// from one read to the next. Measured with libvirt 9.0 and 20 to 100 guests; what asks QEMU takes a thousandth of a
/// second and more for each guest, and the guest waits for that.
const COSTS: [(Groups, u64, u64); 11] = [
    (Groups::STATE, 10, 1),
    (Groups::CPU_TOTAL, 1_300, 10),
    (Groups::BALLOON, 1_500, 10),
    (Groups::VCPU, 1_300, 10),
    (Groups::INTERFACE, 90, 1),
    (Groups::BLOCK, 2_300, 10),
    (Groups::PERF, 10, 1),
    (Groups::IOTHREAD, 450, 10),
    (Groups::MEMORY, 10, 1),
    (Groups::DIRTYRATE, 500, 10),
    (Groups::VM, 1_000, 10),
];

/// Fuel that a core burns in a microsecond, about.
const MICROSECOND: u64 = CORE_SECOND / 1_000_000;

/// The price of reading these groups of a guest, as fuel.
pub fn price(groups: Groups) -> u64 {
    COSTS.iter().filter(|(group, ..)| groups.contains(*group)).map(|(_, micros, _)| micros * MICROSECOND).sum()
}

/// Groups of these that may not be read so often without a grant, each with its name and the seconds that there have
/// to be between two reads.
pub fn too_often(groups: Groups, interval: u64) -> impl Iterator<Item = (&'static str, u64)> {
    let rare = COSTS.iter().filter(move |(group, _, shortest)| groups.contains(*group) && interval < *shortest);
    rare.map(|(group, _, shortest)| (group.word(), *shortest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_a_price() {
        for word in Groups::keys() {
            let group = Groups::of_key(word).unwrap();
            assert!(price(group) > 0, "{word}");
            assert_eq!(group.word(), word);
            assert_eq!(too_often(group, 1).count() == 1, !group.with_monitor().is_empty(), "{word}");
        }
        assert_eq!(price(Groups::NONE), 0);
        assert_eq!(price(Groups::BLOCK | Groups::STATE), 23_100_000, "fuel for 2.31 ms of a core");
        assert_eq!(too_often(Groups::BLOCK | Groups::BALLOON, 9).collect::<Vec<_>>(), [("balloon", 10), ("block", 10)]);
        assert_eq!(too_often(Groups::BLOCK, 10).count(), 0);
    }
}
