use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::config::daemon::Metadata as MetadataRules;
use crate::hypervisor::{Disk, Nova, Plain};

fn nova() -> Nova {
    let flavor =
        Flavor { id: None, name: "m1".into(), vcpus: 2, ram: 64, disk: 3, ephemeral: 1, swap: 0, extra_specs: None };
    Nova {
        display_name: "web".into(),
        flavor,
        user_id: "u".into(),
        project_id: "p".into(),
        image_id: None,
        image_meta: vec![],
        metadata: vec![],
    }
}

fn guest(nova: Option<Nova>, plain: Plain) -> Definition {
    Definition {
        uuid: Uuid::from_u128(1),
        name: "plain".into(),
        os_type: "hvm".into(),
        architecture: "x86_64".into(),
        nova,
        plain,
        disks: vec![
            Disk { target: "vda".into(), has_source: true, file_format: None },
            Disk { target: "sda".into(), has_source: false, file_format: None },
        ],
        nics: vec![],
    }
}

fn written(label: &Label) -> String {
    let mut text = String::new();
    label.metadata.write(&mut text, "");
    text
}

fn described(definition: &Definition, state: i64, rules: &Rules) -> Labels {
    labels(definition, &Owner { project: "p".into(), user: None }, state, rules)
}

fn rules() -> Rules {
    Rules { host: "compute-1".into(), ..Rules::default() }
}

#[test]
fn a_guest_without_nova_has_the_same_keys_as_far_as_they_are_known() {
    let plain = Plain { title: Some("Web server".into()), vcpus: Some(4), memory: Some(128), notes: vec![] };
    let labels = described(&guest(None, plain), 1, &rules());
    let words = r#"{"display_name": "Web server", "name": "plain", "#.to_owned()
        + r#""instance_id": "00000000-0000-0000-0000-000000000001", "instance_type": null, "#
        + r#""host": "ab877eef6e09a3d68570a414cba885ded45c280ee2aeaac32387e1c2", "instance_host": "compute-1", "#
        + r#""flavor": null, "status": "active", "state": "running", "task_state": "", "image": null, "#
        + r#""image_ref": null, "image_ref_url": null, "architecture": "x86_64", "os_type": "hvm", "vcpus": 4, "#
        + r#""memory_mb": 128}"#;
    assert_eq!(written(&labels.guest), words);
    assert_eq!((labels.guest.project.as_deref(), labels.guest.user.as_deref()), (Some("p"), None));
    let [disk] = labels.disks.as_slice() else { panic!("{:?}", labels.disks) };
    assert_eq!(disk.id, "00000000-0000-0000-0000-000000000001-vda");
    assert!(written(disk).ends_with(r#""memory_mb": 128, "disk_name": "vda"}"#));
    assert_eq!(labels.guest.attribute("display_name"), Some("Web server"));
    assert_eq!(labels.guest.attribute("flavor"), Some(""));
}

#[test]
fn a_guest_of_which_little_is_known() {
    let mut definition = guest(None, Plain::default());
    definition.os_type = String::new();
    definition.architecture = String::new();
    let label = described(&definition, 1, &rules()).guest;
    let metadata: Value = serde_json::from_str(&written(&label)).unwrap();
    assert_eq!(metadata["display_name"], "plain");
    for absent in ["architecture", "os_type", "vcpus", "memory_mb", "disk_gb", "root_gb", "user_metadata"] {
        assert_eq!(metadata.get(absent), None, "{absent}");
    }
}

#[test]
fn states_have_two_words() {
    let definition = guest(Some(nova()), Plain::default());
    let of = |state| {
        let label = described(&definition, state, &rules()).guest;
        let metadata: Value = serde_json::from_str(&written(&label)).unwrap();
        assert_eq!((label.about.status, label.about.state), (&*text(&metadata, "status"), &*text(&metadata, "state")));
        format!("{} {}", text(&metadata, "status"), text(&metadata, "state"))
    };
    let words = [
        "building pending",
        "active running",
        "active running",
        "paused paused",
        "stopped shutdown",
        "stopped shutdown",
        "error crashed",
        "suspended suspended",
        "unknown ",
    ];
    for (state, words) in (0..).zip(words) {
        assert_eq!(of(state), words);
    }
    assert_eq!((of(-1), of(i64::MAX)), ("unknown ".into(), "unknown ".into()));
}

fn text(metadata: &Value, key: &str) -> String {
    metadata[key].as_str().unwrap().to_owned()
}

/// What Ceilometer 27 made of the same metadata.
#[test]
fn reserved_metadata_becomes_user_metadata() {
    let pairs = [
        ("metering.stack.name", "a"),
        ("metering.stack_name", "b"),
        ("metering.name", "taken already"),
        ("metering.mac", "of devices only"),
        ("metering.kernel_id", "not known from libvirt"),
        ("metering.image_meta", "there is none"),
        ("metering.", "empty"),
        ("Metering.x", "case counts"),
        ("long", "ä1234567890"),
        ("metering.z", ""),
        ("team.a", "t"),
    ];
    let metadata = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let definition = guest(Some(Nova { metadata, ..nova() }), Plain::default());
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let of = |namespaces: &[&str], keys: &[&str]| {
        let metadata =
            MetadataRules { reserved_namespaces: texts(namespaces), reserved_keys: texts(keys), reserved_length: 8 };
        let label = described(&definition, 1, &Rules { metadata, ..rules() }).guest;
        let written = written(&label);
        let (_, found) = written.strip_suffix('}').unwrap().split_once(r#""root_gb": 2"#).unwrap();
        found.strip_prefix(r#", "user_metadata": "#).map(str::to_owned)
    };
    assert_eq!((of(&[], &[]), of(&["none."], &["none"])), (None, None));
    for (namespaces, keys, words) in [
        (
            ["metering.", "-"],
            ["-"; 3],
            concat!(
                r#"{"stack_name": "b", "mac": "of devic", "kernel_id": "not know", "image_meta": "there is", "#,
                r#""": "empty", "z": ""}"#,
            ),
        ),
        (
            ["team.", "metering."],
            ["long", "team.a", "-"],
            concat!(
                r#"{"a": "t", "stack_name": "b", "mac": "of devic", "kernel_id": "not know", "image_meta": "there is", "#,
                r#""": "empty", "z": "", "long": "\u00e41234567", "team_a": "t"}"#,
            ),
        ),
        (
            ["-", "-"],
            ["long", "metering.stack.name", "metering.stack_name"],
            r#"{"long": "\u00e41234567", "metering_stack_name": "b"}"#,
        ),
    ] {
        assert_eq!(of(&namespaces, &keys).as_deref(), Some(words));
    }
}

#[test]
fn what_nova_left_empty_is_null() {
    let mut nova = nova();
    nova.display_name = String::new();
    nova.flavor.id = Some(String::new());
    nova.flavor.extra_specs = Some(vec![("a".into(), String::new())]);
    nova.image_id = Some("i".into());
    let label = described(&guest(Some(nova), Plain::default()), 1, &rules()).guest;
    let metadata: Value = serde_json::from_str(&written(&label)).unwrap();
    assert_eq!(metadata["display_name"], Value::Null);
    assert_eq!((&metadata["flavor"]["id"], &metadata["flavor"]["extra_specs"]), (&json!("m1"), &json!({"a": null})));
    assert_eq!((&metadata["image"], &metadata["image_ref"]), (&json!({"id": "i"}), &json!("i")));
}
