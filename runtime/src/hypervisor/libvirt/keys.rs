//! libvirt's keys, such as `block.0.rd.bytes`, as names and numbers.

use std::collections::HashMap;

use crate::hypervisor::KeyId;

/// More keys than any host has; those beyond are taken apart each time.
const KNOWN: usize = 1 << 16;

/// What a key says: whose statistic it is, and of which device or vCPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) id: KeyId,
    pub(super) number: u32,
}

/// Keys that have been met, so that each is taken apart once.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// `None` for those that cannot be used.
    known: HashMap<Box<[u8]>, Option<Key>>,
}

// === impl Keys ===

impl Keys {
    /// What a key says; `None` if it is no text, or there are too many names already.
    pub(super) fn get(&mut self, key: &[u8]) -> Option<Key> {
        if let Some(known) = self.known.get(key) {
            return *known;
        }
        let found = Key::parse(key);
        if self.known.len() < KNOWN {
            self.known.insert(key.into(), found);
        }
        found
    }
}

// === impl Key ===

impl Key {
    fn parse(key: &[u8]) -> Option<Self> {
        let (name, number) = split(str::from_utf8(key).ok()?);
        Some(Self { id: KeyId::of(&name)?, number })
    }
}

/// Takes the first number out of a key. A second one, as in `cpu.cache.monitor.0.bank.1.id`, is part of the name.
fn split(key: &str) -> (String, u32) {
    let mut number = None;
    let parts: Vec<&str> = key
        .split('.')
        .map(|part| match number {
            None => {
                number = digits(part);
                if number.is_some() { "*" } else { part }
            }
            Some(_) => part,
        })
        .collect();
    (parts.join("."), number.unwrap_or_default())
}

fn digits(part: &str) -> Option<u32> {
    part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_number_is_taken_out() {
        let cases = [
            ("state.state", "state.state", 0),
            ("balloon.last-update", "balloon.last-update", 0),
            ("block.count", "block.count", 0),
            ("block.0.rd.bytes", "block.*.rd.bytes", 0),
            ("block.12.backingIndex", "block.*.backingIndex", 12),
            ("net.3.name", "net.*.name", 3),
            ("vcpu.17.exits.sum", "vcpu.*.exits.sum", 17),
            ("dirtyrate.vcpu.2.megabytes_per_second", "dirtyrate.vcpu.*.megabytes_per_second", 2),
            ("cpu.cache.monitor.1.bank.0.bytes", "cpu.cache.monitor.*.bank.0.bytes", 1),
            ("iothread.4.poll-max-ns", "iothread.*.poll-max-ns", 4),
            ("vm.l1d_flush.sum", "vm.l1d_flush.sum", 0),
            ("block.4294967295.x", "block.*.x", u32::MAX),
            ("block.4294967296.x", "block.4294967296.x", 0),
            ("block.+1.x", "block.+1.x", 0),
            ("block.1a.2.x", "block.1a.*.x", 2),
            ("block..1", "block..*", 1),
            ("7", "*", 7),
            ("", "", 0),
        ];
        for (key, name, number) in cases {
            assert_eq!(split(key), (name.to_owned(), number), "{key}");
        }
    }

    #[test]
    fn a_key_is_remembered() {
        let mut keys = Keys::default();
        let key = keys.get(b"block.5.wr.reqs").unwrap();
        assert_eq!((key.id.name().as_str(), key.number), ("block.*.wr.reqs", 5));
        assert_eq!(keys.get(b"block.5.wr.reqs"), Some(key));
        assert_eq!(keys.known.len(), 1);
        assert_eq!(keys.get(b"block.\xff.wr.reqs"), None);
    }

    proptest! {
        #[test]
        fn any_key_can_be_split(key in "[a-z0-9.+*]{0,80}|.{0,80}") {
            let (name, number) = split(&key);
            prop_assert!(name.contains('*') || number == 0);
            prop_assert_eq!(name.split('.').count(), key.split('.').count());
        }

        #[test]
        fn any_bytes_are_taken(key in proptest::collection::vec(any::<u8>(), 0..80)) {
            // Not through `Keys`, whose names stay for the life of the process.
            let _ = str::from_utf8(&key).map(split);
        }
    }
}
