//! When a guest's definition is to be read again, found out without reading it.
//!
//! A guest that was started anew may be another one, and has another number of its run. Whatever else changes is
//! noticed within [`SWEEP`], because then every definition counts as changed. Guests have their turn at different
//! times, by their UUIDs, so that no moment is worse than another. All of this follows from what every answer brings
//! along and from the time, so all connections to a host agree.

use std::time::{Duration, Instant};

use uuid::Uuid;

/// How long a change may go unnoticed.
const SWEEP: Duration = Duration::from_secs(600);

/// Tells revisions. Copies tell the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Revisions {
    started: Instant,
}

// === impl Revisions ===

impl Revisions {
    pub(super) fn new() -> Self {
        Self { started: Instant::now() }
    }

    /// The revision of a guest in this run of it.
    pub(super) fn now(&self, guest: Uuid, run: u32) -> u64 {
        revision(guest, run, self.started.elapsed())
    }
}

fn revision(guest: Uuid, run: u32, elapsed: Duration) -> u64 {
    let turn = guest.as_u128() % u128::from(SWEEP.as_secs());
    let sweeps = (u128::from(elapsed.as_secs()) + turn) / u128::from(SWEEP.as_secs());
    // After 81,000 years it begins again.
    let sweeps = u32::try_from(sweeps % (1 << 32)).unwrap_or_default();
    u64::from(sweeps) << 32 | u64::from(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guests() -> Vec<Uuid> {
        (0..1000_u128).map(|n| Uuid::from_u128(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0ac5_4ad7_2b01))).collect()
    }

    #[test]
    fn a_steady_guest_has_its_turn_once_in_a_sweep() {
        for guest in guests() {
            let of = |seconds| revision(guest, 4, Duration::from_secs(seconds));
            let changes = (1..=1800).filter(|second| of(*second) != of(second - 1)).count();
            assert_eq!(changes, 3);
        }
    }

    #[test]
    fn guests_take_turns() {
        let changed = |second: u64| {
            let of = |guest: &Uuid, second| revision(*guest, 1, Duration::from_secs(second));
            guests().iter().filter(|guest| of(guest, second) != of(guest, second - 1)).count()
        };
        assert!((1..=600).all(|second| changed(second) < 20));
    }

    #[test]
    fn another_run_is_another_revision() {
        let guest = Uuid::from_u128(1);
        let of = |run| revision(guest, run, Duration::ZERO);
        assert_ne!(of(1), of(2));
        assert_ne!(of(1), of(u32::MAX));
        assert_eq!(of(1), of(1));
    }
}
