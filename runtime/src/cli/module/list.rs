//! `wasmeter module list`.

use crate::cli::module::{is_pollster, prepare};
use crate::cli::setup::Where;
use crate::cli::{Exit, logging, print};
use crate::config::daemon::LogFormat;
use crate::modules;
use crate::publish::columns::{self, Columns, Side};
use crate::sandbox::{Limits, Module};

const EXAMPLES: &str = "\
Examples:
  wasmeter module list
  wasmeter module list --json | jq -r '.[].meters[]'";

/// List the modules that are part of this program.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    at: Where,
    /// For programs.
    #[arg(long)]
    json: bool,
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
        let mut loaded: Vec<Module> = Vec::new();
        for built_in in modules::built_in() {
            let module = threads.time.block_on(async {
                let code = sandbox.load(built_in.wasm).await?;
                sandbox.configure(built_in.name, true, code, String::new(), Limits::from(limits)).await
            });
            loaded.push(module.map_err(|failure| {
                print::error(format_args!("the built-in module {} was refused: {failure}", built_in.name));
                Exit::Module
            })?);
        }
        if self.json {
            let all: Vec<_> = loaded.iter().map(describe).collect();
            return print::json(&serde_json::Value::from(all));
        }
        let mut table = Columns::new([
            ("MODULE", Side::Left),
            ("KIND", Side::Left),
            ("RUNS", Side::Left),
            ("SIZE", Side::Right),
            ("METERS", Side::Left),
        ]);
        for module in &loaded {
            let meters: Vec<_> = module.description.meters.iter().map(|meter| meter.name.as_str()).collect();
            let runs = if modules::is_on_by_default(&module.name) { "by default" } else { "if enabled" };
            #[allow(clippy::cast_precision_loss, reason = "for people")]
            let size = columns::bytes(module.code.size as f64);
            let runs = if is_pollster(module) { runs } else { "if named" };
            let kind = module.code.manifest.world.to_string();
            table.row([module.name.to_string(), kind, runs.into(), size, meters.join(" ")]);
        }
        print::text(&table.render())
    }
}

fn describe(module: &Module) -> serde_json::Value {
    let meters: Vec<_> = module.description.meters.iter().map(|meter| meter.name.clone()).collect();
    serde_json::json!({
        "name": &*module.name,
        "kind": module.code.manifest.world,
        "runs_by_default": modules::is_on_by_default(&module.name),
        "digest": module.code.digest,
        "size": module.code.size,
        "meters": meters,
    })
}
