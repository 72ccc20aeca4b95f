//! `wasmeter module bench`: what a module takes for few and many resources.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::report::ModuleReport;
use crate::cli::module::alone::Alone;
use crate::cli::module::candidate::Candidate;
use crate::cli::module::time::HostTime;
use crate::cli::module::trial::{Inputs, Trial, Tried};
use crate::cli::module::{Rules, Terms, Which, build, is_pollster, prepare};
use crate::cli::setup::{Host, Threads};
use crate::cli::{Exit, logging, print};
use crate::clock::{Clock, Moment, SystemClock};
use crate::config::daemon::LogFormat;
use crate::config::{Config, MeterFilter};
use crate::discovery::{Resources, View};
use crate::hypervisor::{Groups, key};
use crate::publish::columns::{self, Columns, Side};
use crate::sandbox::{Limits, Module, Sandbox};

const EXAMPLES: &str = "\
Examples:
  wasmeter module bench                        of the crate in this folder, built first
  wasmeter module bench disk
  wasmeter module bench traffic.wasm --resources 1,1000,50000 --json
  wasmeter module bench delta --meters cpu --config '{target: {name: cpu.delta}}'
  wasmeter module bench exporter.wasm --grant name=acme. --grant http=http://127.0.0.1:9100/metrics \\
      --grant address=127.0.0.1 --grant rate=600

Real servers are asked in each slot, as far as that is granted. The guests are simulated, and whole: of 7 resources a guest has, 1 means 7. A transformer is handed
the samples that pollsters measure of them. Fuel is what production takes: the same engine, the same
prices, the same limits. It is the most of all slots; time is the middle one, on this machine.";

/// Measure what a module takes for few and many resources: fuel, time and memory.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A .wasm file, the name of a built-in module, or the folder of a crate, which is built first.
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    of: PathBuf,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    inputs: Inputs,
    /// How many resources it is handed, with commas between.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 100, 10_000],
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    resources: Vec<u32>,
    /// How many slots are measured of each, after a first one.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    slots: u32,
    #[command(flatten)]
    rules: Rules,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// What it took for so many resources.
struct Measured {
    guests: u32,
    /// Resources of a pollster, input samples of a transformer.
    handed: u32,
    samples: usize,
    fuel: u64,
    granted: u64,
    memory: usize,
    took: Duration,
}

/// A group of statistics that is read of each guest for a module.
struct Read {
    group: String,
    keys: Vec<String>,
    /// Whether the guest's own process has to answer.
    asks_guest: bool,
    /// Whether it is read only for guests that lack something else.
    stands_in: bool,
}

/// The most guests that a simulated host has.
const GUESTS: u32 = 10_000;

/// From slot to slot.
const INTERVAL: Duration = Duration::from_secs(10);

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        logging::start(&LogFormat::Text);
        let (sandbox, config, threads) = prepare(&self.rules.on(&Host::default()))?;
        let file = if self.of.join("Cargo.toml").exists() { build::file(&self.of)? } else { self.of.clone() };
        let which = Which::file(&file, &self.terms);
        let candidate = which.load(&sandbox, &config, &threads)?;
        let meters = self.inputs.filter()?;
        let bench = Bench { sandbox: Arc::new(sandbox), which, candidate, config, threads, slots: self.slots };
        let measured = match (is_pollster(&bench.candidate.module), meters) {
            (true, None) => self.each(|resources| bench.pollster(resources)),
            (false, Some(meters)) => self.each(|resources| bench.transformer(resources, &meters)),
            (true, Some(_)) => bench.usage("is a pollster, which is handed no meters; remove --meters"),
            (false, None) => bench.usage("is a transformer; say what it is to be handed, as in --meters cpu"),
        }?;
        let Bench { candidate: Candidate { module, .. }, threads, .. } = bench;
        threads.guests.shutdown_background();
        if self.json { print::json(&json(&module, &measured)) } else { print::text(&text(&module, &measured)) }
    }

    fn each(&self, measure: impl FnMut(u32) -> Result<Measured, Exit>) -> Result<Vec<Measured>, Exit> {
        self.resources.iter().copied().map(measure).collect()
    }
}

/// What is needed to measure.
struct Bench {
    sandbox: Arc<Sandbox>,
    which: Which,
    candidate: Candidate,
    config: Config,
    threads: Threads,
    slots: u32,
}

// === impl Bench ===

impl Bench {
    fn usage<T>(&self, words: &str) -> Result<T, Exit> {
        print::error(format_args!("{} {words}", self.candidate.module.name));
        Err(Exit::Usage)
    }

    /// A host of so many guests.
    fn host(&self, guests: u32) -> Result<(Config, HostTime), Exit> {
        let mut config = self.config.clone();
        config.hypervisor.uri = format!("sim://?domains={}&calm=true", guests.clamp(1, GUESTS));
        config.hypervisor.place = None;
        let time = HostTime::of(&config.hypervisor.uri, INTERVAL)?;
        Ok((config, time))
    }

    fn pollster(&self, resources: u32) -> Result<Measured, Exit> {
        // A simulated guest has five resources and more.
        let (config, time) = self.host(resources.div_ceil(4))?;
        let mut alone = Alone::open(&self.sandbox, &self.candidate, &config, time.clock())?;
        let mut guests = 0;
        let measured = self.slots(&time, resources, || {
            let snapshot = alone.read(&self.threads)?;
            guests = guests_with(&snapshot.resources, resources);
            let view = View::of(&snapshot.resources, vec![0..guests]);
            Ok(alone.poll(snapshot, view, &self.threads))
        })?;
        let calls = u64::from(guests.div_ceil(u32::try_from(config.sandbox.chunk).unwrap_or(u32::MAX).max(1)));
        Ok(Measured { guests, granted: granted(&self.candidate.module.limits, calls, measured.handed), ..measured })
    }

    /// A guest gives a sample of a meter or more; as many guests are taken as give enough.
    fn transformer(&self, samples: u32, meters: &MeterFilter) -> Result<Measured, Exit> {
        let (config, time) = self.host(1)?;
        let open = |config: &Config, time: &HostTime| {
            let Self { sandbox, candidate, threads, .. } = self;
            let trial = Trial::open(sandbox, candidate, meters.clone(), config, clock(time), threads);
            trial.map_err(|unfit| self.which.unfit(unfit))
        };
        let mut one = open(&config, &time)?;
        time.turn_to(1);
        let of_one = one.next(&self.threads)?.report.map_or(1, |report| report.resources.max(1));
        let guests = samples.div_ceil(of_one).clamp(1, GUESTS);
        let (config, time) = self.host(guests)?;
        let mut trial = open(&config, &time)?;
        let measured = self.slots(&time, samples, || trial.next(&self.threads))?;
        Ok(Measured { guests, granted: granted(&self.candidate.module.limits, 1, measured.handed), ..measured })
    }

    /// Slot after slot; the first one is not measured, because in it there is nothing to remember.
    fn slots(
        &self,
        time: &HostTime,
        resources: u32,
        mut next: impl FnMut() -> Result<Tried, Exit>,
    ) -> Result<Measured, Exit> {
        let mut reports: Vec<ModuleReport> = Vec::new();
        for slot in 1..=self.slots + 1 {
            time.turn_to(slot);
            let tried = next()?;
            if let Some(failure) = tried.failures.first() {
                print::error(format_args!(
                    "{} with {resources} resources, slot {slot}: {failure}",
                    self.candidate.module.name
                ));
                return Err(Exit::Module);
            }
            let Some(report) = tried.report else { return self.usage("was handed nothing: no such meter is measured") };
            if slot > 1 {
                reports.push(report);
            }
        }
        let mut times: Vec<Duration> = reports.iter().map(|report| report.took).collect();
        times.sort_unstable();
        let most = |of: fn(&ModuleReport) -> u64| reports.iter().map(of).max().unwrap_or_default();
        Ok(Measured {
            guests: 0,
            granted: 0,
            handed: reports.iter().map(|report| report.resources).max().unwrap_or_default(),
            samples: reports.iter().map(|report| report.samples).max().unwrap_or_default(),
            fuel: most(|report| report.fuel),
            memory: reports.iter().map(|report| report.memory).max().unwrap_or_default(),
            took: times.get(times.len() / 2).copied().unwrap_or_default(),
        })
    }
}

/// A clock of a host's time by which an agent can tell how long something took.
#[derive(Debug)]
struct Stopwatch(Arc<dyn Clock>);

fn clock(time: &HostTime) -> Arc<dyn Clock> {
    Arc::new(Stopwatch(time.clock()))
}

// === impl Stopwatch ===

impl Clock for Stopwatch {
    fn now(&self) -> Moment {
        Moment { monotonic: SystemClock.now().monotonic, ..self.0.now() }
    }
}

/// The least number of guests that together have so many resources, or all.
fn guests_with(resources: &Resources, wanted: u32) -> u32 {
    let (mut low, mut high) = (1, resources.guests().end.max(1));
    while low < high {
        let middle = low + (high - low) / 2;
        if View::of(resources, vec![0..middle]).resources() < wanted { low = middle + 1 } else { high = middle }
    }
    low
}

/// The fuel that so many calls with so many resources together may take.
fn granted(limits: &Limits, calls: u64, resources: u32) -> u64 {
    limits.fuel_base.saturating_mul(calls.saturating_sub(1)).saturating_add(limits.fuel(resources))
}

// === impl Measured ===

impl Measured {
    fn each(&self) -> u64 {
        self.fuel / u64::from(self.handed.max(1))
    }

    /// How much of what it may take it takes, in percent.
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    fn share(&self) -> f64 {
        100.0 * self.fuel as f64 / self.granted.max(1) as f64
    }
}

/// What is read of the host for a module, group by group.
fn reads(module: &Module) -> Vec<Read> {
    let mut all: Vec<Read> = Vec::new();
    for wanted in &module.description.reads {
        let word = wanted.key.split('.').next().unwrap_or_default().to_owned();
        let Some(group) = Groups::of_key(&wanted.key) else { continue };
        let asks_guest = !group.with_monitor().is_empty() && wanted.key != key::QCOW2;
        let stands_in = !wanted.instead_of.is_empty();
        match all.iter_mut().find(|read| read.group == word) {
            Some(read) => {
                read.keys.push(wanted.key.clone());
                read.asks_guest |= asks_guest;
                read.stands_in &= stands_in;
            }
            None => all.push(Read { group: word, keys: vec![wanted.key.clone()], asks_guest, stands_in }),
        }
    }
    all
}

fn json(module: &Module, measured: &[Measured]) -> Value {
    let handed = if is_pollster(module) { "resources" } else { "input_samples" };
    let one = |measured: &Measured| {
        json!({
            "guests": measured.guests,
            handed: measured.handed,
            "samples": measured.samples,
            "fuel": measured.fuel,
            "fuel_granted": measured.granted,
            "memory": measured.memory,
            "memory_granted": module.limits.memory,
            "nanoseconds": u64::try_from(measured.took.as_nanos()).unwrap_or(u64::MAX),
        })
    };
    let read = |read: &Read| json!({ "group": read.group, "keys": read.keys, "asks_guest": read.asks_guest, "stands_in": read.stands_in });
    json!({
        "module": &*module.name,
        "digest": module.code.digest,
        "measured": measured.iter().map(one).collect::<Vec<_>>(),
        "reads": reads(module).iter().map(read).collect::<Vec<_>>(),
    })
}

fn text(module: &Module, measured: &[Measured]) -> String {
    let handed = if is_pollster(module) { "RESOURCES" } else { "INPUTS" };
    let mut table = Columns::new([
        ("GUESTS", Side::Right),
        (handed, Side::Right),
        ("SAMPLES", Side::Right),
        ("FUEL", Side::Right),
        ("EACH", Side::Right),
        ("OF GRANTED", Side::Right),
        ("MEMORY", Side::Right),
        ("TIME", Side::Right),
    ]);
    for one in measured {
        #[allow(clippy::cast_precision_loss, reason = "for people")]
        let memory = columns::bytes(one.memory as f64);
        table.row([
            one.guests.to_string(),
            one.handed.to_string(),
            one.samples.to_string(),
            one.fuel.to_string(),
            one.each().to_string(),
            format!("{:.2}%", one.share()),
            memory,
            format!("{:.2}ms", one.took.as_secs_f64() * 1e3),
        ]);
    }
    let mut out = table.render();
    if !is_pollster(module) {
        out.push_str("\nIt reads nothing of the host; pollsters do.\n");
        return out;
    }
    out.push_str("\nread of the host for it, in each slot and of each guest:\n");
    let mut table =
        Columns::new([("GROUP", Side::Left), ("ASKS", Side::Left), ("READ", Side::Left), ("KEYS", Side::Left)]);
    for read in reads(module) {
        let asks = if read.asks_guest { "the guest's process" } else { "the host" };
        let when = if read.stands_in { "if others are missing" } else { "always" };
        table.row([read.group, asks.to_owned(), when.to_owned(), read.keys.join(" ")]);
    }
    if table.is_empty() {
        out.push_str("nothing but who the guests are\n")
    } else {
        out.push_str(&table.render())
    }
    out
}
