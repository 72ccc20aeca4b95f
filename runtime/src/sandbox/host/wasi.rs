//! The part of WASI that programs built on a standard library cannot do without, leading nowhere.

use std::fmt;
use std::time::Duration;

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host as _;
use wasmtime_wasi::p2::bindings::{cli, clocks, io};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::output::Tail;
use super::{Context, random};
use crate::clock::Moment;
use crate::sandbox::limits::HANDLES;

/// Standard streams and handles of one instance.
pub struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    /// Whether its clocks stand.
    stands: bool,
    /// What was written to standard output.
    pub stdout: Tail,
    /// What was written to standard error.
    pub stderr: Tail,
}

/// A clock that stands at the time of a slot.
struct Standing(Moment);

/// Only the handles, which is all that `wasi:io` needs.
struct Handles;

impl HasData for Handles {
    type Data<'a> = &'a mut ResourceTable;
}

// === impl Wasi ===

impl Wasi {
    /// For a call whose clocks stand at a moment, or, if it is none, show the time as it is.
    pub fn new(at: Option<Moment>) -> Self {
        let (stdout, stderr) = (Tail::default(), Tail::default());
        let mut builder = WasiCtx::builder();
        builder.stdout(stdout.clone()).stderr(stderr.clone());
        if let Some(at) = at {
            builder.wall_clock(Standing(at)).monotonic_clock(Standing(at));
        }
        let context = builder.build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self { context, table, stands: at.is_some(), stdout, stderr }
    }
}

impl fmt::Debug for Wasi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasi").field("stdout", &self.stdout).field("stderr", &self.stderr).finish_non_exhaustive()
    }
}

// === impl Standing ===

impl HostWallClock for Standing {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.wall).unwrap_or_default())
    }
}

impl HostMonotonicClock for Standing {
    fn resolution(&self) -> u64 {
        1_000_000_000
    }

    fn now(&self) -> u64 {
        self.0.monotonic
    }
}

impl WasiView for Context {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.context, table: &mut self.wasi.table }
    }
}

/// The clock that is never set. Who sleeps by one that stands, has slept at once.
fn link_monotonic_clock(linker: &mut Linker<Context>) -> wasmtime::Result<()> {
    let mut clock = linker.instance("wasi:clocks/monotonic-clock@0.2.0")?;
    clock.func_wrap("now", |mut store, (): ()| Ok((store.data_mut().clocks().now()?,)))?;
    clock.func_wrap("resolution", |mut store, (): ()| Ok((store.data_mut().clocks().resolution()?,)))?;
    clock.func_wrap("subscribe-instant", |mut store, (when,): (u64,)| {
        let context = store.data_mut();
        let when = if context.wasi.stands { 0 } else { when };
        Ok((context.clocks().subscribe_instant(when)?,))
    })?;
    clock.func_wrap("subscribe-duration", |mut store, (duration,): (u64,)| {
        let context = store.data_mut();
        let duration = if context.wasi.stands { 0 } else { duration };
        Ok((context.clocks().subscribe_duration(duration)?,))
    })
}

/// Links interface by interface, so that nothing comes along unseen.
pub fn link(linker: &mut Linker<Context>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<Context, Handles>(linker, |context| context.ctx().table)?;
    io::poll::add_to_linker::<Context, Handles>(linker, |context| context.ctx().table)?;
    io::streams::add_to_linker::<Context, Handles>(linker, |context| context.ctx().table)?;
    cli::exit::add_to_linker::<Context, WasiCli>(linker, Context::cli)?;
    cli::environment::add_to_linker::<Context, WasiCli>(linker, Context::cli)?;
    cli::stdin::add_to_linker::<Context, WasiCli>(linker, Context::cli)?;
    cli::stdout::add_to_linker::<Context, WasiCli>(linker, Context::cli)?;
    cli::stderr::add_to_linker::<Context, WasiCli>(linker, Context::cli)?;
    cli::terminal_input::add_to_linker::<Context, WasiCli>(linker, Context::cli)?;
    cli::terminal_output::add_to_linker::<Context, WasiCli>(linker, Context::cli)?;
    cli::terminal_stdin::add_to_linker::<Context, WasiCli>(linker, Context::cli)?;
    cli::terminal_stdout::add_to_linker::<Context, WasiCli>(linker, Context::cli)?;
    cli::terminal_stderr::add_to_linker::<Context, WasiCli>(linker, Context::cli)?;
    clocks::wall_clock::add_to_linker::<Context, WasiClocks>(linker, Context::clocks)?;
    link_monotonic_clock(linker)?;
    random::link(linker)
}
