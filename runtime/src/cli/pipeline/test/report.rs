//! What came of cases, for people and for programs.

use serde_json::{Value, json};

use super::piping::Failures;
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

/// As many differences of a sink are shown to people, and as many failures of a case.
const SHOWN: usize = 20;

// === impl Outcome ===

impl Outcome {
    /// How the program ends for it.
    pub fn exit(&self) -> Exit {
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

    fn word(&self) -> &'static str {
        match (&self.ran, self.exit()) {
            (Ran::Unusable(_), _) => "unusable",
            (_, Exit::Module) => "failed",
            (_, Exit::Done) => "ok",
            _ => "differs",
        }
    }

    /// A line for people, and below it what differs.
    pub fn text(&self) -> String {
        let mut out = format!("{:8} {}", self.word(), print::line(&self.file));
        let Ran::Done { slots, sinks, failures } = &self.ran else { return out + "\n" };
        let samples: usize = sinks.iter().map(|sink| sink.samples).sum();
        let (slots, samples) = (many(*slots as usize, "slot"), many(samples, "sample"));
        out += &format!(": {slots}, {samples} of {}\n", many(sinks.len(), "sink"));
        for (slot, failure) in failures.iter().take(SHOWN) {
            out += &format!("  slot {slot}: {}\n", print::line(failure));
        }
        if failures.len() > SHOWN {
            out += &format!("  and {} more failures; --json has them all\n", failures.len() - SHOWN);
        }
        for Compared { sink, differences, .. } in sinks.iter().filter(|sink| !sink.differences.is_empty()) {
            out += &format!("  {}:\n", print::line(sink));
            out.extend(differences.iter().take(SHOWN).map(Difference::text));
            if differences.len() > SHOWN {
                out += &format!("  and {} more; --json has them all\n", differences.len() - SHOWN);
            }
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

/// All cases, for programs.
pub fn json(outcomes: &[Outcome]) -> Value {
    let good = outcomes.iter().filter(|outcome| outcome.exit() == Exit::Done).count();
    json!({
        "cases": outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
        "good": good,
        "bad": outcomes.len() - good,
    })
}

/// The last line for people.
pub fn summary(outcomes: &[Outcome]) -> String {
    let bad = outcomes.iter().filter(|outcome| outcome.exit() != Exit::Done).count();
    let mut out = match bad {
        0 => format!("{}, all good\n", many(outcomes.len(), "case")),
        _ => format!("{}, {bad} of them bad\n", many(outcomes.len(), "case")),
    };
    if outcomes.iter().any(Outcome::differs) {
        out += "- was expected and did not come, + came and was not expected, ~ is another one.\n";
    }
    out
}

fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
