//! Message ids: version 1 UUIDs, as Ceilometer's are, counted instead of drawn, so that a sample's id follows from
//! its place.

use uuid::{Timestamp, Uuid};

use crate::clock::Moment;
use crate::digest::Digest;

/// Ticks of 100 ns between the beginning of the Gregorian calendar and 1970.
const GREGORIAN: u64 = 0x01B2_1DD2_1381_4000;

/// Hands out numbers of ids. Each number is a tick; a slot's samples take as many ticks as there are samples.
#[derive(Debug, Clone)]
pub struct Ids {
    origin: Origin,
    next: u64,
}

/// The id of a batch's first sample; those of the others follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FirstId {
    origin: Origin,
    number: u64,
}

/// What a number needs to be an id: the host, and a start of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Origin {
    node: [u8; 6],
    sequence: u16,
}

// === impl Ids ===

impl Ids {
    /// Ids of a host, told apart from those of an earlier start by the time of this one.
    pub fn new(host: &str, started: Moment) -> Self {
        let digest = Digest::of(host.as_bytes()).to_string();
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

    /// The first of so many ids, for a slot that began at this moment.
    pub fn take(&mut self, at: Moment, count: usize) -> FirstId {
        let now = GREGORIAN.saturating_add(at.wall.max(0).unsigned_abs() / 100);
        let number = self.next.max(now);
        self.next = number + count as u64;
        FirstId { origin: self.origin, number }
    }
}

// === impl FirstId ===

impl FirstId {
    /// The id of the sample at this place of the batch.
    pub fn at(self, place: usize) -> Uuid {
        let Self { origin, number } = self.from(place);
        Uuid::new_v1(Timestamp::from_gregorian_time(number, origin.sequence), &origin.node)
    }

    /// The first id of what is left of the batch from this place on.
    pub fn from(self, place: usize) -> Self {
        Self { number: self.number.saturating_add(place as u64), ..self }
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
        let next = ids.take(at(1_763_632_700_000_000_000), 1);
        assert_eq!(next, first.from(3), "the clock was set back");
        assert_eq!((first.at(0).get_version_num(), first.at(2)), (1, first.from(2).at(0)));
        let all = [first.at(0), first.at(1), first.at(2), next.at(0)];
        assert_eq!(std::collections::BTreeSet::from(all).len(), all.len());
    }
}
