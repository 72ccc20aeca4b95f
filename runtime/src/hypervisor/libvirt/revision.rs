//! When a guest's definition is to be read again, found out without reading it.
//!
//! A guest that was started anew may be another one, and has another number of its run. What else changes, the host
//! tells; and because that can be missed, every definition counts as changed once in a while. Guests have their turn
//! at different times, by their UUIDs, so that no moment is worse than another. All connections to a host agree.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::watch::Changes;

/// How long a change may go unnoticed that the host should have told.
const SWEEP: Duration = Duration::from_secs(3600);
/// The same where the host tells nothing.
const SWEEP_UNTOLD: Duration = Duration::from_secs(600);

/// Tells revisions. Copies tell the same.
#[derive(Debug, Clone)]
pub(super) struct Revisions {
    started: Instant,
    changes: Arc<Changes>,
}

// === impl Revisions ===

impl Revisions {
    pub(super) fn by(changes: Arc<Changes>) -> Self {
        Self { started: Instant::now(), changes }
    }

    /// The revision of a guest in this run of it.
    pub(super) fn now(&self, guest: Uuid, run: u32) -> u64 {
        let (told, changes) = self.changes.of_guest(guest);
        revision(guest, run, changes, if told { SWEEP } else { SWEEP_UNTOLD }, self.started.elapsed())
    }
}

fn revision(guest: Uuid, run: u32, changes: u16, sweep: Duration, elapsed: Duration) -> u64 {
    let turn = guest.as_u128() % u128::from(sweep.as_secs());
    let sweeps = (u128::from(elapsed.as_secs()) + turn) / u128::from(sweep.as_secs());
    // After a year and more it begins again.
    let sweeps = u64::try_from(sweeps % (1 << 16)).unwrap_or_default();
    sweeps << 48 | u64::from(changes) << 32 | u64::from(run)
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
            let of = |seconds| revision(guest, 4, 0, SWEEP, Duration::from_secs(seconds));
            let changes = (1..=10_800).filter(|second| of(*second) != of(second - 1)).count();
            assert_eq!(changes, 3);
        }
    }

    #[test]
    fn guests_take_turns() {
        let changed = |second: u64| {
            let of = |guest: &Uuid, second| revision(*guest, 1, 0, SWEEP_UNTOLD, Duration::from_secs(second));
            guests().iter().filter(|guest| of(guest, second) != of(guest, second - 1)).count()
        };
        assert!((1..=600).all(|second| changed(second) < 20));
    }

    #[test]
    fn another_run_or_a_change_is_another_revision() {
        let guest = Uuid::from_u128(1);
        let of = |run, changes| revision(guest, run, changes, SWEEP, Duration::ZERO);
        assert_ne!(of(1, 0), of(2, 0));
        assert_ne!(of(1, 0), of(u32::MAX, 0));
        assert_ne!(of(1, 0), of(1, 1));
        assert_eq!(of(1, 0), of(1, 0));
    }
}
