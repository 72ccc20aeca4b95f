//! From the text of `wasmeter.yaml` to the configuration.

use std::path::{Path, PathBuf};

use super::{
    BUILT_IN_POLLING, Broker, Budget, Config, Control, GuestRules, HypervisorUri, Log, Metadata, Metrics, Output,
    Reader, Sandbox, Schedule, Spool, Store, Tenants, UrlDefaults, deployments, machine, modules,
};
use super::{file, polling::BUILT_IN};
use crate::config::pipeline::Pipelines;
use crate::config::polling::Polling;
use crate::config::problem::{Problems, Severity};
use crate::config::yaml::{self, Node, Section};

const KEYS: [&str; 22] = [
    "host",
    "hypervisor",
    "polling",
    "pipeline",
    "schedule",
    "reader",
    "sandbox",
    "modules",
    "transform",
    "budget",
    "tenants",
    "deployments",
    "trust",
    "spool",
    "store",
    "control",
    "broker",
    "outputs",
    "guests",
    "metadata",
    "metrics",
    "log",
];

/// Where there is no hypervisor named: guests that exist nowhere, to try wasmeter with.
const SIMULATED: &str = "sim://?domains=20&seed=1";

/// The longest name of a host: what POSIX allows.
const LONGEST_HOST: usize = 255;

/// Reads one section after the other, each with its keys and defaults.
pub(super) struct Reading<'a, 'p> {
    /// The file's folder; empty for the working folder.
    pub(super) folder: PathBuf,
    /// The whole file.
    root: Section<'a>,
    pub(super) problems: &'p mut Problems,
}

/// The configuration as far as it can be made out; what is wrong with it is added to `problems`.
pub(super) fn config(text: &str, path: Option<&Path>, problems: &mut Problems) -> Option<Config> {
    let tree = yaml::parse(text, problems)?;
    let root = Section::of(&tree, "", &KEYS, Severity::Error, problems)?;
    let folder = path.and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    let mut reading = Reading { folder, root, problems };
    let host = reading.host();
    let hypervisor = reading.hypervisor();
    let schedule = Schedule::read(&mut reading);
    let reader = Reader::read(&mut reading);
    let sandbox = Sandbox::read(&mut reading);
    let modules = modules::entries(&mut reading, &sandbox.limits);
    let transform = modules::transforms(&mut reading);
    let budget = Budget::read(&mut reading);
    let deployments = deployments::read(&mut reading);
    let root = reading.root();
    let trust = root.read("trust", reading.problems, |node| node.text()).map(|path| reading.path(path));
    let spool = Spool::read(&mut reading);
    let store = Store::read(&mut reading, &spool);
    let tenants = Tenants::read(&mut reading, &store.quota, budget.node);
    let control = Control::read(&mut reading, path.is_some());
    let broker = Broker::read(&mut reading);
    let outputs = Output::read(&mut reading, &host);
    let guests = GuestRules::read(&mut reading);
    let metadata = Metadata::read(&mut reading);
    let metrics = Metrics::read(&mut reading);
    let log = Log::read(&mut reading);
    let patterns = transform.iter().map(|transform| transform.meters.patterns().len()).sum();
    let Beside { polling_file, polling, pipeline_file, mut pipeline } = reading.beside(patterns);
    if broker.is_some() && !pipeline.as_ref().is_some_and(Pipelines::needs_broker) {
        reading.useless_broker();
    }
    if let Some(pipeline) = &mut pipeline {
        let mut problems = Problems::of(pipeline_file.as_deref());
        // Where `broker` is wrong, that is what is said.
        let is_known = broker.is_some() || reading.root().get("broker").is_none();
        let defaults = UrlDefaults { host: &host, folder: &reading.folder, broker: broker.as_ref(), outputs: &outputs };
        if is_known {
            pipeline.open(defaults, &mut problems);
        }
        reading.problems.extend(problems);
    }
    let file = path.map(Path::to_owned);
    Some(Config {
        file,
        host,
        hypervisor,
        polling_file,
        polling: polling?,
        pipeline_file,
        pipeline,
        schedule,
        reader,
        sandbox,
        modules,
        transform,
        budget,
        tenants,
        deployments,
        trust,
        spool,
        store,
        control,
        broker,
        outputs,
        guests,
        metadata,
        metrics,
        log,
    })
}

/// Ceilometer's files, as far as they are there and right.
struct Beside {
    polling_file: Option<PathBuf>,
    polling: Option<Polling>,
    pipeline_file: Option<PathBuf>,
    pipeline: Option<Pipelines>,
}

// === impl Reading ===

impl<'a> Reading<'a, '_> {
    /// A section of the file's top; an empty one if it is absent or refused.
    pub(super) fn section(&mut self, key: &str, known: &[&str]) -> Section<'a> {
        let node = self.root.get(key).unwrap_or(&Node::NULL);
        let section = Section::of(node, key, known, Severity::Error, self.problems);
        section.unwrap_or_else(|| Section::empty(key))
    }

    /// The whole file.
    pub(super) fn root(&self) -> Section<'a> {
        self.root.clone()
    }

    /// A path, from the file's folder if it is relative.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    fn host(&mut self) -> String {
        let host = self.root.read("host", self.problems, |node| match node.text()? {
            host if host.len() > LONGEST_HOST => Err(node.refuse("too long", "Write at most 255 letters")),
            host if host.contains(|c: char| c.is_control() || c.is_whitespace()) => {
                Err(node.refuse("not a host name", "Write it without blanks, such as compute-1"))
            }
            host => Ok(host.to_owned()),
        });
        host.or_else(machine::host_name).unwrap_or_else(|| {
            if self.root.get("host").is_none() {
                let message = "the machine's own name cannot be read";
                self.problems.error(
                    self.root.place,
                    "host",
                    message,
                    "Add `host: ` with the name that samples shall bear",
                );
            }
            String::new()
        })
    }

    fn hypervisor(&mut self) -> HypervisorUri {
        let place = self.root.get("hypervisor").and_then(|node| node.place);
        let uri = self.root.read("hypervisor", self.problems, |node| node.text().map(str::to_owned));
        HypervisorUri { uri: uri.unwrap_or_else(|| SIMULATED.to_owned()), place }
    }

    /// Says that nobody sends to the broker, as far as publishers could be read.
    fn useless_broker(&mut self) {
        let Some(entry) = self.root.entry("broker") else { return };
        if self.problems.has_errors() {
            return;
        }
        let message = "`broker` has no effect: no publisher of a `pipeline` is notifier://, udp:// or tcp://";
        let remedy = "Remove it; to send everything there, add a `notifier` to `outputs`";
        self.problems.warning(entry.place, "broker", message, remedy);
    }

    /// Reads Ceilometer's files last: their problems stand behind those of this file, which uses up so many patterns.
    fn beside(&mut self, mut patterns: usize) -> Beside {
        let polling = self.file("polling", "measure everything every 10 seconds");
        let pipeline = self.file("pipeline", "send all samples to all outputs");
        self.problems.sort();
        let mut problems = Problems::default();
        let (pipeline_file, text) = pipeline.unwrap_or_default();
        let pipeline = text.and_then(|text| {
            let file = pipeline_file.as_deref().unwrap_or(Path::new(""));
            kept(Pipelines::parse(&text, file, patterns, polling.is_some()), &mut problems)
        });
        patterns += pipeline.iter().flat_map(|of| &of.sources).map(|of| of.meters.patterns().len()).sum::<usize>();
        let (polling_file, polling) = match (polling, pipeline.as_ref().and_then(Pipelines::polling)) {
            (Some((file, text)), _) => {
                let path = file.as_deref().unwrap_or(Path::new(""));
                let polling = text.and_then(|text| kept(Polling::parse(&text, path, patterns), self.problems));
                (file, polling)
            }
            (None, Some(polling)) => (pipeline_file.clone(), Some(polling)),
            (None, None) => {
                (None, kept(Polling::parse(BUILT_IN, Path::new(BUILT_IN_POLLING), patterns), self.problems))
            }
        };
        self.problems.extend(problems);
        Beside { polling_file, polling, pipeline_file, pipeline }
    }

    /// The path and the text of a file that a key names; that it cannot be read is reported, and what it means to do
    /// `without` it.
    fn file(&mut self, key: &str, without: &str) -> Option<(Option<PathBuf>, Option<String>)> {
        let path = self.root.read(key, self.problems, |node| node.text().map(|text| self.folder.join(text)))?;
        let text = file::read(&path).map_err(|error| {
            let place = self.root.get(key).and_then(|node| node.place);
            let remedy = format!("{}, or remove `{key}` to {without}", error.remedy());
            self.problems.error(place, key, format!("the file {} {error}", path.display()), remedy);
        });
        Some((Some(path), text.ok()))
    }
}

/// What was read, after a report of what is wrong with it.
fn kept<T>(read: Result<(T, Problems), Problems>, problems: &mut Problems) -> Option<T> {
    let (read, found) = match read {
        Ok((read, warnings)) => (Some(read), warnings),
        Err(errors) => (None, errors),
    };
    problems.extend(found);
    read
}
