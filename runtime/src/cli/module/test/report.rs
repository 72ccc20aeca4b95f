//! What came of cases, for people and for programs.

use std::path::Path;

use serde_json::{Value, json};

use super::compare::Difference;
use crate::agent::report::ModuleReport;
use crate::cli::Exit;
use crate::cli::cases::{self, first, many};

/// One case.
pub struct Outcome {
    name: String,
    /// The most fuel that a slot may take.
    ceiling: Option<u64>,
    ran: Ran,
}

/// What came of running it.
pub enum Ran {
    /// It was compared.
    Done {
        /// What each slot took.
        slots: Vec<Used>,
        /// What was expected to be otherwise.
        differences: Vec<Difference>,
        /// Whether the module failed where it was not expected to.
        failed: bool,
    },
    /// Nothing is expected of it yet.
    New {
        /// What each slot took.
        slots: Vec<Used>,
        /// What came.
        lines: Vec<String>,
        /// Whether the module failed.
        failed: bool,
    },
    /// What came is what is expected from now on.
    Accepted {
        /// What each slot took.
        slots: Vec<Used>,
        /// How many lines were written.
        samples: usize,
    },
    /// It could not be run, and why was said.
    Unusable(Exit),
}

/// What a slot took.
pub struct Used {
    slot: u32,
    samples: usize,
    resources: u32,
    fuel: u64,
    memory: usize,
}

// === impl Used ===

impl Used {
    /// What a module took in a slot.
    pub fn of(slot: u32, report: &ModuleReport) -> Self {
        let ModuleReport { samples, resources, fuel, memory, .. } = *report;
        Self { slot, samples, resources, fuel, memory }
    }

    fn json(&self) -> Value {
        let Self { slot, samples, resources, fuel, memory } = self;
        json!({ "slot": slot, "samples": samples, "resources": resources, "fuel": fuel, "memory": memory })
    }
}

// === impl Outcome ===

impl Outcome {
    /// The outcome of the case in a folder.
    pub fn of(folder: &Path, ran: Ran) -> Self {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, ceiling: None, ran }
    }

    /// The same, if a slot may take so much fuel at most.
    #[must_use]
    pub fn at_most(self, ceiling: Option<u64>) -> Self {
        Self { ceiling, ..self }
    }

    fn slots(&self) -> &[Used] {
        match &self.ran {
            Ran::Done { slots, .. } | Ran::New { slots, .. } | Ran::Accepted { slots, .. } => slots,
            Ran::Unusable(_) => &[],
        }
    }

    /// Slots that took more than they may.
    fn over(&self) -> impl Iterator<Item = &Used> {
        let ceiling = self.ceiling.unwrap_or(u64::MAX);
        self.slots().iter().filter(move |slot| slot.fuel > ceiling)
    }

    fn word(&self) -> &'static str {
        let over = self.over().next().is_some();
        match &self.ran {
            Ran::Unusable(_) => "unusable",
            Ran::Done { failed: true, .. } | Ran::New { failed: true, .. } => "failed",
            Ran::Done { differences, .. } if !differences.is_empty() => "differs",
            Ran::New { .. } => "new",
            _ if over => "fuel",
            Ran::Accepted { .. } => "accepted",
            Ran::Done { .. } => "ok",
        }
    }
}

impl cases::Outcome for Outcome {
    fn exit(&self) -> Exit {
        let over = self.over().next().is_some();
        match &self.ran {
            Ran::Unusable(exit) => *exit,
            Ran::Done { failed: true, .. } | Ran::New { failed: true, .. } => Exit::Module,
            Ran::Done { differences, .. } if !differences.is_empty() => Exit::Failed,
            Ran::New { .. } => Exit::Failed,
            Ran::Done { .. } | Ran::Accepted { .. } if over => Exit::Failed,
            Ran::Done { .. } | Ran::Accepted { .. } => Exit::Done,
        }
    }

    fn differs(&self) -> bool {
        match &self.ran {
            Ran::Done { differences, .. } => !differences.is_empty(),
            Ran::New { .. } => true,
            Ran::Accepted { .. } | Ran::Unusable(_) => false,
        }
    }

    fn text(&self) -> String {
        let slots = self.slots();
        let samples: usize = slots.iter().map(|slot| slot.samples).sum();
        let most = slots.iter().map(|slot| slot.fuel).max().unwrap_or_default();
        let of = self.ceiling.map(|ceiling| format!(" of {ceiling}")).unwrap_or_default();
        let mut out = format!("{:8} {}", self.word(), self.name);
        if !slots.is_empty() {
            out.push_str(&format!(": {}, {}", many(slots.len(), "slot"), many(samples, "sample")));
            out.push_str(&format!(", at most {most}{of} fuel in a slot"));
        }
        out.push('\n');
        for slot in self.over() {
            out.push_str(&format!(
                "  slot {} took {} fuel{}\n",
                slot.slot,
                slot.fuel,
                of.replace(" of", ", and may take")
            ));
        }
        let lines: Vec<String> = match &self.ran {
            Ran::Done { differences, .. } => differences.iter().map(Difference::text).collect(),
            Ran::New { lines, .. } => lines.iter().map(|line| format!("  + {line}\n")).collect(),
            Ran::Accepted { .. } | Ran::Unusable(_) => Vec::new(),
        };
        out + &first(&lines, "")
    }

    fn json(&self) -> Value {
        let mut all = json!({
            "case": self.name,
            "outcome": self.word(),
            "fuel_ceiling": self.ceiling,
            "slots": self.slots().iter().map(Used::json).collect::<Vec<_>>(),
        });
        let more = match &self.ran {
            Ran::Done { differences, .. } => {
                ("differences", differences.iter().map(Difference::json).collect::<Vec<_>>().into())
            }
            Ran::New { lines, .. } => ("came", super::lines::parse(lines).into()),
            Ran::Accepted { samples, .. } => ("accepted", (*samples).into()),
            Ran::Unusable(exit) => ("exit_code", (*exit as u8).into()),
        };
        if let Some(entries) = all.as_object_mut() {
            entries.insert(more.0.to_owned(), more.1);
        }
        all
    }
}
