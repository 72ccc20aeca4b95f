//! A module that was built for this version of the contract runs on a host that serves the next of its line, and not
//! on one of another line.

use wasmeter::modules;
use wasmtime::component::{Component, Instance, Linker, ResourceTable, Val};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::support::{LIMITS, module, poll, slots};

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Instantiates the built-in module `power` on a host that serves a version with one function more.
fn on(version: &str) -> wasmtime::Result<(Store<Host>, Instance)> {
    let engine = Engine::new(&Config::new())?;
    let wasm = modules::built_in().find(|module| module.name == "power").unwrap().wasm;
    // Nobody trusts this code but this test.
    let component = Component::from_binary(&engine, wasm)?;
    let mut linker: Linker<Host> = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    linker.instance(&format!("wasmeter:plugin/types@{version}"))?;
    let mut stats = linker.instance(&format!("wasmeter:plugin/stats@{version}"))?;
    // Nothing can be read: `unavailable`, the second case of `read-error`.
    stats.func_new("read", |_, _, _, results| {
        results[0] = Val::Result(Err(Some(Box::new(Val::Enum("unavailable".into())))));
        Ok(())
    })?;
    stats.func_new("later", |_, _, _, _| Ok(()))?;
    let host = Host { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
    let mut store = Store::new(&engine, host);
    let instance = linker.instantiate(&mut store, &component)?;
    Ok((store, instance))
}

#[test]
fn a_module_runs_on_a_later_host_of_its_line() {
    let (mut store, instance) = on("0.1.2").unwrap();
    let poller = instance.get_export_index(&mut store, None, "wasmeter:plugin/poller@0.1.1").unwrap();
    let describe = instance.get_export_index(&mut store, Some(&poller), "describe").unwrap();
    let describe = instance.get_func(&mut store, describe).unwrap();
    let mut results = [Val::Bool(false)];
    describe.call(&mut store, &[Val::String(String::new())], &mut results).unwrap();
    assert!(format!("{results:?}").contains("power.state"), "{results:?}");
}

/// A module that was built for a version that is no longer this one, and released with it.
#[tokio::test]
async fn a_module_of_an_earlier_version_runs() {
    let released = std::fs::read("released/power-0.1.0.wasm").unwrap();
    let module = module(&released, "", LIMITS).await.unwrap();
    assert_eq!(module.code.manifest.contract, "0.1.0");
    let series = poll(&module, &slots::Host::of(3).slot()).await.result.unwrap().output;
    assert_eq!(series.iter().map(|series| series.column.len()).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_module_does_not_run_on_a_host_of_another_line() {
    let error = on("0.2.0").err().unwrap();
    assert!(format!("{error:#}").contains("wasmeter:plugin/"), "{error:#}");
}
