//! What `etc/` gives to systemd, to polkit and to the daemon is what they take, and its files agree with each other.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::daemon;
use crate::support::program::run;

/// The folder with all of it.
const ETC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc");
/// Where the unit has the program.
const PROGRAM: &str = "/usr/bin/wasmeter";
/// What `systemd-analyze security` may find, of 10.
const EXPOSURE: f64 = 2.0;

fn text(name: &str) -> String {
    fs::read_to_string(Path::new(ETC).join(name)).unwrap()
}

/// What the unit sets this to; nothing if it does not.
fn setting(unit: &str, name: &str) -> String {
    let values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.collect::<Vec<_>>().join(" ")
}

/// Asks about a unit with this text. The program is where the tests have it.
fn systemd_analyze(arguments: &[&str], unit: &str) -> Output {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("wasmeter.service");
    fs::write(&path, unit.replace(PROGRAM, &daemon().display().to_string())).unwrap();
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(arguments).arg("--no-pager").arg(&path).env("LC_ALL", "C.UTF-8").env_remove("SYSTEMD_LOG_LEVEL");
    analyze.output().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!("systemd-analyze is missing: install the package `systemd`"),
        _ => panic!("systemd-analyze: {error}"),
    })
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Mistakes that systemd reads over are words and no failure.
fn mistakes(unit: &str) -> Option<String> {
    let output = systemd_analyze(&["verify", "--man=no", "--recursive-errors=no"], unit);
    let words = words(&output);
    (!output.status.success() || !words.is_empty()).then_some(words)
}

fn exposure(unit: &str) -> f64 {
    let output = systemd_analyze(&["security", "--offline=true"], unit);
    let words = words(&output);
    let score = words.lines().find_map(|line| line.split_once("Overall exposure level for wasmeter.service: "));
    let score = score.and_then(|(_, score)| score.split_whitespace().next()?.parse().ok());
    score.unwrap_or_else(|| panic!("no exposure in:\n{words}"))
}

#[test]
fn the_unit_has_no_mistakes() {
    let unit = text("wasmeter.service");
    assert_eq!(mistakes(&unit), None);
    assert!(mistakes(&unit.replace("ProtectHome=yes", "ProtectHime=yes")).is_some(), "mistakes go unseen");
}

#[test]
fn the_unit_leaves_little_to_attack() {
    let unit = text("wasmeter.service");
    let exposed = exposure(&unit);
    assert!(exposed <= EXPOSURE, "the exposure is {exposed}, more than {EXPOSURE}");
    assert!(exposure("[Service]\nExecStart=/usr/bin/wasmeter\n") > EXPOSURE, "exposure goes unseen");
}

#[test]
fn the_same_user_is_everywhere() {
    let unit = text("wasmeter.service");
    let (user, group) = (setting(&unit, "User"), setting(&unit, "Group"));
    let sysusers = text("sysusers.d/wasmeter.conf");
    assert!(sysusers.lines().any(|line| line.starts_with(&format!("u {user} "))), "no {user} in:\n{sysusers}");
    assert_eq!(user, group, "sysusers makes one of each");
    let rules = text("polkit-1/rules.d/50-wasmeter.rules");
    assert!(rules.contains(&format!("subject.user !== \"{user}\"")), "no {user} in:\n{rules}");
}

/// Folders that are made by both are made alike.
#[test]
fn folders_agree() {
    let unit = text("wasmeter.service");
    let tmpfiles = text("tmpfiles.d/wasmeter.conf");
    let mut seen = BTreeSet::new();
    for line in tmpfiles.lines().filter(|line| line.starts_with("d ")) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (parent, name) = fields[1].rsplit_once('/').unwrap();
        let (kind, owner) = match parent {
            "/etc" => ("ConfigurationDirectory", "root"),
            "/var/cache" => ("CacheDirectory", "wasmeter"),
            "/var/lib" => ("StateDirectory", "wasmeter"),
            "/var/log" => ("LogsDirectory", "wasmeter"),
            _ => panic!("the unit does not make {parent}"),
        };
        assert_eq!(name, setting(&unit, kind), "{line}");
        assert_eq!(fields[2], setting(&unit, &format!("{kind}Mode")), "{line}");
        assert_eq!(fields[3..5], [owner, "wasmeter"], "{line}");
        seen.insert(kind);
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

/// A call that is not there is one that the daemon does not make.
#[test]
fn polkit_allows_to_look_and_nothing_else() {
    let rules = text("polkit-1/rules.d/50-wasmeter.rules");
    let quoted = rules.split('"').skip(1).step_by(2).filter_map(|text| text.strip_prefix("org.libvirt."));
    let allowed: BTreeSet<&str> = quoted.filter(|action| !action.is_empty()).collect();
    let wanted = [
        "unix.monitor",
        "api.connect.getattr",
        "api.connect.read",
        "api.connect.search-domains",
        "api.domain.getattr",
        "api.domain.read",
    ];
    assert_eq!(allowed, BTreeSet::from(wanted));
}

/// On the simulated host, and with folders of the test's.
#[test]
fn the_configuration_of_a_compute_node_is_accepted() {
    let unit = text("wasmeter.service");
    let config = text("wasmeter/wasmeter.yaml");
    assert!(config.contains("\nhypervisor: qemu:///system\n"), "{config}");
    assert!(setting(&unit, "ExecStart").ends_with(" -c /etc/wasmeter/wasmeter.yaml"), "{unit}");
    let folder = TempDir::new().unwrap();
    let place = |path: &str| folder.path().join(path);
    for path in ["var/lib/wasmeter", "var/cache"] {
        fs::create_dir_all(place(path)).unwrap();
    }
    fs::write(place("wasmeter.yaml"), config.replace("/var/", &format!("{}/", place("var").display()))).unwrap();
    fs::write(place("polling.yaml"), text("wasmeter/polling.yaml")).unwrap();
    let line = format!("check -c {} --hypervisor sim://?domains=2&calm=true", place("wasmeter.yaml").display());
    let ran = run(&line).is(0).says("ready to run");
    assert!(!ran.stdout.contains("warning") && ran.stderr.is_empty(), "{}{}", ran.stdout, ran.stderr);
    assert!(place("var/cache/wasmeter").exists(), "it compiled into another folder");
}

/// All but the three samples at the top, which are for those who write a configuration of their own.
#[test]
fn every_file_is_installed_by_the_document() {
    let document = fs::read_to_string(Path::new(ETC).join("../docs/install.md")).unwrap();
    let mut missing = files(Path::new(ETC));
    missing.retain(|path| {
        let name = path.strip_prefix(ETC).unwrap().to_str().unwrap();
        !document.contains(&format!("etc/{name} "))
            && !["wasmeter.yaml", "polling.yaml", "pipeline.yaml"].contains(&name)
    });
    assert!(missing.is_empty(), "docs/install.md says nothing of {missing:?}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
