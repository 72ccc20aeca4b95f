//! Whatever happens in whatever order, against the model, with what holds in any case.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::model::{Mark, Model, Must, Story};
use super::world::World;
use super::*;
use crate::modules::deployment::tests::{version, written};

/// What an operator or a machine may do.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A slot with what would come of either version, and something that happens while it runs.
    Slot(Outcome, Outcome, Option<Command>),
    /// The daemon ends during a slot, in which the version before one on trial ran.
    Ended(Outcome),
    Command(Command),
    Restart,
    /// Seconds go by.
    Wait(i64),
    /// Somebody sets the clock.
    Set(i64),
}

#[derive(Debug, Clone, Copy)]
enum Command {
    Deploy,
    /// A version that nobody tried out.
    Write,
    RollBack,
    /// To one of those that there are.
    RollBackTo(usize),
    /// What is on trial cannot run any more.
    Refuse,
    Pause,
    Resume,
    NewHost,
    SameHost,
}

/// Whoever reads the log only, and knows from it how things are.
#[derive(Debug, PartialEq, Eq)]
struct Reader {
    current: u64,
    trial: Option<u64>,
    /// Whether that is only tried out.
    dry: bool,
    paused: bool,
    quarantined: bool,
}

fn cause() -> impl Strategy<Value = Cause> {
    prop::sample::select(vec![Cause::Trap, Cause::OutOfFuel, Cause::Host, Cause::Unreadable])
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Good),
        1 => (0..4_u32, cause()).prop_map(|(failed, cause)| Outcome::Partly { failed, cause }),
        4 => cause().prop_map(Outcome::Failed),
        1 => Just(Outcome::NotRun),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => Just(Command::Deploy),
        3 => Just(Command::Write),
        2 => Just(Command::RollBack),
        2 => (0..VERSIONS).prop_map(Command::RollBackTo),
        1 => Just(Command::Refuse),
        1 => Just(Command::Pause),
        2 => Just(Command::Resume),
        1 => Just(Command::NewHost),
        1 => Just(Command::SameHost),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let slot = (outcome(), outcome(), prop::option::weighted(0.1, command()));
    prop_oneof![
        24 => slot.prop_map(|(trial, current, meanwhile)| Event::Slot(trial, current, meanwhile)),
        1 => outcome().prop_map(Event::Ended),
        2 => command().prop_map(Event::Command),
        1 => Just(Event::Restart),
        4 => (0..200_i64).prop_map(Event::Wait),
        1 => prop_oneof![any::<i64>(), -300 * SECOND..300 * SECOND].prop_map(Event::Set),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    (1..4_u32, 1..3_u32, 1..4_u32, 1..4_u32, 1..6_u32).prop_map(|(slots, failures, untried, failing, forgiven)| Rules {
        trial_slots: slots,
        trial_failures: failures,
        trial_untried: untried,
        failing_slots: failing,
        first_pause: Duration::from_secs(30),
        longest_pause: Duration::from_secs(200),
        forgiven_after: forgiven,
    })
}

/// The world and the model, side by side.
struct Both {
    world: World,
    model: Model,
    reader: Reader,
    hosts: u32,
}

// === impl Both ===

impl Both {
    fn new(rules: Rules) -> Self {
        Self {
            world: World::new(rules),
            model: Model {
                current: Story::new(1),
                trial: None,
                earlier: Vec::new(),
                refused: BTreeSet::new(),
                stopped: false,
            },
            reader: Reader { current: 1, trial: None, dry: false, paused: false, quarantined: false },
            hosts: 0,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Slot(trial, current, None) => {
                let must = self.model.must(&self.world.rules, self.world.now);
                let slot = self.world.slot(trial, current, |_| ());
                assert_eq!(what(&slot.run), must);
                let lands = self.model.lands(&must, trial, current);
                let landed: Vec<_> = slot.landed.into_iter().map(|instance| instance.version).collect();
                assert_eq!(landed, lands.into_iter().collect::<Vec<_>>());
                self.model.slot(&must, trial, current, &self.world.rules, self.world.now);
            }
            Event::Slot(trial, current, Some(command)) => self.interrupted(trial, current, command),
            Event::Ended(current) => self.ended(current),
            Event::Command(command) => self.command(command),
            Event::Restart => self.world.restart(),
            Event::Wait(seconds) => self.world.now = self.world.now.saturating_add(seconds * SECOND),
            Event::Set(now) => self.world.now = now,
        }
        self.check();
    }

    fn command(&mut self, command: Command) {
        let (it, model) = (&self.world.it, &mut self.model);
        let next = match command {
            Command::Deploy => {
                let next = it.deployed(version(b"module")).unwrap();
                model.deploy(next.0.versions.last().unwrap().number, true);
                next
            }
            Command::Write => {
                let next = it.deployed(written(b"module")).unwrap();
                model.deploy(next.0.versions.last().unwrap().number, false);
                next
            }
            Command::RollBack => {
                model.roll_back();
                it.rolled_back().unwrap_or_else(|_| (it.clone(), Vec::new()))
            }
            Command::RollBackTo(pick) => {
                let number = it.versions[pick % it.versions.len()].number;
                model.roll_back_to(number);
                it.rolled_back_to(number).unwrap_or_else(|_| (it.clone(), Vec::new()))
            }
            Command::Refuse => {
                model.refuse();
                it.without_trial()
            }
            Command::Pause => {
                model.stopped = true;
                it.paused(self.world.now, "me")
            }
            Command::Resume => {
                model.stopped = false;
                model.current.marks.push(Mark::Released);
                it.resumed()
            }
            Command::NewHost => {
                self.hosts += 1;
                model.current.marks.push(Mark::Released);
                it.on_host(&format!("host {}", self.hosts))
            }
            Command::SameHost => it.on_host(&format!("host {}", self.hosts)),
        };
        // The oldest ones are forgotten, but not the next one to go back to.
        let last = model.earlier.last().copied();
        model.earlier.retain(|number| next.0.version(*number).is_some());
        assert_eq!(model.earlier.last().copied(), last);
        model.refused.retain(|number| next.0.version(*number).is_some());
        self.world.keep(next);
    }

    /// That says nothing of what is on trial.
    fn ended(&mut self, current: Outcome) {
        let run = self.world.it.plan(&self.world.rules, self.world.now);
        let (Run::DryRun { current: instance, .. } | Run::Trial { current: instance, .. }) = run else { return };
        let trial = self.world.it.life.trial().cloned();
        self.world.land(&Ran { trial: None, current: Some((instance.state, current)) });
        assert_eq!(self.world.it.life.trial(), trial.as_ref());
        self.model.slot_of_current(Some(current), &self.world.rules, self.world.now);
    }

    /// The model knows nothing of slots that are not whole: what of them counts is what the life says, and all else
    /// has to hold as ever.
    fn interrupted(&mut self, trial: Outcome, current: Outcome, command: Command) {
        let before = self.world.it.life.clone();
        let run = self.world.it.plan(&self.world.rules, self.world.now);
        let mut ran = Ran::default();
        match &run {
            Run::Nothing(_) => {}
            Run::Current(instance) => ran.current = Some((instance.state, current)),
            Run::DryRun { tried: on_trial, current: instance }
            | Run::Trial { trial: on_trial, current: instance, .. } => {
                ran.trial = Some((on_trial.state, trial));
                ran.current = run.falls_back(trial).then_some((instance.state, current));
            }
        }
        self.command(command);
        let must = what(&run);
        let life = self.world.it.life.clone();
        self.world.land(&ran);
        if life.current() != before.current() {
            // All that ran is gone.
            assert_eq!(self.world.it.life, life);
        } else if life.trial() == before.trial() {
            self.model.slot(&must, trial, current, &self.world.rules, self.world.now);
        } else {
            // Only whoever was there before and after has something that counts, and whoever is new has not yet run.
            let trial = self.world.it.life.trial();
            assert!(trial.is_none_or(|trial| (trial.good, trial.failed, trial.untried) == (0, 0, 0)));
            self.model.slot_of_current(ran.current.map(|(_, outcome)| outcome), &self.world.rules, self.world.now);
        }
    }

    fn check(&mut self) {
        let it = &self.world.it;
        assert_eq!(it.check(), Ok(()));
        assert_eq!(self.world.current(), self.model.current.version);
        assert_eq!(self.world.trial(), self.model.trial.as_ref().map(|trial| trial.version));
        assert_eq!(it.life.earlier(), self.model.earlier);
        for number in it.versions.iter().map(|version| version.number) {
            assert_eq!(it.life.was_refused(number), self.model.refused.contains(&number));
        }
        let run = it.plan(&self.world.rules, self.world.now);
        assert_eq!(what(&run), self.model.must(&self.world.rules, self.world.now));
        // A kill at this moment changes nothing.
        let saved = &self.world.saved;
        assert_eq!(what(&saved.plan(&self.world.rules, self.world.now)), what(&run));
        assert!(saved.life.states().eq(it.life.states()) && saved.running().eq(it.running()));
        if let Run::Nothing(Idle::Quarantined { until, .. }) = run {
            assert!(until > self.world.now);
            assert!(i128::from(until) - i128::from(self.world.now) <= 200 * i128::from(SECOND));
        }
        for change in self.world.log.drain(..) {
            self.reader.read(&change);
        }
        let quarantined = self.model.trial.is_none() && self.model.current.quarantine().is_some();
        let is = Reader {
            current: self.world.current(),
            trial: self.world.trial(),
            dry: self.world.it.life.trial().is_some_and(|trial| trial.dry),
            paused: self.model.stopped,
            quarantined,
        };
        assert_eq!(self.reader, is);
    }

    /// Whoever is not paused runs within the longest pause, if nobody sets the clock.
    fn runs_again(&mut self) {
        self.happen(Event::Command(Command::Resume));
        let rules = self.world.rules;
        for _ in 0..20 {
            self.happen(Event::Slot(Outcome::Failed(Cause::Trap), Outcome::Failed(Cause::Trap), None));
        }
        if self.world.now < i64::MAX - 200 * SECOND {
            self.world.now += 200 * SECOND;
            assert_ne!(what(&self.world.it.plan(&rules, self.world.now)), Must::Nothing);
            self.happen(Event::Slot(Outcome::Good, Outcome::Good, None));
            assert_eq!(what(&self.world.it.plan(&rules, self.world.now)), Must::Current);
        }
    }
}

// === impl Model ===

impl Model {
    /// What counts of a slot for whoever was current before it and after.
    fn slot_of_current(&mut self, outcome: Option<Outcome>, rules: &Rules, now: i64) {
        let Some(outcome) = outcome else { return };
        let trial = self.trial.take();
        if trial.is_none() {
            self.slot(&Must::Current, outcome, outcome, rules, now);
        } else {
            // Nobody pauses while there is a trial.
            let patient = Rules { failing_slots: u32::MAX, ..*rules };
            self.slot(&Must::Current, outcome, outcome, &patient, now);
        }
        self.trial = trial;
    }
}

// === impl Reader ===

impl Reader {
    /// A line is about something that was otherwise.
    fn read(&mut self, change: &Change) {
        match change {
            Change::DryRunBegun { tried, current } => {
                assert_eq!((self.trial.replace(tried.version), self.current), (None, current.version));
                assert!(!std::mem::replace(&mut self.dry, true));
            }
            Change::DryRunPassed { trial, .. } => {
                assert_eq!(self.trial, Some(trial.version));
                assert!(std::mem::replace(&mut self.dry, false));
            }
            Change::TrialBegun { trial, .. } => assert_eq!(self.trial.replace(trial.version), None),
            Change::TrialPassed { current, before } => {
                assert_eq!((self.trial.take(), self.dry), (Some(current.version), false));
                assert_eq!(std::mem::replace(&mut self.current, current.version), before.version);
            }
            Change::TrialGivenUp { trial, current, .. } => {
                assert_eq!(self.trial.take(), Some(trial.version));
                assert_eq!(self.current, current.version);
                self.dry = false;
            }
            Change::RolledBack { current, before } => {
                assert_eq!(std::mem::replace(&mut self.current, current.version), before.version);
            }
            Change::Paused => assert!(!std::mem::replace(&mut self.paused, true)),
            Change::Resumed => assert!(std::mem::replace(&mut self.paused, false)),
            Change::Quarantined { .. } => assert!(!std::mem::replace(&mut self.quarantined, true)),
            Change::QuarantineEnded(_) => assert!(std::mem::replace(&mut self.quarantined, false)),
        }
    }
}

fn what(run: &Run) -> Must {
    match run {
        Run::Nothing(_) => Must::Nothing,
        Run::Current(_) => Must::Current,
        Run::DryRun { .. } => Must::DryRun,
        Run::Trial { .. } => Must::Trial,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn what_runs_is_what_must(rules in rules(), events in prop::collection::vec(event(), 0..200)) {
        let mut both = Both::new(rules);
        for event in events {
            both.happen(event);
        }
        both.runs_again();
    }

    #[test]
    fn whoever_does_nothing_wrong_is_never_stopped(
        rules in rules(),
        slots in prop::collection::vec((0..5_u32, -400..400_i64, any::<bool>()), 1..200),
    ) {
        let mut world = World::new(rules);
        for (kind, seconds, deploys) in slots {
            world.now += seconds * SECOND;
            let outcome = match kind {
                0 => Outcome::NotRun,
                1 => Outcome::Failed(Cause::Host),
                2 => Outcome::Partly { failed: 9, cause: Cause::Trap },
                _ => Outcome::Good,
            };
            if deploys && world.trial().is_none() {
                if seconds % 2 == 0 { world.deploy() } else { world.write() }
            }
            let slot = world.slot(Outcome::Good, outcome, |_| ());
            prop_assert_ne!(what(&slot.run), Must::Nothing);
            let stopped = world.log.iter().any(|change| matches!(change, Change::Quarantined { .. }));
            prop_assert!(!stopped);
        }
    }
}
