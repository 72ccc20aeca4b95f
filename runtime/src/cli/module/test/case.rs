//! One case: read, and run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compare::{self, Difference};
use super::lines;
use super::report::{Outcome, Ran, Used};
use crate::cli::module::candidate::{Candidate, Draft, Unfit};
use crate::cli::module::given::Given;
use crate::cli::module::subject::Subject;
use crate::cli::module::time::HostTime;
use crate::cli::setup::Threads;
use crate::cli::{Exit, print};
use crate::config::daemon::Fixture;
use crate::config::{Config, Problems, expected};
use crate::modules::deploying::written::Written;
use crate::modules::deployment::Grants;
use crate::sandbox::host::http::answers::Question;
use crate::sandbox::host::http::{Method, Requests};
use crate::sandbox::module::Code;
use crate::sandbox::{Failure, Limits, Sandbox};

/// What a case is written in.
pub const FILE: &str = "case.yaml";

/// What is expected of it.
const EXPECTED: &str = "expected.jsonl";

/// A case that can be run.
pub struct Case {
    folder: PathBuf,
    fixture: Fixture,
    /// The configuration of the host and of pollsters.
    config: Config,
}

/// What came of a module.
#[derive(Default)]
struct Came {
    lines: Vec<String>,
    slots: Vec<Used>,
    /// Whether it failed at all.
    failed: bool,
}

// === impl Case ===

impl Case {
    /// Reads a case; all that it does not say is as the configuration says.
    pub fn read(folder: &Path, config: &Config) -> Result<Self, Problems> {
        let fixture = Fixture::read(&folder.join(FILE), &config.sandbox.limits)?;
        let mut config = config.clone();
        config.hypervisor.uri.clone_from(&fixture.host);
        config.hypervisor.place = None;
        Ok(Self { folder: folder.to_owned(), fixture, config })
    }

    /// Runs it, and compares what comes with what is expected, or writes it down.
    pub fn run(self, sandbox: &Arc<Sandbox>, name: &str, code: &Code, threads: &Threads, accept: bool) -> Outcome {
        let ran = match self.try_run(sandbox, name, code, threads) {
            Ok(came) if accept => self.accept(came),
            Ok(came) => self.compare(came),
            Err(exit) => Ran::Unusable(exit),
        };
        Outcome::of(&self.folder, ran).at_most(self.fixture.fuel)
    }

    fn try_run(&self, sandbox: &Arc<Sandbox>, name: &str, code: &Code, threads: &Threads) -> Result<Came, Exit> {
        let time = HostTime::of(&self.config.hypervisor.uri, self.fixture.interval)?;
        let mut came = Came::default();
        let candidate = threads.time.block_on(self.candidate(sandbox, name, code, &time));
        let mut subject = match candidate.and_then(|candidate| self.open(sandbox, &candidate, &time, threads)) {
            Ok(subject) => subject,
            // What a module says against a configuration can be expected, too.
            Err(Unfit::Failed(failure)) => {
                came.lines.push(lines::failure(0, &failure, 0));
                came.failed = true;
                return Ok(came);
            }
            Err(unfit) => return Err(unfit.say(self.folder.join(FILE).display())),
        };
        for slot in 1..=self.fixture.slots.unwrap_or_else(|| time.slots()) {
            time.turn_to(slot);
            let tried = subject.next(threads)?;
            self.is_answered(slot)?;
            let report = tried.report.as_ref();
            let own = report.map(|report| report.failures.as_slice()).unwrap_or_default();
            if own.len() < tried.failures.len() {
                print::error(format_args!("{}: slot {slot}: {}", self.folder.display(), tried.failures.join("; ")));
                return Err(Exit::Module);
            }
            came.failed |= !own.is_empty();
            came.lines.extend(lines::of_slot(slot, &tried.slot));
            came.lines
                .extend(own.iter().map(|(failure, count): &(Failure, u32)| lines::failure(slot, failure, *count)));
            came.slots.extend(report.map(|report| Used::of(slot, report)));
        }
        Ok(came)
    }

    /// The module, with what it may do. Its requests are answered as it is written, in the time of the case.
    async fn candidate(&self, sandbox: &Sandbox, name: &str, code: &Code, time: &HostTime) -> Result<Candidate, Unfit> {
        let (config, limits) = (self.fixture.config.text(), Limits::from(self.fixture.limits));
        let draft = Draft { sandbox, name, code: code.clone(), config, limits };
        let Some(grants) = &self.fixture.grants else { return draft.of_the_operator().await };
        // A case gives the same each time: its clocks show the slot's time, and its random numbers are foreseen.
        let grants = Grants { clock: false, random: false, ..grants.clone() };
        let requests = Requests::answered_by(&self.fixture.answers, time.clock());
        draft.granted(&requests, &grants, Written::File).await
    }

    /// Whether something is written for all that was requested.
    fn is_answered(&self, slot: u32) -> Result<(), Exit> {
        let unwritten = self.fixture.answers.unwritten();
        for Question { method, url } in &unwritten {
            let how = if *method == Method::Get { String::new() } else { format!("method: {method}, ") };
            print::error(format_args!(
                "{}: slot {slot}: {method} {url} is requested, and no answer is written; add `- {{{how}url: '{url}', \
                 body: ...}}` to `answers`",
                self.folder.join(FILE).display(),
            ));
        }
        if unwritten.is_empty() { Ok(()) } else { Err(Exit::Usage) }
    }

    fn open(
        &self,
        sandbox: &Arc<Sandbox>,
        candidate: &Candidate,
        time: &HostTime,
        threads: &Threads,
    ) -> Result<Subject, Unfit> {
        let clock = time.clock();
        match &self.fixture.inputs {
            Some(inputs) => {
                let given = Given::open(sandbox, candidate, inputs, &self.config, clock, threads)?;
                Ok(Subject::Given(Box::new(given)))
            }
            None => Subject::open(sandbox, candidate, self.fixture.meters.clone(), &self.config, clock, threads),
        }
    }

    fn accept(&self, came: Came) -> Ran {
        let text: String = came.lines.iter().map(|line| format!("{line}\n")).collect();
        let path = self.folder.join(EXPECTED);
        let known = fs::read_to_string(&path).ok();
        if known.as_deref() == Some(&text) {
            return Ran::Done { slots: came.slots, differences: Vec::new(), failed: false };
        }
        match fs::write(&path, text) {
            Ok(()) => Ran::Accepted { slots: came.slots, samples: came.lines.len() },
            Err(error) => {
                print::error(format_args!("cannot write {}: {error}", path.display()));
                Ran::Unusable(Exit::Failed)
            }
        }
    }

    fn compare(&self, came: Came) -> Ran {
        let path = self.folder.join(EXPECTED);
        let expected = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ran::New { slots: came.slots, lines: came.lines, failed: came.failed };
            }
            Err(error) => {
                let remedy = "Correct it, or have it written with --accept";
                print::error(format_args!("{} cannot be read: {error}. {remedy}", path.display()));
                return Ran::Unusable(Exit::Usage);
            }
            Ok(text) => text,
        };
        match expected::read(&expected, &path) {
            Ok(expected) => {
                let differences = compare::compare(&expected, &lines::parse(&came.lines));
                let failed = differences.iter().any(Difference::is_failure);
                Ran::Done { slots: came.slots, differences, failed }
            }
            Err(problems) => {
                print::problems(&problems);
                Ran::Unusable(Exit::Usage)
            }
        }
    }
}
