//! The peer test: the real Ceilometer and wasmeter on the same guests, compared sample by sample and byte by byte.
//!
//! Both publish to a RabbitMQ, and their messages are compared. wasmeter measures before and after Ceilometer does. What
//! a sample says of its resource must be the same on both sides, and Ceilometer's value must lie between wasmeter's two,
//! which for what does not move means that it is the same. Ids and times aside, messages are the same to the byte, with
//! their properties, and so are exchanges and queues. The guests are paused but for one that runs and one that is shut
//! off. What both show Prometheus is compared in the same way.
//!
//! Then Ceilometer's notification agent consumes what wasmeter publishes, and has to write every sample. Ceilometer's own
//! check has to accept every signature.

mod compare;
mod conf;
mod consumer;
mod declared;
mod guests;
mod known;
mod pass;
mod report;
mod sample;
mod series;
mod wasmeter;
mod wire;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use clap::Parser;
use wasmeter_rig::{Libvirtd, Rabbit, or_say};

use crate::compare::Comparison;
use crate::consumer::EXCEPTIONS;
use crate::pass::{Pass, Published};

/// How both are configured, and how that is called.
type Passes = [(&'static str, bool, &'static [(&'static str, &'static str)]); 3];

/// Once as both are by default, once with what they give of guests that are shut off, and with each kind of queue.
const PASSES: Passes = [
    ("by default", false, &[]),
    ("with guests that are shut off and durable queues", true, &[("amqp_durable_queues", "true")]),
    ("with quorum queues", false, &[("rabbit_quorum_queue", "true")]),
];

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
    let (mut tried, mut wrong, mut heads, mut signed) = (BTreeSet::new(), Vec::new(), Vec::new(), 0);
    let hypervisor = rig.uri();
    let common = Pass {
        python: &args.python,
        daemon: &args.daemon,
        cache: &args.cache,
        folder: folder.path(),
        hypervisor: &hypervisor,
        report_stopped: false,
        rabbit: &[],
    };
    for (number, (name, report_stopped, rabbit)) in (1..).zip(PASSES) {
        let folder = folder.path().join(number.to_string());
        let pass = Pass { folder: &folder, report_stopped, rabbit, ..common };
        step(&format!("{name}: wasmeter measures"));
        let before = pass.ours(&broker, "before")?;
        step(&format!("{name}: Ceilometer measures"));
        let theirs = pass.theirs(&broker, &mut tried)?;
        step(&format!("{name}: wasmeter measures again"));
        let after = pass.ours(&broker, "after")?;
        comparison.add(&before.samples, &theirs.samples, &after.samples);
        signed += before.signed + theirs.signed + after.signed;
        println!("         both declare {}", theirs.declared.join("\n                      "));
        wrong.extend([&before, &after].into_iter().flat_map(|ours| messages(name, ours, &theirs)));
        heads = theirs.heads;
    }
    step("Ceilometer's notification agent consumes what wasmeter publishes");
    let root = folder.path();
    let folder = root.join("consumer");
    let (consumed, lost) = Pass { folder: &folder, report_stopped: true, ..common }.consumed(&broker)?;
    wrong.extend(lost);
    step("for Prometheus: both show what they measure");
    guests::end_odd(&rig)?;
    let exported = Pass { folder: &root.join("exported"), ..common }.exported(&broker)?;
    step("all is compared");
    println!("\n{exported}\n{}", report::text(&comparison, &tried));
    heads.iter().for_each(|head| println!("Messages of both, ids and times masked: {head:#?}"));
    println!("Of {signed} signatures Ceilometer rejects none.");
    println!("Ceilometer's notification agent was sent {consumed} samples and wrote them all, but for:");
    for (field, instead, reason) in EXCEPTIONS {
        let becomes = instead.map_or_else(|| "is left out".to_owned(), |value| format!("becomes {value}"));
        println!("  {field} {becomes}: {reason}");
    }
    wrong.iter().for_each(|wrong| println!("\nDIFFERENT: {wrong}"));
    Ok(comparison.is_fine() && exported.is_fine() && wrong.is_empty())
}

/// What differs between messages, and between what was declared for them.
fn messages(name: &str, ours: &Published, theirs: &Published) -> Vec<String> {
    let mut wrong = Vec::new();
    if ours.heads != theirs.heads || ours.heads.len() != 1 {
        wrong.push(format!("{name}: messages of wasmeter {:#?}\nand of Ceilometer {:#?}", ours.heads, theirs.heads));
    }
    if ours.declared != theirs.declared {
        wrong.push(format!("{name}: wasmeter declares {:#?}\nCeilometer {:#?}", ours.declared, theirs.declared));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Head;

    #[test]
    fn messages_and_declarations_count() {
        let head = |outer: &str| Head { addressed: "a".into(), outer: outer.into(), inner: "i".into() };
        let published = |heads: &[Head], declared: &str| Published {
            samples: Vec::new(),
            heads: heads.to_vec(),
            declared: vec![declared.to_owned()],
            signed: 0,
        };
        let ours = published(&[head("o")], "d");
        for (theirs, wrong) in [
            (published(&[head("o")], "d"), 0),
            (published(&[head("p")], "d"), 1),
            (published(&[head("o"), head("p")], "d"), 1),
            (published(&[], "d"), 1),
            (published(&[head("o")], "e"), 1),
            (published(&[], ""), 2),
        ] {
            assert_eq!(messages("", &ours, &theirs).len(), wrong, "{theirs:?}");
        }
        assert_eq!(messages("", &published(&[], "d"), &published(&[], "d")).len(), 1);
    }
}
