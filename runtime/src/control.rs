//! How the daemon is, for whoever asks: the command line over a socket, Prometheus, and the log.
//!
//! The loop leaves here what it saw last, and goes on; whoever asks finds it here. The spool and the publishers are
//! looked at when somebody asks. None of this waits for the loop, and nothing waits long for the disk.
//!
//! - [`status`]: all that is said.
//! - [`seen`]: what the loop leaves.
//! - [`text`]: how people read it.
//! - [`orders`]: what can be done with samples that wait.
//! - [`deployments`]: what can be asked and ordered about tenants' modules.
//! - [`desk`]: where that is done, and [`journal`], what deployments have been doing.
//! - [`graph`]: pipelines, and how many samples go through them.
//! - [`tap`]: samples as they pass.
//! - [`server`]: the socket.

pub mod deployments;
pub mod desk;
pub mod graph;
pub mod journal;
pub mod orders;
mod seen;
pub mod server;
pub mod status;
pub mod tap;
pub mod text;
pub mod time;
mod troubles;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep};

use self::desk::Desk;
use self::graph::Graph;
use self::orders::{GaveUp, GiveUp, Refused, Replay, Replayed};
use self::seen::Seen;
use self::status::{Loss, Losses, Publisher, Spool as SpoolStatus, Status};
use self::time::Time;
use self::troubles::Deployments;
use crate::agent::Agent;
use crate::agent::report::{ModuleReport, Report};
use crate::clock::Clock;
use crate::config::{Problem, Problems, Severity};
use crate::hypervisor::HypervisorError;
use crate::pipeline::tap::Taps;
use crate::publish::Publishers;
use crate::schedule::Slots;
use crate::spool::Spool;
use crate::spool::books::{self, Books, View};
use crate::spool::log::{Error, Step};
use crate::spool::record::{Kind, REPLAYED};

/// What is known of the daemon, shared by all who tell it.
#[derive(Debug, Clone)]
pub struct Control(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    started: Time,
    spool: Spool,
    publishers: Publishers,
    desk: Desk,
    taps: Taps,
    seen: Mutex<Arc<Seen>>,
    /// The spool as it was when the disk last answered.
    view: Mutex<Arc<View>>,
}

/// How long somebody who asks waits for the disk. Then they are told what was last known.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at whether the spool is free.
const PAUSE: Duration = Duration::from_millis(5);

// === impl Control ===

impl Control {
    /// Of a daemon that starts now.
    pub fn new(clock: Arc<dyn Clock>, spool: Spool, publishers: Publishers, desk: Desk, taps: Taps) -> Self {
        let now = clock.now().wall;
        let view = Mutex::new(Arc::new(spool.view(now)));
        let (started, seen) = (Time(now), Mutex::default());
        Self(Arc::new(Shared { clock, started, spool, publishers, desk, taps, seen, view }))
    }

    /// This configuration is in force.
    pub fn begin(&self, agent: &Agent, slots: &Slots) {
        self.0.desk.journal().turn_to(&agent.tenants);
        self.note(|seen| seen.begin(agent, slots));
    }

    /// A cycle is over, or the host could not be read for it.
    pub fn cycled(&self, agent: &Agent, report: &Result<Report, HypervisorError>) {
        self.0.desk.journal().cycled(&agent.tenants);
        self.note(|seen| seen.cycled(agent, report));
    }

    /// Modules of tenants gave something.
    pub fn landed(&self, agent: &Agent, reports: &[ModuleReport]) {
        self.0.desk.journal().landed(&agent.tenants, reports);
        self.note(|seen| seen.landed(agent, reports));
    }

    /// Where deployments are asked about and ordered.
    pub fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// Something was counted.
    pub fn counted(&self, agent: &Agent) {
        self.note(|seen| seen.tally = agent.tally.clone());
    }

    /// What was read again is in force, or is not, for these reasons.
    pub fn reloaded(&self, refused: Option<&Problems>) {
        let errors = refused.into_iter().flatten().filter(|problem| problem.severity == Severity::Error);
        let errors = errors.map(Problem::sentence).collect();
        self.note(|seen| seen.unloaded = errors);
    }

    /// Outputs are served as configured, or may not be, for this reason.
    pub fn served(&self, failure: Option<String>) {
        self.note(|seen| seen.unserved = failure);
    }

    /// The last slot was kept, or it was not, for this reason.
    pub fn kept(&self, failure: Option<String>) {
        self.note(|seen| seen.unkept = failure);
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(Arc::make_mut(&mut *lock(&self.0.seen)));
    }

    /// How everything is, as far as it is known without waiting.
    pub fn status(&self) -> Status {
        let now = self.0.clock.now();
        if let Some(view) = self.0.spool.try_view(now.wall) {
            *lock(&self.0.view) = Arc::new(view);
        }
        let (seen, view) = (Arc::clone(&lock(&self.0.seen)), Arc::clone(&lock(&self.0.view)));
        let at = Time(now.wall);
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: seen.host.clone(),
            pid: std::process::id(),
            at,
            started: self.0.started,
            hypervisor: seen.hypervisor.clone(),
            troubles: Vec::new(),
            tasks: seen.tasks(now),
            last: seen.last.clone(),
            modules: seen.modules(now.wall),
            budgets: seen.budgets(),
            publishers: self.publishers(&seen, &view),
            former: view.former.iter().map(|(name, lost)| (name.clone(), books::in_all(lost))).collect(),
            spool: spool_status(self.0.spool.path(), &view, seen.unkept.clone()),
            counters: seen.counters(),
        };
        let desk = &self.0.desk;
        let deployments = Deployments { missing: desk.missing(), lacking: desk.lacking(), rows: desk.rows() };
        status.troubles = troubles::of(&status, &seen, deployments);
        status
    }

    /// The same, once the disk answers or has had time enough for that.
    pub async fn status_soon(&self) -> Status {
        let began = Instant::now();
        loop {
            let status = self.status();
            if status.spool.seen == status.at || began.elapsed() >= PATIENCE {
                return status;
            }
            sleep(PAUSE).await;
        }
    }

    /// Pipelines, and how many samples go through them.
    pub async fn graph(&self) -> Graph {
        let publishers = self.status_soon().await.publishers;
        let seen = Arc::clone(&lock(&self.0.seen));
        let mut graph = seen.graph.clone();
        graph.fill(&seen.flow, &publishers);
        graph
    }

    /// What was lost.
    pub async fn losses(&self) -> Losses {
        let Status { at, started, publishers, counters, .. } = self.status_soon().await;
        let view = Arc::clone(&lock(&self.0.view));
        let of_publishers = view.books.iter().map(|books| (&books.publisher, &books.lost));
        let lost = of_publishers.chain(&view.former).flat_map(|(publisher, lost)| losses(publisher, lost)).collect();
        Losses { at, publishers, lost, started, unmeasured: counters }
    }

    /// Hands in samples to be delivered again.
    pub fn replay(&self, replay: &Replay) -> Result<Replayed, Refused> {
        orders::replay(&self.0.spool, replay, self.0.clock.now().wall)
    }

    /// Gives up what a publisher has not delivered.
    pub async fn give_up(&self, order: &GiveUp) -> Result<GaveUp, Refused> {
        let (now, before) = (self.0.clock.now().wall, order.before.map_or(i64::MAX, |time| time.0));
        let samples = if order.count_only {
            let (spool, publisher) = (self.0.spool.clone(), order.publisher.clone());
            spawn_blocking(move || spool.held_before(&publisher, before)).await.unwrap_or_else(|error| Err(lost(error)))
        } else {
            self.0.publishers.give_up(&order.publisher, before, now).await
        };
        let samples = match samples {
            Ok(samples) => samples,
            Err(error) => {
                let spool = self.0.spool.clone();
                let refused = spawn_blocking(move || Refused::of(error, &spool)).await;
                return Err(refused.unwrap_or_else(|error| Refused::of(lost(error), &self.0.spool)));
            }
        };
        if !order.count_only {
            let publisher = &*order.publisher;
            tracing::warn!(publisher, samples, "The operator gave up samples that were not delivered.");
        }
        Ok(GaveUp { samples })
    }

    /// Says in the log how everything is.
    pub async fn log(&self) {
        for line in text::status(&self.status_soon().await).lines().filter(|line| !line.is_empty()) {
            tracing::info!("{line}");
        }
    }

    /// The names of pipelines' sinks.
    fn sinks(&self) -> Vec<String> {
        lock(&self.0.seen).sinks.clone()
    }

    fn publishers(&self, seen: &Seen, view: &View) -> Vec<Publisher> {
        let health = self.0.publishers.health();
        let known = |books: &Books| {
            let name = &books.publisher;
            publisher(books, seen.urls.get(name), health.get(name).cloned().flatten())
        };
        view.books.iter().map(known).collect()
    }
}

/// A thread that was to do something was lost.
fn lost(error: JoinError) -> Error {
    Error::Io { step: Step::Read, source: io::Error::other(error) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is said of a publisher, of which others know how it is and by what URL it is configured.
pub fn publisher(books: &Books, url: Option<&String>, trouble: Option<String>) -> Publisher {
    let by_cause = books.lost_by_cause();
    let lost = by_cause.values().fold(0_u64, |sum, samples| sum.saturating_add(*samples));
    let come = books.measured.saturating_add(books.replayed);
    Publisher {
        name: books.publisher.clone(),
        url: url.cloned(),
        trouble,
        measured: books.measured,
        replayed: books.replayed,
        delivered: books.delivered,
        spooled: books.spooled,
        lost,
        lost_by_cause: by_cause.into_iter().map(|(cause, samples)| (cause.to_owned(), samples)).collect(),
        balances: come == books.delivered.saturating_add(books.spooled).saturating_add(lost),
        oldest: books.oldest.map(Time),
        position: books.position,
    }
}

/// What is said of a spool.
pub fn spool_status(path: &Path, view: &View, failing: Option<String>) -> SpoolStatus {
    SpoolStatus {
        path: path.display().to_string(),
        seen: Time(view.at),
        bytes: view.bytes,
        max_bytes: view.limits.bytes,
        max_age_seconds: view.limits.age.as_secs_f64(),
        records: view.records as u64,
        oldest: view.oldest.map(Time),
        failing,
    }
}

/// A publisher's losses, row by row.
fn losses(publisher: &str, lost: &[books::Loss]) -> Vec<Loss> {
    let row = |loss: &books::Loss| {
        let kind = loss.kind.clone().unwrap_or_else(Kind::unknown);
        Loss {
            publisher: publisher.to_owned(),
            cause: loss.cause.to_owned(),
            // For whom they were alone, the row says already.
            module: if kind.is_replayed() { REPLAYED.to_owned() } else { kind.module },
            tenant: kind.tenant,
            meter: kind.meter,
            samples: loss.samples,
        }
    };
    lost.iter().map(row).collect()
}
