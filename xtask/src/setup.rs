//! Set-up: what building needs and this machine lacks.
//!
//! A [`Machine`] is looked at, a [`Plan`] follows from what it lacks, is printed, and is carried out if it is ours to
//! carry out. Looking takes milliseconds, so that every command can begin with it.

mod install;
mod machine;
mod packages;
mod plan;

use crate::cli::Build;
use crate::exit::Error;
use crate::setup::machine::Machine;
use crate::setup::plan::Plan;
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
}

/// What every build needs.
pub const FOR_BUILDING: &[Need] = &[Need::Compiler, Need::PkgConfig, Need::Libvirt, Need::WasmTarget];

/// What building and checking need.
pub const EVERYTHING: &[Need] = &[Need::Compiler, Need::PkgConfig, Need::Libvirt, Need::WasmTarget, Need::Linters];

impl Need {
    /// How it is called in a message.
    fn name(self) -> &'static str {
        match self {
            Self::Compiler => "a C compiler",
            Self::PkgConfig => "pkg-config",
            Self::Libvirt => "the headers of libvirt 6.0 or later",
            Self::WasmTarget => "Rust's library for wasm32-wasip2",
            Self::Linters => "rustfmt and clippy",
        }
    }

    /// Comes in a package of the system, not with Rust.
    fn is_of_system(self) -> bool {
        matches!(self, Self::Compiler | Self::PkgConfig | Self::Libvirt)
    }
}

/// Gives this machine what it lacks of these, or says how someone else can.
pub fn run(workspace: &Workspace, needs: &[Need], build: Build) -> Result<(), Error> {
    let needs: Vec<Need> = needs.iter().copied().filter(|need| !(build.no_libvirt && need.is_of_system())).collect();
    let machine = Machine::observe(workspace, &needs);
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
            let still = Machine::observe(workspace, &needs).lacks;
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
