//! What was dropped, and why.

use wasmeter_sdk::{Call, Level};

/// Samples that gave nothing, with the first reason.
#[derive(Debug, Default)]
pub struct Losses {
    samples: usize,
    first: Option<String>,
}

// === impl Losses ===

impl Losses {
    /// One more.
    pub fn count(&mut self, meter: &str, why: impl FnOnce() -> String) {
        self.samples += 1;
        self.first.get_or_insert_with(|| format!("{meter}: {}", why()));
    }

    /// Tells the operator, in one line for the whole call.
    pub fn tell<K>(self, call: &Call<'_, K>) {
        if let Some(first) = self.first {
            let line = format!("{} samples were dropped, the first of {first}", self.samples);
            call.log(Level::Warn, &line);
            call.dropped(u32::try_from(self.samples).unwrap_or(u32::MAX));
        }
    }
}
