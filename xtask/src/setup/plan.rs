//! What to do about what a machine lacks.

use std::fmt;

use super::machine::{Machine, Privilege};
use super::{Need, Origin, guest, packages, venv};
use crate::os::Family;

/// The way from a machine as it is to one that can build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing is lacking.
    Ready,
    /// We do it.
    Install(Vec<Action>),
    /// Someone else does it.
    ByHand(ByHand),
}

/// One thing that we do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Install Debian packages.
    Apt {
        /// Their names.
        packages: Vec<&'static str>,
        /// Not as ourselves.
        sudo: bool,
    },
    /// Have rustup add to the toolchain in use.
    Rustup(Vec<&'static str>),
    /// Put Ceilometer into an environment of its own.
    Venv,
    /// Take a kernel and busybox out of Debian's packages.
    Guest,
}

/// What to tell someone who installs by hand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ByHand {
    /// Commands for root.
    pub as_root: Vec<String>,
    /// Commands for whoever builds.
    pub as_user: Vec<String>,
    /// Where there is no command to give.
    pub notes: Vec<String>,
}

// === impl Plan ===

impl Plan {
    /// The plan for a machine. Nothing is done half: if one thing must be installed by hand, all is left to that hand.
    pub fn of(machine: &Machine) -> Self {
        let from = |origin| machine.lacks.iter().copied().filter(|need| need.origin() == origin).collect::<Vec<Need>>();
        let (of_system, of_rust, of_python) = (from(Origin::System), from(Origin::Rust), from(Origin::Python));
        let unpacked = from(Origin::Unpacked);
        if machine.lacks.is_empty() {
            return Self::Ready;
        }
        let apt = machine.os.family == Family::Debian && machine.privilege != Privilege::None;
        let ours = (of_system.is_empty() || apt) && (of_rust.is_empty() || machine.rustup);
        if !ours {
            return Self::ByHand(ByHand::of(machine, &of_system, &of_rust, !of_python.is_empty()));
        }
        let mut actions = Vec::new();
        if let Some(packages) = packages::of(machine.os.family).map(|packages| packages.names(&of_system))
            && !packages.is_empty()
        {
            actions.push(Action::Apt { packages, sudo: machine.privilege == Privilege::Sudo });
        }
        actions.extend(of_rust.into_iter().filter_map(rustup_arguments).map(|args| Action::Rustup(args.to_vec())));
        // Last, as it is made with what comes in packages.
        actions.extend(of_python.first().map(|_| Action::Venv));
        // After lists of packages were brought up to date, if they were.
        actions.extend(unpacked.first().map(|_| Action::Guest));
        Self::Install(actions)
    }
}

/// What rustup is told to do about a need.
fn rustup_arguments(need: Need) -> Option<&'static [&'static str]> {
    match need {
        Need::WasmTarget => Some(&["target", "add", "wasm32-wasip2"]),
        Need::Linters => Some(&["component", "add", "rustfmt", "clippy"]),
        _ => None,
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => Ok(()),
            Self::Install(actions) => {
                writeln!(f, "    This will now be installed:")?;
                actions.iter().try_for_each(|action| writeln!(f, "      - {action}"))
            }
            Self::ByHand(by_hand) => by_hand.fmt(f),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apt { packages, sudo } => {
                let how = if *sudo { ", with sudo" } else { "" };
                write!(f, "packages {}{how}; no service will be started", packages.join(" "))
            }
            Self::Rustup(args) => write!(f, "rustup {}", args.join(" ")),
            Self::Venv => write!(f, "Ceilometer, with pip, into {} below the target folder", venv::FOLDER),
            Self::Guest => write!(
                f,
                "a kernel and busybox, out of Debian's packages and not installed, into {} below the target folder",
                guest::FOLDER
            ),
        }
    }
}

// === impl ByHand ===

impl ByHand {
    fn of(machine: &Machine, of_system: &[Need], of_rust: &[Need], venv: bool) -> Self {
        let mut by_hand = Self::default();
        let packages = packages::of(machine.os.family);
        match packages.map(|packages| (packages, packages.names(of_system))) {
            Some((packages, names)) if !names.is_empty() => {
                let commands = if packages.as_root { &mut by_hand.as_root } else { &mut by_hand.as_user };
                if machine.os.family == Family::Debian {
                    commands.push("apt-get update".to_owned());
                }
                commands.push(format!("{} {}", packages.install, names.join(" ")));
            }
            None if !of_system.is_empty() => {
                by_hand.notes.push("Install the packages of your system in which they come.".to_owned());
            }
            _ => {}
        }
        if of_system.contains(&Need::Libvirt) {
            by_hand.notes.push("Or add --no-libvirt, and build everything but the link to real hosts.".to_owned());
        }
        if !of_rust.is_empty() && !machine.rustup {
            let how = packages.map_or(packages::RUSTUP_ELSEWHERE, |packages| packages.rustup);
            by_hand.notes.push(format!("rustup is not here. To install it: {how}"));
        }
        let rustup = of_rust.iter().copied().filter_map(rustup_arguments);
        by_hand.as_user.extend(rustup.map(|args| format!("rustup {}", args.join(" "))));
        if venv {
            by_hand.notes.push("Ceilometer is installed after that, without asking again.".to_owned());
        }
        by_hand
    }
}

impl fmt::Display for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (who, commands) in [("as root", &self.as_root), ("as yourself", &self.as_user)] {
            if !commands.is_empty() {
                writeln!(f, "    Run {who}:")?;
                commands.iter().try_for_each(|command| writeln!(f, "      {command}"))?;
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "    {note}"))
    }
}

#[cfg(test)]
mod tests;
