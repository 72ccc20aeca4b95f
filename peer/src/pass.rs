//! One comparison of the two, each with a virtual host of its own.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use wasmeter_peer::{Ceilometer, Notification, NotificationOptions, Options, QUEUE, SECRET, rejected};
use wasmeter_rig::{Delivery, Rabbit, Vhost};

use crate::sample::{self, Sample};
use crate::wasmeter::Wasmeter;
use crate::wire::{self, Head, Message};
use crate::{consumer, declared};

/// What both call this host.
const HOST: &str = "peer-1.example";
/// In seconds. The first cycle gives no deltas, so there are two; nothing else waits for this.
const INTERVAL: u32 = 5;
/// For two cycles of Ceilometer's, its start included.
const CYCLES_WITHIN: Duration = Duration::from_secs(120);
/// For the notification agent to write all that was published; it takes a second.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

/// How both are configured.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// The Python of the environment that Ceilometer is in.
    pub python: &'a Path,
    /// wasmeter's binary.
    pub daemon: &'a Path,
    /// Where wasmeter keeps compiled modules.
    pub cache: &'a Path,
    /// For both sides' files.
    pub folder: &'a Path,
    /// Whose guests they measure.
    pub hypervisor: &'a str,
    /// Whether guests that are shut off give what they can.
    pub report_stopped: bool,
    /// Options of oslo.messaging's driver for RabbitMQ, by name.
    pub rabbit: &'a [(&'a str, &'a str)],
}

/// What one side published.
#[derive(Debug)]
pub struct Published {
    /// The samples of the second cycle.
    pub samples: Vec<Sample>,
    /// What messages say besides samples, each once.
    pub heads: Vec<Head>,
    /// Exchanges, queues and bindings.
    pub declared: Vec<String>,
    /// How many samples there are in all messages.
    pub signed: usize,
}

// === impl Pass ===

impl Pass<'_> {
    /// What wasmeter publishes. Its file has to say the same.
    pub fn ours(&self, broker: &Rabbit, name: &str) -> Result<Published, Box<dyn Error>> {
        let vhost = broker.new_vhost()?;
        let folder = self.folder.join(name);
        let written = self.run(&vhost, &folder)?;
        let published = self.published(&vhost, vhost.drain(QUEUE)?, &folder)?;
        let unsigned = |line: &str| {
            let (sample, signature) = line.rsplit_once(", \"message_signature\": \"")?;
            Some(sample.to_owned() + signature.strip_prefix(|_: char| true).and(Some("}"))?)
        };
        let messages = fs::read_to_string(folder.join("messages.jsonl"))?;
        let unsigned: Option<Vec<String>> = messages.lines().map(unsigned).collect();
        if unsigned.is_none_or(|unsigned| !unsigned.iter().eq(written.lines())) {
            return Err("what wasmeter published is not what it wrote into its file".into());
        }
        Ok(published)
    }

    /// What Ceilometer publishes. The meters that it tried to give are added to a list.
    pub fn theirs(&self, broker: &Rabbit, tried: &mut BTreeSet<String>) -> Result<Published, Box<dyn Error>> {
        let vhost = broker.new_vhost()?;
        let folder = self.folder.join("ceilometer");
        let options = Options {
            python: self.python,
            folder: &folder,
            libvirt: self.hypervisor,
            host: HOST,
            report_stopped: self.report_stopped,
            interval: INTERVAL,
            rabbit: self.rabbit,
        };
        let mut agent = Ceilometer::start(options, &vhost)?;
        agent.cycles(2, CYCLES_WITHIN)?;
        tried.extend(agent.tried());
        let messages = agent.messages(&vhost)?;
        self.published(&vhost, messages, &folder)
    }

    /// Lets Ceilometer's notification agent consume what wasmeter publishes. How many samples there were, and what is
    /// not as it should be.
    pub fn consumed(&self, broker: &Rabbit) -> Result<(usize, Vec<String>), Box<dyn Error>> {
        let vhost = broker.new_vhost()?;
        let options =
            NotificationOptions { python: self.python, folder: &self.folder.join("notification"), url: &vhost.url() };
        let mut agent = Notification::start(options, &vhost)?;
        let written = self.run(&vhost, &self.folder.join("consumed"))?;
        let count = written.lines().count();
        let arrived = agent.samples(count, WRITTEN_WITHIN)?;
        agent.stop()?;
        let mut differences = consumer::differences(&written, &arrived)?;
        if !vhost.drain(QUEUE)?.is_empty() {
            differences.push("the agent left messages in the queue".to_owned());
        }
        Ok((count, differences))
    }

    fn run(&self, vhost: &Vhost<'_>, folder: &Path) -> Result<String, Box<dyn Error>> {
        let wasmeter = Wasmeter {
            daemon: self.daemon,
            cache: self.cache,
            folder,
            hypervisor: self.hypervisor,
            host: HOST,
            report_stopped: self.report_stopped,
            interval: INTERVAL,
            broker: vhost,
            rabbit: self.rabbit,
        };
        wasmeter.run()
    }

    /// Reads messages, and has Ceilometer check all signatures.
    fn published(
        &self,
        vhost: &Vhost<'_>,
        messages: Vec<Delivery>,
        folder: &Path,
    ) -> Result<Published, Box<dyn Error>> {
        let messages = messages.iter().map(Message::of).collect::<Result<Vec<_>, _>>()?;
        let lines = wire::lines(&messages);
        fs::write(folder.join("messages.jsonl"), &lines)?;
        let (signed, rejected) = rejected(self.python, SECRET, &lines)?;
        if rejected > 0 || signed == 0 {
            return Err(format!("Ceilometer rejects the signatures of {rejected} of {signed} samples").into());
        }
        let (samples, heads) = (sample::second_cycle(&lines)?, wire::heads(&messages));
        Ok(Published { samples, heads, declared: declared::declared(vhost)?, signed })
    }
}
