//! `wasmeter module watch`: a crate is built again whenever a file of it changes, and tried.

mod source;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use self::source::Source;
use crate::cli::module::subject::Subject;
use crate::cli::module::test::{compare, lines};
use crate::cli::module::time::HostTime;
use crate::cli::module::trial::Inputs;
use crate::cli::module::try_out;
use crate::cli::module::{Rules, Terms, Which, build, deploy, is_pollster, prepare};
use crate::cli::setup::{Host, Threads};
use crate::cli::{Exit, logging, once, print};
use crate::config::daemon::LogFormat;
use crate::config::{Config, duration};
use crate::sandbox::Sandbox;

const EXAMPLES: &str = "\
Examples:
  wasmeter module watch
  wasmeter module watch ~/modules/traffic --once-host 'sim://?domains=100&calm=true' --slots 5
  wasmeter module watch rates --meters cpu --once-host recording:host.jsonl
  wasmeter module watch exporter --grant name=acme. --grant http=https://metrics.example/path
  wasmeter module watch -- --tenant acme --grant name=acme. --interval 10s

After each build the module runs on a simulated host, from its first slot on. Time stands still
there but for the step from slot to slot: what has changed in the samples, the code has changed.

With options of `wasmeter module deploy` behind -- each build is deployed instead, to a daemon
that runs here, the one of -c if there is no other behind --: it is tried out on its guests, and
what comes of that is shown. Then it is on trial there beside the build before it.";

/// Build a crate again whenever a file of it changes, and show what its module gives now.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The crate's folder.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    inputs: Inputs,
    /// The host that it is tried on: simulated, or recorded.
    #[arg(long, value_name = "URI", default_value = "sim://?domains=3&calm=true")]
    once_host: String,
    /// How many slots it runs; what it gives in the last one is shown.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    slots: u32,
    /// The time from slot to slot.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration::parse)]
    interval: Duration,
    /// Ends after so many builds, well or not.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    builds: Option<u64>,
    #[command(flatten)]
    rules: Rules,
    /// Options of `wasmeter module deploy`, by which each build is deployed to a daemon.
    // What says how it is tried here says nothing of how it is deployed.
    #[arg(
        last = true,
        value_name = "DEPLOY OPTIONS",
        conflicts_with_all = ["told", "grants", "secrets", "meters", "once_host", "slots", "interval"]
    )]
    deploy: Vec<OsString>,
}

/// How long until it is looked again whether a file has changed.
const LOOK: Duration = Duration::from_millis(200);

/// What a module gave in all slots, and how that is shown.
struct Given {
    /// A line of JSON for each sample and failure.
    lines: Vec<String>,
    /// The samples of the last slot, as a table.
    table: String,
    /// What the last slot took.
    used: String,
    /// Whether it failed in any.
    failed: bool,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().unwrap_or_else(|exit| exit)
    }

    fn try_run(&self) -> Result<Exit, Exit> {
        logging::start(&LogFormat::Text);
        let host = Host { hypervisor: Some(self.once_host.clone()) };
        let (sandbox, config, threads) = prepare(&self.rules.on(&host))?;
        let sandbox = Arc::new(sandbox);
        if !self.deploy.is_empty() {
            // Before anything is built for it.
            self.order(Path::new("module.wasm"))?;
        }
        let source = Source::at(&self.folder);
        let (mut seen, mut before, mut builds) = (None, None, 0);
        loop {
            let now = source.state();
            if seen.as_ref() == Some(&now) {
                thread::sleep(LOOK);
                continue;
            }
            seen = Some(now);
            let ended = match build::file(&self.folder) {
                Ok(file) if !self.deploy.is_empty() => self.order(&file)?.run(),
                Ok(file) => {
                    let given = self.give(&file, &sandbox, &config, &threads);
                    let shown = given.and_then(|given| {
                        print::text(&shown(&given, before.as_deref()))?;
                        before = Some(given.lines);
                        Ok(if given.failed { Exit::Module } else { Exit::Done })
                    });
                    shown.unwrap_or_else(|exit| exit)
                }
                Err(exit) => exit,
            };
            builds += 1;
            // A folder that is none stays none; what cargo or the module does not like is about to be changed.
            if self.builds.is_some_and(|most| builds >= most) || ended == Exit::Usage {
                threads.guests.shutdown_background();
                return Ok(ended);
            }
            print::note(format_args!("waiting for a change in {}", self.folder.display()));
        }
    }

    /// The order that has a build deployed, to the daemon whose rules hold here unless it names another.
    fn order(&self, file: &Path) -> Result<deploy::Args, Exit> {
        Ok(deploy::Args::of(file, &self.deploy)?.or_asking(self.rules.daemon_config.as_deref()))
    }

    /// What the module gives now, on the host that stands in for a daemon's.
    fn give(&self, file: &Path, sandbox: &Arc<Sandbox>, config: &Config, threads: &Threads) -> Result<Given, Exit> {
        let which = Which::file(file, &self.terms);
        let candidate = which.load(sandbox, config, threads)?;
        let time = HostTime::of(&config.hypervisor.uri, self.interval)?;
        let meters = self.inputs.filter()?;
        let subject = Subject::open(sandbox, &candidate, meters, config, time.clock(), threads);
        let mut subject = subject.map_err(|unfit| which.unfit(unfit))?;
        let mut given = Given { lines: Vec::new(), table: String::new(), used: String::new(), failed: false };
        for slot in 1..=self.slots {
            time.turn_to(slot);
            let tried = subject.next(threads)?;
            given.lines.extend(lines::of_slot(slot, &tried.slot));
            given.table = once::samples(&tried.slot);
            given.used = format!("slot {slot}: {}\n", try_out::used(&tried, is_pollster(&candidate.module)));
            for failure in &tried.failures {
                given.failed = true;
                given.used.push_str(&format!("{failure}\n"));
            }
        }
        Ok(given)
    }
}

/// What it gives; after the first time only what is another than before.
fn shown(given: &Given, before: Option<&[String]>) -> String {
    let Some(before) = before else { return format!("{}{}", given.table, given.used) };
    let differences = compare::compare(&lines::parse(before), &lines::parse(&given.lines));
    let mut out = String::new();
    differences.iter().for_each(|difference| out.push_str(&difference.text()));
    if differences.is_empty() {
        out.push_str("no sample has changed\n");
    }
    out.push_str(&given.used);
    out
}
