//! `wasmeter record`: what a host says, written down.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::setup::{self, Threads, Where};
use super::{Exit, logging, print};
use crate::clock::{Clock, SystemClock};
use crate::config::daemon::LogFormat;
use crate::config::duration;
use crate::hypervisor::HypervisorError;
use crate::hypervisor::reader::{Reader, Want};
use crate::hypervisor::recording::mask::Mask;
use crate::hypervisor::recording::{Recorded, write_slot};

const EXAMPLES: &str = "\
Examples:
  wasmeter record host.jsonl --slots 6 --hypervisor qemu:///system
  wasmeter module run my-module.wasm --hypervisor recording:host.jsonl

Ids, names, addresses and what owners wrote are replaced by pseudonyms, the same ones throughout the recording.";

/// Write down what a host says, with identities masked, for tests and for bug reports.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where to; must not exist.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    at: Where,
    /// How many slots.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    slots: u32,
    /// The time between two slots.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration::parse)]
    interval: Duration,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        logging::start(&LogFormat::Text);
        let config = self.at.load()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let hypervisor = setup::hypervisor(&config, &clock)?;
        let threads = Threads::start()?;
        let cannot = |error: io::Error| {
            print::error(format_args!("cannot write {}: {error}", self.file.display()));
            Exit::Failed
        };
        let mut mask = Mask::new().map_err(cannot)?;
        // What was masked may still tell much about a host; it is the recorder's to give away.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.file).map_err(cannot)?;
        let mut out = BufWriter::new(file);
        let mut reader = Reader::new(hypervisor, Arc::clone(&clock), config.watchdog(), config.reader.max_stuck);
        for slot in 1..=self.slots {
            if slot > 1 {
                threads.time.block_on(async { tokio::time::sleep(self.interval).await });
            }
            let mut recorded = threads.time.block_on(read(&mut reader)).map_err(|error| {
                print::error(error);
                Exit::Unreachable
            })?;
            mask.apply(&mut recorded);
            write_slot(&mut out, &recorded).and_then(|()| out.flush()).map_err(cannot)?;
            print::note(format_args!("slot {slot} of {}: {} guests", self.slots, recorded.guests.len()));
        }
        Ok(())
    }
}

/// Reads everything of every guest.
async fn read(reader: &mut Reader) -> Result<Recorded, HypervisorError> {
    let reading = reader.read(&Want::everything()).await?;
    let guests = reading.records.iter().map(|record| record.guest).collect();
    let definitions = reader.define(guests).await?.into_iter().filter_map(|(_, definition)| definition).collect();
    Ok(Recorded::new(reading.at, reading.records, definitions))
}
