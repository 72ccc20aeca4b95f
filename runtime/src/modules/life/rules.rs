//! How many slots, failures and seconds.

use std::time::Duration;

/// How many slots, failures and seconds. Each counts as at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Rules {
    /// Good slots in a row after which a trial has passed.
    pub trial_slots: u32,
    /// Slots in which a version on trial may fail until it is given up.
    pub trial_failures: u32,
    /// Slots in a row in which the host could not run what is on trial, or nothing was for it, but what was there before
    /// ran, until it is given up: what only happens with one version is not the host's doing.
    pub trial_untried: u32,
    /// Failing slots in a row until a quarantine begins.
    pub failing_slots: u32,
    /// How long the first pause is; each is twice as long as the one before.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// Slots in a row that did not fail until it is forgotten how long the last pause was.
    pub forgiven_after: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            trial_slots: 3,
            trial_failures: 1,
            trial_untried: 20,
            failing_slots: 3,
            first_pause: Duration::from_secs(30),
            longest_pause: Duration::from_secs(3600),
            forgiven_after: 100,
        }
    }
}

// === impl Rules ===

impl Rules {
    /// How long a pause is, in nanoseconds, that is the nth.
    pub(super) fn pause(&self, nth: u32) -> i64 {
        let pause = self.first_pause.saturating_mul(1 << nth.saturating_sub(1).min(30)).min(self.longest_pause);
        i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX)
    }
}
