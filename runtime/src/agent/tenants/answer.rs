//! What a deployment gives in a slot: what its versions are called with, what they gave, and how that went.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::select;
use tokio::sync::watch;

use super::Deployed;
use super::converting::{Convert, Converted};
use super::room::Room;
use crate::agent::polling::{Poll, Polled};
use crate::clock::{Clock, Moment};
use crate::discovery::Resources;
use crate::modules::deploying::Ready;
use crate::modules::deployment::Key;
use crate::modules::life::{Instance, Outcome, Ran, Run, StateId};
use crate::sandbox::host::log::Lines;
use crate::sandbox::host::state::State;
use crate::sandbox::ledger::Ledger;
use crate::sandbox::{Cause, Failure, turns};

/// What a deployment gave in a slot, which may be over.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whose it is.
    pub key: Key,
    /// Which one of this key.
    pub number: u64,
    /// When its slot was read.
    pub at: Moment,
    /// The slot's resources.
    pub of: Arc<Resources>,
    /// Whether it is a transformer's.
    pub converts: bool,
    /// Its place in a chain, if it was handed what came to it there.
    pub chain: Option<Chained>,
    /// What was to run.
    pub run: Run,
    /// How it went.
    pub ran: Ran,
    pub trial: Option<Gave>,
    pub current: Option<Gave>,
    /// How many resources it was about.
    pub resources: u32,
}

/// A place in a chain.
#[derive(Debug)]
pub(super) struct Chained {
    /// The sink's whose chain it is.
    pub sink: Arc<str>,
    /// Samples that go nowhere unless they are transformed.
    pub taken: u32,
}

/// What a version gave.
#[derive(Debug)]
pub(super) struct Gave {
    /// The version, with the state that it ran on.
    pub instance: Instance,
    /// What ran, whatever was deployed since.
    pub ready: Arc<Ready>,
    pub polled: Polled,
    /// What it gave if it is a transformer.
    pub converted: Option<Converted>,
}

/// What a version is called with.
pub(super) enum Job {
    Poll(Poll),
    Convert(Convert),
}

/// Where a call is booked that may be given up.
struct Account {
    ledger: Arc<Ledger>,
    module: Arc<str>,
    tenant: Arc<str>,
    /// What the module remembers before it.
    state: Arc<State>,
    clock: Arc<dyn Clock>,
    began: u64,
}

/// Why a version that is on trial, or only tried out, is not waited for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unawaited {
    /// The next slot came.
    NextSlot,
    /// The daemon ends.
    End,
}

/// Whoever runs such a version is told so here.
pub(super) type IsUnawaited = watch::Receiver<Option<Unawaited>>;

/// A version, what runs of it, and what it is called with.
pub(super) type InstanceJob = (Instance, Arc<Ready>, Job);

/// The version on trial, if there is one, and the current one, each with the state that it runs on.
pub(super) type Jobs = (Option<InstanceJob>, Option<InstanceJob>);

/// What versions are called with that are to run.
pub(super) fn jobs(run: &Run, job: impl Fn(&Instance) -> Option<(Arc<Ready>, Job)>) -> Jobs {
    let job = |instance: Instance| job(&instance).map(|(ready, job)| (instance, ready, job));
    match run {
        Run::Nothing(_) => (None, None),
        Run::Current(current) => (None, job(*current)),
        Run::DryRun { tried, current } => (job(Instance { state: current.state, ..*tried }), job(*current)),
        Run::Trial { trial, current, .. } => (job(*trial), job(*current)),
    }
}

// === impl Answer ===

impl Answer {
    /// Whether nothing counts of what is on trial: there is none, it failed in this slot or was not waited for, or is
    /// only tried out.
    fn falls_back(&self) -> bool {
        self.ran.trial.is_none_or(|(_, outcome)| self.run.falls_back(outcome))
    }

    /// Runs what is on trial or tried out, as long as it is waited for.
    pub async fn run_trial(&mut self, job: Option<InstanceJob>, is_unawaited: Option<IsUnawaited>) {
        let (Some(trial), Some(mut is_unawaited)) = (self.run.on_trial(), is_unawaited) else { return };
        let before = *is_unawaited.borrow();
        let Some((instance, ready, job)) = job.filter(|_| before.is_none()) else {
            // What others left no time for did not fail, but what can never run would be on trial for ever.
            self.ran.trial = counted(before, trial, Outcome::Failed(Cause::Host));
            return;
        };
        let (account, resources) = (job.account(), self.resources);
        let (began, waited, given_up) = (Instant::now(), turns::waited(), Arc::clone(&ready));
        let (gave, ran) = select! {
            biased;
            (gave, outcome) = Gave::of(instance, ready, job, resources) => (gave, counted(None, trial, outcome)),
            Some(why) = unawaited(&mut is_unawaited) => {
                let failure = why.failure(began.elapsed(), turns::waited().saturating_sub(waited));
                let cause = failure.cause;
                let polled = account.give_up(failure, resources);
                let gave = Gave { instance, ready: given_up, polled, converted: None };
                (gave, counted(Some(why), trial, Outcome::Failed(cause)))
            }
        };
        self.ran.trial = ran;
        self.trial = Some(gave);
    }

    /// Has a version on trial fail if there is no room for what it would remember, so that the one before it runs.
    pub fn fit_trial(&mut self, room: Option<(Room, Arc<str>, Arc<State>)>) {
        let (Run::Trial { .. }, Some((mut room, tenant, before)), Some(gave)) = (self.run, room, &mut self.trial)
        else {
            return;
        };
        if let Some(outcome) = gave.fit(&mut room, &tenant, &before, self.resources) {
            self.ran.trial = Some((gave.instance.state, outcome));
        }
    }

    /// Runs what is current.
    pub async fn run_current(&mut self, job: Option<InstanceJob>) {
        let Some((instance, ready, job)) = job else { return };
        let (gave, outcome) = Gave::of(instance, ready, job, self.resources).await;
        self.ran.current = Some((instance.state, outcome));
        self.current = Some(gave);
    }

    /// Whether any version of it would remember something else than it did.
    pub fn remembers(&self, deployed: &Deployed) -> bool {
        let mut gave = self.trial.iter().chain(&self.current);
        gave.any(|gave| {
            let before = deployed.states.get(&gave.instance.state);
            before.is_none_or(|before| !Arc::ptr_eq(before, &gave.polled.state))
        })
    }

    /// Has what would count come to nothing if there is no room for what it would remember.
    pub fn fit(&mut self, room: &mut Room, deployed: &Deployed) {
        let resources = self.resources;
        if !self.falls_back()
            && let Some(gave) = &mut self.trial
            && let Some(outcome) = gave.fit_beside(room, deployed, resources)
        {
            self.ran.trial = Some((gave.instance.state, outcome));
        }
        if (self.falls_back() || self.trial.is_none())
            && let Some(gave) = &mut self.current
            && let Some(outcome) = gave.fit_beside(room, deployed, resources)
        {
            self.ran.current = Some((gave.instance.state, outcome));
        }
        // What is only tried out takes none of it.
        if let (Run::DryRun { tried, .. }, Some(gave)) = (self.run, &mut self.trial)
            && let Some(outcome) = gave.fit_beside(&mut room.clone(), deployed, resources)
        {
            self.ran.trial = Some((tried.state, outcome));
        }
    }

    /// What of it counts, if anything does, and what failed its trial or was tried out, and does not.
    pub fn counts(self) -> (Option<Gave>, Option<Gave>) {
        if self.falls_back() { (self.current, self.trial) } else { (self.trial.or(self.current), None) }
    }

    /// What failed last.
    pub fn why(&self) -> Option<String> {
        let mut failures = self.current.iter().chain(&self.trial).flat_map(|gave| &gave.polled.failures);
        failures.next_back().map(|(failure, _)| failure.on_one_line().to_string())
    }

    /// At most so many samples.
    pub fn given(&self) -> usize {
        let gave = self.trial.iter().chain(&self.current);
        gave.map(|gave| given(&gave.polled, gave.converted.as_ref())).sum()
    }
}

/// What counts of how a version on trial did, which may not have been waited for. That the daemon ended says nothing of
/// it, however often that happens.
fn counted(why: Option<Unawaited>, trial: Instance, outcome: Outcome) -> Option<(StateId, Outcome)> {
    (why != Some(Unawaited::End)).then_some((trial.state, outcome))
}

/// Waits until a version is not waited for any more.
async fn unawaited(told: &mut IsUnawaited) -> Option<Unawaited> {
    told.wait_for(Option::is_some).await.ok().and_then(|why| *why)
}

// === impl Unawaited ===

impl Unawaited {
    /// What comes of a call that took so long, of which it waited so long for others.
    fn failure(self, took: Duration, waited: Duration) -> Failure {
        match self {
            Self::NextSlot => {
                let cause = if waited > took / 2 { Cause::Host } else { Cause::Deadline };
                Failure::new(cause, "it was still at a slot when the next one came")
            }
            Self::End => Failure::new(Cause::Host, "it was still at a slot when the daemon ended"),
        }
    }
}

// === impl Gave ===

impl Gave {
    /// What comes of this for so many resources, and how it went.
    async fn of(instance: Instance, ready: Arc<Ready>, job: Job, resources: u32) -> (Self, Outcome) {
        let before = Arc::clone(job.state());
        let (polled, converted) = job.run().await;
        let outcome = outcome(&polled, converted.as_ref(), &before, resources);
        (Self { instance, ready, polled, converted }, outcome)
    }

    fn fit_beside(&mut self, room: &mut Room, deployed: &Deployed, resources: u32) -> Option<Outcome> {
        let before = deployed.states.get(&self.instance.state).cloned().unwrap_or_default();
        self.fit(room, &deployed.tenant, &before, resources)
    }

    fn fit(&mut self, room: &mut Room, tenant: &Arc<str>, before: &Arc<State>, resources: u32) -> Option<Outcome> {
        let outcome = room.admit(tenant, before, &mut self.polled, resources)?;
        if let Some(converted) = &mut self.converted {
            converted.landed.clear();
        }
        Some(outcome)
    }
}

// === impl Job ===

impl Job {
    /// What it remembers before it runs.
    fn state(&self) -> &Arc<State> {
        match self {
            Self::Poll(poll) => &poll.state,
            Self::Convert(convert) => &convert.state,
        }
    }

    fn account(&self) -> Account {
        let (ledger, module, tenant, clock) = match self {
            Self::Poll(poll) => (&poll.ledger, &poll.module, &poll.tenant, &poll.clock),
            Self::Convert(convert) => (&convert.ledger, &convert.module, &convert.tenant, &convert.clock),
        };
        Account {
            ledger: Arc::clone(ledger),
            module: Arc::clone(&module.name),
            tenant: Arc::clone(tenant),
            state: Arc::clone(self.state()),
            clock: Arc::clone(clock),
            began: clock.now().monotonic,
        }
    }

    async fn run(self) -> (Polled, Option<Converted>) {
        match self {
            Self::Poll(poll) => (poll.run().await, None),
            Self::Convert(convert) => {
                let (polled, converted) = convert.run().await;
                (polled, Some(converted))
            }
        }
    }
}

// === impl Account ===

impl Account {
    /// What comes of a call that is given up, for this reason.
    fn give_up(self, failure: Failure, resources: u32) -> Polled {
        let Self { ledger, module, tenant, state, clock, began } = self;
        let fuel = ledger.give_up(&module, &tenant, failure.cause);
        Polled {
            landed: Vec::new(),
            failures: vec![(failure, resources)],
            state,
            fuel,
            memory: 0,
            took: Duration::from_nanos(clock.now().monotonic.saturating_sub(began)),
            calls: 1,
            granted: fuel,
            lines: Lines::default(),
        }
    }
}

/// So many samples are in it.
fn given(polled: &Polled, converted: Option<&Converted>) -> usize {
    let series = polled.landed.iter().flat_map(|landed| &landed.output).map(|series| series.column.len());
    let batches = converted.into_iter().flat_map(|converted| &converted.landed).flat_map(|landed| &landed.output);
    series.chain(batches.map(|batch| batch.column.len())).sum()
}

/// How it went, of a module that remembered this before. Calls that land beside others that fail show that it works for
/// some only if they leave something: samples, or what it remembers for samples that come later.
fn outcome(polled: &Polled, converted: Option<&Converted>, before: &Arc<State>, resources: u32) -> Outcome {
    let left_nothing = || given(polled, converted) == 0 && Arc::ptr_eq(&polled.state, before);
    match polled.failures.last() {
        // A transformer is not called where nothing is for it.
        None if resources == 0 || polled.calls == 0 => Outcome::NotRun,
        _ if resources == 0 => Outcome::NotRun,
        None => Outcome::Good,
        Some((failure, _)) if left_nothing() => Outcome::Failed(failure.cause),
        Some((failure, _)) => {
            let failed = polled.failures.iter().fold(0, |sum: u32, (_, resources)| sum.saturating_add(*resources));
            Outcome::Partly { failed, cause: failure.cause }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Batch, Column, Series, Values};
    use crate::sandbox::Landed;
    use crate::sandbox::host::state::Writes;

    const TRAP: Cause = Cause::Trap;

    /// Calls that landed without samples, and others that failed for so many resources.
    fn polled(landed: usize, failed: &[u32], state: &Arc<State>) -> Polled {
        let failure = |resources: &u32| (Failure::new(TRAP, "odd"), *resources);
        Polled {
            landed: std::iter::repeat_with(|| landed_with(Vec::new())).take(landed).collect(),
            failures: failed.iter().map(failure).collect(),
            state: Arc::clone(state),
            fuel: 1,
            memory: 1,
            took: Duration::ZERO,
            calls: (landed + failed.len()) as u64,
            granted: 1,
            lines: Lines::default(),
        }
    }

    fn landed_with<T>(output: T) -> Landed<T> {
        let (meters, parts, texts) = Default::default();
        Landed { output, meters, parts, texts, writes: Writes::default(), dropped: 0 }
    }

    fn column(resources: usize) -> Column {
        Column { resources: (0..).take(resources).collect(), values: Values::Counts(vec![1; resources]) }
    }

    fn polled_with(samples: usize, failed: &[u32], state: &Arc<State>) -> Polled {
        let series = Series { meter: 0, column: column(samples), notes: Vec::new() };
        Polled { landed: vec![landed_with(vec![series])], ..polled(1, failed, state) }
    }

    fn converted(samples: Option<usize>) -> Converted {
        let at = Moment { wall: 1, monotonic: 1 }.into();
        let batch = |samples| Batch { meter: 0, at, column: column(samples), notes: Vec::new() };
        let landed = vec![landed_with(samples.into_iter().map(batch).collect())];
        Converted { inputs: Vec::new(), gives: None, landed }
    }

    #[test]
    fn who_fails_for_some_and_leaves_nothing_of_others_fails() {
        let before = Arc::new(State::default());
        let barren = |polled: &Polled| outcome(polled, None, &before, 9);
        assert_eq!(barren(&polled(0, &[4, 5], &before)), Outcome::Failed(TRAP));
        assert_eq!(barren(&polled(3, &[1], &before)), Outcome::Failed(TRAP));
        assert_eq!(barren(&polled_with(0, &[1], &before)), Outcome::Failed(TRAP), "a meter without samples is nothing");
        assert_eq!(barren(&polled_with(8, &[1], &before)), Outcome::Partly { failed: 1, cause: TRAP });
        // What it remembers of others now, it gives later.
        let after = Arc::new(State::default());
        assert_eq!(barren(&polled(3, &[1, 1], &after)), Outcome::Partly { failed: 2, cause: TRAP });
    }

    #[test]
    fn what_a_transformer_leaves_counts_like_what_a_pollster_does() {
        let before = Arc::new(State::default());
        let gave = |samples| outcome(&polled(0, &[1], &before), Some(&converted(samples)), &before, 9);
        assert_eq!(gave(None), Outcome::Failed(TRAP));
        assert_eq!(gave(Some(0)), Outcome::Failed(TRAP));
        assert_eq!(gave(Some(8)), Outcome::Partly { failed: 1, cause: TRAP });
    }

    /// However often the daemon is ended while a version on trial is at a slot.
    #[tokio::test]
    async fn an_end_of_the_daemon_says_nothing_of_what_is_on_trial() {
        let instance = |version| Instance { version, state: StateId(version) };
        let run = Run::Trial { trial: instance(2), current: instance(1), bar: 0 };
        for (why, expected) in [
            (None, Some((StateId(2), Outcome::Failed(Cause::Host)))),
            (Some(Unawaited::NextSlot), Some((StateId(2), Outcome::Failed(Cause::Host)))),
            (Some(Unawaited::End), None),
        ] {
            let mut answer = Answer {
                key: Key::new("acme".parse().unwrap(), "probe".parse().unwrap()),
                number: 1,
                at: Moment { wall: 1, monotonic: 1 },
                of: Arc::default(),
                converts: false,
                chain: None,
                run,
                ran: Ran::default(),
                trial: None,
                current: None,
                resources: 1,
            };
            let (_told, is_unawaited) = watch::channel(why);
            answer.run_trial(None, Some(is_unawaited)).await;
            assert_eq!((answer.ran.trial, answer.falls_back()), (expected, true), "{why:?}");
        }
    }

    #[test]
    fn who_has_nothing_to_say_does_well() {
        let before = Arc::new(State::default());
        assert_eq!(outcome(&polled(1, &[], &before), None, &before, 9), Outcome::Good);
        assert_eq!(outcome(&polled(1, &[], &before), Some(&converted(None)), &before, 9), Outcome::Good);
        assert_eq!(outcome(&polled(0, &[], &before), None, &before, 9), Outcome::NotRun, "it was not called");
        assert_eq!(outcome(&polled(0, &[1], &before), None, &before, 0), Outcome::NotRun);
    }
}
