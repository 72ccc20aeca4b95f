//! `wasmeter module`: what modules are, and how they do alone.

use crate::support::program::Folder;
use crate::support::{disk, resources};

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

#[test]
fn each_file_that_is_no_module_has_words_of_its_own() {
    let folder = Folder::new("");
    let core = wat::parse_str("(module)").unwrap();
    let other = "(component (instance $i) (export \"wasi:cli/run@0.2.6\" (instance $i)))";
    let whole = disk();
    let half = &whole[..whole.len() / 2];
    for (content, words) in [
        (&core[..], "a core module, not a component; build it with --target wasm32-wasip2"),
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
    folder.run("module inspect nowhere.wasm").is(70).complains("nowhere.wasm: No such file");
}

#[test]
fn all_that_is_built_in_is_listed() {
    let folder = Folder::new("");
    let list = folder.run("module list --json").is(0).json();
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|module| module["name"].as_str().unwrap()).collect();
    for name in ["cpu", "disk", "flavor", "memory", "network", "perf", "power", "mitaka", "deep", "delta"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let table = folder.run("module list").is(0).stdout;
    assert_eq!(table.lines().count(), 1 + names.len());
    for (name, runs) in [("disk", "by default"), ("mitaka", "if enabled"), ("delta", "if named")] {
        assert!(table.lines().any(|line| line.starts_with(name) && line.contains(runs)), "{table}");
    }
}

#[test]
fn a_module_alone_says_what_it_gave_and_used() {
    let folder = Folder::new("");
    let sim = "--hypervisor sim://?domains=4&calm=true&disks=1&nics=1";
    let ran = folder.run(&format!("module run disk --slots 2 {sim}")).is(0);
    assert_eq!(ran.stdout.matches("disk.device.read.bytes").count(), 2 * 4, "{}", ran.stdout);
    let quiet = folder.run(&format!("module run disk --slots 2 --quiet {sim}")).is(0).stdout;
    assert!(quiet.lines().count() == 2 && quiet.starts_with("slot 1: 36 samples of "), "{quiet}");
    let wrong = format!("module run {} --module-config {{\"wrong\":1}} {sim}", resources());
    folder.run(&wrong).is(70).says("failed for ").says("unknown field `wrong`");
    folder.run(&format!("module run delta {sim}")).is(70).complains("delta is a transformer");
}
