//! Which modules run: those that came with the daemon and those that the operator named, with their configurations
//! and limits.

pub mod audit;
pub mod budget;
pub mod deploying;
pub mod deployment;
pub mod granting;
pub mod life;
pub mod refusal;
pub mod registry;
pub mod starving;
pub mod store;
mod told;
pub mod trust;

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use self::deployment::{Key, Tenant};
use self::refusal::{Reader, Settings, refusal};
use self::starving::Starving;
use self::told::{NotTold, Told};
use crate::agent::usage;
use crate::config::daemon::{Config, ModuleEntry, Transform};
use crate::config::pipeline::{Sink, Transformer};
use crate::config::{MeterFilter, Place, Problems, Severity};
use crate::contract::Meter;
use crate::files;
use crate::pipeline::Chain;
use crate::sandbox::host::Gives;
use crate::sandbox::limits::FILE_BYTES;
use crate::sandbox::module::Code;
use crate::sandbox::{Cause, Failure, Limits, Module, Names, Sandbox, World};

/// A module that is part of the program.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// Whether it is a pollster; the others are transformers.
    pub is_pollster: bool,
    /// Its component.
    pub wasm: &'static [u8],
}

/// A constant would be in the program once for each part of it that names this.
static BUILT_IN: &[BuiltIn] = include!(concat!(env!("OUT_DIR"), "/built_in.rs"));

/// Built-in pollsters that run only where the configuration says so: meters of old, and meters beyond Ceilometer's.
const OFF_BY_DEFAULT: [&str; 2] = ["deep", "mitaka"];

/// The longest part of a sink's name in the name of its transformers.
const LONGEST_SINK: usize = 40;

/// Modules that are ready to run.
#[derive(Debug, Default, Clone)]
pub struct Modules {
    /// Pollsters, built-in ones first.
    pub pollsters: Vec<Arc<Module>>,
    /// Transformers with the meters that they are for, in the order of the configuration.
    pub transformers: Vec<(MeterFilter, Arc<Module>)>,
    /// Transformers of pipelines' sinks, sink by sink in the order of the configuration.
    pub sinks: Vec<Vec<Step>>,
    /// Names of the meters that they describe.
    pub names: Names,
    /// Whether any of them may declare further meters in a slot.
    pub declare: bool,
    /// Transformers of sinks to which something does not come, unless a tenant's modules give it.
    pub starving: Vec<Starving>,
    /// What is odd about how they are configured.
    pub warnings: Problems,
}

/// A transformer in a sink's chain.
#[derive(Debug, Clone)]
pub enum Step {
    /// The operator's.
    Own(Arc<Module>),
    /// A tenant's, which runs as it was deployed.
    Deployed(Key),
}

/// Why modules were not loaded.
#[derive(Debug, thiserror::Error)]
#[error("{problems}")]
pub struct NotLoaded {
    /// What is wrong, and where it is written.
    pub problems: Problems,
    /// Whether a module was refused, rather than the configuration wrong.
    pub refused: bool,
}

/// Every module that is part of the program.
pub fn built_in() -> impl Iterator<Item = BuiltIn> {
    BUILT_IN.iter().copied()
}

/// Whether a built-in module runs if nothing is said about it.
pub fn is_on_by_default(name: &str) -> bool {
    !OFF_BY_DEFAULT.contains(&name)
}

/// Built-in modules that are not among the pollsters that run.
pub fn off(pollsters: &[Arc<Module>]) -> Vec<&'static str> {
    let runs = |name: &str| pollsters.iter().any(|module| &*module.name == name);
    built_in().map(|module| module.name).filter(|name| !runs(name)).collect()
}

/// Reads a module's file, as far as anybody would look at it. What is no file may have no end.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let cannot = |error| Failure::new(Cause::Unreadable, format!("{} cannot be read: {error}", path.display()));
    let file = files::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > FILE_BYTES {
        let detail = format!("{} has more than {FILE_BYTES} bytes, which is as many as are looked at", path.display());
        return Err(Failure::new(Cause::TooLarge, detail));
    }
    Ok(bytes)
}

// === impl Modules ===

impl Modules {
    /// Loads what the configuration wants. Problems name the line that wants it.
    pub async fn load(sandbox: &Sandbox, config: &Config) -> Result<Self, NotLoaded> {
        let problems = Problems::of(config.file.as_deref());
        let (pollsters, transformers, sinks) = (Vec::new(), Vec::new(), Vec::new());
        let (mut names, declare, starving) = (Names::default(), false, Vec::new());
        usage::reserve(&mut names);
        let refused = false;
        let mut loading =
            Loading { sandbox, config, problems, refused, pollsters, transformers, sinks, names, declare, starving };
        loading.built_in().await;
        loading.named().await;
        loading.transformers().await;
        loading.sinks().await;
        if loading.problems.has_errors() {
            return Err(NotLoaded { problems: loading.problems, refused: loading.refused });
        }
        let Loading { pollsters, transformers, sinks, names, declare, starving, problems, .. } = loading;
        Ok(Self { pollsters, transformers, sinks, names, declare, starving, warnings: problems })
    }

    /// The names of all that are the operator's.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let transformers = self.transformers.iter().map(|(_, module)| module);
        let of_sinks = self.sinks.iter().flatten().filter_map(|step| match step {
            Step::Own(module) => Some(module),
            Step::Deployed(_) => None,
        });
        self.pollsters.iter().chain(transformers).chain(of_sinks).map(|module| &*module.name)
    }

    /// Meters that come, and those that would if they were measured; without what is declared while modules run.
    pub fn meters<'a>(&'a self, config: &Config) -> (Vec<&'a str>, Vec<&'a str>) {
        let pollsters = self.pollsters.iter().flat_map(|module| &module.description.meters);
        let described: HashSet<&str> = pollsters.map(|meter| &*meter.name).collect();
        let comes = |name: &&str| match (described.contains(name), usage::names().any(|ours| ours == *name)) {
            (true, _) => config.polling.measures(name),
            (_, true) => config.budget.meters && config.polling.measures(name),
            // Transformers of wasmeter.yaml give it, and nobody measures that.
            _ => true,
        };
        let unmeasured = described.iter().copied().filter(|name| !config.polling.measures(name)).collect();
        (self.names.all().filter(comes).collect(), unmeasured)
    }

    /// The work of the module of a name.
    pub fn work_of(&self, name: &str) -> Option<String> {
        let pollsters = self.pollsters.iter().map(|module| (&[][..], module));
        let mut all = pollsters.chain(self.transformers.iter().map(|(meters, module)| (meters.patterns(), module)));
        let (meters, module) = all.find(|(_, module)| &*module.name == name)?;
        Some(module.work(meters))
    }

    /// Transformers that have not seen anything yet.
    pub fn chains(&self) -> Vec<Chain> {
        self.transformers.iter().map(|(meters, module)| Chain::new(meters.clone(), Arc::clone(module))).collect()
    }
}

/// What a transformer of a sink is called, in the ledger and in the log: nothing else is.
fn link_name(sink: &str, transformer: &str, taken: &mut HashSet<String>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let sink: String = sink.chars().map(plain).take(LONGEST_SINK).collect();
    let name = format!("{sink}:{transformer}");
    let numbered = (2..).map(|number: u32| format!("{name}#{number}"));
    let name = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(name);
    taken.insert(name.clone());
    name
}

struct Loading<'a> {
    sandbox: &'a Sandbox,
    config: &'a Config,
    problems: Problems,
    refused: bool,
    pollsters: Vec<Arc<Module>>,
    transformers: Vec<(MeterFilter, Arc<Module>)>,
    sinks: Vec<Vec<Step>>,
    names: Names,
    declare: bool,
    starving: Vec<Starving>,
}

/// A transformer of the operator's in the chain of a sink.
#[derive(Debug, Clone, Copy)]
struct Link<'a> {
    sink: &'a Sink,
    transformer: &'a Transformer,
    /// Where it stands.
    key: &'a str,
    /// What it is called in the ledger and in the log.
    name: &'a str,
    /// What comes to it, as far as that is known.
    inputs: &'a [Meter],
}

// === impl Loading ===

impl Loading<'_> {
    async fn built_in(&mut self) {
        let (sandbox, config) = (self.sandbox, self.config);
        let mut wanted = Vec::new();
        for module in built_in() {
            let entry = config.modules.iter().find(|entry| entry.name == module.name);
            if !entry.map_or(is_on_by_default(module.name), |entry| entry.enabled) {
                continue;
            }
            if let Some(entry) = entry.filter(|entry| entry.file.is_some()) {
                let remedy = "Give the module with a file another name";
                let message = format!("{} is the name of a built-in module", module.name);
                self.problems.error(entry.place, &format!("modules.{}.file", module.name), message, remedy);
            } else if module.is_pollster {
                wanted.push((module, entry));
            }
        }
        // Compiling is the slow part when the cache is cold; both cores can do it at once. Transformers are loaded where
        // they are named: they are larger, and most nodes need none.
        let loads = wanted.into_iter();
        let loads = loads.map(|(module, entry)| async move { (module, entry, sandbox.load(module.wasm).await) });
        for (module, entry, code) in futures_util::future::join_all(loads).await {
            self.configure(module.name, true, code, entry).await;
        }
    }

    async fn named(&mut self) {
        for entry in &self.config.modules {
            let known = built_in().any(|module| module.name == entry.name);
            match &entry.file {
                _ if known => {}
                None => {
                    let names: Vec<_> = built_in().map(|module| module.name).collect();
                    let remedy = format!("Give it a file, or write one of {}", names.join(", "));
                    let message = format!("there is no built-in module {:?}", entry.name);
                    self.problems.error(entry.place, &format!("modules.{}", entry.name), message, remedy);
                }
                Some(_) if !entry.enabled || self.transforms(&entry.name) => {}
                Some(file) => {
                    let code = self.code(file).await;
                    self.configure(&entry.name, false, code, Some(entry)).await;
                }
            }
        }
    }

    /// Transformers: built-in ones by name, the operator's own by the name that they have under `modules`.
    async fn transformers(&mut self) {
        for (place, transform) in self.config.transform.iter().enumerate() {
            let key = format!("transform[{place}].module");
            let named = self.config.modules.iter().find(|entry| entry.name == transform.module && entry.file.is_some());
            let code = match self.transformer(&transform.module).await {
                Some(code) => code,
                None => {
                    let message = format!("there is no transformer {:?}", transform.module);
                    let remedy = "Write one of the built-in ones, such as delta, or the name of a module that has a file under modules";
                    self.problems.error(transform.place, &key, message, remedy);
                    continue;
                }
            };
            let limits = named.map_or(self.config.sandbox.limits, |entry| entry.limits);
            let code = match code {
                Ok(code) if code.manifest.world != World::Transformer => {
                    let message = format!("{} is a pollster", transform.module);
                    self.problems.error(transform.place, &key, message, "Name a transformer, such as delta");
                    continue;
                }
                Ok(code) => code,
                Err(failure) => {
                    self.refuse(&transform.module, transform.place, &key, &failure);
                    continue;
                }
            };
            // The second of a name is told apart, in the ledger and in the log, by what no name has.
            let earlier = self.config.transform.iter().take(place).filter(|t| t.module == transform.module);
            let name = match earlier.count() {
                0 => transform.module.clone(),
                n => format!("{}#{}", transform.module, n + 1),
            };
            let described = self.pollsters.iter().flat_map(|module| &module.description.meters);
            let inputs: Vec<Meter> = described.filter(|meter| transform.meters.matches(&meter.name)).cloned().collect();
            let told = Told {
                sandbox: self.sandbox,
                name: &name,
                module: &transform.module,
                built_in: named.is_none(),
                limits,
                inputs: &inputs,
                who: format!("the transformer {}", transform.module),
                place: transform.place,
                key: format!("transform[{place}]"),
                under: "config",
                unknown: Severity::Error,
            };
            match told.ask(&code, transform.config.clone(), &mut self.problems).await {
                Ok((module, gives)) => {
                    self.declare |= !gives.declares.is_empty();
                    self.check_outputs(transform, &module.name, &key, &gives.meters);
                    self.transformers.push((transform.meters.clone(), Arc::new(module)));
                }
                Err(why) => self.refused |= why == NotTold::Refused,
            }
        }
    }

    /// Whether a module is one that the configuration transforms with.
    fn transforms(&self, name: &str) -> bool {
        let sinks = self.config.pipeline.iter().flat_map(|pipelines| &pipelines.sinks);
        sinks.flat_map(|sink| &sink.transformers).any(|transformer| transformer.name == name)
            || self.config.transform.iter().any(|transform| transform.module == name)
    }

    /// The code of a transformer: a built-in one, or the operator's own; `None` if there is none of this name.
    async fn transformer(&self, name: &str) -> Option<Result<Code, Failure>> {
        let named = self.config.modules.iter().find(|entry| entry.name == name && entry.file.is_some());
        match (built_in().find(|module| module.name == name), named) {
            (Some(module), _) => Some(self.sandbox.load(module.wasm).await),
            (None, Some(ModuleEntry { file: Some(file), .. })) => Some(self.code(file).await),
            _ => None,
        }
    }

    /// The chains of pipelines' sinks. Each transformer is asked what it makes of what the one before it gives.
    async fn sinks(&mut self) {
        let Some(pipelines) = &self.config.pipeline else { return };
        let mut problems = Problems::of(self.config.pipeline_file.as_deref());
        let (mut taken, measured, others) = (HashSet::new(), self.measured(), self.others());
        for (number, sink) in pipelines.sinks.iter().enumerate() {
            let filters = pipelines.leading_to(number);
            let is_taken = |name: &str| filters.iter().any(|meters| meters.matches(name));
            let mut inputs: Vec<Meter> = measured.iter().filter(|meter| is_taken(&meter.name)).cloned().collect();
            let others: Vec<&str> = others.iter().map(String::as_str).filter(|name| is_taken(name)).collect();
            // Whether nothing else comes to the transformer at hand, but for what tenants' modules give.
            let mut is_known = !self.declare;
            let mut steps = Vec::with_capacity(sink.transformers.len());
            for (place, transformer) in sink.transformers.iter().enumerate() {
                let key = format!("sinks[{number}].transformers[{place}]");
                match transformer.deployment() {
                    Some(Ok(deployment)) => {
                        steps.push(Step::Deployed(deployment));
                        is_known = false;
                        continue;
                    }
                    Some(Err(_)) => {
                        (inputs, is_known) = (Vec::new(), false);
                        continue;
                    }
                    None => {}
                }
                let name = link_name(&sink.name, &transformer.name, &mut taken);
                let link = Link { sink, transformer, key: &key, name: &name, inputs: &inputs };
                let Some((module, gives)) = self.link(link, &mut problems).await else {
                    // What is wrong with those behind it is said as well, as far as it is not about what comes to them.
                    (inputs, is_known) = (Vec::new(), false);
                    continue;
                };
                if is_known {
                    let more = others.iter().filter(|_| steps.is_empty()).copied();
                    let mut comes: Vec<&str> = inputs.iter().map(|meter| &*meter.name).chain(more).collect();
                    comes.sort_unstable();
                    self.starving.extend(starving::needs(sink, transformer, &key, steps.is_empty(), &comes));
                    if others.is_empty() || !steps.is_empty() {
                        self.starving.extend(starving::fits_nothing(sink, transformer, &key, &inputs, &gives.meters));
                    }
                }
                is_known &= others.is_empty() && gives.declares.is_empty();
                inputs = gives.meters.clone();
                steps.push(Step::Own(Arc::new(module)));
            }
            self.sinks.push(steps);
        }
        let is_known = |name: &str| self.config.modules.iter().any(|entry| entry.name == name && entry.file.is_some());
        let file = self.config.pipeline_file.as_deref();
        let owner_of = |tenant: &Tenant| self.config.tenants.owner_of(tenant).map(str::to_owned);
        problems.extend(pipelines.check_transformers(file, is_known, owner_of));
        problems.sort();
        self.problems.extend(problems);
    }

    /// A transformer of the operator's in a chain, and what it makes of what comes to it; none if it cannot run.
    async fn link(&mut self, link: Link<'_>, problems: &mut Problems) -> Option<(Module, Gives)> {
        let Link { sink, transformer, key, name, inputs } = link;
        let who = format!("the transformer {} of the sink {}", transformer.name, sink.name);
        let named = self.config.modules.iter().find(|entry| entry.name == transformer.name);
        let limits = named.map_or(self.config.sandbox.limits, |entry| entry.limits);
        // The names of all are checked at once.
        let code = match self.transformer(&transformer.name).await? {
            Ok(code) if code.manifest.world != World::Transformer => {
                let message = format!("{} is a pollster", transformer.name);
                problems.error(transformer.place, key, message, "Name a transformer, such as rate_of_change");
                return None;
            }
            Ok(code) => code,
            Err(failure) => {
                self.refused = true;
                let (why, remedy) = refusal(&failure, Reader::Operator(Settings::OF_MODULES));
                problems.error(transformer.place, key, format!("{who}: {why}"), remedy);
                return None;
            }
        };
        let told = Told {
            sandbox: self.sandbox,
            name,
            module: &transformer.name,
            built_in: named.is_none(),
            limits,
            inputs,
            who,
            place: transformer.place,
            key: key.to_owned(),
            under: "parameters",
            unknown: Severity::Warning,
        };
        let asked = told.ask(&code, transformer.parameters.clone(), problems).await;
        asked.inspect_err(|why| self.refused |= *why == NotTold::Refused).ok()
    }

    /// The meters that are known beforehand and that are measured.
    fn measured(&self) -> Vec<Meter> {
        let described = self.pollsters.iter().flat_map(|module| &module.description.meters);
        described.filter(|meter| self.config.polling.measures(&meter.name)).cloned().collect()
    }

    /// Names beside those of pollsters' meters: transformers of wasmeter.yaml give them, or the host.
    fn others(&self) -> Vec<String> {
        let described = self.pollsters.iter().flat_map(|module| &module.description.meters);
        let described: HashSet<&str> = described.map(|meter| &*meter.name).collect();
        let is_given = |name: &&str| self.config.budget.meters || !usage::names().any(|ours| ours == *name);
        let others = self.names.all().filter(|name| !described.contains(name)).filter(is_given);
        others.map(str::to_owned).collect()
    }

    /// What comes out stands beside what went in, so it needs a name of its own.
    fn check_outputs(&mut self, transform: &Transform, name: &Arc<str>, key: &str, outputs: &[Meter]) {
        if let Some((output, owner)) = self.take(name, outputs) {
            let message = format!("{name} would give a second meter {output}, which {owner} gives");
            let remedy = "Give what comes out a name of its own, such as target: {name: cpu.delta}";
            self.problems.error(transform.place, key, message, remedy);
        }
        let declares = self.pollsters.iter().any(|module| !module.description.declares.is_empty());
        let described = self.pollsters.iter().flat_map(|module| &module.description.meters);
        if !declares && !described.into_iter().any(|meter| transform.meters.matches(&meter.name)) {
            let message = format!("{} matches no meter of any module that is on", transform.module);
            let remedy = "See wasmeter module list for the meters that there are";
            self.problems.warning(transform.place, key, message, remedy);
        }
    }

    /// Takes the names of meters that a module describes. Gives the first that is another's, and whose it is.
    fn take(&mut self, module: &Arc<str>, meters: &[Meter]) -> Option<(String, Arc<str>)> {
        let taken = |meter: &Meter| Some((meter.name.clone(), self.names.describe(module, &meter.name).err()?));
        meters.iter().find_map(taken)
    }

    async fn configure(
        &mut self,
        name: &str,
        built_in: bool,
        code: Result<Code, Failure>,
        entry: Option<&ModuleEntry>,
    ) {
        let limits = entry.map_or(self.config.sandbox.limits, |entry| entry.limits);
        let text = entry.map(|entry| entry.config.text()).unwrap_or_default();
        let configured = match code {
            Ok(code) => self.sandbox.configure(name, built_in, code, text, Limits::from(limits)).await,
            Err(failure) => Err(failure),
        };
        match configured {
            Ok(module) if module.code.manifest.world == World::Transformer => {
                let remedy = "Name it under transform, where its meters are named too";
                let message = format!("{name} is a transformer");
                self.problems.error(entry.and_then(|entry| entry.place), &format!("modules.{name}"), message, remedy);
            }
            Ok(module) => {
                if let Some((meter, owner)) = self.take(&module.name, &module.description.meters) {
                    let message = format!("{name} gives the meter {meter}, which {owner} gives");
                    let remedy = "Turn one of them off with enabled: false, or give each meter a name of its own";
                    self.problems.error(
                        entry.and_then(|entry| entry.place),
                        &format!("modules.{name}"),
                        message,
                        remedy,
                    );
                }
                self.declare |= !module.description.declares.is_empty();
                self.pollsters.push(Arc::new(module));
            }
            Err(failure) => {
                self.refuse(name, entry.and_then(|entry| entry.place), &format!("modules.{name}"), &failure);
            }
        }
    }

    async fn code(&self, file: &Path) -> Result<Code, Failure> {
        self.sandbox.load(&read(file)?).await
    }

    fn refuse(&mut self, name: &str, place: Option<Place>, key: &str, failure: &Failure) {
        self.refused = true;
        let (why, remedy) = refusal(failure, Reader::Operator(Settings::OF_MODULES));
        self.problems.error(place, key, format!("the module {name} was refused: {why}"), remedy);
    }
}
