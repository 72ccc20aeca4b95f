//! What the documents show is what happens: their files are written, their commands are run, and what those print is
//! compared with what is said.

mod markdown;
mod shell;

use std::fs;
use std::path::Path;

use self::markdown::Step;
use self::shell::Shell;
use crate::support::cloud::Cloud;
use crate::support::program::Folder;

/// The built-in transformers, each with a page.
const TRANSFORMERS: [&str; 8] = wasmeter::config::pipeline::TRANSFORMERS;

/// A host for examples.
const SIM: &str = "sim://?domains=1&calm=true";

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

/// A broker, which is not asked, for publishers that name none.
const BROKER: &str = "broker: {url: 'rabbit://me:pass@127.0.0.1:1/'}\n";

#[test]
fn examples_of_pipelines_are_taken() {
    let reference = document("docs/configuration.md");
    let blocks = markdown::blocks(markdown::section(&reference, "pipeline.yaml"), "yaml");
    assert!(!blocks.is_empty());
    for (_, text) in blocks {
        let folder = Folder::measuring(SIM, &format!("pipeline: pipeline.yaml\n{BROKER}"));
        folder.write("pipeline.yaml", &text);
        folder.run("check").is(0).says("ready to run");
    }
}

/// Each page shows a link of a chain, an entry of `transform`, or what such a transformer is told.
#[test]
fn examples_of_transformers_are_taken() {
    for name in TRANSFORMERS {
        let page = document(&format!("docs/transformers/{name}.md"));
        let blocks = markdown::blocks(&page, "yaml");
        assert!(!blocks.is_empty(), "{name}");
        for (line, text) in blocks {
            let below = |blanks: &str| text.lines().map(|line| format!("{blanks}{line}\n")).collect::<String>();
            let (config, chain) = match text.split_whitespace().next() {
                Some("transform:") => (text.clone(), String::new()),
                Some("-") if text.contains("module:") => (format!("transform:\n{text}"), String::new()),
                Some("-") => (String::new(), below("  ")),
                _ => (String::new(), format!("  - name: {name}\n    parameters:\n{}", below("      "))),
            };
            let folder = Folder::measuring(SIM, &format!("pipeline: pipeline.yaml\n{config}"));
            let sources = "sources: [{name: all, meters: [cpu], sinks: [sink]}]\n";
            let sink = format!("sinks:\n- name: sink\n  publishers: [test]\n  transformers:\n{chain}");
            folder.write("pipeline.yaml", format!("{sources}{sink}"));
            let ran = folder.run("check --json");
            assert!(ran.code == Some(0), "{name}.md:{line}: {}{}", ran.stdout, ran.stderr);
            assert!(ran.stdout.contains(name), "{name}.md:{line}: {}", ran.stdout);
        }
    }
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
            if link.starts_with("https://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if path.is_empty() { Path::new(ROOT).join(name) } else { folder.join(path) };
            assert!(file.exists(), "{name}: {link} leads nowhere");
            if !anchor.is_empty() {
                let anchors = markdown::anchors(&fs::read_to_string(file).unwrap());
                assert!(anchors.iter().any(|known| known == anchor), "{name}: {link} leads to no heading");
            }
        }
    }
}
