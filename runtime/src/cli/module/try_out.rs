//! `wasmeter module run`.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::module::subject::Subject;
use crate::cli::module::trial::{Inputs, Tried};
use crate::cli::module::{Rules, Which, is_pollster, prepare};
use crate::cli::once;
use crate::cli::setup::{Host, Threads};
use crate::cli::{Exit, logging, print};
use crate::clock::SystemClock;
use crate::config::daemon::LogFormat;
use crate::config::{Config, duration};

const EXAMPLES: &str = "\
Examples:
  wasmeter module run my-module.wasm                               against the simulated host
  wasmeter module run my-module.wasm --hypervisor recording:host.jsonl --slots 5
  wasmeter module run disk --hypervisor 'sim://?domains=1000&calm=true' --quiet
  wasmeter module run delta --meters cpu --config '{target: {name: cpu.delta}}' --slots 3
  wasmeter module run exporter.wasm --grant name=acme. --grant http=http://127.0.0.1:9100/metrics \\
      --grant address=127.0.0.1 --secret token=@token.txt --config '{series: [orders]}'

A module that makes requests is told what each takes; granted, as for `wasmeter module deploy`, it
is held against all its grants, and real servers are asked.
A transformer is handed, slot after slot, what pollsters measured of the meters in --meters.
State is kept from slot to slot, as the daemon does, and forgotten at the end.";

/// Run a module alone, and say what it gave and used.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    host: Host,
    /// How many slots; a simulated host lives on between them, a recording goes to its next slot.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    slots: u32,
    /// The time between two slots of a host that lives; a recording goes on at once.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration::parse)]
    interval: Duration,
    /// Only what it used, not what it gave.
    #[arg(long)]
    quiet: bool,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        logging::start(&LogFormat::Text);
        let (sandbox, config, threads) = prepare(&self.rules.on(&self.host))?;
        let candidate = self.which.load(&sandbox, &config, &threads)?;
        let meters = self.inputs.filter()?;
        let (sandbox, module) = (Arc::new(sandbox), &candidate.module);
        let clock = Arc::new(SystemClock);
        let subject = Subject::open(&sandbox, &candidate, meters, &config, clock, &threads);
        let mut subject = subject.map_err(|unfit| self.which.unfit(unfit))?;
        let mut failed = false;
        for slot in 0..self.slots {
            self.wait(slot, &config, &threads);
            let tried = subject.next(&threads)?;
            if !self.quiet && (is_pollster(module) || !tried.slot.samples.is_empty()) {
                print::text(&once::samples(&tried.slot))?;
            }
            print::text(&format!("slot {}: {}\n", slot + 1, used(&tried, is_pollster(module))))?;
            for failure in &tried.failures {
                print::text(&format!("{failure}\n"))?;
                failed = true;
            }
        }
        threads.guests.shutdown_background();
        if failed { Err(Exit::Module) } else { Ok(()) }
    }

    /// Waits for the next slot of a host that lives.
    fn wait(&self, slot: u32, config: &Config, threads: &Threads) {
        if slot > 0 && !config.hypervisor.uri.starts_with("recording:") {
            threads.time.block_on(async { tokio::time::sleep(self.interval).await });
        }
    }
}

/// What it gave and took, in a line.
pub fn used(tried: &Tried, pollster: bool) -> String {
    let Some(report) = &tried.report else { return "nothing that it is for was measured".to_owned() };
    let (handed, each) = if pollster { ("resources", "a resource") } else { ("input samples", "an input sample") };
    // Where time stands still nothing takes any.
    let took =
        if report.took.is_zero() { String::new() } else { format!(", {:.1} ms", report.took.as_secs_f64() * 1e3) };
    format!(
        "{} samples of {} {handed}, {} fuel ({} {each}), {} bytes of memory{took}",
        report.samples,
        report.resources,
        report.fuel,
        report.fuel / u64::from(report.resources.max(1)),
        report.memory,
    )
}
