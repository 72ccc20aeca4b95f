//! wasmeter's own run.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

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
}

// === impl Wasmeter ===

impl Wasmeter<'_> {
    /// Two cycles of all of Ceilometer's meters, as lines of JSON.
    pub fn run(&self) -> Result<String, Box<dyn Error>> {
        fs::create_dir_all(self.folder)?;
        let Self { cache, hypervisor, host, report_stopped, interval, .. } = self;
        let file = |name: &str| self.folder.join(name);
        fs::write(file("polling.yaml"), format!("sources: [{{name: all, interval: {interval}, meters: ['*']}}]\n"))?;
        let configuration = format!(
            "host: {host}\nhypervisor: {hypervisor:?}\npolling: polling.yaml\nsandbox: {{cache: {cache:?}}}\n\
             guests: {{report_stopped: {report_stopped}}}\noutputs: [{{file: samples.jsonl, max_size: 1GiB}}]\n"
        );
        fs::write(file("wasmeter.yaml"), configuration)?;
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
}
