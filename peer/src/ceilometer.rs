//! Ceilometer's compute agent.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use wasmeter_rig::{Delivery, Vhost};

use crate::agent::Agent;
use crate::{Failed, Processes};

/// The queue that the agent fills, also without anybody who reads it.
pub const QUEUE: &str = "notifications.sample";
/// What samples are signed with.
pub const SECRET: &str = "secret";
/// The library that starts the agent's cycles says this when one begins.
const BEGINS: &str = "futurist.periodics Submitting";
/// The agent says this after each of its pollsters; the name follows.
const POLLED: &str = "ceilometer.polling.manager Finished polling pollster ";
/// The agent says this before each of its pollsters; the name follows.
const POLLS: &str = "ceilometer.polling.manager Polling pollster ";

/// How to run the agent.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The Python of the environment that it is in.
    pub python: &'a Path,
    /// For its files.
    pub folder: &'a Path,
    /// Whose guests it polls.
    pub libvirt: &'a str,
    /// What it calls this host.
    pub host: &'a str,
    /// Whether guests that are shut off give what they can.
    pub report_stopped: bool,
    /// In seconds, from the beginning of one cycle to that of the next.
    pub interval: u32,
    /// The port at which it shows Prometheus what it measures, if it shall.
    pub exporter: Option<u16>,
    /// Options of oslo.messaging's driver for RabbitMQ, by name.
    pub rabbit: &'a [(&'a str, &'a str)],
}

/// The agent at work. Dropping it ends it.
#[derive(Debug)]
pub struct Ceilometer {
    agent: Agent,
}

/// One of its cycles, from before its discovery until the last message is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycle {
    /// How long it took.
    pub took: Duration,
    /// The pollsters that it polled with success.
    pub pollsters: Vec<String>,
}

// === impl Ceilometer ===

impl Ceilometer {
    /// Starts it. All its meters are polled.
    ///
    /// # Errors
    ///
    /// If files or processes cannot be made.
    pub fn start(options: Options<'_>, broker: &Vhost<'_>) -> Result<Self, Failed> {
        const WHAT: &str = "Ceilometer cannot be started";
        let folder = options.folder;
        fs::create_dir_all(folder).map_err(Failed::io(WHAT))?;
        let polling = folder.join("polling.yaml");
        let sources = format!("sources: [{{name: all, interval: {}, meters: ['*']}}]\n", options.interval);
        fs::write(&polling, sources).map_err(Failed::io(WHAT))?;
        let program = options.python.with_file_name("ceilometer-polling");
        let configuration = options.configuration(&polling, broker);
        let agent = Agent::start(&program, &["--polling-namespaces", "compute"], folder, &configuration)?;
        Ok(Self { agent })
    }

    /// Waits until so many cycles are done, and gives them. One is done when the next begins.
    ///
    /// # Errors
    ///
    /// If it ends, or takes too long.
    pub fn cycles(&mut self, wanted: usize, limit: Duration) -> Result<Vec<Cycle>, Failed> {
        self.agent.wait("a cycle of Ceilometer's", limit, |agent| {
            let mut cycles = cycles(&agent.said());
            let done = cycles.len() > wanted;
            cycles.truncate(wanted);
            Ok(done.then_some(cycles))
        })
    }

    /// Which of its cycles is over, if none goes on.
    #[must_use]
    pub fn rests_after(&self) -> Option<usize> {
        let cycles = cycles(&self.agent.said());
        let all = |cycle: Option<&Cycle>| cycle.map(|cycle| cycle.pollsters.len());
        (cycles.len() > 1 && all(cycles.first()) == all(cycles.last())).then_some(cycles.len())
    }

    /// The pollsters that it has tried.
    #[must_use]
    pub fn tried(&self) -> BTreeSet<String> {
        self.agent.said().lines().filter_map(|line| named(line, POLLS)).collect()
    }

    /// Its processes.
    #[must_use]
    pub fn processes(&self) -> Processes {
        Processes::from(self.agent.id())
    }

    /// Asks it to end, waits for that, and gives the messages in the order in which it sent them.
    ///
    /// # Errors
    ///
    /// If it does not end, or the queue cannot be read.
    pub fn messages(mut self, broker: &Vhost<'_>) -> Result<Vec<Delivery>, Failed> {
        self.agent.end()?;
        Ok(broker.drain(QUEUE)?)
    }
}

// === impl Options ===

impl Options<'_> {
    fn configuration(&self, polling: &Path, broker: &Vhost<'_>) -> String {
        let exporter = self
            .exporter
            .map(|port| format!("enable_prometheus_exporter = true\nprometheus_listen_addresses = 127.0.0.1:{port}\n"));
        format!(
            "\
[DEFAULT]
host = {host}
libvirt_uri = {libvirt}
transport_url = {broker}
# One line at the beginning of each cycle; else what the agent says by default.
default_log_levels = futurist.periodics=DEBUG,ceilometer=INFO,amqp=WARNING,oslo.messaging=WARNING
log_date_format = %s
logging_default_format_string = %(asctime)s.%(msecs)03d %(name)s %(message)s
logging_context_format_string = %(asctime)s.%(msecs)03d %(name)s %(message)s
[compute]
instance_discovery_method = libvirt_metadata
fetch_extra_metadata = false
report_stopped_instance_metrics = {report_stopped}
[polling]
cfg_file = {polling}
{exporter}[publisher]
telemetry_secret = {SECRET}
[oslo_messaging_rabbit]
{rabbit}
[oslo_concurrency]
lock_path = {folder}
# There is no Keystone: without these two lines every pollster is skipped for want of one.
[service_credentials]
auth_type = none
endpoint = http://127.0.0.1:9
",
            host = self.host,
            libvirt = self.libvirt,
            broker = broker.url(),
            polling = polling.display(),
            folder = self.folder.display(),
            rabbit = self.rabbit.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join("\n"),
            report_stopped = self.report_stopped,
            exporter = exporter.unwrap_or_default(),
        )
    }
}

/// The cycles that a log tells of; the last one may still go on.
fn cycles(log: &str) -> Vec<Cycle> {
    let mut cycles: Vec<(f64, Cycle)> = Vec::new();
    for line in log.lines() {
        let Some(at) = line.split(' ').next().and_then(|at| at.parse::<f64>().ok()) else { continue };
        if line.contains(BEGINS) {
            cycles.push((at, Cycle { took: Duration::ZERO, pollsters: Vec::new() }));
        } else if let (Some(name), Some((begun, cycle))) = (named(line, POLLED), cycles.last_mut()) {
            cycle.took = Duration::from_secs_f64((at - *begun).max(0.0));
            cycle.pollsters.push(name);
        }
    }
    cycles.into_iter().map(|(_, cycle)| cycle).collect()
}

/// The pollster that a line names after these words.
fn named(line: &str, words: &str) -> Option<String> {
    let (_, name) = line.split_once(words)?;
    Some(name.split(' ').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_in_the_log() {
        let log = "\
1795182000.100 futurist.periodics Submitting immediate callback 'task'
1795182000.200 ceilometer.polling.manager Polling pollster cpu in the context of all
1795182000.350 ceilometer.polling.manager Finished polling pollster cpu in the context of all
Traceback (most recent call last):
1795182001.600 ceilometer.polling.manager Finished polling pollster vcpus in the context of all
1795182005.100 futurist.periodics Submitting periodic callback 'task'
";
        let found = cycles(log);
        assert_eq!(
            found[0],
            Cycle { took: Duration::from_millis(1500), pollsters: vec!["cpu".into(), "vcpus".into()] }
        );
        assert_eq!(found[1], Cycle { took: Duration::ZERO, pollsters: vec![] });
    }
}
