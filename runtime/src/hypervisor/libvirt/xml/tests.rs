mod ceilometer;

use serde_json::json;

use super::*;
use crate::hypervisor::{Flavor, NotePath, Nova};

const GUEST: Uuid = Uuid::from_u128(0x4dea22b3_1d52_d8f3_2516_782e98ab3fa0);
const NOVA: &str = include_str!("tests/nova.xml");
const PLAIN: &str = "<domain type='kvm'><name>plain</name><uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>{}</domain>";

fn nic(target: &str, mac: &str) -> Nic {
    Nic { target: target.into(), mac: mac.into(), filter: None, parameters: vec![], interface_id: None, bridge: None }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

/// The definition of a guest that Nova made, changed in one place.
fn altered(from: &str, to: &str) -> Result<Definition, String> {
    assert!(NOVA.contains(from), "{from}");
    definition(GUEST, &NOVA.replace(from, to)).map_err(|error| error.to_string())
}

fn plain(inner: &str) -> Result<Definition, String> {
    definition(GUEST, &PLAIN.replace("{}", inner)).map_err(|error| error.to_string())
}

#[test]
fn a_guest_of_novas() {
    let found = definition(GUEST, NOVA).unwrap();
    assert_eq!((found.uuid, found.name.as_str()), (GUEST, "instance-0000002a"));
    assert_eq!((found.os_type.as_str(), found.architecture.as_str()), ("hvm", "x86_64"));
    let image_meta = [
        ("base_image_ref", json!("155d900f-4e14-4e4c-a73d-069cbf4541e6")),
        ("container_format", json!("bare")),
        ("disk_format", json!("qcow2")),
        ("min_disk", json!("20")),
        ("min_ram", json!("0")),
        ("hw_rng_model", json!("virtio")),
        ("os_distro", json!("débian & co")),
        ("empty", json!(null)),
    ];
    let nova = Nova {
        display_name: "it's <web> & \"more\" – 計測".into(),
        flavor: Flavor {
            id: Some("7f1d6a0e".into()),
            name: "m1.small".into(),
            vcpus: 1,
            ram: 2048,
            disk: 20,
            ephemeral: 0,
            swap: 512,
            extra_specs: Some(pairs(&[("hw:cpu_policy", "dedicated"), ("hw_rng:allowed", "True")])),
        },
        user_id: "a1".into(),
        project_id: "b2".into(),
        image_id: Some("155d900f-4e14-4e4c-a73d-069cbf4541e6".into()),
        image_meta: image_meta.map(|(key, value)| (key.to_owned(), value)).into(),
        metadata: vec![],
    };
    assert_eq!(found.nova, Some(nova));
    let disk = |target: &str, has_source| Disk { target: target.into(), has_source, file_format: None };
    assert_eq!(found.disks, [disk("vda", true), disk("vdb", true), disk("sda", false)]);
    let filtered = Nic {
        filter: Some("nova-instance-instance-0000002a-fa163e0a0b0c".into()),
        parameters: pairs(&[("DHCPSERVER", "10.0.0.1"), ("IP", "10.0.0.2")]),
        bridge: Some("br100".into()),
        ..nic("tap0a1b2c3d-4e", "fa:16:3e:0a:0b:0c")
    };
    let ported = Nic {
        interface_id: Some("9a1b2c3d-4e5f-6789-0abc-def012345678".into()),
        bridge: Some("br-int".into()),
        ..nic("tap9a1b2c3d-4e", "fa:16:3e:0a:0b:0d")
    };
    assert_eq!(found.nics, [filtered, ported, nic("tap77777777-77", "fa:16:3e:0a:0b:0e")]);
}

#[test]
fn older_and_sparser_metadata() {
    let old = altered("nova/1.1", "nova/1.0").unwrap();
    assert_eq!(old.nova, definition(GUEST, NOVA).unwrap().nova);
    assert_eq!(altered("nova/1.1", "nova/2.0").unwrap().nova, None);

    let nova = |from, to| altered(from, to).unwrap().nova.unwrap();
    assert_eq!(nova(" id='7f1d6a0e'", "").flavor.id, None);
    assert_eq!(nova("<nova:swap>512</nova:swap>", "").flavor.swap, 0);
    assert_eq!(nova("<nova:swap>512<", "<nova:swap> 512\n<").flavor.swap, 512);
    assert_eq!(nova("nova:extraSpecs>", "nova:other>").flavor.extra_specs, None);
    assert_eq!(nova("name=\"hw", "id=\"hw").flavor.extra_specs, Some(vec![]));
    assert_eq!(nova("type='image'", "type='volume'").image_id, None);
    assert_eq!(nova("nova:image", "nova:other").image_meta, []);
    // A property that says what an element said before.
    let meta = nova("'hw_rng_model'>virtio", "'min_ram'>64").image_meta;
    assert_eq!(meta.iter().filter(|(key, _)| key == "min_ram").collect::<Vec<_>>(), [&("min_ram".into(), json!("64"))]);
}

#[test]
fn the_newest_metadata_counts() {
    let both = NOVA.replace(
        "<metadata>",
        "<metadata><o:instance xmlns:o='http://openstack.org/xmlns/libvirt/nova/1.0'><o:name>old</o:name></o:instance>",
    );
    assert_eq!(definition(GUEST, &both), definition(GUEST, NOVA));
}

#[test]
fn guests_of_others() {
    let found = plain("").unwrap();
    assert_eq!((found.nova, found.disks, found.nics, found.os_type.as_str()), (None, vec![], vec![], ""));
    assert_eq!(plain("<metadata/>").unwrap().nova, None);
    assert_eq!(plain("<metadata><x:y xmlns:x='urn:x'/></metadata>").unwrap().nova, None);
    let name = plain("").unwrap().name;
    assert_eq!(name, "plain");
    let odd = PLAIN.replace(">plain<", "> a&amp;b &#x2014; &quot;ç&quot; <").replace("{}", "");
    assert_eq!(definition(GUEST, &odd).unwrap().name, " a&b — \"ç\" ");
}

#[test]
fn devices_without_a_name_do_not_count() {
    let found = plain(
        "<devices><disk/><disk><target bus='virtio'/></disk><disk><target dev=''/></disk>\
         <disk device='cdrom'><source startupPolicy='optional'/><target dev='hda'/></disk>\
         <interface><mac address='52:54:00:00:00:01'/></interface>\
         <interface><target dev='tap1'/></interface>\
         <interface><target dev='tap2'/><mac/></interface>\
         <interface><target managed='no'/><mac address='52:54:00:00:00:02'/></interface></devices>",
    )
    .unwrap();
    assert_eq!(found.disks, [Disk { target: "hda".into(), has_source: true, file_format: Some("raw".into()) }]);
    assert_eq!(found.nics, []);
}

#[test]
fn a_medium_that_is_a_file_has_a_format() {
    for (disk, format) in [
        ("<disk type='file'><driver name='qemu' type='qcow2'/><source file='/d'/>", Some("qcow2")),
        ("<disk type='file'><driver name='qemu' type='raw'/><source file='/d'/>", Some("raw")),
        ("<disk type='file'><driver name='qemu'/><source file='/d'/>", Some("raw")),
        ("<disk><source file='/d'/>", Some("raw")),
        ("<disk type='file'><driver name='qemu' type='qcow2'/>", None),
        ("<disk type='block'><driver name='qemu' type='qcow2'/><source dev='/dev/d'/>", None),
        ("<disk type='network'><driver name='qemu' type='raw'/><source protocol='rbd' name='d'/>", None),
    ] {
        let found = plain(&format!("<devices>{disk}<target dev='vda'/></disk></devices>")).unwrap();
        assert_eq!(found.disks[0].file_format.as_deref(), format, "{disk}");
    }
}

#[test]
fn errors_name_the_guest_and_the_element() {
    let of = format!("the definition of guest {GUEST}");
    let cases = [
        (("nova:flavor", "nova:taste"), "has no metadata/instance/flavor"),
        ((" name='m1.small'", ""), "has no metadata/instance/flavor/@name"),
        (("nova:owner", "nova:other"), "has no metadata/instance/owner"),
        (("<nova:user uuid", "<nova:user id"), "has no metadata/instance/owner/user/@uuid"),
        (("nova:project", "nova:other"), "has no metadata/instance/owner/project"),
        (("<nova:root type='image' uuid", "<nova:root type='image' id"), "has no metadata/instance/root/@uuid"),
        ((">2048<", ">2 GiB<"), r#"has no usable metadata/instance/flavor/memory: "2 GiB" is not a whole number"#),
        ((">2048<", ">-1<"), r#"has no usable metadata/instance/flavor/memory: "-1" is not a whole number"#),
        (
            ("<uuid>4dea22b3", "<uuid>4dea22b"),
            r#"has no usable uuid: "4dea22b-1d52-d8f3-2516-782e98ab3fa0" is not a UUID"#,
        ),
        (("<name>instance-0000002a</name>", ""), "has no name"),
    ];
    for ((from, to), reason) in cases {
        assert_eq!(altered(from, to).unwrap_err(), format!("{of} {reason}"));
    }
}

#[test]
fn hostile_documents_are_refused() {
    let of = format!("the definition of guest {GUEST}");
    let refused = |text: &str| definition(GUEST, text).unwrap_err().to_string();
    assert!(refused("").starts_with(&format!("{of} is not well-formed: ")));
    assert!(refused("<domain><name>").starts_with(&format!("{of} is not well-formed: ")));
    let laughs = "<!DOCTYPE d [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><domain><name>&b;</name></domain>";
    assert!(refused(laughs).contains("not well-formed"), "{}", refused(laughs));
    let file = "<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><domain><name>&a;</name></domain>";
    assert!(refused(file).contains("not well-formed"));
    let large = PLAIN.replace("{}", &" ".repeat(BYTES));
    assert_eq!(refused(&large), format!("{of} has {} bytes; at most {BYTES} are read", large.len()));
    assert!(plain(&"<a/>".repeat(300_000)).unwrap_err().contains("not well-formed"));
    // Nesting must not cost the stack.
    plain(&format!("{}{}", "<a>".repeat(50_000), "</a>".repeat(50_000))).unwrap();
}

proptest::proptest! {
    #[test]
    fn any_text_is_taken(text in "(<(domain|uuid|name|os|/|!|nova:)?[a-z=' ]{0,9}>?|&[a-z#0-9]{0,4};?|.){0,60}") {
        let _ = definition(GUEST, &text);
    }

    #[test]
    fn any_cut_is_taken(at in 0..NOVA.len(), length in 0..200_usize) {
        let mut text = NOVA.as_bytes().to_vec();
        text.drain(at..(at + length).min(NOVA.len()));
        let _ = definition(GUEST, &String::from_utf8_lossy(&text));
    }
}

#[test]
fn what_is_known_of_guests_of_others() {
    let plain = |inner: &str| plain(inner).unwrap().plain;
    let found = plain(
        "<title> Web &amp; more </title><memory unit='KiB'>131071</memory><vcpu placement='static' current='2'>4</vcpu>\
         <metadata><t:tenant xmlns:t='urn:t' xmlns:u='urn:u' id='7' u:id='8'> Ω <t:owner>me<u:x/></t:owner>\
         <u:owner name='&lt;'/><owner>you</owner></t:tenant><other xmlns='urn:o'><a/><a b='c'/></other></metadata>",
    );
    assert_eq!((found.title.as_deref(), found.vcpus, found.memory), (Some("Web & more"), Some(2), Some(127)));
    let notes: Vec<String> = found.notes.iter().map(|note| format!("{} {}", note.path.as_str(), note.text)).collect();
    let expected = [
        "{urn:t}tenant/@id 7",
        "{urn:t}tenant/@{urn:u}id 8",
        "{urn:t}tenant Ω",
        "{urn:t}tenant/owner me",
        "{urn:t}tenant/{urn:u}owner/@name <",
        "{urn:t}tenant/{}owner you",
        "{urn:o}other/a/@b c",
    ];
    assert_eq!(notes, expected);
    for note in &found.notes {
        assert_eq!(NotePath::parse(note.path.as_str()).as_ref(), Some(&note.path));
    }
    assert!(definition(GUEST, NOVA).unwrap().plain.is_empty());
    assert_eq!(plain("<vcpu>4</vcpu><memory unit='GiB'>1</memory><title> </title>").vcpus, Some(4));
    let unusual = plain("<vcpu>many</vcpu><memory unit='GiB'>1</memory><title> </title>");
    assert_eq!((unusual.title, unusual.vcpus, unusual.memory), (None, None, None));
}

#[test]
fn notes_of_others_are_bounded() {
    let notes = |inner: &str| plain(&format!("<metadata>{inner}</metadata>")).unwrap().plain.notes;
    assert_eq!(notes(&"<x:a xmlns:x='urn:x'>b</x:a>".repeat(2000)).len(), 500);
    assert_eq!(notes(&format!("<x:a xmlns:x='urn:x'>{}</x:a>", "b".repeat(256))), []);
    let deep = notes(&format!("{}{}", "<a b='c'>".repeat(50_000), "</a>".repeat(50_000)));
    assert!(deep.iter().all(|note| note.path.as_str().len() < 30) && deep.len() == 8);
}
