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
    /// On Debian the same as the rig's own list.
    rig: &'static str,
    uidmap: &'static str,
    systemd: &'static str,
    valgrind: &'static str,
    minisign: &'static str,
    rabbitmq: &'static str,
    prometheus: &'static str,
    python: &'static str,
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
    rig: "libvirt-daemon libvirt-clients libvirt-daemon-config-nwfilter qemu-system-x86 qemu-utils iproute2 iptables \
        ebtables mount util-linux",
    uidmap: "uidmap",
    systemd: "systemd",
    valgrind: "valgrind",
    minisign: "minisign",
    rabbitmq: "rabbitmq-server",
    prometheus: "prometheus",
    python: "python3-venv python3-dev",
    rustup: RUSTUP_ELSEWHERE,
};

static RED_HAT: Packages = Packages {
    install: "dnf install",
    as_root: true,
    compiler: "gcc",
    pkg_config: "pkgconf-pkg-config",
    // RHEL and its rebuilds have it in the CodeReady Builder repository.
    libvirt: "libvirt-devel",
    rig: "libvirt-daemon libvirt-client libvirt-daemon-driver-qemu libvirt-daemon-config-nwfilter qemu-system-x86-core \
        qemu-img iproute iptables-nft ebtables util-linux",
    uidmap: "shadow-utils",
    systemd: "systemd",
    valgrind: "valgrind",
    minisign: "minisign",
    rabbitmq: "rabbitmq-server",
    prometheus: "golang-github-prometheus",
    python: "python3-devel",
    rustup: "dnf install rustup && rustup-init",
};

static ARCH: Packages = Packages {
    install: "pacman -S --needed",
    as_root: true,
    compiler: "gcc",
    pkg_config: "pkgconf",
    libvirt: "libvirt",
    rig: "libvirt qemu-system-x86 qemu-img iproute2 iptables-nft util-linux",
    uidmap: "shadow",
    systemd: "systemd",
    valgrind: "valgrind",
    minisign: "minisign",
    rabbitmq: "rabbitmq",
    prometheus: "prometheus",
    python: "python",
    rustup: "pacman -S rustup && rustup default stable",
};

static ALPINE: Packages = Packages {
    install: "apk add",
    as_root: true,
    compiler: "gcc musl-dev",
    pkg_config: "pkgconf",
    libvirt: "libvirt-dev",
    rig: "libvirt-daemon libvirt-client libvirt-qemu qemu-system-x86_64 qemu-img iproute2 iptables ebtables bash \
        util-linux-misc",
    uidmap: "shadow-subids",
    systemd: "",
    valgrind: "valgrind",
    minisign: "minisign",
    rabbitmq: "rabbitmq-server",
    prometheus: "prometheus",
    python: "python3-dev",
    rustup: "apk add rustup && rustup-init",
};

static SUSE: Packages = Packages {
    install: "zypper install",
    as_root: true,
    compiler: "gcc",
    pkg_config: "pkg-config",
    libvirt: "libvirt-devel",
    rig: "libvirt-daemon libvirt-client libvirt-daemon-driver-qemu libvirt-daemon-config-nwfilter qemu-x86 qemu-img \
        iproute2 iptables ebtables util-linux",
    uidmap: "shadow",
    systemd: "systemd",
    valgrind: "valgrind",
    minisign: "minisign",
    rabbitmq: "rabbitmq-server",
    prometheus: "golang-github-prometheus-prometheus",
    python: "python3-devel",
    rustup: "zypper install rustup && rustup default stable",
};

static MAC_OS: Packages = Packages {
    install: "brew install",
    as_root: false,
    // Homebrew itself does not work without one.
    compiler: "",
    pkg_config: "pkgconf",
    libvirt: "libvirt",
    // libvirtd runs guests on Linux only.
    rig: "",
    uidmap: "",
    systemd: "",
    valgrind: "",
    minisign: "minisign",
    rabbitmq: "rabbitmq",
    prometheus: "prometheus",
    python: "python",
    rustup: "brew install rustup && rustup default stable",
};

impl Packages {
    /// The packages, if any, that these needs come in.
    pub fn names(&self, needs: &[Need]) -> Vec<&'static str> {
        let names = needs.iter().map(|need| match need {
            Need::Compiler => self.compiler,
            Need::PkgConfig => self.pkg_config,
            Need::Libvirt => self.libvirt,
            Need::Rig => self.rig,
            Need::Uidmap => self.uidmap,
            Need::Systemd => self.systemd,
            Need::Valgrind => self.valgrind,
            Need::Minisign => self.minisign,
            Need::RabbitMq => self.rabbitmq,
            Need::Prometheus => self.prometheus,
            Need::Python => self.python,
            Need::WasmTarget | Need::Linters | Need::Ceilometer | Need::Guest => "",
        });
        names.flat_map(str::split_whitespace).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rigs_packages_are_those_it_names() {
        assert_eq!(DEBIAN.names(&[Need::Rig]), wasmeter_rig::PACKAGES);
        assert_eq!(DEBIAN.names(&[Need::RabbitMq]), [wasmeter_rig::RABBIT_PACKAGE]);
    }
}
