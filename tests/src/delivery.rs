//! Samples on their way to RabbitMQ and to others. Whatever happens to it, to the network, to the disk or to the daemon: a consumer
//! finds every sample, in order, and what was lost is counted.

mod disk;
pub mod killed;
mod metering;
mod network;
mod opentelemetry;
mod pipelines;
mod publisher;
mod rabbit;
mod receiver;
mod refused;
mod servers;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::Value;
use wasmeter::spool::log::{Account, Store};
use wasmeter_rig::Delivery;

use crate::support::program::{Daemon, Folder, samples_so_far, slots, text, until};

/// Where Ceilometer's notification agent reads.
const QUEUE: &str = "notifications.sample";
/// What RabbitMQ has taken outlives it, and nobody waits long before another try.
const OPTIONS: &str = "amqp_durable_queues: true, kombu_reconnect_delay: 0.1, rabbit_retry_interval: 0.1, \
                       rabbit_interval_max: 0.5";
/// Guests that only run.
const GUESTS: &str = "sim://?domains=5&seed=1&calm=true&disks=1&nics=1";
/// What a counter grew by, with what modules remember.
const GROWTH: &str = "transform:
- {meters: [network.incoming.bytes], module: delta, config: {target: {name: network.incoming.growth}}}";
/// What the daemon says when a connection is lost, or cannot be made.
const LOST: &str = "No connection to the broker";
const CONNECTED: &str = "Connected to the broker";

/// Samples as a consumer got them.
#[derive(Debug, Default)]
struct Arrived {
    /// In the order in which they came first.
    samples: Vec<Value>,
    /// Samples that came again.
    again: usize,
}

/// A folder of a daemon that publishes samples here, and writes them all into the file `samples`.
fn publishing(url: &str, options: &str, config: &str) -> Folder {
    publishing_of(GUESTS, url, options, config)
}

fn publishing_of(guests: &str, url: &str, options: &str, config: &str) -> Folder {
    let outputs = format!(
        "outputs:
- {{notifier: {{url: '{url}', batch_size: 50, secret: hush-hush, options: {{{OPTIONS}{options}}}}}}}
- {{file: samples, max_size: 1GiB}}"
    );
    Folder::measuring(guests, &format!("schedule: {{offset: 0s, drain: 60s}}\n{config}\n{outputs}"))
}

/// How often a log says something.
fn said(log: &str, words: &str) -> usize {
    log.matches(words).count()
}

/// Waits until the daemon has said something so many times.
fn until_said(daemon: &Daemon, words: &str, times: usize) {
    until(words, || (said(&daemon.log(), words) >= times).then_some(()));
}

/// Waits for so many slots more in the file.
fn until_measured(folder: &Folder, more: usize) {
    let count = || slots(&samples_so_far(&folder.read("samples"))).len();
    let before = count();
    until("more slots", || (count() > before + more).then_some(()));
}

/// The samples of a message of oslo.messaging, but for their signatures.
fn samples_of(body: &[u8]) -> Vec<Value> {
    let outer: Value = serde_json::from_slice(body).unwrap();
    let inner: Value = serde_json::from_str(text(&outer, "oslo.message")).unwrap();
    let mut samples = inner["payload"]["samples"].as_array().unwrap().clone();
    for sample in &mut samples {
        let signature = sample.as_object_mut().unwrap().remove("message_signature");
        assert_eq!(signature.unwrap().as_str().unwrap().len(), 64);
    }
    samples
}

/// The books of an output, as they were last settled.
fn account(spool: &Path, output: &str) -> Account {
    let dir = Dir::open_ambient_dir(spool, ambient_authority()).unwrap();
    let accounts = Store::look(dir).unwrap().accounts();
    accounts.into_iter().find(|account| account.cursor == output).unwrap()
}

/// After the daemon has ended: what was measured was delivered, waits, or is lost. Returns how many samples wait and
/// are lost.
fn balance(spool: &Path, measured: &[Value], arrived: &Arrived) -> (u64, u64) {
    let file = account(spool, "file:samples");
    let notifier = account(spool, "notifier");
    for account in [&file, &notifier] {
        assert!(account.balances(), "{account:?}");
        assert_eq!(account.appended.counts.samples(), measured.len() as u64, "{account:?}");
    }
    assert_eq!(file.acknowledged, file.appended);
    let (delivered, lost) = (notifier.acknowledged.counts.samples(), notifier.lost().counts.samples());
    assert!(arrived.samples.len() as u64 >= delivered, "{} arrived, {notifier:?}", arrived.samples.len());
    assert!(measured.len() as u64 - arrived.samples.len() as u64 <= notifier.held.counts.samples() + lost);
    (notifier.held.counts.samples(), lost)
}

/// After the daemon has ended: what was measured was delivered, waits, or is lost, and the file lacks nothing. Returns
/// how many samples of an output wait, and how many are lost by cause.
fn books(folder: &Folder, output: &str, measured: &[Value]) -> (u64, BTreeMap<&'static str, u64>) {
    let spool = folder.path("spool");
    let (file, account) = (account(&spool, "file:samples"), account(&spool, output));
    for account in [&file, &account] {
        assert!(account.balances(), "{account:?}");
    }
    assert_eq!(file.acknowledged, file.appended, "the file is disturbed");
    assert_eq!(file.appended.counts.samples(), measured.len() as u64);
    let lost = account.dropped.iter().map(|(cause, total)| (cause.as_str(), total.counts.samples()));
    let lost: BTreeMap<_, _> = lost.filter(|(_, samples)| *samples > 0).collect();
    (account.held.counts.samples(), lost)
}

/// A configuration with these outputs, as a list of YAML, and a file beside them.
fn sending(guests: &str, outputs: &str, config: &str) -> Folder {
    let outputs = format!("outputs:\n- {{file: samples, max_size: 1GiB}}\n{outputs}");
    Folder::measuring(guests, &format!("schedule: {{offset: 0s, drain: 60s}}\n{config}\n{outputs}"))
}

// === impl Arrived ===

impl Arrived {
    /// What these messages brought. What comes again is what came before.
    fn of(deliveries: &[Delivery]) -> Self {
        let mut arrived = Self::default();
        arrived.take(deliveries);
        arrived
    }

    /// What came after that.
    fn take(&mut self, deliveries: &[Delivery]) {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (place, sample) in self.samples.iter().enumerate() {
            places.insert(text(sample, "message_id").to_owned(), place);
        }
        for sample in deliveries.iter().flat_map(|delivery| samples_of(&delivery.body)) {
            match places.get(text(&sample, "message_id")) {
                Some(place) => {
                    assert_eq!(self.samples[*place], sample, "two samples of the same id");
                    self.again += 1;
                }
                None => {
                    places.insert(text(&sample, "message_id").to_owned(), self.samples.len());
                    self.samples.push(sample);
                }
            }
        }
    }

    /// All that was measured came, nothing else did, and each meter of a resource came in order.
    fn is_all(&self, measured: &[Value]) {
        assert!(!measured.is_empty());
        self.is_part(measured);
        let missing = measured.len() - self.samples.len();
        assert_eq!(missing, 0, "of {} samples did not come", measured.len());
    }

    /// What came was measured, and came in order.
    fn is_part(&self, measured: &[Value]) {
        let all: BTreeMap<&str, &Value> = measured.iter().map(|sample| (text(sample, "message_id"), sample)).collect();
        assert_eq!(all.len(), measured.len(), "each has an id of its own");
        let mut last: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for sample in &self.samples {
            let measured = all[text(sample, "message_id")];
            assert!(is_measured(sample, measured), "{sample} came, {measured} was measured");
            let (series, time) =
                ((text(sample, "resource_id"), text(sample, "counter_name")), text(sample, "timestamp"));
            let before = last.insert(series, time);
            assert!(before.is_none_or(|before| before < time), "{series:?} of {before:?} came before that of {time}");
        }
    }

    /// The slots of which something came.
    fn times(&self) -> BTreeSet<&str> {
        self.samples.iter().map(|sample| text(sample, "timestamp")).collect()
    }
}

/// Whether this is what was measured, but for a delta that has another one's volume with its own.
fn is_measured(sample: &Value, measured: &Value) -> bool {
    let mut expected = measured.clone();
    if sample["counter_type"] == "delta" {
        expected["counter_volume"] = sample["counter_volume"].clone();
    }
    *sample == expected
}

/// The samples of a file whose writer was killed now and then: some come again, and so many lines may be broken.
pub fn samples_of_killed(text_of_file: &str, kills: usize) -> Vec<Value> {
    let (mut seen, mut samples, mut broken) = (BTreeSet::new(), Vec::new(), 0);
    for line in text_of_file.lines() {
        match serde_json::from_str::<Value>(line) {
            Ok(sample) if !seen.insert(text(&sample, "message_id").to_owned()) => {}
            Ok(sample) => samples.push(sample),
            Err(_) => broken += 1,
        }
    }
    assert!(broken <= kills, "{broken} broken lines after {kills} kills");
    samples
}
