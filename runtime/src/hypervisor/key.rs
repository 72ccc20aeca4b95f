//! The names of statistics: libvirt's keys with `*` for the number, and the groups in which libvirt reads them.

use std::collections::HashMap;
use std::fmt;
use std::ops::BitOr;
use std::sync::{Arc, LazyLock, RwLock};

/// More names than any hypervisor has; what comes after is not kept.
const NAMES: usize = 4096;

/// Where a block device of a guest's is on the host.
pub const PATH: &str = "block.*.path";
/// How long the file is that a block device of a guest's is.
pub const LENGTH: &str = "block.*.length";
/// The room that this file takes. libvirt says so as well, but where it takes none, it says the length instead.
pub const TAKEN: &str = "block.*.taken";
/// Whether a running guest's block device, being a file, is one in the format qcow2: 1 or 0.
pub const QCOW2: &str = "block.*.qcow2";
/// Statistics that are ours among those of libvirt's groups.
pub const OURS: [&str; 3] = [LENGTH, TAKEN, QCOW2];
/// What a guest's flavor says, which no group has.
pub const FLAVOR: [&str; 5] = ["flavor.vcpus", "flavor.ram", "flavor.disk", "flavor.ephemeral", "flavor.swap"];

/// A statistic's name as a number, the same for the whole life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct KeyId(u16);

/// Names of statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySet {
    /// Every name.
    All,
    /// For each name, by its place, whether it is in the set.
    Some(Arc<[bool]>),
}

/// Groups of statistics that one call can ask for together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Groups(u16);

#[derive(Default)]
struct Names {
    ids: HashMap<Box<str>, KeyId>,
    names: Vec<Box<str>>,
}

static KNOWN: LazyLock<RwLock<Names>> = LazyLock::new(RwLock::default);

// === impl KeyId ===

impl KeyId {
    /// The number of a name such as `block.*.rd.bytes`; `None` when there are too many names already.
    pub fn of(name: &str) -> Option<Self> {
        if let Some(id) = read().ids.get(name) {
            return Some(*id);
        }
        let mut known = KNOWN.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(id) = known.ids.get(name) {
            return Some(*id);
        }
        let next = u16::try_from(known.names.len()).ok().filter(|n| usize::from(*n) < NAMES)?;
        known.names.push(name.into());
        known.ids.insert(name.into(), KeyId(next));
        Some(KeyId(next))
    }

    /// Its place among all keys.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// All keys that there are by now, by place.
    pub fn all() -> impl Iterator<Item = Self> {
        let count = u16::try_from(read().names.len()).unwrap_or(u16::MAX);
        (0..count).map(Self)
    }

    /// Something about every key, by place.
    pub fn map_all<T>(f: impl Fn(&str) -> T) -> Vec<T> {
        read().names.iter().map(|name| f(name)).collect()
    }

    /// The name.
    pub fn name(self) -> String {
        read().names.get(usize::from(self.0)).map(|name| name.to_string()).unwrap_or_default()
    }
}

// === impl KeySet ===

impl KeySet {
    /// Whether a name is in it.
    pub fn has(&self, key: KeyId) -> bool {
        match self {
            Self::All => true,
            Self::Some(places) => places.get(key.index()).copied().unwrap_or_default(),
        }
    }
}

impl FromIterator<KeyId> for KeySet {
    fn from_iter<I: IntoIterator<Item = KeyId>>(keys: I) -> Self {
        let mut places = Vec::new();
        for key in keys {
            places.resize(places.len().max(key.index() + 1), false);
            if let Some(place) = places.get_mut(key.index()) {
                *place = true;
            }
        }
        Self::Some(places.into())
    }
}

fn read() -> std::sync::RwLockReadGuard<'static, Names> {
    KNOWN.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

// === impl Groups ===

impl Groups {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Whether a guest runs.
    pub const STATE: Self = Self(1);
    /// CPU time of a whole guest.
    pub const CPU_TOTAL: Self = Self(1 << 1);
    /// Memory as the balloon driver sees it.
    pub const BALLOON: Self = Self(1 << 2);
    /// Each virtual CPU.
    pub const VCPU: Self = Self(1 << 3);
    /// Network devices.
    pub const INTERFACE: Self = Self(1 << 4);
    /// Block devices.
    pub const BLOCK: Self = Self(1 << 5);
    /// Hardware counters.
    pub const PERF: Self = Self(1 << 6);
    /// I/O threads.
    pub const IOTHREAD: Self = Self(1 << 7);
    /// Memory bandwidth.
    pub const MEMORY: Self = Self(1 << 8);
    /// How fast memory gets dirty.
    pub const DIRTYRATE: Self = Self(1 << 9);
    /// What the hypervisor counts for a whole guest.
    pub const VM: Self = Self(1 << 10);

    /// Every group with the first word of its keys, in libvirt's order.
    const ALL: [(Self, &'static str); 11] = [
        (Self::STATE, "state"),
        (Self::CPU_TOTAL, "cpu"),
        (Self::BALLOON, "balloon"),
        (Self::VCPU, "vcpu"),
        (Self::INTERFACE, "net"),
        (Self::BLOCK, "block"),
        (Self::PERF, "perf"),
        (Self::IOTHREAD, "iothread"),
        (Self::MEMORY, "memory"),
        (Self::DIRTYRATE, "dirtyrate"),
        (Self::VM, "vm"),
    ];

    /// Groups that are read without asking the guest's process.
    const WITHOUT_MONITOR: Self = Self(Self::STATE.0 | Self::INTERFACE.0 | Self::PERF.0 | Self::MEMORY.0);

    /// A key of every group that is worth recording: the first word is enough to name a group.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|(_, word)| *word)
    }

    /// The first words of its keys.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter(move |(group, _)| self.contains(*group)).map(|(_, word)| *word)
    }

    /// The group that a key belongs to; `None` if it is none of libvirt's.
    pub fn of_key(key: &str) -> Option<Self> {
        let word = key.split('.').next()?;
        Self::ALL.iter().find(|(_, first)| *first == word).map(|(group, _)| *group)
    }

    /// The first word of its keys, for one group.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(group, _)| *group == self).map_or("", |(_, word)| word)
    }

    /// The groups of keys.
    pub fn of_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        keys.into_iter().filter_map(Self::of_key).fold(Self::NONE, |all, group| all | group)
    }

    /// Those that are not among others.
    #[must_use]
    pub fn but(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether all of `other` are among these.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those for which the guest's own process must answer, and which therefore may block.
    #[must_use]
    pub fn with_monitor(self) -> Self {
        Self(self.0 & !Self::WITHOUT_MONITOR.0)
    }

    /// Those that never block.
    #[must_use]
    pub fn without_monitor(self) -> Self {
        Self(self.0 & Self::WITHOUT_MONITOR.0)
    }

    /// The bits, which are libvirt's own (`VIR_DOMAIN_STATS_*`).
    pub fn bits(self) -> u32 {
        u32::from(self.0)
    }
}

impl BitOr for Groups {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let id = KeyId::of("block.*.rd.bytes").unwrap();
        assert_eq!(KeyId::of("block.*.rd.bytes"), Some(id));
        assert_ne!(KeyId::of("block.*.wr.bytes"), Some(id));
        assert_eq!(id.name(), "block.*.rd.bytes");
    }

    #[test]
    fn a_set_has_what_is_in_it() {
        let [one, two, three] = ["cpu.time", "vcpu.*.time", "net.*.name"].map(|name| KeyId::of(name).unwrap());
        let set: KeySet = [three, one, three].into_iter().collect();
        assert!(set.has(one) && !set.has(two) && set.has(three));
        let later = KeyId::of("a name that came later").unwrap();
        assert!(!set.has(later) && KeySet::All.has(later) && !KeySet::from_iter([]).has(one));
    }

    #[test]
    fn keys_belong_to_groups() {
        assert_eq!(Groups::of_key("net.*.rx.bytes"), Some(Groups::INTERFACE));
        assert_eq!(Groups::of_key("memory.bandwidth.monitor.count"), Some(Groups::MEMORY));
        assert_eq!(Groups::of_key("flavor.disk"), None);
        assert!(OURS.iter().all(|key| Groups::of_key(key) == Some(Groups::BLOCK)));
        let both = Groups::STATE | Groups::BLOCK;
        assert_eq!(both.with_monitor(), Groups::BLOCK);
        assert_eq!(both.without_monitor(), Groups::STATE);
        assert_eq!(format!("{both:?}"), r#"{"state", "block"}"#);
    }
}
