use std::collections::BTreeMap;

use proptest::prelude::*;
use scaling::testing::{Sample, batches, samples};
use wasmeter_sdk::testing::{Host, moment};
use wasmeter_sdk::{Column, Level, Note};

use super::*;

const MEMORY: &str = r#"{"target": {"name": "memory_util", "unit": "%", "type": "gauge",
                         "expr": "100 * $(memory.usage) / $(memory)"}}"#;

fn meter(name: &str) -> Meter {
    Meter { name: name.into(), kind: Kind::Gauge, unit: "MB".into() }
}

fn inputs() -> [Meter; 2] {
    ["memory.usage", "memory"].map(meter)
}

fn count(meter: u32, second: u32, resource: u32, volume: u64) -> Sample {
    (meter, second, resource, Volume::Count(volume))
}

fn convert(host: &mut Host, given: &[Sample]) -> Vec<(u32, u32, f64)> {
    let given = host.convert::<Arithmetic>(&inputs(), batches(given)).unwrap().batches;
    samples(&given).into_iter().map(|(_, second, resource, volume)| (second, resource, volume.real())).collect()
}

#[test]
fn what_the_target_lacks_is_the_first_meters() {
    let described = |config: &str, inputs: &[Meter]| Arithmetic::describe(config, inputs).unwrap().meters;
    let util = Meter { name: "memory_util".into(), kind: Kind::Gauge, unit: "%".into() };
    assert_eq!(described(MEMORY, &inputs()), std::slice::from_ref(&util));
    assert_eq!(described(MEMORY, &[meter("memory")]), [util]);
    let bare = r#"{"target": {"expr": "$(memory) - $(memory.usage)"}}"#;
    assert_eq!(described(bare, &inputs()), [meter("memory")]);
    assert_eq!(described(bare, &[meter("memory.usage")]), []);
}

#[test]
fn errors_name_the_key_and_point_into_the_expression() {
    for (config, expected) in [
        ("{}", "target.expr is missing; write what to calculate"),
        (r#"{"target": {"expr": "1 + 1"}}"#, "target.expr: it names no meter; write one as $(cpu)"),
        (
            r#"{"target": {"expr": "$(a) + volume"}}"#,
            "target.expr: say of which meter, as in $(cpu).volume, at column 8: `volume`",
        ),
        (
            r#"{"target": {"expr": "$(a).id"}}"#,
            "target.expr: a sample has no id before it is sent, at column 1: `$(a).id`",
        ),
        (r#"{"target": {"expr": "$(a) +"}}"#, "target.expr: it ends where a value is expected, at column 7"),
        (r#"{"target": {"expr": "$(a)", "name": ""}}"#, "target.name is empty; write a name, or leave it out"),
        (r#"{"expr": "$(a)"}"#, "there is no key expr; there are target"),
    ] {
        assert_eq!(Arithmetic::describe(config, &inputs()).unwrap_err(), expected);
    }
}

#[test]
fn results_by_the_table() {
    for (expr, expected) in [
        ("100 * $(memory.usage) / $(memory)", Some(25.0)),
        ("$(memory.usage).volume + $(memory)", Some(640.0)),
        ("$(memory.usage) if $(memory.usage).unit == 'MB' and $(memory).name == 'memory' else 0", Some(128.0)),
        ("$(memory) // $(memory.usage) ** 2 + ($(memory) > 5)", Some(1.0)),
        ("$(memory.usage) / ($(memory) - 512)", None),
        ("$(memory) * 1e308", None),
        ("$(memory) and $(memory.usage).name", None),
        ("float('nan') * $(memory) * $(memory.usage)", None),
    ] {
        let config = format!(r#"{{"target": {{"name": "x", "unit": "", "type": "gauge", "expr": "{expr}"}}}}"#);
        let mut host = Host::new().config(&config);
        let given = convert(&mut host, &[count(0, 10, 3, 128), count(1, 10, 3, 512)]);
        assert_eq!(given, expected.map(|volume| (10, 3, volume)).into_iter().collect::<Vec<_>>(), "{expr}");
        assert_eq!(host.logs().len(), usize::from(expected.is_none()), "{expr}");
    }
}

#[test]
fn a_resource_waits_until_it_has_all_meters() {
    let mut host = Host::new().config(MEMORY);
    assert_eq!(convert(&mut host, &[count(0, 10, 1, 50), count(0, 10, 2, 60), count(1, 10, 3, 100)]), []);
    assert_eq!(convert(&mut host, &[count(1, 20, 1, 200), count(0, 20, 2, 80)]), [(20, 1, 25.0)]);
    // Both were used up.
    assert_eq!(convert(&mut host, &[count(1, 30, 1, 200), count(1, 30, 2, 100)]), [(30, 2, 80.0)]);
    assert_eq!(convert(&mut host, &[count(0, 40, 1, 20), count(0, 40, 3, 30)]), [(40, 1, 10.0), (40, 3, 30.0)]);
    assert_eq!(convert(&mut host, &[count(0, 50, 1, 20)]), []);
}

#[test]
fn one_that_cannot_be_calculated_is_used_up() {
    let mut host = Host::new().config(MEMORY);
    assert_eq!(convert(&mut host, &[count(0, 10, 1, 50), count(1, 10, 1, 0)]), []);
    let expected = "1 samples were dropped, the first of memory_util: target.expr: division by zero, at column 1: `100 * \
                    $(memory.usage) / $(memory)`";
    assert_eq!(host.logs(), [(Level::Warn, expected.to_owned())]);
    assert_eq!(convert(&mut host, &[count(1, 20, 1, 100)]), []);
}

#[test]
fn it_has_the_time_of_the_last_sample_of_any_resource() {
    let mut host = Host::new().config(MEMORY);
    assert_eq!(convert(&mut host, &[count(0, 10, 1, 50), count(1, 10, 1, 100), count(0, 15, 2, 1)]), [(15, 1, 50.0)]);
}

#[test]
fn metadata_are_asked_for_by_meter() {
    let config =
        r#"{"target": {"expr": "$(memory.usage).resource_metadata.n + $(memory).resource_metadata.flavor.ram"}}"#;
    let mut host = Host::new().config(config).attribute("n", [(0, "n")]);
    host = host.attribute("resource_metadata.flavor.ram", [(1, "512"), (2, "256")]);
    let noted = |second: u32, cells: [(u32, u64); 1]| {
        let notes = vec![Note { key: 0, column: [(1, 7_u64), (2, 8)].into_iter().collect() }];
        Batch { meter: 0, at: moment(second), column: cells.into_iter().collect(), notes }
    };
    let plain = |second, cells: [(u32, u64); 1]| Batch { meter: 1, notes: Vec::new(), ..noted(second, cells) };
    let given = host.convert::<Arithmetic>(&inputs(), vec![noted(10, [(1, 0)]), plain(10, [(1, 0)])]).unwrap().batches;
    assert_eq!(given[0].column, [(1, 519.0)].into_iter().collect::<Column>());
    assert_eq!(given[0].notes.len(), 1);
    // What waits remembers numbers.
    assert!(host.convert::<Arithmetic>(&inputs(), vec![noted(20, [(2, 0)])]).unwrap().batches.is_empty());
    let given = host.convert::<Arithmetic>(&inputs(), vec![plain(30, [(2, 0)])]).unwrap().batches;
    assert_eq!(given[0].column, [(2, 264.0)].into_iter().collect::<Column>());
}

proptest! {
    /// Several samples of a meter in a slot, meters that come in different slots, and some that are not asked for.
    #[test]
    fn it_is_what_a_plain_model_says(
        slots in prop::collection::vec(prop::collection::vec((0_u32..3, 0_u32..12, 0_u32..5, 0_u64..9), 0..12), 1..8),
    ) {
        let config = r#"{"target": {"name": "x", "unit": "", "type": "gauge", "expr": "$(a) * 10 + $(b)"}}"#;
        let inputs = ["a", "b", "c"].map(meter);
        let mut host = Host::new().config(config).read_at(100);
        let mut known: BTreeMap<u32, BTreeMap<u32, u64>> = BTreeMap::new();
        for slot in slots {
            let slot: Vec<Sample> = slot.into_iter().map(|(m, s, r, v)| count(m, s, r, v)).collect();
            let batches = batches(&slot);
            for (meter, _, resource, volume) in samples(&batches).into_iter().filter(|(meter, ..)| *meter < 2) {
                known.entry(resource).or_default().insert(meter, u64::try_from(volume.whole().unwrap()).unwrap());
            }
            let last = samples(&batches).last().map(|(_, second, ..)| *second);
            let mut expected = Vec::new();
            known.retain(|resource, meters| {
                let (Some(a), Some(b)) = (meters.get(&0), meters.get(&1)) else { return true };
                expected.push((last.unwrap(), *resource, (a * 10 + b) as f64));
                false
            });
            let given = host.convert::<Arithmetic>(&inputs, batches).unwrap().batches;
            let given: Vec<_> = samples(&given).into_iter().map(|(_, s, r, volume)| (s, r, volume.real())).collect();
            prop_assert_eq!(given, expected);
        }
    }
}
