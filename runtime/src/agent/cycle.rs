//! One cycle.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::polling::{Poll, Polled};
use super::report::{ModuleReport, Report};
use super::tenants::{Room, Source};
use super::{Agent, OPERATOR};
use crate::clock::Moment;
use crate::contract::Series;
use crate::discovery::{Snapshot, View};
use crate::hypervisor::HypervisorError;
use crate::hypervisor::reader::{Reading, Want};
use crate::pipeline::Slot;
use crate::pipeline::chain::{Made, Surroundings};
use crate::pipeline::sinks::Occasion;
use crate::pipeline::sinks::share::Shares;
use crate::pipeline::stamp::Stamper;
use crate::sandbox::ledger::Sure;
use crate::schedule::plan::{self, Work};

/// Failures of a module in a cycle that the log says one by one.
const FAILURES_SAID: usize = 3;

// === impl Agent ===

impl Agent {
    /// Measures once for these intervals.
    pub async fn cycle(&mut self, intervals: &[u64]) -> Result<Report, HypervisorError> {
        // The operator's own modules come first.
        let alone = self.tenants.hold();
        let work = plan::plan(&self.config.polling, &self.modules.pollsters, intervals);
        let mut want = Want::default();
        want.and_stopped(self.config.guests.report_stopped);
        for work in &work {
            want.add(&work.module.description.reads);
        }
        let began = self.clock.now();
        self.ledger.fill(began.monotonic);
        let due = self.tenants.due(intervals, began.wall);
        let due = self.want(due, &mut want);
        let reading = self.reader.read(&want).await.inspect_err(|_| self.tally.failed_reads += 1)?;
        self.charge(&due, &want, &reading);
        self.directory.learn_from(&mut self.reader, &reading).await?;
        if self.tally.cycles == 0 {
            let chunk = u32::try_from(self.config.sandbox.chunk).unwrap_or(u32::MAX);
            self.tenants.bear(&self.directory.holdings(), chunk);
        }
        // What they need changes with their guests.
        self.tenants.flow_into(&self.ledger);
        let read = self.since(began);
        let undefined = self.directory.unknown(&reading.records).len();
        let usage = self.usage(intervals);
        let mut others = plan::others(&self.config.host, &work);
        others.extend(usage.resources(&others));
        let Reading { at, groups, records, stuck, missing, .. } = reading;
        let snapshot =
            Arc::new(Snapshot::assemble(&mut self.directory, |key| want.has(key), groups, &records, &others, at));
        drop(records);
        Arc::make_mut(&mut self.names).next_slot();
        let polled = self.poll(&work, &snapshot, &others).await;
        let (mut slot, mut modules) = self.stamp(work, polled, &snapshot, &others);
        let measured = slot.samples.len();
        self.transform(&mut slot, &mut modules).await;
        slot.samples.extend(self.metered(&usage, &snapshot.resources, &others, at));
        self.forget(at);
        modules.extend(self.sink(&mut slot, &Source::Cycle(intervals.to_vec())).await);
        self.begin(due, &snapshot, &slot, measured);
        drop(alone);
        self.tally.cycles += 1;
        let guests = snapshot.resources.guests().end;
        let whole = self.since(began);
        let nobodys = snapshot.nobodys;
        Ok(Report { slot, snapshot, read, whole, guests, nobodys, undefined, stuck, missing, modules })
    }

    /// Polls all modules, side by side.
    async fn poll(&mut self, work: &[Work], snapshot: &Arc<Snapshot>, others: &[String]) -> Vec<Option<Polled>> {
        let mut running = JoinSet::new();
        for (place, work) in work.iter().enumerate() {
            let view = View::of(&snapshot.resources, work.selection().roots(&snapshot.resources, others));
            let poll = Poll {
                sandbox: Arc::clone(&self.sandbox),
                ledger: Arc::clone(&self.ledger),
                tenant: Arc::clone(&self.tenant),
                module: Arc::clone(&work.module),
                snapshot: Arc::clone(snapshot),
                names: Arc::clone(&self.names),
                view: Arc::new(view),
                chunk: u32::try_from(self.config.sandbox.chunk).unwrap_or(u32::MAX),
                // Not taken away: a cycle that is given up must leave what there was.
                state: self.states.get(&work.module.name).cloned().unwrap_or_default(),
                sure: Sure::default(),
                clock: Arc::clone(&self.clock),
            };
            running.spawn_on(async move { (place, poll.run().await) }, &self.guests);
        }
        let mut all: Vec<Option<Polled>> = work.iter().map(|_| None).collect();
        while let Some(joined) = running.join_next().await {
            match joined {
                Ok((place, polled)) => {
                    if let Some(slot) = all.get_mut(place) {
                        *slot = Some(polled);
                    }
                }
                Err(error) => tracing::error!(%error, "A module's task was lost."),
            }
        }
        all
    }

    fn stamp(
        &mut self,
        work: Vec<Work>,
        polled: Vec<Option<Polled>>,
        snapshot: &Snapshot,
        others: &[String],
    ) -> (Slot, Vec<ModuleReport>) {
        let given = |polled: &Polled| -> usize {
            polled.landed.iter().flat_map(|landed| &landed.output).map(|series| series.column.len()).sum()
        };
        let most = polled.iter().flatten().map(given).sum();
        let first_id = self.ids.take(snapshot.at, most);
        let tenant = Arc::clone(&self.tenant);
        let mut stamper = Stamper::new(&snapshot.resources, others, Arc::clone(&tenant), snapshot.at, first_id);
        let mut reports = Vec::with_capacity(work.len());
        for (work, polled) in work.into_iter().zip(polled) {
            let Some(Polled { landed, mut failures, state, fuel, memory, took, calls, granted, lines }) = polled else {
                continue;
            };
            let name = Arc::clone(&work.module.name);
            let before = stamper.samples.len();
            for mut landed in landed {
                let names = Arc::make_mut(&mut self.names);
                let of = |series: &Series| (series.meter, series.column.len());
                failures.extend(names.land(work.module.giver(), &work.module.description.meters, &mut landed, of));
                stamper.stamp(&mut self.directory, &work, landed);
            }
            let samples = stamper.samples.iter().skip(before).map(|samples| samples.column.len()).sum();
            let roots = View::of(&snapshot.resources, work.selection().roots(&snapshot.resources, others));
            let resources = roots.resources();
            self.states.insert(Arc::clone(&name), state);
            let tenant = Arc::clone(&tenant);
            let (at, of) = (snapshot.at.wall, None);
            self.ledger.gave(&name, &tenant, samples, took, memory);
            let report = ModuleReport {
                name,
                tenant,
                samples,
                fuel,
                resources,
                memory,
                took,
                failures,
                calls,
                granted,
                lines,
                at,
                of,
            };
            self.failed(&report);
            reports.push(report);
        }
        let (samples, declared) = stamper.finish();
        let mut slot = Slot { at: snapshot.at, resources: Arc::clone(&snapshot.resources), samples };
        slot.declare(declared);
        (slot, reports)
    }

    /// Counts what came to nothing, and says the first of it. What failed for what a tenant gave is counted only: it
    /// shall not fill the log.
    fn failed(&mut self, ModuleReport { name: module, tenant, failures, .. }: &ModuleReport) {
        if **tenant != *OPERATOR {
            self.tally.all_failed(&format!("{tenant}/{module}").into(), failures);
            return;
        }
        self.tally.all_failed(module, failures);
        for (failure, resources) in failures.iter().take(FAILURES_SAID) {
            let failure = failure.on_one_line();
            tracing::warn!(%module, resources, %failure, "A module failed; other modules go on.");
        }
        let more = failures.len().saturating_sub(FAILURES_SAID);
        if more > 0 {
            tracing::warn!(%module, more, "It failed for more resources; they are counted.");
        }
    }

    /// Runs the transformers over what pollsters measured; none sees what another made. One that fails loses its own
    /// output only.
    async fn transform(&mut self, slot: &mut Slot, reports: &mut Vec<ModuleReport>) {
        let around = self.around_chains();
        let measured = slot.samples.len();
        for at in 0..self.chains.len() {
            let Self { chains, directory, names, ids, .. } = self;
            let Some(chain) = chains.get_mut(at) else { continue };
            let Some(made) = chain.run(&around, directory, names, ids, slot, measured).await else { continue };
            let Made { report, samples, declared } = made;
            slot.samples.extend(samples);
            slot.declare(declared);
            self.failed(&report);
            self.ledger.gave(&report.name, &report.tenant, report.samples, report.took, report.memory);
            reports.push(report);
        }
    }

    /// Hands the samples of a slot to pipelines' sinks, and adds what comes out. What comes to tenants' transformers in
    /// chains begins there.
    pub async fn sink(&mut self, slot: &mut Slot, source: &Source) -> Vec<ModuleReport> {
        let (shares, occasion) = match source {
            Source::Cycle(intervals) => (self.shares(&slot.resources, intervals), Occasion::Slot),
            // What tenants' modules give by themselves passes by those in chains.
            Source::Tenants => (Shares::default(), Occasion::Beside),
            Source::Chain(key, sink) if self.sinks.sink_of(key) == Some(sink) => {
                (self.shares(&slot.resources, &[]), Occasion::Chain(key))
            }
            // The chain was changed meanwhile, and nothing else is to have it.
            Source::Chain(key, _) => {
                let samples = u32::try_from(slot.len()).unwrap_or(u32::MAX);
                self.tenants.lose(key, samples);
                slot.samples.clear();
                (Shares::default(), Occasion::Beside)
            }
        };
        let around = self.around_chains();
        let (mut room, in_sinks) = (None, self.sinks.remembered());
        let Self { sinks, directory, ids, taps, tenants, config, .. } = self;
        let mut admit = |tenant: &Arc<str>, before: usize, after: usize| {
            // Mostly nobody remembers more, and looking at all that is remembered takes its time.
            let room: &mut Room = room.get_or_insert_with(|| tenants.room_beside(in_sinks.clone(), config));
            room.take(tenant, before, after)
        };
        let reports = sinks.run(&around, directory, ids, slot, (&shares, occasion), &mut admit).await;
        taps.show(sinks, slot);
        for report in &reports {
            self.failed(report);
            self.ledger.gave(&report.name, &report.tenant, report.samples, report.took, report.memory);
        }
        self.begin_chained(slot);
        self.tally.samples += slot.len() as u64;
        reports
    }

    fn around_chains(&self) -> Surroundings {
        Surroundings {
            sandbox: Arc::clone(&self.sandbox),
            guests: self.guests.clone(),
            ledger: Arc::clone(&self.ledger),
            tenant: Arc::clone(&self.tenant),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Forgets resources that have been gone for long, here and in every module's state, and in the states of tenants'
    /// modules what is another's now.
    fn forget(&mut self, now: Moment) {
        let moved = self.directory.moved();
        if !moved.is_empty() {
            self.tenants.part_with(moved, now.monotonic);
        }
        let gone = self.directory.forget(now);
        if gone.is_empty() {
            return;
        }
        for state in self.states.values_mut().chain(self.kept.values_mut()) {
            Arc::make_mut(state).forget(&gone);
        }
        let chains = self.chains.iter_mut().map(|chain| &mut chain.transformer);
        chains.chain(self.sinks.transformers_mut()).for_each(|transformer| transformer.forget(&gone));
        self.tenants.forget(&gone, now.monotonic);
    }

    pub(super) fn since(&self, at: Moment) -> Duration {
        Duration::from_nanos(self.clock.now().monotonic.saturating_sub(at.monotonic))
    }
}
