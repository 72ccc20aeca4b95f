//! `wasmeter spool export`.

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::{known, look, samples, unusable};
use crate::cli::ask::{Daemon, Unanswered};
use crate::cli::{Exit, print};
use crate::clock::{Clock, SystemClock};
use crate::control::status::Status;
use crate::control::time::Time;
use crate::pipeline::Slot;
use crate::publish::encode::Encoder;
use crate::spool::log::Sequence;
use crate::spool::record::{self, Content};

const EXAMPLES: &str = "\
Examples:
  wasmeter spool export waiting.jsonl -c /etc/wasmeter/wasmeter.yaml
  wasmeter spool export - --publisher notifier --since 2h | jq -r .counter_name | sort | uniq -c

The lines are those of the file output. Records stay until the last of their segment is delivered everywhere: without
--publisher, what was delivered already comes, too.";

/// Write what waits as JSON lines, and leave it where it is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file, which must not be there yet; - is standard output.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    daemon: Daemon,
    /// Only what this publisher has not delivered.
    #[arg(long, value_name = "NAME")]
    publisher: Option<String>,
    /// Only what was kept since this time: 2026-01-02T03:04:05Z, or how long ago, as in 90m.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Exit> {
        let since = self.since.as_deref().map(|text| Time::read(text, SystemClock.now().wall)).transpose();
        let since = since.map_err(|error| {
            print::error(error);
            Exit::Usage
        })?;
        let config = self.daemon.load()?;
        let from = self.position()?;
        let sight = look(&config)?;
        let mut from = from.unwrap_or(Sequence(0));
        if let Some(publisher) = &self.publisher {
            known(publisher, sight.view.books.iter().map(|books| &*books.publisher))?;
            let noted = sight.view.books.iter().find(|books| books.publisher == *publisher);
            from = from.max(Sequence(noted.map_or(0, |books| books.position)));
        }
        let mut out: Box<dyn Write> = if self.file.as_os_str() == "-" {
            Box::new(io::stdout().lock())
        } else {
            // Samples are not for everybody.
            let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.file);
            Box::new(BufWriter::new(created.map_err(|error| self.unwritten(&error))?))
        };
        let mut written = 0;
        for found in sight.records.records(from) {
            let found = found.map_err(|source| {
                let source = crate::spool::log::Error::Io { step: crate::spool::log::Step::Read, source };
                unusable(&crate::spool::Unusable::Log { path: config.spool.path.clone(), source })
            })?;
            if since.is_some_and(|since| found.time < since.0) {
                continue;
            }
            let lines = match record::read(&found.payload) {
                Ok(Content::Slot(slot)) => lines(&slot),
                Ok(Content::Replayed { only, samples }) => match (only, &self.publisher) {
                    (Some(only), Some(publisher)) if only != *publisher => continue,
                    _ => samples.iter().map(|sample| format!("{sample}\n")).collect(),
                },
                Err(error) => {
                    print::error(format_args!("record {} is left out: {error}", found.sequence));
                    continue;
                }
            };
            written += lines.bytes().filter(|byte| *byte == b'\n').count() as u64;
            match out.write_all(lines.as_bytes()) {
                // Whoever reads has seen enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                result => result.map_err(|error| self.unwritten(&error))?,
            }
        }
        out.flush().map_err(|error| self.unwritten(&error))?;
        if self.file.as_os_str() == "-" {
            return Ok(());
        }
        print::text(&format!("{} written to {}\n", samples(written), self.file.display()))
    }

    /// Where the publisher is, if there is a daemon that knows it.
    fn position(&self) -> Result<Option<Sequence>, Exit> {
        let Some(publisher) = &self.publisher else { return Ok(None) };
        match self.daemon.line()?.get::<Status>("/status") {
            Ok(status) => {
                known(publisher, status.publishers.iter().map(|known| &*known.name))?;
                let position = status.publishers.iter().find(|known| known.name == *publisher);
                Ok(position.map(|known| Sequence(known.position)))
            }
            Err(Unanswered::Nobody(_)) => Ok(None),
            Err(refused) => Err(refused.say()),
        }
    }

    fn unwritten(&self, error: &io::Error) -> Exit {
        let remedy = match error.kind() {
            ErrorKind::AlreadyExists => "Remove it, or name another",
            ErrorKind::NotFound => "Make its folder first, or name a file in one that is there",
            ErrorKind::PermissionDenied => "Name a file where this user may write",
            _ => "Name a file elsewhere",
        };
        print::error(format_args!("{} cannot be written: {error}. {remedy}", self.file.display()));
        Exit::Failed
    }
}

fn lines(slot: &Slot) -> String {
    let (mut encoder, mut lines) = (Encoder::new(slot), String::new());
    for samples in &slot.samples {
        let Ok(()) = encoder.write::<Infallible>(samples, &mut lines, |lines| {
            lines.push('\n');
            Ok(())
        });
    }
    lines
}
