//! `wasmeter pipeline test`: samples go in, and what comes out of sinks is compared with what is expected.

mod piping;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Map;

use self::piping::{Failures, Piping};
use self::report::{Compared, Outcome, Ran};
use crate::cli::cases::Cases;
use crate::cli::module::test::{compare, lines};
use crate::cli::module::time::HostTime;
use crate::cli::setup::{self, Host, Threads, Where};
use crate::cli::{Exit, logging, print};
use crate::config::daemon::LogFormat;
use crate::config::pipeline::case::{Case, Given};
use crate::config::{Config, Pipelines};
use crate::sandbox::Sandbox;

const EXAMPLES: &str = "\
Examples:
  wasmeter pipeline test cases/*.yaml                       each names its pipeline file
  wasmeter pipeline test cpu.yaml -c /etc/wasmeter/wasmeter.yaml
                                                            the pipelines and modules of the daemon

A case is a file such as

  pipeline: ../pipeline.yaml    else the configured one
  host: sim://?domains=3&calm=true
                                or recording:FILE of `wasmeter record`
  interval: 10s                 from slot to slot
  in:                           or meters: [cpu], for what pollsters measure
    - {slot: 1, meter: cpu, type: cumulative, unit: ns, resource: ID, volume: 0}
    - {slot: 2, meter: cpu, type: cumulative, unit: ns, resource: ID, volume: 5000000000}
  out:
    cpu_sink:                   all that comes out of this sink
      - {slot: 2, meter: cpu_util, resource: ID, volume: 50.0}

A sample of in may have notes: {cpu_number: 4}, its own metadata, and at: SECONDS after the first slot,
where it was not read at the time of its slot: late ones, and the same one twice.

Sinks that are not under out are not compared, nor are keys that are left out. A sink with a tenant's
transformer cannot be compared: that one runs where it is deployed. Paths begin at the case's folder.
Nothing is published, and time stands still but for the step from slot to slot.

Ends with 1 if other samples come out, with 70 if a transformer is refused or fails, with 64 if a case
cannot be run as it is written, and with 69 if its recording cannot be read; of several the greatest.";

/// Compare what comes out of sinks with what is expected, case by case.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The cases.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Configuration file: its modules and rules, and its pipelines for cases that name none.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// What cases are run with.
struct Bench {
    config: Config,
    sandbox: Arc<Sandbox>,
    threads: Threads,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().unwrap_or_else(|exit| exit)
    }

    fn try_run(&self) -> Result<Exit, Exit> {
        logging::start(&LogFormat::Text);
        let config = Where { config: self.config.clone(), host: Host::default() }.load()?;
        let bench = Bench { sandbox: Arc::new(setup::sandbox(&config)?), threads: Threads::start()?, config };
        let mut cases = Cases::none(self.json);
        for file in &self.files {
            let ran = bench.run(file).unwrap_or_else(Ran::Unusable);
            cases.add(Outcome { file: file.display().to_string(), ran })?;
        }
        bench.threads.guests.shutdown_background();
        cases.end(Map::new(), "")
    }
}

// === impl Bench ===

impl Bench {
    fn run(&self, file: &Path) -> Result<Ran, Exit> {
        let refused = |problems| {
            print::problems(&problems);
            Exit::Usage
        };
        let case = Case::read(file).map_err(refused)?;
        let (pipelines, pipeline_file) = self.pipelines(&case, file)?;
        let problems = case.check(file, &pipelines);
        if problems.has_errors() {
            return Err(refused(problems));
        }
        if !problems.is_empty() {
            print::problems(&problems);
        }
        let mut config = self.config.clone();
        config.hypervisor.uri.clone_from(&case.host);
        config.hypervisor.place = None;
        (config.pipeline, config.pipeline_file) = (Some(pipelines), pipeline_file);
        let time = HostTime::of(&case.host, case.interval)?;
        let slots = case.slots.unwrap_or_else(|| slots(&case, &time));
        let mut piping = Piping::open(case.given, file, config, &time, self)?;
        let mut came: Vec<Vec<String>> = vec![Vec::new(); case.expected.len()];
        let mut failures = Failures::new();
        for number in 1..=slots {
            time.turn_to(number);
            let slot = piping.next(number, self, &mut failures)?;
            for (expected, came) in case.expected.iter().zip(&mut came) {
                came.extend(lines::of_slot(number, &piping.out_of(&expected.sink, &slot)));
            }
        }
        let mut sinks = Vec::with_capacity(came.len());
        for (expected, came) in case.expected.into_iter().zip(came) {
            let came = lines::parse(&came);
            let differences = compare::compare(&expected.samples, &came);
            sinks.push(Compared { sink: expected.sink, samples: came.len(), differences });
        }
        Ok(Ran::Done { slots, sinks, failures })
    }

    /// The pipelines that a case is about, and where they are written.
    fn pipelines(&self, case: &Case, file: &Path) -> Result<(Pipelines, Option<PathBuf>), Exit> {
        if let Some(path) = &case.pipeline {
            let (pipelines, warnings) = Pipelines::read(path).map_err(|problems| {
                print::problems(&problems);
                Exit::Usage
            })?;
            if !warnings.is_empty() {
                print::problems(&warnings);
            }
            return Ok((pipelines, Some(path.clone())));
        }
        let configured = self.config.pipeline.clone().map(|pipelines| (pipelines, self.config.pipeline_file.clone()));
        configured.ok_or_else(|| {
            let remedy = "Write `pipeline: FILE` in it, or name a configuration that has pipelines with -c";
            print::error(format_args!("{}: it is about no pipelines. {remedy}", file.display()));
            Exit::Usage
        })
    }
}

/// As many slots as samples are written of, or as were recorded.
fn slots(case: &Case, time: &HostTime) -> u32 {
    let number = |sample: &serde_json::Value| sample.get("slot").and_then(serde_json::Value::as_u64);
    let expected = case.expected.iter().flat_map(|of| &of.samples).filter_map(number);
    let expected = expected.filter_map(|slot| u32::try_from(slot).ok()).max().unwrap_or(1);
    match &case.given {
        Given::Written(inputs) => inputs.iter().map(|input| input.slot).max().unwrap_or(1).max(expected),
        Given::Measured(_) => time.slots().max(expected),
    }
}
