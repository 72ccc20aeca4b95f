//! `wasmeter once`, in each of its formats.

use std::collections::BTreeSet;

use crate::support::program::{Folder, of_meter, samples_in, text};

/// As many guests as there are odd names, and more.
const MANY: &str = "sim://?domains=25&calm=true&disks=2&nics=1";

#[test]
fn the_table_has_a_line_for_each_guest() {
    let folder = Folder::measuring(MANY, "");
    let samples = samples_in(&folder.run("once --format json").is(0).stdout);
    let names: BTreeSet<&str> =
        samples.iter().map(|sample| text(&sample["resource_metadata"], "display_name")).collect();
    assert_eq!(names.len(), 25);
    let table = folder.run("once").is(0).says("25 guests");
    for name in names {
        let lines = table.stdout.lines().filter(|line| line.starts_with(&format!("{name}  "))).count();
        assert_eq!(lines, 1, "{name:?} in\n{}", table.stdout);
    }
    for module in ["cpu", "disk", "network"] {
        table.stdout.lines().find(|line| line.starts_with(&format!("{module} "))).unwrap();
    }
}

#[test]
fn chosen_meters_have_a_line_for_each_sample() {
    let folder = Folder::measuring(MANY, "");
    let table = folder.run("once --meters disk.device.*").is(0);
    assert_eq!(table.stdout.lines().count(), 1 + 25 * 2 * 9, "{}", table.stdout);
    assert!(table.stdout.lines().skip(1).all(|line| line.starts_with("disk.device.")), "{}", table.stdout);
    let samples = samples_in(&folder.run("once --format json --meters disk.device.read.*").is(0).stdout);
    assert_eq!(samples.len(), 25 * 2 * 3);
    assert_eq!(of_meter(&samples, "disk.device.read.bytes").len(), 25 * 2);
    let none = folder.run("once --format json --meters no.such").is(0);
    assert_eq!(none.stdout, "");
    none.complains("No meter that was measured matches. There are: ").complains(" disk.device.read.bytes ");
}

/// The same guests whenever and wherever they are simulated.
#[test]
fn a_seed_is_a_host() {
    let folder = Folder::new("");
    let ids = |seed: u32| -> BTreeSet<String> {
        let ran = folder.run(&format!("once --format json --hypervisor sim://?calm=true&seed={seed}")).is(0);
        samples_in(&ran.stdout).iter().map(|sample| text(sample, "resource_id").to_owned()).collect()
    };
    assert_eq!(ids(7), ids(7));
    assert!(ids(7).is_disjoint(&ids(8)));
}

#[test]
fn a_module_that_fails_is_told_by_the_exit_code() {
    let module = crate::support::resources();
    let folder = Folder::measuring(MANY, &format!("modules: {{probe: {{file: {module}, config: {{wrong: 1}}}}}}"));
    let ran = folder.run("once").is(70).complains("module-error").complains("unknown field `wrong`");
    assert!(ran.stdout.lines().any(|line| line.starts_with("probe ") && line.ends_with("module-error")));
    assert!(ran.stdout.contains("25 guests"));
}
