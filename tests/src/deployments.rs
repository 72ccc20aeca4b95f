//! Whatever becomes of deployments in whatever order, what runs is what must, on what it remembers.

mod budget;
mod cases;
mod model;
mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use tokio::runtime::{Builder, Runtime};
use wasmeter::agent::errands::What;
use wasmeter::clock::{Clock, SECOND};
use wasmeter::modules::deployment::{Deployment, Key};
use wasmeter::modules::life::{Rules, Run};

use self::model::{End, Model, Module, Order, Program, Runs, Written};
use self::world::World;
use crate::support::repeat;

/// How many sequences are tried.
const CASES: u32 = 20;
const KEYS: [(&str, &str); 5] =
    [("acme", "one"), ("acme", "two"), ("beta", "one"), ("acme", CONVERTS), ("beta", CONVERTS)];
/// What transformers are called, which may stand in chains.
const CONVERTS: &str = "converts";
/// Chains that there may be of the operator's sink, by whose transformers stand in them.
const CHAINS: [&[&str]; 5] = [&[], &["acme"], &["beta"], &["acme", "beta"], &["beta", "acme"]];

#[derive(Debug, Clone)]
enum Event {
    Slot(Slot),
    /// Seconds go by.
    Wait(u64),
    Meanwhile(Meanwhile),
    /// An order for which everything was made ready a slot before.
    Late(usize, Wish, Slot),
    /// An order that is kept while slots go by.
    Slow(usize, Wish, Slot),
    Restart(End),
}

/// What may also happen while a slot is under way.
#[derive(Debug, Clone)]
enum Meanwhile {
    Order(usize, Wish),
    /// Files are written, by deployment: what and under which name; nothing removes it. They are read again then.
    Reload(Vec<(usize, Option<Written>, bool)>),
    /// The operator's sink has this of the chains, and files are read again.
    Chain(usize),
    /// The next slot comes, when what has begun is done, or when nobody had a turn yet.
    Slot {
        done: bool,
    },
}

#[derive(Debug, Clone)]
struct Slot {
    meanwhile: Vec<Meanwhile>,
    /// Whether the operator's samples, and those of tenants, are kept.
    kept: (bool, bool),
    /// Whether what modules remember is put together anew then.
    checkpoint: bool,
    /// The daemon ends before it keeps what became of deployments.
    killed: bool,
}

#[derive(Debug, Clone)]
enum Wish {
    Deploy(Program),
    RollBack,
    RollBackTo(Index),
    Pause,
    Resume,
    Remove,
}

fn program() -> impl Strategy<Value = Program> {
    let fails =
        || prop_oneof![4 => Just((0, 0)), 1 => Just((1, 0)), 2 => (2..4_u64).prop_flat_map(|n| (Just(n), 0..n))];
    let remembering = (0..2_usize, 1..4_u64, fails())
        .prop_map(|(file, mark, fails)| Program { module: Module::Remembering { file, mark }, fails });
    let forgetful = any::<bool>()
        .prop_map(|fails| Program { module: Module::Forgetful, fails: if fails { (1, 0) } else { (0, 0) } });
    prop_oneof![6 => remembering, 1 => forgetful]
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        5 => program().prop_map(Wish::Deploy),
        2 => Just(Wish::RollBack),
        2 => any::<Index>().prop_map(Wish::RollBackTo),
        1 => Just(Wish::Pause),
        2 => Just(Wish::Resume),
        1 => Just(Wish::Remove),
    ]
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    let written = prop_oneof![
        4 => program().prop_map(|program| Some(Written::Program(program))),
        1 => Just(Some(Written::Nonsense)),
        1 => program().prop_map(|program| Some(Written::Changed(program))),
        2 => Just(None),
    ];
    let files = prop::collection::vec((0..KEYS.len(), written, prop::bool::weighted(0.2)), 0..3);
    prop_oneof![
        4 => (0..KEYS.len(), wish()).prop_map(|(key, wish)| Meanwhile::Order(key, wish)),
        2 => files.prop_map(Meanwhile::Reload),
        1 => (0..CHAINS.len()).prop_map(Meanwhile::Chain),
        3 => any::<bool>().prop_map(|done| Meanwhile::Slot { done }),
    ]
}

fn slot() -> impl Strategy<Value = Slot> {
    let meanwhile = prop_oneof![4 => Just(Vec::new()), 1 => prop::collection::vec(meanwhile(), 1..3)];
    let kept = (prop::bool::weighted(0.9), prop::bool::weighted(0.9));
    (meanwhile, kept, prop::bool::weighted(0.1), prop::bool::weighted(0.05))
        .prop_map(|(meanwhile, kept, checkpoint, killed)| Slot { meanwhile, kept, checkpoint, killed })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => slot().prop_map(Event::Slot),
        1 => (1..100_u64).prop_map(Event::Wait),
        6 => meanwhile().prop_map(Event::Meanwhile),
        1 => (0..KEYS.len(), wish(), slot()).prop_map(|(key, wish, slot)| Event::Late(key, wish, slot)),
        2 => (0..KEYS.len(), wish(), slot()).prop_map(|(key, wish, slot)| Event::Slow(key, wish, slot)),
        1 => prop::sample::select(vec![End::Clean, End::Killed, End::Behind]).prop_map(Event::Restart),
    ]
}

fn key(place: usize) -> Key {
    let (tenant, name) = KEYS[place];
    Key::new(tenant.parse().unwrap(), name.parse().unwrap())
}

/// The transformer of a tenant.
fn converting(tenant: &str) -> Key {
    Key::new(tenant.parse().unwrap(), CONVERTS.parse().unwrap())
}

/// The world and the model, side by side.
struct Both {
    world: World,
    model: Model,
    rules: Rules,
}

/// An order with what was made ready for it.
struct Given {
    key: Key,
    order: Order,
    ready: Option<model::Version>,
    what: What,
}

// === impl Both ===

impl Both {
    async fn new() -> Self {
        Self { world: World::new().await, model: Model::default(), rules: Rules::default() }
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Slot(slot) => self.slot(slot).await,
            Event::Wait(seconds) => self.world.clock.pass(seconds * SECOND.unsigned_abs()),
            Event::Meanwhile(meanwhile) => self.meanwhile(meanwhile).await,
            Event::Late(place, wish, slot) => {
                let given = self.make_ready(place, wish).await;
                self.slot(slot).await;
                self.give(given).await;
            }
            Event::Slow(place, wish, slot) => {
                let given = self.make_ready(place, wish).await;
                self.give_slowly(given, slot).await;
            }
            Event::Restart(end) => {
                self.world.restart(end).await;
                self.model.restart(end);
            }
        }
        self.check();
    }

    fn order(&self, place: usize, wish: Wish) -> Order {
        match wish {
            Wish::Deploy(program) => Order::Deploy(program.of(&key(place))),
            Wish::RollBack => Order::RollBack,
            Wish::RollBackTo(index) => {
                let versions = self.model.running.get(&key(place)).map_or(&[][..], |known| &known.versions);
                Order::RollBackTo(if versions.is_empty() { 1 } else { versions[index.index(versions.len())].number })
            }
            Wish::Pause => Order::Pause,
            Wish::Resume => Order::Resume,
            Wish::Remove => Order::Remove,
        }
    }

    /// An order, with what it takes.
    async fn make_ready(&mut self, place: usize, wish: Wish) -> Given {
        let order = self.order(place, wish);
        self.ready_for(key(place), order).await
    }

    async fn ready_for(&mut self, key: Key, order: Order) -> Given {
        let ready = self.model.version_to_make_ready(&key, order);
        let what = self.world.make_ready(&key, order, ready.as_ref().map(|version| version.number)).await;
        Given { key, order, ready, what }
    }

    async fn give(&mut self, Given { key, order, ready, what }: Given) {
        let answer = self.world.begin_order(&key, what).await;
        let said = self.world.end_order(answer).await;
        assert_eq!(said, self.model.order(&key, order, ready.as_slice()), "{key}: {order:?}");
    }

    /// The same, and a slot goes by while it is kept. What comes to nothing is told at once.
    async fn give_slowly(&mut self, Given { key, order, ready, what }: Given, mut slot: Slot) {
        // Other orders, and files that are read again, wait for it.
        slot.meanwhile.retain(|meanwhile| matches!(meanwhile, Meanwhile::Slot { .. }));
        (slot.checkpoint, slot.killed) = (false, false);
        let answer = self.world.begin_order(&key, what).await;
        if self.world.agent().is_following() {
            self.slot(slot).await;
        }
        let said = self.world.end_order(answer).await;
        assert_eq!(said, self.model.order(&key, order, ready.as_slice()), "{key}: {order:?}");
        self.world.save().await;
        self.model.save();
    }

    async fn slot(&mut self, slot: Slot) {
        let Slot { meanwhile, kept: (operators, tenants), checkpoint, killed } = slot;
        self.cycle().await;
        self.keep(operators);
        for meanwhile in meanwhile {
            self.meanwhile(meanwhile).await;
        }
        let must = self.model.land(&self.rules);
        let mut landed = self.world.land().await;
        for ((key, second), lands) in &mut landed {
            if let (Module::Remembering { file, .. }, Some(must)) =
                (&mut lands.module, must.get(&(key.clone(), *second)).map(|must| must.module))
                && let Module::Remembering { file: other, .. } = must
            {
                *file = other;
            }
            if matches!(lands.module, Module::Forgetful | Module::Converting { .. }) {
                lands.trail = must.get(&(key.clone(), *second)).map_or(0, |must| must.trail);
            }
        }
        assert_eq!(landed, must);
        self.keep(tenants);
        if tenants && checkpoint {
            self.world.checkpoint();
            self.model.checkpoint();
        }
        if killed {
            self.world.restart(End::Killed).await;
            self.model.restart(End::Killed);
        } else {
            self.world.save().await;
            self.model.save();
        }
    }

    async fn cycle(&mut self) {
        let second = self.world.cycle().await;
        self.model.begin(second, &self.rules);
    }

    fn keep(&mut self, is_kept: bool) {
        self.world.keep(is_kept);
        if is_kept { self.model.keep() } else { self.model.lose() }
    }

    async fn meanwhile(&mut self, meanwhile: Meanwhile) {
        match meanwhile {
            Meanwhile::Order(place, wish) => {
                let given = self.make_ready(place, wish).await;
                self.give(given).await;
            }
            Meanwhile::Reload(files) => {
                for (place, written, is_renamed) in files {
                    self.write(&key(place), written, is_renamed);
                }
                self.world.reload().await;
                self.model.reload();
                self.model.save();
            }
            Meanwhile::Chain(chain) => {
                let chain: Vec<Key> = CHAINS[chain].iter().map(|tenant| converting(tenant)).collect();
                self.world.pipe(&chain);
                self.world.reload().await;
                self.model.chain = chain;
                self.model.reload();
                self.model.save();
            }
            Meanwhile::Slot { done } => {
                if done {
                    self.world.finish().await;
                    self.model.finish();
                }
                self.cycle().await;
                self.keep(true);
            }
        }
    }

    fn write(&mut self, key: &Key, written: Option<Written>, is_renamed: bool) {
        let written = written.map(|written| match written {
            Written::Program(program) => Written::Program(program.of(key)),
            Written::Changed(program) => Written::Changed(program.of(key)),
            Written::Nonsense => Written::Nonsense,
        });
        let name = |other: bool| format!("{}-{}{}.yaml", key.tenant, key.name, if other { "-too" } else { "" });
        let before = self.model.files.remove(key);
        let is_other = before.as_ref().is_some_and(|(path, _)| path.ends_with("-too.yaml"));
        let now = is_other != is_renamed;
        if before.is_some() && (written.is_none() || now != is_other) {
            self.world.write(key, &name(is_other), None);
        }
        if let Some(written) = written {
            let path = self.world.write(key, &name(now), Some(written));
            self.model.files.insert(key.clone(), (path, written));
        }
    }

    fn check(&mut self) {
        assert_eq!(std::mem::take(&mut self.world.delivered), std::mem::take(&mut self.model.delivered));
        let now = self.world.clock.now().wall;
        let runs: Vec<&Deployment> =
            self.world.agent.as_ref().unwrap().tenants.all().map(|deployed| &deployed.deployment).collect();
        alike(&runs, &self.model.running, &self.rules, now);
        let kept = self.world.kept();
        alike(&kept.iter().collect::<Vec<_>>(), &self.model.store, &self.rules, now);
    }
}

/// They say the same.
fn alike(found: &[&Deployment], must: &BTreeMap<Key, model::Deployment>, rules: &Rules, now: i64) {
    assert_eq!(found.iter().map(|one| &one.key).collect::<Vec<_>>(), must.keys().collect::<Vec<_>>());
    for (found, must) in found.iter().zip(must.values()) {
        let numbers: Vec<u64> = found.versions.iter().map(|version| version.number).collect();
        assert_eq!(numbers, must.versions.iter().map(|version| version.number).collect::<Vec<_>>(), "{found:?}");
        for (version, must) in found.versions.iter().zip(&must.versions) {
            assert!(must.program.is(version), "{must:?}: {version:?}");
        }
        assert_eq!(found.life.current().version, must.current.version, "{found:?}");
        let on_trial = found.on_trial().map(|version| version.number);
        assert_eq!(on_trial, must.trial.as_ref().map(|trial| trial.version), "{found:?}");
        assert_eq!(found.life.earlier(), must.earlier, "{found:?}");
        assert_eq!(found.paused.is_some(), must.paused, "{found:?}");
        assert_eq!(found.differs_from_file(), must.differs_from_file(), "{found:?}");
        let runs = match found.plan(rules, now) {
            Run::Nothing(_) => Runs::Nothing,
            Run::Current(_) => Runs::Current,
            Run::DryRun { .. } => Runs::DryRun,
            Run::Trial { .. } => Runs::Trial,
        };
        assert_eq!(runs, must.runs(rules, now), "{found:?}");
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn follow(events: Vec<Event>) {
    runtime().block_on(async {
        let mut both = Both::new().await;
        for event in events {
            both.happen(event).await;
        }
    });
}

#[test]
fn what_runs_is_what_must() {
    let config = ProptestConfig { cases: CASES * repeat(), failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(events in prop::collection::vec(event(), 1..60))| follow(events));
}
