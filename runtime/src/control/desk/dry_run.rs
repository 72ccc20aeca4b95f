//! Trying a module out, on what is read for it just now, without anything of it being kept.

mod handing;
mod meters;
mod run;

use std::fmt::Display;
use std::sync::Arc;

use tokio::task::JoinError;

use self::handing::{Feeder, Handing};
use self::run::{Run, Tried};
use super::{Answer, Desk, No};
use crate::agent::errands::{Errand, ReadFor, Surroundings, Unread};
use crate::agent::polling::Poll;
use crate::agent::tenants::Convert;
use crate::control::deployments::{DryRun, Failed, Line, Reads};
use crate::discovery::{Rules, View};
use crate::http::StatusCode;
use crate::hypervisor::Groups;
use crate::modules::deploying::Ready;
use crate::modules::deployment::{Key, Version};
use crate::sandbox::ledger::{Ledger, Sure};
use crate::sandbox::{Failure, Module, Names};

/// Reads that slots may cut short before nothing more is tried: each begins with up to twice the time of the one before, and
/// without guests that were seen to be frozen in it.
const READS: usize = 5;

impl Desk {
    /// Runs a module as it would be run in a slot. What fails because the host does not answer says nothing of it, unless
    /// it is wanted anyway.
    pub(super) async fn dry_run(
        &self,
        around: &Surroundings,
        key: &Key,
        (version, ready): (&Version, &Arc<Ready>),
        anyway: bool,
    ) -> Answer<DryRun> {
        let silent = |why: &dyn Display| {
            let why = format!("It cannot be tried out, as the host does not answer: {why}. Say it again later.");
            No::of(StatusCode::SERVICE_UNAVAILABLE, why)
        };
        let mut read = self.read(key, ready).await?;
        for _ in 1..READS {
            if let Err(Unread::Slot) = read {
                read = self.read(key, ready).await?;
            }
        }
        let read = read.map_err(|why| silent(&why))?;
        let missing = read.missing.clone();
        let lost = |error| No::of(StatusCode::INTERNAL_SERVER_ERROR, format!("The dry run was lost: {error}."));
        let tried = try_out(around, version, ready, read).await.map_err(lost)?;
        match missing.filter(|_| tried.failed().is_some() && !anyway) {
            Some(why) => Err(silent(&why)),
            None => Ok(tried),
        }
    }

    async fn read(&self, key: &Key, ready: &Arc<Ready>) -> Answer<Result<ReadFor, Unread>> {
        self.ask(|answer| Errand::Read(key.clone(), Arc::clone(ready), answer)).await
    }
}

async fn try_out(around: &Surroundings, version: &Version, ready: &Ready, read: ReadFor) -> Result<DryRun, JoinError> {
    let ReadFor { snapshot, projects, state, feeding, groups, shared, took, .. } = read;
    let before = Arc::clone(&state);
    let module = &ready.module;
    let roots = snapshot.resources.guests_of(|project| projects.contains(project));
    let view = Arc::new(View::of(&snapshot.resources, roots.clone()));
    let names = Names::beside(&around.names);
    let poll = Poll {
        sandbox: Arc::clone(&around.sandbox),
        ledger: Arc::new(Ledger::silent()),
        tenant: Arc::clone(&module.tenant),
        module: Arc::clone(module),
        snapshot: Arc::clone(&snapshot),
        names: Arc::new(names.clone()),
        view: Arc::clone(&view),
        chunk: u32::try_from(around.config.sandbox.chunk).unwrap_or(u32::MAX),
        state,
        sure: Sure::default(),
        clock: Arc::clone(&around.clock),
    };
    let (mut run, handed) = if ready.converts() {
        let handing = Handing {
            feeders: feeding.into_iter().map(|work| Feeder::of(work, &poll, &around.names)).collect(),
            operators: Arc::clone(&around.names),
            rules: Rules::of(&around.config),
            convert: Convert {
                sandbox: Arc::clone(&poll.sandbox),
                ledger: Arc::clone(&poll.ledger),
                tenant: Arc::clone(&poll.tenant),
                module: Arc::clone(module),
                meters: ready.source.meters.clone(),
                names: Arc::clone(&poll.names),
                state: Arc::clone(&poll.state),
                described: Arc::default(),
                resources: Arc::clone(&snapshot.resources),
                roots,
                at: snapshot.at,
                samples: Arc::default(),
                sure: Sure::default(),
                clock: Arc::clone(&poll.clock),
            },
        };
        let (convert, handed) = in_turns(around, module, handing.hand_over()).await?;
        (Run::Convert(convert), handed)
    } else {
        (Run::Poll(poll), view.resources())
    };
    let mut slots = 1;
    let mut tried = in_turns(around, module, run.clone().run()).await?.counted(ready, &names);
    // Who compares with the last slot gives nothing before the second one.
    if tried.gave_nothing() && !Arc::ptr_eq(&tried.state, &before) && handed > 0 {
        run.go_on(&tried.state, version.interval);
        slots = 2;
        let first = std::mem::replace(&mut tried, in_turns(around, module, run.run()).await?.counted(ready, &names));
        tried.said_before(first);
    }
    let Tried { meters, failures, fuel, memory, took: ran, lines, .. } = tried;
    let reads = &module.description.reads;
    let statistics = reads.iter().map(|wanted| wanted.key.clone()).filter(|key| Groups::of_key(key).is_some());
    let has_value = |key: &str| snapshot.column(key).is_some_and(|column| view.count(column) > 0);
    // What stands in for another is not read where that one is.
    let read = reads.iter().filter(|wanted| wanted.instead_of.is_empty() && snapshot.was_read(&wanted.key));
    let absent = read.map(|wanted| &wanted.key).filter(|key| view.roots() > 0 && !has_value(key)).cloned();
    let only_for_it = groups.names().filter(|name| !shared.names().any(|other| other == *name));
    let is_transformer = ready.converts();
    Ok(DryRun {
        is_transformer,
        handed: if is_transformer { handed.into() } else { 0 },
        slots,
        guests: view.roots(),
        resources: view.resources(),
        samples: meters.iter().map(|meter| meter.samples).sum(),
        meters,
        fuel,
        fuel_granted: module.limits.fuel(handed),
        memory: memory as u64,
        took_seconds: ran.as_secs_f64(),
        reads: Reads {
            statistics: statistics.collect(),
            absent: absent.collect(),
            groups: groups.names().map(str::to_owned).collect(),
            only_for_it: only_for_it.map(str::to_owned).collect(),
            attributes: module.description.attributes.clone(),
            // A transformer has nothing read: what was read for it now is what others read in any case.
            took_seconds: if is_transformer { 0.0 } else { took.as_secs_f64() },
        },
        failures: failed(&failures),
        log: lines.kept().iter().map(|(level, text)| line(*level, text)).collect(),
    })
}

/// Runs in the turns of the module's tenant, beside the loop.
async fn in_turns<T: Send + 'static>(
    around: &Surroundings,
    module: &Module,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, JoinError> {
    around.guests.spawn(around.gate.in_turns(&module.tenant, work)).await
}

/// What failed, by cause.
fn failed(failures: &[(Failure, u32)]) -> Vec<Failed> {
    let mut all: Vec<Failed> = Vec::new();
    for (failure, resources) in failures {
        let (cause, why) = (failure.cause.word().to_owned(), failure.words());
        let failed = Failed { at: None, version: None, cause, why, resources: *resources };
        if !failed.joins(&mut all) {
            all.push(failed);
        }
    }
    all
}

fn line(level: tracing::Level, text: &str) -> Line {
    Line { at: None, version: None, level: level.as_str().to_lowercase(), text: text.to_owned() }
}
