//! A bare loop that publishes ready bytes with confirms, by a library for AMQP.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use wasmeter::publish::notifier::amqp::{EXCHANGE, WINDOW};
use wasmeter_peer::QUEUE;
use wasmeter_rig::Rabbit;
use wasmeter_rig::lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueuePurgeOptions};
use wasmeter_rig::lapin::types::FieldTable;
use wasmeter_rig::lapin::{BasicProperties, Connection, ConnectionProperties};

use super::Cost;
use crate::measure::cpu;

/// Empties the queue, publishes the bodies of so many records until all is confirmed, and empties the queue again.
pub async fn round(rabbit: &Rabbit, bodies: &[Bytes], records: usize, samples: usize) -> Result<Cost, Box<dyn Error>> {
    let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", rabbit.port());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    channel.queue_purge(QUEUE.into(), QueuePurgeOptions::default()).await?;
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_headers(FieldTable::default())
        .with_delivery_mode(2)
        .with_priority(0);
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let (begin, used) = (Instant::now(), cpu());
    let mut confirms = VecDeque::new();
    for body in (0..records).flat_map(|_| bodies) {
        let published = channel.basic_publish(EXCHANGE.into(), QUEUE.into(), options, body, properties.clone());
        confirms.push_back(published.await?);
        if confirms.len() >= WINDOW
            && let Some(confirm) = confirms.pop_front()
        {
            confirm.await?;
        }
    }
    for confirm in confirms {
        confirm.await?;
    }
    let (took, used) = (begin.elapsed().as_secs_f64(), cpu() - used);
    let there = channel.queue_purge(QUEUE.into(), QueuePurgeOptions::default()).await?;
    if there as usize != records * bodies.len() {
        return Err(format!("{there} messages are in the queue after {}", records * bodies.len()).into());
    }
    connection.close(200, "".into()).await?;
    let samples = (records * samples) as f64;
    Ok(Cost { rate: samples / took, cpu: used * 1e6 / samples })
}
