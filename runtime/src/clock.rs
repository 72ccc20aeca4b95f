//! The only place that reads the time of day, so that a test can hand out another one.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Moment {
    /// Nanoseconds since 1970 in UTC. Can be set, forwards and backwards.
    pub wall: i64,
    /// Nanoseconds on a clock that only runs forwards.
    pub monotonic: u64,
}

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// This moment.
    fn now(&self) -> Moment;
}

/// The machine's clocks. The one that only runs forwards counts from the machine's boot, so it goes on across
/// restarts of the daemon.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

/// A clock that a test of ours or of a module moves.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall: AtomicI64,
    monotonic: AtomicU64,
}

// === impl SystemClock ===

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the injected clock")]
    fn now(&self) -> Moment {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
        };
        let since_boot = clock_gettime(ClockId::Monotonic);
        let (seconds, rest) = (since_boot.tv_sec.unsigned_abs(), since_boot.tv_nsec.unsigned_abs());
        let monotonic = seconds.saturating_mul(SECOND.unsigned_abs()).saturating_add(rest);
        Moment { wall, monotonic }
    }
}

// === impl ManualClock ===

impl ManualClock {
    /// A clock that stands at this wall time.
    pub fn at(wall: i64) -> Self {
        Self { wall: AtomicI64::new(wall), monotonic: AtomicU64::new(0) }
    }

    /// Lets time pass on both clocks.
    pub fn pass(&self, nanoseconds: u64) {
        self.monotonic.fetch_add(nanoseconds, Ordering::SeqCst);
        self.wall.fetch_add(i64::try_from(nanoseconds).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Goes to a moment, as a recording does from slot to slot.
    pub fn go_to(&self, moment: Moment) {
        self.monotonic.store(moment.monotonic, Ordering::SeqCst);
        self.wall.store(moment.wall, Ordering::SeqCst);
    }

    /// Sets the wall clock as NTP or an operator would; the other one does not notice.
    pub fn set(&self, wall: i64) {
        self.wall.store(wall, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment { wall: self.wall.load(Ordering::SeqCst), monotonic: self.monotonic.load(Ordering::SeqCst) }
    }
}
