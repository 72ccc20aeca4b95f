use super::*;
use crate::os::Os;
use crate::setup::EVERYTHING;

const BARE: &[Need] = &[Need::Compiler, Need::PkgConfig, Need::Libvirt, Need::WasmTarget];

fn machine(family: Family, privilege: Privilege, lacks: &[Need]) -> Machine {
    let os = Os { family, name: String::new() };
    Machine { os, privilege, rustup: true, lacks: lacks.to_vec() }
}

fn by_hand(machine: &Machine) -> ByHand {
    match Plan::of(machine) {
        Plan::ByHand(by_hand) => by_hand,
        plan => panic!("{plan:?}"),
    }
}

#[test]
fn all_present() {
    for family in [Family::Debian, Family::RedHat, Family::Other] {
        assert_eq!(Plan::of(&machine(family, Privilege::None, &[])), Plan::Ready);
    }
}

#[test]
fn debian_with_privilege() {
    for (privilege, sudo) in [(Privilege::Root, false), (Privilege::Sudo, true)] {
        let plan = Plan::of(&machine(Family::Debian, privilege, BARE));
        let packages = vec!["gcc", "libc6-dev", "pkg-config", "libvirt-dev"];
        let rustup = vec!["target", "add", "wasm32-wasip2"];
        assert_eq!(plan, Plan::Install(vec![Action::Apt { packages, sudo }, Action::Rustup(rustup)]));
    }
}

#[test]
fn only_what_is_lacking_is_installed() {
    let plan = Plan::of(&machine(Family::Debian, Privilege::Root, &[Need::Libvirt]));
    assert_eq!(plan, Plan::Install(vec![Action::Apt { packages: vec!["libvirt-dev"], sudo: false }]));
}

#[test]
fn debian_without_privilege() {
    let plan = by_hand(&machine(Family::Debian, Privilege::None, BARE));
    let install = "apt-get install --yes --no-install-recommends gcc libc6-dev pkg-config libvirt-dev";
    assert_eq!(plan.as_root, ["apt-get update", install]);
    assert_eq!(plan.as_user, ["rustup target add wasm32-wasip2"]);
    let text = plan.to_string();
    assert!(text.starts_with("    Run as root:\n      apt-get update\n"), "{text}");
}

#[test]
fn what_rustup_adds_needs_no_privilege() {
    for family in [Family::Debian, Family::RedHat, Family::Other] {
        let plan = Plan::of(&machine(family, Privilege::None, &[Need::WasmTarget, Need::Linters]));
        let target = Action::Rustup(vec!["target", "add", "wasm32-wasip2"]);
        let linters = Action::Rustup(vec!["component", "add", "rustfmt", "clippy"]);
        assert_eq!(plan, Plan::Install(vec![target, linters]));
    }
}

#[test]
fn other_systems_get_names_even_as_root() {
    let expected = [
        (Family::RedHat, "dnf install gcc pkgconf-pkg-config libvirt-devel"),
        (Family::Arch, "pacman -S --needed gcc pkgconf libvirt"),
        (Family::Alpine, "apk add gcc musl-dev pkgconf libvirt-dev"),
        (Family::Suse, "zypper install gcc pkg-config libvirt-devel"),
    ];
    for (family, command) in expected {
        let plan = by_hand(&machine(family, Privilege::Root, BARE));
        assert_eq!(plan.as_root, [command]);
    }
    let plan = by_hand(&machine(Family::MacOs, Privilege::None, &[Need::Libvirt]));
    assert_eq!((plan.as_root, plan.as_user), (vec![], vec!["brew install libvirt".to_owned()]));
}

#[test]
fn an_unknown_system_gets_advice() {
    let plan = by_hand(&machine(Family::Other, Privilege::Root, EVERYTHING));
    assert!(plan.as_root.is_empty());
    assert_eq!(plan.notes.len(), 3, "{plan}");
}

#[test]
fn no_rustup() {
    let without = Machine { rustup: false, ..machine(Family::Arch, Privilege::Root, &[Need::WasmTarget]) };
    let plan = by_hand(&without);
    assert_eq!(plan.notes, ["rustup is not here. To install it: pacman -S rustup && rustup default stable"]);
    assert_eq!(plan.as_user, ["rustup target add wasm32-wasip2"]);

    let without = Machine { rustup: false, ..machine(Family::Debian, Privilege::Root, BARE) };
    assert_eq!(by_hand(&without).as_root.len(), 2);
}

#[test]
fn ceilometer_comes_after_what_it_is_made_with() {
    let lacks = &[Need::Ceilometer, Need::Python, Need::RabbitMq];
    let plan = Plan::of(&machine(Family::Debian, Privilege::Root, lacks));
    let packages = vec!["python3-venv", "python3-dev", "rabbitmq-server"];
    assert_eq!(plan, Plan::Install(vec![Action::Apt { packages, sudo: false }, Action::Venv]));
    assert_eq!(
        Plan::of(&machine(Family::Other, Privilege::None, &[Need::Ceilometer])),
        Plan::Install(vec![Action::Venv])
    );
}

#[test]
fn guests_need_no_privilege() {
    let plan = Plan::of(&machine(Family::Debian, Privilege::None, &[Need::Guest]));
    assert_eq!(plan, Plan::Install(vec![Action::Guest]));
    let plan = Plan::of(&machine(Family::Debian, Privilege::Root, &[Need::Guest, Need::Libvirt]));
    let packages = vec!["libvirt-dev"];
    assert_eq!(plan, Plan::Install(vec![Action::Apt { packages, sudo: false }, Action::Guest]));
}
