//! wasmeter's own run.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use wasmeter_peer::SECRET;
use wasmeter_rig::Vhost;

use crate::series::scrape;

/// A meter of which nothing is known before a second cycle.
const OF_SECOND_CYCLE: &str = "\nceilometer_network_incoming_bytes_delta{";
/// For two cycles, the start included.
const PAGE_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

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
        let log = self.file("wasmeter.log");
        let options: Vec<_> = self.rabbit.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let (url, options) = (self.broker.url(), options.join(", "));
        let outputs = format!(
            "schedule: {{drain: 60s}}\noutputs:\n- {{file: samples.jsonl, max_size: 1GiB}}\n\
             - notifier: {{url: {url:?}, secret: {SECRET}, options: {{{options}}}}}"
        );
        let status = self.command(&outputs)?.args(["--cycles", "2"]).status()?;
        if !status.success() {
            return Err(format!("wasmeter: {status}; its log says:\n{}", fs::read_to_string(&log)?).into());
        }
        Ok(fs::read_to_string(self.file("samples.jsonl"))?)
    }

    /// What it shows Prometheus after a second cycle.
    pub fn page(&self) -> Result<String, Box<dyn Error>> {
        let mut daemon = Ended(self.command("metrics: {listen: '127.0.0.1:0'}")?.spawn()?);
        let until = Instant::now() + PAGE_WITHIN;
        while Instant::now() < until && daemon.0.try_wait()?.is_none() {
            thread::sleep(PAUSE);
            let log = fs::read_to_string(self.file("wasmeter.log"))?;
            let said = log.lines().find(|line| line.contains("Metrics are at /metrics"));
            let Some((_, rest)) = said.and_then(|line| line.split_once("address=")) else { continue };
            let page = scrape(rest.split(' ').next().unwrap_or_default())?;
            if page.contains(OF_SECOND_CYCLE) {
                fs::write(self.file("page"), &page)?;
                return Ok(page);
            }
        }
        Err(format!("wasmeter shows nothing; its log says:\n{}", fs::read_to_string(self.file("wasmeter.log"))?).into())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The command, its files and this in its configuration.
    fn command(&self, more: &str) -> Result<Command, Box<dyn Error>> {
        fs::create_dir_all(self.folder)?;
        let Self { cache, hypervisor, host, report_stopped, interval, .. } = self;
        let file = |name: &str| self.file(name);
        fs::write(file("polling.yaml"), format!("sources: [{{name: all, interval: {interval}, meters: ['*']}}]\n"))?;
        let configuration = format!(
            "host: {host}\nhypervisor: {hypervisor:?}\npolling: polling.yaml\nsandbox: {{cache: {cache:?}}}\n\
             spool: {{path: spool}}\ncontrol: {{socket: control.sock}}\nguests: {{report_stopped: {report_stopped}}}\n{more}\n"
        );
        fs::write(file("wasmeter.yaml"), configuration)?;
        let mut command = Command::new(self.daemon);
        command
            .args(["run", "--config"])
            .arg(file("wasmeter.yaml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(file("wasmeter.log"))?);
        Ok(command)
    }
}

/// A process that ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
