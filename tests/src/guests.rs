//! Guests that Nova did not create, guests that are off, and guests whose definitions cannot be used.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::program::{Folder, Ran, of_meter, samples_in, text};

/// A host of libvirt's driver for tests: a guest of Nova's, one of Nova's that nobody can make sense of, one that says
/// whose it is, and one that does not.
const HOST: &str = r#"<node xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
  <domain type='test'>
    <name>instance-00000001</name><uuid>4dea22b3-1d52-48f3-a516-000000000001</uuid>
    <metadata><n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'><n:name>web</n:name>
      <n:flavor name='m1'><n:memory>64</n:memory></n:flavor>
      <n:owner><n:user uuid='u'/><n:project uuid='p'/></n:owner></n:instance></metadata>
    <memory>65536</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os>
  </domain>
  <domain type='test'>
    <name>instance-00000002</name><uuid>4dea22b3-1d52-48f3-a516-000000000002</uuid>
    <metadata><n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.0'><n:name>odd</n:name>
      <n:flavor name='m1'/></n:instance></metadata>
    <memory>65536</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os>
  </domain>
  <domain type='test'>
    <name>db</name><uuid>4dea22b3-1d52-48f3-a516-000000000003</uuid><title>The database</title>
    <metadata><t:tenant xmlns:t='http://example.org/tenancy' id='red'><t:contact>ann</t:contact></t:tenant></metadata>
    <memory>131072</memory><vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os>
  </domain>
  <domain type='test'>
    <name>scratch</name><uuid>4dea22b3-1d52-48f3-a516-000000000004</uuid>
    <memory>65536</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os>
  </domain>
</node>"#;

/// Rules under which all that can be metered is.
const METER: &str = "guests:\n  without_nova: meter\n  \
    project: {element: '{http://example.org/tenancy}tenant/@id', default: nobody}\n  \
    user: {element: '{http://example.org/tenancy}tenant/contact'}\n";

/// A folder with that host and rules for it; none in a build without libvirt.
fn folder(rules: &str) -> Option<Folder> {
    let folder = Folder::measuring("sim://", "");
    folder.write("host.xml", HOST);
    let uri = format!("test://{}", folder.path("host.xml").display());
    folder.configure(&format!("hypervisor: {uri}\npolling: polling.yaml\nhost: here\n{rules}"));
    let ran = folder.run("check");
    (!format!("{}{}", ran.stdout, ran.stderr).contains("this build has no libvirt")).then_some(folder)
}

/// The guests' samples of their state, by their names for the hypervisor.
fn states(ran: &Ran) -> BTreeMap<String, Value> {
    let samples = samples_in(&ran.stdout);
    let name = |sample: &Value| text(&sample["resource_metadata"], "name").to_owned();
    of_meter(&samples, "power.state").into_iter().map(|sample| (name(sample), sample.clone())).collect()
}

#[test]
fn guests_without_nova_are_skipped_and_counted_once() {
    let Some(folder) = folder("") else { return };
    let once = folder.run("once --format json").is(0).complains("Guests that are not metered: 2.");
    let states = states(&once);
    assert_eq!(states.keys().collect::<Vec<_>>(), ["instance-00000001"]);
    assert_eq!(
        (text(&states["instance-00000001"], "project_id"), text(&states["instance-00000001"], "user_id")),
        ("p", "u")
    );
    folder
        .run("check")
        .is(0)
        .says("guests      4, of which 2 are not metered: Nova did not create them")
        .complains("has no metadata/instance/owner");
    assert_eq!(folder.run("check --json").is(0).json()["not_metered"], 2);
    let log = folder.run("run --cycles 3").is(0).stderr;
    assert_eq!(log.matches("Nova did not create them").count(), 1, "{log}");
    assert_eq!(log.matches("has no metadata/instance/owner").count(), 1, "{log}");
    assert!(log.contains("guests=2"), "{log}");
}

#[test]
fn why_guests_are_not_metered_is_explained() {
    let Some(folder) = folder("") else { return };
    let reason =
        |guest: &str| folder.run(&format!("explain power.state {guest} --json")).is(1).json()["reason"].clone();
    assert_eq!(reason("db"), "guest-nobodys");
    let odd = "4dea22b3-1d52-48f3-a516-000000000002";
    assert_eq!(reason(odd), "guest-unusable");
    folder.run(&format!("explain power.state {odd}")).is(1).says("has no metadata/instance/owner");
    folder.run("explain power.state instance-00000001").is(0).says("power.state of web\n");
}

#[test]
fn guests_without_nova_belong_to_whom_their_metadata_says() {
    let Some(folder) = folder(METER) else { return };
    let once = folder.run("once --format json").is(0);
    assert!(!once.stderr.contains("not metered"), "{}", once.stderr);
    let states = states(&once);
    assert_eq!(states.keys().collect::<Vec<_>>(), ["db", "instance-00000001", "scratch"]);
    for (name, project, user) in
        [("db", "red", Some("ann")), ("scratch", "nobody", None), ("instance-00000001", "p", Some("u"))]
    {
        assert_eq!((text(&states[name], "project_id"), states[name]["user_id"].as_str()), (project, user), "{name}");
    }
    let metadata = &states["db"]["resource_metadata"];
    let keys: Vec<&String> = metadata.as_object().unwrap().keys().collect();
    let expected: BTreeSet<&str> = [
        "display_name",
        "name",
        "instance_id",
        "instance_type",
        "host",
        "instance_host",
        "flavor",
        "status",
        "state",
        "task_state",
        "image",
        "image_ref",
        "image_ref_url",
        "architecture",
        "os_type",
        "vcpus",
        "memory_mb",
    ]
    .into();
    assert_eq!(keys.into_iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    assert_eq!((text(metadata, "display_name"), text(metadata, "state")), ("The database", "running"));
    assert_eq!((&metadata["vcpus"], &metadata["memory_mb"]), (&2.into(), &128.into()));
    folder.run("check").is(0).says("guests      4\n");
}

/// A guest for which there is neither is nobody's.
#[test]
fn without_a_default_only_those_who_say_it_are_metered() {
    let Some(folder) = folder(&METER.replace(", default: nobody", "")) else { return };
    let once = folder.run("once --format json").is(0).complains("Guests that are not metered: 1.");
    assert_eq!(states(&once).keys().collect::<Vec<_>>(), ["db", "instance-00000001"]);
}

#[test]
fn a_recording_knows_whose_guests_are_and_names_nobody() {
    let Some(folder) = folder(METER) else { return };
    folder.run("record host.jsonl").is(0).complains("slot 1 of 1: 3 guests");
    let recording = folder.read("host.jsonl");
    for identity in ["red", "ann", "The database", "\"db\"", "scratch"] {
        assert!(!recording.contains(&format!("\"{}\"", identity.trim_matches('"'))), "{identity} in {recording}");
    }
    let once = folder.run("once --format json --hypervisor recording:host.jsonl").is(0);
    let projects: Vec<String> = states(&once).values().map(|sample| text(sample, "project_id").to_owned()).collect();
    assert_eq!(
        (projects.len(), projects.iter().filter(|project| *project == "nobody").count()),
        (3, 1),
        "{projects:?}"
    );
}

#[test]
fn what_the_rules_contradict_is_found_beforehand() {
    let folder = Folder::measuring("sim://?domains=3&calm=true", "guests: {project: {default: nobody}}");
    folder.run("check").is(0).says("`guests.project` has no effect: ").says("ready to run, with warnings");
    let folder = Folder::measuring("sim://?domains=3&calm=true", "guests: {without_nova: meter}");
    folder.run("check").is(64).says("nothing says whose those guests are");
}

/// Meters of the guests that are off, by guest.
fn meters_of_stopped(rules: &str) -> BTreeMap<String, BTreeSet<String>> {
    let folder = Folder::measuring("sim://?domains=300&freeze=0", rules);
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for sample in samples_in(&folder.run("once --format json").is(0).stdout) {
        let metadata = &sample["resource_metadata"];
        if metadata["status"] == "stopped" {
            let meters = found.entry(text(metadata, "instance_id").to_owned()).or_default();
            meters.insert(text(&sample, "counter_name").to_owned());
        }
    }
    found
}

#[test]
fn guests_that_are_off_give_what_ceilometer_gives() {
    let flavor = ["disk.ephemeral.size", "disk.root.size"];
    let quiet = meters_of_stopped("");
    assert!(!quiet.is_empty());
    for meters in quiet.values() {
        assert_eq!(meters.iter().map(String::as_str).collect::<Vec<_>>(), flavor);
    }
    let more = [
        "disk.device.allocation",
        "disk.device.capacity",
        "disk.device.usage",
        "disk.ephemeral.size",
        "disk.root.size",
        "memory",
        "power.state",
        "vcpus",
    ];
    let told = meters_of_stopped("guests: {report_stopped: true}");
    assert!(!told.is_empty());
    for meters in told.values() {
        assert_eq!(meters.iter().map(String::as_str).collect::<Vec<_>>(), more);
    }
}
