//! Ceilometer's notification agent, which reads what compute agents send.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use wasmeter_rig::Vhost;

use crate::Failed;
use crate::agent::Agent;
use crate::ceilometer::{QUEUE, SECRET};

/// It takes about five seconds.
const STARTS_WITHIN: Duration = Duration::from_secs(90);

/// How to run the notification agent.
#[derive(Debug, Clone, Copy)]
pub struct NotificationOptions<'a> {
    /// The Python of the environment that it is in.
    pub python: &'a Path,
    /// For its files.
    pub folder: &'a Path,
    /// Where it reaches the broker.
    pub url: &'a str,
}

/// The agent at work: samples only, no events. Dropping it ends it.
#[derive(Debug)]
pub struct Notification {
    agent: Agent,
    file: PathBuf,
}

// === impl Notification ===

impl Notification {
    /// Starts it, and waits until it reads from the virtual host.
    ///
    /// # Errors
    ///
    /// If files or processes cannot be made, it ends, or takes too long.
    pub fn start(options: NotificationOptions<'_>, vhost: &Vhost<'_>) -> Result<Self, Failed> {
        const WHAT: &str = "Ceilometer's files cannot be written";
        let folder = options.folder;
        fs::create_dir_all(folder).map_err(Failed::io(WHAT))?;
        let file = folder.join("samples.jsonl");
        let pipeline = folder.join("pipeline.yaml");
        let sinks = format!(
            "sources: [{{name: all, meters: ['*'], sinks: [file]}}]\n\
             sinks: [{{name: file, publishers: ['file://{}?json']}}]\n",
            file.display()
        );
        fs::write(&pipeline, sinks).map_err(Failed::io(WHAT))?;
        let configuration = format!(
            "\
[DEFAULT]
transport_url = {url}
pipeline_cfg_file = {pipeline}
[notification]
pipelines = meter
[publisher]
telemetry_secret = {SECRET}
[oslo_concurrency]
lock_path = {folder}
",
            url = options.url,
            pipeline = pipeline.display(),
            folder = folder.display(),
        );
        let program = options.python.with_file_name("ceilometer-agent-notification");
        let mut agent = Agent::start(&program, &[], folder, &configuration)?;
        agent.wait("the start of Ceilometer's notification agent", STARTS_WITHIN, |_| {
            // Until then there may be no such queue.
            Ok(matches!(vhost.consumers(QUEUE), Ok(1..)).then_some(()))
        })?;
        Ok(Self { agent, file })
    }

    /// The file that it writes: a line of JSON for each sample, with Ceilometer's inner names, such as `volume`.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Waits until it has written so many samples, and gives all that there are.
    ///
    /// # Errors
    ///
    /// If it ends, takes too long, or the file cannot be understood.
    pub fn samples(&mut self, at_least: usize, limit: Duration) -> Result<Vec<Value>, Failed> {
        let file = self.file.clone();
        self.agent.wait("a sample of Ceilometer's", limit, |_| {
            // It may not be there yet.
            let samples = samples(&fs::read_to_string(&file).unwrap_or_default())?;
            Ok((samples.len() >= at_least).then_some(samples))
        })
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Errors
    ///
    /// If it does not end.
    pub fn stop(mut self) -> Result<(), Failed> {
        self.agent.end()
    }
}

/// The samples in what it wrote. The last line may not be whole yet.
fn samples(written: &str) -> Result<Vec<Value>, Failed> {
    let whole = written.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    Ok(whole.map(serde_json::from_str).collect::<Result<_, _>>()?)
}
