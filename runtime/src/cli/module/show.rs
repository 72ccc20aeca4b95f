//! `wasmeter module show`.

use super::amount::{bytes, count};
use super::facts;
use super::named::Named;
use crate::cli::ask::Unanswered;
use crate::cli::{Exit, print};
use crate::clock::{Clock, SystemClock};
use crate::config::share;
use crate::control::deployments::{Failed, Row, Share, Shown, Standing, Used};
use crate::control::text::age;
use crate::control::time::Time;
use crate::digest::Digest;
use crate::modules::audit::{Entry, Outcome, Who};
use crate::publish::columns::{Columns, Side, short};

const EXAMPLES: &str = "\
Examples:
  wasmeter module show acme/pressure
  wasmeter module show acme/pressure --json | jq '.failures[-1].why'

What it used is counted since the daemon started. What is told to it under keys that sound secret
is not shown.
Exit code 69: there is no daemon that answers.";

/// Show all about a deployment: limits, use, versions, what failed last, and what was done with it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    named: Named,
    /// For programs: an object with all of it.
    #[arg(long)]
    json: bool,
}

/// Above what was done.
const ACTION: &str = "ACTION";
/// Digits of a digest that tell modules apart.
const DIGITS: usize = 12;

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        let shown: Shown = self.named.daemon.line()?.get(&self.named.path("")?).map_err(Unanswered::say)?;
        print::asked(&shown, self.json, |shown| text(shown, Time(SystemClock.now().wall)))
    }
}

fn text(shown: &Shown, now: Time) -> String {
    let Shown { row, versions, share, used, failures: failed, history: done, .. } = shown;
    let mut out = format!("{} {}\n", row.key, print::line(&standing(row)));
    let from = row.file.as_deref().map_or_else(|| "the control socket".to_owned(), print::line);
    out += &format!("from         {from}\n");
    if let Some(why) = &row.lacks {
        out += &format!("lacks        {}, so it would not run after a restart\n", print::line(why));
    }
    if row.outdated {
        out += "             which cannot be followed as it is now, so it goes on as it was: see wasmeter check\n";
    } else if row.differs {
        out += "             which says something else, that failed or was left: change it to have it followed again\n";
    }
    out += &match row.last {
        Some(last) => {
            let ago = age(now.since(last));
            let fuel = format!("{} of {} fuel", short(row.fuel), short(used.fuel_granted));
            format!("last slot    {ago} ago: {}, {fuel}\n", count(row.samples, "sample"))
        }
        None => "last slot    none yet\n".to_owned(),
    };
    if !row.failing.is_empty() {
        out += &format!("failing      {}\n", print::line(&row.failing.join(", ")));
    }
    out += &use_since_start(used);
    if let Some(Share { fuel_per_second, of_tenant }) = *share {
        let (share, all) = (percent(fuel_per_second), percent(of_tenant));
        out += &format!("share        {share} of a core, of {all} that all modules of {} have\n", row.key.tenant);
    }
    if let Some(version) = versions.iter().find(|version| version.number == row.version) {
        out += &format!("\nversion {}\n", version.number);
        let facts = facts::of(&version.with_defaults());
        let width = facts.iter().map(|(what, _)| what.chars().count()).max().unwrap_or_default();
        let mut before = "";
        for (what, value) in &facts {
            let name = if what == before { "" } else { what };
            out += &format!("  {:<width$}  {}\n", print::line(name), print::line(value));
            before = what;
        }
    }
    out += &format!("\n{}", versions_table(shown));
    out += &failures("\nfailures\n", failed);
    out += &history(done);
    out
}

/// How it is, in a sentence that begins with its name.
pub fn standing(row: &Row) -> String {
    let version = row.version;
    match &row.state {
        Standing::Running => format!("runs version {version}"),
        Standing::TryingOut { version: next } => {
            format!("runs version {version}, and version {next} is tried out beside it, before its trial")
        }
        Standing::Trial { version: next, good, of, failed } => {
            let failed = if *failed > 0 { format!(", failed in {failed}") } else { String::new() };
            format!("runs version {version}, and version {next} is on trial: good in {good} of {of} slots{failed}")
        }
        Standing::Short { waits: true } => {
            format!("leaves out slots with version {version}, as what it reads costs more than its tenant has left")
        }
        Standing::Short { waits: false } => {
            format!("runs version {version} on what others leave, as it needs more than its tenant's budget has")
        }
        Standing::Paused { since, by } => format!("is paused at version {version}, since {since} by {by}"),
        Standing::Quarantined { until, cause } => {
            format!("failed too often with version {version}, and is left out until {until}: {cause}")
        }
        Standing::Broken { why } => format!("cannot run version {version}: {why}"),
    }
}

fn use_since_start(used: &Used) -> String {
    let Used { calls, fuel, samples, memory, seconds, failures, skipped, .. } = used;
    let mut out = format!(
        "since start  {}, {} in {seconds:.1} s, {} fuel\n",
        count(*samples, "sample"),
        count(*calls, "call"),
        short(*fuel)
    );
    out += &format!("memory       {} at most\n", bytes(*memory));
    if !failures.is_empty() {
        let causes: Vec<String> = failures.iter().map(|(cause, calls)| format!("{calls} {cause}")).collect();
        out += &format!("failed       {}\n", print::line(&causes.join(", ")));
    }
    if *skipped > 0 {
        out += &format!("skipped      {}, because it was still at an earlier one\n", count(*skipped, "slot"));
    }
    out
}

/// How much of a core burns so much fuel in a second. Whoever has any has more than nothing.
fn percent(fuel: u64) -> String {
    match share::Share::of_fuel(fuel) {
        share if share == share::Share::percent(0) && fuel > 0 => "less than 0.01%".to_owned(),
        share => share.to_string(),
    }
}

fn versions_table(shown: &Shown) -> String {
    let mut table = Columns::new([
        ("VERSION", Side::Right),
        ("", Side::Left),
        ("MODULE", Side::Left),
        ("SIZE", Side::Right),
        ("DEPLOYED", Side::Left),
        ("BY", Side::Left),
        ("SIGNED BY", Side::Left),
    ]);
    for version in &shown.versions {
        let number = version.number;
        let is = match &shown.row.state {
            _ if number == shown.row.version => "current",
            Standing::TryingOut { version } if *version == number => "tried out",
            Standing::Trial { version, .. } if *version == number => "on trial",
            _ if shown.earlier.contains(&number) => "earlier",
            _ => "",
        };
        table.row([
            number.to_string(),
            is.to_owned(),
            start(&version.digest),
            bytes(version.size),
            version.deployed_at.to_string(),
            version.by.clone(),
            version.signed_by.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    table.render()
}

/// The start of a digest.
pub fn start(digest: &Digest) -> String {
    digest.to_string().chars().take(DIGITS).collect()
}

/// What failed, each with what the module wrote to its standard error; nothing if nothing did.
pub fn failures(title: &str, failed: &[Failed]) -> String {
    if failed.is_empty() {
        return String::new();
    }
    let mut out = title.to_owned();
    for Failed { at, version, cause, why, resources } in failed {
        let at = at.map_or_else(String::new, |at| format!("{at}  "));
        let version = version.map_or_else(String::new, |version| format!("version {version}, "));
        let left_out = format!("{} left out", count((*resources).into(), "resource"));
        out += &format!("  {at}{version}{}, {left_out}\n{}", print::line(cause), print::indented(why, 4));
    }
    out
}

fn history(done: &[Entry]) -> String {
    if done.is_empty() {
        return String::new();
    }
    let mut table = Columns::new([
        ("TIME", Side::Left),
        ("WHO", Side::Left),
        ("VERSION", Side::Right),
        ("MODULE", Side::Left),
        ("RESULT", Side::Left),
        (ACTION, Side::Left),
    ]);
    // What was begun and done is told once.
    let is_told = |(place, entry): &(usize, &Entry)| match (&entry.result, done.get(place + 1)) {
        (Outcome::Begun, Some(next)) => {
            let same = (&entry.action, entry.who) == (&next.action, next.who);
            // Of a new one it is not known before.
            let same = same && entry.version.is_none_or(|version| next.version == Some(version));
            !same || next.result == Outcome::Begun
        }
        _ => true,
    };
    let told: Vec<&Entry> = done.iter().enumerate().filter(is_told).map(|(_, entry)| entry).collect();
    for entry in &told {
        let who = match entry.who {
            Who::File => "file".to_owned(),
            Who::Daemon => "daemon".to_owned(),
            Who::Peer { uid, .. } => format!("uid {uid}"),
        };
        let result = match &entry.result {
            Outcome::Begun => "begun",
            Outcome::Done => "ok",
            Outcome::Failed(_) => "failed",
        };
        table.row([
            entry.time.to_string(),
            who,
            entry.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
            entry.digest.as_ref().map_or_else(|| "-".to_owned(), start),
            result.to_owned(),
            String::new(),
        ]);
    }
    let rows = table.render();
    let mut rows = rows.lines();
    let header = rows.next().unwrap_or_default();
    let mut out = format!("\nhistory\n  {header}\n");
    // What was done is longer than a cell where the daemon did it, and so is why something failed.
    let at = header.find(ACTION).unwrap_or_default();
    for (row, entry) in rows.zip(told) {
        out += &format!("  {row:<at$}{}\n", print::line(&entry.action));
        let failed = match &entry.result {
            Outcome::Failed(why) => Some(why),
            _ => None,
        };
        for why in failed.into_iter().chain(&entry.why) {
            out += &print::indented(why, 4);
        }
    }
    out
}

/// A deployment as the daemon tells it.
#[cfg(test)]
pub fn example() -> Shown {
    use crate::control::deployments::{InForce, VersionShown};
    use crate::modules::deployment::{Key, Overrides, RequestLimits};
    let in_force = Some(InForce {
        limits: Overrides {
            fuel_base: Some(50_000_000),
            fuel_per_resource: Some(20_000),
            memory: Some(16 << 20),
            deadline: Some(1_000),
        },
        requests: Some(RequestLimits { body: Some(1 << 20), time: Some(5_000), per_minute: Some(60) }),
    });
    let time = Time(1_767_323_045_000_000_000);
    let key = Key::new("acme".parse().unwrap(), "probe".parse().unwrap());
    let entry = |who, action: &str, version, result| Entry {
        time,
        who,
        action: action.into(),
        key: key.clone(),
        version,
        digest: version.map(|_| Digest::of(b"module")),
        result,
        why: None,
    };
    let given_up = "version 4 is given up, and 3 goes on: it failed with trap";
    Shown {
        row: Row {
            key: key.clone(),
            version: 2,
            digest: Digest::of(b"module"),
            file: None,
            lacks: None,
            outdated: false,
            differs: false,
            interval: 60,
            names: vec!["acme.".into()],
            gives: None,
            state: Standing::Trial { version: 3, good: 1, of: 3, failed: 0 },
            last: Some(time),
            samples: 2,
            fuel: 36_000,
            failing: vec!["trap".into()],
        },
        versions: vec![facts::example(1), VersionShown { in_force, ..facts::example(2) }, facts::example(3)],
        earlier: vec![1],
        share: Some(Share { fuel_per_second: 240_000_000, of_tenant: 1_000_000_000 }),
        used: Used {
            calls: 120,
            fuel: 41_000_000,
            fuel_granted: 50_120_000,
            samples: 240,
            memory: 1_153_434,
            seconds: 0.42,
            failures: [("trap".to_owned(), 3)].into(),
            skipped: 1,
        },
        failures: vec![Failed {
            at: Some(time),
            version: Some(2),
            cause: "trap".into(),
            why: "wasm `unreachable`\nhistory\n\u{1b}]0;x\u{7}panicked".into(),
            resources: 1,
        }],
        history: vec![
            entry(Who::Peer { uid: 1000, gid: 1000, pid: None }, "deploy", None, Outcome::Begun),
            entry(Who::Peer { uid: 1000, gid: 1000, pid: None }, "deploy", Some(3), Outcome::Done),
            entry(Who::Peer { uid: 1000, gid: 1000, pid: None }, "pause", None, Outcome::Begun),
            entry(Who::Daemon, "rollback", None, Outcome::Failed("nothing ran before version 2".into())),
            Entry { why: Some("trap: unreachable".into()), ..entry(Who::Daemon, given_up, Some(4), Outcome::Done) },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_shown_and_commands_no_terminal() {
        let shown = example();
        let said = text(&shown, Time(shown.row.last.unwrap().0 + 5_000_000_000));
        for words in [
            "acme/probe runs version 2, and version 3 is on trial: good in 1 of 3 slots\n",
            "last slot    5.0s ago: 2 samples, 36k of 50M fuel\n",
            "failing      trap\n",
            "since start  240 samples, 120 calls in 0.4 s, 41M fuel\n",
            "memory       1.1M at most\n",
            "share        2.4% of a core, of 10% that all modules of acme have\n",
            "  grants.body               1.0M\n",
            "  grants.time               5s\n",
            "  grants.rate               60 a minute\n",
            "  limits.fuel               50000000\n",
            "  limits.fuel_per_resource  20000\n",
            "  limits.memory             16.0M\n",
            "  limits.deadline           1s\n",
            "failed       3 trap\n",
            "skipped      1 slot,",
            "\nversion 2\n  module                    sha256:",
            "  meters                    acme.*\n                            !acme.odd\n",
            "      2  current   ",
            "      3  on trial  ",
            "      1  earlier   ",
            "version 2, trap, 1 resource left out\n    wasm `unreachable`\n    history\n    \u{fffd}]0;x\u{fffd}panicked\n",
            "  uid 1000        3  ",
            "  ok      deploy\n",
            "  failed  rollback\n    nothing ran before version 2\n",
            "  ok      version 4 is given up, and 3 goes on: it failed with trap\n    trap: unreachable\n",
        ] {
            assert!(said.contains(words), "no {words:?} in\n{said}");
        }
        assert_eq!(said.matches("\nhistory\n").count(), 1);
        assert_eq!((said.matches("  deploy").count(), said.matches("  begun   pause\n").count()), (1, 1));
    }

    #[test]
    fn each_state_has_its_sentence() {
        let mut row = example().row;
        let (since, until) = (row.last.unwrap(), row.last.unwrap());
        for (state, words) in [
            (Standing::Running, "runs version 2"),
            (
                Standing::TryingOut { version: 3 },
                "runs version 2, and version 3 is tried out beside it, before its trial",
            ),
            (Standing::Paused { since, by: "root".into() }, "is paused at version 2, since 2026-01-02T03:04:05"),
            (Standing::Short { waits: true }, "leaves out slots with version 2, as what it reads costs more than"),
            (Standing::Short { waits: false }, "runs version 2 on what others leave, as it needs more than"),
            (Standing::Quarantined { until, cause: "trap".into() }, "is left out until 2026-01-02T03:04:05.000Z: trap"),
            (Standing::Broken { why: "gone".into() }, "cannot run version 2: gone"),
        ] {
            row.state = state;
            assert!(standing(&row).contains(words), "{}", standing(&row));
        }
    }
}
