//! `wasmeter module`: what modules are, and how they do alone.

use wasmeter::sandbox::names::built_in::METERS;

use crate::support::program::Folder;
use crate::support::{disk, hostile, parting, resources};

#[test]
fn a_pollster_is_described() {
    let folder = Folder::new("");
    folder.write("mine.wasm", disk());
    let ran = folder.run("module inspect mine.wasm").is(0).says("mine is a pollster for wasmeter:plugin@0.1.");
    ran.says("disk.device.read.bytes").says("block.*.rd.bytes").says("local_instances").says("digest  sha256:");
    let report = folder.run("module inspect mine.wasm --json").is(0).json();
    assert_eq!(report["world"], "pollster");
    let reads = report["reads"].as_array().unwrap();
    assert!(reads.iter().any(|wanted| wanted["key"] == "block.*.rd.bytes"), "{reads:?}");
    let meter = &report["meters"][1];
    assert_eq!((&meter["name"], &meter["kind"]), (&"disk.device.read.bytes".into(), &"cumulative".into()));
    assert!(report["measured"]["fuel_per_resource"].as_u64().is_some_and(|fuel| fuel > 0), "{report}");
    let built_in = folder.run("module inspect delta --json").is(0).json();
    assert_eq!((&built_in["world"], &built_in["measured"]), (&"transformer".into(), &serde_json::Value::Null));
}

/// Somebody may have no home, or read the daemon's configuration and not its cache.
#[test]
fn whoever_looks_at_modules_needs_no_cache() {
    let folder = Folder::new("");
    folder.write("wasmeter.yaml", "sandbox: {cache: /proc/nowhere/wasmeter}\nspool: {path: spool}\n");
    let ran = folder.run("module list --built-in").is(0).says("  cpu vcpus\n");
    assert_eq!(ran.stderr, "");
    folder.run("once").is(1).complains("cannot use /proc/nowhere/wasmeter: ");
}

#[test]
fn each_file_that_is_no_module_has_words_of_its_own() {
    let folder = Folder::new("");
    let core = wat::parse_str("(module)").unwrap();
    let other = "(component (instance $i) (export \"wasi:cli/run@0.2.6\" (instance $i)))";
    let whole = disk();
    let half = &whole[..whole.len() / 2];
    for (content, words) in [
        (&core[..], "a core module, not a component. Take the whole file of a component, as cargo makes it"),
        (half, "damaged or cut short"),
        (b"", "cut short: 0 bytes"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0", "precompiled native code, which is never trusted"),
        (b"fn main() {}\n", "this is not WebAssembly"),
        (&wat::parse_str(other).unwrap(), "another world: it exports wasi:cli/run@0.2.6"),
    ] {
        folder.write("mine.wasm", content);
        for line in ["module inspect mine.wasm", "module inspect mine.wasm --json", "module run mine.wasm"] {
            let ran = folder.run(line).is(70).complains("error: mine.wasm was refused: ").complains(words);
            assert_eq!(ran.stdout, "");
        }
    }
    folder.run("module inspect nowhere.wasm").is(64).complains("error: nowhere.wasm cannot be read: No such file");
}

#[test]
fn all_that_is_built_in_is_listed() {
    let folder = Folder::new("");
    let list = folder.run("module list --built-in --json").is(0).json();
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|module| module["name"].as_str().unwrap()).collect();
    for name in ["cpu", "disk", "flavor", "memory", "network", "perf", "power", "mitaka", "deep", "delta"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let table = folder.run("module list --built-in").is(0).stdout;
    assert_eq!(table.lines().count(), 1 + names.len());
    for (name, runs) in [("disk", "by default"), ("mitaka", "if enabled"), ("delta", "if named")] {
        assert!(table.lines().any(|line| line.starts_with(name) && line.contains(runs)), "{table}");
    }
}

/// The table of names that tenants may not have says what built-in pollsters describe.
#[test]
fn meters_of_built_in_pollsters_are_those_of_the_table() {
    let folder = Folder::new("");
    let list = folder.run("module list --built-in --json").is(0).json();
    let pollsters = list.as_array().unwrap().iter().filter(|module| module["kind"] == "pollster");
    let meters = pollsters.flat_map(|module| module["meters"].as_array().unwrap());
    let mut described: Vec<&str> = meters.map(|meter| meter.as_str().unwrap()).collect();
    described.sort_unstable();
    assert_eq!(described, METERS);
}

#[test]
fn a_module_alone_says_what_it_gave_and_used() {
    let folder = Folder::new("");
    let sim = "--hypervisor sim://?domains=4&calm=true&disks=1&nics=1";
    let ran = folder.run(&format!("module run disk --slots 2 {sim}")).is(0);
    assert_eq!(ran.stdout.matches("disk.device.read.bytes").count(), 2 * 4, "{}", ran.stdout);
    let quiet = folder.run(&format!("module run disk --slots 2 --quiet {sim}")).is(0).stdout;
    assert!(quiet.lines().count() == 2 && quiet.starts_with("slot 1: 36 samples of "), "{quiet}");
    let wrong = format!("module run {} --config {{\"wrong\":1}} {sim}", resources());
    folder.run(&wrong).is(70).says("failed for ").says("unknown field `wrong`");
    folder.run(&format!("module run delta {sim}")).is(64).complains("delta is a transformer; say what it is to be");
    folder.run(&format!("module run disk --meters cpu {sim}")).is(64).complains("disk is a pollster");
}

/// A configuration of `delta`.
const GROWTH: &str = r#"{"target":{"name":"in.growth"}}"#;
/// Two guests with a network device each.
const TWO: &str = "--hypervisor sim://?domains=2&calm=true&disks=1&nics=1";

#[test]
fn a_transformer_alone_is_handed_what_pollsters_measure() {
    let folder = Folder::new("");
    let delta = format!("module run delta --meters network.incoming.bytes --config {GROWTH} --interval 1s {TWO}");
    let ran = folder.run(&format!("{delta} --slots 2")).is(0);
    let ran = ran.says("slot 1: 0 samples of 2 input samples, ").says("slot 2: 2 samples of 2 input samples, ");
    assert_eq!(ran.stdout.matches("in.growth").count(), 2, "{}", ran.stdout);
    assert!(!ran.stdout.contains("network.incoming.bytes"), "{}", ran.stdout);
    let quiet = folder.run(&format!("{delta} --quiet")).is(0).stdout;
    assert!(quiet.lines().count() == 1 && quiet.contains(" fuel ("), "{quiet}");

    // A recording goes on at once, and begins anew after its end.
    folder.run(&format!("record host.jsonl --slots 2 --interval 1s {TWO}")).is(0);
    let recorded = delta.replace(TWO, "--hypervisor recording:host.jsonl");
    let began = std::time::Instant::now();
    folder.run(&format!("{} --slots 60", recorded.replace("--interval 1s", "--interval 1m"))).is(0).says("slot 60: ");
    assert!(began.elapsed().as_secs() < 60);
}

#[test]
fn a_transformer_that_fails_alone_says_why() {
    let folder = Folder::new("");
    let taken = "delta failed for 2 input samples: forged: the meter cpu is the module cpu's";
    folder.run(&format!("module run delta --meters cpu {TWO}")).is(70).says(taken);
    let two = format!("module run delta --meters network.*.bytes --config {GROWTH} {TWO}");
    folder.run(&two).is(70).says("delta failed for 4 input samples: module-error: target.name is in.growth");
    folder.run(&format!("module run delta --meters nothing {TWO}")).is(64).complains("There are: cpu ");
    folder.run(&format!("module run delta --meters cpu,!cpu {TWO}")).is(64).complains("--meters: Both included and");
    let declared = r#"{"pattern":"a.*","meter":"b","parts":["c"]}"#;
    let forging = format!("module run {} --meters cpu --config {declared} {TWO}", parting());
    folder.run(&forging).is(70).says("failed for 1 input sample: forged: it declared the meter \"b\"");
}

#[test]
fn a_transformer_is_described_by_what_it_is_handed() {
    let folder = Folder::new("");
    let line = format!("module inspect delta --meters network.incoming.bytes --config {GROWTH} {TWO}");
    let ran = folder.run(&line).is(0);
    ran.says("is handed").says("network.incoming.bytes").says("in.growth").says(" for each input sample (");
    let report = folder.run(&format!("{line} --json")).is(0).json();
    assert_eq!(
        (&report["inputs"][0]["name"], &report["meters"][0]["kind"]),
        (&"network.incoming.bytes".into(), &"delta".into())
    );
    assert_eq!((&report["measured"]["input_samples"], &report["failed"]), (&2.into(), &serde_json::Value::Null));
    assert!(report["measured"]["fuel_per_input_sample"].as_u64().is_some_and(|fuel| fuel > 0), "{report}");
    folder.run("module inspect delta").is(0).says("gives\n  what depends on what it is handed");
    let declaring = r#"{"pattern":"a.*","meter":"a.b","parts":["c"]}"#;
    let line = format!("module inspect {} --meters cpu --config {declaring} {TWO}", parting());
    folder.run(&line).is(0).says("may declare\n  a.*");
    let failing = folder.run(&format!("module inspect delta --meters cpu {TWO}")).is(70);
    failing.complains("error: delta failed for 2 input samples: forged: ").says("delta is a transformer");
}

#[test]
fn a_pollster_whose_call_fails_is_not_measured() {
    let folder = Folder::new("");
    folder.write("hostile.wasm", hostile());
    for (config, cause) in [("run: panic", "trap: "), ("run: loop", "out-of-fuel: "), ("give: NaN", "not-finite: ")] {
        let inspect = |more: &[&str]| {
            let mut command = folder.command("module inspect hostile.wasm");
            let output =
                command.args(["--config", &format!("'{config}'")]).args(more).args(TWO.split(' ')).output().unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            (output.status.code(), text(output.stdout), text(output.stderr))
        };
        let (code, said, complained) = inspect(&[]);
        assert!(code == Some(70) && said.contains("hostile.time"), "{config}: {code:?} {said}");
        assert!(complained.contains("error: hostile failed for ") && complained.contains(cause), "{complained}");
        assert!(!said.contains("fuel"), "{said}");
        let (code, said, _) = inspect(&["--json"]);
        let report: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert!(code == Some(70) && report["measured"].is_null(), "{report}");
        assert!(report["failed"].as_str().unwrap().contains(cause), "{report}");
    }
}
