//! The peer test: the real Ceilometer and wasmeter on the same guests, compared sample by sample.
//!
//! wasmeter measures before and after Ceilometer does. What a sample says of its resource must be the same on both
//! sides, and Ceilometer's value must lie between wasmeter's two, which for what does not move means that it is the
//! same. The guests are paused but for one that runs and one that is shut off. What both show Prometheus is compared in
//! the same way.

mod compare;
mod conf;
mod guests;
mod known;
mod report;
mod sample;
mod series;
mod wasmeter;

use std::collections::BTreeSet;
use std::error::Error;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;
use wasmeter_peer::{Ceilometer, Options};
use wasmeter_rig::{Libvirtd, Rabbit, Vhost, or_say};

use crate::compare::Comparison;
use crate::sample::Sample;
use crate::series::{Exported, Page, scrape};
use crate::wasmeter::Wasmeter;

/// What both call this host.
const HOST: &str = "peer-1.example";
/// In seconds. The first cycle gives no deltas, so there are two; nothing else waits for this.
const INTERVAL: u32 = 5;
/// Between two looks at what goes on.
const PAUSE: Duration = Duration::from_millis(200);
/// For two cycles of Ceilometer's, its start included.
const CYCLES_WITHIN: Duration = Duration::from_secs(120);

/// Compare wasmeter's samples with the real Ceilometer's.
#[derive(Debug, Parser)]
struct Args {
    /// The Python of the environment that Ceilometer is in.
    #[arg(long, value_name = "FILE")]
    python: PathBuf,
    /// wasmeter's binary.
    #[arg(long, value_name = "FILE")]
    daemon: PathBuf,
    /// Where wasmeter keeps compiled modules.
    #[arg(long, value_name = "FOLDER")]
    cache: PathBuf,
    /// Keep both sides' configurations, logs and samples, and say where.
    #[arg(long)]
    keep: bool,
    /// Compare how ceilometer.conf is read, and nothing else.
    #[arg(long)]
    conf_only: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let test = move || {
        run(&args).unwrap_or_else(|error| {
            eprintln!("error: {error}");
            false
        })
    };
    // What cannot run is told with the thread's name. A panic has been told as well.
    let ended = thread::Builder::new().name("peer-test".into()).spawn(test).map(JoinHandle::join);
    if matches!(ended, Ok(Ok(true))) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether both say the same.
fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let mut folder = tempfile::Builder::new().prefix("peer-").tempdir()?;
    folder.disable_cleanup(args.keep);
    if args.keep {
        println!("files: {}", folder.path().display());
    }
    let read = conf::compare(&args.python, &args.daemon, &folder.path().join("conf"))?;
    println!("{read}\n");
    if args.conf_only || !read.is_fine() {
        return Ok(read.is_fine());
    }
    let Some(rig) = or_say(Libvirtd::start()) else { return Ok(true) };
    let begin = Instant::now();
    let step = |what: &str| println!("{:>5.1} s  {what}", begin.elapsed().as_secs_f64());
    step("guests and broker are started");
    let broker = thread::spawn(Rabbit::start);
    guests::start(&rig)?;
    let Some(broker) = or_say(broker.join().map_err(|_| "the broker's start panicked")?) else { return Ok(true) };
    let mut comparison = Comparison::default();
    let mut tried = BTreeSet::new();
    // Once as both are by default, and once with what they give of guests that are shut off.
    for report_stopped in [false, true] {
        let name = if report_stopped { "with guests that are shut off" } else { "by default" };
        let folder = folder.path().join(if report_stopped { "stopped" } else { "default" });
        let pass = Pass { args, uri: &rig.uri(), report_stopped };
        step(&format!("{name}: wasmeter measures"));
        let before = pass.ours(&folder.join("before"))?;
        step(&format!("{name}: Ceilometer measures"));
        let theirs = pass.theirs(&broker.vhost(), &folder.join("ceilometer"), &mut tried)?;
        step(&format!("{name}: wasmeter measures again"));
        let after = pass.ours(&folder.join("after"))?;
        comparison.add(&before, &theirs, &after);
    }
    step("for Prometheus: both show what they measure");
    guests::end_odd(&rig)?;
    let exported = pages(args, &rig, &broker.vhost(), &folder.path().join("exported"))?;
    step("all is compared");
    println!("\n{exported}\n{}", report::text(&comparison, &tried));
    Ok(comparison.is_fine() && exported.is_fine())
}

/// Compares what both show Prometheus.
fn pages(args: &Args, rig: &Libvirtd, broker: &Vhost<'_>, folder: &Path) -> Result<Exported, Box<dyn Error>> {
    let pass = Pass { args, uri: &rig.uri(), report_stopped: false };
    let before = pass.wasmeter(&folder.join("before")).page()?;
    let theirs = pass.their_page(broker, &folder.join("ceilometer"))?;
    let after = pass.wasmeter(&folder.join("after")).page()?;
    Ok(Exported::compare(&Page::parse(&before)?, &Page::parse(&theirs)?, &Page::parse(&after)?))
}

/// One comparison of the two.
struct Pass<'a> {
    args: &'a Args,
    uri: &'a str,
    report_stopped: bool,
}

// === impl Pass ===

impl Pass<'_> {
    /// wasmeter's second cycle.
    fn ours(&self, folder: &Path) -> Result<Vec<Sample>, Box<dyn Error>> {
        sample::second_cycle(&self.wasmeter(folder).run()?)
    }

    fn wasmeter<'b>(&'b self, folder: &'b Path) -> Wasmeter<'b> {
        Wasmeter {
            daemon: &self.args.daemon,
            cache: &self.args.cache,
            folder,
            hypervisor: self.uri,
            host: HOST,
            report_stopped: self.report_stopped,
            interval: INTERVAL,
        }
    }

    /// What Ceilometer shows Prometheus between two of its cycles; during one, metrics come and go.
    fn their_page(&self, broker: &Vhost<'_>, folder: &Path) -> Result<String, Box<dyn Error>> {
        // Whoever else may have it in a moment is not of this test, and Ceilometer cannot choose one itself.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let options = self.options(folder, Some(port));
        let mut agent = Ceilometer::start(options, broker)?;
        agent.cycles(1, CYCLES_WITHIN)?;
        let until = Instant::now() + CYCLES_WITHIN;
        while Instant::now() < until {
            let rests = agent.rests_after();
            if rests.is_some() {
                let page = scrape(&format!("127.0.0.1:{port}"))?;
                if agent.rests_after() == rests {
                    std::fs::write(folder.join("page"), &page)?;
                    // The samples that it sent meanwhile are nobody's.
                    agent.samples(broker)?;
                    return Ok(page);
                }
            }
            thread::sleep(PAUSE);
        }
        Err("Ceilometer was never at rest".into())
    }

    fn options<'b>(&'b self, folder: &'b Path, exporter: Option<u16>) -> Options<'b> {
        Options {
            python: &self.args.python,
            folder,
            libvirt: self.uri,
            host: HOST,
            report_stopped: self.report_stopped,
            interval: INTERVAL,
            exporter,
        }
    }

    /// Ceilometer's second cycle. The meters that it tried to give are added to a list.
    fn theirs(
        &self,
        broker: &Vhost<'_>,
        folder: &Path,
        tried: &mut BTreeSet<String>,
    ) -> Result<Vec<Sample>, Box<dyn Error>> {
        let options = self.options(folder, None);
        let mut agent = Ceilometer::start(options, broker)?;
        agent.cycles(2, CYCLES_WITHIN)?;
        tried.extend(agent.tried());
        let printed = agent.samples(broker)?;
        std::fs::write(folder.join("samples.jsonl"), &printed)?;
        sample::second_cycle(&printed)
    }
}
