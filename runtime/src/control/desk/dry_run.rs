//! Trying a module out, on what is read for it just now, without anything of it being kept.

mod handing;
mod meters;

use std::sync::Arc;

use tokio::task::JoinError;

use self::handing::{Feeder, Handing};
use self::meters::Meters;
use super::{Answer, Desk, No};
use crate::agent::errands::{Errand, ReadFor, Surroundings};
use crate::agent::polling::{Poll, Polled};
use crate::agent::tenants::{Convert, Converted};
use crate::contract::{Batch, Column, Series};
use crate::control::deployments::{DryRun, Failed, Line, Reads};
use crate::discovery::{Resources, Rules, View};
use crate::http::StatusCode;
use crate::hypervisor::Groups;
use crate::modules::deploying::Prepared;
use crate::sandbox::Names;
use crate::sandbox::ledger::Ledger;

/// What came of a module that was tried out.
struct Tried {
    polled: Polled,
    /// What it said and gave, if it is a transformer.
    converted: Option<Converted>,
    /// What that is of.
    resources: Arc<Resources>,
    /// Samples that it was handed.
    handed: u32,
    /// Slots that it ran in.
    slots: u32,
}

impl Desk {
    /// Runs a module as it would be run in a slot.
    pub(super) async fn dry_run(&self, around: &Surroundings, prepared: &Prepared) -> Answer<DryRun> {
        let (key, ready) = (&prepared.key, &prepared.ready);
        let read = self.ask(|answer| Errand::Read(key.clone(), Arc::clone(ready), answer)).await?;
        let read = read.map_err(|why| {
            No::of(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("It cannot be tried out, as the host does not answer: {why}."),
            )
        })?;
        let lost = |error| No::of(StatusCode::INTERNAL_SERVER_ERROR, format!("The dry run was lost: {error}."));
        try_out(around, prepared, read).await.map_err(lost)
    }
}

async fn try_out(around: &Surroundings, prepared: &Prepared, read: ReadFor) -> Result<DryRun, JoinError> {
    let ReadFor { snapshot, projects, state, feeding, groups, shared, took } = read;
    let (ready, module) = (&prepared.ready, &prepared.ready.module);
    let roots = snapshot.resources.guests_of(|project| projects.contains(project));
    let view = View::of(&snapshot.resources, roots.clone());
    let names = Names::granted(Arc::clone(&around.names), &prepared.version.grants.names);
    let poll = Poll {
        sandbox: Arc::clone(&around.sandbox),
        ledger: Arc::new(Ledger::silent()),
        tenant: Arc::clone(&module.tenant),
        module: Arc::clone(module),
        snapshot: Arc::clone(&snapshot),
        names: Arc::new(names.clone()),
        view: view.clone(),
        chunk: u32::try_from(around.config.sandbox.chunk).unwrap_or(u32::MAX),
        state,
        sure: 0,
        clock: Arc::clone(&around.clock),
    };
    let handing = ready.converts().then(|| Handing {
        feeders: feeding.into_iter().map(|work| Feeder::of(work, &poll, &around.names)).collect(),
        operators: Arc::clone(&around.names),
        rules: Rules::of(&around.config),
        interval: prepared.version.interval,
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
            sure: 0,
            clock: Arc::clone(&poll.clock),
        },
    });
    let work = async move {
        match handing {
            Some(handing) => handing.run().await,
            None => Tried {
                polled: poll.run().await,
                converted: None,
                resources: Arc::clone(&snapshot.resources),
                handed: 0,
                slots: 1,
            },
        }
    };
    let work = around.gate.in_turns(&module.tenant, work);
    let Tried { polled, converted, resources, handed, slots } = around.guests.spawn(work).await?;
    let Polled { landed, mut failures, fuel, memory, took: ran, lines, .. } = polled;
    let mut meters = Meters::of(names, &resources);
    let wanted = |name: &str| ready.source.meters.matches(name);
    for landed in landed {
        failures.extend(meters.count(&module.name, &module.description.meters, landed, of_series, wanted));
    }
    // Of a transformer everything is wanted: its meters are those that it is handed.
    if let Some(Converted { gives, landed, .. }) = converted {
        let gives = gives.unwrap_or_default();
        for landed in landed {
            failures.extend(meters.count(&module.name, &gives.meters, landed, of_batch, |_| true));
        }
    }
    let meters = meters.into_counted();
    let described = |key: &str| Groups::of_key(key).is_some();
    let statistics = module.description.reads.iter().map(|wanted| wanted.key.clone()).filter(|key| described(key));
    let only_for_it = groups.names().filter(|name| !shared.names().any(|other| other == *name));
    let is_transformer = ready.converts();
    Ok(DryRun {
        is_transformer,
        handed: handed.into(),
        slots,
        guests: view.roots(),
        resources: view.resources(),
        samples: meters.iter().map(|meter| meter.samples).sum(),
        meters,
        fuel,
        fuel_granted: module.limits.fuel(if is_transformer { handed } else { view.resources() }),
        memory: memory as u64,
        took_seconds: ran.as_secs_f64(),
        reads: Reads {
            statistics: statistics.collect(),
            groups: groups.names().map(str::to_owned).collect(),
            only_for_it: only_for_it.map(str::to_owned).collect(),
            attributes: module.description.attributes.clone(),
            // A transformer has nothing read: what was read for it now is what others read in any case.
            took_seconds: if is_transformer { 0.0 } else { took.as_secs_f64() },
        },
        failures: failures
            .into_iter()
            .map(|(failure, resources)| Failed {
                at: None,
                version: None,
                cause: failure.cause.word().to_owned(),
                why: failure.to_string(),
                resources,
            })
            .collect(),
        log: lines.kept().iter().map(|(level, text)| line(*level, text)).collect(),
    })
}

fn of_series(series: &Series) -> (u32, &Column) {
    (series.meter, &series.column)
}

fn of_batch(batch: &Batch) -> (u32, &Column) {
    (batch.meter, &batch.column)
}

fn line(level: tracing::Level, text: &str) -> Line {
    Line { at: None, version: None, level: level.as_str().to_lowercase(), text: text.to_owned() }
}
