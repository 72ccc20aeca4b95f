//! Transformers, with a slot's samples of many resources.

use std::error::Error;
use std::fs;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use wasmeter::agent::OPERATOR;
use wasmeter::clock::{Clock, Moment, SystemClock};
use wasmeter::config::Config;
use wasmeter::contract::{Column, Kind, Meter, Values};
use wasmeter::discovery::{Directory, Rules, Snapshot};
use wasmeter::hypervisor::{self, Connection, Groups, Guests, KeySet, Request};
use wasmeter::modules;
use wasmeter::pipeline::chain::{Handed, Surroundings, Transformer};
use wasmeter::pipeline::{NoteColumn, Route, Samples};
use wasmeter::publish::id::Ids;
use wasmeter::sandbox::host::state::State;
use wasmeter::sandbox::{Limits, Sandbox};

use crate::cycle;
use crate::measure::{self, Bars, Outcome, median};

const GUESTS: u32 = 10_000;
/// Each with what it is told, and the most that a sample may cost in nanoseconds.
const TRANSFORMERS: [(&str, &str, f64); 8] = [
    ("delta", r#"{"target": {"name": "cpu.delta"}}"#, 100.0),
    ("rate_of_change", CPU_UTIL, 100.0),
    ("accumulator", r#"{"size": 10000}"#, 300.0),
    ("aggregator", r#"{"size": 10000, "target": {"name": "cpu.sum"}}"#, 300.0),
    ("arithmetic", r#"{"target": {"name": "cpu.twice", "unit": "ns", "type": "gauge", "expr": "2 * $(cpu)"}}"#, 300.0),
    ("relabel", r#"{"rules": [{"rename": {"from": "^cpu$", "to": "processor"}}, {"set": {"tier": "gold"}}]}"#, 300.0),
    ("threshold", r#"{"above": 1000000000000}"#, 300.0),
    ("unit_conversion", r#"{"target": {"name": "cpu.seconds", "unit": "s", "scale": "volume / 10.0**9"}}"#, 300.0),
];
/// What Mitaka's default pipeline tells it.
const CPU_UTIL: &str = r#"{"target": {"name": "cpu_util", "unit": "%", "type": "gauge",
    "scale": "100.0 / (10**9 * (resource_metadata.cpu_number or 1))"}}"#;
/// Copies of a state, so that its memory is seen among all of the process.
const COPIES: usize = 100;

/// Runs it.
pub fn run(rounds: usize, bars: &mut Bars) -> Outcome {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (sandbox, _cache) = cycle::sandbox()?;
    let mut host = Host::new()?;
    for (name, config, most) in TRANSFORMERS {
        let (cost, state) = host.transform(&runtime, &sandbox, name, config, rounds)?;
        bars.at_most(&format!("{name}: a sample"), cost, most, "ns");
        if name == "rate_of_change" {
            let bytes = memory_of(&state)? / f64::from(GUESTS);
            bars.at_most("what it remembers of a resource's meter", bytes, 100.0, "bytes");
        }
    }
    bars.at_most("a cycle of 10,000 guests with cpu_util", cpu_util(&runtime, &sandbox, rounds)? * 1e3, 15.0, "ms");
    Ok(())
}

/// A simulated host's resources.
struct Host {
    directory: Directory,
    snapshot: Snapshot,
    slots: u64,
}

// === impl Host ===

impl Host {
    fn new() -> Result<Self, Box<dyn Error>> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let host = hypervisor::open(&format!("sim://?domains={GUESTS}&seed=1&disks=1&nics=1&calm=true"), &clock)?;
        let mut connection: Box<dyn Connection> = host.connect()?;
        let records = connection.read(&Request { groups: Groups::STATE, keys: KeySet::All, guests: Guests::All })?;
        let mut directory = Directory::new(Rules { host: "bench".to_owned(), ..Rules::default() });
        for record in &records {
            if let Some(definition) = connection.define(record.guest)? {
                directory.learn(definition, record.revision);
            }
        }
        let snapshot = Snapshot::assemble(&mut directory, |_| true, Groups::STATE, &records, &[], clock.now());
        Ok(Self { directory, snapshot, slots: 0 })
    }

    /// The next slot's samples of `cpu`, each with its number of vCPUs.
    fn samples(&mut self) -> (Moment, Samples) {
        self.slots += 1;
        let Moment { wall, monotonic } = self.snapshot.at;
        let since = self.slots * 10_000_000_000;
        let at = Moment { wall: wall + since.cast_signed(), monotonic: monotonic + since };
        let guests: Vec<u32> = (0..GUESTS).collect();
        let column = |values| Column { resources: guests.clone(), values };
        let grown = guests.iter().map(|guest| (u64::from(*guest) + self.slots) * 1_000_000_000);
        let vcpus = guests.iter().map(|guest| u64::from(guest % 8 + 1));
        let note = NoteColumn {
            key: "cpu_number".into(),
            column: column(Values::Counts(vcpus.collect())),
            texts: Vec::new().into(),
        };
        let samples = Samples {
            module: "cpu".into(),
            tenant: OPERATOR.into(),
            meter: Arc::new(Meter { name: "cpu".to_owned(), kind: Kind::Cumulative, unit: "ns".to_owned() }),
            at: at.into(),
            column: column(Values::Counts(grown.collect())),
            notes: vec![note],
            first_id: Ids::new("bench", at).take(at, guests.len()),
            route: Route::default(),
            sink: None,
        };
        (at, samples)
    }

    /// Nanoseconds of CPU time that a sample takes, and what is remembered in the end.
    fn transform(
        &mut self,
        runtime: &Runtime,
        sandbox: &Arc<Sandbox>,
        name: &str,
        config: &str,
        rounds: usize,
    ) -> Result<(f64, Arc<State>), Box<dyn Error>> {
        let built_in = modules::built_in().find(|module| module.name == name).ok_or("no such module")?;
        let (module, _) = runtime.block_on(async {
            let code = sandbox.load(built_in.wasm).await?;
            let cpu = Meter { name: "cpu".to_owned(), kind: Kind::Cumulative, unit: "ns".to_owned() };
            sandbox.configure_for(name, true, code, config.to_owned(), Limits::default(), &[cpu]).await
        })?;
        let around = Surroundings {
            sandbox: Arc::clone(sandbox),
            guests: runtime.handle().clone(),
            ledger: Arc::default(),
            tenant: OPERATOR.into(),
            clock: Arc::new(SystemClock),
        };
        let mut transformer = Transformer::new(Arc::new(module), &[]);
        let (mut names, mut ids, mut all) = (Arc::default(), Ids::new("bench", self.snapshot.at), Vec::new());
        let resources = Arc::clone(&self.snapshot.resources);
        for round in 0..rounds + 2 {
            let (at, samples) = self.samples();
            let handed = Handed { samples: &[&samples], resources: &resources, at };
            let (cpu, made) = measure::took(|| {
                let route = Route::default();
                runtime.block_on(transformer.run(&around, &mut self.directory, &mut names, &mut ids, handed, &route))
            });
            if let Some((failure, _)) = made.report.failures.first() {
                return Err(format!("{name}: {failure}").into());
            }
            let given: usize = made.samples.iter().map(|samples| samples.column.len()).sum();
            // The first has no one before it.
            if round >= 2 {
                all.push(cpu);
                if given == 0 && name != "threshold" {
                    return Err(format!("{name} gave nothing").into());
                }
            }
        }
        Ok((median(all) * 1e9 / f64::from(GUESTS), Arc::clone(transformer.state())))
    }
}

/// Bytes of memory that a state takes. The first copies fill what the process has to spare.
fn memory_of(state: &State) -> Result<f64, Box<dyn Error>> {
    let mut all = Vec::with_capacity(2 * COPIES);
    let copy = |all: &mut Vec<State>| {
        let mut copy = State::default();
        copy.commit(state.all());
        all.push(copy);
    };
    (0..COPIES).for_each(|_| copy(&mut all));
    let before = resident()?;
    (0..COPIES).for_each(|_| copy(&mut all));
    let grown = resident()? - before;
    drop(all);
    Ok(grown / COPIES as f64)
}

fn resident() -> Result<f64, Box<dyn Error>> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    Ok(statm.split(' ').nth(1).ok_or("no number")?.parse::<f64>()? * 4096.0)
}

/// CPU seconds of a cycle that measures `cpu` and makes `cpu_util` of it in a pipeline.
fn cpu_util(runtime: &Runtime, sandbox: &Arc<Sandbox>, rounds: usize) -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("wasmeter.yaml");
    fs::write(
        folder.path().join("pipeline.yaml"),
        format!(
            "sources: [{{name: a, interval: 10, meters: [cpu], sinks: [a]}}]\nsinks: [{{name: a, publishers: [test], \
             transformers: [{{name: rate_of_change, parameters: {CPU_UTIL}}}]}}]\n"
        ),
    )?;
    let host = format!("sim://?domains={GUESTS}&seed=1&disks=1&nics=1&calm=true");
    fs::write(&path, format!("hypervisor: {host}\npipeline: pipeline.yaml\n"))?;
    let (config, _) = Config::load(Some(&path)).map_err(|problems| problems.to_string())?;
    let mut agent = cycle::agent(config, runtime, sandbox)?;
    let mut all = Vec::new();
    for round in 0..rounds + 2 {
        let (cpu, report) = measure::took(|| runtime.block_on(agent.cycle(&[10])));
        let samples = report?.slot.len();
        agent.keep();
        if round >= 2 {
            if samples != 2 * GUESTS as usize {
                return Err(format!("{samples} samples of {GUESTS} guests").into());
            }
            all.push(cpu);
        }
    }
    Ok(median(all))
}
