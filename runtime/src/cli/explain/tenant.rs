//! Tenants' deployments that a meter may be of: what names they were granted says so. They run in the daemon alone, so
//! how they are is asked there.

use std::time::Duration;

use super::reason::{Why, Word};
use crate::cli::module::show::standing;
use crate::cli::setup::Threads;
use crate::config::Config;
use crate::config::daemon::default_socket;
use crate::config::daemon::machine::SERVICE_SOCKET;
use crate::control::deployments::Row;
use crate::http::client::Client;

/// How long the daemon may take to answer.
const WITHIN: Duration = Duration::from_secs(5);
/// Deployments that are named.
const MOST: usize = 5;

/// Why there is no value of a meter that only tenants' modules may give.
pub fn reasons(config: &Config, threads: &Threads, meter: &str) -> Vec<Why> {
    let rows = threads.time.block_on(rows(config));
    let may = |names: &[String]| names.iter().any(|name| meter.starts_with(name));
    let running = rows.iter().flatten().filter(|row| may(&row.names));
    let mut all: Vec<Why> = running
        .map(|row| {
            let key = &row.key;
            let gave = match row.last {
                Some(at) => format!("; it gave {} samples at {at}", row.samples),
                None => String::new(),
            };
            let failing = if row.failing.is_empty() {
                String::new()
            } else {
                format!(", and failed with {}", row.failing.join(", "))
            };
            let why = format!("{meter} may be of the deployment {key}, which {}{gave}{failing}", standing(row));
            Why::new(Word::OfATenant, why, format!("See wasmeter module show {key}, and wasmeter module logs {key}"))
        })
        .collect();
    let known = |key| rows.iter().flatten().any(|row| row.key == key);
    for file in config.deployments.files.iter().filter(|file| may(&file.grants.names) && !known(file.key.clone())) {
        let place = file.written.display();
        let how = match rows {
            Some(_) => "does not run",
            None => "no daemon was found to run",
        };
        let why = format!("{meter} may be of the deployment {}, which is written in {place} and {how}", file.key);
        all.push(Why::new(Word::OfATenant, why, "See wasmeter check, and the daemon's log"));
    }
    all.truncate(MOST);
    all
}

/// All deployments of the daemon, if one answers.
async fn rows(config: &Config) -> Option<Vec<Row>> {
    let usual = || default_socket().filter(|path| path.exists()).unwrap_or_else(|| SERVICE_SOCKET.into());
    let socket = config.control.socket.clone().unwrap_or_else(usual);
    let (status, answer) = Client::new(&socket, WITHIN).get("/deployments").await.ok()?;
    serde_json::from_value(answer).ok().filter(|_| status.is_success())
}
