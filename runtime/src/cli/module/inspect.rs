//! `wasmeter module inspect`.

use std::sync::Arc;

use crate::agent::polling::{Poll, Polled};
use crate::cli::module::{Which, is_pollster, prepare, refused};
use crate::cli::setup::{self, Where};
use crate::cli::{Exit, logging, print};
use crate::config::Config;
use crate::config::daemon::LogFormat;
use crate::contract::{Description, VERSION};
use crate::publish::columns::{self, Columns, Side};
use crate::sandbox::{Module, Sandbox};

const EXAMPLES: &str = "\
Examples:
  wasmeter module inspect my-module.wasm
  wasmeter module inspect disk --json | jq .reads

Fuel for each resource is measured with a call on the simulated host.";

/// Say what a module is, gives, reads and needs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    at: Where,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// Fuel of a call on the simulated host.
#[derive(Debug, serde::Serialize)]
struct Measured {
    fuel: u64,
    resources: u32,
    fuel_per_resource: u64,
    memory: usize,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        logging::start(&LogFormat::Text);
        let (sandbox, config, threads) = prepare(&self.at)?;
        let limits = config.sandbox.limits;
        let module =
            self.which.load(&sandbox, limits, &threads).map_err(|failure| refused(&self.which.file, &failure))?;
        let (sandbox, module) = (Arc::new(sandbox), Arc::new(module));
        let measured = match is_pollster(&module) {
            true => Some(self.measure(&sandbox, &module, &config, &threads)?),
            false => None,
        };
        if self.json {
            print::json(&json(&module, measured.as_ref()))
        } else {
            print::text(&text(&module, measured.as_ref()))
        }
    }

    fn measure(
        &self,
        sandbox: &Arc<Sandbox>,
        module: &Arc<Module>,
        config: &Config,
        threads: &setup::Threads,
    ) -> Result<Measured, Exit> {
        let host = super::try_out::Host::open(config, threads)?;
        let (snapshot, view) = host.next(module, threads)?;
        let resources = view.resources();
        let poll = Poll::alone(sandbox, module, snapshot, view, config, &host.clock);
        let Polled { fuel, memory, .. } = threads.time.block_on(poll.run());
        Ok(Measured { fuel, resources, fuel_per_resource: fuel / u64::from(resources.max(1)), memory })
    }
}

fn json(module: &Module, measured: Option<&Measured>) -> serde_json::Value {
    let described: &Description = &module.description;
    let meters = described
        .meters
        .iter()
        .map(|meter| serde_json::json!({ "name": meter.name, "kind": meter.kind.word(), "unit": meter.unit }));
    let reads =
        described.reads.iter().map(|wanted| serde_json::json!({ "key": wanted.key, "instead_of": wanted.instead_of }));
    serde_json::json!({
        "world": module.code.manifest.world,
        "contract": module.code.manifest.contract,
        "digest": module.code.digest,
        "size": module.code.size,
        "imports": module.code.manifest.imports,
        "meters": meters.collect::<Vec<_>>(),
        "declares": described.declares,
        "reads": reads.collect::<Vec<_>>(),
        "attributes": described.attributes,
        "discovery": described.discovery,
        "measured": measured,
    })
}

fn text(module: &Module, measured: Option<&Measured>) -> String {
    let (code, described) = (&module.code, &module.description);
    let (major, minor, patch) = VERSION;
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let size = columns::bytes(code.size as f64);
    let mut out = format!(
        "{} is a {} for wasmeter:plugin@{} (this host serves {major}.{minor}.{patch})\n\
         digest  sha256:{}\nsize    {size}\n",
        module.name, code.manifest.world, code.manifest.contract, code.digest,
    );
    if let Some(Measured { fuel, resources, fuel_per_resource, memory }) = measured {
        #[allow(clippy::cast_precision_loss, reason = "for people")]
        let memory = columns::bytes(*memory as f64);
        out.push_str(&format!(
            "fuel    {fuel_per_resource} for each resource ({fuel} for {resources} on the simulated host)\n\
             memory  {memory}\n"
        ));
    }
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            out.push_str(&format!("\n{title}\n{}", indent(&body)));
        }
    };
    let mut meters = Columns::new([("METER", Side::Left), ("TYPE", Side::Left), ("UNIT", Side::Left)]);
    for meter in &described.meters {
        meters.row([meter.name.clone(), meter.kind.to_string(), meter.unit.clone()]);
    }
    if !meters.is_empty() {
        section("gives", meters.render());
    }
    section("may declare", lines(&described.declares));
    let reads = described.reads.iter().map(|wanted| match wanted.instead_of.as_slice() {
        [] => wanted.key.clone(),
        others => format!("{} (only where {} is missing)", wanted.key, others.join(" or ")),
    });
    section("reads", lines(&reads.collect::<Vec<_>>()));
    section("attributes", lines(&described.attributes));
    section("is for", lines(&described.discovery));
    section("imports", lines(&code.manifest.imports));
    out
}

fn lines(all: &[String]) -> String {
    all.iter().map(|line| format!("{line}\n")).collect()
}

fn indent(body: &str) -> String {
    body.lines().map(|line| format!("  {line}\n")).collect()
}
