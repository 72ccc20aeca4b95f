//! Everything but the daemon: what each subcommand prints, and how it ends.

mod authors;
mod cases;
mod check;
mod deploying;
mod explain;
mod import;
mod inspect;
mod missing;
mod once;
mod pipelines;
mod prometheus;
mod record;
mod terminal;

use crate::support::program::{Folder, run};

#[test]
fn every_subcommand_has_examples() {
    for line in [
        "run",
        "once",
        "check",
        "explain",
        "import",
        "record",
        "completion",
        "pipeline graph",
        "module new",
        "module build",
        "module test",
        "module bench",
        "module watch",
        "module list",
        "module inspect",
        "module run",
        "module deploy",
        "module show",
        "module logs",
        "module diff",
        "module pause",
        "module resume",
        "module rollback",
        "module remove",
    ] {
        run(&format!("{line} --help")).is(0).says("Examples:\n  wasmeter ").says("Usage: wasmeter ");
    }
    run("--help").is(0).says("Exit codes:").says("SIGHUP");
    run("--version").is(0).says("wasmeter 0.");
}

#[test]
fn wrong_command_lines_are_told_from_everything_else() {
    for (line, words) in [
        ("", "Usage: wasmeter"),
        ("ruin", "similar"),
        ("deploy probe.wasm", "'module deploy'"),
        ("graph", "'pipeline graph'"),
        ("run --cycles many", "'many'"),
        ("run --cycles -1", "'-1'"),
        ("run --nonsense", "--nonsense"),
        ("once --format xml", "possible values: table, json, prometheus"),
        ("once --hypervisor", "--hypervisor"),
        ("explain cpu", "GUEST"),
        ("record", "FILE"),
        ("record x --slots 0", "0 is not in 1..="),
        ("record x --interval 10", "not a duration such as 500ms, 2.5s, 2m or 1h"),
        ("pipeline", "Usage: wasmeter pipeline"),
        ("pipeline graph --format xml", "possible values: text, dot, json"),
        ("module", "Usage: wasmeter module"),
        ("module inspect", "FILE"),
        ("module new", "NAME"),
        ("module new x --kind publisher", "possible values: pollster, transformer"),
        ("module new Traffic", "\"Traffic\" is no name for a module: write small letters"),
        ("module new match", "it is a word of Rust; add another one, such as my-match"),
        ("module build nowhere", "nowhere has no Cargo.toml: name the folder of a module, or make one with"),
        ("module test nowhere.wasm", "a file has no cases of its own; name their folder with --cases"),
        ("module test nowhere.wasm --cases nowhere", "nowhere cannot be read"),
        ("module bench disk --resources 0", "0 is not in 1..=100000"),
        ("module bench delta", "delta is a transformer; say what it is to be handed"),
        ("module bench disk --meters cpu", "disk is a pollster, which is handed no meters"),
        ("module watch nowhere", "nowhere has no Cargo.toml"),
        ("module run disk --slots x", "'x'"),
        ("module run disk --slots 0", "0 is not in 1..="),
        ("completion tcsh", "possible values: bash"),
    ] {
        let ran = run(line).is(64).complains(words);
        assert_eq!(ran.stdout, "", "{line}");
    }
}

#[test]
fn completions_are_made_for_each_shell() {
    for (shell, words) in [("bash", "complete -F"), ("zsh", "#compdef wasmeter"), ("fish", "complete -c wasmeter")] {
        run(&format!("completion {shell}")).is(0).says(words).says("inspect");
    }
}

/// A host that cannot be is a mistake of whoever wrote it; a host that does not answer is not.
#[test]
fn hosts_that_cannot_be_and_hosts_that_do_not_answer() {
    let folder = Folder::new("");
    for line in
        ["run --cycles 1", "once", "check", "explain cpu x", "record new", "module run disk", "module inspect disk"]
    {
        for (uri, code, words) in [
            ("sim://?domain=3", 64, "no parameter \"domain\"; write one of domains"),
            ("recording:", 64, "recording:FILE"),
            ("recording:nowhere", 69, "nowhere"),
        ] {
            let ran = folder.run(&format!("{line} --hypervisor {uri}"));
            assert_eq!(ran.code, Some(code), "{line} {uri}: {}{}", ran.stdout, ran.stderr);
            assert!(ran.stderr.contains(words) || ran.stdout.contains(words), "{line} {uri}: {}", ran.stderr);
        }
    }
}

#[test]
fn configurations_that_cannot_be_are_named_with_their_lines() {
    for (config, polling, words) in [
        ("hots: a", "", "wasmeter.yaml:2:1: error: unknown key `hots`. Did you mean `host`?"),
        ("reader:\n  watchdog: 5", "", "wasmeter.yaml:3:13: error: `reader.watchdog` is `5`: no unit"),
        ("", "sources: [", "polling.yaml:1:10: error: not valid YAML: unclosed bracket"),
        ("", "sources:\n  - {name: a, interval: 0, meters: [cpu]}\n", "polling.yaml:2:25: error: source `a`: Interval"),
        ("", "sources:\n  - {name: a, interval: 9}\n", "polling.yaml:2:5: error: source `a`: Missing meters value"),
        ("", "sources:\n  - {name: a, interval: 9, meters: [*]}\n", "polling.yaml:2:37: error: not valid YAML"),
    ] {
        let folder = Folder::new(&format!("polling: polling.yaml\n{config}"));
        folder.write("polling.yaml", polling);
        if polling.is_empty() {
            folder.poll(&["*"]);
        }
        for line in [
            "run --cycles 1",
            "once",
            "explain cpu x",
            "record new",
            "module run disk",
            "module list",
            "module show t/n",
        ] {
            folder.run(line).is(64).complains(words);
        }
        folder.run("check").is(64).says(words);
    }
    run("once -c nowhere.yaml").is(64).complains("nowhere.yaml: error: the file cannot be read");
}

/// libvirt would take it for any host that it finds.
#[test]
fn no_host_is_no_host() {
    let folder = Folder::new("");
    let mut once = folder.command("once");
    let output = once.args(["--hypervisor", ""]).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{words}");
    assert!(words.contains("it names no host; write sim://"), "{words}");
}

/// Whoever reads may have seen enough.
#[test]
fn nobody_has_to_read_what_is_printed() {
    let folder = Folder::new("");
    for line in [
        "check",
        "check --json",
        "once",
        "module list",
        "module list --json",
        "module list --built-in",
        "module inspect disk",
        "module run disk",
    ] {
        let (code, words) = folder.run_unread(line);
        assert_eq!(code, Some(0), "{line}: {words}");
        assert!(!words.contains("panicked"), "{line}: {words}");
    }
    // Nor what is complained of.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut refused = folder.command("module inspect delta --meters cpu");
    assert_eq!(refused.stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap().code(), Some(70));
}

/// What has no end, or waits for somebody, is not read.
#[test]
fn only_files_are_read() {
    let folder = Folder::new("");
    folder.pipe("pipe");
    for what in ["/dev/zero", "pipe"] {
        let words = "it is a pipe or a device, not a file";
        folder.run(&format!("module inspect {what}")).is(64).complains(words);
    }
    folder.run("module inspect /").is(64).complains("directory");
    run(&format!("once -c {}", folder.path("pipe").display())).is(64).complains("it is a pipe or a device");
}
