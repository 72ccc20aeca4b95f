//! The time of a host that modules are tried on: it stands still but for the step from slot to slot, so that a simulated
//! host and what modules make of it are the same each time.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::{Exit, print};
use crate::clock::{Clock, ManualClock, Moment, SECOND};
use crate::hypervisor::recording::Recording;

/// The time of a host.
#[derive(Debug)]
pub struct HostTime {
    clock: Arc<ManualClock>,
    interval: Duration,
    /// When slots were recorded; empty for a host that is not a recording.
    recorded: Vec<Moment>,
}

/// The first slot of hosts that are made up: a round number of September 2026.
const START: Moment = Moment { wall: 1_790_000_000 * SECOND, monotonic: 1_000_000 * SECOND.unsigned_abs() };

// === impl HostTime ===

impl HostTime {
    /// The time of a host: of a recording when it was recorded, else a time that is made up.
    pub fn of(uri: &str, interval: Duration) -> Result<Self, Exit> {
        let recorded = if uri.starts_with("recording:") {
            let recording = Recording::from_uri(uri).map_err(|error| {
                print::error(&error);
                Exit::without_host(&error)
            })?;
            recording.moments()
        } else {
            Vec::new()
        };
        let clock = Arc::new(ManualClock::at(START.wall));
        Ok(Self { clock, interval, recorded })
    }

    /// The clock of this time.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    /// How many slots there are where nobody says it.
    pub fn slots(&self) -> u32 {
        u32::try_from(self.recorded.len()).unwrap_or(u32::MAX).max(1)
    }

    /// Goes to a slot, from 1 on. After the last one that was recorded comes the first again.
    pub fn turn_to(&self, slot: u32) {
        let before = slot.saturating_sub(1);
        let place = (before as usize).checked_rem(self.recorded.len());
        let recorded = place.and_then(|place| self.recorded.get(place)).copied();
        self.clock.go_to(recorded.unwrap_or(later(START, self.interval * before)));
    }
}

/// So much later on both clocks.
pub fn later(than: Moment, passed: Duration) -> Moment {
    let passed = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
    Moment { wall: than.wall.saturating_add_unsigned(passed), monotonic: than.monotonic.saturating_add(passed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_made_up_has_equal_slots() {
        let time = HostTime::of("sim://?calm=true", Duration::from_secs(10)).unwrap();
        time.turn_to(1);
        assert_eq!(time.clock().now(), START);
        time.turn_to(4);
        assert_eq!(time.clock().now().wall - START.wall, 30 * SECOND);
        assert_eq!(time.slots(), 1);
    }

    #[test]
    fn a_recording_has_its_own_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.jsonl");
        std::fs::write(&path, include_str!("new/host.jsonl")).unwrap();
        let time = HostTime::of(&format!("recording:{}", path.display()), Duration::from_secs(1)).unwrap();
        assert_eq!(time.slots(), 2);
        for (slot, wall) in [(2, 1_790_000_010), (3, 1_790_000_000), (1, 1_790_000_000)] {
            time.turn_to(slot);
            assert_eq!(time.clock().now().wall, wall * SECOND, "{slot}");
        }
    }
}
