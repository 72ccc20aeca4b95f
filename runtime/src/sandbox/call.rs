//! Calls of modules as transactions: each in a fresh instance, each whole or not at all.

use std::sync::Arc;

use wasmtime::Store;

use super::check::Bounds;
use super::failure::{Cause, Failure};
use super::host::debt::{self, Debt, OPERATORS_SLICE, SLICE};
use super::host::declare::Declared;
use super::host::http::Asking;
use super::host::log::Lines;
use super::host::random::Random;
use super::host::state::{State, StateAccess, Writes};
use super::host::texts::{Text, Texts};
use super::host::wasi::Wasi;
use super::host::{Context, Gives, Input};
use super::limits::{CROSSING_BYTES, HANDLES, Limiter};
use super::loading::Sandbox;
use super::module::{Linked, Module};
use super::price;
use super::turns::within;
use crate::clock::Moment;
use crate::contract::{Batch, Column, Description, Meter, ModuleFailure, Note, Outputs, Series};
use crate::discovery::{Resources, Snapshot, View};
use crate::hypervisor::Groups;

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
    /// Samples that it was handed and that gave nothing, as it says.
    pub dropped: u32,
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
    /// Whether it made requests, which cannot be taken back.
    pub asked: bool,
}

/// What numbers of a call's resources are in its slot. Parts that it declared follow all others, in both.
struct Numbers {
    view: Arc<View>,
    resources: Arc<Resources>,
}

/// What a transformer is to convert.
#[derive(Debug, Clone, Copy)]
pub struct Conversion<'a> {
    /// Its inputs' meters.
    pub inputs: &'a [Meter],
    /// What it said that it gives for them.
    pub gives: &'a Arc<Gives>,
    /// The samples.
    pub batches: &'a [Batch],
    /// Texts to which notes of the batches refer, by number; none twice.
    pub texts: &'a [Text],
}

// === impl Conversion ===

impl Conversion<'_> {
    /// What handing it over costs: every byte that is copied, and every text that has to be found again.
    fn price(&self) -> u64 {
        let columns = |batch: &Batch| {
            let notes = batch.notes.iter().map(|note| size_of_val(&note.key) + note.column.bytes());
            batch.column.bytes() + notes.sum::<usize>()
        };
        let texts: usize = self.texts.iter().map(|text| text.text.len()).sum();
        let bytes = self.batches.iter().map(columns).sum::<usize>() + texts;
        price::bytes(bytes).saturating_add(price::TEXT.saturating_mul(self.texts.len() as u64))
    }
}

// === impl Numbers ===

impl Numbers {
    fn of(input: &Input) -> Self {
        Self { view: Arc::clone(&input.view), resources: Arc::clone(&input.snapshot.resources) }
    }

    /// Turns what a call gave, which was checked, into what the slot has.
    fn take_back(&self, column: &mut Column, notes: &mut [Note]) {
        let first_declared = self.view.resources();
        for Column { resources, .. } in notes.iter_mut().map(|note| &mut note.column).chain([column]) {
            let handed = resources.partition_point(|number| *number < first_declared);
            let (handed, declared) = resources.split_at_mut(handed);
            self.view.take_back(handed);
            declared.iter_mut().for_each(|number| *number = *number - first_declared + self.resources.len());
        }
    }

    fn take_back_parts(&self, parts: &mut [(u32, u32)]) {
        for (guest, _) in parts {
            *guest = self.view.of_slot(*guest).unwrap_or(*guest);
        }
    }
}

// === impl Sandbox ===

impl Sandbox {
    pub(super) async fn describe_pollster(&self, module: &Module, fuel: u64) -> Called<Description> {
        let Linked::Pollster(pre) = &module.code.linked else { return Called::of_wrong_world(module) };
        let context = Context::new(module, Arc::default(), nothing(), Arc::default());
        let call = async |store: &mut Store<Context>| {
            let instance = pre.instantiate_async(&mut *store).await?;
            instance.wasmeter_plugin_poller().call_describe(store, &module.config).await
        };
        self.transact(module, context, fuel, call, |_, _| Ok(0)).await
    }

    pub(super) async fn describe_transformer(&self, module: &Module, inputs: &[Meter], fuel: u64) -> Called<Outputs> {
        let Linked::Transformer(pre) = &module.code.linked else { return Called::of_wrong_world(module) };
        let context = Context::new(module, Arc::default(), nothing(), Arc::default());
        let call = async |store: &mut Store<Context>| {
            let instance = pre.instantiate_async(&mut *store).await?;
            instance.wasmeter_plugin_converter().call_describe(store, &module.config, inputs).await
        };
        self.transact(module, context, fuel, call, |_, _| Ok(0)).await
    }

    /// Polls once, with so much fuel.
    pub async fn poll(&self, module: &Module, input: Input, state: Arc<State>, fuel: u64) -> Called<Vec<Series>> {
        let Linked::Pollster(pre) = &module.code.linked else { return Called::of_wrong_world(module) };
        let mut context = Context::new(module, Arc::clone(&module.gives), input, state);
        context.asking = module.granted.http.is_some().then(|| Asking::new(Arc::clone(&module.granted)));
        let call = async |store: &mut Store<Context>| {
            let instance = pre.instantiate_async(&mut *store).await?;
            instance.wasmeter_plugin_poller().call_poll(store, &module.config).await
        };
        let slot = Numbers::of(&context.input);
        let mut called =
            self.transact(module, context, fuel, call, |bounds, series: &Vec<Series>| bounds.series(series)).await;
        if let Ok(Landed { output, parts, .. }) = &mut called.result {
            output.iter_mut().for_each(|series| slot.take_back(&mut series.column, &mut series.notes));
            slot.take_back_parts(parts);
        }
        called
    }

    /// Converts once, with so much fuel.
    pub async fn convert(
        &self,
        module: &Module,
        input: Input,
        state: Arc<State>,
        fuel: u64,
        work: Conversion<'_>,
    ) -> Called<Vec<Batch>> {
        let Linked::Transformer(pre) = &module.code.linked else { return Called::of_wrong_world(module) };
        let mut context = Context::new(module, Arc::clone(work.gives), input, state);
        for text in work.texts {
            context.texts.number(text.clone());
        }
        context.debt.add(work.price());
        let call = async |store: &mut Store<Context>| {
            let instance = pre.instantiate_async(&mut *store).await?;
            let converter = instance.wasmeter_plugin_converter();
            converter.call_convert(store, &module.config, work.inputs, work.batches).await
        };
        let slot = Numbers::of(&context.input);
        let mut called =
            self.transact(module, context, fuel, call, |bounds, batches: &Vec<Batch>| bounds.batches(batches)).await;
        if let Ok(Landed { output, parts, .. }) = &mut called.result {
            output.iter_mut().for_each(|batch| slot.take_back(&mut batch.column, &mut batch.notes));
            slot.take_back_parts(parts);
        }
        called
    }

    /// One call from its start to its end, in an instance of its own. `check` says how many bytes came out, if that can
    /// be believed.
    async fn transact<T, E: Into<ModuleFailure>>(
        &self,
        module: &Module,
        context: Context,
        fuel: u64,
        call: impl AsyncFnOnce(&mut Store<Context>) -> wasmtime::Result<Result<T, E>>,
        check: impl FnOnce(Bounds<'_>, &T) -> Result<usize, Failure>,
    ) -> Called<T> {
        // Nobody closes the semaphore.
        let slots = match module.is_operators() {
            true => &self.slots,
            false if module.asks() => &self.asking_slots,
            false => &self.tenants_slots,
        };
        let _slot = slots.acquire().await.ok();
        let pauses = context.asking.as_ref().map(|asking| Arc::clone(&asking.pauses)).unwrap_or_default();
        let mut store = match self.store(context, fuel) {
            Ok(store) => store,
            Err(error) => return Called::failed(Failure::new(Cause::Host, format!("{error:#}"))),
        };
        let answer = within(module.limits.deadline, pauses, call(&mut store)).await;
        let left = store.get_fuel().unwrap_or(0);
        let mut context = store.into_data();
        let asked = context.asking.as_mut().map_or(0, Asking::unbooked);
        let owed = context.debt.owed().saturating_add(context.limiter.debt).saturating_add(asked);
        let mut used = fuel.saturating_sub(left).saturating_add(owed);
        let outcome = match answer {
            None => {
                let detail = format!("it took more than {} ms", module.limits.deadline.as_millis());
                Err(Failure::new(Cause::Deadline, detail))
            }
            Some(Err(error)) => Err(Failure::from_engine(&error)),
            Some(Ok(Err(said))) => Err(context.failure(said.into())),
            Some(Ok(Ok(output))) => check(context.bounds(), &output).and_then(|bytes| {
                used = used.saturating_add(price::bytes(bytes));
                if used > fuel {
                    return Err(Failure::new(Cause::OutOfFuel, "its results cost more than was left"));
                }
                Ok(output)
            }),
        };
        let (fuel, memory) = (used.min(fuel), context.limiter.memory_used());
        let asked = context.asking.as_ref().is_some_and(Asking::has_asked);
        let (lines, stderr) = context.said(outcome.is_err());
        let result = match outcome {
            Ok(output) => Ok(Landed {
                output,
                meters: context.declared.meters,
                parts: context.declared.parts,
                texts: context.texts.into_table(),
                writes: context.state.into_writes(),
                dropped: context.dropped,
            }),
            Err(failure) => Err(Failure { fuel_used: fuel, stderr, ..failure }),
        };
        Called { result, fuel, memory, lines, asked }
    }

    fn store(&self, context: Context, fuel: u64) -> wasmtime::Result<Store<Context>> {
        let slice = context.debt.slice;
        let mut store = Store::new(&self.engine, context);
        store.limiter(|context| &mut context.limiter);
        store.call_hook(debt::hook);
        store.set_hostcall_fuel(CROSSING_BYTES);
        store.set_max_component_handles(HANDLES);
        store.set_fuel(fuel)?;
        store.fuel_async_yield_interval(Some(slice))?;
        Ok(store)
    }
}

impl<T> Called<T> {
    fn failed(failure: Failure) -> Self {
        Self { result: Err(failure), fuel: 0, memory: 0, lines: Lines::default(), asked: false }
    }

    fn of_wrong_world(module: &Module) -> Self {
        let detail = format!("it is a {}, and was used as something else", module.code.manifest.world);
        Self::failed(Failure::new(Cause::AbiMismatch, detail))
    }
}

/// A call that has no resources.
fn nothing() -> Input {
    let resources = Arc::new(Resources::default());
    let view = Arc::new(View::of(&resources, Vec::new()));
    let snapshot = Arc::new(Snapshot::empty(resources, Moment { wall: 0, monotonic: 0 }));
    Input { snapshot, view, part: false, names: Arc::default() }
}

// === impl Context ===

impl Context {
    fn new(module: &Module, gives: Arc<Gives>, input: Input, state: Arc<State>) -> Self {
        let at = input.snapshot.at;
        let random = match module.granted.random {
            true => Random::Machine,
            false => {
                let (tenant, module) = (Arc::clone(&module.tenant), Arc::clone(&module.name));
                Random::Seeded { tenant, module, slot: at.wall, taken: 0 }
            }
        };
        Self {
            module: Arc::clone(&module.name),
            granted: Arc::clone(&module.granted),
            wasi: Wasi::new((!module.granted.clock).then_some(at)),
            limiter: Limiter::new(module.limits.memory),
            debt: Debt::none(if module.is_operators() { OPERATORS_SLICE } else { SLICE }),
            texts: Texts::new(input.view.resources()),
            input,
            reads: Arc::clone(&module.reads),
            undeclared: None,
            missed: Groups::NONE,
            declared: Declared::after(gives),
            state: StateAccess::to(state, &module.payer),
            lines: Lines::default(),
            dropped: 0,
            asking: None,
            random,
        }
    }

    /// What a call comes to that says so of itself. Where the host read nothing, that is nothing that the module did;
    /// but what it could not have may as well be what a server was asked for.
    fn failure(&self, said: ModuleFailure) -> Failure {
        if let Some(key) = &self.undeclared {
            return Failure::new(Cause::Undeclared, format!("it read {key:?}, which it did not declare"));
        }
        let has_asked = self.asking.as_ref().is_some_and(Asking::has_asked);
        let cause = match said {
            ModuleFailure::Unavailable(_) if !has_asked && self.misses_a_group() => Cause::Host,
            _ => Cause::ModuleError,
        };
        Failure::new(cause, said)
    }

    fn bounds(&self) -> Bounds<'_> {
        Bounds { input: &self.input, declared: &self.declared, texts: &self.texts }
    }

    /// What the module logged and printed. A failure carries its standard error with it.
    fn said(&mut self, failed: bool) -> (Lines, String) {
        let ((stdout, unseen), (stderr, unseen_errors)) = (self.wasi.stdout.text(), self.wasi.stderr.text());
        let mut lines = std::mem::take(&mut self.lines);
        if unseen + unseen_errors > 0 {
            let dropped = format!("{} bytes that it printed before were dropped.", unseen + unseen_errors);
            lines.push(tracing::Level::WARN, &dropped);
        }
        stdout.lines().for_each(|line| lines.push(tracing::Level::INFO, line));
        if !failed {
            stderr.lines().for_each(|line| lines.push(tracing::Level::WARN, line));
        }
        (lines, stderr)
    }
}

// === impl ModuleFailure ===

impl From<String> for ModuleFailure {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl From<ModuleFailure> for String {
    fn from(failure: ModuleFailure) -> Self {
        match failure {
            ModuleFailure::Unsupported(text) => format!("unsupported: {text}"),
            ModuleFailure::Unavailable(text) => format!("unavailable: {text}"),
            ModuleFailure::Failed(text) => text,
        }
    }
}
