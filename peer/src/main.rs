//! The peer test: the real Ceilometer and wasmeter on the same guests, compared sample by sample.
//!
//! wasmeter measures before and after Ceilometer does. What a sample says of its resource must be the same on both
//! sides, and Ceilometer's value must lie between wasmeter's two, which for what does not move means that it is the
//! same. The guests are paused but for one.

mod compare;
mod guests;
mod known;
mod report;
mod sample;
mod wasmeter;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use wasmeter_peer::{Broker, Ceilometer, Options};
use wasmeter_rig::{Libvirtd, or_say};

use crate::compare::Comparison;
use crate::sample::Sample;
use crate::wasmeter::Wasmeter;

/// What both call this host.
const HOST: &str = "peer-1.example";
/// In seconds. The first cycle gives no deltas, so there are two; nothing else waits for this.
const INTERVAL: u32 = 5;
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
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether both say the same.
fn run(args: &Args) -> Result<bool, Box<dyn Error>> {
    let mut folder = tempfile::Builder::new().prefix("peer-").tempdir()?;
    folder.disable_cleanup(args.keep);
    if args.keep {
        println!("files: {}", folder.path().display());
    }
    let Some(rig) = or_say(Libvirtd::start()) else { return Ok(true) };
    let begin = Instant::now();
    let step = |what: &str| println!("{:>5.1} s  {what}", begin.elapsed().as_secs_f64());
    step("guests and broker are started");
    let mut broker = Broker::start(&folder.path().join("broker"))?;
    guests::start(&rig)?;
    step("wasmeter measures");
    let before = ours(args, &rig, &folder.path().join("before"))?;
    broker.ready()?;
    step("Ceilometer measures");
    let (theirs, tried) = theirs(args, &rig, &mut broker, &folder.path().join("ceilometer"))?;
    step("wasmeter measures again");
    let after = ours(args, &rig, &folder.path().join("after"))?;
    step("both are compared");
    let comparison = Comparison::of(&before, &theirs, &after);
    println!("\n{}", report::text(&comparison, &tried));
    Ok(comparison.is_fine())
}

/// wasmeter's second cycle.
fn ours(args: &Args, rig: &Libvirtd, folder: &Path) -> Result<Vec<Sample>, Box<dyn Error>> {
    let wasmeter = Wasmeter { daemon: &args.daemon, cache: &args.cache, folder };
    let printed = wasmeter.run(&rig.uri(), HOST, INTERVAL)?;
    sample::second_cycle(&printed)
}

/// Ceilometer's second cycle, and all the meters that it tried to give.
fn theirs(
    args: &Args,
    rig: &Libvirtd,
    broker: &mut Broker,
    folder: &Path,
) -> Result<(Vec<Sample>, Vec<String>), Box<dyn Error>> {
    let uri = rig.uri();
    let options = Options { python: &args.python, folder, libvirt: &uri, host: HOST, interval: INTERVAL };
    let mut agent = Ceilometer::start(options, broker)?;
    agent.cycles(2, CYCLES_WITHIN)?;
    let tried = agent.tried();
    let printed = agent.samples(options, broker)?;
    std::fs::write(folder.join("samples.jsonl"), &printed)?;
    Ok((sample::second_cycle(&printed)?, tried))
}
