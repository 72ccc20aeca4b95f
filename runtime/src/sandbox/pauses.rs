//! Time that a call spends waiting for somebody else, which is not its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::turns;

/// What a call has waited for others, up to now. Waiting for its turns is not in it.
#[derive(Debug, Default)]
pub struct Pauses(Mutex<Waited>);

#[derive(Debug, Default)]
struct Waited {
    /// In pauses that are over.
    before: Duration,
    /// The one that goes on.
    now: Option<Since>,
}

#[derive(Debug)]
struct Since {
    began: Instant,
    /// How long it had waited for its turns then.
    turns: Duration,
}

/// A pause, which is over when this is dropped.
#[derive(Debug)]
pub struct Pause(Arc<Pauses>);

// === impl Pauses ===

impl Pauses {
    /// Begins a pause. A call has one at a time.
    pub fn begin(self: &Arc<Self>) -> Pause {
        self.lock().now = Some(Since { began: Instant::now(), turns: turns::waited() });
        Pause(Arc::clone(self))
    }

    /// How long all of them took, and whether one goes on.
    pub fn so_far(&self) -> (Duration, bool) {
        let waited = self.lock();
        let now = waited.now.as_ref().map(Since::so_far);
        (waited.before.saturating_add(now.unwrap_or_default()), now.is_some())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waited> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Since ===

impl Since {
    fn so_far(&self) -> Duration {
        self.began.elapsed().saturating_sub(turns::waited().saturating_sub(self.turns))
    }
}

// === impl Pause ===

impl Drop for Pause {
    fn drop(&mut self) {
        let mut waited = self.0.lock();
        if let Some(now) = waited.now.take() {
            waited.before = waited.before.saturating_add(now.so_far());
        }
    }
}
