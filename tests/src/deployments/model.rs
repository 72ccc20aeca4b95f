//! What must be running, as simply as it can be said.
//!
//! The model knows no modules and no files: a deployment is a list of versions with whoever runs, and each of those has
//! a trail of all that ran on its state. What a version does in a second it knows beforehand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wasmeter::clock::SECOND;
use wasmeter::modules::deployment::{Key, VERSIONS};
use wasmeter::modules::life::Rules;

/// A module with its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    pub module: Module,
    /// It fails in seconds of which the rest by the first is the second; never where that is 0.
    pub fails: (u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// It remembers everybody who ran on its state. Two of these are different files.
    Remembering { file: usize, mark: u64 },
    /// It remembers nothing.
    Forgetful,
    /// It gives what it is handed under a name that says this, and remembers nothing.
    Converting { mark: u64 },
}

/// What the operator's sink gives of a tenant's guests in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// What the operator measured.
    AsMeasured,
    /// What a transformer made of it.
    Converted { mark: u64 },
}

/// What is in the file of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Program(Program),
    /// It cannot be read.
    Nonsense,
    /// The module is another one than its digest says.
    Changed(Program),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub number: u64,
    pub program: Program,
}

/// A version with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub version: u64,
    /// No other has this.
    id: u64,
    /// Those that its state is a copy of a copy of, the last one last.
    ancestors: Vec<u64>,
    /// That it is only tried out, and has no state yet.
    dry: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    pub versions: Vec<Version>,
    pub current: Instance,
    pub trial: Option<Instance>,
    pub earlier: Vec<u64>,
    pub paused: bool,
    pauses: u32,
    /// Since when it is in quarantine.
    quarantine: Option<i64>,
    /// The file that it is in.
    file: Option<String>,
    /// What that said when it was last followed.
    written: Option<Program>,
    slots: Slots,
}

/// What may be forgotten with a restart: slots that went well or not, in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Slots {
    trial: u32,
    good: u32,
    failed: u32,
}

/// What runs of a deployment in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    Nothing,
    Current,
    DryRun,
    Trial,
}

/// Slots that a deployment is at or is to begin with, oldest first.
#[derive(Debug, Clone, Default)]
struct Queue(VecDeque<UnderWay>);

/// Slots that wait at most.
const WAITING: usize = 3;

/// A slot of a deployment.
#[derive(Debug, Clone)]
struct UnderWay {
    second: u64,
    /// What runs, if that is not what is to run when the slot before it ended.
    plan: Option<Plan>,
    /// Versions that it was read for: one that came on trial since is not tried in it.
    versions: BTreeSet<u64>,
    /// Whether it was handed what came to its place in the chain.
    chained: bool,
    /// Pollsters that a transformer waits for.
    waits: BTreeSet<Key>,
    /// Whether all of it ran.
    done: bool,
    /// Whether a version on trial was not waited for.
    overdue: bool,
}

/// What runs in a slot.
#[derive(Debug, Clone)]
struct Plan {
    trial: Option<Ran>,
    current: Ran,
    /// All that had a state when it began.
    there: BTreeSet<u64>,
    /// Whether nothing counts of what is on trial.
    dry: bool,
}

#[derive(Debug, Clone)]
struct Ran {
    id: u64,
    version: u64,
    program: Program,
    trail: u64,
}

/// Samples that have to come of a deployment in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lands {
    pub module: Module,
    pub trail: u64,
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Deploy(Program),
    RollBack,
    /// To one of those that there are.
    RollBackTo(u64),
    Pause,
    Resume,
    Remove,
}

/// Why an order is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum No {
    /// There is no such deployment.
    Unknown,
    /// It is in a file.
    Written,
    /// There is nothing to go back to, or that runs already.
    Never,
    /// What was made ready for it is not what it needs now.
    Meanwhile,
}

/// How a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With all that it knew.
    Clean,
    /// At once.
    Killed,
    /// And the disk lost the last record.
    Behind,
}

type Trails = BTreeMap<u64, u64>;

#[derive(Debug, Default)]
pub struct Model {
    pub running: BTreeMap<Key, Deployment>,
    pub store: BTreeMap<Key, Deployment>,
    /// Files by name, as they are in the folder.
    pub files: BTreeMap<Key, (String, Written)>,
    /// As they were when they were read last.
    read: BTreeMap<Key, (String, Written)>,
    under_way: BTreeMap<Key, Queue>,
    unsaved: BTreeSet<Key>,
    ids: u64,
    trails: Trails,
    /// After the last slot that was kept.
    kept: Trails,
    /// Who was there then.
    known: BTreeSet<u64>,
    /// The transformers in the chain of the operator's sink.
    pub chain: Vec<Key>,
    /// What that sink gives, by second and tenant. Of a tenant who is missing it gives nothing.
    pub delivered: BTreeMap<(u64, String), Delivered>,
    /// What is on the disk of them, and what was before the last record.
    memory: Trails,
    memory_before: Trails,
}

/// A second of the clock, in nanoseconds since 1970.
fn wall(second: u64) -> i64 {
    i64::try_from(second).unwrap() * SECOND
}

// === impl Program ===

impl Program {
    /// As it is where only a transformer can be deployed, or only a pollster.
    pub fn of(self, key: &Key) -> Self {
        match self.module {
            Module::Remembering { mark, .. } if key.name.as_str() == super::CONVERTS => {
                // It fails always or never.
                let fails = if self.fails == (1, 0) { (1, 0) } else { (0, 0) };
                Self { module: Module::Converting { mark }, fails }
            }
            Module::Forgetful if key.name.as_str() == super::CONVERTS => {
                Self { module: Module::Converting { mark: 0 }, ..self }
            }
            _ => self,
        }
    }

    fn fails(&self, second: u64) -> bool {
        let (every, at) = self.fails;
        every != 0 && second % every == at
    }

    /// What its state is after it ran.
    fn follow(&self, trail: u64, second: u64) -> u64 {
        match self.module {
            Module::Forgetful | Module::Converting { .. } => trail,
            Module::Remembering { mark, .. } => {
                (trail ^ mark.rotate_left(32) ^ second).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
            }
        }
    }
}

// === impl Deployment ===

impl Deployment {
    fn version(&self, number: u64) -> Option<&Version> {
        self.versions.iter().find(|version| version.number == number)
    }

    pub fn program(&self, instance: &Instance) -> Program {
        self.version(instance.version).unwrap().program
    }

    fn converts(&self) -> bool {
        matches!(self.program(&self.current).module, Module::Converting { .. })
    }

    /// Whether a transformer waits for it, as it may declare meters.
    fn declares(&self) -> bool {
        self.instances().any(|instance| self.program(instance).module == Module::Forgetful)
    }

    /// What runs in a slot that begins now, if anything does.
    fn plan(&self, second: u64, rules: &Rules, trails: &Trails) -> Option<Plan> {
        let runs = self.runs(rules, wall(second));
        let ran = |instance: &Instance| {
            let state = if instance.dry { &self.current } else { instance };
            let Instance { id, version, .. } = *instance;
            Ran { id, version, program: self.program(instance), trail: trails[&state.id] }
        };
        (runs != Runs::Nothing).then(|| Plan {
            trial: self.trial.as_ref().map(ran),
            current: ran(&self.current),
            there: self.remembering().map(|instance| instance.id).collect(),
            dry: runs == Runs::DryRun,
        })
    }

    fn instances(&self) -> impl Iterator<Item = &Instance> {
        std::iter::once(&self.current).chain(&self.trial)
    }

    /// Those that have a state.
    fn remembering(&self) -> impl Iterator<Item = &Instance> {
        self.instances().filter(|instance| !instance.dry)
    }

    /// What is not forgotten with a restart.
    fn lasting(&self) -> Self {
        Self { slots: Slots::default(), ..self.clone() }
    }

    pub fn runs(&self, rules: &Rules, now: i64) -> Runs {
        if self.paused {
            return Runs::Nothing;
        }
        if let Some(trial) = &self.trial {
            return if trial.dry { Runs::DryRun } else { Runs::Trial };
        }
        let pause = rules.first_pause.saturating_mul(1 << self.pauses.saturating_sub(1)).min(rules.longest_pause);
        let pauses = |since: i64| since <= now && now < since + i64::try_from(pause.as_nanos()).unwrap();
        if self.quarantine.is_some_and(pauses) { Runs::Nothing } else { Runs::Current }
    }

    fn release(&mut self) {
        (self.slots.good, self.slots.failed, self.pauses, self.quarantine) = (0, 0, 0, None);
    }

    fn note(&mut self, good: bool, rules: &Rules) {
        if good {
            (self.slots.good, self.slots.failed) = (self.slots.good + 1, 0);
            if self.slots.good >= rules.forgiven_after {
                self.pauses = 0;
            }
        } else {
            (self.slots.good, self.slots.failed) = (0, self.slots.failed + 1);
        }
    }

    /// What follows from a slot, for whoever is still there. What was on trial may not have been tried: that happens in
    /// fewer slots in a row than it is given up after.
    fn went(&mut self, trial: Option<(u64, Option<bool>)>, current: Option<(u64, bool)>, rules: &Rules, now: i64) {
        let current = current.filter(|(id, _)| *id == self.current.id).map(|(_, good)| good);
        if let Some(good) = current {
            self.note(good, rules);
        }
        match (&mut self.trial, trial) {
            (Some(on_trial), Some((id, good))) if on_trial.id == id => {
                let Some(good) = good else { return };
                if !good {
                    self.trial = None;
                    return;
                }
                if std::mem::take(&mut on_trial.dry) {
                    return;
                }
                self.slots.trial += 1;
                if self.slots.trial >= rules.trial_slots {
                    self.earlier.push(self.current.version);
                    self.current = self.trial.take().unwrap();
                    self.release();
                    self.note(true, rules);
                }
            }
            (Some(_), _) => {}
            (None, _) => match current {
                Some(true) => self.quarantine = None,
                Some(false) if self.quarantine.is_some() || self.slots.failed >= rules.failing_slots => {
                    self.pauses += 1;
                    self.quarantine = Some(now);
                }
                _ => {}
            },
        }
    }

    /// Whether something else runs than its file says.
    pub fn differs_from_file(&self) -> bool {
        self.written.is_some_and(|written| self.instances().all(|instance| self.program(instance) != written))
    }

    /// The oldest go that neither run nor are next to go back to.
    fn forget_oldest(&mut self) {
        while self.versions.len() > VERSIONS {
            let running = self.instances().map(|instance| instance.version);
            let wanted: Vec<u64> = running.chain(self.earlier.last().copied()).collect();
            let oldest = self.versions.iter().position(|version| !wanted.contains(&version.number)).unwrap();
            let number = self.versions.remove(oldest).number;
            self.earlier.retain(|earlier| *earlier != number);
        }
    }
}

// === impl Queue ===

impl Queue {
    /// The slot that it is at.
    fn begun(&mut self) -> Option<&mut UnderWay> {
        self.0.front_mut().filter(|first| first.waits.is_empty())
    }

    fn take_begun(&mut self) -> Option<UnderWay> {
        self.0.pop_front_if(|first| first.waits.is_empty())
    }

    /// Whether it has time for another slot, which ends whatever is on trial and not done, after two slots if it is only
    /// tried out.
    fn has_time(&mut self) -> bool {
        let slots = self.0.len();
        let Some(begun) = self.begun() else { return slots < WAITING };
        let Some(Plan { trial: Some(_), dry, .. }) = begun.plan else { return false };
        begun.overdue |= !begun.done && (!dry || slots > 1);
        slots <= WAITING
    }
}

// === impl Model ===

impl Model {
    /// Another instance, whose state is a copy of this one's; of nobody's if there is none.
    fn instance(&mut self, version: u64, from: Option<&Instance>) -> Instance {
        self.ids += 1;
        let ancestors = from.map_or_else(Vec::new, |from| [&from.ancestors[..], &[from.id]].concat());
        self.copy(self.ids, from.map(|from| from.id));
        Instance { version, id: self.ids, ancestors, dry: false }
    }

    /// The state of one begins as a copy of another's.
    fn copy(&mut self, id: u64, from: Option<u64>) {
        for trails in [&mut self.trails, &mut self.kept] {
            let trail = from.map_or(0, |from| trails[&from]);
            trails.insert(id, trail);
        }
    }

    fn new_deployment(&mut self, program: Program) -> Deployment {
        Deployment {
            versions: vec![Version { number: 1, program }],
            current: self.instance(1, None),
            trial: None,
            earlier: Vec::new(),
            paused: false,
            pauses: 0,
            quarantine: None,
            file: None,
            written: None,
            slots: Slots::default(),
        }
    }

    /// What was ordered was tried out before.
    fn try_out(&mut self, deployment: &mut Deployment, version: u64, is_ordered: bool) {
        deployment.release();
        deployment.slots.trial = 0;
        let trial = self.instance(version, Some(&deployment.current));
        if !is_ordered {
            self.trails.remove(&trial.id);
            self.kept.remove(&trial.id);
        }
        deployment.trial = Some(Instance { dry: !is_ordered, ..trial });
    }

    fn go_back(&mut self, deployment: &mut Deployment, version: u64) {
        let place = deployment.earlier.iter().position(|earlier| *earlier == version).unwrap();
        deployment.earlier.truncate(place);
        deployment.trial = None;
        deployment.current = self.instance(version, Some(&deployment.current));
        deployment.release();
    }

    /// With this version running. Whether that makes a difference.
    fn deploy(&mut self, deployment: &mut Deployment, program: Program, written: bool) -> bool {
        if written && deployment.written.replace(program) == Some(program) {
            return false;
        }
        let is = |instance: &Instance| deployment.program(instance) == program;
        if is(&deployment.current) {
            return deployment.trial.take().is_some();
        }
        if deployment.trial.as_ref().is_some_and(is) {
            return false;
        }
        let number = deployment.versions.last().unwrap().number + 1;
        deployment.versions.push(Version { number, program });
        self.try_out(deployment, number, !written);
        deployment.forget_oldest();
        true
    }

    /// Back to what ran before.
    fn roll_back(&mut self, deployment: &mut Deployment) -> Result<(), No> {
        if deployment.trial.take().is_some() {
            return Ok(());
        }
        let earlier = *deployment.earlier.last().ok_or(No::Never)?;
        self.go_back(deployment, earlier);
        Ok(())
    }

    fn roll_back_to(&mut self, deployment: &mut Deployment, number: u64) -> Result<(), No> {
        deployment.version(number).ok_or(No::Never)?;
        let on_trial = deployment.trial.as_ref().map(|trial| trial.version);
        if number == deployment.current.version {
            deployment.trial.take().map(drop).ok_or(No::Never)
        } else if on_trial == Some(number) {
            Err(No::Never)
        } else {
            if deployment.earlier.contains(&number) {
                self.go_back(deployment, number);
            } else {
                self.try_out(deployment, number, true);
            }
            Ok(())
        }
    }

    /// Follows an order; these versions were made ready for it.
    pub fn order(&mut self, key: &Key, order: Order, ready: &[Version]) -> Result<(), No> {
        let known = self.running.get(key).cloned();
        if matches!(order, Order::Deploy(_) | Order::Remove) {
            let is_written = self.read.get(key).is_some_and(|(_, written)| *written != Written::Nonsense);
            if is_written || known.as_ref().is_some_and(|known| known.file.is_some()) {
                return Err(No::Written);
            }
        }
        let mut next = match (order, &known) {
            (Order::Deploy(program), None) => self.new_deployment(program),
            (_, None) => return Err(No::Unknown),
            (_, Some(known)) => known.clone(),
        };
        match order {
            Order::Deploy(program) => {
                if known.is_some() && !self.deploy(&mut next, program, false) {
                    return Ok(());
                }
            }
            Order::RollBack => self.roll_back(&mut next)?,
            Order::RollBackTo(number) => self.roll_back_to(&mut next, number)?,
            Order::Pause => next.paused = true,
            Order::Resume => {
                next.paused = false;
                next.release();
            }
            Order::Remove => {
                self.remove(key);
                self.store.remove(key);
                self.unsaved.remove(key);
                return Ok(());
            }
        }
        if matches!(order, Order::RollBack | Order::RollBackTo(_)) {
            let known = known.unwrap();
            let is_ready = |instance: &Instance| {
                let ran = known.instances().any(|running| running.version == instance.version);
                ran || ready.iter().any(|ready| Some(ready) == next.version(instance.version))
            };
            if !next.instances().all(is_ready) {
                return Err(No::Meanwhile);
            }
        }
        self.store.insert(key.clone(), next.clone());
        self.running.insert(key.clone(), next);
        self.unsaved.remove(key);
        Ok(())
    }

    fn remove(&mut self, key: &Key) {
        self.running.remove(key);
        let Some(mut removed) = self.under_way.remove(key) else { return };
        // Nobody waits for what it did not begin with.
        removed.take_begun();
        for UnderWay { second, .. } in removed.0 {
            let all = self.under_way.values_mut().flat_map(|queue| &mut queue.0);
            for slot in all.filter(|slot| slot.second == second) {
                slot.waits.remove(key);
            }
        }
    }

    /// What somebody who looks at it now finds is to be made ready for a rollback.
    pub fn version_to_make_ready(&mut self, key: &Key, order: Order) -> Option<Version> {
        let mut next = self.running.get(key)?.clone();
        let before: Vec<u64> = next.instances().map(|instance| instance.version).collect();
        match order {
            Order::RollBack => self.roll_back(&mut next).ok()?,
            Order::RollBackTo(number) => self.roll_back_to(&mut next, number).ok()?,
            _ => return None,
        }
        let new = next.instances().find(|instance| !before.contains(&instance.version))?;
        next.version(new.version).cloned()
    }

    /// Reads the files.
    pub fn reload(&mut self) {
        self.read = self.files.clone();
        let read = self.read.clone();
        let is_there = |file: &String| read.values().any(|(name, _)| name == file);
        let is_gone = |deployment: &Deployment| deployment.file.as_ref().is_some_and(|file| !is_there(file));
        for (key, deployment) in self.running.clone() {
            // In a file of another name it is the same one, even if it cannot follow what is there.
            let is_named = read.get(&key).is_some_and(|(_, written)| *written != Written::Nonsense);
            if is_gone(&deployment) && !is_named {
                self.remove(&key);
                self.unsaved.insert(key);
            }
        }
        for (key, (name, written)) in read {
            let Written::Program(program) = written else { continue };
            let before = self.running.get(&key).cloned();
            let mut next = match &before {
                None => Deployment { written: Some(program), ..self.new_deployment(program) },
                Some(before) => {
                    let mut next = before.clone();
                    self.deploy(&mut next, program, true);
                    next
                }
            };
            next.file = Some(name);
            if before.as_ref() != Some(&next) {
                self.unsaved.insert(key.clone());
            }
            self.running.insert(key, next);
        }
    }

    /// A slot comes.
    pub fn begin(&mut self, second: u64, rules: &Rules) {
        // What comes to a transformer waits for it, whether it runs or not.
        let tenants = super::KEYS.iter().map(|(tenant, _)| *tenant);
        for tenant in tenants.filter(|tenant| self.chain.iter().all(|key| key.tenant.as_str() != *tenant)) {
            self.delivered.insert((second, tenant.to_owned()), Delivered::AsMeasured);
        }
        let mut taken = BTreeSet::new();
        for (key, deployment) in &self.running {
            let Some(plan) = deployment.plan(second, rules, &self.trails) else { continue };
            let queue = self.under_way.entry(key.clone()).or_default();
            if queue.has_time() {
                let slot = UnderWay {
                    second,
                    plan: queue.0.is_empty().then_some(plan),
                    versions: deployment.instances().map(|instance| instance.version).collect(),
                    chained: self.chain.contains(key),
                    waits: BTreeSet::new(),
                    done: false,
                    overdue: false,
                };
                queue.0.push_back(slot);
                taken.insert(key.clone());
            }
        }
        // A transformer beside the chain has what its tenant's pollsters give.
        for key in taken.iter().filter(|key| self.running[key].converts() && !self.chain.contains(key)) {
            let gives = |other: &&Key| other.tenant == key.tenant && self.running[other].declares();
            let waits = taken.iter().filter(gives).cloned().collect();
            self.under_way.get_mut(key).and_then(|queue| queue.0.back_mut()).unwrap().waits = waits;
        }
    }

    /// All that has begun is done, and does not land yet.
    pub fn finish(&mut self) {
        self.under_way.values_mut().filter_map(Queue::begun).for_each(|begun| begun.done = true);
    }

    /// All slots that are under way end, and those that wait begin and end. What has to come of them.
    pub fn land(&mut self, rules: &Rules) -> BTreeMap<(Key, u64), Lands> {
        let mut landed = BTreeMap::new();
        for (key, queue) in std::mem::take(&mut self.under_way) {
            for slot in queue.0 {
                let second = slot.second;
                if let Some(lands) = self.land_one(&key, slot, rules) {
                    landed.insert((key.clone(), second), lands);
                }
            }
        }
        landed
    }

    fn land_one(&mut self, key: &Key, slot: UnderWay, rules: &Rules) -> Option<Lands> {
        let UnderWay { second, plan, versions, chained, overdue, .. } = slot;
        let plan = plan.or_else(|| self.running[key].plan(second, rules, &self.trails))?;
        let Plan { trial, current, there, dry } = plan;
        let good = |ran: &Ran| !ran.program.fails(second);
        let is_tried = |trial: &Ran| !overdue && versions.contains(&trial.version);
        let trial_went = trial.as_ref().map(|trial| (trial.id, is_tried(trial).then(|| good(trial))));
        let falls_back = dry || trial_went.is_none_or(|(_, good)| good != Some(true));
        let current_went = falls_back.then(|| (current.id, good(&current)));
        let lands = if falls_back { Some(current).filter(good) } else { trial };
        let mut deployment = self.running.remove(key).unwrap();
        let before = deployment.lasting();
        deployment.went(trial_went, current_went, rules, wall(second));
        if deployment.lasting() != before {
            self.unsaved.insert(key.clone());
        }
        let was_dry = before.trial.is_some_and(|trial| trial.dry);
        if let Some(trial) = deployment.trial.as_ref().filter(|trial| was_dry && !trial.dry) {
            self.copy(trial.id, Some(deployment.current.id));
        }
        let deployment = self.running.entry(key.clone()).or_insert(deployment);
        let Ran { id, program, trail, .. } = lands?;
        // Whoever began as a copy while this ran goes on from what it left.
        for instance in deployment.remembering() {
            let began = !there.contains(&instance.id) && instance.ancestors.contains(&id);
            if began || instance.id == id {
                self.trails.insert(instance.id, program.follow(trail, second));
            }
        }
        match program.module {
            Module::Converting { mark } if chained => {
                // Where its place is gone meanwhile, it comes to nothing.
                if self.chain.contains(key) {
                    self.delivered.insert((second, key.tenant.to_string()), Delivered::Converted { mark });
                }
                None
            }
            module => Some(Lands { module, trail }),
        }
    }

    /// What was measured is kept.
    pub fn keep(&mut self) {
        let live: BTreeSet<u64> = self.running.values().flat_map(Deployment::remembering).map(|one| one.id).collect();
        self.trails.retain(|id, _| live.contains(id));
        self.memory_before = self.memory.clone();
        // Only what is otherwise than before is written, and nothing about whoever remembers nothing yet.
        let was = |id: &u64| if self.known.contains(id) { self.kept[id] } else { 0 };
        self.memory.extend(self.trails.iter().filter(|(id, trail)| **trail != was(id)));
        (self.kept, self.known) = (self.trails.clone(), live);
    }

    /// What is on the disk is put together anew.
    pub fn checkpoint(&mut self) {
        self.memory = self.kept.clone();
        self.memory.retain(|id, _| self.known.contains(id));
    }

    /// It is not.
    pub fn lose(&mut self) {
        self.trails = self.kept.clone();
    }

    /// What became of deployments is kept.
    pub fn save(&mut self) {
        for key in std::mem::take(&mut self.unsaved) {
            match self.running.get(&key) {
                Some(deployment) => drop(self.store.insert(key, deployment.clone())),
                None => drop(self.store.remove(&key)),
            }
        }
    }

    /// The daemon ends and begins.
    pub fn restart(&mut self, end: End) {
        match end {
            End::Clean => self.checkpoint(),
            End::Killed => {}
            End::Behind => self.memory = self.memory_before.clone(),
        }
        self.memory_before = self.memory.clone();
        self.under_way.clear();
        self.unsaved.clear();
        self.running = self.store.clone();
        self.trails.clear();
        for deployment in self.running.values() {
            let known = |id: &u64| self.memory.get(id).copied();
            for instance in deployment.remembering() {
                let copied = || instance.ancestors.iter().rev().find_map(known);
                // What is only known of its copy is what that has.
                let copy = || deployment.trial.as_ref().and_then(|trial| known(&trial.id));
                let trail = known(&instance.id).or_else(copied).or_else(copy).unwrap_or_default();
                self.trails.insert(instance.id, trail);
            }
        }
        (self.kept, self.known) = (self.trails.clone(), self.trails.keys().copied().collect());
        self.reload();
        self.save();
    }
}
