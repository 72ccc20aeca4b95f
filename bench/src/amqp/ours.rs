//! wasmeter's own way.

use std::convert::Infallible;
use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use wasmeter::config::daemon::Format;
use wasmeter::pipeline::Slot;
use wasmeter::publish::encode::Encoder;
use wasmeter::publish::notifier::MADE_AT_ONCE;
use wasmeter::publish::notifier::amqp::{Config, Outcome, Publisher};
use wasmeter::publish::notifier::messages::Messages;
use wasmeter::publish::notifier::signature::Signer;
use wasmeter::publish::notifier::transport_url::{Options, TransportUrl};
use wasmeter::spool::log::Sequence;
use wasmeter::spool::{Delivery, record};

use super::{BATCH, Cost};
use crate::measure::cpu;

/// Reads the record, signs its samples and publishes them, so many times, until all is confirmed.
pub async fn round(
    url: &str,
    payload: &[u8],
    records: usize,
    samples: usize,
    signer: &Signer,
) -> Result<Cost, Box<dyn Error>> {
    let mut signer = signer.clone();
    let mut publisher =
        Publisher::new(Config::of_samples(TransportUrl::parse(url, Options::default())?, &["notifications"]))?;
    while !matches!(publisher.next().await, Outcome::Connected(_)) {}
    let (begin, used) = (Instant::now(), cpu());
    let (mut sent, mut arrived) = (0_u64, 0_u64);
    let mut messages = (0..records as u64).map(|number| messages(payload, number));
    let mut current = None;
    loop {
        let mut made = 0;
        // As the notifier does: the connection is looked at in between.
        while publisher.has_room() && made < MADE_AT_ONCE {
            made += 1;
            if current.is_none() {
                current = messages.next().transpose()?;
            }
            let Some(record) = &mut current else { break };
            match Messages::next(record, &mut signer) {
                Some(message) => {
                    sent += 1;
                    publisher.send(sent, message);
                }
                None => current = None,
            }
        }
        if arrived == sent {
            break;
        }
        tokio::select! {
            biased;
            outcome = publisher.next() => match outcome {
                Outcome::Delivered(number) => arrived = number,
                other => return Err(format!("the broker does not take messages: {other:?}").into()),
            },
            () = std::future::ready(()), if publisher.has_room() && current.is_some() => {}
        }
    }
    let (took, used) = (begin.elapsed().as_secs_f64(), cpu() - used);
    publisher.close().await;
    let samples = (records * samples) as f64;
    Ok(Cost { rate: samples / took, cpu: used * 1e6 / samples })
}

fn messages(payload: &[u8], number: u64) -> Result<Messages, record::Unreadable> {
    let delivery = Delivery { sequence: Sequence(number), time: 0, checksum: 0, content: record::read(payload)? };
    Ok(Messages::of(delivery, BATCH, Format::Polling))
}

/// A record's messages.
pub fn bodies(payload: &[u8], signer: &mut Signer) -> Result<Vec<Bytes>, Box<dyn Error>> {
    let mut messages = messages(payload, 0)?;
    Ok(std::iter::from_fn(|| messages.next(signer)).collect())
}

/// A slot's samples as lines of JSON.
pub fn lines(slot: &Slot) -> String {
    let (mut encoder, mut out) = (Encoder::new(slot), String::new());
    for samples in &slot.samples {
        let Ok(()) = encoder.write::<Infallible>(samples, &mut out, |out| {
            out.push('\n');
            Ok(())
        });
    }
    out
}
