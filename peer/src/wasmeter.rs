//! wasmeter's own run.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use wasmeter_peer::SECRET;
use wasmeter_rig::Vhost;

/// How to run wasmeter.
#[derive(Debug)]
pub struct Wasmeter<'a> {
    /// Its binary.
    pub daemon: &'a Path,
    /// Where it keeps compiled modules.
    pub cache: &'a Path,
    /// For its files.
    pub folder: &'a Path,
    /// Whose guests it measures.
    pub hypervisor: &'a str,
    /// What it calls this host.
    pub host: &'a str,
    /// Whether guests that are shut off give what they can.
    pub report_stopped: bool,
    /// In seconds.
    pub interval: u32,
    /// Where it publishes.
    pub broker: &'a Vhost<'a>,
    /// Options of oslo.messaging's driver for RabbitMQ, by name.
    pub rabbit: &'a [(&'a str, &'a str)],
}

// === impl Wasmeter ===

impl Wasmeter<'_> {
    /// Two cycles of all of Ceilometer's meters, all published. Gives what it wrote into a file besides: lines of JSON.
    pub fn run(&self) -> Result<String, Box<dyn Error>> {
        fs::create_dir_all(self.folder)?;
        let file = |name: &str| self.folder.join(name);
        let interval = self.interval;
        fs::write(file("polling.yaml"), format!("sources: [{{name: all, interval: {interval}, meters: ['*']}}]\n"))?;
        fs::write(file("wasmeter.yaml"), self.configuration())?;
        let log = file("wasmeter.log");
        let status = Command::new(self.daemon)
            .args(["run", "--cycles", "2", "--config"])
            .arg(file("wasmeter.yaml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .status()?;
        if !status.success() {
            return Err(format!("wasmeter: {status}; its log says:\n{}", fs::read_to_string(&log)?).into());
        }
        Ok(fs::read_to_string(file("samples.jsonl"))?)
    }

    fn configuration(&self) -> String {
        let Self { cache, hypervisor, host, report_stopped, .. } = self;
        let options: Vec<_> = self.rabbit.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        format!(
            "\
host: {host}
hypervisor: {hypervisor:?}
polling: polling.yaml
schedule: {{drain: 60s}}
spool: {{path: {spool:?}}}
sandbox: {{cache: {cache:?}}}
guests: {{report_stopped: {report_stopped}}}
outputs:
- {{file: samples.jsonl, max_size: 1GiB}}
- notifier: {{url: {url:?}, secret: {SECRET}, options: {{{options}}}}}
",
            spool = self.folder.join("spool"),
            url = self.broker.url(),
            options = options.join(", "),
        )
    }
}
