//! Recordings of a simulated host.

mod any;

use std::collections::{BTreeSet, HashMap};
use std::fs;

use tempfile::NamedTempFile;
use uuid::Uuid;

use super::mask::Mask;
use super::*;
use crate::clock::{Clock, ManualClock, SECOND};
use crate::hypervisor::sim::Sim;
use crate::hypervisor::{Groups, Guests, KeyId, KeySet, Note, NotePath, Plain, Request, Value};

/// Some moment in 2026.
const START: i64 = 1_790_000_000 * SECOND;

fn every_group() -> Groups {
    Groups::STATE
        | Groups::CPU_TOTAL
        | Groups::BALLOON
        | Groups::VCPU
        | Groups::INTERFACE
        | Groups::BLOCK
        | Groups::PERF
}

fn all(groups: Groups) -> Request {
    Request { groups, keys: KeySet::All, guests: Guests::All }
}

/// Slots of a simulated host, a minute apart.
fn simulated(slots: usize) -> Vec<Recorded> {
    let clock = Arc::new(ManualClock::at(START));
    let sim = Sim::from_uri("sim://?domains=40&freeze=0", Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let mut connection = sim.connect().unwrap();
    let mut slot = || {
        clock.pass(60_000_000_000);
        let records = connection.read(&all(every_group())).unwrap();
        let definitions = records.iter().filter_map(|record| connection.define(record.guest).unwrap()).collect();
        Recorded::new(clock.now(), records, definitions)
    };
    (0..slots).map(|_| slot()).collect()
}

fn written(slots: &[Recorded]) -> Vec<u8> {
    let mut bytes = Vec::new();
    slots.iter().for_each(|slot| write_slot(&mut bytes, slot).unwrap());
    bytes
}

fn file(bytes: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(&file, bytes).unwrap();
    file
}

fn open(bytes: &[u8]) -> Result<Recording, HypervisorError> {
    Recording::open(file(bytes))
}

fn records(slot: &Recorded) -> Vec<Record> {
    let record = |guest: &RecordedGuest| Record {
        guest: guest.definition.uuid,
        revision: guest.revision,
        stats: guest.stats.clone(),
    };
    slot.guests.iter().map(record).collect()
}

#[test]
fn answers_what_the_host_answered() {
    let slots = simulated(3);
    let recording = open(&written(&slots)).unwrap();
    let mut connection = recording.connect().unwrap();
    assert_eq!((recording.slots(), recording.slot(), recording.read_at()), (3, 0, Some(slots[0].read_at)));
    for (number, slot) in [0, 1, 2, 0, 1].map(|number| (number, &slots[number])) {
        assert_eq!(connection.read(&all(every_group())).unwrap(), records(slot));
        assert_eq!((recording.slot(), recording.read_at()), (number, Some(slot.read_at)));
        for guest in &slot.guests {
            let definition = connection.define(guest.definition.uuid).unwrap();
            assert_eq!(definition.as_ref(), Some(&guest.definition));
        }
    }
    assert_eq!(connection.define(Uuid::nil()).unwrap(), None);
}

#[test]
fn a_slot_lasts_until_the_next_read_of_every_guests_state() {
    let slots = simulated(2);
    let recording = open(&written(&slots)).unwrap();
    let [mut one, mut other] = [recording.connect().unwrap(), recording.connect().unwrap()];
    let states = one.read(&all(Groups::STATE | Groups::INTERFACE)).unwrap();
    assert!(states.iter().flat_map(|record| &record.stats).all(|stat| {
        let name = stat.key.name();
        name.starts_with("state.") || name.starts_with("net.")
    }));
    let guest = slots[0].guests[0].definition.uuid;
    let only = |groups| Request { groups, keys: KeySet::All, guests: Guests::Only(vec![guest, Uuid::nil()]) };
    let blocks = other.read(&all(Groups::BLOCK)).unwrap();
    assert_eq!(blocks.len(), slots[0].guests.len());
    assert_eq!(other.read(&only(every_group())).unwrap(), records(&slots[0])[..1]);
    assert!(other.read(&only(Groups::NONE)).unwrap()[0].stats.is_empty());
    assert!(other.occupied(&[guest]).unwrap().is_empty());
    assert_eq!(recording.slot(), 0);
    other.read(&all(Groups::STATE)).unwrap();
    assert_eq!(one.read(&only(every_group())).unwrap(), records(&slots[1])[..1]);
}

/// Everything in a slot that says whose it is.
fn identities(slot: &Recorded) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for RecordedGuest { definition, .. } in &slot.guests {
        let nova = definition.nova.as_ref().unwrap();
        found.extend([definition.uuid.to_string(), definition.name.clone(), nova.display_name.clone()]);
        found.extend([nova.project_id.clone(), nova.user_id.clone()]);
        found.extend(nova.image_id.clone());
        found.extend(nova.flavor.id.clone().filter(|id| id.len() > 8));
        found.extend(nova.metadata.iter().map(|(_, value)| value.clone()));
        for nic in &definition.nics {
            found.extend([nic.target.clone(), nic.mac.clone(), nic.mac.replace(':', "")]);
            found.extend(nic.filter.iter().chain(&nic.interface_id).cloned());
            found.extend(nic.parameters.iter().map(|(_, value)| value.clone()));
        }
    }
    found
}

#[test]
fn a_masked_recording_names_nobody() {
    let mut slots = simulated(2);
    let paths = KeyId::of("block.*.path").unwrap();
    let path = || Value::Text("/var/lib/nova/instances/secret/disk".into());
    slots[0].guests[0].stats.push(Stat { key: paths, number: 0, value: path() });
    let identities: BTreeSet<String> = slots.iter().flat_map(identities).collect();
    assert!(identities.len() > 200);
    let mut mask = Mask::salted([1; 32]);
    slots.iter_mut().for_each(|slot| mask.apply(slot));
    let text = String::from_utf8(written(&slots)).unwrap();
    let json = |text: &str| serde_json::to_string(text).unwrap().trim_matches('"').to_owned();
    for identity in identities.iter().map(String::as_str).chain(["secret", "nova/instances"]) {
        assert!(!text.contains(&json(identity)), "{identity}");
    }
    for kept in ["m1.", "os_distro", "metering.stack", "br-int", "\"vda\"", "PROJNET", "block.*.path"] {
        assert!(text.contains(kept), "{kept}");
    }
}

#[test]
fn guests_of_others_are_recorded_and_masked() {
    let mut slots = simulated(1);
    let tenant = "0a1b2c3d4e5f46789abcdef012345678";
    let note = |path: &str, text: &str| Note { path: NotePath::parse(path).unwrap(), text: text.into() };
    let plain = Plain {
        title: Some("the boss's own".into()),
        vcpus: Some(3),
        memory: Some(77),
        notes: vec![note("{urn:x}tenant/@id", tenant), note("{urn:x}tenant/name", "ACME")],
    };
    let definition = &mut slots[0].guests[0].definition;
    (definition.nova, definition.plain) = (None, plain.clone());
    let read: Recorded = serde_json::from_slice(&written(&slots)).unwrap();
    assert_eq!(read, slots[0]);
    let text = String::from_utf8(written(&slots)).unwrap();
    assert_eq!(text.matches("\"plain\"").count(), 1, "guests of Nova's have nothing to say here");
    let mut mask = Mask::salted([1; 32]);
    mask.apply(&mut slots[0]);
    let masked = &slots[0].guests[0].definition.plain;
    assert_eq!((masked.vcpus, masked.memory), (Some(3), Some(77)));
    for (note, original) in masked.notes.iter().zip(&plain.notes) {
        assert_eq!(note.path, original.path);
        assert_ne!(note.text, original.text);
    }
    assert!(Uuid::parse_str(&masked.notes[0].text).is_ok(), "its shape is kept");
    let text = String::from_utf8(written(&slots)).unwrap();
    for identity in [tenant, "ACME", "boss"] {
        assert!(!text.contains(identity), "{identity}");
    }
}

#[test]
fn masking_is_consistent() {
    let originals = simulated(2);
    let (mut slots, mut mask) = (originals.clone(), Mask::new().unwrap());
    slots.iter_mut().for_each(|slot| mask.apply(slot));
    let mut known = HashMap::new();
    let pairs = originals.iter().zip(&slots).flat_map(|(a, b)| a.guests.iter().zip(&b.guests));
    for (original, masked) in pairs {
        let (of, is) = (&original.definition, &masked.definition);
        assert_eq!(*known.entry(of.uuid).or_insert(is.uuid), is.uuid);
        let (of_nova, is_nova) = (of.nova.as_ref().unwrap(), is.nova.as_ref().unwrap());
        let project = Uuid::parse_str(&is_nova.project_id).unwrap();
        assert_eq!(*known.entry(Uuid::parse_str(&of_nova.project_id).unwrap()).or_insert(project), project);
        assert_eq!((&of_nova.flavor.name, &of.disks), (&is_nova.flavor.name, &is.disks));
        let base = is_nova.image_meta.iter().find(|(key, _)| key == "base_image_ref");
        assert_eq!(base.and_then(|(_, value)| value.as_str()), is_nova.image_id.as_deref());
        for nic in &is.nics {
            assert_eq!(nic.target[3..], nic.interface_id.as_ref().unwrap()[..11]);
            let filter = format!("nova-instance-{}-{}", is.name, nic.mac.replace(':', ""));
            assert!(nic.filter.as_ref().is_none_or(|found| *found == filter));
            let named = |stat: &&Stat| stat.value == Value::Text(nic.target.as_str().into());
            assert_eq!(
                masked.stats.iter().filter(named).count(),
                original
                    .stats
                    .iter()
                    .filter(|stat| {
                        stat.key.name() == "net.*.name" && is.nics[stat.number as usize].target == nic.target
                    })
                    .count()
            );
        }
        let numbers = |guest: &RecordedGuest| {
            guest.stats.iter().filter(|stat| !matches!(stat.value, Value::Text(_))).cloned().collect::<Vec<_>>()
        };
        assert_eq!(numbers(original), numbers(masked));
    }
}

#[test]
fn says_which_line_is_damaged_and_what_to_do() {
    let good = String::from_utf8(written(&simulated(1))).unwrap();
    let guest = concat!(
        r#"{"definition":{"uuid":"00000000-0000-0000-0000-000000000001","name":"a","os_type":"hvm","#,
        r#""architecture":"x86_64","nova":null,"disks":[],"nics":[]},"stats":STATS}"#,
    );
    let slot = |guests: &str| format!(r#"{{"read_at":{{"wall":1,"monotonic":1}},"guests":[{guests}]}}"#);
    let stats = |stats: &str| slot(&guest.replace("STATS", stats));
    let disk = r#"{"target":"vda","has_source":true}"#;
    let nic = r#"{"target":"a","mac":"b","filter":null,"parameters":[],"interface_id":null,"bridge":null}"#;
    let devices = |disks: usize, nics: usize| {
        let (disks, nics) = (vec![disk; disks].join(","), vec![nic; nics].join(","));
        let guest = guest.replace(r#""disks":[]"#, &format!(r#""disks":[{disks}]"#));
        slot(&guest.replace(r#""nics":[]"#, &format!(r#""nics":[{nics}]"#)).replace("STATS", "[]"))
    };
    let vcpus: Vec<String> = (0..16_385).map(|number| format!(r#"["vcpu.*.time",{number},1]"#)).collect();
    for (bad, said) in [
        (good[..good.len() / 2].to_owned(), "line 3: column"),
        ("{}".to_owned(), "line 3: column 2: missing field `read_at`; take the line out, or make one with `wasmeter"),
        (stats(r#"[["cpu.time",0]]"#), "invalid length 2"),
        (stats(r#"[["cpu.time",-1,5]]"#), "invalid value: integer `-1`"),
        (stats(r#"[["cpu.time",0,null]]"#), "expected a number or a text"),
        (stats("{}"), "expected statistics such as"),
        (stats(&format!(r#"[["cpu.{}",0,1]]"#, "x".repeat(200))), "more than 200 bytes"),
        (slot(&[guest.replace("STATS", "[]"), guest.replace("STATS", "[]")].join(",")), "0001 twice"),
        (devices(1_001, 0), "0001 has 1001 disks, and at most 1000 are read"),
        (devices(0, 1_001), "0001 has 1001 network devices, and at most 1000 are read"),
        (stats(&format!("[{}]", vcpus.join(","))), "0001 has 16385 virtual CPUs, and at most 16384 are read"),
        (stats(&format!("[{}]", vec![r#"["cpu.time",0,1]"#; 1_000_001].join(","))), "at most 1000000 are read"),
    ] {
        let file = file(format!("{good}\n{bad}\n").as_bytes());
        let error = Recording::open(&file).unwrap_err().to_string();
        let path = file.path().display().to_string();
        assert!(error.contains(&path) && error.contains("line 3: ") && error.contains(said), "{said}: {error:.300}");
        assert!(error.len() < 600, "{error}");
    }
    for (uri, said) in [
        ("recording:", "recording:FILE"),
        ("sim://", "recording:FILE"),
        ("recording:/", "it is no file"),
        ("recording:/no/such/file", "name a readable recording"),
    ] {
        let error = Recording::from_uri(uri).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(uri), "{uri}: {error}");
    }
    assert!(open(b"\n \n").unwrap_err().to_string().contains("it has no slots; make one"));
    let file = file(b"");
    file.as_file().set_len(FILE_BYTES + 1).unwrap();
    assert!(Recording::open(&file).unwrap_err().to_string().contains("MiB"));
}

#[test]
fn numbers_keep_their_types() {
    let slot = |stats: &str| {
        let mut slot = serde_json::to_value(&simulated(1)[0]).unwrap();
        slot["guests"][0]["stats"] = serde_json::from_str(stats).unwrap();
        serde_json::from_value::<Recorded>(slot).unwrap().guests.remove(0)
    };
    let read = slot(
        r#"[["state.state",0,1],["vcpu.*.state",2,1],["cpu.time",0,18446744073709551615],["cpu.user",0,-1],
            ["perf.x",0,2.0],["vm.y",0,"z"],["unknown",0,1]]"#,
    );
    let values: Vec<&Value> = read.stats.iter().map(|stat| &stat.value).collect();
    let text = Value::Text("z".into());
    let expected = [Value::Integer(1), Value::Integer(1), Value::Count(u64::MAX), Value::Integer(-1), Value::Real(2.0)];
    assert_eq!(values, expected.iter().chain([&text]).collect::<Vec<_>>());
    let mut infinite = read.clone();
    infinite.stats[0].value = Value::Real(f64::NAN);
    let again: RecordedGuest = serde_json::from_slice(&serde_json::to_vec(&infinite).unwrap()).unwrap();
    assert_eq!(again.stats, read.stats[1..]);
}

#[test]
fn writes_nothing_that_cannot_be_read_again() {
    let mut slot = simulated(1).remove(0);
    slot.guests.push(slot.guests[0].clone());
    let mut bytes = Vec::new();
    assert!(write_slot(&mut bytes, &slot).unwrap_err().to_string().contains("twice"));
    assert!(bytes.is_empty());
}
