//! What stands in the way of those who ask the daemon: at its socket, or for metrics.

use std::path::Path;

use crate::config::daemon::machine::SERVICE_SOCKET;
use crate::config::{Config, Problems};
use crate::control::server::{self, Unusable};
use crate::publish::prometheus::endpoint;

/// What `run` could not take.
pub fn look(config: &Config) -> Problems {
    let mut problems = Problems::of(config.file.as_deref());
    let Some(socket) = &config.control.socket else { return problems };
    match server::check(socket, config.control.group.as_deref()) {
        // It is empty when a machine starts: whoever starts the daemon makes its folder there.
        Err(Unusable::NoFolder { folder, .. }) if folder.starts_with("/run") => {}
        Err(error @ Unusable::NoMember(_)) => {
            problems.error(None, "control.group", error.to_string(), error.remedy());
        }
        Err(error) => problems.error(None, "control.socket", error.to_string(), error.remedy()),
        Ok(()) => {}
    }
    // The daemon of this configuration has them, if it runs, also where it is asked at the usual place.
    if ![socket, Path::new(SERVICE_SOCKET)].into_iter().any(server::is_answered) {
        problems.extend(endpoint::check_addresses(config));
    }
    problems
}
