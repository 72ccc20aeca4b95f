//! Trying a module out: once, on what is read for it just now, without anything of it being kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Answer, Desk, No};
use crate::agent::errands::{Errand, ReadFor, Surroundings};
use crate::agent::polling::{Poll, Polled};
use crate::contract::{Column, Meter, Values};
use crate::control::deployments::{DryMeter, DryRun, Failed, Line, Reads};
use crate::discovery::{Resources, View};
use crate::http::StatusCode;
use crate::modules::deploying::Prepared;
use crate::sandbox::ledger::Ledger;
use crate::sandbox::{Landed, Names};

impl Desk {
    /// Runs a module as it would be run in a slot.
    pub(super) async fn dry_run(&self, around: &Surroundings, prepared: &Prepared) -> Answer<DryRun> {
        let (key, ready, module) = (&prepared.key, &prepared.ready, &prepared.ready.module);
        // What it is handed is there in a slot only.
        if ready.converts() {
            return Ok(DryRun { is_transformer: true, ..DryRun::default() });
        }
        let reads = module.description.reads.clone();
        let read = self.ask(|answer| Errand::Read(key.clone(), reads, answer)).await?;
        let read = read.map_err(|why| {
            No::of(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("It cannot be tried out, as the host does not answer: {why}."),
            )
        })?;
        let ReadFor { snapshot, projects, state, groups, shared, took } = read;
        let resources = &snapshot.resources;
        let view = View::of(resources, resources.guests_of(|project| projects.contains(project)));
        let names = Names::granted(Arc::clone(&around.names), &prepared.version.grants.names);
        let (tenant, poll) = (
            Arc::clone(&module.tenant),
            Poll {
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
            },
        );
        let work = around.gate.in_turns(&tenant, poll.run());
        let lost = |error| No::of(StatusCode::INTERNAL_SERVER_ERROR, format!("The dry run was lost: {error}."));
        let Polled { landed, mut failures, fuel, memory, took: ran, lines, .. } =
            around.guests.spawn(work).await.map_err(lost)?;
        let mut meters = Meters { names, of: BTreeMap::new() };
        for landed in landed {
            failures.extend(meters.count(prepared, landed, resources));
        }
        let samples = meters.of.values().map(|meter| meter.samples).sum();
        let described = |key: &str| crate::hypervisor::Groups::of_key(key).is_some();
        let statistics = module.description.reads.iter().map(|wanted| wanted.key.clone()).filter(|key| described(key));
        let only_for_it = groups.names().filter(|name| !shared.names().any(|other| other == *name));
        Ok(DryRun {
            is_transformer: false,
            guests: view.roots(),
            resources: view.resources(),
            meters: meters.of.into_values().collect(),
            samples,
            fuel,
            fuel_granted: module.limits.fuel(view.resources()),
            memory: memory as u64,
            took_seconds: ran.as_secs_f64(),
            reads: Reads {
                statistics: statistics.collect(),
                groups: groups.names().map(str::to_owned).collect(),
                only_for_it: only_for_it.map(str::to_owned).collect(),
                attributes: module.description.attributes.clone(),
                took_seconds: took.as_secs_f64(),
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
}

fn line(level: tracing::Level, text: &str) -> Line {
    Line { at: None, version: None, level: level.as_str().to_lowercase(), text: text.to_owned() }
}

/// Meters of which there were samples.
struct Meters {
    names: Names,
    of: BTreeMap<String, DryMeter>,
}

// === impl Meters ===

impl Meters {
    /// Counts what is wanted of a call. What it may not give comes back as failures.
    fn count(
        &mut self,
        prepared: &Prepared,
        mut landed: Landed<Vec<crate::contract::Series>>,
        resources: &Resources,
    ) -> Vec<(crate::sandbox::Failure, u32)> {
        let module = &prepared.ready.module;
        let described = &module.description.meters;
        let of = |series: &crate::contract::Series| (series.meter, series.column.len());
        let failures = self.names.land(&module.name, described, &mut landed, of);
        for series in &landed.output {
            let index = series.meter as usize;
            let meter = described.get(index).or_else(|| landed.meters.get(index.checked_sub(described.len())?));
            if let Some(meter) = meter.filter(|meter| prepared.ready.source.meters.matches(&meter.name)) {
                self.add(meter, &series.column, resources);
            }
        }
        failures.into_iter().collect()
    }

    fn add(&mut self, meter: &Meter, column: &Column, resources: &Resources) {
        let new = || DryMeter {
            name: meter.name.clone(),
            unit: meter.unit.clone(),
            kind: meter.kind.word().to_owned(),
            samples: 0,
            example: None,
        };
        let known = self.of.entry(meter.name.clone()).or_insert_with(new);
        known.samples += column.len() as u64;
        if known.example.is_none() {
            known.example = first(column, resources);
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "an example for people")]
fn first(column: &Column, resources: &Resources) -> Option<(String, f64)> {
    let resource = resources.get(*column.resources.first()?)?;
    let value = match &column.values {
        Values::Counts(values) => *values.first()? as f64,
        Values::Integers(values) => *values.first()? as f64,
        Values::Reals(values) => *values.first()?,
        Values::Interned(values) => f64::from(*values.first()?),
    };
    Some((resource.label.id.clone(), value))
}
