use std::collections::BTreeMap;

use expression::Volume;
use proptest::prelude::*;
use scaling::testing::{EXTREMES, batches, samples};
use wasmeter_sdk::testing::{Host, moment};
use wasmeter_sdk::{Kind, Values};

use super::*;

fn meter(name: &str) -> Meter {
    Meter { name: name.into(), kind: Kind::Gauge, unit: "B".into() }
}

fn rules(rules: &str) -> String {
    format!(r#"{{"rules": [{rules}]}}"#)
}

fn host(config: &str) -> Host {
    let host = Host::new().config(config).attribute("project_id", [(0, "red"), (1, "blue"), (2, "red")]);
    host.attribute("resource_metadata.flavor.name", [(0, "\"m1.small\""), (1, "\"c1\"")])
}

/// The names of what comes out of two meters of three resources, with the resources.
fn converted(rule: &str) -> Vec<(String, Vec<u32>)> {
    let inputs = ["disk.read", "cpu"].map(meter);
    let batch =
        |meter| Batch { meter, at: moment(10), column: (0..3).map(|r| (r, 7_u64)).collect(), notes: Vec::new() };
    let given = host(&rules(rule)).convert::<Relabel>(&inputs, vec![batch(0), batch(1)]).unwrap();
    let name = |batch: &Batch| given.meters[batch.meter as usize].name.clone();
    given.batches.iter().map(|batch| (name(batch), batch.column.resources.clone())).collect()
}

#[test]
fn rules_by_the_table() {
    let all = vec![0, 1, 2];
    for (rule, expected) in [
        (r#"{"drop": {"name": "cpu"}}"#, vec![("disk.read", all.clone())]),
        (r#"{"drop": {"name": "cp"}}"#, vec![("disk.read", all.clone()), ("cpu", all.clone())]),
        (r#"{"keep": {"name": "c.*", "type": "gauge|delta", "unit": "B"}}"#, vec![("cpu", all.clone())]),
        (r#"{"keep": {"project_id": "red"}}"#, vec![("disk.read", vec![0, 2]), ("cpu", vec![0, 2])]),
        (r#"{"keep": {"project_id": "red", "name": "cpu"}}"#, vec![("cpu", vec![0, 2])]),
        (r#"{"drop": {"resource_metadata.flavor.name": ""}}"#, vec![("disk.read", vec![0, 1]), ("cpu", vec![0, 1])]),
        (
            r#"{"rename": {"from": "^disk\\.(.*)$", "to": "storage.\\1"}}"#,
            vec![("storage.read", all.clone()), ("cpu", all.clone())],
        ),
        (
            r#"{"rename": {"from": "$", "to": ".red"}, "when": {"project_id": "red", "name": "cpu"}}"#,
            vec![("disk.read", all.clone()), ("cpu.red", vec![0, 2]), ("cpu", vec![1])],
        ),
        (
            r#"{"rename": {"from": "cpu", "to": "load"}}, {"keep": {"name": "load"}}, {"drop": {"project_id": "red"}}"#,
            vec![("load", vec![1])],
        ),
        (r#"{"keep": {"name": "none"}}"#, vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(name, resources)| (name.to_owned(), resources)).collect();
        assert_eq!(converted(rule), expected, "{rule}");
    }
}

#[test]
fn metadata_are_set() {
    let config = rules(
        r#"{"set": {"tier": "gold", "n": 1, "m": {"a": [true, null]}}, "when": {"resource_metadata.flavor.name": "m1\\..*"}},
           {"set": {"n": 2}, "when": {"project_id": "red"}}"#,
    );
    let mut host = host(&config).attribute("texts", [(0, "n"), (1, "other")]);
    let note = |key| Note { key, column: Column::new(vec![0, 1, 2], vec![9_u64; 3]) };
    // The test's host numbers texts in the order in which it meets them.
    let (n, other) = (4, 5);
    let batch = Batch {
        meter: 0,
        at: moment(10),
        column: (0..3).map(|r| (r, 7_u64)).collect(),
        notes: vec![note(n), note(other)],
    };
    let given = host.convert::<Relabel>(&[meter("cpu")], vec![batch]).unwrap();
    let resources: Vec<_> = given.batches.iter().map(|batch| batch.column.resources.clone()).collect();
    assert_eq!(resources, [vec![0], vec![2], vec![1]]);
    let values = |batch: usize, key| {
        let notes = &given.batches[batch].notes;
        notes.iter().find(|note| note.key == key).map(|note| note.column.values.clone())
    };
    assert!(matches!(values(0, n), Some(Values::Interned(_))));
    assert_eq!(values(0, other), Some(Values::Counts(vec![9; 3])));
    assert_eq!(given.batches[0].notes.len(), 4);
    assert_eq!(given.batches[1].notes.len(), 2);
    assert_eq!(values(2, n), Some(Values::Counts(vec![9; 3])));
}

#[test]
fn what_may_come_out_is_described() {
    let describe = |rule: &str| {
        let meters = Relabel::describe(&rules(rule), &["disk.read", "cpu"].map(meter)).map(|outputs| outputs.meters);
        meters.map(|meters| meters.into_iter().map(|meter| meter.name).collect::<Vec<_>>())
    };
    let rename = r#"{"rename": {"from": "cpu", "to": "load"}, "when": {"project_id": "red"}}"#;
    assert_eq!(describe(rename).unwrap(), ["disk.read", "load", "cpu"]);
    assert_eq!(describe(r#"{"drop": {"name": ".*"}}"#).unwrap(), Vec::<String>::new());
    assert_eq!(describe(r#"{"drop": {"name": "cpu"}}, {"rename": {"from": ".+", "to": "x"}}"#).unwrap(), ["x"]);
}

/// Samples of two meters come out under one name where conditions about samples keep them apart, and not otherwise.
#[test]
fn two_meters_of_one_name_are_refused_where_they_would_mix() {
    for (rule, mix) in [
        (r#"{"rename": {"from": ".+", "to": "x"}}"#, true),
        (r#"{"rename": {"from": "^cpu$", "to": "disk.read"}}"#, true),
        (r#"{"keep": {"project_id": "red"}}, {"rename": {"from": ".+", "to": "x"}}"#, true),
        (r#"{"rename": {"from": ".+", "to": "x"}, "when": {"project_id": "red"}}"#, true),
        (r#"{"rename": {"from": "^cpu$", "to": "disk.read"}, "when": {"project_id": "red"}}"#, true),
        (
            r#"{"drop": {"name": "cpu", "project_id": "red"}}, {"drop": {"name": "disk.*", "project_id": "blue|"}},
               {"rename": {"from": ".+", "to": "x"}}"#,
            false,
        ),
        (
            r#"{"drop": {"name": "disk.*", "project_id": "red"}},
               {"rename": {"from": "^cpu$", "to": "disk.read"}, "when": {"project_id": "red"}}"#,
            false,
        ),
        (r#"{"set": {"a": 1}, "when": {"project_id": "red"}}, {"rename": {"from": ".+", "to": "x"}}"#, true),
    ] {
        let described = Relabel::describe(&rules(rule), &["disk.read", "cpu"].map(meter)).map(drop);
        let found = described.is_err_and(|error| error.contains("disk.read and cpu would both come out as "));
        assert_eq!(found, mix, "{rule}");
    }
}

#[test]
fn errors_name_the_key() {
    for (rule, expected) in [
        ("", "rules is missing or empty; write a list of keep, drop, rename and set"),
        ("{}", "rules[0] has none; write one of keep, drop, rename and set, with what it needs"),
        (
            r#"{"keep": {"name": "a"}, "drop": {"name": "a"}}"#,
            "rules[0] has keep and drop; write one of keep, drop, rename and set, with what it needs",
        ),
        (
            r#"{"keep": {"name": "a"}, "when": {"name": "a"}}"#,
            "rules[0].when has no meaning here; write its conditions under keep",
        ),
        (r#"{"drop": {}}"#, "rules[0].drop is empty; write conditions, each as a name and a pattern"),
        (r#"{"rename": null}"#, "rules[0].rename is empty; write from and to"),
        (r#"{"set": {}}"#, "rules[0].set is empty; write metadata and their values"),
        (r#"{"keep": {"name": 1}}"#, "rules[0].keep.name is 1; write a pattern"),
        (
            r#"{"keep": {"volume": 1}}"#,
            "rules[0].keep.volume: conditions are about texts; for volumes there is the transformer threshold",
        ),
        (r#"{"keep": {"a + b": "1"}}"#, "rules[0].keep.a + b: this is no name; write one as resource_metadata.status"),
        (
            r#"{"rename": {"from": "a"}}"#,
            "rules[0].rename.to is missing; write what replaces what rules[0].rename.from matches",
        ),
        (r#"{"rename": {"from": "(a)", "to": "\\2"}}"#, "rules[0].rename.to: there is no group 2; there are 1"),
        (r#"{"set": {"status": 1}}"#, "rules[0].set.status is written by the host; write another key"),
        (r#"{"set": {"a": 1}, "if": {}}"#, "there is no key rules[0].if; there are keep, drop, rename, set, when"),
    ] {
        assert_eq!(Relabel::describe(&rules(rule), &[meter("cpu")]).unwrap_err(), expected);
    }
    let error = Relabel::describe(&rules(r#"{"keep": {"projectid": "x"}}"#), &[meter("cpu")]).unwrap_err();
    assert!(error.starts_with("rules[0].keep.projectid: a sample has no projectid; it has name, "), "{error}");
    for pattern in ["(", "a)|(b"] {
        let rule = format!(r#"{{"keep": {{"name": "{pattern}"}}}}"#);
        let error = Relabel::describe(&rules(&rule), &[meter("cpu")]).unwrap_err();
        assert!(error.starts_with(&format!("rules[0].keep.name: {pattern:?} is no pattern: ")), "{error}");
    }
}

fn volume() -> impl Strategy<Value = Volume> {
    prop_oneof![(0_u64..9).prop_map(Volume::Count), prop::sample::select(EXTREMES.to_vec())]
}

proptest! {
    /// Rules of any kind in any order, applied to each sample for itself.
    #[test]
    fn it_is_what_a_plain_model_says(
        chosen in prop::collection::vec((0_usize..6, prop::option::of(0_usize..3), prop::option::of(0_usize..2)), 1..7),
        given in prop::collection::vec((0_u32..3, 5_u32..8, 0_u32..4, volume()), 0..25),
    ) {
        let (names, projects) = (["a.x", "b.x", "c"], ["red", "blue"]);
        let attributes = [(0, "red"), (1, "blue"), (2, "red")];
        let written = chosen.iter().enumerate().map(|(rule, (action, name, project))| {
            let name = name.map(|name| format!(r#""name": "{}""#, names[name].replace('.', "\\\\.")));
            let project = project.map(|project| format!(r#""project_id": "{}""#, projects[project]));
            let when = name.into_iter().chain(project).collect::<Vec<_>>().join(", ");
            let any = if when.is_empty() { r#""name": ".*""#.to_owned() } else { when.clone() };
            match action {
                0 => format!(r#"{{"keep": {{{any}}}}}"#),
                1 => format!(r#"{{"drop": {{{any}}}}}"#),
                2 => format!(r#"{{"rename": {{"from": "x", "to": "y.x"}}, "when": {{{when}}}}}"#),
                3 => format!(r#"{{"rename": {{"from": "[ab]\\..*", "to": "c"}}, "when": {{{when}}}}}"#),
                4 => format!(r#"{{"set": {{"tier": {rule}}}, "when": {{{when}}}}}"#),
                _ => format!(r#"{{"set": {{"tier": [{rule}], "note": null}}, "when": {{{when}}}}}"#),
            }
        });
        let config = rules(&written.collect::<Vec<_>>().join(", "));
        let batches = batches(&given);
        /// A sample's name, time, resource, volume and metadata.
        type Point = (String, u32, u32, u64, BTreeMap<String, String>);
        let mut expected: BTreeMap<Point, usize> = BTreeMap::new();
        'sample: for (meter, second, resource, volume) in samples(&batches) {
            let mut name = names[meter as usize].to_owned();
            let project = attributes.iter().find(|(known, _)| *known == resource).map(|(_, project)| *project);
            let mut notes: BTreeMap<String, String> = BTreeMap::new();
            for (rule, (action, wanted, owner)) in chosen.iter().enumerate() {
                let hit = wanted.is_none_or(|wanted| names[wanted] == name)
                    && owner.is_none_or(|owner| project == Some(projects[owner]));
                match action {
                    0 if !hit => continue 'sample,
                    1 if hit => continue 'sample,
                    2 if hit => name = name.replace('x', "y.x"),
                    3 if hit && (name.starts_with("a.") || name.starts_with("b.")) => name = "c".into(),
                    4 if hit => drop(notes.insert("tier".into(), rule.to_string())),
                    5 if hit => {
                        notes.extend([("tier".into(), format!("[{rule}]")), ("note".into(), "null".into())]);
                    }
                    _ => {}
                }
            }
            *expected.entry((name, second, resource, volume.real().to_bits(), notes)).or_default() += 1;
        }
        if let Err(error) = Relabel::describe(&config, &names.map(meter)) {
            prop_assert!(error.contains(" would both come out as "), "{}", error);
            return Ok(());
        }
        let mut host = Host::new().config(&config).attribute("project_id", attributes);
        let made = host.convert::<Relabel>(&names.map(meter), batches).unwrap();
        let mut found: BTreeMap<Point, usize> = BTreeMap::new();
        for batch in &made.batches {
            let name = &made.meters[batch.meter as usize].name;
            for (_, second, resource, volume) in samples(std::slice::from_ref(batch)) {
                let note = |note: &Note| {
                    let Values::Interned(texts) = &note.column.values else { panic!("{note:?}") };
                    let place = note.column.resources.iter().position(|known| *known == resource)?;
                    Some((made.text(note.key)?.to_owned(), made.text(texts[place])?.to_owned()))
                };
                let notes = batch.notes.iter().filter_map(note).collect();
                *found.entry((name.clone(), second, resource, volume.real().to_bits(), notes)).or_default() += 1;
            }
        }
        prop_assert_eq!(found, expected);
    }
}
