//! `wasmeter spool replay`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use super::{close, open, samples};
use crate::cli::ask::{Daemon, Line, Unanswered};
use crate::cli::{Exit, print};
use crate::clock::{Clock, SystemClock};
use crate::control::orders::{self, MOST_BYTES, MOST_SAMPLES, Refused, Replay, Replayed};
use crate::spool::Spool;

const EXAMPLES: &str = "\
Examples:
  wasmeter spool replay samples.jsonl.1 -c /etc/wasmeter/wasmeter.yaml --to notifier
  zcat old.jsonl.gz | wasmeter spool replay -

Each line is a sample as JSON, as the file output and `spool export` write it. Samples keep their ids, so that who has
them already can tell. Signatures are left out and made anew. Samples wait in the spool like all others, as long as
they leave a quarter of it to what is measured, and are the first to go when that needs more.";

/// Have samples delivered again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file with the samples; - is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    daemon: Daemon,
    /// The only publisher to which they go; otherwise all.
    #[arg(long, value_name = "PUBLISHER")]
    to: Option<String>,
}

/// Who takes samples.
enum Taker {
    /// A daemon.
    Daemon(Line),
    /// Nobody but the disk.
    Disk(Spool),
}

/// A line that is no sample.
struct Odd {
    line: u64,
    why: String,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Exit> {
        let is_file = self.file.as_os_str() != "-";
        if is_file {
            // Before anything is handed in of a file that has to be mended.
            self.each(&mut |_, _| Ok(()))?;
        }
        let line = self.daemon.line()?;
        let empty = Replay { to: self.to.clone(), samples: Vec::new() };
        let taker = match line.post::<Replayed>("/spool/replay", &empty) {
            Ok(_) => Taker::Daemon(line),
            Err(Unanswered::Nobody(_)) => Taker::Disk(open(&self.daemon.load()?, &line)?),
            Err(refused) => return Err(refused.say()),
        };
        let mut handed = 0;
        let result = self.each(&mut |samples, at| {
            let number = samples.len() as u64;
            let order = Replay { to: self.to.clone(), samples };
            taker.take(&order).inspect_err(|_| {
                if handed > 0 {
                    let rest = format!("To go on, hand in what begins with line {at}");
                    print::error(format_args!("{} before line {at} were handed in. {rest}", super::samples(handed)));
                }
            })?;
            handed += number;
            Ok(())
        });
        if let Taker::Disk(spool) = &taker {
            close(spool)?;
        }
        result?;
        let to = self.to.as_deref().map_or_else(String::new, |to| format!(" for {to}"));
        let when = if matches!(taker, Taker::Disk(_)) { ", to be delivered once a daemon runs" } else { "" };
        print::text(&format!("{} handed in{to}{when}\n", samples(handed)))
    }

    /// Calls for as many samples as come at once, with the number of the first one's line.
    fn each(&self, call: &mut dyn FnMut(Vec<String>, u64) -> Result<(), Exit>) -> Result<(), Exit> {
        let unread = |error: &io::Error| {
            print::error(format_args!("{} cannot be read: {error}", self.file.display()));
            Exit::Failed
        };
        let mut lines: Box<dyn BufRead> = if self.file.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(&self.file).map_err(|error| unread(&error))?))
        };
        let (mut batch, mut bytes, mut first, mut number) = (Vec::new(), 0, 1, 0);
        loop {
            number += 1;
            let mut line = Vec::new();
            let read = lines.by_ref().take(MOST_BYTES as u64 + 1).read_until(b'\n', &mut line);
            if read.map_err(|error| unread(&error))? == 0 {
                break;
            }
            let Some(sample) = sample(&line, number).map_err(|odd| self.refuse(&odd))? else { continue };
            if batch.len() >= MOST_SAMPLES || bytes + sample.len() > MOST_BYTES {
                call(std::mem::take(&mut batch), first)?;
                (bytes, first) = (0, number);
            }
            bytes += sample.len();
            batch.push(sample);
        }
        if batch.is_empty() { Ok(()) } else { call(batch, first) }
    }

    fn refuse(&self, Odd { line, why }: &Odd) -> Exit {
        let remedy = "Every line is a sample as JSON: mend it, or remove it";
        print::error(format_args!("{}:{line}: {why}. {remedy}", self.file.display()));
        Exit::Usage
    }
}

/// The sample in a line; none in an empty one.
fn sample(line: &[u8], number: u64) -> Result<Option<String>, Odd> {
    let odd = |why: String| Odd { line: number, why };
    if line.len() > MOST_BYTES {
        return Err(odd(format!("it is longer than {MOST_BYTES} bytes")));
    }
    let text = std::str::from_utf8(line).map_err(|_| odd("it is not UTF-8 text".to_owned()))?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    orders::sample(text).map(Some).map_err(odd)
}

// === impl Taker ===

impl Taker {
    fn take(&self, order: &Replay) -> Result<(), Exit> {
        match self {
            Self::Daemon(line) => line.post::<Replayed>("/spool/replay", order).map(|_| ()).map_err(Unanswered::say),
            Self::Disk(spool) => match orders::replay(spool, order, SystemClock.now().wall) {
                Ok(_) => Ok(()),
                Err(refused) => {
                    print::error(&refused);
                    Err(if matches!(refused, Refused::Wrong(_)) { Exit::Usage } else { Exit::Failed })
                }
            },
        }
    }
}
