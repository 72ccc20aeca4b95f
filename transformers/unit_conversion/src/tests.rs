use expression::Volume;
use proptest::prelude::*;
use scaling::testing::{EXTREMES, batches, samples};
use wasmeter_sdk::testing::{Host, moment};
use wasmeter_sdk::{Column, Kind, Values};

use super::*;

fn meter(unit: &str) -> Meter {
    Meter { name: "disk.size".into(), kind: Kind::Gauge, unit: unit.into() }
}

fn converted(config: &str, column: Column) -> Option<Column> {
    let batch = Batch { meter: 0, at: moment(10), column, notes: Vec::new() };
    let given = Host::new().config(config).convert::<UnitConversion>(&[meter("B")], vec![batch]).unwrap();
    given.batches.into_iter().next().map(|batch| batch.column)
}

#[test]
fn volumes_by_the_table() {
    let column = |values: Values| Column { resources: vec![3], values };
    for (scale, given, expected) in [
        ("null", Values::Counts(vec![5]), Some(Values::Counts(vec![5]))),
        ("0", Values::Counts(vec![5]), Some(Values::Counts(vec![5]))),
        ("\"\"", Values::Counts(vec![5]), Some(Values::Counts(vec![5]))),
        ("3", Values::Counts(vec![5]), Some(Values::Counts(vec![15]))),
        ("-3", Values::Counts(vec![5]), Some(Values::Integers(vec![-15]))),
        ("3", Values::Integers(vec![-5]), Some(Values::Integers(vec![-15]))),
        ("2", Values::Counts(vec![u64::MAX]), Some(Values::Reals(vec![36_893_488_147_419_103_230.0]))),
        ("0.5", Values::Counts(vec![5]), Some(Values::Reals(vec![2.5]))),
        ("1e300", Values::Reals(vec![1e300]), None),
        ("\"volume * 1.0 / 1024\"", Values::Counts(vec![512]), Some(Values::Reals(vec![0.5]))),
        ("\"volume // 1024 % 7\"", Values::Counts(vec![10_240]), Some(Values::Counts(vec![3]))),
        ("\"volume - 2**64\"", Values::Counts(vec![u64::MAX]), Some(Values::Integers(vec![-1]))),
        ("\"1.0 / 1024\"", Values::Counts(vec![512]), Some(Values::Reals(vec![0.0009765625]))),
        (
            "\"1 if unit == 'B' and type == 'gauge' and name == 'disk.size' else 0\"",
            Values::Counts(vec![9]),
            Some(Values::Counts(vec![1])),
        ),
        ("\"int(timestamp[-9:])\"", Values::Counts(vec![9]), None),
        ("\"None\"", Values::Counts(vec![9]), None),
        ("\"1e308 * 100\"", Values::Counts(vec![9]), None),
        ("\"volume / (volume - 9)\"", Values::Counts(vec![9]), None),
    ] {
        let config = format!(r#"{{"target": {{"scale": {scale}}}}}"#);
        if UnitConversion::describe(&config, &[meter("B")]).is_err() {
            assert!(expected.is_none(), "{scale}");
            continue;
        }
        assert_eq!(converted(&config, column(given)), expected.map(column), "{scale}");
    }
}

#[test]
fn there_is_a_most() {
    let column: Column = [(0, 5_u64), (1, 50), (2, 500)].into_iter().collect();
    let limited = converted(r#"{"target": {"max": 50}}"#, column.clone()).unwrap();
    assert_eq!(limited, [(0, 5_u64), (1, 50), (2, 50)].into_iter().collect());
    let limited = converted(r#"{"target": {"max": 49.5, "scale": 2}}"#, column).unwrap();
    assert_eq!(limited, [(0, 10.0), (1, 49.5), (2, 49.5)].into_iter().collect());
}

#[test]
fn other_units_pass() {
    let config =
        r#"{"source": {"unit": "B"}, "target": {"name": "disk.size.kb", "unit": "KB", "scale": "volume / 1024"}}"#;
    let inputs = [meter("B"), meter("GB")];
    let named = UnitConversion::describe(config, &inputs).unwrap().meters;
    let named: Vec<_> = named.iter().map(|meter| (&*meter.name, &*meter.unit)).collect();
    assert_eq!(named, [("disk.size.kb", "KB"), ("disk.size", "GB")]);
    let batch = |meter, cells: [(u32, u64); 1]| Batch {
        meter,
        at: moment(10),
        column: cells.into_iter().collect(),
        notes: Vec::new(),
    };
    let given =
        Host::new().config(config).convert::<UnitConversion>(&inputs, vec![batch(1, [(0, 7)]), batch(0, [(1, 2048)])]);
    let given: Vec<_> = given.unwrap().batches.into_iter().map(|batch| (batch.meter, batch.column)).collect();
    assert_eq!(given, [(1, [(0, 7_u64)].into_iter().collect()), (0, [(1, 2.0)].into_iter().collect())]);
}

#[test]
fn meters_of_one_name_become_one() {
    let config = r#"{"target": {"name": "size", "unit": "B"}}"#;
    let inputs = [meter("B"), meter("GB")];
    assert_eq!(UnitConversion::describe(config, &inputs).unwrap().meters.len(), 1);
    let error = UnitConversion::describe(r#"{"target": {"name": "size"}}"#, &inputs).unwrap_err();
    assert!(error.contains("size would come out both as"), "{error}");
}

fn volume() -> impl Strategy<Value = Volume> {
    let real = || any::<i64>().prop_map(|volume| Volume::Real(volume as f64 / 7.0));
    prop_oneof![
        any::<i64>().prop_map(Volume::Integer),
        any::<u64>().prop_map(Volume::Count),
        real(),
        prop::sample::select(EXTREMES.to_vec())
    ]
}

proptest! {
    /// Whatever comes in: numbers of any size and type, with a factor of either.
    #[test]
    fn it_is_what_a_plain_model_says(
        volumes in prop::collection::btree_map(0_u32..20, volume(), 0..20),
        whole in -1_000_i64..1_000,
        real in prop_oneof![-1e3..1e3, -1e300..1e300],
        most in prop::option::of(-1e6..1e6),
    ) {
        let given: Vec<_> = volumes.into_iter().map(|(resource, volume)| (0, 10, resource, volume)).collect();
        // All of one type, if there is one that holds them.
        let given = samples(&batches(&given));
        let limited = |volume: f64| most.filter(|most| *most != 0.0).map_or(volume, |most| volume.min(most));
        let written = format!("\"volume * ({whole})\"");
        for (scale, by_whole, is_expression) in
            [(whole.to_string(), true, false), (format!("{real:?}"), false, false), (written, true, true)]
        {
            let most = most.map_or("null".to_owned(), |most| format!("{most:?}"));
            let config = format!(r#"{{"target": {{"scale": {scale}, "max": {most}}}}}"#);
            let made = Host::new().config(&config).convert::<UnitConversion>(&[meter("B")], batches(&given)).unwrap();
            let made: Vec<_> = samples(&made.batches).into_iter().map(|(.., resource, volume)| (resource, volume.real())).collect();
            let product = |volume: Volume| match (by_whole, volume.whole()) {
                (true, _) if whole == 0 && !is_expression => volume.real(),
                (true, Some(volume)) => (volume * i128::from(whole)) as f64,
                (true, None) => volume.real() * whole as f64,
                (false, _) if real == 0.0 => volume.real(),
                (false, _) => volume.real() * real,
            };
            let expected = given.iter().map(|(.., resource, volume)| (*resource, product(*volume)));
            let expected = expected.filter(|(_, volume)| volume.is_finite());
            let expected: Vec<_> = expected.map(|(resource, volume)| (resource, limited(volume))).collect();
            prop_assert_eq!(made, expected);
        }
    }
}
