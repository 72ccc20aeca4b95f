//! The numbers that wasmeter promises, measured: `cargo xtask bench`.
//!
//! Times are CPU time of this process beside a fixed loop of the same run, so that machines can be compared, and
//! medians of many rounds. A bar that is not met ends the program with 1. Only beside the real Ceilometer, on real
//! guests or a real RabbitMQ, and of tenants, times are also the clock's.

mod amqp;
mod cycle;
mod deployments;
mod exporter;
mod libvirt;
mod measure;
mod native;
mod sandbox;
mod start;
mod tenants;
mod transformers;

use std::path::PathBuf;

use clap::Parser;

use crate::measure::Bars;

/// Measure what wasmeter promises, and compare it with the bars.
#[derive(Debug, Parser)]
struct Args {
    /// Only parts whose names contain this: cycle, deployments, exporter, sandbox, start, tenants, transformers; or
    /// libvirt or amqp, which run only if they are named.
    part: Option<String>,
    /// Of libvirt: how many guests.
    #[arg(long, default_value_t = 100)]
    guests: u32,
    /// Of libvirt and amqp: the Python of the environment that Ceilometer is in.
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// Rounds of each measurement.
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// Start the demo without libvirt.
    #[arg(long)]
    no_libvirt: bool,
}

/// Measures something.
type Part<'a> = &'a dyn Fn(&mut Bars) -> measure::Outcome;

fn main() -> std::process::ExitCode {
    let args = Args::parse();
    // As the daemon does.
    wasmeter::memory::keep_what_is_freed();
    let wanted = |name: &str| args.part.as_ref().is_none_or(|part| name.contains(part.as_str()));
    println!("calibration loop: {:.1} ms of CPU time (10^8 steps of xorshift)\n", measure::calibrate() * 1e3);
    let mut bars = Bars::default();
    let demo: &[&str] = if args.no_libvirt { &["--no-libvirt"] } else { &[] };
    let parts: [(&str, Part<'_>); 7] = [
        ("cycle", &|bars| cycle::run(args.rounds, bars)),
        ("deployments", &|bars| deployments::run(args.rounds, bars)),
        ("exporter", &|bars| exporter::run(args.rounds, bars)),
        ("sandbox", &|bars| sandbox::run(args.rounds, bars)),
        ("start", &|bars| start::run(args.rounds, demo, bars)),
        ("tenants", &|bars| tenants::run(args.rounds, bars)),
        ("transformers", &|bars| transformers::run(args.rounds, bars)),
    ];
    for (name, run) in parts {
        if wanted(name) {
            println!("== {name}");
            if let Err(error) = run(&mut bars) {
                eprintln!("error: {name}: {error}");
                return std::process::ExitCode::FAILURE;
            }
            println!();
        }
    }
    let part = args.part.as_deref().unwrap_or_default();
    if beside_ceilometer(part, &args, &mut bars).is_err() {
        return std::process::ExitCode::FAILURE;
    }
    println!("calibration loop: {:.1} ms of CPU time at the end", measure::calibrate() * 1e3);
    bars.verdict()
}

/// The parts that run only if they are named. What goes wrong is told.
fn beside_ceilometer(part: &str, args: &Args, bars: &mut Bars) -> Result<(), ()> {
    if !["libvirt", "amqp"].contains(&part) {
        return Ok(());
    }
    println!("== {part}");
    let Some(python) = &args.python else {
        eprintln!("error: {part}: --python is missing; cargo xtask bench {part} hands it over");
        return Err(());
    };
    let done = match part {
        "amqp" => amqp::run(args.rounds, python, bars),
        _ => libvirt::run(args.guests, args.rounds, python, bars),
    };
    println!();
    done.map_err(|error| eprintln!("error: {part}: {error}"))
}
