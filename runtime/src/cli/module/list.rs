//! `wasmeter module list`.

use super::amount::bytes;
use super::show::start;
use super::{is_pollster, prepare};
use crate::cli::ask::{Daemon, Unanswered};
use crate::cli::setup::{Host, Where};
use crate::cli::{Exit, logging, print};
use crate::clock::{Clock, SystemClock};
use crate::config::closest;
use crate::config::daemon::LogFormat;
use crate::control::deployments::{Row, Standing};
use crate::control::text::age;
use crate::control::time::Time;
use crate::modules;
use crate::modules::deployment::Tenant;
use crate::publish::columns::{Columns, Side, short};
use crate::sandbox::{Limits, Module};

const EXAMPLES: &str = "\
Examples:
  wasmeter module list
  wasmeter module list --built-in --json | jq -r '.[].meters[]'
  wasmeter module list --deployed --json | jq '.[] | select(.state.is == \"quarantined\")'
  wasmeter module list --tenant acme

Without a running daemon, those that are part of this program are listed.
Exit code 69, with --deployed or --tenant: there is no daemon that answers.";

/// List the modules that are part of this program, and those that are deployed for tenants.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only those that are part of this program; no daemon is asked.
    #[arg(long, conflicts_with_all = ["deployed", "tenant"])]
    built_in: bool,
    /// Only those that are deployed.
    #[arg(long)]
    deployed: bool,
    /// Only those that are deployed for this tenant.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<Tenant>,
    #[command(flatten)]
    daemon: Daemon,
    /// For programs: a list, or an object with both lists.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        if self.deployed || self.tenant.is_some() {
            let all = self.rows().map_err(Unanswered::say)?;
            let is_wanted = |row: &Row| self.tenant.as_ref().is_none_or(|tenant| row.key.tenant == *tenant);
            let rows: Vec<&Row> = all.iter().filter(|row| is_wanted(row)).collect();
            return print::asked(&rows, self.json, |rows| match &self.tenant {
                Some(tenant) if rows.is_empty() => nothing(tenant, &all),
                _ => deployed(rows.iter().copied(), Time(SystemClock.now().wall)),
            });
        }
        let built_in = self.load()?;
        if self.built_in {
            return match self.json {
                true => print::json(&built_in.iter().map(describe).collect()),
                false => print::text(&table(&built_in)),
            };
        }
        if !self.json {
            // Whatever becomes of the rest, this is known.
            print::text(&format!("{}\n", table(&built_in)))?;
        }
        let (below, rows) = match self.rows() {
            Ok(rows) => (deployed(rows.iter(), Time(SystemClock.now().wall)), Some(rows)),
            Err(Unanswered::Nobody(why)) => (format!("{why}, so what is deployed is not known\n"), None),
            Err(refused) => return Err(refused.say()),
        };
        if self.json {
            let built_in: Vec<_> = built_in.iter().map(describe).collect();
            return print::json(&serde_json::json!({"built_in": built_in, "deployments": rows}));
        }
        print::text(&below)
    }

    fn rows(&self) -> Result<Vec<Row>, Unanswered> {
        let line = self.daemon.line().map_err(Unanswered::Refused)?;
        line.get("/deployments")
    }

    fn load(&self) -> Result<Vec<Module>, Exit> {
        logging::start(&LogFormat::Text);
        let at = Where { config: self.daemon.config.clone(), host: Host::default() };
        let (sandbox, config, threads) = prepare(&at)?;
        let limits = config.sandbox.limits;
        let mut loaded = Vec::new();
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
        Ok(loaded)
    }
}

fn table(built_in: &[Module]) -> String {
    let mut table = Columns::new([
        ("MODULE", Side::Left),
        ("KIND", Side::Left),
        ("RUNS", Side::Left),
        ("SIZE", Side::Right),
        ("METERS", Side::Left),
    ]);
    for module in built_in {
        let meters: Vec<_> = module.description.meters.iter().map(|meter| meter.name.as_str()).collect();
        let runs = if modules::is_on_by_default(&module.name) { "by default" } else { "if enabled" };
        let runs = if is_pollster(module) { runs } else { "if named" };
        let kind = module.code.manifest.world.to_string();
        table.row([module.name.to_string(), kind, runs.into(), bytes(module.code.size as u64), meters.join(" ")]);
    }
    table.render()
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

/// Who has nothing, and who was probably meant.
fn nothing(tenant: &Tenant, all: &[Row]) -> String {
    let tenants: Vec<&str> = all.iter().map(|row| row.key.tenant.as_str()).collect();
    let meant = closest(tenant.as_str(), &tenants).map(|meant| format!(". Did you mean {meant}?")).unwrap_or_default();
    format!("nothing is deployed for {tenant}{meant}\n")
}

fn deployed<'a>(rows: impl Iterator<Item = &'a Row>, now: Time) -> String {
    let mut table = Columns::new([
        ("DEPLOYMENT", Side::Left),
        ("VERSION", Side::Right),
        ("MODULE", Side::Left),
        ("FROM", Side::Left),
        ("EVERY", Side::Right),
        ("LAST", Side::Right),
        ("SAMPLES", Side::Right),
        ("FUEL", Side::Right),
        ("STATE", Side::Left),
    ]);
    for row in rows {
        table.row([
            row.key.to_string(),
            row.version.to_string(),
            start(&row.digest),
            if row.file.is_some() { "file" } else { "socket" }.to_owned(),
            format!("{}s", row.interval),
            row.last.map_or_else(|| "-".to_owned(), |last| age(now.since(last))),
            row.samples.to_string(),
            short(row.fuel),
            state(row, now),
        ]);
    }
    if table.is_empty() { "nothing is deployed\n".to_owned() } else { table.render() }
}

/// A state in a few words.
fn state(row: &Row, now: Time) -> String {
    let failing = row.failing.join(", ");
    let state = match &row.state {
        Standing::Running if row.failing.is_empty() => "runs".to_owned(),
        Standing::Running => format!("fails: {failing}"),
        Standing::TryingOut { version } => format!("runs, version {version} is tried out"),
        Standing::Trial { version, good, of, .. } => format!("runs, version {version} on trial, {good} of {of} good"),
        Standing::Short { waits: true } => "waits, as its reads cost more than is left".to_owned(),
        Standing::Short { waits: false } => "runs on what others leave of the budget".to_owned(),
        Standing::Paused { by, .. } => format!("paused by {by}"),
        Standing::Quarantined { until, cause } => format!("in quarantine for {}: {cause}", age(until.since(now))),
        Standing::Broken { why } => format!("cannot run: {why}"),
    };
    match (&row.lacks, row.outdated, row.differs) {
        (Some(why), ..) => format!("{state}; would not run after a restart: {why}"),
        (None, true, _) => format!("{state}; its file cannot be followed"),
        (None, false, true) => format!("{state}; not what its file says"),
        (None, false, false) => state,
    }
}

#[cfg(test)]
mod tests {
    use super::super::show::example;
    use super::*;

    #[test]
    fn deployments_are_in_a_table() {
        let mut row = example().row;
        let now = Time(row.last.unwrap().0 + 5_000_000_000);
        let on_trial = row.clone();
        row.file = Some("/etc/wasmeter/deployments.d/a.yaml".into());
        row.last = None;
        let mut rows = vec![on_trial];
        let broken = Standing::Broken { why: "gone\u{7}".into() };
        let quarantined = Standing::Quarantined { until: Time(now.0 + 28_000_000_000), cause: "trap".into() };
        let paused = Standing::Paused { since: now, by: "uid 0".into() };
        let short = |waits| Standing::Short { waits };
        for state in [
            Standing::TryingOut { version: 3 },
            Standing::Running,
            broken,
            quarantined,
            paused,
            short(true),
            short(false),
        ] {
            rows.push(Row { state, ..row.clone() });
        }
        let runs = Row { failing: Vec::new(), state: Standing::Running, differs: true, ..row.clone() };
        let lacking = Row { lacks: Some("gone\u{7}".into()), ..runs.clone() };
        rows.extend([lacking, Row { outdated: true, ..runs.clone() }, runs]);
        let (digest, odd) = (start(&row.digest), "\u{fffd}");
        let expected = format!(
            "DEPLOYMENT  VERSION  MODULE        FROM    EVERY  LAST  SAMPLES  FUEL  STATE\n\
             acme/probe        2  {digest}  socket    60s  5.0s        2   36k  runs, version 3 on trial, 1 of 3 good\n\
             acme/probe        2  {digest}  file      60s     -        2   36k  runs, version 3 is tried out\n\
             acme/probe        2  {digest}  file      60s     -        2   36k  fails: trap\n\
             acme/probe        2  {digest}  file      60s     -        2   36k  cannot run: gone{odd}\n\
             acme/probe        2  {digest}  file      60s     -        2   36k  in quarantine for 28s: trap\n\
             acme/probe        2  {digest}  file      60s     -        2   36k  paused by uid 0\n\
             acme/probe        2  {digest}  file      60s     -        2   36k  waits, as its reads cost more than is left\n\
             acme/probe        2  {digest}  file      60s     -        2   36k  runs on what others leave of the budget\n\
             acme/probe        2  {digest}  file      60s     -        2   36k  runs; would not run after a restart: gone{odd}\n\
             acme/probe        2  {digest}  file      60s     -        2   36k  runs; its file cannot be followed\n\
             acme/probe        2  {digest}  file      60s     -        2   36k  runs; not what its file says\n"
        );
        assert_eq!(deployed(rows.iter(), now), expected);
        assert_eq!(deployed([].iter(), now), "nothing is deployed\n");
        let nobody = |tenant: &str| nothing(&tenant.parse().unwrap(), &rows);
        assert_eq!(nobody("acm"), "nothing is deployed for acm. Did you mean acme?\n");
        assert_eq!(nobody("shop"), "nothing is deployed for shop\n");
    }
}
