//! The part of WASI that programs built on a standard library cannot do without, leading nowhere.

use std::fmt;

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::p2::bindings::{cli, io};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::Context;
use super::output::Tail;
use crate::sandbox::limits::HANDLES;

/// Standard streams and handles of one instance.
pub struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    /// What was written to standard output.
    pub stdout: Tail,
    /// What was written to standard error.
    pub stderr: Tail,
}

/// Only the handles, which is all that `wasi:io` needs.
struct Handles;

impl HasData for Handles {
    type Data<'a> = &'a mut ResourceTable;
}

// === impl Wasi ===

impl Default for Wasi {
    fn default() -> Self {
        let (stdout, stderr) = (Tail::default(), Tail::default());
        let context = WasiCtx::builder().stdout(stdout.clone()).stderr(stderr.clone()).build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self { context, table, stdout, stderr }
    }
}

impl fmt::Debug for Wasi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasi").field("stdout", &self.stdout).field("stderr", &self.stderr).finish_non_exhaustive()
    }
}

impl WasiView for Context {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.context, table: &mut self.wasi.table }
    }
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
    // Hash tables of a standard library need a seed. The same one for everybody makes fuel repeatable.
    linker.instance("wasi:random/insecure-seed@0.2.0")?.func_wrap("insecure-seed", |_, (): ()| Ok(((7u64, 11u64),)))?;
    Ok(())
}
