//! Samples into a real RabbitMQ, with persistent messages and confirms: wasmeter's own way from a record of the spool
//! to the last confirm, beside oslo.messaging with Ceilometer's signing, and beside a bare loop over another library.
//!
//! All send the same samples to the same durable queue, which is emptied between them. They take turns, so that a
//! machine that is busier for a while is so for all.

mod bare;
mod ceilometer;
mod ours;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Builder;
use wasmeter::pipeline::Slot;
use wasmeter::publish::notifier::signature::Signer;
use wasmeter::spool::memory::Memory;
use wasmeter::spool::record;
use wasmeter_rig::Rabbit;

use crate::cycle;
use crate::measure::{Bars, Outcome, median, took};

/// Guests of the simulated host.
const GUESTS: u32 = 200;
/// Samples in a message, by default on both sides.
const BATCH: usize = 50;
/// How many samples are sent in a round; oslo.messaging sends fewer, as it takes longer.
const SAMPLES: usize = 100_000;
const SAMPLES_OF_THEIRS: usize = 20_000;
/// Rounds are long, so there are fewer.
const ROUNDS: usize = 4;
/// What samples are signed with: as long as Ceilometer's default.
const SECRET: &str = "change this for valid signing";

/// What a round takes.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Samples a second.
    rate: f64,
    /// Own CPU time of a sample, in microseconds.
    cpu: f64,
}

/// Runs it.
pub fn run(rounds: usize, python: &Path, bars: &mut Bars) -> Outcome {
    let slot = slot()?;
    let (_, payload) = record::of_slot(&slot, &Memory::default());
    let rabbit = Rabbit::start()?;
    let url = format!("{}?amqp_durable_queues=true", rabbit.vhost().url());
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let their_samples = folder.path().join("samples.jsonl");
    std::fs::write(&their_samples, ours::lines(&slot))?;

    let mut signer = Signer::new(SECRET);
    let (made, bodies) = took(|| ours::bodies(&payload, &mut signer));
    let bodies: Vec<Bytes> = bodies?;
    let bytes: usize = bodies.iter().map(Bytes::len).sum();
    println!(
        "{} samples of {GUESTS} guests in a record of {} bytes, {} messages of {} bytes",
        slot.len(),
        payload.len(),
        bodies.len(),
        bytes / bodies.len().max(1)
    );
    bars.note("reading the record, signing, and messages, once", made * 1e6 / slot.len() as f64, "us/sample");
    let records = SAMPLES.div_ceil(slot.len());
    let (mut ours, mut bare, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    // The first round declares everything, and does not count.
    for round in 0..=rounds.div_ceil(ROUNDS) {
        let counted = [
            runtime.block_on(ours::round(&url, &payload, records, slot.len(), &signer))?,
            runtime.block_on(bare::round(&rabbit, &bodies, records, slot.len()))?,
            ceilometer::round(python, &url, &their_samples)?,
        ];
        if round > 0 {
            let [our, their_bare, their] = counted;
            ours.push(our);
            bare.push(their_bare);
            theirs.push(their);
        }
    }
    print("wasmeter", &ours, bars);
    print("a bare loop of lapin's", &bare, bars);
    print("oslo.messaging", &theirs, bars);
    let cpu = ratio(&ours, &theirs, |cost| cost.cpu);
    bars.at_most("own CPU time of a sample, of oslo.messaging's", 100.0 * cpu, 100.0 / 14.0, "%");
    bars.at_least("samples a second, of oslo.messaging's", ratio(&ours, &theirs, |cost| cost.rate), 3.0, "times");
    bars.at_least("samples a second, of the bare loop's", 100.0 * ratio(&ours, &bare, |cost| cost.rate), 80.0, "%");
    Ok(())
}

/// The second cycle, so that there are deltas.
fn slot() -> Result<Arc<Slot>, Box<dyn Error>> {
    let (sandbox, _cache) = cycle::sandbox()?;
    let mut host = cycle::Host::new(GUESTS, &sandbox)?;
    host.cycle()?;
    Ok(Arc::new(host.cycle()?.slot))
}

fn print(who: &str, costs: &[Cost], bars: &Bars) {
    let of = |get: fn(&Cost) -> f64| median(costs.iter().map(get).collect());
    bars.note(&format!("{who}: samples a second"), of(|cost| cost.rate), "/s");
    bars.note(&format!("{who}: own CPU time of a sample"), of(|cost| cost.cpu), "us");
}

/// The middle of what one takes of the other in each round.
fn ratio(of: &[Cost], to: &[Cost], get: fn(&Cost) -> f64) -> f64 {
    median(of.iter().zip(to).map(|(of, to)| get(of) / get(to)).collect())
}
