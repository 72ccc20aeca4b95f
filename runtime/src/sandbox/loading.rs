//! From a file to a module that can be called: admitted, compiled, linked, and asked to describe itself.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use super::cache::{self, Cache, CacheError};
use super::call::{Called, Landed};
use super::check;
use super::compile::Compiler;
use super::failure::{Cause, Failure};
use super::granted::Granted;
use super::host::http::Requests;
use super::host::log::Lines;
use super::host::{Context, Gives, wasi};
use super::limits::Limits;
use super::module::{Code, Linked, Module};
use super::{admission, engine};
use crate::contract::{Meter, Outputs, pollster, transformer};
use crate::digest::Digest;

/// Where modules are loaded and called.
pub struct Sandbox {
    pub(super) engine: Engine,
    pollsters: Linker<Context>,
    transformers: Linker<Context>,
    /// Where compiled modules are kept, if they are.
    cache: Option<Cache>,
    compiler: Compiler,
    /// Instances of the operator's modules, and those of tenants: nobody waits for an instance that waits for its turn.
    pub(super) slots: Semaphore,
    pub(super) tenants_slots: Semaphore,
    /// Instances that may wait for servers.
    pub(super) asking_slots: Semaphore,
    /// Who makes requests for all modules.
    pub requests: Requests,
}

/// What a module said of itself, and what that took.
#[derive(Debug)]
pub struct Described<T> {
    /// What it said, or why that is worth nothing.
    pub result: Result<T, Failure>,
    /// Fuel that it used.
    pub fuel: u64,
    /// What it logged.
    pub lines: Lines,
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

// === impl Sandbox ===

impl Sandbox {
    /// A sandbox that keeps compiled modules in this folder.
    pub fn new(folder: &Path, compiler: Compiler) -> Result<Self, SandboxError> {
        Self::of(|engine| Ok(Some(Cache::open(folder, engine)?)), compiler)
    }

    /// A sandbox that compiles everything anew.
    pub fn without_cache(compiler: Compiler) -> Result<Self, SandboxError> {
        Self::of(|_| Ok(None), compiler)
    }

    fn of(
        cache: impl FnOnce(&Engine) -> Result<Option<Cache>, CacheError>,
        compiler: Compiler,
    ) -> Result<Self, SandboxError> {
        let engine = engine::running().map_err(SandboxError::Engine)?;
        let (mut pollsters, mut transformers) = (Linker::new(&engine), Linker::new(&engine));
        wasi::link(&mut pollsters)
            .and_then(|()| wasi::link(&mut transformers))
            .and_then(|()| pollster::Pollster::add_to_linker::<_, HasSelf<Context>>(&mut pollsters, |context| context))
            .and_then(|()| {
                transformer::Transformer::add_to_linker::<_, HasSelf<Context>>(&mut transformers, |context| context)
            })
            .map_err(SandboxError::Engine)?;
        let cache = cache(&engine)?;
        let [slots, tenants_slots, asking_slots] =
            [engine::OPERATORS_SLOTS, engine::TENANTS_SLOTS, engine::ASKING_SLOTS]
                .map(|slots| Semaphore::new(slots as usize));
        let requests = Requests::default();
        Ok(Self { engine, pollsters, transformers, cache, compiler, slots, tenants_slots, asking_slots, requests })
    }

    /// Admits, compiles where that was not done before, and links a module.
    pub async fn load(&self, bytes: &[u8]) -> Result<Code, Failure> {
        let manifest = admission::admit(bytes)?;
        let digest = Digest::of(bytes).to_string();
        let component = match self.cache.as_ref().and_then(|cache| cache.load(&digest)) {
            Some(component) => component,
            None => {
                let code = self.compiler.compile(bytes).await?;
                match &self.cache {
                    Some(cache) => cache.store(&digest, &code).map_err(unkept)?,
                    None => cache::deserialize(&self.engine, &code).map_err(|source| unfit(&source))?,
                }
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
        self.described(Module::undescribed(name, built_in, code, config, limits)).await
    }

    /// The same for a tenant, with what was granted to this one.
    pub async fn configure_of(
        &self,
        (tenant, name): (&str, &str),
        code: Code,
        config: String,
        limits: Limits,
        granted: Granted,
    ) -> Result<Module, Failure> {
        let module = Module::undescribed(name, false, code, config, limits);
        let tenant: Arc<str> = tenant.into();
        let payer = Arc::clone(&tenant);
        self.described(Module { tenant, payer, granted: Arc::new(granted), ..module }).await
    }

    async fn described(&self, module: Module) -> Result<Module, Failure> {
        module.granted.cover(&module.code.manifest)?;
        if matches!(module.code.linked, Linked::Transformer(_)) {
            return Ok(module.that_reads_every_attribute());
        }
        let ask = |fuel| self.describe_pollster(&module, fuel);
        let described = twice(&module, (module.limits.describing(0), 0), check::description, ask).await;
        described.lines.emit(&module.name, &module.tenant);
        Ok(module.described(described.result?))
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
    ) -> Result<(Module, Gives), Failure> {
        let module = self.configure(name, built_in, code, config, limits).await?;
        let gives = self.outputs(&module, inputs, module.limits.describing(inputs.len())).await;
        gives.lines.emit(&module.name, &module.tenant);
        Ok((module, gives.result?))
    }

    /// What a transformer makes of these inputs, if it says the same good thing twice with so much fuel.
    pub async fn outputs(&self, module: &Module, inputs: &[Meter], fuel: u64) -> Described<Gives> {
        let ask = |fuel| self.describe_transformer(module, inputs, fuel);
        let Described { result, fuel, lines } = twice(module, (fuel, inputs.len()), check::outputs, ask).await;
        let result = result.map(|outputs: Outputs| Gives::new(outputs.meters, &outputs.declares));
        Described { result, fuel, lines }
    }
}

/// Asks a module twice to describe itself for so many inputs, with so much fuel for both, and wants the same good answer.
async fn twice<T: std::fmt::Debug, F: Future<Output = Called<T>>>(
    module: &Module,
    (fuel, inputs): (u64, usize),
    check: fn(&T) -> Result<(), String>,
    ask: impl Fn(u64) -> F,
) -> Described<T> {
    let once = module.limits.describing(inputs) / 2;
    let Called { result, fuel: used, mut lines, .. } = ask(fuel.min(once)).await;
    // What is compared and kept is of a size that was checked.
    let first = match said(result).and_then(|first| check(&first).map(|()| first).map_err(bad)) {
        Ok(first) => first,
        failed => return Described { result: failed, fuel: used, lines },
    };
    let second = ask(fuel.saturating_sub(used).min(once)).await;
    let used = used.saturating_add(second.fuel);
    lines.append(second.lines);
    let result = said(second.result).and_then(|second| match format!("{first:?}") == format!("{second:?}") {
        true => Ok(first),
        false => Err(bad("its description changes from call to call".into())),
    });
    Described { result, fuel: used, lines }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("cache", &self.cache).finish_non_exhaustive()
    }
}

fn bad(detail: String) -> Failure {
    Failure::new(Cause::BadDescription, detail)
}

/// What a module says of itself.
fn said<T>(result: Result<Landed<T>, Failure>) -> Result<T, Failure> {
    result.map(|landed| landed.output)
}

/// Code that was compiled a moment ago is refused for one reason: what the component instantiates, which parsing does
/// not tell, does not fit into a slot of the pool.
fn unkept(error: CacheError) -> Failure {
    match &error {
        CacheError::Refused { source, .. } => unfit(source),
        _ => Failure::new(Cause::Host, error.to_string()),
    }
}

/// What was just compiled cannot be loaded.
fn unfit(error: &wasmtime::Error) -> Failure {
    match format!("{error:#}") {
        words if words.contains("exceeds") => {
            Failure::new(Cause::TooLarge, format!("it is more than an instance may be: {words}"))
        }
        words => Failure::new(Cause::Host, format!("what the compiler wrote is not for this engine: {words}")),
    }
}
