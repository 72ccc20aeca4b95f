//! The daemon's loop: cycles in their slots, each kept in the spool, until a signal ends it.

mod meanwhile;
mod said;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use self::meanwhile::{Meanwhile, Prepared, UnderWay};
use self::said::Said;
use super::Agent;
use super::errands::{Errand, Tell};
use super::report::Report;
use super::tenants::{self, Landing};
use crate::config::daemon::Output;
use crate::config::{Config, Problems};
use crate::control::Control;
use crate::hypervisor::HypervisorError;
use crate::modules::NotLoaded;
use crate::pipeline::Slot;
use crate::publish::Publishers;
use crate::publish::prometheus::{Endpoint, Intake};
use crate::schedule::{self, Due, LeftOut, Next, Slots};
use crate::spool::log::{Error, Step};
use crate::spool::missed::Why;
use crate::spool::{Committed, Spool, record};

/// What the outside wants of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Read the configuration again.
    Reload,
    /// Finish the cycle that runs, if that does not take too long, and end.
    Drain,
    /// End now.
    Stop,
}

/// Why a run ended.
#[derive(Debug)]
pub enum End {
    /// The cycles are over.
    Over,
    /// It was wished.
    Wished,
    /// What it shows cannot be shown any more.
    Unshown(io::Error),
}

/// How long publishers may take to end once nothing is waited for any more.
const ENDS_WITHIN: Duration = Duration::from_millis(500);
/// How long noting how far everything is may take.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// How long what tenants' modules gave waits for what others give, so that not each has a record of its own.
pub const GATHERED: Duration = Duration::from_millis(3);

/// What the loop tells of itself as it goes.
#[derive(Debug)]
pub enum News<'a> {
    /// It runs, or runs again with what was read anew.
    Ready,
    /// The configuration is read again.
    Reloading,
    /// A cycle was measured.
    Measured(&'a Report),
    /// A cycle was not, because the host could not be read.
    Unreachable(&'a HypervisorError),
    /// It ends, and may take so long for it.
    Ending(Duration),
}

/// Draws every cycle; there may be nothing to show.
pub type Watch<'a> = Box<dyn FnMut(&Report, &Agent) -> Option<String> + 'a>;

/// The outputs of a configuration.
pub type OutputsOf<'a> = Box<dyn Fn(&Config) -> Vec<Output> + 'a>;

/// Everything that the loop needs beside the agent.
pub struct Run<'a> {
    /// Where samples wait until they are delivered.
    pub spool: Spool,
    /// Who delivers them.
    pub publishers: Publishers,
    /// What is told to those who ask how it is.
    pub control: Control,
    /// What they want done.
    pub errands: Receiver<Errand>,
    /// Where Prometheus finds samples.
    pub endpoint: Arc<Endpoint>,
    /// The way there.
    pub metrics: Arc<Intake>,
    /// The outputs of a configuration, and those that the command line added.
    pub outputs_of: OutputsOf<'a>,
    /// Reads the configuration again.
    pub reload: Box<dyn Fn() -> Result<Config, Problems> + 'a>,
    /// Hears how it goes.
    pub tell: fn(&News<'_>),
    /// Draws every cycle.
    pub watch: Watch<'a>,
    /// Shows what was drawn, on a thread that may block.
    pub show: fn(&str) -> io::Result<()>,
    /// Ends after so many cycles.
    pub cycles: Option<u64>,
    /// Whether it is not known if the last slot was kept.
    pub unsure: bool,
}

/// How far a cycle is: what is lost if it is given up.
#[derive(Debug, Clone, Copy)]
enum Progress {
    Measuring,
    /// Its samples are on their way into the spool.
    Keeping,
    Showing,
}

// === impl Run ===

impl Run<'_> {
    /// Runs until it is wished to end, or until the cycles are over; then delivers what is left, as long as that may
    /// take.
    pub async fn run(mut self, agent: &mut Agent, wishes: &mut Receiver<Wish>) -> End {
        let outputs = (self.outputs_of)(agent.config());
        self.serve(&outputs, agent).await;
        self.metrics.begin();
        let (end, wish) = self.cycles(agent, wishes).await;
        if !matches!(end, End::Unshown(_)) && wish != Some(Wish::Stop) {
            let (drain, mut said) = (agent.config().schedule.drain, Said::default());
            agent.tenants.end_trials();
            agent.begin_next();
            let rest = async {
                while agent.tenants.are_busy() {
                    agent.tenants.done().await;
                    let before = std::mem::replace(&mut self.unsure, true);
                    self.land(agent, &mut said).await;
                    self.unsure = before;
                }
                self.publishers.drained().await;
            };
            within(drain, rest, wishes).await;
        }
        self.publishers.end(ENDS_WITHIN).await;
        let kept = async {
            if let Some(tell) = agent.followed().await {
                tell();
            }
            agent.saved().await;
            agent.save().await;
            agent.saved().await;
        };
        if timeout(SETTLES_WITHIN, kept).await.is_err() {
            tracing::warn!("What became of deployments in the last slots is not kept.");
        }
        // Where it is not known whether the last slot is kept, or an order, records alone say what modules remember.
        let is_sure = !self.unsure && !agent.saving.is_following();
        let memory = is_sure.then(|| agent.memory());
        let (spool, now) = (self.spool, agent.clock.now().wall);
        let settled = spawn_blocking(move || {
            let kept = memory.map_or(Ok(()), |memory| spool.checkpoint(memory));
            let settled = spool.settle(now);
            kept.map_err(|error| error.to_string()).and(settled.map_err(|error| error.to_string()))
        });
        if let Ok(Ok(Err(error))) = timeout(SETTLES_WITHIN, settled).await {
            tracing::warn!(error, "How far outputs are is not noted; they get the last samples again.");
        }
        end
    }

    async fn serve(&mut self, outputs: &[Output], agent: &Agent) {
        let served = self.publishers.serve(outputs, agent.clock.now().wall).await;
        self.control.served(served.as_ref().err().map(Error::with_cause));
        if let Err(error) = served {
            tracing::error!(%error, "The spool cannot be used; every slot tries again to serve outputs by it.");
        }
    }

    async fn cycles(&mut self, agent: &mut Agent, wishes: &mut Receiver<Wish>) -> (End, Option<Wish>) {
        let mut slots = slots(agent);
        self.control.begin(agent, &slots);
        let (mut done, mut said, mut under_way) = (0, Said::default(), UnderWay::default());
        (self.tell)(&News::Ready);
        while self.cycles.is_none_or(|cycles| done < cycles) {
            let (tell, drain) = (self.tell, agent.config().schedule.drain);
            let mut wish = match slots.next(agent.clock.now()) {
                Next::Sleep(duration) => {
                    let (operators, tenants) = intervals(agent);
                    let shortest = Duration::from_secs(operators.into_iter().chain(tenants).min().unwrap_or(1));
                    let is_followed = agent.saving.is_following();
                    let next = tokio::select! {
                        biased;
                        wish = wishes.recv() => Meanwhile::Wish(wish.or(Some(Wish::Stop))),
                        () = sleep(duration) => Meanwhile::Wish(None),
                        () = agent.tenants.done() => Meanwhile::Done,
                        () = agent.saving.kept() => Meanwhile::Kept,
                        next = under_way.next(&mut self.errands, duration, shortest, is_followed) => next,
                    };
                    match next {
                        Meanwhile::Wish(wish) => wish,
                        Meanwhile::Done => self.landing(agent, &mut slots, &mut said, wishes).await,
                        Meanwhile::Errand(errand) => {
                            let (began, until) = (Instant::now(), until_next(&slots, agent));
                            let (answer, wish) = listening(tell, drain, agent.run_errand(errand, until), wishes).await;
                            under_way.took(began.elapsed());
                            self.answer(agent, &mut slots, answer.flatten());
                            wish
                        }
                        Meanwhile::Kept => {
                            let answer = agent.follow().await;
                            self.answer(agent, &mut slots, answer);
                            under_way.is_to_be_read_again().then_some(Wish::Reload)
                        }
                        Meanwhile::Reloaded(prepared) => {
                            let taken_over = self.take_over(agent, &mut slots, *prepared);
                            let wish = listening(tell, drain, taken_over, wishes).await.1;
                            if under_way.is_to_be_read_again() { wish.or(Some(Wish::Reload)) } else { wish }
                        }
                    }
                }
                Next::Run(due) => {
                    done += 1;
                    under_way.slot(!self.errands.is_empty());
                    // Where a reload, say, kept what is done from landing, nobody is at that slot any more.
                    let before = match agent.tenants.is_any_done() {
                        true => self.landing(agent, &mut slots, &mut said, wishes).await,
                        false => None,
                    };
                    if let Some(Wish::Drain | Wish::Stop) = before {
                        tell(&News::Ending(if before == Some(Wish::Drain) { drain } else { Duration::ZERO }));
                        return (End::Wished, before);
                    }
                    let mut progress = Progress::Measuring;
                    left_out(agent, &due.left_out);
                    let cycle = self.cycle(agent, &due, &mut said, &mut progress);
                    let (shown, wish) = listening(tell, drain, cycle, wishes).await;
                    left_out(agent, &slots.finished(agent.clock.now()));
                    self.control.counted(agent);
                    match shown {
                        Some(Ok(())) => {}
                        Some(Err(error)) => return (End::Unshown(error), None),
                        None => {
                            self.unsure |= matches!(progress, Progress::Keeping);
                            give_up(agent, progress);
                        }
                    }
                    wish.or(before)
                }
            };
            if wish == Some(Wish::Reload) {
                wish = None;
                self.reload(agent, &mut under_way);
                // Other rules may make other guests nobody's.
                said.nobodys = false;
            }
            if wish.is_some() {
                tell(&News::Ending(if wish == Some(Wish::Drain) { drain } else { Duration::ZERO }));
                return (End::Wished, wish);
            }
        }
        (End::Over, None)
    }

    /// Measures, writes and shows. Fails if nothing can be shown any more.
    async fn cycle(
        &mut self,
        agent: &mut Agent,
        due: &Due,
        said: &mut Said,
        progress: &mut Progress,
    ) -> io::Result<()> {
        let report = agent.cycle(&due.intervals).await;
        said.of(&report);
        self.control.cycled(agent, &report);
        (self.tell)(&report.as_ref().map_or_else(News::Unreachable, News::Measured));
        let Ok(report) = report else { return Ok(()) };
        let page = (self.watch)(&report, agent);
        *progress = Progress::Keeping;
        // What follows may take long, and needs nothing of what was read.
        drop(report.snapshot);
        self.keep(agent, report.slot, said).await;
        *progress = Progress::Showing;
        let (Some(page), show) = (page, self.show) else { return Ok(()) };
        spawn_blocking(move || show(&page)).await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// Keeps what tenants' modules gave.
    async fn land(&mut self, agent: &mut Agent, said: &mut Said) {
        // What is done a moment later is in the same record.
        sleep(GATHERED).await;
        agent.tenants.gather();
        while let Some(Landing { mut slot, mut reports, changes, source }) = agent.land() {
            reports.extend(agent.sink(&mut slot, &source).await);
            self.control.landed(agent, &reports);
            changes.iter().for_each(|(key, changes, why)| tenants::say(key, changes, why.as_deref()));
            // Nothing that would have to be kept.
            if slot.is_empty() && agent.changed_memory().modules.is_empty() {
                continue;
            }
            self.keep(agent, slot, said).await;
        }
        agent.save().await;
    }

    /// The same while listening.
    async fn landing(
        &mut self,
        agent: &mut Agent,
        slots: &mut Slots,
        said: &mut Said,
        wishes: &mut Receiver<Wish>,
    ) -> Option<Wish> {
        let (tell, drain) = (self.tell, agent.config().schedule.drain);
        let (landed, wish) = listening(tell, drain, self.land(agent, said), wishes).await;
        self.unsure |= landed.is_none();
        self.follow(agent, slots);
        wish
    }

    /// Tells what came of an errand, once it shows wherever whoever asked may look.
    fn answer(&self, agent: &Agent, slots: &mut Slots, answer: Option<Tell>) {
        self.control.begin(agent, slots);
        self.follow(agent, slots);
        answer.into_iter().for_each(|answer| answer());
    }

    /// Has slots be those that deployments want now.
    fn follow(&self, agent: &Agent, slots: &mut Slots) {
        let wanted = wanted(agent, slots);
        if wanted != *slots {
            *slots = wanted;
            self.control.begin(agent, slots);
        }
    }

    /// Keeps a slot's samples and what modules remember after it, on another thread: a disk that hangs must not keep
    /// signals from being heard. A slot that cannot be kept is as if it had not been measured, but for its samples,
    /// which are lost and counted.
    async fn keep(&mut self, agent: &mut Agent, slot: Slot, said: &mut Said) {
        let outputs = (self.outputs_of)(agent.config());
        if !self.publishers.serves(&outputs) {
            self.serve(&outputs, agent).await;
        }
        let deliver = !outputs.is_empty();
        let (spool, now) = (self.spool.clone(), agent.clock.now().wall);
        let metrics = Arc::clone(&self.metrics);
        let mut memory = agent.changed_memory();
        let (counts, books) = (record::counts(&slot), self.spool.clone());
        let kept = spawn_blocking(move || {
            metrics.store(&slot);
            let commit = || {
                memory.missed = spool.missed_since_commit();
                let (counts, payload) = record::of_slot(&slot, &memory);
                spool.commit(counts.clone(), &payload, now).inspect_err(|error| spool.missed(why(error), &counts))
            };
            deliver.then(commit)
        });
        let committed = kept.await.unwrap_or_else(|error| {
            tracing::error!(%error, "The thread that keeps samples was lost; the next slot has another one.");
            books.missed(Why::DiskFailed, &counts);
            Some(Err(Error::Io { step: Step::Write, source: io::Error::other(error) }))
        });
        // Nobody is to get it.
        let Some(committed) = committed else { return agent.keep() };
        said.kept(&committed);
        self.control.kept(failure(&committed).map(Error::with_cause));
        match committed {
            Ok(Committed { sequence, .. }) => {
                agent.keep();
                tracing::debug!(record = sequence.0, "Kept.");
                self.checkpoint(agent).await;
            }
            Err(_) => agent.roll_back(),
        }
    }

    async fn checkpoint(&self, agent: &Agent) {
        // As long as an order is being kept, a crash may have a deployment go on with what only records know any more.
        if !self.spool.wants_checkpoint() || agent.saving.is_following() {
            return;
        }
        let (spool, memory) = (self.spool.clone(), agent.memory());
        match spawn_blocking(move || spool.checkpoint(memory)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "What modules remember stays in records only."),
            Err(error) => tracing::error!(%error, "The thread that keeps what modules remember was lost."),
        }
    }

    /// Reads the configuration again, and has it made ready. Files that change meanwhile are read once more.
    fn reload(&mut self, agent: &Agent, under_way: &mut UnderWay) {
        if under_way.puts_off_reload(agent.saving.is_following()) {
            return;
        }
        (self.tell)(&News::Reloading);
        let config = match (self.reload)() {
            Ok(config) => config,
            Err(problems) => {
                self.refuse(&problems);
                return (self.tell)(&News::Ready);
            }
        };
        if config.hypervisor.uri != agent.config().hypervisor.uri {
            tracing::warn!("The hypervisor cannot be changed without a restart; the rest is taken over.");
        }
        if config.sandbox.cache != agent.config().sandbox.cache || config.log != agent.config().log {
            tracing::warn!("Log format and cache folder cannot be changed without a restart; the rest is taken over.");
        }
        if config.control != agent.config().control {
            tracing::warn!("The control socket cannot be changed without a restart; the rest is taken over.");
        }
        if config.spool != agent.config().spool {
            tracing::warn!("The spool cannot be changed without a restart; the rest is taken over.");
        }
        under_way.begin(agent.begin_reload(config));
    }

    /// Has it be in force.
    async fn take_over(&mut self, agent: &mut Agent, slots: &mut Slots, prepared: Prepared) {
        match prepared {
            Ok(Ok(reloaded)) => {
                let outputs = (self.outputs_of)(reloaded.config());
                let metrics = Arc::new(Intake::new(Arc::clone(&self.endpoint), reloaded.config()));
                agent.take_over(reloaded).await;
                self.serve(&outputs, agent).await;
                metrics.follow(&self.metrics);
                self.metrics = metrics;
                self.metrics.begin();
                *slots = wanted(agent, slots);
                self.control.begin(agent, slots);
                self.control.reloaded(None);
                tracing::info!("The configuration was read again and is in force.");
            }
            Ok(Err(NotLoaded { problems, .. })) => self.refuse(&problems),
            Err(error) => tracing::error!(%error, "The task that made it ready was lost. The configuration stays."),
        }
        (self.tell)(&News::Ready);
    }

    /// Goes on by the configuration that is in force, and says why.
    fn refuse(&self, problems: &Problems) {
        self.control.reloaded(Some(problems));
        tracing::error!("The configuration stays as it was:\n{problems}");
    }
}

/// Counts slots that were left out, and says so.
fn left_out(agent: &mut Agent, LeftOut { slots, is_clock_set }: &LeftOut) {
    agent.tally.skipped(slots);
    for (interval, slots) in slots {
        tracing::warn!(interval, slots, "Slots were left out: a cycle took too long, or the machine stood still.");
    }
    if *is_clock_set {
        tracing::warn!("The clock was set forward, or the machine slept; slots that never came are not counted.");
    }
}

/// Counts what is lost with a cycle that nobody waits for any more.
fn give_up(agent: &mut Agent, progress: Progress) {
    match progress {
        Progress::Measuring => {
            agent.tally.given_up += 1;
            tracing::warn!("The cycle that ran was given up, with its samples.");
        }
        // They are kept, or not, by the thread that is at it.
        Progress::Keeping => tracing::warn!("The spool took too long; samples of the last cycle may be missing."),
        Progress::Showing => {}
    }
}

/// Why samples that the spool refused are lost.
fn why(error: &Error) -> Why {
    match error {
        Error::TooLarge { .. } | Error::TooManyKeys { .. } => Why::TooLarge,
        error if error.is_full() => Why::DiskFull,
        _ => Why::DiskFailed,
    }
}

/// Why a record is not on disk for good, if it is not.
fn failure(committed: &Result<Committed, Error>) -> Option<&Error> {
    match committed {
        Ok(Committed { delayed, .. }) => delayed.as_ref(),
        Err(error) => Some(error),
    }
}

/// Does something that takes its time while listening. What is given up gives nothing.
async fn listening<T>(
    tell: fn(&News<'_>),
    drain: Duration,
    work: impl Future<Output = T>,
    wishes: &mut Receiver<Wish>,
) -> (Option<T>, Option<Wish>) {
    let (mut later, mut running) = (None, pin!(work));
    loop {
        tokio::select! {
            done = &mut running => return (Some(done), later),
            wish = wishes.recv() => match wish.unwrap_or(Wish::Stop) {
                Wish::Reload => later = Some(Wish::Reload),
                Wish::Drain => {
                    tell(&News::Ending(drain));
                    return (within(drain, running.as_mut(), wishes).await, Some(Wish::Drain));
                }
                Wish::Stop => return (None, Some(Wish::Stop)),
            },
        }
    }
}

async fn within<T>(drain: Duration, running: impl Future<Output = T>, wishes: &mut Receiver<Wish>) -> Option<T> {
    let stopped = async { while wishes.recv().await.is_some_and(|wish| wish == Wish::Reload) {} };
    tokio::select! {
        result = timeout(drain, running) => result.ok(),
        () = stopped => None,
    }
}

/// The operator's, and those of tenants.
fn intervals(agent: &Agent) -> (Vec<u64>, Vec<u64>) {
    let sources = agent.config().polling.sources.iter().map(|source| source.interval.as_secs());
    (sources.collect(), agent.tenants.intervals().collect())
}

/// How long it is until the next slot.
fn until_next(slots: &Slots, agent: &Agent) -> Duration {
    let now = agent.clock.now();
    let next = slots.upcoming(now).map(|(_, at)| at.saturating_sub(now.wall)).min();
    Duration::from_nanos(next.unwrap_or(i64::MAX).unsigned_abs())
}

fn offset(config: &Config) -> i64 {
    schedule::offset(config.schedule.offset, &config.host)
}

/// The slots that deployments want now, after these.
fn wanted(agent: &Agent, slots: &Slots) -> Slots {
    let (operators, tenants) = intervals(agent);
    slots.reconfigure(&operators, &tenants, offset(agent.config()))
}

fn slots(agent: &Agent) -> Slots {
    let (operators, tenants) = intervals(agent);
    Slots::new(&operators, &tenants, offset(agent.config()))
}
