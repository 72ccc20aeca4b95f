//! What was dropped, and why.

use wasmeter_sdk::{Call, Level};

/// Samples that gave nothing, with the first reason.
#[derive(Debug, Default)]
pub struct Losses {
    samples: u64,
    first: Option<String>,
}

/// Why samples are lost that were held back, and whose resource is not there any more.
pub const GONE: &str = "it waited, and what it is of is gone";

/// Why samples are lost that were held back for as long as they can be.
pub const LATE: &str = "it waited for a day";

/// Why samples are lost that were held back, where another meter of the name comes out now.
pub const CHANGED: &str = "it waited, and its type or unit is another now";

// === impl Losses ===

impl Losses {
    /// One more.
    pub fn count(&mut self, meter: &str, why: impl FnOnce() -> String) {
        self.count_many(1, meter, why);
    }

    /// So many more.
    pub fn count_many(&mut self, samples: u64, meter: &str, why: impl FnOnce() -> String) {
        if samples > 0 {
            self.samples = self.samples.saturating_add(samples);
            self.first.get_or_insert_with(|| format!("{meter}: {}", why()));
        }
    }

    /// Tells the operator, in one line for the whole call.
    pub fn tell<K>(self, call: &Call<'_, K>) {
        if let Some(first) = self.first {
            let line = match self.samples {
                1 => format!("A sample was dropped: {first}"),
                many => format!("{many} samples were dropped, the first of {first}"),
            };
            call.log(Level::Warn, &line);
            call.dropped(u32::try_from(self.samples).unwrap_or(u32::MAX));
        }
    }
}
