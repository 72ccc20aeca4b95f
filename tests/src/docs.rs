//! What the documents show is what happens: their files are written, their commands are run, and what those print is
//! compared with what is said.

mod markdown;
mod shell;

use std::fs;
use std::path::Path;

use self::markdown::Step;
use self::shell::Shell;
use crate::support::cloud::Cloud;

/// The top folder of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

#[test]
fn a_pollster_is_written_as_described() {
    let name = "docs/write-a-pollster.md";
    let mut shell = Shell::beside(Path::new(ROOT));
    for (line, step) in markdown::steps(&document(name)) {
        match step {
            Step::File { path, text } => shell.write(&path, &text),
            Step::Command { command, shown } => shell.run(&command, &shown, &format!("{name}:{line}")),
        }
    }
    // Packages go by their paths, which are others in the next run.
    for profile in ["--profile dev", "--release --target wasm32-wasip2"] {
        shell.run(&format!("cargo clean {profile} --package traffic --package wasmeter-sdk"), &[], name);
    }
}

#[test]
fn a_module_is_developed_as_described() {
    let name = "docs/develop-a-module.md";
    let mut shell = Shell::beside(Path::new(ROOT));
    for (line, step) in markdown::steps(&document(name)) {
        match step {
            Step::File { path, text } => shell.write(&path, &text),
            Step::Command { command, shown } => shell.run(&command, &shown, &format!("{name}:{line}")),
        }
    }
    for profile in ["--profile dev", "--release --target wasm32-wasip2"] {
        shell.run(&format!("cargo clean {profile} --package uplink --package wasmeter-sdk"), &[], name);
    }
}

#[test]
fn a_pipeline_is_tested_as_described() {
    let name = "docs/pipelines.md";
    let (mut shell, mut ran) = (Shell::beside(Path::new(ROOT)), 0);
    for (line, step) in markdown::steps(&document(name)) {
        match step {
            Step::File { path, text } => shell.write(&path, &text),
            Step::Command { command, shown } => {
                shell.run(&command, &shown, &format!("{name}:{line}"));
                ran += 1;
            }
        }
    }
    assert!(ran > 0, "{name} shows no command");
}

/// Those that build this repository are left out.
#[test]
fn commands_of_the_readme_work() {
    let name = "README.md";
    let (mut shell, mut ran) = (Shell::beside(Path::new(ROOT)), 0);
    for (line, step) in markdown::steps(&document(name)) {
        match step {
            Step::Command { command, shown } if command.starts_with("wasmeter ") => {
                shell.run(&command, &shown, &format!("{name}:{line}"));
                ran += 1;
            }
            _ => {}
        }
    }
    assert!(ran > 0, "{name} shows no command of wasmeter's");
}

/// With a daemon that has the tenant, the module and a socket of its own.
#[test]
fn modules_are_deployed_as_described() {
    let name = "docs/tenants.md";
    let (cloud, mut shell, mut ran) = (Cloud::new(""), Shell::beside(Path::new(ROOT)), 0);
    shell.write("probe.wasm", fs::read(cloud.folder.path("probe.wasm")).unwrap());
    shell.write("growth.wasm", wasmeter::modules::built_in().find(|module| module.name == "delta").unwrap().wasm);
    let daemon = cloud.folder.start("run");
    let socket = cloud.folder.path("control.sock");
    for (line, step) in markdown::steps(&document(name)) {
        if let Step::Command { command, shown } = step {
            shell.run(&format!("{command} --socket {}", socket.display()), &shown, &format!("{name}:{line}"));
            ran += 1;
        }
    }
    assert!(ran > 0, "{name} shows no command of wasmeter's");
    daemon.end();
}

/// A setting is a line of the sample that begins with # and no blank.
#[test]
fn every_setting_is_in_the_reference() {
    let reference = document("docs/configuration.md");
    let words: Vec<&str> = reference.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let sample = document("etc/wasmeter.yaml");
    let settings = sample.lines().filter_map(|line| line.trim_start().strip_prefix('#'));
    let keys = settings.filter(|line| !line.starts_with(' ')).flat_map(markdown::keys);
    let missing: Vec<&str> = keys.filter(|key| !words.contains(key)).collect();
    assert!(missing.is_empty(), "docs/configuration.md says nothing of {missing:?}");
}

#[test]
fn links_lead_somewhere() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/compatibility.md",
        "docs/configuration.md",
        "docs/develop-a-module.md",
        "docs/install.md",
        "docs/operate.md",
        "docs/pipelines.md",
        "docs/tenants.md",
        "docs/transformers.md",
        "docs/transformers/accumulator.md",
        "docs/transformers/aggregator.md",
        "docs/transformers/arithmetic.md",
        "docs/transformers/delta.md",
        "docs/transformers/rate_of_change.md",
        "docs/transformers/relabel.md",
        "docs/transformers/threshold.md",
        "docs/transformers/unit_conversion.md",
        "docs/write-a-pollster.md",
        "pollsters/examples/guest-pressure/README.md",
        "pollsters/examples/idle-guest/README.md",
    ] {
        let text = document(name);
        let folder = Path::new(ROOT).join(name);
        let folder = folder.parent().unwrap();
        for link in markdown::links(&text) {
            let path = link.split('#').next().unwrap();
            let is_here = link.starts_with("https://") || folder.join(path).exists();
            assert!(is_here, "{name}: {link} leads nowhere");
        }
    }
}
