//! Calls of modules as transactions: each in a fresh instance, each whole or not at all.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::cache::{self, Cache, CacheError};
use super::check::{self, Bounds};
use super::compile::Compiler;
use super::failure::{Cause, Failure};
use super::host::debt::{self, Debt, SLICE};
use super::host::declare::Declared;
use super::host::log::Lines;
use super::host::state::{State, StateAccess, Writes};
use super::host::texts::{Text, Texts};
use super::host::wasi::{self, Wasi};
use super::host::{Context, Input, Reads};
use super::limits::{CROSSING_BYTES, HANDLES, Limiter, Limits};
use super::module::{Code, Linked, Module};
use super::{admission, engine, price};
use crate::agent::OPERATOR;
use crate::clock::Moment;
use crate::contract::{Batch, Description, Meter, ModuleFailure, Series, pollster, transformer};
use crate::discovery::{Resources, Snapshot, View};

/// Where modules are loaded and called.
pub struct Sandbox {
    engine: Engine,
    pollsters: Linker<Context>,
    transformers: Linker<Context>,
    cache: Cache,
    compiler: Compiler,
    slots: Semaphore,
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine cannot start.
    #[error("cannot start the WebAssembly engine: {0:#}")]
    Engine(#[source] wasmtime::Error),
    /// There is no cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// What a call gave, if it landed.
#[derive(Debug)]
pub struct Landed<T> {
    /// What it returned.
    pub output: T,
    /// Meters that it declared, after those of its description.
    pub meters: Vec<Meter>,
    /// Parts of guests that it declared: the guest, and the text of the suffix.
    pub parts: Vec<(u32, u32)>,
    /// Texts by number.
    pub texts: Vec<Text>,
    /// What it wants remembered.
    pub writes: Writes,
}

/// One call from its start to its end.
#[derive(Debug)]
pub struct Called<T> {
    /// What it gave, or what it did wrong.
    pub result: Result<Landed<T>, Failure>,
    /// Fuel that it used.
    pub fuel: u64,
    /// Bytes of memory that its instance had at the end.
    pub memory: usize,
    /// What it logged and wrote to its standard streams.
    pub lines: Lines,
}

// === impl Sandbox ===

impl Sandbox {
    /// A sandbox that keeps compiled modules in this folder.
    pub fn new(folder: &Path, compiler: Compiler) -> Result<Self, SandboxError> {
        let engine = engine::running().map_err(SandboxError::Engine)?;
        let (mut pollsters, mut transformers) = (Linker::new(&engine), Linker::new(&engine));
        wasi::link(&mut pollsters)
            .and_then(|()| wasi::link(&mut transformers))
            .and_then(|()| pollster::Pollster::add_to_linker::<_, HasSelf<Context>>(&mut pollsters, |context| context))
            .and_then(|()| {
                transformer::Transformer::add_to_linker::<_, HasSelf<Context>>(&mut transformers, |context| context)
            })
            .map_err(SandboxError::Engine)?;
        let cache = Cache::open(folder, &engine)?;
        Ok(Self { engine, pollsters, transformers, cache, compiler, slots: Semaphore::new(engine::SLOTS as usize) })
    }

    /// Admits, compiles where that was not done before, and links a module.
    pub async fn load(&self, bytes: &[u8]) -> Result<Code, Failure> {
        let manifest = admission::admit(bytes)?;
        let digest = cache::digest(bytes);
        let component = match self.cache.load(&digest) {
            Some(component) => component,
            None => {
                let code = self.compiler.compile(bytes).await?;
                self.cache.store(&digest, &code).map_err(unkept)?
            }
        };
        let linker = match manifest.world {
            admission::World::Pollster => &self.pollsters,
            admission::World::Transformer => &self.transformers,
        };
        Code::link(digest, bytes.len(), manifest, &component, linker)
    }

    /// Configures a module: asks it twice to describe itself, and wants the same good answer.
    pub async fn configure(
        &self,
        name: &str,
        built_in: bool,
        code: Code,
        config: String,
        limits: Limits,
    ) -> Result<Module, Failure> {
        let module = Module::undescribed(name, built_in, code, config, limits);
        if matches!(module.code.linked, Linked::Transformer(_)) {
            return Ok(module.that_reads_every_attribute());
        }
        let bad = |detail: String| Failure::new(Cause::BadDescription, detail);
        let first = self.describe_pollster(&module).await.said(&module)?;
        // What is compared and kept is of a size that was checked.
        check::description(&first).map_err(bad)?;
        let second = self.describe_pollster(&module).await.into_output()?;
        if format!("{first:?}") != format!("{second:?}") {
            return Err(bad("its description changes from call to call".into()));
        }
        Ok(module.described(first))
    }

    /// Configures a transformer, and asks it what it makes of the inputs that are known beforehand.
    pub async fn configure_for(
        &self,
        name: &str,
        built_in: bool,
        code: Code,
        config: String,
        limits: Limits,
        inputs: &[Meter],
    ) -> Result<(Module, Vec<Meter>), Failure> {
        let module = self.configure(name, built_in, code, config, limits).await?;
        let outputs = self.describe_transformer(&module, inputs).await?;
        Ok((module, outputs))
    }

    async fn describe_pollster(&self, module: &Module) -> Called<Description> {
        let Linked::Pollster(pre) = &module.code.linked else { return Called::failed(wrong_world(module)) };
        let _slot = self.slot().await;
        let mut store = match self.store(module, nothing(), Arc::default(), module.limits.fuel(0)) {
            Ok(store) => store,
            Err(failure) => return Called::failed(failure),
        };
        let answer = timeout(module.limits.deadline, async {
            let instance = pre.instantiate_async(&mut store).await?;
            instance.wasmeter_plugin_poller().call_describe(&mut store, &module.config).await
        })
        .await;
        finish(store, module, answer, module.limits.fuel(0), |error| error, |_, _| Ok(0))
    }

    /// The meters that a transformer gives for these inputs.
    pub async fn describe_transformer(&self, module: &Module, inputs: &[Meter]) -> Result<Vec<Meter>, Failure> {
        let Linked::Transformer(pre) = &module.code.linked else { return Err(wrong_world(module)) };
        let _slot = self.slot().await;
        let mut store = self.store(module, nothing(), Arc::default(), module.limits.fuel(0))?;
        let answer = timeout(module.limits.deadline, async {
            let instance = pre.instantiate_async(&mut store).await?;
            instance.wasmeter_plugin_converter().call_describe(&mut store, &module.config, inputs).await
        })
        .await;
        let called = finish(store, module, answer, module.limits.fuel(0), |error| error, |_, _| Ok(0));
        let meters: Vec<Meter> = called.said(module)?;
        check::meters(&meters).map_err(|detail| Failure::new(Cause::BadDescription, detail))?;
        Ok(meters)
    }

    /// Polls once, with so much fuel.
    pub async fn poll(&self, module: &Module, input: Input, state: Arc<State>, fuel: u64) -> Called<Vec<Series>> {
        let Linked::Pollster(pre) = &module.code.linked else { return Called::failed(wrong_world(module)) };
        let _slot = self.slot().await;
        let mut store = match self.store(module, input, state, fuel) {
            Ok(store) => store,
            Err(failure) => return Called::failed(failure),
        };
        let answer = timeout(module.limits.deadline, async {
            let instance = pre.instantiate_async(&mut store).await?;
            instance.wasmeter_plugin_poller().call_poll(&mut store, &module.config).await
        })
        .await;
        let described = module.description.meters.len();
        finish(store, module, answer, fuel, said, |context, series: &Vec<Series>| {
            context.bounds(described).series(series)
        })
    }

    /// Converts once, with so much fuel. `outputs` is how many meters the module described for these inputs.
    pub async fn convert(
        &self,
        module: &Module,
        input: Input,
        state: Arc<State>,
        fuel: u64,
        work: Conversion<'_>,
    ) -> Called<Vec<Batch>> {
        let Linked::Transformer(pre) = &module.code.linked else { return Called::failed(wrong_world(module)) };
        let _slot = self.slot().await;
        let mut store = match self.store(module, input, state, fuel) {
            Ok(mut store) => {
                for text in work.texts {
                    store.data_mut().texts.number(text.clone());
                }
                let bytes = work.batches.iter().map(|batch| batch.column.bytes()).sum();
                store.data_mut().debt.add(price::bytes(bytes));
                store
            }
            Err(failure) => return Called::failed(failure),
        };
        let answer = timeout(module.limits.deadline, async {
            let instance = pre.instantiate_async(&mut store).await?;
            let converter = instance.wasmeter_plugin_converter();
            converter.call_convert(&mut store, &module.config, work.inputs, work.batches).await
        })
        .await;
        finish(store, module, answer, fuel, said, |context, batches: &Vec<Batch>| {
            context.bounds(work.outputs).batches(batches)
        })
    }

    async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        self.slots.acquire().await.ok()
    }

    fn store(&self, module: &Module, input: Input, state: Arc<State>, fuel: u64) -> Result<Store<Context>, Failure> {
        let context = Context::new(&module.limits, &module.reads, module.description.meters.len(), input, state);
        let mut store = Store::new(&self.engine, context);
        store.limiter(|context| &mut context.limiter);
        store.call_hook(debt::hook);
        store.set_hostcall_fuel(CROSSING_BYTES);
        store.set_max_component_handles(HANDLES);
        store
            .set_fuel(fuel)
            .and_then(|()| store.fuel_async_yield_interval(Some(SLICE)))
            .map_err(|error| Failure::new(Cause::Host, format!("{error:#}")))?;
        Ok(store)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// What a transformer is to convert.
#[derive(Debug, Clone, Copy)]
pub struct Conversion<'a> {
    /// Its inputs' meters.
    pub inputs: &'a [Meter],
    /// How many meters it described for them.
    pub outputs: usize,
    /// The samples.
    pub batches: &'a [Batch],
    /// Texts to which notes of the batches refer, by number; none twice.
    pub texts: &'a [Text],
}

/// Code that was compiled a moment ago is refused for one reason: what the component instantiates, which parsing does
/// not tell, does not fit into a slot of the pool.
fn unkept(error: CacheError) -> Failure {
    if let CacheError::Refused { source, .. } = &error {
        let words = format!("{source:#}");
        if words.contains("exceeds") {
            return Failure::new(Cause::TooLarge, format!("it is more than an instance may be: {words}"));
        }
    }
    Failure::new(Cause::Host, error.to_string())
}

/// A call that has no resources.
fn nothing() -> Input {
    let resources = Arc::new(Resources::default());
    let view = Arc::new(View::of(&resources, Vec::new()));
    Input { snapshot: Arc::new(Snapshot::empty(resources, Moment { wall: 0, monotonic: 0 })), view }
}

fn wrong_world(module: &Module) -> Failure {
    let detail = format!("it is a {}, and was used as something else", module.code.manifest.world);
    Failure::new(Cause::AbiMismatch, detail)
}

fn said(failure: ModuleFailure) -> String {
    match failure {
        ModuleFailure::Unsupported(text) => format!("unsupported: {text}"),
        ModuleFailure::Unavailable(text) => format!("unavailable: {text}"),
        ModuleFailure::Failed(text) => text,
    }
}

/// Ends a call: takes the context out of its store, settles the fuel, and checks what came out.
fn finish<T, E>(
    store: Store<Context>,
    module: &Module,
    answer: Result<wasmtime::Result<Result<T, E>>, tokio::time::error::Elapsed>,
    fuel: u64,
    words: impl FnOnce(E) -> String,
    check: impl FnOnce(&Context, &T) -> Result<usize, Failure>,
) -> Called<T> {
    let left = store.get_fuel().unwrap_or(0);
    let mut context = store.into_data();
    let owed = context.debt.owed().saturating_add(context.limiter.debt);
    let mut used = fuel.saturating_sub(left).saturating_add(owed);
    let outcome = match answer {
        Err(_) => {
            let detail = format!("it took more than {} ms", module.limits.deadline.as_millis());
            Err(Failure::new(Cause::Deadline, detail))
        }
        Ok(Err(error)) => Err(Failure::from_engine(&error)),
        Ok(Ok(Err(error))) => match &context.undeclared {
            Some(key) => Err(Failure::new(Cause::Undeclared, format!("it read {key:?}, which it did not declare"))),
            None => Err(Failure::new(Cause::ModuleError, words(error))),
        },
        Ok(Ok(Ok(output))) => check(&context, &output).and_then(|bytes| {
            used = used.saturating_add(price::bytes(bytes));
            if used > fuel {
                return Err(Failure::new(Cause::OutOfFuel, "its results cost more than was left"));
            }
            Ok(output)
        }),
    };
    let used = used.min(fuel);
    let ((stdout, unseen), (stderr, unseen_errors)) = (context.wasi.stdout.text(), context.wasi.stderr.text());
    let mut lines = std::mem::take(&mut context.lines);
    if unseen + unseen_errors > 0 {
        let dropped = format!("{} bytes that it printed before were dropped.", unseen + unseen_errors);
        lines.push(tracing::Level::WARN, &dropped);
    }
    stdout.lines().for_each(|line| lines.push(tracing::Level::INFO, line));
    // A failure carries its standard error with it.
    let said = outcome.as_ref().map_or("", |_| stderr.as_str());
    said.lines().for_each(|line| lines.push(tracing::Level::WARN, line));
    let memory = context.limiter.memory_used();
    let result = match outcome {
        Ok(output) => Ok(Landed {
            output,
            meters: context.declared.meters,
            parts: context.declared.parts,
            texts: context.texts.into_table(),
            writes: context.state.into_writes(),
        }),
        Err(failure) => Err(Failure { fuel_used: used, stderr, ..failure }),
    };
    Called { result, fuel: used, memory, lines }
}

impl<T> Called<T> {
    fn failed(failure: Failure) -> Self {
        Self { result: Err(failure), fuel: 0, memory: 0, lines: Lines::default() }
    }

    /// Hands on what the module logged, and then the output.
    fn said(mut self, module: &Module) -> Result<T, Failure> {
        std::mem::take(&mut self.lines).emit(&module.name, OPERATOR);
        self.into_output()
    }

    fn into_output(self) -> Result<T, Failure> {
        self.result.map(|landed| landed.output).map_err(|mut failure| {
            if failure.cause == Cause::ModuleError {
                failure.cause = Cause::BadDescription;
            }
            failure
        })
    }
}

// === impl Context ===

impl Context {
    fn new(limits: &Limits, reads: &Arc<Reads>, described: usize, input: Input, state: Arc<State>) -> Self {
        let texts = Texts::new(input.view.resources());
        Self {
            wasi: Wasi::default(),
            limiter: Limiter::new(limits.memory),
            debt: Debt::default(),
            input,
            declared_reads: Arc::clone(reads),
            undeclared: None,
            texts,
            declared: Declared::after(described),
            state: StateAccess::to(state),
            lines: Lines::default(),
        }
    }

    fn bounds(&self, described: usize) -> Bounds<'_> {
        Bounds { input: &self.input, declared: &self.declared, texts: &self.texts, described }
    }
}
