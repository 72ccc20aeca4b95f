//! `wasmeter module inspect`.

use std::sync::Arc;

use crate::agent::OPERATOR;
use crate::agent::report::ModuleReport;
use crate::cli::module::subject::Subject;
use crate::cli::module::trial::Inputs;
use crate::cli::module::{Rules, Which, amount, is_pollster, prepare};
use crate::cli::setup::{Host, Threads};
use crate::cli::{Exit, logging, print};
use crate::clock::SystemClock;
use crate::config::daemon::LogFormat;
use crate::contract::{Description, Meter, VERSION};
use crate::modules::refusal::{Reader, refusal};
use crate::publish::columns::{self, Columns, Side};
use crate::sandbox::{Module, Sandbox};

const EXAMPLES: &str = "\
Examples:
  wasmeter module inspect my-module.wasm
  wasmeter module inspect disk --json | jq .reads
  wasmeter module inspect delta --meters cpu --config '{target: {name: cpu.delta}}'
  wasmeter module inspect exporter.wasm --grant name=acme. --grant http=https://metrics.example/path

With --grant and --secret, as of `wasmeter module deploy`, it is held against them, and refused if
they do not suffice for what it imports and gives. Then real servers are asked.
Fuel is measured with calls on the host, which is the simulated one if no other is named.
What a transformer gives depends on what it is handed: with --meters it is asked, and its fuel
is measured in the second of two slots.";

/// Say what a module is, gives, reads and needs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    host: Host,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// What is known of a module after it was called.
#[derive(Debug, Default)]
pub struct Tried {
    /// Meters that a transformer was handed.
    inputs: Vec<Meter>,
    /// Meters that it gives, and patterns of those that it may declare.
    meters: Vec<Meter>,
    declares: Vec<String>,
    measured: Option<Measured>,
    /// Why a call failed, or there was none.
    failed: Option<String>,
}

/// Fuel of a call.
#[derive(Debug)]
struct Measured {
    fuel: u64,
    /// Resources of a pollster, input samples of a transformer.
    handed: u32,
    memory: usize,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        logging::start(&LogFormat::Text);
        let (sandbox, config, threads) = prepare(&self.rules.on(&self.host))?;
        let candidate = self.which.load(&sandbox, &config, &threads)?;
        let meters = self.inputs.filter()?;
        let (sandbox, module) = (Arc::new(sandbox), &candidate.module);
        let tried = match (is_pollster(module), meters) {
            (false, None) => Tried::default(),
            (pollster, meters) => {
                let clock = Arc::new(SystemClock);
                let subject = Subject::open(&sandbox, &candidate, meters, &config, clock, &threads);
                let mut subject = subject.map_err(|unfit| self.which.unfit(unfit))?;
                if pollster {
                    poll(module, &mut subject, &threads)?
                } else {
                    convert(&sandbox, module, &mut subject, &threads)?
                }
            }
        };
        if self.json {
            print::json(&json(module, &tried))?;
        } else {
            print::text(&text(module, &tried))?;
        }
        threads.guests.shutdown_background();
        let Some(failed) = &tried.failed else { return Ok(()) };
        print::error(failed);
        Err(Exit::Module)
    }
}

/// What a pollster is in one call.
fn poll(module: &Module, subject: &mut Subject, threads: &Threads) -> Result<Tried, Exit> {
    let report = subject.next(threads)?.report;
    let failed = report.as_ref().and_then(|report| {
        let (failure, count) = report.failures.first()?;
        let all = amount::count(report.resources.into(), "resource");
        Some(format!("{} failed for {count} of {all}: {failure}", module.name))
    });
    let measured = report.filter(|_| failed.is_none()).map(Measured::of);
    Ok(Tried { measured, failed, ..Tried::described(module) })
}

/// What a transformer is for some meters. In the first slot it may only remember; what counts is the second.
fn convert(sandbox: &Sandbox, module: &Module, subject: &mut Subject, threads: &Threads) -> Result<Tried, Exit> {
    let first = subject.next(threads)?;
    let second = subject.next(threads)?;
    let mut tried = Tried { inputs: second.inputs, ..Tried::default() };
    match threads
        .time
        .block_on(sandbox.outputs(module, &tried.inputs, module.limits.describing(tried.inputs.len())))
        .result
    {
        Ok(gives) => {
            tried.declares = gives.declares.iter().map(|pattern| pattern.text().to_owned()).collect();
            tried.meters = gives.meters;
        }
        Err(failure) => {
            let (why, remedy) = refusal(&failure, Reader::Author);
            tried.failed = Some(format!("{} cannot say what it makes of this: {why}. {remedy}", module.name));
        }
    }
    let failed = first.failures.into_iter().chain(second.failures).next();
    tried.failed = tried.failed.or(failed);
    tried.measured = second.report.filter(|_| tried.failed.is_none()).map(Measured::of);
    Ok(tried)
}

// === impl Tried ===

impl Tried {
    /// What a module says of itself, without a call.
    pub fn described(module: &Module) -> Self {
        let (meters, declares) = (module.description.meters.clone(), module.description.declares.clone());
        Self { meters, declares, ..Self::default() }
    }

    /// A module that says nothing of itself, and why.
    pub fn untried(why: String) -> Self {
        Self { failed: Some(why), ..Self::default() }
    }
}

// === impl Measured ===

impl Measured {
    fn of(report: ModuleReport) -> Self {
        Self { fuel: report.fuel, handed: report.resources, memory: report.memory }
    }

    fn each(&self) -> u64 {
        self.fuel / u64::from(self.handed.max(1))
    }

    fn json(&self, module: &Module) -> serde_json::Value {
        let Self { fuel, handed, memory } = self;
        if is_pollster(module) {
            serde_json::json!({
                "fuel": fuel, "resources": handed, "fuel_per_resource": self.each(), "memory": memory,
            })
        } else {
            serde_json::json!({
                "fuel": fuel, "input_samples": handed, "fuel_per_input_sample": self.each(), "memory": memory,
            })
        }
    }
}

/// All of it, for programs.
pub fn json(module: &Module, tried: &Tried) -> serde_json::Value {
    let described: &Description = &module.description;
    let meter =
        |meter: &Meter| serde_json::json!({ "name": meter.name, "kind": meter.kind.word(), "unit": meter.unit });
    let reads =
        described.reads.iter().map(|wanted| serde_json::json!({ "key": wanted.key, "instead_of": wanted.instead_of }));
    serde_json::json!({
        "world": module.code.manifest.world,
        "contract": module.code.manifest.contract,
        "digest": module.code.digest,
        "size": module.code.size,
        "imports": module.code.manifest.imports,
        "needs_grant": module.code.manifest.needs_grant(),
        "granted": is_granted(module),
        "inputs": tried.inputs.iter().map(meter).collect::<Vec<_>>(),
        "meters": tried.meters.iter().map(meter).collect::<Vec<_>>(),
        "declares": tried.declares,
        "reads": reads.collect::<Vec<_>>(),
        "attributes": described.attributes,
        "discovery": described.discovery,
        "measured": tried.measured.as_ref().map(|measured| measured.json(module)),
        "failed": tried.failed.as_deref().map(print::plain),
    })
}

/// All of it, for people.
pub fn text(module: &Module, tried: &Tried) -> String {
    let (code, described) = (&module.code, &module.description);
    let (major, minor, patch) = VERSION;
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let size = columns::bytes(code.size as f64);
    let mut out = format!(
        "{} is a {} for wasmeter:plugin@{} (this host serves {major}.{minor}.{patch})\n\
         digest  sha256:{}\nsize    {size}\n",
        module.name, code.manifest.world, code.manifest.contract, code.digest,
    );
    if let Some(measured) = &tried.measured {
        #[allow(clippy::cast_precision_loss, reason = "for people")]
        let memory = columns::bytes(measured.memory as f64);
        let what = if is_pollster(module) { "resource" } else { "input sample" };
        let Measured { fuel, handed, .. } = measured;
        let each = measured.each();
        out.push_str(&format!("fuel    {each} for each {what} ({fuel} for {handed})\nmemory  {memory}\n"));
    }
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            out.push_str(&format!("\n{title}\n{}", indent(&body)));
        }
    };
    section("is handed", meters(&tried.inputs));
    section(
        "gives",
        match !is_pollster(module) && tried.inputs.is_empty() {
            true => "what depends on what it is handed, as wasmeter module inspect --meters says\n".to_owned(),
            false => meters(&tried.meters),
        },
    );
    section("may declare", lines(&tried.declares));
    let reads = described.reads.iter().map(|wanted| match wanted.instead_of.as_slice() {
        [] => wanted.key.clone(),
        others => format!("{} (only where {} is missing)", wanted.key, others.join(" or ")),
    });
    section("reads", lines(&reads.collect::<Vec<_>>()));
    section("attributes", lines(&described.attributes));
    section("is for", lines(&described.discovery));
    section("imports", lines(&code.manifest.imports));
    let needs = code.manifest.needs_grant().map(|import| match is_granted(module) {
        true => format!("{import}, and is granted what it needs\n"),
        false => format!("{import}, as in --grant http='GET https://HOST:PORT/PATH'\n"),
    });
    section("needs a grant for", needs.unwrap_or_default());
    out
}

/// Whether it is a deployment's here, and what it was granted suffices.
fn is_granted(module: &Module) -> bool {
    *module.tenant != *OPERATOR
}

fn meters(all: &[Meter]) -> String {
    let mut table = Columns::new([("METER", Side::Left), ("TYPE", Side::Left), ("UNIT", Side::Left)]);
    for meter in all {
        table.row([meter.name.clone(), meter.kind.to_string(), meter.unit.clone()]);
    }
    if table.is_empty() { String::new() } else { table.render() }
}

fn lines(all: &[String]) -> String {
    all.iter().map(|line| format!("{line}\n")).collect()
}

fn indent(body: &str) -> String {
    body.lines().map(|line| format!("  {line}\n")).collect()
}
