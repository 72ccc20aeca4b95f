//! What a transformer is told: all that it refuses of that is said at once, where it is written.

use super::refusal::{Reader, Settings, refusal};
use crate::config::daemon::CallLimits;
use crate::config::{Parameters, Place, Problems, Severity};
use crate::contract::{Kind, Meter};
use crate::sandbox::host::Gives;
use crate::sandbox::module::Code;
use crate::sandbox::{Cause, Failure, Module, Sandbox};

/// A transformer that is to be told something.
#[derive(Debug)]
pub(super) struct Told<'a> {
    /// Where it will run.
    pub sandbox: &'a Sandbox,
    /// What it is called in the ledger and the log.
    pub name: &'a str,
    /// What it is called where it is written.
    pub module: &'a str,
    /// Whether it is part of the program.
    pub built_in: bool,
    /// What one call of it may use.
    pub limits: CallLimits,
    /// The meters that come to it, as far as they are known.
    pub inputs: &'a [Meter],
    /// What problems call it.
    pub who: String,
    /// Where it is written.
    pub place: Option<Place>,
    /// The key of that.
    pub key: String,
    /// The key under that of what it is told.
    pub under: &'static str,
    /// What becomes of keys that it does not know: they are wrong, or have no effect.
    pub unknown: Severity,
}

/// Why a transformer cannot run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTold {
    /// It was told something that is wrong.
    Wrong,
    /// It was refused.
    Refused,
}

/// What an error begins with that is about a key which is not known.
const UNKNOWN: &str = "there is no key ";

/// Transformers of whose results nobody knows whether they only grow as what comes in does.
const CALCULATE: [&str; 2] = ["arithmetic", "rate_of_change"];

// === impl Told ===

impl Told<'_> {
    /// The module, and what it makes of what comes to it.
    ///
    /// It says one thing at a time: it is asked again without what it refused.
    pub async fn ask(
        &self,
        code: &Code,
        mut parameters: Parameters,
        problems: &mut Problems,
    ) -> Result<(Module, Gives), NotTold> {
        let Self { sandbox, name, built_in, limits, inputs, who, .. } = self;
        let mut wrong: Vec<String> = Vec::new();
        loop {
            let (code, text) = (code.clone(), parameters.config.text());
            let mut failure = match sandbox.configure_for(name, *built_in, code, text, (*limits).into(), inputs).await {
                Ok(_) if !wrong.is_empty() => return Err(NotTold::Wrong),
                Ok((module, gives)) => {
                    self.growing(&parameters, &gives.meters, problems);
                    return Ok((module, gives));
                }
                Err(failure) => failure,
            };
            let is_about_it = matches!(failure.cause, Cause::ModuleError | Cause::BadDescription);
            let named = parameters.named(&failure.detail).filter(|_| is_about_it);
            failure.detail = parameters.as_written(&failure.detail);
            let (place, key) = match named {
                Some(named) => (named.place, format!("{}.{}.{}", self.key, self.under, named.path)),
                // What it lacks was refused before, and has been said.
                None if !wrong.is_empty() => return Err(NotTold::Wrong),
                None => (self.place, self.key.clone()),
            };
            let reader = Reader::Operator(Settings { key: self.under, is_built_in: *built_in });
            let (why, remedy) = refusal(&failure, reader);
            let message = format!("{who}: {why}");
            let without = named.and_then(|named| parameters.without(named));
            if named.is_some_and(|named| wrong.iter().any(|wrong| named.is_above(wrong))) {
                // Likewise.
            } else if without.is_some() && self.does_without(&failure) {
                // As Ceilometer's own do.
                problems.warning(place, &key, message, "It has no effect: remove it");
            } else {
                problems.error(place, &key, message, remedy);
                if !is_about_it {
                    return Err(NotTold::Refused);
                }
                wrong.push(named.map(|named| named.path.clone()).unwrap_or_default());
            }
            match without {
                Some(without) => parameters = without,
                None => return Err(NotTold::Wrong),
            }
        }
    }

    /// Says so of a result that is a counter only because what comes in is one.
    fn growing(&self, parameters: &Parameters, gives: &[Meter], problems: &mut Problems) {
        let is_told = parameters.config.value().pointer("/target/type").is_some();
        let grows = gives.iter().find(|meter| meter.kind == Kind::Cumulative);
        let Some(meter) = grows.filter(|_| CALCULATE.contains(&self.module) && !is_told) else { return };
        let place = parameters.named("target").map_or(self.place, |target| target.place);
        let key = format!("{}.{}.target.type", self.key, self.under);
        let message = format!("{}: {} stays cumulative as what comes in is, as if it never fell", self.who, meter.name);
        let remedy = "Write `type: gauge` under `target`, or `type: cumulative` if it never does";
        problems.warning(place, &key, message, remedy);
    }

    fn does_without(&self, failure: &Failure) -> bool {
        self.unknown == Severity::Warning && failure.detail.starts_with(UNKNOWN)
    }
}
