//! `wasmeter check`: everything that can be wrong, before anything runs.

use std::sync::Arc;

use super::setup::{self, Threads, Where};
use super::{Exit, logging, print};
use crate::clock::{Clock, SystemClock};
use crate::config::daemon::LogFormat;
use crate::config::{Config, Problems};
use crate::discovery::{Directory, Rules};
use crate::hypervisor::reader::{Reader, Want};
use crate::modules::Modules;
use crate::publish::outputs;
use crate::schedule::plan;

const EXAMPLES: &str = "\
Examples:
  wasmeter check -c /etc/wasmeter/wasmeter.yaml
  wasmeter check --json | jq '.problems[] | select(.severity == \"error\")'

It reads every file, compiles and asks every module, and reads the hypervisor once. Nothing is measured.
Nothing is written but compiled modules, which are kept in the cache.";

/// Find out everything that can be wrong before anything runs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    at: Where,
    /// For programs: an object with the problems and the effective configuration.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Default)]
struct Findings {
    problems: Problems,
    config: Option<Config>,
    modules: Vec<String>,
    guests: Option<usize>,
    /// Guests that are nobody's.
    nobodys: usize,
    exit: Option<Exit>,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        let findings = self.find();
        let text = if self.json {
            let report = serde_json::json!({
                "problems": findings.problems,
                "config": findings.config.as_ref().map(Config::effective_json),
                "modules": findings.modules,
                "guests": findings.guests,
                "not_metered": findings.nobodys,
            });
            format!("{report:#}\n")
        } else {
            findings.text()
        };
        match (print::text(&text), findings.exit) {
            (Err(exit), _) | (Ok(()), Some(exit)) => exit,
            (Ok(()), None) if findings.problems.has_errors() => Exit::Usage,
            (Ok(()), None) => Exit::Done,
        }
    }

    fn find(&self) -> Findings {
        // Of guests whose definitions cannot be used, the log says why.
        logging::start(&LogFormat::Text);
        let mut findings = Findings::default();
        let (mut config, warnings) = match Config::load(self.at.config.as_deref()) {
            Ok(loaded) => loaded,
            Err(problems) => return Findings { problems, ..findings },
        };
        findings.problems = warnings;
        if let Some(uri) = &self.at.hypervisor {
            config.hypervisor.uri.clone_from(uri);
            config.hypervisor.place = None;
        }
        match Threads::start() {
            Ok(threads) => self.look(&mut findings, &config, &threads),
            Err(exit) => findings.exit = Some(exit),
        }
        findings.config = Some(config);
        findings
    }

    fn look(&self, findings: &mut Findings, config: &Config, threads: &Threads) {
        findings.problems.extend(outputs::check(config));
        match setup::sandbox(config) {
            Err(exit) => findings.exit = Some(exit),
            Ok(sandbox) => match threads.time.block_on(Modules::load(&sandbox, config)) {
                Err(not_loaded) => {
                    findings.exit = Some(Exit::without_modules(&not_loaded));
                    findings.problems.extend(not_loaded.problems);
                }
                Ok(modules) => {
                    findings.modules = modules.pollsters.iter().map(|module| module.name.to_string()).collect();
                    findings.problems.extend(plan::check(config, &modules.pollsters));
                    findings.problems.extend(modules.warnings);
                }
            },
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let uri = "hypervisor";
        let opened = crate::hypervisor::open(&config.hypervisor.uri, &clock);
        let read = opened.and_then(|hypervisor| {
            let mut reader = Reader::new(hypervisor, config.watchdog(), config.reader.max_stuck);
            let mut directory = Directory::new(Rules::of(config));
            threads.time.block_on(async {
                let reading = reader.read(&Want::default()).await?;
                directory.learn_from(&mut reader, &reading).await?;
                Ok((reading.records.len(), directory.nobodys(&reading.records)))
            })
        });
        match read {
            Ok((guests, nobodys)) => (findings.guests, findings.nobodys) = (Some(guests), nobodys),
            Err(error) => {
                let remedy =
                    "Name a host that answers: sim://, recording:FILE, or a libvirt URI such as qemu:///system";
                // What the command line names is in no file.
                let file = config.file.as_deref().filter(|_| self.at.hypervisor.is_none());
                let mut problems = Problems::of(file);
                problems.error(config.hypervisor.place, uri, error.to_string(), remedy);
                findings.problems.extend(problems);
                findings.exit = Some(Exit::without_host(&error));
            }
        }
    }
}

impl Findings {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        if !self.problems.is_empty() {
            lines.push(self.problems.to_string());
        }
        if let Some(config) = &self.config {
            lines.push(format!("host        {}", config.host));
            lines.push(format!("hypervisor  {:?}", config.hypervisor));
            lines.push(format!("modules     {}", self.modules.join(" ")));
        }
        if let Some(guests) = self.guests {
            let nobodys = match self.nobodys {
                0 => String::new(),
                some => format!(", of which {some} are not metered: Nova did not create them"),
            };
            lines.push(format!("guests      {guests}{nobodys}"));
        }
        let verdict = match (self.problems.has_errors() || self.exit.is_some(), self.problems.is_empty()) {
            (true, _) => "not ready to run",
            (false, false) => "ready to run, with warnings",
            (false, true) => "ready to run",
        };
        lines.push(verdict.to_owned());
        lines.join("\n") + "\n"
    }
}
