//! What each system calls its packages, and how it installs them.

use super::Need;
use crate::os::Family;

/// The packages of one family of systems.
#[derive(Debug)]
pub struct Packages {
    /// The command to which the packages' names are added. Homebrew's is for oneself, all others are for root.
    pub install: &'static str,
    /// For root.
    pub as_root: bool,
    compiler: &'static str,
    pkg_config: &'static str,
    libvirt: &'static str,
    /// How rustup comes to this system.
    pub rustup: &'static str,
}

/// The packages of this family, if we know them.
pub fn of(family: Family) -> Option<&'static Packages> {
    match family {
        Family::Debian => Some(&DEBIAN),
        Family::RedHat => Some(&RED_HAT),
        Family::Arch => Some(&ARCH),
        Family::Alpine => Some(&ALPINE),
        Family::Suse => Some(&SUSE),
        Family::MacOs => Some(&MAC_OS),
        Family::Other => None,
    }
}

/// How rustup comes to a system that has no package of it.
pub const RUSTUP_ELSEWHERE: &str = "see https://rustup.rs";

static DEBIAN: Packages = Packages {
    install: "apt-get install --yes --no-install-recommends",
    as_root: true,
    compiler: "gcc libc6-dev",
    pkg_config: "pkg-config",
    libvirt: "libvirt-dev",
    rustup: RUSTUP_ELSEWHERE,
};

static RED_HAT: Packages = Packages {
    install: "dnf install",
    as_root: true,
    compiler: "gcc",
    pkg_config: "pkgconf-pkg-config",
    // RHEL and its rebuilds have it in the CodeReady Builder repository.
    libvirt: "libvirt-devel",
    rustup: "dnf install rustup && rustup-init",
};

static ARCH: Packages = Packages {
    install: "pacman -S --needed",
    as_root: true,
    compiler: "gcc",
    pkg_config: "pkgconf",
    libvirt: "libvirt",
    rustup: "pacman -S rustup && rustup default stable",
};

static ALPINE: Packages = Packages {
    install: "apk add",
    as_root: true,
    compiler: "gcc musl-dev",
    pkg_config: "pkgconf",
    libvirt: "libvirt-dev",
    rustup: "apk add rustup && rustup-init",
};

static SUSE: Packages = Packages {
    install: "zypper install",
    as_root: true,
    compiler: "gcc",
    pkg_config: "pkg-config",
    libvirt: "libvirt-devel",
    rustup: "zypper install rustup && rustup default stable",
};

static MAC_OS: Packages = Packages {
    install: "brew install",
    as_root: false,
    // Homebrew itself does not work without one.
    compiler: "",
    pkg_config: "pkgconf",
    libvirt: "libvirt",
    rustup: "brew install rustup && rustup default stable",
};

impl Packages {
    /// The packages, if any, that these needs come in.
    pub fn names(&self, needs: &[Need]) -> Vec<&'static str> {
        let names = needs.iter().map(|need| match need {
            Need::Compiler => self.compiler,
            Need::PkgConfig => self.pkg_config,
            Need::Libvirt => self.libvirt,
            Need::WasmTarget | Need::Linters => "",
        });
        names.flat_map(str::split_whitespace).collect()
    }
}
