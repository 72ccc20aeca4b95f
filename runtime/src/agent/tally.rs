//! What was measured and what was lost, by cause.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::OPERATOR;
use crate::sandbox::Failure;

/// Counts since the start.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Tally {
    /// Cycles that ran.
    pub cycles: u64,
    /// Samples that were measured.
    pub samples: u64,
    /// Slots that were left out, by interval in seconds.
    pub skipped_slots: BTreeMap<u64, u64>,
    /// Cycles in which the host could not be read.
    pub failed_reads: u64,
    /// Cycles that nobody waited for any more when the daemon ended.
    pub given_up: u64,
    /// Calls of modules that came to nothing after every retry, by module and cause.
    pub failures: BTreeMap<Arc<str>, BTreeMap<&'static str, u64>>,
    /// Resources that were left out with them, by module.
    pub resources_lost: BTreeMap<Arc<str>, u64>,
    /// Samples that modules held back and that are forgotten with what they remembered, by module.
    pub forgotten: BTreeMap<Arc<str>, u64>,
}

// === impl Tally ===

impl Tally {
    /// Counts slots that were left out.
    pub fn skipped(&mut self, skipped: &[(u64, u64)]) {
        for (interval, slots) in skipped {
            *self.skipped_slots.entry(*interval).or_default() += slots;
        }
    }

    /// One line about all of it.
    pub fn say(&self) {
        let each = |(module, causes): (&Arc<str>, &BTreeMap<&str, u64>)| {
            let causes: Vec<String> = causes.iter().map(|(cause, calls)| format!("{cause}={calls}")).collect();
            format!("{module}: {}", causes.join(" "))
        };
        let failures: Vec<String> = self.failures.iter().map(each).collect();
        tracing::info!(
            cycles = self.cycles,
            samples = self.samples,
            skipped_slots = self.skipped_slots.values().sum::<u64>(),
            failed_reads = self.failed_reads,
            given_up = self.given_up,
            resources_lost = self.resources_lost.values().sum::<u64>(),
            samples_forgotten = self.forgotten.values().sum::<u64>(),
            failures = failures.join(", "),
            "Done."
        );
    }

    /// Counts samples that a module held back, where what it remembered is forgotten.
    pub fn forgot(&mut self, module: &Arc<str>, samples: u64) {
        if samples > 0 {
            let forgotten = self.forgotten.entry(Arc::clone(module)).or_default();
            *forgotten = forgotten.saturating_add(samples);
        }
    }

    /// Resources that a module left out.
    pub fn lost_by(&self, module: &str, tenant: &str) -> u64 {
        let lost = match tenant {
            OPERATOR => self.resources_lost.get(module),
            tenant => self.resources_lost.get(&*format!("{tenant}/{module}")),
        };
        lost.copied().unwrap_or_default()
    }

    /// Forgets what modules lost that there are no more.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.failures.retain(|module, _| is_there(module));
        self.resources_lost.retain(|module, _| is_there(module));
    }

    /// Counts calls that came to nothing.
    pub fn all_failed(&mut self, module: &Arc<str>, failures: &[(Failure, u32)]) {
        for (failure, resources) in failures {
            self.failed(module, failure.cause.word(), *resources);
        }
    }

    /// Counts a call that came to nothing.
    pub fn failed(&mut self, module: &Arc<str>, cause: &'static str, resources: u32) {
        *self.failures.entry(Arc::clone(module)).or_default().entry(cause).or_default() += 1;
        *self.resources_lost.entry(Arc::clone(module)).or_default() += u64::from(resources);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_is_not_counted_any_more() {
        let mut tally = Tally::default();
        for module in ["cpu", "acme/cpu", "acme/other"] {
            tally.failed(&module.into(), "trap", 3);
        }
        tally.retain(|module| module != "acme/cpu");
        assert_eq!(
            (tally.lost_by("cpu", "acme"), tally.lost_by("cpu", OPERATOR), tally.lost_by("other", "acme")),
            (0, 3, 3)
        );
        assert_eq!(tally.failures.keys().map(|module| &**module).collect::<Vec<_>>(), ["acme/other", "cpu"]);
    }
}
