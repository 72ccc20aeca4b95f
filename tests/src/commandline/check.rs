//! `wasmeter check`: everything that can be wrong, before anything runs.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use rustix::process::geteuid;

use crate::support::program::{Folder, Ran};
use crate::support::resources;

const SIM: &str = "sim://?domains=3&calm=true";

/// Nobody, who has no groups.
const NOBODY: u32 = 65_534;

/// A folder whose source has meters, and whatever else.
fn folder(config: &str, source: &str) -> Folder {
    let folder = Folder::measuring(SIM, config);
    folder.write("polling.yaml", format!("sources:\n  - name: a\n    interval: 9\n    {source}\n"));
    folder
}

#[test]
fn what_is_right_is_ready() {
    let folder = folder("", "meters: ['*']");
    let ran = folder.run("check").is(0).says("guests      3").says("ready to run\n");
    assert!(!ran.stdout.contains("warning") && !ran.stdout.contains("not ready"), "{}", ran.stdout);
    let report = folder.run("check --json").is(0).json();
    assert_eq!(report["problems"], serde_json::json!([]));
    assert_eq!(report["guests"], 3);
    assert_eq!(report["config"]["hypervisor"], SIM);
    assert!(report["modules"].as_array().unwrap().iter().any(|name| name == "disk"));
    let growth = "transform: [{meters: [cpu], module: delta, config: {target: {name: growth}}}]";
    self::folder(growth, "meters: ['*']")
        .run("check")
        .is(0)
        .says("modules     cpu disk flavor memory network perf power delta\n");
}

#[test]
fn what_may_not_be_meant_is_a_warning() {
    let folder = folder("", "meters: [cpu_util]\n    metres: []");
    let ran = folder.run("check").is(0).says("ready to run, with warnings");
    assert!(ran.stdout.contains("polling.yaml:5:5: warning: unknown key `metres`. Did you mean `meters`?"));
    assert!(ran.stdout.contains("polling.yaml:2:5: warning: source a matches no meter of any module that is on. See "));
}

/// Agents that share a file find what is theirs: Mitaka's compute agent warns, too.
#[test]
fn a_discovery_of_other_agents_costs_what_only_they_give() {
    let hardware = "meters: ['hardware.*']\n    discovery: [tripleo_overcloud_nodes]";
    let folder = folder("", hardware);
    let ran = folder.run("check").is(0).says("ready to run, with warnings");
    let words = "polling.yaml:2:5: warning: source a: there is no discovery \"tripleo_overcloud_nodes\". Remove the \
                 source, unless another agent reads the file: it finds nothing here";
    assert!(ran.stdout.contains(words), "{}", ran.stdout);
}

/// A project that is written wrongly is none that somebody has here.
#[test]
fn tenants_are_said_to_have_guests_or_none() {
    let report = Folder::measuring(SIM, "").run("once --format json").is(0).stdout;
    let sample: serde_json::Value = serde_json::from_str(report.lines().next().unwrap()).unwrap();
    let project = sample["project_id"].as_str().unwrap();
    let wrong = format!("{}x", &project[..project.len() - 1]);
    let check = |project: &str| {
        folder(&format!("tenants: {{acme: {{projects: ['{project}', p]}}, shop: {{projects: [q]}}}}"), "meters: [cpu]")
    };
    let ran = check(project).run("check").is(0).says("tenants     acme (").says(", shop (no guest here)\n");
    assert!(ran.says("guest").stdout.ends_with("\nready to run\n"));
    let ran = check(&wrong).run("check").is(0).says("tenants     acme (no guest here), shop (no guest here)\n");
    let words = format!("no guest here is of {wrong}, a project of acme. Did you mean {project}?");
    ran.says(&words).says("ready to run, with warnings");
    assert_eq!(check(&wrong).run("check --json").is(0).json()["tenants"], serde_json::json!({"acme": 0, "shop": 0}));
}

#[test]
fn what_cannot_be_is_an_error() {
    for (config, source, words) in [
        ("host: a b", "meters: [cpu]", "wasmeter.yaml:3:7: error: `host` is `a b`: not a host name. Write it without"),
        ("", "meters: []", "polling.yaml:4:13: error: source `a`: No meters specified. Name some, or write"),
        (
            "",
            "meters: [cpu]\n    discovery: [nova]",
            "polling.yaml:2:5: error: source a: there is no discovery \"nova\". Write local_instances or local_node",
        ),
    ] {
        let folder = folder(config, source);
        folder.run("check").is(64).says(words).says("not ready to run");
        let report = folder.run("check --json").is(64).json();
        let problem = &report["problems"][0];
        assert_eq!(problem["severity"], "error");
        let file = words.split(':').next().unwrap();
        assert_eq!(problem["file"], file);
        assert_eq!(problem["line"].to_string(), words.split(':').nth(1).unwrap());
        for key in ["message", "remedy", "key"] {
            assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {problem}");
        }
    }
}

#[test]
fn modules_that_are_refused_are_named_with_their_lines() {
    let core = wat::parse_str("(module (func (export \"poll\")))").unwrap();
    for (module, content, words) in [
        ("core.wasm", &core[..], "this is a core module, not a component"),
        ("text.wasm", b"#!/bin/sh", "this is not WebAssembly"),
        ("cut.wasm", b"\0as", "cut short"),
    ] {
        let folder = folder(
            &format!("modules:\n  good: {{file: {}}}\n  mine: {{file: {module}}}", resources()),
            "meters: ['*']",
        );
        folder.write(module, content);
        let place = "wasmeter.yaml:5:3: error: the module mine was refused: ";
        folder.run("check").is(70).says(place).says(words).says("Take the whole file of a component");
        let problems = folder.run("check --json").is(70).json()["problems"].clone();
        assert_eq!((&problems[0]["line"], &problems[1]), (&5.into(), &serde_json::Value::Null));
        folder.run("run --cycles 1").is(70).complains(place).complains(words);
        folder.run("once").is(70).complains(place).complains(words);
    }
    let missing = folder("modules:\n  mine: {file: nowhere.wasm}", "meters: ['*']");
    missing.run("check").is(70).says("nowhere.wasm cannot be read: No such file");
}

#[test]
fn limits_that_are_too_low_are_what_to_change() {
    let folder = folder("modules: {disk: {fuel_base: 1}}", "meters: ['*']");
    folder.run("check").is(70).says("all fuel consumed").says("raise fuel_base, of the module or under sandbox");
}

/// A host that the command line names stands in no file.
#[test]
fn what_the_command_line_names_is_in_no_file() {
    let folder = folder("", "meters: ['*']");
    let uri = "recording:nowhere";
    let problem = folder.run(&format!("check --json --hypervisor {uri}")).is(69).json()["problems"][0].clone();
    assert_eq!((&problem["file"], &problem["line"]), (&serde_json::Value::Null, &serde_json::Value::Null), "{problem}");
    folder.write("wasmeter.yaml", folder.read("wasmeter.yaml").replace(SIM, uri));
    folder.run("check").is(69).says("wasmeter.yaml:1:13: error: ");
}

#[test]
fn passwords_are_not_shown() {
    let folder = folder("modules: {disk: {config: {password: hush}}}", "meters: [cpu]");
    for line in ["check --json", "check"] {
        let ran = folder.run(line).is(0);
        assert!(!ran.stdout.contains("hush") && !ran.stderr.contains("hush"), "{}", ran.stdout);
    }
}

/// Also not where a URL stands in the place of something else.
#[test]
fn passwords_in_wrong_places_are_not_shown() {
    for outputs in [
        "[{notifier: 'rabbit://u:hush@h1/'}]",
        "['rabbit://u:hush@h1,u:hush@h2/']",
        "'rabbit://u:hu/sh@h1/'",
        "[{notifier: {url: 'rabbit://h1/', options: 'rabbit://u:hush@h1/'}}]",
        "[{notifier: {'rabbit://u:hush@h1/': 1}}]",
        "[{notifier: {url_file: 'rabbit://u:hush@h1/'}}]",
        "[{notifier: {url: 'rabbit:/u:hush@h1/'}}]",
    ] {
        let folder = folder(&format!("outputs: {outputs}"), "meters: [cpu]");
        for line in ["check --json", "check", "run --cycles 1"] {
            let ran = folder.run(line).is(64);
            let said = ran.stdout + &ran.stderr;
            assert!(said.contains("error"), "{said}");
            assert!(!said.contains("hush") && !said.contains("sh@"), "{line}: {said}");
        }
    }
}

/// What TLS needs is read beforehand, though a daemon would try again.
#[test]
fn encryption_that_cannot_be_is_a_warning() {
    let of = |options: &str| {
        let outputs = format!("outputs: [{{notifier: {{url: 'rabbit://h1/', options: {{{options}}}}}}}]");
        folder(&outputs, "meters: [cpu]").run("check").is(0).says("warnings")
    };
    of("ssl: true, ssl_ca_file: nowhere.pem").says("no connection can be encrypted as things are: option ssl_ca_file");
    of("ssl: true, ssl_cert_file: wasmeter.yaml").says("option ssl_cert_file, file");
    of("ssl_ca_file: nowhere.pem").says("files for TLS are named, and connections are not encrypted");
}

#[test]
fn a_spool_that_cannot_be_is_an_error() {
    let folder = folder("spool: {path: spool}", "meters: [cpu]");
    folder.write("spool", "");
    for line in ["check", "run --cycles 1"] {
        let ran = folder.run(line);
        assert!((ran.stdout.clone() + &ran.stderr).contains("spool is no folder"), "{line}: {}", ran.stderr);
    }
    std::fs::remove_file(folder.path("spool")).unwrap();
    folder.run("check").is(0);
    assert!(!folder.path("spool").exists(), "nothing is made");
    std::fs::create_dir(folder.path("spool")).unwrap();
    std::fs::set_permissions(folder.path("spool"), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder.run("check").is(64).says("error: the spool's folder").says("must have mode 0700. Run chmod 700");
}

/// Root may write everywhere, and yet not in a folder's place or the kernel's.
#[test]
fn a_file_that_cannot_be_is_a_warning() {
    for (file, words) in [
        ("wasmeter", "wasmeter is a folder. Write the path of a file, such as one in it"),
        (
            "/proc/samples",
            "warning: no file can be made in /proc, which shows what the kernel does. Write another folder",
        ),
        ("/sys/samples", "warning: no file can be made in /sys, "),
        ("nowhere/samples", "nowhere, and samples wait until there is. Make it, or write another one"),
    ] {
        let folder = folder("pipeline: pipeline.yaml", "meters: ['*']");
        std::fs::create_dir(folder.path("wasmeter")).unwrap();
        let url = format!("file://{}?json", folder.path(file).display());
        let sources = "sources: [{name: a, meters: ['*'], sinks: [b]}]";
        folder.write("pipeline.yaml", format!("{sources}\nsinks: [{{name: b, publishers: ['{url}']}}]\n"));
        folder.run("check").is(0).says(words);
    }
}

/// As another user, whose this folder is.
fn as_nobody(folder: &Folder, line: &str) -> Ran {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()]);
    command.arg(folder.path("program")).args(line.split_whitespace()).args(["-c", "wasmeter.yaml"]);
    Ran::of(&command.current_dir(folder.path("")).output().unwrap())
}

#[test]
fn what_stands_where_the_socket_should_be_is_said_before() {
    let folder = folder("control: {socket: control.sock}", "meters: [cpu]");
    fs::create_dir(folder.path("control.sock")).unwrap();
    let words = "error: control.sock is there already and is no socket. Remove it, or name another file";
    folder.run("check").is(64).says(words).says("not ready to run");
    folder.run("run --cycles 1").is(64).complains(words);
}

/// Tests of another user than root cannot become one.
#[test]
fn a_socket_that_this_user_cannot_make_is_said_before() {
    if !geteuid().is_root() {
        return;
    }
    let folder = folder("", "meters: [cpu]");
    fs::copy(crate::support::daemon(), folder.path("program")).unwrap();
    fs::create_dir(folder.path("closed")).unwrap();
    for path in ["", "polling.yaml", "program"] {
        chown(folder.path(path), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let configure = |control: &str| {
        let others = ["disk", "flavor", "memory", "network", "perf", "power"];
        let off: Vec<String> = others.map(|module| format!("{module}: {{enabled: false}}")).to_vec();
        let config = format!(
            "hypervisor: {SIM}\npolling: polling.yaml\nspool: {{path: spool}}\nsandbox: {{cache: cache, deadline: 1m}}\n\
             modules: {{{}}}\ncontrol: {{{control}}}\n",
            off.join(", ")
        );
        folder.write("wasmeter.yaml", config);
    };
    for (control, words, remedy) in [
        (
            "socket: closed/control.sock",
            "the socket closed/control.sock cannot be made: Permission denied",
            "Name a file in a folder that the daemon's user can write",
        ),
        (
            "socket: /nowhere/control.sock",
            "the folder /nowhere of the socket cannot be made: Permission denied",
            "Make it, and give it to the daemon's user",
        ),
        (
            "socket: control.sock, group: root",
            "the socket cannot be given to the group root, as this user is not in it",
            "Add the daemon's user to it, as `usermod -aG` does",
        ),
    ] {
        configure(control);
        as_nobody(&folder, "check").is(64).says(words).says(remedy);
        as_nobody(&folder, "run --cycles 1").is(1).complains(words).complains(remedy);
    }
    // Whoever starts a daemon makes its folder there.
    configure("socket: /run/nowhere/control.sock");
    as_nobody(&folder, "check").is(0).says("ready to run\n");
}

/// Unless a daemon runs: it may be the one that listens.
#[test]
fn an_address_that_is_anothers_is_said_before() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = folder("", "meters: [cpu]");
    let daemon = folder.start("run");
    daemon.logs("Measuring.");
    let address = other.local_addr().unwrap();
    let config = format!("hypervisor: {SIM}\npolling: polling.yaml\nmetrics: {{listen: '{address}'}}");
    folder.configure(&config);
    folder.run("check").is(0).says("ready to run\n");
    daemon.end();
    let words = format!("wasmeter.yaml:3:19: error: {address} cannot be listened on: Address already in use");
    folder.run("check").is(64).says(&words).says("End who listens there");
}
