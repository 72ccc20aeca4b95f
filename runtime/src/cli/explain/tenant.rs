//! Tenants' deployments that a meter may be of: what they give says so, or else the names that they were granted. They
//! run in the daemon alone, so how they are is asked there.

use std::time::Duration;

use super::reason::{Why, Word};
use crate::cli::module::show::standing;
use crate::cli::setup::Threads;
use crate::config::daemon::default_socket;
use crate::config::daemon::machine::SERVICE_SOCKET;
use crate::config::{Config, Glob};
use crate::control::deployments::Row;
use crate::http::client::Client;
use crate::modules::deployment::{Key, Tenant};

/// How long the daemon may take to answer.
const WITHIN: Duration = Duration::from_secs(5);
/// Deployments that are named.
const MOST: usize = 5;

/// Tenants' deployments, as far as they are known.
pub struct Deployed<'a> {
    config: &'a Config,
    /// All of the daemon, if one answers.
    rows: Option<Vec<Row>>,
}

/// Those that a meter may be of.
struct MayGive<'a> {
    key: &'a Key,
    /// How it is.
    how: String,
    remedy: String,
}

// === impl Deployed ===

impl<'a> Deployed<'a> {
    /// Asks the daemon.
    pub fn ask(config: &'a Config, threads: &Threads) -> Self {
        Self { config, rows: threads.time.block_on(rows(config)) }
    }

    /// Names of meters that they give.
    pub fn meters(&self) -> impl Iterator<Item = &String> {
        let patterns = self.rows.iter().flatten().filter_map(|row| row.gives.as_ref()).flatten();
        patterns.filter(|pattern| !pattern.contains(['*', '?', '[']))
    }

    /// Why there is no value of a meter that only tenants' modules may give, of a guest with its project, if that is
    /// known.
    pub fn reasons(&self, meter: &str, guest: &str, project: Option<&str>) -> Vec<Why> {
        let all = self.may_give(meter);
        let is_of =
            |tenant: &Tenant| project.is_none_or(|project| self.config.tenants.projects_of(tenant).contains(project));
        let (theirs, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| is_of(&one.key.tenant));
        if let (true, Some(one)) = (theirs.is_empty(), others.first()) {
            let (key, tenant) = (one.key, &one.key.tenant);
            let why = format!("{meter} may be of the deployment {key}, and {guest} is no guest of {tenant}");
            return vec![Why::new(Word::OfATenant, why, format!("Ask for a guest of {tenant}"))];
        }
        let said = theirs.into_iter().map(|MayGive { key, how, remedy }| {
            Why::new(Word::OfATenant, format!("{meter} may be of the deployment {key}, which {how}"), remedy)
        });
        said.take(MOST).collect()
    }

    fn may_give(&self, meter: &str) -> Vec<MayGive<'_>> {
        let granted = |names: &[String]| names.iter().any(|name| meter.starts_with(name));
        let fits = |pattern: &String| Glob::new(pattern).is_ok_and(|glob| glob.matches(meter));
        let gives = |row: &&Row| match &row.gives {
            Some(patterns) => patterns.iter().any(fits),
            None => granted(&row.names),
        };
        let running = self.rows.iter().flatten().filter(gives).map(|row| {
            let key = &row.key;
            let gave = match row.last {
                Some(at) => format!("; it gave {} samples at {at}", row.samples),
                None => String::new(),
            };
            let failing = match row.failing.as_slice() {
                [] => String::new(),
                causes => format!(", and failed with {}", causes.join(", ")),
            };
            let remedy = format!("See wasmeter module show {key}, and wasmeter module logs {key}");
            MayGive { key, how: format!("{}{gave}{failing}", standing(row)), remedy }
        });
        let known = |key: &Key| self.rows.iter().flatten().any(|row| row.key == *key);
        let files = self.config.deployments.files.iter();
        let written = files.filter(|file| granted(&file.grants.names) && !known(&file.key)).map(|file| {
            let runs = if self.rows.is_some() { "does not run" } else { "no daemon was found to run" };
            let how = format!("is written in {} and {runs}", file.written.display());
            MayGive { key: &file.key, how, remedy: "See wasmeter check, and the daemon's log".to_owned() }
        });
        running.chain(written).collect()
    }
}

/// All deployments of the daemon, if one answers.
async fn rows(config: &Config) -> Option<Vec<Row>> {
    let usual = || default_socket().filter(|path| path.exists()).unwrap_or_else(|| SERVICE_SOCKET.into());
    let socket = config.control.socket.clone().unwrap_or_else(usual);
    let (status, answer) = Client::new(&socket, WITHIN).get("/deployments").await.ok()?;
    serde_json::from_value(answer).ok().filter(|_| status.is_success())
}
