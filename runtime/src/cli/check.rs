//! `wasmeter check`: everything that can be wrong, before anything runs.

mod control;
mod host;
mod missing;
mod ordered;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::setup::{self, Threads, Where};
use super::{Exit, logging, pipeline, print};
use crate::clock::{Clock, SystemClock};
use crate::config::daemon::LogFormat;
use crate::config::{Config, Pipelines, Problems};
use crate::discovery::holdings::Holdings;
use crate::hypervisor::Doubt;
use crate::modules::Modules;
use crate::modules::budget::{Admitted, Budget};
use crate::modules::deploying::room::Room;
use crate::modules::deploying::terms::{Fitting, Operators};
use crate::modules::deploying::{self, Loader, doubts};
use crate::modules::deployment::{Key, Tenant};
use crate::publish::outputs;
use crate::schedule::plan;
use crate::spool::Unusable;

const EXAMPLES: &str = "\
Examples:
  wasmeter check -c /etc/wasmeter/wasmeter.yaml
  wasmeter check --json | jq '.problems[] | select(.severity == \"error\")'

It reads every file, compiles and asks every module, also of deployments that were ordered, and reads the hypervisor once.
Nothing is measured.
Addresses for metrics are listened on for a moment, unless a daemon runs.
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
    deployments: Vec<String>,
    /// How many guests each tenant of the configuration has here.
    tenants: BTreeMap<String, u32>,
    guests: Option<usize>,
    /// Guests that are nobody's.
    nobodys: usize,
    exit: Option<Exit>,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        let findings = self.find();
        let printed = if self.json {
            let report = serde_json::json!({
                "problems": findings.problems,
                "config": findings.config.as_ref().map(Config::effective_json),
                "modules": findings.modules,
                "pipelines": findings.pipelines().map(pipeline::shown).unwrap_or_default(),
                "deployments": findings.deployments,
                "tenants": findings.tenants,
                "guests": findings.guests,
                "not_metered": findings.nobodys,
            });
            print::json(&report)
        } else {
            print::text(&findings.text())
        };
        match (printed, findings.exit) {
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
        if let Some(uri) = &self.at.host.hypervisor {
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
        let host = host::look(config, threads);
        findings.problems.extend(outputs::check(config));
        findings.problems.extend(control::look(config));
        findings.problems.extend(spool(config));
        match setup::sandbox(config) {
            Err(exit) => findings.exit = Some(exit),
            Ok(sandbox) => match threads.time.block_on(Modules::load(&sandbox, config)) {
                Err(not_loaded) => {
                    findings.exit = Some(Exit::without_modules(&not_loaded));
                    findings.problems.extend(not_loaded.problems);
                }
                Ok(modules) => {
                    findings.modules = modules.names().map(str::to_owned).collect();
                    findings.problems.extend(plan::check(config, &modules.pollsters));
                    findings.problems.extend(modules.warnings.clone());
                    let names = Arc::new(modules.names.clone());
                    let operators = Operators::of(config, &modules.pollsters);
                    let (mut loader, odd) = Loader::of(&Arc::new(sandbox), config, &names, operators.clone());
                    let holdings = host.as_ref().map(|seen| seen.directory.holdings()).unwrap_or_default();
                    let admitted = Admitted::of(Budget::of(config));
                    let mut fitting = Fitting::beside(admitted, holdings, config, operators);
                    let ordered = threads.time.block_on(ordered::look(config, &mut loader, &mut fitting));
                    let drafts = threads.time.block_on(deploying::prepare(&mut loader, config));
                    let mut room = Room::beside(ordered.kept.iter(), SystemClock.now().wall);
                    let runs_from = |key: &Key| ordered.kept.iter().find(|kept| kept.key == *key)?.file.as_deref();
                    let loaded = drafts.admit(config, &mut fitting, &mut room, runs_from);
                    findings.problems.extend(missing::look(config, &modules, &loaded.prepared, &ordered));
                    findings.problems.extend(odd);
                    let written = loaded.prepared.iter().map(|prepared| &prepared.key);
                    findings.deployments = written.chain(&ordered.running).map(Key::to_string).collect();
                    findings.problems.extend(ordered.problems);
                    findings.problems.extend(loaded.problems);
                }
            },
        }
        // What the command line names is in no file.
        let file = config.file.as_deref().filter(|_| self.at.host.hypervisor.is_none());
        let (mut problems, place, key) = (Problems::of(file), config.hypervisor.place, "hypervisor");
        match host {
            Ok(seen) => {
                (findings.guests, findings.nobodys) = (Some(seen.guests), seen.nobodys);
                for Doubt { message, remedy } in seen.doubts {
                    problems.warning(place, key, message, remedy);
                }
                let holdings = seen.directory.holdings();
                for doubt in doubts::of_projects(&config.tenants, &holdings) {
                    problems.warning(None, doubt.key, doubt.message, doubt.remedy);
                }
                findings.tenants = present(config, &holdings);
            }
            Err(error) => {
                let remedy =
                    "Name a host that answers: sim://, recording:FILE, or a libvirt URI such as qemu:///system";
                problems.error(place, key, error.to_string(), remedy);
                findings.exit = Some(Exit::without_host(&error));
            }
        }
        findings.problems.extend(problems);
    }
}

/// How many guests each tenant of the configuration has.
fn present(config: &Config, holdings: &Holdings) -> BTreeMap<String, u32> {
    let named = config.tenants.named().filter_map(|(name, _)| name.parse::<Tenant>().ok());
    named.map(|tenant| (tenant.to_string(), holdings.of(&config.tenants.projects_of(&tenant)).present)).collect()
}

/// What stands in the way of the spool. Where this is asked as root, the daemon's user is another one.
fn spool(config: &Config) -> Problems {
    let mut problems = Problems::of(config.file.as_deref());
    match crate::spool::check(&config.spool.path) {
        Ok(()) => {}
        Err(error @ Unusable::Others { us: 0, .. }) => {
            let remedy = "Ask as the daemon's user to be sure that it is its own";
            problems.warning(None, "spool.path", error.to_string(), remedy);
        }
        Err(error) => problems.error(None, "spool.path", error.to_string(), error.remedy()),
    }
    problems
}

impl Findings {
    fn pipelines(&self) -> Option<&Pipelines> {
        self.config.as_ref()?.pipeline.as_ref()
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        if !self.problems.is_empty() {
            lines.push(self.problems.to_string());
        }
        if let Some(config) = &self.config {
            lines.push(format!("host        {}", config.host));
            lines.push(format!("hypervisor  {:?}", config.hypervisor));
            lines.push(format!("modules     {}", self.modules.join(" ")));
            if !self.deployments.is_empty() {
                lines.push(format!("deployments {}", self.deployments.join(" ")));
            }
            let pipelines = self.pipelines().map(pipeline::shown).unwrap_or_default();
            lines.extend(pipelines.iter().map(|pipeline| format!("pipeline    {}", pipeline.text())));
        }
        if !self.tenants.is_empty() {
            let has = |(tenant, guests): (&String, &u32)| match guests {
                0 => format!("{tenant} (no guest here)"),
                1 => format!("{tenant} (1 guest)"),
                more => format!("{tenant} ({more} guests)"),
            };
            lines.push(format!("tenants     {}", self.tenants.iter().map(has).collect::<Vec<_>>().join(", ")));
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
