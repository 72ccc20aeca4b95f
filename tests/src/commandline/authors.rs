//! From nothing to a module that runs: what `wasmeter module new`, `build`, `test` and `watch` make of a crate.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::cloud::Cloud;
use crate::support::daemon;
use crate::support::program::{Folder, Ran, until};

/// A folder for a crate. It is the same in each run of the tests, so that cargo has one of each to keep.
fn place(test: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("authors").join(test);
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    place
}

/// A command as an author runs it: without network, and with nothing of what the tests are built with.
fn of_author(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let ours = name.starts_with("CARGO") && name != "CARGO_HOME";
        if ours || name.starts_with("RUSTC") || matches!(&*name, "RUSTFLAGS" | "RUST_BACKTRACE") {
            command.env_remove(&*name);
        }
    }
    // All that is needed was fetched for the build of this repository; what it makes is kept for all crates.
    let target = daemon().ancestors().nth(2).unwrap().join("docs");
    command.env("CARGO_NET_OFFLINE", "true").env("CARGO_TARGET_DIR", target);
    command.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
    command
}

fn run(folder: &Folder, line: &str) -> Ran {
    Ran::of(&of_author(folder.command(line)).output().unwrap())
}

fn new(test: &str, name: &str, kind: &str) -> PathBuf {
    let place = place(test);
    let mut command = Command::new(daemon());
    command.args(["module", "new", name, "--kind", kind, "--in"]).arg(&place);
    Ran::of(&of_author(command).output().unwrap()).is(0).says(&format!("is the crate of a {kind} now"));
    place.join(name)
}

fn cargo(at: &Path, args: &[&str]) -> Ran {
    let mut cargo = Command::new("cargo");
    cargo.args(args).current_dir(at);
    Ran::of(&of_author(cargo).output().unwrap())
}

#[test]
fn a_new_pollster_builds_tests_and_runs() {
    let folder = Folder::new("");
    let made = new("pollster", "made-traffic", "pollster");
    let at = made.display();
    cargo(&made, &["test", "--quiet"]).is(0).says("2 passed");

    let built = run(&folder, &format!("module build {at} --json")).is(0).json();
    let file = built["file"].as_str().unwrap();
    assert!(file.ends_with("wasm32-wasip2/release/made_traffic.wasm"), "{file}");
    assert_eq!((&built["world"], &built["meters"][0]["name"]), (&"pollster".into(), &"made-traffic.received".into()));
    assert_eq!(built["size"].as_u64().unwrap(), fs::metadata(file).unwrap().len());
    let imports = built["imports"].as_array().unwrap();
    assert!(imports.iter().any(|import| import == "wasmeter:plugin/stats@0.1.1"), "{imports:?}");
    run(&folder, &format!("module build {at}"))
        .is(0)
        .says("digest  sha256:")
        .says("made-traffic.received")
        .says("built ");

    run(&folder, &format!("module test {at}")).is(0).says("ok       recorded: 2 slots, 1 sample, at most ");
    run(&folder, &format!("module bench {at} --resources 1 --slots 1")).is(0).says("net    the host  always");
    let slots = run(&folder, &format!("module run {file} --slots 2 --hypervisor sim://?calm=true"));
    slots.is(0).says("made-traffic.received").says("slot 2: ");
    let config = format!("hypervisor: sim://?calm=true\nmodules: {{made: {{file: {file}}}}}\n");
    folder.configure(&config);
    folder.run("once").is(0).says("made");

    // The deployment beside it is what its operator can use, but for the digest.
    let digest = format!("sha256:{}", built["digest"].as_str().unwrap());
    let written = fs::read_to_string(made.join("deployment.yaml")).unwrap().replace(&"0".repeat(64), &digest);
    fs::create_dir(folder.path("deployments.d")).unwrap();
    folder.write("deployments.d/made.yaml", written);
    fs::copy(file, folder.path("deployments.d/made_traffic.wasm")).unwrap();
    folder.configure("hypervisor: sim://?calm=true\ndeployments: deployments.d\ntenants: {acme: {projects: [p]}}\n");
    folder.run("check").is(0).says("ready to run");

    fs::write(made.join("src/lib.rs"), "no code\n").unwrap();
    run(&folder, &format!("module build {at}")).is(1).complains("cargo did not build it; what is wrong stands above");
}

/// What it gives depends on what it is told, and it says so: what is built then is no module that was refused.
#[test]
fn what_has_to_be_told_something_is_built_without_it() {
    let folder = Folder::new("");
    let made = new("told", "made-told", "pollster");
    let at = made.display();
    let source = made.join("src/lib.rs");
    let code = fs::read_to_string(&source).unwrap();
    let describe = "    fn describe(config: &str) -> Result<Description, String> {
        if config.is_empty() {
            return Err(\"series is missing; name some\".to_owned());
        }
        let mut said = Self::constants();
        said.meters[0].name = config.to_owned();
        Ok(said)
    }

    fn poll(";
    fs::write(&source, code.replacen("    fn poll(", describe, 1)).unwrap();
    let why = "what made_told gives is not known without its configuration: series is missing; name some";
    let built = run(&folder, &format!("module build {at}")).is(0).complains(why).says("digest  sha256:");
    assert!(!built.stdout.contains("gives"), "{}", built.stdout);
    let built = run(&folder, &format!("module build {at} --json")).is(0).json();
    assert_eq!((&built["world"], &built["meters"]), (&"pollster".into(), &serde_json::json!([])));
    assert!(built["failed"].as_str().unwrap().starts_with(why), "{built}");

    let build = format!("module build {at} --config");
    run(&folder, &format!("{build} 'told.received'")).is(0).says("told.received  gauge");
    folder.write("told.yaml", "told.received # such as this");
    run(&folder, &format!("{build} told.yaml")).is(0).says("told.received  gauge");
    // What it is told and does not take is refused, and what breaks a rule is so with or without.
    run(&folder, &format!("{build} ''")).is(70).complains("series is missing; name some. Give it the --config that");
    run(&folder, &format!("{build} 'Told.Received'")).is(70).complains("was refused: ");
    let file = built["file"].as_str().unwrap();
    run(&folder, &format!("module inspect {file}"))
        .is(70)
        .complains("Give it the --config that its documentation asks");
    let slots = format!("module run {file} --slots 2 --hypervisor sim://?calm=true --config told.yaml");
    run(&folder, &slots).is(0).says("told.received");
}

#[test]
fn a_new_transformer_builds_tests_and_runs() {
    let folder = Folder::new("");
    let made = new("transformer", "made-rates", "transformer");
    let at = made.display();
    cargo(&made, &["test", "--quiet"]).is(0).says("1 passed");
    let built = run(&folder, &format!("module build {at} --json")).is(0).json();
    assert_eq!(built["world"], "transformer");
    let file = built["file"].as_str().unwrap();
    let ran = run(&folder, &format!("module test {at}")).is(0).says("ok       recorded").says("ok       written");
    ran.says("2 cases, all good");
    let line = format!("module run {file} --meters cpu --slots 2 --hypervisor sim://?calm=true");
    run(&folder, &line).is(0).says("made-rates.cpu");
    // The configuration beside it names the file where cargo puts it if nobody says otherwise.
    let written = fs::read_to_string(made.join("wasmeter.yaml")).unwrap();
    let here = written.replace("target/wasm32-wasip2/release/made_rates.wasm", file);
    assert_ne!(here, written);
    folder.configure(&here);
    folder.run("once").is(0);
}

#[test]
fn a_folder_is_made_once() {
    let place = place("once");
    let new = |name: &str, at: &Path| {
        let mut command = Command::new(daemon());
        Ran::of(&command.args(["module", "new", name, "--in"]).arg(at).output().unwrap())
    };
    new("twice", &place).is(0);
    fs::write(place.join("twice/src/lib.rs"), "mine").unwrap();
    new("twice", &place).is(1).complains("choose another name, or another folder with --in");
    assert_eq!(fs::read_to_string(place.join("twice/src/lib.rs")).unwrap(), "mine");
    new("x", &place.join("nowhere")).is(1).complains("name a folder that exists with --in");
}

#[test]
fn what_cannot_be_built_says_what_to_do() {
    let (folder, place) = (Folder::new(""), place("unbuildable"));
    let write = |name: &str, text: &str| {
        let path = place.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let build = |name: &str| run(&folder, &format!("module build {}", place.join(name).display()));
    write("library/Cargo.toml", "[package]\nname = \"library\"\nedition = \"2024\"\n\n[workspace]\n");
    write("library/src/lib.rs", "");
    build("library").is(64).complains("makes no module: add `crate-type = [\"cdylib\"]`");
    write("many/Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"one\"]\n");
    write("many/one/Cargo.toml", "[package]\nname = \"one\"\nedition = \"2024\"\n");
    write("many/one/src/lib.rs", "");
    build("many").is(64).complains("is a workspace: name the folder of the module in it");
    // A module that is none of wasmeter's is built, and then refused.
    write(
        "other/Cargo.toml",
        "[package]\nname = \"other\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n",
    );
    write("other/src/lib.rs", "#[unsafe(no_mangle)]\npub extern \"C\" fn f() {}\n");
    build("other").is(70).complains("was refused: ");
    let mut without = of_author(folder.command("module build"));
    without.arg(place.join("library")).env("PATH", place.join("nowhere"));
    let ran = Ran::of(&without.output().unwrap());
    ran.is(1).complains("cargo is not in the PATH: install Rust as https://rustup.rs says");
}

#[test]
fn what_changes_is_built_and_shown_again() {
    let folder = Folder::new("");
    let made = new("watched", "made-watched", "pollster");
    let out = folder.path("out");
    let mut watch = of_author(folder.command("module watch --builds 3"));
    watch.arg(&made).stdout(fs::File::create(&out).unwrap()).stderr(Stdio::null());
    let mut watch = watch.spawn().unwrap();
    let shown = |words: &str| {
        until(words, || fs::read_to_string(&out).unwrap().contains(words).then_some(()));
    };
    shown("slot 2: 3 samples of ");
    let source = made.join("src/lib.rs");
    let code = fs::read_to_string(&source).unwrap();
    let halved = code.replace("Some(bytes / seconds)", "Some(bytes / seconds / 2.0)");
    assert_ne!(halved, code);
    fs::write(&source, halved).unwrap();
    shown("  ~ slot 2  made-watched.received  ");
    // What cannot be built is said, and it ends as it was told to.
    fs::write(&source, "no code\n").unwrap();
    let ended = until("it ends", || watch.try_wait().unwrap());
    assert_eq!(ended.code(), Some(1));
    let shown = fs::read_to_string(&out).unwrap();
    assert_eq!(shown.matches("slot 2: 3 samples of ").count(), 2, "{shown}");
}

#[test]
fn each_build_is_deployed_to_a_daemon() {
    let cloud = Cloud::new("");
    let daemon = cloud.folder.start("run");
    let made = new("deployed", "made-deployed", "pollster");
    let mut watch = of_author(cloud.folder.command("module watch --builds 4"));
    watch.arg(&made).args(["--", "--tenant", "acme", "--interval", "1", "--grant", "name=made-deployed."]);
    let [out, complaints] = ["out", "complaints"].map(|name| fs::File::create(cloud.folder.path(name)).unwrap());
    let mut watch = watch.stdout(out).stderr(complaints).spawn().unwrap();
    let shown = |file: &str, words: &str| {
        until(words, || cloud.folder.read(file).contains(words).then_some(()));
    };
    let measured = |what: &str, is: fn(f64) -> bool| {
        until(what, || {
            let samples = cloud.samples();
            let mut own = samples.iter().filter(|sample| sample["source"] == "acme/made_deployed");
            own.any(|sample| is(sample["counter_volume"].as_f64().unwrap())).then_some(())
        });
    };
    shown("out", "version 1 of acme/made_deployed runs");
    measured("samples of it", |volume| volume >= 0.0);
    // What cannot be built is said, and what runs goes on.
    let source = made.join("src/lib.rs");
    let code = fs::read_to_string(&source).unwrap();
    fs::write(&source, "no code\n").unwrap();
    shown("complaints", "cargo did not build it; what is wrong stands above");
    for (version, change) in [(2, "-1.0 - bytes / seconds"), (3, "-1e12 - bytes / seconds")] {
        let changed = code.replace("Some(bytes / seconds)", &format!("Some({change})"));
        assert_ne!(changed, code);
        fs::write(&source, changed).unwrap();
        shown("out", &format!("version {version} of acme/made_deployed is on trial beside the one before"));
        if version == 2 {
            measured("samples of the second", |volume| volume < 0.0);
        }
    }
    let ended = until("it ends", || watch.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
    measured("samples of the third", |volume| volume < -1e11);
    daemon.end();
    for option in ["--config told.yaml", "--meters cpu", "--once-host sim://", "--slots 3", "--interval 1s"] {
        let line = format!("module watch {option} -- --tenant acme");
        cloud.folder.run(&line).is(64).complains("cannot be used with");
    }
    cloud.folder.run("module watch -- --tenant").is(64).complains("a value is required for '--tenant");
}
