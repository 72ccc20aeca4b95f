//! Set-up: what building, testing and comparing need and this machine lacks.
//!
//! A [`Machine`] is looked at, a [`Plan`] follows from what it lacks, is printed, and is carried out if it is ours to
//! carry out. Looking takes milliseconds, so that every command can begin with it.

mod guest;
mod install;
mod machine;
mod packages;
mod plan;
mod venv;

use crate::cli::Build;
use crate::exit::Error;
use crate::os::Family;
use crate::setup::machine::Machine;
use crate::setup::plan::Plan;
pub use crate::setup::venv::python;
use crate::step;
use crate::workspace::Workspace;

/// Something that building or checking needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A C compiler: it links, and some dependencies have a little C.
    Compiler,
    /// pkg-config, by which libvirt is found.
    PkgConfig,
    /// libvirt's headers, of version 6.0 or later.
    Libvirt,
    /// The Rust library for modules.
    WasmTarget,
    /// rustfmt and clippy.
    Linters,
    /// What the rig starts: libvirtd, QEMU and tools, with which tests have real guests.
    Rig,
    /// A kernel and busybox below the target folder, with which guests of tests work.
    Guest,
    /// newuidmap, without which only root can start the rig.
    Uidmap,
    /// systemd-analyze, which checks units.
    Systemd,
    /// valgrind, which looks at what is done with memory that libvirt owns.
    Valgrind,
    /// minisign, which signs modules.
    Minisign,
    /// RabbitMQ, to which Ceilometer sends, and wasmeter in tests.
    RabbitMq,
    /// Prometheus and promtool, which scrape and check what wasmeter exports.
    Prometheus,
    /// Python with environments and headers: Ceilometer's binding to libvirt is compiled.
    Python,
    /// Ceilometer in an environment of its own, below the target folder.
    Ceilometer,
}

/// What every build needs.
pub const FOR_BUILDING: &[Need] = &[Need::Compiler, Need::PkgConfig, Need::Libvirt, Need::WasmTarget];

/// What building and checking need.
pub const FOR_LINTING: &[Need] = &[Need::Compiler, Need::PkgConfig, Need::Libvirt, Need::WasmTarget, Need::Linters];

/// What building and testing need.
pub const FOR_TESTING: &[Need] = &[
    Need::Compiler,
    Need::PkgConfig,
    Need::Libvirt,
    Need::WasmTarget,
    Need::Rig,
    Need::Guest,
    Need::Uidmap,
    Need::Systemd,
    Need::Valgrind,
    Need::Minisign,
    Need::Prometheus,
    Need::RabbitMq,
    Need::Python,
    Need::Ceilometer,
];

/// What a comparison with Ceilometer needs.
pub const FOR_COMPARING: &[Need] = &[
    Need::Compiler,
    Need::PkgConfig,
    Need::Libvirt,
    Need::WasmTarget,
    Need::Rig,
    Need::Uidmap,
    Need::RabbitMq,
    Need::Python,
    Need::Ceilometer,
];

/// What all of it needs.
pub const EVERYTHING: &[Need] = &[
    Need::Compiler,
    Need::PkgConfig,
    Need::Libvirt,
    Need::WasmTarget,
    Need::Linters,
    Need::Rig,
    Need::Guest,
    Need::Uidmap,
    Need::Systemd,
    Need::Valgrind,
    Need::Minisign,
    Need::Prometheus,
    Need::RabbitMq,
    Need::Python,
    Need::Ceilometer,
];

impl Need {
    /// How it is called in a message.
    fn name(self) -> &'static str {
        match self {
            Self::Compiler => "a C compiler",
            Self::PkgConfig => "pkg-config",
            Self::Libvirt => "the headers of libvirt 6.0 or later",
            Self::WasmTarget => "Rust's library for wasm32-wasip2",
            Self::Linters => "rustfmt and clippy",
            Self::Rig => "libvirtd, QEMU and tools for guests of tests",
            Self::Guest => "a kernel and busybox for guests of tests, below the target folder",
            Self::Uidmap => "newuidmap, by which users start guests of tests",
            Self::Systemd => "systemd-analyze",
            Self::Valgrind => "valgrind",
            Self::Minisign => "minisign",
            Self::RabbitMq => "RabbitMQ",
            Self::Prometheus => "Prometheus and promtool",
            Self::Python => "Python with venv and headers",
            Self::Ceilometer => "Ceilometer, in an environment below the target folder",
        }
    }

    /// Where it comes from.
    fn origin(self) -> Origin {
        match self {
            Self::WasmTarget | Self::Linters => Origin::Rust,
            Self::Ceilometer => Origin::Python,
            Self::Guest => Origin::Unpacked,
            _ => Origin::System,
        }
    }

    /// Whether there is such a thing for this system at all. Tests say themselves what they cannot do.
    fn exists(self, machine: &Machine) -> bool {
        if self == Self::Guest {
            return machine.os.family == Family::Debian;
        }
        let optional = matches!(self, Self::Rig | Self::Uidmap | Self::Systemd | Self::Valgrind);
        !optional || packages::of(machine.os.family).is_none_or(|packages| !packages.names(&[self]).is_empty())
    }
}

/// Where a need comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A package of the system.
    System,
    /// rustup.
    Rust,
    /// Python's packages.
    Python,
    /// Packages of Debian's that are not installed.
    Unpacked,
}

/// Gives this machine what it lacks of these, or says how someone else can.
pub fn run(workspace: &Workspace, needs: &[Need], build: Build) -> Result<(), Error> {
    let unwanted = |need: &Need| build.no_libvirt && need.origin() != Origin::Rust;
    let needs: Vec<Need> = needs.iter().copied().filter(|need| !unwanted(need)).collect();
    let mut machine = Machine::observe(workspace, &needs);
    let nowhere: Vec<Need> = machine.lacks.iter().copied().filter(|need| !need.exists(&machine)).collect();
    machine.lacks.retain(|need| !nowhere.contains(need));
    let plan = Plan::of(&machine);
    if plan == Plan::Ready {
        return Ok(());
    }
    step::announce("Set-up");
    eprint!("    This machine ({}) lacks:\n{}{plan}", machine.os.name, bullets(&machine.lacks));
    match plan {
        Plan::Ready => Ok(()),
        Plan::ByHand(_) => Err(Error::SetupByHand),
        Plan::Install(actions) => {
            for action in &actions {
                install::run(workspace, action)?;
            }
            let mut still = Machine::observe(workspace, &needs).lacks;
            still.retain(|need| !nowhere.contains(need));
            if still.is_empty() {
                return Ok(());
            }
            Err(Error::SetupWithoutEffect(still.iter().map(|need| need.name()).collect::<Vec<_>>().join(", ")))
        }
    }
}

fn bullets(needs: &[Need]) -> String {
    needs.iter().map(|need| format!("      - {}\n", need.name())).collect()
}
