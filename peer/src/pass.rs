//! One comparison of the two, each with a virtual host of its own.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use wasmeter_peer::{Ceilometer, Notification, NotificationOptions, Options, QUEUE, SECRET, rejected};
use wasmeter_rig::{Delivery, Rabbit, Vhost};

use crate::sample::{self, Sample};
use crate::series::{Exported, Page, scrape};
use crate::wasmeter::Wasmeter;
use crate::wire::{self, Head, Message};
use crate::{consumer, declared};

/// What both call this host.
const HOST: &str = "peer-1.example";
/// In seconds. The first cycle gives no deltas, so there are two; nothing else waits for this.
const INTERVAL: u32 = 5;
/// For two cycles of Ceilometer's, its start included.
const CYCLES_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks at what goes on.
const PAUSE: Duration = Duration::from_millis(200);
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
        let mut agent = Ceilometer::start(self.options(&folder, None), &vhost)?;
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

    /// Compares what both show Prometheus.
    pub fn exported(&self, broker: &Rabbit) -> Result<Exported, Box<dyn Error>> {
        let vhost = broker.new_vhost()?;
        let ours = |name: &str| self.wasmeter(&vhost, &self.folder.join(name)).page();
        let (before, theirs, after) = (ours("before")?, self.their_page(&vhost)?, ours("after")?);
        Ok(Exported::compare(&Page::parse(&before)?, &Page::parse(&theirs)?, &Page::parse(&after)?))
    }

    /// What Ceilometer shows Prometheus between two of its cycles; during one, metrics come and go.
    fn their_page(&self, vhost: &Vhost<'_>) -> Result<String, Box<dyn Error>> {
        // Whoever else may have it in a moment is not of this test, and Ceilometer cannot choose one itself.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = self.folder.join("ceilometer");
        let mut agent = Ceilometer::start(self.options(&folder, Some(port)), vhost)?;
        agent.cycles(1, CYCLES_WITHIN)?;
        let until = Instant::now() + CYCLES_WITHIN;
        while Instant::now() < until {
            let rests = agent.rests_after();
            if rests.is_some() {
                let page = scrape(&format!("127.0.0.1:{port}"))?;
                if agent.rests_after() == rests {
                    fs::write(folder.join("page"), &page)?;
                    // What it sent meanwhile is nobody's.
                    agent.messages(vhost)?;
                    return Ok(page);
                }
            }
            thread::sleep(PAUSE);
        }
        Err("Ceilometer was never at rest".into())
    }

    fn options<'b>(&'b self, folder: &'b Path, exporter: Option<u16>) -> Options<'b> {
        Options {
            python: self.python,
            folder,
            libvirt: self.hypervisor,
            host: HOST,
            report_stopped: self.report_stopped,
            interval: INTERVAL,
            exporter,
            rabbit: self.rabbit,
        }
    }

    fn run(&self, vhost: &Vhost<'_>, folder: &Path) -> Result<String, Box<dyn Error>> {
        self.wasmeter(vhost, folder).run()
    }

    fn wasmeter<'b>(&'b self, vhost: &'b Vhost<'b>, folder: &'b Path) -> Wasmeter<'b> {
        Wasmeter {
            daemon: self.daemon,
            cache: self.cache,
            folder,
            hypervisor: self.hypervisor,
            host: HOST,
            report_stopped: self.report_stopped,
            interval: INTERVAL,
            broker: vhost,
            rabbit: self.rabbit,
        }
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
