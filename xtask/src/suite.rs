//! `cargo xtask test` and `cargo xtask soak`: the same tests, repeated more or less often.

use std::env;
use std::ffi::OsString;
use std::fs;

use crate::cli::{Fuzz, Test};
use crate::exit::Error;
use crate::workspace::Workspace;
use crate::{fuzz, peer_test, setup, sizes, step};

/// The variable that scales how often tests repeat what is worth repeating. One that is set already counts.
const REPEAT: &str = "WASMETER_REPEAT";

/// The variable that names a file, to which each test that cannot run here adds a line.
const CANNOT_RUN: &str = "WASMETER_CANNOT_RUN";

/// How long the full counts throw bytes at each target, in seconds.
const FUZZED: u64 = 30;

/// How often to repeat.
#[derive(Debug, Clone, Copy)]
pub enum Counts {
    /// So that all tests are done within minutes of the build.
    Short,
    /// The counts that are promised.
    Full,
}

impl Counts {
    /// Many repetitions are worth an optimised build.
    fn profile(self) -> &'static [&'static str] {
        match self {
            Self::Short => &[],
            Self::Full => &["--release"],
        }
    }

    /// Where cargo puts what it builds so.
    fn folder(self) -> &'static str {
        match self {
            Self::Short => "debug",
            Self::Full => "release",
        }
    }

    fn repeat(self) -> &'static str {
        match self {
            Self::Short => "1",
            Self::Full => "500",
        }
    }
}

/// Builds all tests, then runs them. Whoever runs all of them compares with Ceilometer, too.
pub fn run(workspace: &Workspace, options: &Test, counts: Counts) -> Result<(), Error> {
    setup::run(workspace, setup::FOR_TESTING, options.build)?;
    let repeat = env::var_os(REPEAT).unwrap_or_else(|| counts.repeat().into());
    let cannot_run = workspace.target().join("cannot-run.txt");
    let _ = fs::remove_file(&cannot_run);
    let cargo = |args: &[&str]| {
        let mut command = workspace.cargo(args);
        if !names_packages(&options.args) {
            command.arg("--workspace");
        }
        command.args(counts.profile()).args(options.build.flags()).args(&options.args);
        command.env(REPEAT, &repeat).env(CANNOT_RUN, &cannot_run);
        command
    };
    // Apart, so that the time of the tests is theirs alone.
    step::run("Building the tests", &mut cargo(&["test", "--no-run"]))?;
    let daemon = workspace.target().join(counts.folder()).join("wasmeter");
    // Arguments may have chosen tests that need no daemon.
    if daemon.exists() {
        sizes::print(workspace, &daemon)?;
    }
    let what = format!("Running the tests, {REPEAT}={}", repeat.to_string_lossy());
    let tested = step::run(&what, &mut cargo(&["test", "--no-fail-fast"]));
    // Whoever chose tests did not choose this, and without libvirt both have no guests.
    let compares = options.args.is_empty() && !options.build.no_libvirt;
    let compare = || {
        peer_test::compare(peer_test::comparison(workspace, counts.folder())?.env(CANNOT_RUN, &cannot_run)) //
    };
    let compared = if compares { compare() } else { Ok(()) };
    let lines = fs::read_to_string(&cannot_run).unwrap_or_default();
    eprintln!("==> Tests that cannot run here: {}", lines.lines().count());
    lines.lines().for_each(|line| eprintln!("    {line}"));
    tested?;
    compared?;
    match counts {
        Counts::Short => Ok(()),
        Counts::Full => fuzz::run(workspace, &Fuzz::each_for(FUZZED, options.build)),
    }
}

/// The arguments say themselves which packages they are about, which cargo would not heed beside `--workspace`.
fn names_packages(args: &[OsString]) -> bool {
    let mut ours = args.iter().map(|arg| arg.to_string_lossy()).take_while(|arg| arg != "--");
    ours.any(|arg| arg.starts_with("-p") || arg.starts_with("--package"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_in_arguments() {
        let names = |args: &str| names_packages(&args.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        assert!(names("-p xtask") && names("--package=xtask") && names("--lib -pxtask"));
        assert!(!names("") && !names("--lib") && !names("-- -p"));
    }
}
