//! A transformer that is handed samples as they were written, of the resources of a host.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Number};

use crate::agent::OPERATOR;
use crate::cli::module::amount;
use crate::cli::module::candidate::{Candidate, Unfit};
use crate::cli::module::trial::Tried;
use crate::cli::module::written::{Odd, Written, samples};
use crate::cli::setup::{self, Threads};
use crate::cli::{Exit, print};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, MeterFilter};
use crate::contract::{Kind, Meter};
use crate::discovery::{Directory, Rules, Snapshot};
use crate::files;
use crate::hypervisor::HypervisorError;
use crate::hypervisor::reader::{Reader, Want};
use crate::pipeline::chain::{Chain, Surroundings};
use crate::pipeline::{Samples, Slot};
use crate::publish::id::Ids;
use crate::sandbox::{Names, Sandbox};

/// A transformer, a host, and what it is handed in each slot.
pub struct Given {
    chain: Chain,
    around: Surroundings,
    reader: Reader,
    directory: Directory,
    names: Arc<Names>,
    ids: Ids,
    inputs: Vec<Input>,
    slot: u32,
}

/// One sample as it is written, a line of JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    slot: u32,
    meter: String,
    #[serde(rename = "type")]
    kind: Word,
    #[serde(default)]
    unit: String,
    resource: String,
    volume: Number,
    /// For people, who may copy a line that was expected.
    #[serde(default, rename = "guest")]
    _guest: String,
}

/// A kind of meter.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Gauge,
    Cumulative,
    Delta,
}

/// The longest file of samples.
const FILE_BYTES: u64 = 16 << 20;

// === impl Given ===

impl Given {
    /// Opens the host of a configuration, and reads the samples.
    pub fn open(
        sandbox: &Arc<Sandbox>,
        candidate: &Candidate,
        path: &Path,
        config: &Config,
        clock: Arc<dyn Clock>,
        threads: &Threads,
    ) -> Result<Self, Unfit> {
        let unusable = |reason: String| {
            print::error(format_args!("{}: {reason}", path.display()));
            Exit::Usage
        };
        let inputs = read(path).map_err(unusable)?;
        threads.time.block_on(candidate.may_convert(sandbox, &meters(&inputs)))?;
        let all = MeterFilter::new(vec!["*".to_owned()]).map_err(|refused| unusable(refused.to_string()))?;
        let hypervisor = setup::hypervisor(config, &clock)?;
        Ok(Self {
            chain: Chain::new(all, Arc::clone(&candidate.module)).called(candidate.names.clone()),
            reader: Reader::new(hypervisor, Arc::clone(&clock), config.watchdog(), config.reader.max_stuck),
            directory: Directory::new(Rules::of(config)),
            names: Arc::default(),
            ids: Ids::new(&config.host, clock.now()),
            around: Surroundings {
                sandbox: Arc::clone(sandbox),
                guests: threads.guests.handle().clone(),
                ledger: Arc::default(),
                tenant: OPERATOR.into(),
                clock: Arc::new(SystemClock),
            },
            inputs,
            slot: 0,
        })
    }

    /// Hands it the samples of the next slot.
    pub fn next(&mut self, threads: &Threads) -> Result<Tried, Exit> {
        self.slot += 1;
        let snapshot = threads.time.block_on(self.read()).map_err(|error| {
            print::error(error);
            Exit::Unreachable
        })?;
        let handed = self.samples(&snapshot).map_err(|Odd { message, remedy, .. }| {
            print::error(format_args!("slot {}: {message}. {remedy}", self.slot));
            Exit::Usage
        })?;
        let measured = handed.len();
        let inputs = handed.iter().map(|samples| (*samples.meter).clone()).collect();
        let mut slot = Slot { at: snapshot.at, resources: Arc::clone(&snapshot.resources), samples: handed };
        let Self { chain, around, directory, names, ids, .. } = self;
        let made = threads.time.block_on(chain.run(around, directory, names, ids, &slot, measured));
        slot.samples.clear();
        let Some(made) = made else { return Ok(Tried { inputs, slot, report: None, failures: Vec::new() }) };
        slot.samples = made.samples;
        slot.declare(made.declared);
        let name = &made.report.name;
        let words = |(failure, left_out): &(_, u32)| {
            format!("{name} failed for {}: {failure}", amount::count((*left_out).into(), "input sample"))
        };
        let failures = made.report.failures.iter().map(words).collect();
        Ok(Tried { inputs, slot, report: Some(made.report), failures })
    }

    async fn read(&mut self) -> Result<Snapshot, HypervisorError> {
        let reading = self.reader.read(&Want::default()).await?;
        self.directory.learn_from(&mut self.reader, &reading).await?;
        Ok(Snapshot::assemble(&mut self.directory, |_| false, reading.groups, &reading.records, &[], reading.at))
    }

    /// The samples of this slot.
    fn samples(&mut self, snapshot: &Snapshot) -> Result<Vec<Samples>, Odd> {
        let inputs: Vec<Written> =
            self.inputs.iter().filter(|input| input.slot == self.slot).map(Input::written).collect();
        samples(&inputs, snapshot, &mut self.ids)
    }
}

/// The meters of inputs, each once.
fn meters(inputs: &[Input]) -> Vec<Meter> {
    let meters = inputs.iter().map(|input| input.written().meter);
    let each: BTreeMap<String, Meter> = meters.map(|meter| (format!("{meter:?}"), meter)).collect();
    each.into_values().collect()
}

// === impl Input ===

impl Input {
    fn written(&self) -> Written {
        let kind = match self.kind {
            Word::Gauge => Kind::Gauge,
            Word::Cumulative => Kind::Cumulative,
            Word::Delta => Kind::Delta,
        };
        let meter = Meter { name: self.meter.clone(), kind, unit: self.unit.clone() };
        Written {
            meter,
            resource: self.resource.clone(),
            volume: self.volume.clone(),
            notes: Map::new(),
            at: None,
            place: None,
        }
    }
}

/// All lines of a file.
fn read(path: &Path) -> Result<Vec<Input>, String> {
    let bytes = files::read(path, FILE_BYTES).map_err(|error| format!("{error}; write a sample on each line"))?;
    let text = String::from_utf8(bytes).map_err(|_| "not text; save it as UTF-8".to_owned())?;
    // Some editors put a mark of the encoding before everything else.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| parse(line).map_err(|reason| format!("line {number}: {reason}"))).collect()
}

fn parse(line: &str) -> Result<Input, String> {
    serde_json::from_str(line).map_err(|error| {
        let example = r#"{"slot": 1, "meter": "cpu", "type": "cumulative", "unit": "ns", "resource": ID, "volume": 1}"#;
        format!("{error}; write a sample as in {example}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_sample_is_named() {
        for (line, words) in [
            (r#"{"slot": 1}"#, "missing field"),
            (r#"{"slot": 1, "meter": "a", "type": "level", "resource": "x", "volume": 1}"#, "unknown variant `level`"),
            (r#"{"slot": 1, "meter": "a", "type": "gauge", "resource": "x", "volume": "1"}"#, "number"),
            (
                r#"{"slot": 1, "meter": "a", "type": "gauge", "resource": "x", "volume": 1, "y": 1}"#,
                "unknown field `y`",
            ),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
