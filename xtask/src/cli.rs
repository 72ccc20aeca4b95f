//! The command line.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

/// Everything that one does with this repository, set-up included.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
#[command(after_help = "Exit codes:\n   0  done\n   1  a step failed\n  64  wrong command line\n  \
    69  something must be installed by hand; what to run is printed")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Installs what building and checking need and this machine lacks
    ///
    /// Says first what it will install. On Debian and its relatives it installs packages, as root or with sudo, and
    /// starts no service that is in one; elsewhere it prints the command. Every other command does its own part of
    /// this by itself.
    #[command(after_help = "Examples:\n  cargo xtask setup\n  cargo xtask setup --no-libvirt")]
    Setup(Build),

    /// Builds all, then meters simulated guests with the built-in modules: a live table, and samples in a file
    #[command(after_help = "Examples:\n  cargo xtask demo               until Ctrl-C\n  \
        cargo xtask demo --cycles 3    ends by itself\n  \
        cargo xtask demo --no-libvirt  needs no system package\n  \
        cargo xtask demo -- --help     what else the daemon takes")]
    Demo(Demo),

    /// Runs all tests, and at the end what `peer-test` runs
    ///
    /// With arguments for cargo, or without libvirt, only the tests.
    #[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test -- --test all -- --nocapture\n  \
        WASMETER_REPEAT=10 cargo xtask test   repeats ten times what is worth repeating")]
    Test(Test),

    /// Runs all tests with the full counts of repetitions, which takes long
    #[command(after_help = "Examples:\n  cargo xtask soak\n  WASMETER_REPEAT=1000 cargo xtask soak")]
    Soak(Test),

    /// Compares wasmeter's messages with those of the real Ceilometer, on the same guests, and has it consume them
    ///
    /// Starts a libvirtd with guests and a RabbitMQ of its own, and ends them. Where it cannot, it says why and
    /// succeeds, unless the environment has WASMETER_MUST_RUN.
    #[command(after_help = "Examples:\n  cargo xtask peer-test\n  cargo xtask peer-test --keep   keeps both sides' \
        samples, logs and configurations")]
    PeerTest(PeerTest),

    /// Runs the benchmark
    #[command(after_help = "Examples:\n  cargo xtask bench\n  \
        cargo xtask bench libvirt   with real guests, beside the real Ceilometer\n  \
        cargo xtask bench amqp      with a real RabbitMQ, beside oslo.messaging\n  cargo xtask bench -- --help")]
    Bench(Bench),

    /// Throws bytes at whatever reads input from outside; needs a nightly toolchain
    ///
    /// What it finds is kept in fuzz/artifacts, and what it learned in fuzz/corpus.
    #[command(after_help = "Examples:\n  cargo xtask fuzz                          each target for a minute\n  \
        cargo xtask fuzz spool --seconds 3600\n  \
        cargo xtask fuzz spool -- fuzz/artifacts/spool/crash-...   once with what was found")]
    Fuzz(Fuzz),

    /// Checks formatting, clippy's warnings, and licences, origins and advisories of the dependencies
    #[command(after_help = "Examples:\n  cargo xtask lint\n  cargo xtask lint --no-libvirt")]
    Lint(Build),
}

/// How to build.
#[derive(Debug, Clone, Copy, Args)]
pub struct Build {
    /// Build without libvirt, and install no system package
    #[arg(long)]
    pub no_libvirt: bool,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// How to build.
    #[command(flatten)]
    pub build: Build,
    /// End after so many cycles
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub cycles: Option<u64>,
    /// More arguments of `wasmeter run`
    #[arg(last = true, value_name = "DAEMON ARGS")]
    pub args: Vec<OsString>,
}

/// Options of `test` and `soak`.
#[derive(Debug, Args)]
pub struct Test {
    /// How to build.
    #[command(flatten)]
    pub build: Build,
    /// More arguments of `cargo test`
    #[arg(last = true, value_name = "CARGO TEST ARGS")]
    pub args: Vec<OsString>,
}

/// Options of `peer-test`.
#[derive(Debug, Args)]
pub struct PeerTest {
    /// Build with optimisation
    #[arg(long)]
    pub release: bool,
    /// Keep all files, and say where
    #[arg(long)]
    pub keep: bool,
}

/// Options of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// How to build.
    #[command(flatten)]
    pub build: Build,
    /// Only this part: cycle, deployments, exporter, sandbox, start, tenants, transformers, or libvirt or amqp, which run
    /// only if they are named
    #[arg(value_name = "PART")]
    pub part: Option<String>,
    /// More arguments of the benchmark
    #[arg(last = true, value_name = "BENCH ARGS")]
    pub args: Vec<OsString>,
}

/// Options of `fuzz`.
#[derive(Debug, Args)]
pub struct Fuzz {
    /// How to build.
    #[command(flatten)]
    pub build: Build,
    /// Only this target, a file of fuzz/targets
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// How long for each
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// More arguments of libFuzzer
    #[arg(last = true, value_name = "FUZZER ARGS")]
    pub args: Vec<OsString>,
}

impl Fuzz {
    /// Each target for so many seconds.
    pub fn each_for(seconds: u64, build: Build) -> Self {
        Self { build, target: None, seconds, args: Vec::new() }
    }
}

impl Build {
    /// What to tell cargo, as often as it builds.
    pub fn flags(self) -> &'static [&'static str] {
        if self.no_libvirt { &["--no-default-features"] } else { &[] }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn passes_arguments_on() {
        let cli = Cli::try_parse_from(["xtask", "test", "--no-libvirt", "--", "--test", "all", "--", "--nocapture"]);
        let Task::Test(test) = cli.unwrap().task else { panic!("another command") };
        assert!(test.build.no_libvirt);
        assert_eq!(test.args, ["--test", "all", "--", "--nocapture"]);
    }

    #[test]
    fn a_part_of_the_benchmark() {
        let cli = Cli::try_parse_from(["xtask", "bench", "libvirt", "--", "--rounds", "3"]);
        let Task::Bench(bench) = cli.unwrap().task else { panic!("another command") };
        assert_eq!((bench.part.as_deref(), bench.args), (Some("libvirt"), vec!["--rounds".into(), "3".into()]));
    }

    #[test]
    fn a_demo_of_no_cycle_is_refused() {
        assert!(Cli::try_parse_from(["xtask", "demo", "--cycles", "0"]).is_err());
    }
}
