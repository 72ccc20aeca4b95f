//! Whole cycles, from reading the host to encoded samples.

use std::convert::Infallible;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use wasmeter::agent::report::Report;
use wasmeter::agent::{Agent, Parts};
use wasmeter::clock::{Clock, SystemClock};
use wasmeter::config::Config;
use wasmeter::hypervisor;
use wasmeter::modules::registry::Registry;
use wasmeter::publish::encode::Encoder;
use wasmeter::sandbox::Sandbox;
use wasmeter::sandbox::compile::Compiler;

use crate::measure::{Bars, Outcome, median, took};

/// A sandbox with a cache of this run alone.
pub fn sandbox() -> Result<(Arc<Sandbox>, tempfile::TempDir), Box<dyn Error>> {
    let cache = tempfile::tempdir()?;
    let folder = cache.path().join("cache");
    Ok((Arc::new(Sandbox::new(&folder, Compiler::at(daemon()?))?), cache))
}

/// The daemon's binary, beside this one.
pub fn daemon() -> Result<std::path::PathBuf, Box<dyn Error>> {
    let path = std::env::current_exe()?.with_file_name("wasmeter");
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("there is no {}; build it with: cargo build --release -p wasmeter", path.display()).into())
    }
}

/// What measures the host of a configuration.
pub fn agent(config: Config, runtime: &Runtime, sandbox: &Arc<Sandbox>) -> Result<Agent, Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let hypervisor = hypervisor::open(&config.hypervisor.uri, &clock)?;
    let (sandbox, guests) = (Arc::clone(sandbox), runtime.handle().clone());
    let parts = Parts { clock, hypervisor, sandbox, guests, registry: Registry::none("it ends with the bench") };
    Ok(runtime.block_on(Agent::new(config, parts))?)
}

/// A simulated host and who measures it.
#[derive(Debug)]
pub struct Host {
    runtime: Runtime,
    agent: Agent,
}

impl Host {
    /// So many guests that only work.
    pub fn new(guests: u32, sandbox: &Arc<Sandbox>) -> Result<Self, Box<dyn Error>> {
        let (mut config, _) = Config::load(None)?;
        config.hypervisor.uri = format!("sim://?domains={guests}&seed=1&disks=2&nics=1&calm=true");
        // Two cores, as the figures are promised for.
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let agent = agent(config, &runtime, sandbox)?;
        Ok(Self { runtime, agent })
    }

    /// Measures once.
    pub fn cycle(&mut self) -> Result<Report, Box<dyn Error>> {
        Ok(self.runtime.block_on(self.agent.cycle(&[10]))?)
    }

    fn encode(&self, report: &Report) -> usize {
        let mut encoder = Encoder::new(&report.slot);
        let (mut out, mut bytes) = (String::new(), 0);
        for samples in &report.slot.samples {
            let Ok(()) = encoder.write(samples, &mut out, |out| {
                bytes += out.len();
                black_box(&*out);
                out.clear();
                Ok::<(), Infallible>(())
            });
        }
        bytes
    }
}

/// Runs it.
pub fn run(rounds: usize, bars: &mut Bars) -> Outcome {
    let (sandbox, _cache) = sandbox()?;
    let mut a_sample = Vec::new();
    for guests in [100, 1_000, 10_000] {
        let mut host = Host::new(guests, &sandbox)?;
        host.cycle()?;
        let (mut cycles, mut encodes, mut samples, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
        let rounds = if guests == 100 { rounds * 10 } else { rounds };
        for _ in 0..rounds {
            let (cycle, report) = took(|| host.cycle());
            let report = report?;
            let (encode, size) = took(|| host.encode(&report));
            samples = report.slot.len();
            bytes = size;
            cycles.push(cycle);
            encodes.push(encode);
        }
        let per = 1e9 / samples as f64;
        let (cycle, encode) = (median(cycles) * per, median(encodes) * per);
        bars.note(&format!("{guests} guests, {samples} samples: read, poll, stamp"), cycle, "ns a sample");
        bars.note(&format!("{guests} guests: encode {} bytes a sample", bytes / samples), encode, "ns a sample");
        a_sample.push(cycle + encode);
    }
    if let [few, some, many] = a_sample.as_slice() {
        bars.at_most("a sample of 1,000 guests, all in", some / 1e3, 2.0, "us");
        bars.at_most("a sample of 10,000 guests against one of 100", many / few, 1.5, "times");
    }
    Ok(())
}
