//! `wasmeter module logs`.

use std::io::ErrorKind;
use std::mem::replace;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::named::Named;
use crate::cli::ask::{Line as ToDaemon, Unanswered};
use crate::cli::{Exit, print};
use crate::control::deployments::{Line, Log};
use crate::json;

const EXAMPLES: &str = "\
Examples:
  wasmeter module logs acme/pressure
  wasmeter module logs acme/pressure --lines 20 --follow

The daemon keeps the last lines of each deployment, as long as it runs.
Exit code 69: there is no daemon that answers.";

/// Show what a deployment logged, and what was said about it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// Go on with what comes, until Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// Only so many of the last lines that are there.
    #[arg(long, value_name = "N")]
    lines: Option<usize>,
    /// For programs: an object; with --follow one for each answer, on a line of its own.
    #[arg(long)]
    json: bool,
}

/// Seconds for which the daemon waits for a line, less than it is waited for its answer.
const WAIT: u64 = 20;
/// After which it is asked again where too many others wait for lines.
const PAUSE: Duration = Duration::from_secs(2);
/// Of the longest level.
const LEVEL: usize = 5;

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        let line = self.named.daemon.line()?;
        let mut log = self.ask(&line, 0, 0)?.map_err(Unanswered::say)?;
        if let Some(most) = self.lines {
            log.lines.drain(..log.lines.len().saturating_sub(most));
            log.lost = 0;
        }
        let mut is_read = self.print(&log, true)?;
        if !self.follow {
            return Ok(());
        }
        let mut was_busy = false;
        while is_read {
            log = match self.ask(&line, log.next, WAIT)? {
                Ok(log) => log,
                Err(Unanswered::Nobody(_) | Unanswered::BrokenOff(_)) => {
                    print::note("The daemon ended.");
                    return Ok(());
                }
                // Whoever waits has no place between two questions, so each finds one now and then.
                Err(Unanswered::Busy(why)) => {
                    if !replace(&mut was_busy, true) {
                        print::note(format_args!("{why} This goes on asking."));
                    }
                    sleep(PAUSE);
                    continue;
                }
                Err(refused) => return Err(refused.say()),
            };
            if !log.lines.is_empty() || log.lost > 0 {
                is_read = self.print(&log, false)?;
            }
        }
        Ok(())
    }

    fn ask(&self, line: &ToDaemon, after: u64, wait: u64) -> Result<Result<Log, Unanswered>, Exit> {
        let path = self.named.path(&format!("/log?after={after}&wait={wait}"))?;
        Ok(line.get(&path))
    }

    /// Returns whether anybody still reads.
    fn print(&self, log: &Log, is_first: bool) -> Result<bool, Exit> {
        let text = match self.json {
            true if self.follow => format!("{}\n", json::without_odd(&of_json(log).to_string())),
            true => print::json_text(&of_json(log)),
            false => print::plain(&text(log, is_first)),
        };
        match print::try_text(&text) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => {
                print::error(format_args!("cannot print: {error}"));
                Err(Exit::Failed)
            }
        }
    }
}

fn of_json(log: &Log) -> Value {
    serde_json::to_value(log).unwrap_or_default()
}

fn text(log: &Log, is_first: bool) -> String {
    let mut out = String::new();
    if log.lost > 0 {
        let which = if is_first { "earlier lines are" } else { "lines came too fast, and are" };
        out += &format!("... {} {which} not kept\n", log.lost);
    }
    out.extend(log.lines.iter().map(line));
    out
}

/// A line with when, how grave, and of which version. What a module breaks into lines stays apart from others.
pub fn line(line: &Line) -> String {
    let at = line.at.map_or_else(String::new, |at| format!("{at}  "));
    let version = line.version.map_or_else(String::new, |version| format!("version {version}  "));
    let mut texts = line.text.lines();
    let first = print::line(texts.next().unwrap_or_default());
    let mut out = format!("{at}{:<LEVEL$}  {version}{first}\n", print::line(&line.level));
    for text in texts {
        out += &print::indented(text, 4);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::time::Time;

    #[test]
    fn lines_are_told_apart() {
        let of = |level: &str, text: &str| Line {
            at: Some(Time(1_767_323_045_000_000_000)),
            version: Some(2),
            level: level.into(),
            text: text.into(),
        };
        let lines = vec![
            of("info", "fine"),
            of("error", "a\u{1b}[2J\n2026-01-02T03:04:05.000Z  info   forged"),
            of("warn", ""),
        ];
        let said = text(&Log { next: 9, lost: 3, lines: lines.clone() }, true);
        let expected = "... 3 earlier lines are not kept\n\
                        2026-01-02T03:04:05.000Z  info   version 2  fine\n\
                        2026-01-02T03:04:05.000Z  error  version 2  a\u{fffd}[2J\n    \
                        2026-01-02T03:04:05.000Z  info   forged\n\
                        2026-01-02T03:04:05.000Z  warn   version 2  \n";
        assert_eq!(said, expected);
        assert!(text(&Log { next: 9, lost: 3, lines }, false).starts_with("... 3 lines came too fast"));
    }
}
