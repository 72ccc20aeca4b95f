//! Message ids: version 1 UUIDs, as Ceilometer's are, counted instead of drawn, so that a sample's id follows from
//! its place.

use uuid::{Timestamp, Uuid};

use crate::clock::Moment;

/// Ticks of 100 ns between the beginning of the Gregorian calendar and 1970.
const GREGORIAN: u64 = 0x01B2_1DD2_1381_4000;

/// Hands out numbers of ids. Each number is a tick; a slot's samples take as many ticks as there are samples.
#[derive(Debug, Clone)]
pub struct Ids {
    origin: Origin,
    next: u64,
}

/// What a number needs to be an id: the host, and this start of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    node: [u8; 6],
    sequence: u16,
}

// === impl Ids ===

impl Ids {
    /// Ids of a host, told apart from those of an earlier start by the time of this one.
    pub fn new(host: &str, started: Moment) -> Self {
        let digest = crate::sandbox::cache::digest(host.as_bytes());
        let mut node = [0; 6];
        for (byte, pair) in node.iter_mut().zip(digest.as_bytes().chunks(2)) {
            *byte = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or(0);
        }
        // The multicast bit says that this is no network card's address.
        if let Some(first) = node.first_mut() {
            *first |= 1;
        }
        let sequence = u16::try_from(started.wall.unsigned_abs() / 1_000_000 % 0x4000).unwrap_or(0);
        Self { origin: Origin { node, sequence }, next: 0 }
    }

    /// The first of so many numbers, for a slot that began at this moment.
    pub fn take(&mut self, at: Moment, count: usize) -> u64 {
        let now = GREGORIAN.saturating_add(at.wall.max(0).unsigned_abs() / 100);
        let first = self.next.max(now);
        self.next = first + count as u64;
        first
    }

    /// What makes ids of the numbers.
    pub fn origin(&self) -> Origin {
        self.origin
    }
}

// === impl Origin ===

impl Origin {
    /// The id with a number.
    pub fn id(&self, number: u64) -> Uuid {
        Uuid::new_v1(Timestamp::from_gregorian_time(number, self.sequence), &self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_do_not_repeat_whatever_the_clock_does() {
        let at = |wall| Moment { wall, monotonic: 0 };
        let mut ids = Ids::new("compute-1", at(1_763_632_800_000_000_000));
        let first = ids.take(at(1_763_632_800_000_000_000), 3);
        assert!(ids.take(at(1_763_632_700_000_000_000), 1) >= first + 3, "the clock was set back");
        let origin = ids.origin();
        assert_eq!(origin.id(first).get_version_num(), 1);
        assert_ne!(origin.id(first), origin.id(first + 1));
        assert_eq!(origin.id(first), origin.id(first));
    }
}
