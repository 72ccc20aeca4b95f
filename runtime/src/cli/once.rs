//! `wasmeter once`: one cycle to the terminal.

use std::collections::BTreeSet;

use super::setup::{self, Threads, Where};
use super::{Exit, logging, print};
use crate::agent::Agent;
use crate::agent::report::Report;
use crate::config::Glob;
use crate::config::daemon::LogFormat;
use crate::modules::registry::Registry;
use crate::pipeline::Slot;
use crate::publish::columns::{Columns, Side};
use crate::publish::encode::{self, Encoder};
use crate::publish::prometheus;
use crate::publish::table::Table;

const EXAMPLES: &str = "\
Examples:
  wasmeter once                                        a line for each guest
  wasmeter once --meters 'disk.device.*'               a line for each sample
  wasmeter once --format json | jq .counter_name       as an output would write them
  wasmeter once --format prometheus --hypervisor 'sim://?domains=3'";

/// Measure once and print what was measured.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    at: Where,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Only meters whose names match, with * ? and [].
    #[arg(long, value_name = "GLOB")]
    meters: Option<Glob>,
}

/// How samples are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people: a line for each guest, or for each sample if meters are chosen.
    Table,
    /// JSON lines, as a file output writes them.
    Json,
    /// Prometheus' text format.
    Prometheus,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        logging::start(&LogFormat::Text);
        let config = self.at.load()?;
        let intervals: Vec<u64> = config.polling.sources.iter().map(|source| source.interval.as_secs()).collect();
        let threads = Threads::start()?;
        let mut agent = threads.time.block_on(setup::agent(config, &threads, Registry::none("this measures once")))?;
        let mut report = threads.time.block_on(agent.cycle(&intervals)).map_err(|error| {
            print::error(error);
            Exit::Unreachable
        })?;
        if report.nobodys > 0 {
            print::note(format_args!(
                "Guests that are not metered: {}. Nova did not create them, and the configuration does not say whose \
                 they are (`guests.without_nova`).",
                report.nobodys
            ));
        }
        if self.format != Format::Table {
            // The table says so itself.
            report
                .missing
                .iter()
                .for_each(|why| print::note(format_args!("Statistics of all guests are missing: {why}.")));
            if !report.stuck.is_empty() {
                let stuck = report.stuck.len();
                print::note(format_args!("Guests that gave only what needs no process of theirs: {stuck}."));
            }
        }
        if let Some(glob) = &self.meters {
            let measured: BTreeSet<String> = report.slot.samples.iter().map(|s| s.meter.name.clone()).collect();
            report.slot.samples.retain(|samples| glob.matches(&samples.meter.name));
            if report.slot.samples.is_empty() {
                let all: Vec<String> = measured.into_iter().collect();
                print::note(format_args!("No meter that was measured matches. There are: {}", all.join(" ")));
            }
        }
        let text = self.text(&report, &agent);
        print::text(&text)?;
        threads.guests.shutdown_background();
        let failed = report.modules.iter().any(|module| !module.failures.is_empty());
        if failed { Err(Exit::Module) } else { Ok(()) }
    }

    fn text(&self, report: &Report, agent: &Agent) -> String {
        match self.format {
            Format::Table if self.meters.is_some() => samples(&report.slot),
            Format::Table => Table::default().draw(report, &format!("wasmeter on {}", agent.config().host)),
            Format::Json => json(&report.slot),
            Format::Prometheus => prometheus::write(&report.slot),
        }
    }
}

/// Samples as JSON lines.
fn json(slot: &Slot) -> String {
    let mut out = String::new();
    let mut encoder = Encoder::new(slot);
    for samples in &slot.samples {
        let written = encoder.write(samples, &mut out, |out| {
            out.push('\n');
            Ok::<(), std::convert::Infallible>(())
        });
        match written {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
    out
}

/// A line for each sample.
pub fn samples(slot: &Slot) -> String {
    let mut table = Columns::new([
        ("METER", Side::Left),
        ("GUEST", Side::Left),
        ("RESOURCE", Side::Left),
        ("VOLUME", Side::Right),
        ("UNIT", Side::Left),
        ("TYPE", Side::Left),
    ]);
    for samples in &slot.samples {
        for (row, number) in samples.column.resources.iter().enumerate() {
            let Some(resource) = slot.resources.get(*number) else { continue };
            let (label, mut volume) = (&resource.label, String::new());
            encode::volume(&mut volume, &samples.column, row);
            table.row([
                samples.meter.name.clone(),
                label.about.display_name.clone(),
                label.id.clone(),
                volume,
                samples.meter.unit.clone(),
                samples.meter.kind.to_string(),
            ]);
        }
    }
    table.render()
}
