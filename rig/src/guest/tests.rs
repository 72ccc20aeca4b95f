//! Definitions, read back.

use std::fs;
use std::path::Path;

use roxmltree::{Document, Node};

use super::{Flavor, Guest, Metadata, Nic, Nova, NovaVersion, Work};
use crate::System;

const ODD: &str = "it's <odd> & \"quoted\" – 計測";

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// The texts and attributes of all elements of a name.
fn all<'a>(document: &'a Document<'_>, name: &str) -> Vec<Vec<&'a str>> {
    let named = |node: &Node<'_, '_>| node.tag_name().name() == name;
    let told = |node: Node<'a, '_>| node.attributes().map(|attribute| attribute.value()).chain(node.text()).collect();
    document.descendants().filter(named).map(told).collect()
}

#[test]
fn nova_is_told_in_full() {
    let flavor =
        Flavor { name: ODD.into(), id: Some(ODD.into()), extra_specs: pairs(&[("hw:a", ODD)]), ..Flavor::default() };
    let nova = Nova {
        display_name: Some(ODD.into()),
        project: "p".into(),
        user: "u".into(),
        flavor,
        image: Some("i".into()),
        image_properties: pairs(&[("os", ODD)]),
        ..Nova::default()
    };
    let xml = Guest::new(0x12ab).memory(64).vcpus(&[true, true]).nova(nova).xml(Path::new("/d"), Path::new("/g"));
    let document = Document::parse(&xml).unwrap();
    assert!(xml.contains("openstack.org/xmlns/libvirt/nova/1.1\""));
    assert_eq!(all(&document, "name"), [["instance-000012ab"], [ODD]]);
    assert_eq!(all(&document, "flavor")[0][..2], [ODD, ODD]);
    assert_eq!(all(&document, "extraSpec"), [["hw:a", ODD]]);
    assert_eq!(all(&document, "property"), [["os", ODD]]);
    assert_eq!(all(&document, "root"), [["image", "i"]]);
    assert_eq!(
        (all(&document, "user"), all(&document, "project")),
        (vec![vec!["u", "user"]], vec![vec!["p", "project"]])
    );
    assert_eq!(all(&document, "vcpus"), [["2"]]);
    assert_eq!(all(&document, "memory"), [vec!["64"], vec!["MiB", "64"]]);
}

#[test]
fn an_older_nova_says_less() {
    let flavor = Flavor { id: None, ..Flavor::default() };
    let nova = Nova { version: NovaVersion::V1_0, flavor, image: None, ..Nova::default() };
    let xml = Guest::new(1).nova(nova).xml(Path::new("/d"), Path::new("/g"));
    let document = Document::parse(&xml).unwrap();
    assert!(xml.contains("openstack.org/xmlns/libvirt/nova/1.0\""));
    assert_eq!(all(&document, "flavor")[0][0], "m1.tiny");
    for absent in ["extraSpecs", "image", "root"] {
        assert!(all(&document, absent).is_empty(), "{absent}");
    }
}

#[test]
fn devices_are_those_asked_for() {
    let guest = Guest::new(0x0102_0304)
        .named(ODD)
        .disks(2)
        .cdroms(1)
        .nics(&[Nic::plain(), Nic::filtered("clean-traffic", &[("IP", "10.0.0.1")])])
        .vcpus(&[true, false, true])
        .balloon_period(None)
        .metadata(Metadata::Raw("<a:a xmlns:a='urn:a'/>".into()));
    let xml = guest.xml(Path::new("/d"), Path::new("/g"));
    let document = Document::parse(&xml).unwrap();
    assert_eq!(all(&document, "name"), [[ODD]]);
    assert_eq!(
        all(&document, "source"),
        [["/d/16909060-vda.qcow2"], ["/d/16909060-vdb.qcow2"], ["br-rig"], ["br-rig"]]
    );
    assert_eq!(
        all(&document, "target"),
        [vec!["vda", "virtio"], vec!["vdb", "virtio"], vec!["hda", "ide"], vec!["tap1020304-0"], vec!["tap1020304-1"]]
    );
    assert_eq!(all(&document, "mac"), [["fa:16:02:03:04:00"], ["fa:16:02:03:04:01"]]);
    assert_eq!(all(&document, "parameter"), [["IP", "10.0.0.1"]]);
    let vcpus: Vec<_> = all(&document, "vcpu").into_iter().map(|vcpu| vcpu[..2].to_vec()).collect();
    assert_eq!(vcpus, [["2", "3"], ["0", "yes"], ["1", "no"], ["2", "yes"]]);
    assert!(all(&document, "stats").is_empty());
    assert_eq!(guest.uuid(), "52494700-0000-4000-8000-000001020304");
}

#[test]
fn nothing_is_said_for_others() {
    let xml = Guest::new(1).disks(0).nics(&[]).metadata(Metadata::None).xml(Path::new("/d"), Path::new("/g"));
    assert_eq!(all(&Document::parse(&xml).unwrap(), "metadata"), [Vec::<&str>::new()]);
}

#[test]
fn what_works_is_told_what_to_do() {
    let target = tempfile::tempdir().unwrap();
    fs::create_dir_all(target.path().join("guest/modules")).unwrap();
    for file in ["vmlinuz", "busybox"] {
        fs::write(target.path().join("guest").join(file), file).unwrap();
    }
    let system = System::below(target.path()).unwrap();
    let work = Work { cpu: 200, read: 4, written: 8, ping: 100, pings: 3 };
    let xml = Guest::working(0x0102, &system, work).xml(Path::new("/d"), Path::new("/it's, <odd>"));
    let document = Document::parse(&xml).unwrap();
    assert_eq!(all(&document, "kernel"), [[target.path().join("guest/vmlinuz").to_str().unwrap()]]);
    assert_eq!(all(&document, "initrd"), [["/it's, <odd>/258.cpio"]]);
    assert_eq!(all(&document, "arg")[1], ["unix:/it's,, <odd>/258.monitor,server=on,wait=off"]);
    assert!(all(&document, "source").contains(&vec!["/it's, <odd>/258.console"]));
    let told = all(&document, "cmdline")[0][0];
    // Of a vCPU there is no more than all.
    for expected in ["rig_address=10.77.1.2 ", "rig_cpu=100 ", "rig_read=4k ", "rig_written=8k ", "rig_pause=0.333"] {
        assert!(told.contains(expected), "{expected} in {told}");
    }
    let plain = Guest::new(1).xml(Path::new("/d"), Path::new("/g"));
    assert!(all(&Document::parse(&plain).unwrap(), "kernel").is_empty());
}
