//! What `wasmeter check` says of meters that files name and that do not come.

use std::fs;

use wasmeter::digest::Digest;

use crate::support::program::{Folder, Ran, mitaka_to};
use crate::support::resources;

const SIM: &str = "sim://?domains=1&calm=true";

/// A folder where `measured` is measured, `taken` comes to a sink, and that has these transformers.
fn folder(config: &str, measured: &[&str], taken: &str, transformers: &str) -> Folder {
    let folder = Folder::measuring(SIM, &format!("pipeline: pipeline.yaml\n{config}"));
    folder.poll(measured);
    folder.write(
        "pipeline.yaml",
        format!(
            "sources:\n  - {{name: s, meters: [{taken}], sinks: [k]}}\nsinks:\n  - name: k\n    publishers: [test]\n\
             \x20   transformers: [{transformers}]\n"
        ),
    );
    folder
}

/// The lines of warnings.
fn warnings(ran: &Ran) -> Vec<&str> {
    assert!(!ran.stdout.contains("error:"), "{}", ran.stdout);
    ran.stdout.lines().filter_map(|line| line.split_once("warning: ")).map(|(_, said)| said).collect()
}

#[test]
fn a_source_that_takes_what_nothing_measures_is_told() {
    let ran = folder("", &["memory", "disk.*"], "cpu", "").run("check").is(0);
    assert_eq!(
        warnings(&ran),
        ["source `s`: nothing measures cpu. Add what is wanted to the `meters` of a source in polling.yaml"]
    );
    ran.says("pipeline.yaml:2:6: warning: ").says("ready to run, with warnings");
    for (measured, taken) in [
        (&["memory"][..], "'*'"),
        (&["memory", "cpu"], "cpu, memory"),
        // Other agents of Ceilometer's read the same file.
        (&["memory"], "memory, volume.size, hardware.ipmi.fan"),
    ] {
        folder("", measured, taken, "").run("check").is(0).says("\nready to run\n");
    }
    // What transformers of wasmeter.yaml give comes, too.
    let delta = "transform: [{module: delta, meters: [memory], config: {target: {name: grown}}}]";
    folder(delta, &["memory"], "grown", "").run("check").is(0).says("\nready to run\n");
}

#[test]
fn a_module_that_is_off_is_the_remedy() {
    let remedy = "Turn it on in wasmeter.yaml: `modules: {mitaka: {enabled: true}}`";
    let words = format!("source `s`: the module mitaka, which is off, gives disk.read.bytes, disk.usage. {remedy}");
    for taken in ["disk.read.bytes, disk.usage", "cpu, disk.read.bytes, disk.usage"] {
        let ran = folder("", &["*"], taken, "").run("check").is(0);
        assert_eq!(warnings(&ran), [words.as_str()]);
        folder("modules: {mitaka: {enabled: true}}", &["*"], taken, "").run("check").is(0).says("\nready to run\n");
    }
    // One that the operator turned off is off like those that are so by default.
    let ran = folder("modules: {cpu: {enabled: false}}", &["*"], "cpu, memory", "").run("check").is(0);
    let turn_on = "Turn it on in wasmeter.yaml: `modules: {cpu: {enabled: true}}`";
    assert_eq!(warnings(&ran), [format!("source `s`: the module cpu, which is off, gives cpu. {turn_on}")]);
    // Also of what is measured.
    let measuring = folder("", &["cpu", "memory.bandwidth.*"], "cpu", "").run("check").is(0);
    let words = format!("source a: the module mitaka, which is off, gives memory.bandwidth.*. {remedy}");
    assert_eq!(warnings(&measuring), [words.as_str()]);
    let mitaka = Folder::new(&format!("hypervisor: {SIM}\npipeline: pipeline.yaml\n"));
    mitaka.write("pipeline.yaml", mitaka_to("test"));
    let ran = mitaka.run("check").is(0);
    let said = warnings(&ran);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("the module mitaka, which is off, gives disk.read.bytes, "), "{said:?}");
}

#[test]
fn a_meter_that_does_not_come_to_an_expression_is_told() {
    let arithmetic = |expr: &str| format!("{{name: arithmetic, parameters: {{target: {{name: x, expr: '{expr}'}}}}}}");
    let said = "the transformer arithmetic of the sink k gives nothing: ";
    let remedy = "Name meters that come to it, or have a source of the sink take";
    let ran = folder("", &["*"], "memory.usage, memory", &arithmetic("$(memory.usage) / $(memroy) + $(memroy)"));
    let ran = ran.run("check").is(0);
    let comes = "memroy does not come to it, but memory, memory.usage. Did you mean `memory`?";
    assert_eq!(warnings(&ran), [format!("{said}{comes} {remedy} memroy")]);
    ran.says("pipeline.yaml:6:");
    let ran = folder("", &["*"], "memory.usage", &arithmetic("$(memory.usage) / $(memory)")).run("check").is(0);
    assert_eq!(warnings(&ran), [format!("{said}memory does not come to it, but memory.usage. {remedy} memory")]);
    let unmeasured = folder("", &["memory"], "'*'", &arithmetic("$(memory.usage) / $(memory)")).run("check").is(0);
    let said_of_it = format!("{said}memory.usage does not come to it, but memory. {remedy} memory.usage");
    assert_eq!(warnings(&unmeasured), [said_of_it]);
    // Behind another one, what that gives comes.
    let converted = "{name: unit_conversion, parameters: {target: {name: mem}}}, ";
    for (expr, comes) in [("$(mem)", true), ("$(memory)", false)] {
        let ran = folder("", &["*"], "memory", &format!("{converted}{}", arithmetic(expr))).run("check").is(0);
        let expected = format!("{said}memory does not come to it, but mem. {remedy} memory");
        assert_eq!(warnings(&ran), [expected].get(..usize::from(!comes)).unwrap());
    }
    // Transformers of wasmeter.yaml give more.
    let delta = "transform: [{module: delta, meters: [cpu], config: {target: {name: cpu.grown}}}]";
    let both = arithmetic("$(cpu.grown) + $(cpu)");
    folder(delta, &["cpu"], "'cpu*'", &both).run("check").is(0).says("\nready to run\n");
}

#[test]
fn a_unit_or_a_name_that_nothing_has_which_comes_is_told() {
    let told = |name: &str, parameters: &str| {
        let transformer = format!("{{name: {name}, parameters: {{{parameters}}}}}");
        let ran = folder("", &["*"], "cpu, memory", &transformer).run("check").is(0);
        warnings(&ran).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let said = |name: &str, what: &str| {
        let who = format!("the transformer {name} of the sink k");
        vec![format!("{who}: nothing that comes to it {what}. Write what comes, or take it out")]
    };
    let (unit, rate) = ("unit_conversion", "rate_of_change");
    assert_eq!(told(unit, "source: {unit: NS}, target: {name: x}"), said(unit, "is in \"NS\", but MiB, ns"));
    let mapped = |key: &str, from: &str| {
        format!("source: {{map_from: {{{key}: '{from}'}}}}, target: {{type: gauge, map_to: {{{key}: '\\1.x'}}}}")
    };
    let no_name = "has a name that fits `source.map_from.name`, but cpu, memory";
    assert_eq!(told(rate, &mapped("name", "^(cqu)$")), said(rate, no_name));
    assert_eq!(
        told(rate, &mapped("unit", "(request)")),
        said(rate, "has a unit that fits `source.map_from.unit`, but MiB, ns")
    );
    let fits = [(unit, "source: {unit: ns}, target: {name: x}"), (rate, &*mapped("name", "^(cpu)$"))];
    fits.iter().for_each(|(name, parameters)| assert_eq!(told(name, parameters), [""; 0], "{name}"));
}

#[test]
fn a_rate_that_stays_a_counter_is_told() {
    let told = |taken: &str, transformer: &str| {
        let ran = folder("", &["*"], taken, transformer).run("check").is(0);
        warnings(&ran).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let said = |name: &str| {
        let who = format!("the transformer {name} of the sink k: x stays cumulative as what comes in is");
        vec![format!(
            "{who}, as if it never fell. Write `type: gauge` under `target`, or `type: cumulative` if it never does"
        )]
    };
    let of = |name: &str, more: &str| format!("{{name: {name}, parameters: {{target: {{name: x{more}}}}}}}");
    assert_eq!(told("cpu", &of("rate_of_change", "")), said("rate_of_change"));
    let difference = ", expr: 100 - $(cpu)";
    assert_eq!(told("cpu", &of("arithmetic", difference)), said("arithmetic"));
    for (taken, transformer) in [
        ("cpu", of("rate_of_change", ", type: gauge")),
        ("cpu", of("arithmetic", &format!("{difference}, type: cumulative"))),
        ("memory", of("rate_of_change", "")),
        ("cpu", of("unit_conversion", ", scale: 2")),
    ] {
        assert_eq!(told(taken, &transformer), [""; 0], "{transformer}");
    }
}

/// What a deployment gives may be any of the names that it was granted, and none of a built-in pollster's.
#[test]
fn what_tenants_may_give_is_not_missed() {
    let told = |taken: &str, expr: &str| {
        let sum = format!("{{name: arithmetic, parameters: {{target: {{name: x, expr: '{expr}'}}}}}}");
        let folder = folder("deployments: deployments.d", &["memory"], taken, &sum);
        let module = fs::read(resources()).unwrap();
        fs::create_dir(folder.path("deployments.d")).unwrap();
        folder.write("deployments.d/probe.wasm", &module);
        let digest = Digest::of(&module);
        let text = format!("tenant: acme\nname: probe\nfile: probe.wasm\ndigest: {digest}\ninterval: 1\n");
        folder.write("deployments.d/probe.yaml", format!("{text}grants: {{names: [probe.]}}\n"));
        let ran = folder.run("check").is(0);
        let said: Vec<String> = warnings(&ran).into_iter().map(str::to_owned).collect();
        said.into_iter().filter(|said| !said.contains("tenant of the configuration")).collect::<Vec<_>>()
    };
    assert_eq!(told("memory, probe.up", "$(probe.up) + $(memory)"), [""; 0]);
    let said = told("cpu, memory, probe.up", "$(probe.up) + $(vcpus)");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("source `s`: nothing measures cpu. "), "{said:?}");
    assert!(said[1].contains(" gives nothing: vcpus does not come to it, but "), "{said:?}");
}
