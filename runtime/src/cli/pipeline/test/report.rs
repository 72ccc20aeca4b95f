//! What came of cases, for people and for programs.

use serde_json::{Value, json};

use super::piping::Failures;
use crate::cli::cases::{self, first, many};
use crate::cli::module::test::compare::Difference;
use crate::cli::{Exit, print};

/// One case.
pub struct Outcome {
    /// Its file.
    pub file: String,
    /// What came of running it.
    pub ran: Ran,
}

/// What came of running a case.
pub enum Ran {
    /// It was compared.
    Done {
        /// How many slots were handed over.
        slots: u32,
        /// What came out of each sink that is compared.
        sinks: Vec<Compared>,
        /// What failed.
        failures: Failures,
    },
    /// It could not be run, and why was said.
    Unusable(Exit),
}

/// What came out of a sink.
pub struct Compared {
    /// Its name.
    pub sink: String,
    /// How many samples came out.
    pub samples: usize,
    /// What was expected to be otherwise.
    pub differences: Vec<Difference>,
}

// === impl Outcome ===

impl Outcome {
    fn word(&self) -> &'static str {
        match (&self.ran, cases::Outcome::exit(self)) {
            (Ran::Unusable(_), _) => "unusable",
            (_, Exit::Module) => "failed",
            (_, Exit::Done) => "ok",
            _ => "differs",
        }
    }
}

impl cases::Outcome for Outcome {
    fn exit(&self) -> Exit {
        match &self.ran {
            Ran::Unusable(exit) => *exit,
            Ran::Done { failures, .. } if !failures.is_empty() => Exit::Module,
            Ran::Done { .. } if self.differs() => Exit::Failed,
            Ran::Done { .. } => Exit::Done,
        }
    }

    fn differs(&self) -> bool {
        matches!(&self.ran, Ran::Done { sinks, .. } if sinks.iter().any(|sink| !sink.differences.is_empty()))
    }

    fn text(&self) -> String {
        let mut out = format!("{:8} {}", self.word(), print::line(&self.file));
        let Ran::Done { slots, sinks, failures } = &self.ran else { return out + "\n" };
        let samples: usize = sinks.iter().map(|sink| sink.samples).sum();
        let (slots, samples) = (many(*slots as usize, "slot"), many(samples, "sample"));
        out += &format!(": {slots}, {samples} of {}\n", many(sinks.len(), "sink"));
        let failed = |(slot, failure): &(u32, String)| format!("  slot {slot}: {}\n", print::line(failure));
        out += &first(&failures.iter().map(failed).collect::<Vec<_>>(), " failures");
        for Compared { sink, differences, .. } in sinks.iter().filter(|sink| !sink.differences.is_empty()) {
            out += &format!("  {}:\n", print::line(sink));
            out += &first(&differences.iter().map(Difference::text).collect::<Vec<_>>(), "");
        }
        out
    }

    fn json(&self) -> Value {
        let mut all = json!({ "case": self.file, "outcome": self.word(), "exit_code": self.exit() as u8 });
        if let (Ran::Done { slots, sinks, failures }, Some(entries)) = (&self.ran, all.as_object_mut()) {
            let failure = |(slot, failure): &(u32, String)| json!({ "slot": slot, "failure": failure });
            entries.insert("slots".to_owned(), (*slots).into());
            entries.insert("sinks".to_owned(), sinks.iter().map(Compared::json).collect());
            entries.insert("failures".to_owned(), failures.iter().map(failure).collect());
        }
        all
    }
}

// === impl Compared ===

impl Compared {
    fn json(&self) -> Value {
        let differences: Vec<Value> = self.differences.iter().map(Difference::json).collect();
        json!({ "sink": self.sink, "samples": self.samples, "differences": differences })
    }
}
