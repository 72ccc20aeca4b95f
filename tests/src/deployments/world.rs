//! A real agent with real modules, files and a store, which is told to do what happens.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use wasmeter::agent::errands::{Changed, Errand, Readied, Refused, What};
use wasmeter::agent::tenants::Landing;
use wasmeter::agent::{self, Agent, Parts};
use wasmeter::clock::{Clock, ManualClock, SECOND};
use wasmeter::config::{Config, Secret};
use wasmeter::contract::Values;
use wasmeter::digest::Digest;
use wasmeter::hypervisor;
use wasmeter::modules::deploying::{Loader, Prepared};
use wasmeter::modules::deployment::{Deployment, Grants, Key, Overrides, Version};
use wasmeter::modules::registry::Registry;
use wasmeter::pipeline::Slot;
use wasmeter::sandbox::Sandbox;
use wasmeter::sandbox::compile::Compiler;
use wasmeter::sandbox::turns::Closed;
use wasmeter::spool::memory::Memory;

use super::model::{Delivered, End, Lands, Module, No, Order, Program, Written};
use crate::support::{daemon, hostile, parting};

const HOST: &str = "sim://?domains=8&seed=3&calm=true&disks=1&nics=1";
const START: i64 = 1_763_632_800 * SECOND;
/// What the operator measures, and transformers are handed.
const MEASURED: &str = "power.state";

/// The same for all, which costs nothing but time.
static SANDBOX: LazyLock<(TempDir, Arc<Sandbox>)> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    let sandbox = Sandbox::new(&folder.path().join("cache"), Compiler::at(daemon())).unwrap();
    (folder, Arc::new(sandbox))
});

/// Modules by what they are.
static FILES: LazyLock<[Vec<u8>; 5]> = LazyLock::new(|| {
    let remembering = std::fs::read(env!("REMEMBERING_WASM")).unwrap();
    // With a section that nobody reads it is another file.
    let another = [&remembering[..], &[0, 2, 1, b'x']].concat();
    let converts = wasmeter::modules::built_in().find(|module| module.name == "unit_conversion").unwrap();
    [remembering, another, hostile(), converts.wasm.to_vec(), std::fs::read(parting()).unwrap()]
});

/// What comes of an order.
pub type Answer = oneshot::Receiver<Result<Changed, Refused>>;

pub struct World {
    pub clock: Arc<ManualClock>,
    pub agent: Option<Agent>,
    pub registry: Option<Registry>,
    /// Nobody has a turn: what is under way is done when the test says so, and not by chance.
    held: Option<Closed>,
    folder: TempDir,
    /// What the configuration says of them.
    tenants: String,
    /// What they may have together, and each.
    pub budget: &'static str,
    /// What the disk has of what modules remember, and what it had before the last record.
    memory: Memory,
    memory_before: Memory,
    /// How many guests each tenant has.
    guests: BTreeMap<String, usize>,
    /// What the operator's sink gave, by second and tenant.
    pub delivered: BTreeMap<(u64, String), Delivered>,
}

// === impl Program ===

impl Program {
    fn file(&self) -> &'static [u8] {
        match self.module {
            Module::Remembering { file, .. } => &FILES[file],
            Module::Forgetful => &FILES[2],
            Module::Converting { .. } if self.fails == (0, 0) => &FILES[3],
            Module::Converting { .. } => &FILES[4],
        }
    }

    fn config(&self) -> String {
        match (self.module, self.fails) {
            (Module::Remembering { mark, .. }, (every, at)) => format!("{mark} {every} {at}"),
            (Module::Forgetful, (0, _)) => String::new(),
            (Module::Forgetful, _) => "run: panic".to_owned(),
            (Module::Converting { mark }, (0, _)) => format!(r#"{{"target": {{"name": "converted.{mark}.state"}}}}"#),
            // It was not granted that.
            (Module::Converting { mark }, _) => {
                format!(r#"{{"pattern": "*", "meter": "forged.{mark}", "parts": ["part"]}}"#)
            }
        }
    }

    /// What the names of its meters begin with: no other's do.
    fn names(&self) -> String {
        match self.module {
            Module::Remembering { .. } => "remembering.".to_owned(),
            Module::Forgetful => "hostile.".to_owned(),
            Module::Converting { mark } => format!("converted.{mark}."),
        }
    }

    fn meters(&self) -> &'static str {
        if let Module::Converting { .. } = self.module { MEASURED } else { "*" }
    }

    /// Whether this is it.
    pub fn is(&self, version: &Version) -> bool {
        version.digest == Digest::of(self.file()) && *version.config.expose() == self.config()
    }
}

/// The mark of the transformer that gave a meter of this name, if one did.
fn mark(meter: &str) -> Option<u64> {
    meter.strip_prefix("converted.")?.strip_suffix(".state")?.parse().ok()
}

// === impl World ===

impl World {
    pub async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("deployments.d")).unwrap();
        for (n, file) in FILES.iter().enumerate() {
            std::fs::write(folder.path().join(format!("deployments.d/{n}.wasm")), file).unwrap();
        }
        let polling = format!("sources: [{{name: a, interval: 1, meters: [{MEASURED}]}}]\n");
        std::fs::write(folder.path().join("polling.yaml"), polling).unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let (tenants, memory, memory_before, guests, delivered) = Default::default();
        let (agent, registry, held, budget) = (None, None, None, "{node: 6400%, tenant: 6400%}");
        let mut world =
            Self { clock, agent, registry, held, folder, tenants, budget, memory, memory_before, guests, delivered };
        world.pipe(&[]);
        world.configure("");
        world.begin().await;
        let report = world.agent().cycle(&[1]).await.unwrap();
        let projects: RefCell<BTreeMap<String, usize>> = RefCell::default();
        report.snapshot.resources.guests_of(|project| {
            *projects.borrow_mut().entry(project.to_owned()).or_default() += 1;
            false
        });
        let [(one, a), (two, b), (three, c)] =
            projects.into_inner().into_iter().take(3).collect::<Vec<_>>().try_into().unwrap();
        world.tenants = format!("tenants: {{acme: {{projects: ['{one}', '{two}']}}, beta: {{projects: ['{three}']}}}}");
        world.configure("");
        world.guests = BTreeMap::from([("acme".to_owned(), a + b), ("beta".to_owned(), c)]);
        world.restart(End::Killed).await;
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration; this is said on top. However busy the machine is, no read of the host is given up.
    pub fn configure(&self, more: &str) {
        let config = format!(
            "hypervisor: {HOST}\npolling: polling.yaml\npipeline: pipeline.yaml\ndeployments: deployments.d\n\
             host: here\nreader: {{watchdog: 10m}}\n\
             budget: {}\nstore: {{path: deployed, audit: audit.log}}\n{}\n{more}\n",
            self.budget, self.tenants
        );
        std::fs::write(self.path("wasmeter.yaml"), config).unwrap();
    }

    /// Writes which transformers stand in the chain of the operator's sink.
    pub fn pipe(&self, chain: &[Key]) {
        let steps: Vec<String> = chain.iter().map(|key| format!("{{name: {key}, parameters: {{}}}}")).collect();
        let pipeline = format!(
            "sources: [{{name: all, meters: [{MEASURED}], sinks: [chained]}}]\nsinks: [{{name: chained, transformers: \
             [{}], publishers: ['file:///dev/null?json']}}]\n",
            steps.join(", ")
        );
        std::fs::write(self.path("pipeline.yaml"), pipeline).unwrap();
    }

    pub fn config(&self) -> Config {
        Config::load(Some(&self.path("wasmeter.yaml"))).unwrap().0
    }

    pub fn agent(&mut self) -> &mut Agent {
        self.agent.as_mut().unwrap()
    }

    async fn begin(&mut self) {
        let (config, clock) = (self.config(), Arc::clone(&self.clock) as Arc<dyn Clock>);
        let (registry, oddities) = Registry::open(&config.store);
        assert!(registry.missing().is_none() && oddities.is_empty(), "{:?} {oddities:?}", registry.missing());
        let hypervisor = hypervisor::open(HOST, &clock).unwrap();
        let (sandbox, guests) = (Arc::clone(&SANDBOX.1), Handle::current());
        self.registry = Some(registry.clone());
        let mut agent = Agent::new(config, Parts { clock, hypervisor, sandbox, guests, registry }).await.unwrap();
        agent.remember(self.memory.clone());
        agent.saved().await;
        self.held = Some(agent.tenants.hold());
        self.agent = Some(agent);
    }

    /// Ends it, and begins anew.
    pub async fn restart(&mut self, end: End) {
        match end {
            End::Clean => self.checkpoint(),
            End::Killed => {}
            End::Behind => self.memory = self.memory_before.clone(),
        }
        self.memory_before = self.memory.clone();
        // What is under way goes on, and nobody hears of it.
        (self.agent, self.registry) = (None, None);
        self.begin().await;
    }

    /// Writes a deployment's file, or removes it.
    pub fn write(&self, key: &Key, name: &str, written: Option<Written>) -> String {
        let path = self.path("deployments.d").join(name);
        let text = match written {
            None => {
                std::fs::remove_file(&path).unwrap();
                return path.display().to_string();
            }
            Some(Written::Nonsense) => "tenant: [".to_owned(),
            Some(Written::Program(program)) => self.text(key, &program, &Digest::of(program.file())),
            Some(Written::Changed(program)) => self.text(key, &program, &Digest::of(b"another")),
        };
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn text(&self, key: &Key, program: &Program, digest: &Digest) -> String {
        let place = FILES.iter().position(|file| file == program.file()).unwrap();
        format!(
            "tenant: {}\nname: {}\nfile: {place}.wasm\ndigest: {digest}\ninterval: 1\nmeters: [{:?}]\nconfig: {:?}\n\
             grants: {{names: [{:?}], groups: [cpu]}}\n",
            key.tenant,
            key.name,
            program.meters(),
            program.config(),
            program.names()
        )
    }

    pub async fn reload(&mut self) {
        let config = self.config();
        self.agent().reconfigure(config).await.unwrap();
        self.agent().saved().await;
    }

    async fn ask<T>(&mut self, errand: impl FnOnce(oneshot::Sender<T>) -> Errand) -> T {
        let (sender, answer) = oneshot::channel();
        let tell = self.agent().run_errand(errand(sender), Duration::MAX).await.unwrap();
        tell();
        answer.await.unwrap()
    }

    async fn prepare(&mut self, key: &Key, version: Version, file: Vec<u8>) -> Prepared {
        let around = self.ask(Errand::Surroundings).await;
        let (mut loader, _) = Loader::of(&around.sandbox, &around.config, &around.names, around.operators.clone());
        loader.prepare(key.clone(), version, file.into()).await.unwrap()
    }

    /// What is done for an order beside the loop.
    pub async fn make_ready(&mut self, key: &Key, order: Order, ready: Option<u64>) -> What {
        match order {
            Order::Deploy(program) => {
                let grants =
                    Grants { names: vec![program.names()], groups: vec!["cpu".to_owned()], ..Grants::default() };
                let version = Version {
                    number: 0,
                    digest: Digest::of(program.file()),
                    size: program.file().len() as u64,
                    config: Secret::new(program.config()),
                    meters: vec![program.meters().to_owned()],
                    interval: 1,
                    grants,
                    limits: Overrides::default(),
                    signature: None,
                    deployed_at: self.clock.now().wall,
                    by: "me".to_owned(),
                    file: None,
                };
                What::Deploy(Box::new(self.prepare(key, version, program.file().to_vec()).await))
            }
            Order::RollBack | Order::RollBackTo(_) => {
                let to = if let Order::RollBackTo(to) = order { Some(to) } else { None };
                let Some(number) = ready else { return What::RollBack(to, None) };
                let deployment = &self.agent().tenants.get(key).unwrap().deployment;
                let next = to.map_or_else(|| deployment.rolled_back(), |to| deployment.rolled_back_to(to));
                let on_trial = next.is_ok_and(|(next, _)| next.on_trial().is_some());
                let version = Version::clone(deployment.version(number).unwrap());
                let file = self.registry.as_ref().unwrap().read(version.digest).await.unwrap();
                let prepared = self.prepare(key, version, file).await;
                What::RollBack(
                    to,
                    Some(Readied { version: Arc::new(prepared.version), ready: prepared.ready, on_trial }),
                )
            }
            Order::Pause => What::Pause,
            Order::Resume => What::Resume,
            Order::Remove => What::Remove,
        }
    }

    /// Gives an order, which may be answered at once.
    pub async fn begin_order(&mut self, key: &Key, what: What) -> Answer {
        let (key, by, at) = (key.clone(), "me".to_owned(), self.clock.now().wall);
        let order = Arc::new(agent::errands::Order { key, what, by, at, rules: None });
        let (sender, answer) = oneshot::channel();
        let tell = self.agent().run_errand(Errand::Change(order, sender), Duration::MAX).await;
        tell.into_iter().for_each(|tell| tell());
        answer
    }

    /// Has the order that was begun be followed.
    pub async fn end_order(&mut self, answer: Answer) -> Result<(), No> {
        let tell = self.agent().followed().await;
        tell.into_iter().for_each(|tell| tell());
        answer.await.unwrap().map(drop).map_err(|no| match no.to_string() {
            no if no.contains("see wasmeter module list") => No::Unknown,
            no if no.contains("which comes first") => No::Written,
            no if no.contains("changed meanwhile") => No::Meanwhile,
            no if no.contains("runs already") || no.contains("nothing ran before") || no.contains("no version") => {
                No::Never
            }
            no => panic!("{no}"),
        })
    }

    /// A slot of the operator's, with which those of tenants begin.
    pub async fn cycle(&mut self) -> u64 {
        self.clock.pass(SECOND.unsigned_abs());
        let report = self.agent().cycle(&[1]).await.unwrap();
        self.deliver(&report.slot);
        u64::try_from(self.clock.now().wall / SECOND).unwrap()
    }

    /// Has what is under way be done, and land later.
    pub async fn finish(&mut self) {
        self.held = None;
        self.agent().tenants.all_done().await;
        self.held = Some(self.agent().tenants.hold());
    }

    /// What tenants' modules give, by deployment and second.
    pub async fn land(&mut self) -> BTreeMap<(Key, u64), Lands> {
        self.held = None;
        let mut all = BTreeMap::new();
        while self.agent().tenants.are_busy() {
            self.agent().tenants.done().await;
            self.agent().tenants.gather();
            while let Some(Landing { mut slot, source, .. }) = self.agent().land() {
                self.agent().sink(&mut slot, &source).await;
                self.deliver(&slot);
                self.read(&slot, &mut all);
            }
        }
        self.held = Some(self.agent().tenants.hold());
        all
    }

    /// What came out of the operator's sink: of each tenant's guests, of all or of none.
    fn deliver(&mut self, slot: &Slot) {
        let second = u64::try_from(slot.at.wall / SECOND).unwrap();
        let tenants = self.agent().config().tenants.clone();
        let mut found = Vec::new();
        for samples in self.agent().sinks_mut().out_of("chained", slot) {
            let delivered =
                mark(&samples.meter.name).map_or(Delivered::AsMeasured, |mark| Delivered::Converted { mark });
            let resources: BTreeSet<u32> = samples.column.resources.iter().copied().collect();
            found.push((delivered, resources));
        }
        for (tenant, guests) in &self.guests {
            let projects = tenants.projects_of(&tenant.parse().unwrap());
            let theirs = slot.resources.guests_of(|project| projects.contains(project));
            for (delivered, resources) in &found {
                let count = resources.iter().filter(|number| theirs.iter().any(|range| range.contains(number))).count();
                if count > 0 {
                    assert_eq!(count, *guests, "{tenant} in {second}: {delivered:?}");
                    let before = self.delivered.insert((second, tenant.clone()), *delivered);
                    assert_eq!(before, None, "{tenant} in {second}: {delivered:?} came on top");
                }
            }
        }
    }

    /// Each guest of the tenant's has the same.
    fn read(&self, slot: &Slot, all: &mut BTreeMap<(Key, u64), Lands>) {
        let mut found: BTreeMap<Key, BTreeMap<&str, u64>> = BTreeMap::new();
        // What came out of the sink is nobody's own.
        for samples in slot.samples.iter().filter(|samples| samples.sink.is_none()) {
            let meter = samples.meter.name.as_str();
            let key = Key::new(samples.tenant.parse().unwrap(), samples.module.parse().unwrap());
            let resources: BTreeSet<u32> = samples.column.resources.iter().copied().collect();
            assert_eq!(resources.len(), self.guests[&*samples.tenant], "{samples:?}");
            if let Some(mark) = mark(meter) {
                let before = found.entry(key).or_default().insert("converted", mark);
                assert_eq!(before, None, "{samples:?} came twice");
                continue;
            }
            let Values::Counts(values) = &samples.column.values else { panic!("{samples:?}") };
            assert!(meter == "hostile.time" || values.iter().all(|value| *value == values[0]), "{samples:?}");
            assert_eq!(found.entry(key).or_default().insert(meter, values[0]), None, "{samples:?} came twice");
        }
        let second = u64::try_from(slot.at.wall / SECOND).unwrap();
        for (key, meters) in found {
            if let Some(mark) = meters.get("converted") {
                let lands = Lands { module: Module::Converting { mark: *mark }, trail: 0 };
                assert_eq!(all.insert((key, second), lands), None, "two landings");
                continue;
            }
            let lands = match meters.get("remembering.trail") {
                // Whose file it was, samples do not say.
                Some(trail) => {
                    Lands { module: Module::Remembering { file: 0, mark: meters["remembering.mark"] }, trail: *trail }
                }
                None => Lands { module: Module::Forgetful, trail: 0 },
            };
            assert_eq!(all.insert((key, second), lands), None, "two landings");
        }
    }

    /// Keeps what was measured, or does not.
    pub fn keep(&mut self, is_kept: bool) {
        if is_kept {
            let changed = self.agent().changed_memory();
            self.memory_before = self.memory.clone();
            self.memory.update(changed);
            self.agent().keep();
        } else {
            self.agent().roll_back();
        }
    }

    /// Puts together anew what modules remember.
    pub fn checkpoint(&mut self) {
        self.memory = self.agent().memory();
    }

    pub async fn save(&mut self) {
        self.agent().save().await;
        self.agent().saved().await;
    }

    pub fn kept(&self) -> Vec<Deployment> {
        self.registry.as_ref().unwrap().deployments()
    }
}
