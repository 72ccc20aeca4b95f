//! Why the rig cannot run here.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, thread};

use rustix::process::geteuid;

/// Debian's packages that a [`Libvirtd`](crate::Libvirtd) needs; whatever else it needs they depend on. Unless root
/// runs it, it also needs `uidmap`.
pub const PACKAGES: [&str; 10] = [
    "libvirt-daemon",
    "libvirt-clients",
    "libvirt-daemon-config-nwfilter",
    "qemu-system-x86",
    "qemu-utils",
    "iproute2",
    "iptables",
    "ebtables",
    "mount",
    "util-linux",
];

/// Debian's package that a [`Rabbit`](crate::Rabbit) needs besides `util-linux`.
pub const RABBIT_PACKAGE: &str = "rabbitmq-server";

/// A file of this name gets a line for each test that could not run.
const TOLD_IN: &str = "WASMETER_CANNOT_RUN";
/// With this in the environment, a test that cannot run fails.
const MUST_RUN: &str = "WASMETER_MUST_RUN";

/// Programs of those packages, network filters not among them.
const PROGRAMS: [(&str, &str); 10] = [
    ("libvirtd", "libvirt-daemon"),
    ("virsh", "libvirt-clients"),
    (EMULATOR, "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("ebtables", "ebtables"),
    ("mount", "mount"),
    ("unshare", "util-linux"),
    ("bash", "bash"),
];
/// Programs that a private RabbitMQ needs. The Erlang that it runs on comes with it.
const RABBIT_PROGRAMS: [(&str, &str); 4] =
    [("rabbitmq-server", RABBIT_PACKAGE), ("rabbitmqctl", RABBIT_PACKAGE), ("unshare", "util-linux"), ("bash", "bash")];
/// What runs the guests.
pub(crate) const EMULATOR: &str = "qemu-system-x86_64";
/// Where libvirt's network filters may be: as shipped, and as put to use.
const FILTERS: [&str; 2] = ["/usr/share/libvirt/nwfilter", "/etc/libvirt/nwfilter"];
/// Where daemons are; users often do not have these in their `PATH`.
const SBIN: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Why the rig cannot run here, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum CannotRun {
    /// Software is missing.
    #[error("there is no {}; run: apt-get install --no-install-recommends {}", what.join(", "), packages.join(" "))]
    Missing {
        /// The programs and folders.
        what: Vec<String>,
        /// Debian's packages that have them.
        packages: Vec<String>,
    },
    /// Ceilometer is missing.
    #[error("there is no {0}; run: cargo xtask setup")]
    Ceilometer(PathBuf),
    /// What guests that work run is missing.
    #[error("there is no {0}; run: cargo xtask setup")]
    System(PathBuf),
    /// The namespaces could not be made.
    #[error(
        "namespaces cannot be set up ({0}); run as root, or let users make namespaces and \
         give this one a range of ids in /etc/subuid and /etc/subgid"
    )]
    Namespaces(String),
    /// Temporary files are where the rig cannot have them.
    #[error("{0} is no place for the rig; set TMPDIR to a folder with a short name outside of /run and /var")]
    Folder(PathBuf),
    /// libvirtd did not start.
    #[error("libvirtd does not start; its log says: {0}")]
    Libvirtd(String),
    /// RabbitMQ did not start.
    #[error("RabbitMQ does not start; its log says: {0}")]
    Rabbit(String),
    /// A file could not be written.
    #[error("the rig's files cannot be written ({0}); look after the folder for temporary files")]
    Files(#[from] io::Error),
}

/// What was started, or else a line that says why there is none: on standard error, and at the end of the file that the
/// environment variable `WASMETER_CANNOT_RUN` names, so that whoever runs tests can count those that did not.
///
/// # Panics
///
/// If there is none and the environment has `WASMETER_MUST_RUN`.
pub fn or_say<T>(started: Result<T, CannotRun>) -> Option<T> {
    let why = match started {
        Ok(started) => return Some(started),
        Err(why) => why,
    };
    say(&why);
    None
}

/// Whether something that a test needs is here, such as a program of a package; that it is not is said like the lack of
/// a rig.
///
/// # Panics
///
/// If it is not and the environment has `WASMETER_MUST_RUN`.
pub fn has_or_say(what: &str, package: &str, here: bool) -> bool {
    if !here {
        say(&CannotRun::Missing { what: vec![what.to_owned()], packages: vec![package.to_owned()] });
    }
    here
}

#[allow(clippy::panic, reason = "it is called by tests, and that is how a test fails")]
fn say(why: &CannotRun) {
    let test = thread::current();
    let line = format!("CANNOT RUN: {}: {why}", test.name().unwrap_or("a test")).replace('\n', " ");
    eprintln!("{line}");
    if let Some(told_in) = env::var_os(TOLD_IN)
        && let Err(error) = append(Path::new(&told_in), &line)
    {
        panic!("{line}, and {} cannot be written: {error}", told_in.display());
    }
    assert!(env::var_os(MUST_RUN).is_none(), "{line}");
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    // One write, so that lines of several processes do not mix.
    OpenOptions::new().append(true).create(true).open(path)?.write_all(format!("{line}\n").as_bytes())
}

/// Where to look for programs.
pub(crate) fn search_path() -> String {
    format!("{}:{SBIN}", env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".into()))
}

/// Where a program is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&search_path()).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The folder with libvirt's network filters.
pub(crate) fn filters() -> Option<&'static Path> {
    FILTERS.map(Path::new).into_iter().find(|folder| folder.is_dir())
}

/// Whether all that libvirtd and its guests need is installed.
pub(crate) fn check_installed() -> Result<(), CannotRun> {
    let mut missing = missing(&PROGRAMS);
    if !geteuid().is_root() && find("newuidmap").is_none() {
        missing.push(("newuidmap", "uidmap"));
    }
    if filters().is_none() {
        missing.push(("nwfilter", "libvirt-daemon-config-nwfilter"));
    }
    none(missing)
}

/// Whether all that RabbitMQ needs is installed.
pub(crate) fn check_rabbit_installed() -> Result<(), CannotRun> {
    none(missing(&RABBIT_PROGRAMS))
}

fn missing(programs: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    programs.iter().copied().filter(|(program, _)| find(program).is_none()).collect()
}

fn none(missing: Vec<(&str, &str)>) -> Result<(), CannotRun> {
    if missing.is_empty() {
        return Ok(());
    }
    let (what, packages): (Vec<String>, BTreeSet<String>) =
        missing.into_iter().map(|(what, package)| (what.to_owned(), package.to_owned())).unzip();
    Err(CannotRun::Missing { what, packages: packages.into_iter().collect() })
}
