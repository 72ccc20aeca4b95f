//! cargo-deny: licences, origins and known faults of the dependencies, as deny.toml wants them.

use crate::exit::Error;
use crate::step;
use crate::tool;
use crate::workspace::Workspace;

/// The release that is installed where none is.
const VERSION: &str = "0.20.2";

/// Runs every check that can be run here; returns those that could not, each with its reason.
pub fn run(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let program = tool::find_or_install(workspace, "cargo-deny", VERSION)?;
    let deny = |args: &[&str]| {
        let mut command = workspace.command(&program);
        command.args(args);
        command
    };
    let what = "Licences, origins and versions of dependencies";
    step::run(what, &mut deny(&["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))?;

    let mut not_run = Vec::new();
    match step::run("Fetching the database of advisories", &mut deny(&["fetch", "db"])) {
        Ok(()) => step::run("Advisories on dependencies", &mut deny(&["check", "advisories"]))?,
        Err(error) => {
            eprintln!("warning: {error}");
            not_run.push("advisories on dependencies: their database cannot be fetched from here".to_owned());
        }
    }
    Ok(not_run)
}
