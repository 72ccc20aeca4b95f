use std::collections::BTreeMap;

use expression::Volume;
use proptest::prelude::*;
use scaling::testing::{EXTREMES, batch, batches, samples};
use wasmeter_sdk::Moment;
use wasmeter_sdk::testing::Host;

use super::*;

fn meter(name: &str) -> Meter {
    Meter { name: name.into(), kind: Kind::Gauge, unit: "%".into() }
}

#[test]
fn it_is_a_gauge_of_its_own() {
    let named = Threshold::describe(r#"{"above": 1}"#, &[meter("cpu_util"), meter("memory")]).unwrap().meters;
    let gauge = |name: &str| Meter { name: name.into(), kind: Kind::Gauge, unit: String::new() };
    assert_eq!(named, [gauge("cpu_util.threshold"), gauge("memory.threshold")]);
    let config = r#"{"above": 1, "target": {"name": "high", "unit": "alarm"}}"#;
    let named = Threshold::describe(config, &[meter("cpu_util")]).unwrap().meters;
    assert_eq!(named, [Meter { unit: "alarm".into(), ..gauge("high") }]);
}

#[test]
fn errors_name_the_key() {
    let error = Threshold::describe(r#"{"above": 1, "target": {"name": "x"}}"#, &["a", "b"].map(meter)).unwrap_err();
    assert!(error.starts_with("target.name is x, but a, b and perhaps others come in; leave it out"), "{error}");
    for (config, expected) in [
        ("{}", "above is missing; write the line as above or as below"),
        (r#"{"above": 1, "below": 2}"#, "above and below are both given; write one of them"),
        (r#"{"above": 1, "clear": 2}"#, "clear is 2, and above is 1; write a clear of 1 or less"),
        (r#"{"below": 2, "clear": 1}"#, "clear is 1, and below is 2; write a clear of 2 or more"),
        (r#"{"above": "high"}"#, "above is \"high\"; write a number"),
        (r#"{"above": 1, "target": {"name": ""}}"#, "target.name is empty; write a name, or leave it out"),
        (r#"{"abvoe": 1}"#, "there is no key abvoe; there are above, below, clear, target"),
    ] {
        assert_eq!(Threshold::describe(config, &[meter("cpu_util")]).unwrap_err(), expected);
    }
}

#[test]
fn changes_by_the_table() {
    let high = r#"{"above": 90, "clear": 80}"#;
    let low = r#"{"below": 10, "clear": 20}"#;
    for (what, config, volumes, expected) in [
        ("it stays low", high, vec![1, 90, 85], vec![]),
        ("it rises and falls", high, vec![1, 91, 95, 81, 80, 85, 91], vec![(1, 1.0), (4, 0.0), (6, 1.0)]),
        ("it is high at first", high, vec![91, 91], vec![(0, 1.0)]),
        ("without a gap", r#"{"above": 90}"#, vec![90, 91, 90, 91], vec![(1, 1.0), (2, 0.0), (3, 1.0)]),
        ("it falls and rises", low, vec![15, 9, 19, 20, 15], vec![(1, 1.0), (3, 0.0)]),
    ] {
        let mut host = Host::new().config(config);
        let mut changes = Vec::new();
        for (second, volume) in (0..).zip(volumes) {
            let given = batches(&[(0, second, 3, Volume::Count(volume))]);
            let given = host.convert::<Threshold>(&[meter("cpu_util")], given).unwrap().batches;
            changes.extend(samples(&given).into_iter().map(|(_, second, _, volume)| (second, volume.real())));
            assert!(given.iter().all(|batch| batch.notes[0].column.as_f64()[0] == volume as f64));
        }
        assert_eq!(changes, expected, "{what}");
    }
}

#[test]
fn an_older_sample_changes_nothing() {
    let mut host = Host::new().config(r#"{"above": 90}"#).read_at(100);
    let mut convert = |second, volume| {
        let given = batches(&[(0, second, 3, Volume::Real(volume))]);
        samples(&host.convert::<Threshold>(&[meter("cpu_util")], given).unwrap().batches).len()
    };
    assert_eq!(convert(10, 95.0), 1);
    assert_eq!(convert(9, 5.0), 0);
    assert_eq!(convert(10, 5.0), 1);
}

#[test]
fn a_clock_that_is_set_back_hides_no_change() {
    let mut host = Host::new().config(r#"{"above": 90}"#);
    let mut changes = |wall: i64, monotonic: Option<u64>, volume| {
        let at = Moment { wall: wall * 1_000_000_000, monotonic: monotonic.map(|at| at * 1_000_000_000) };
        let given = vec![Batch { at, ..batch(0, 0, &BTreeMap::from([(3, Volume::Real(volume))])) }];
        samples(&host.convert::<Threshold>(&[meter("cpu_util")], given).unwrap().batches).len()
    };
    assert_eq!(changes(9_000, Some(10), 95.0), 1);
    assert_eq!(changes(5_400, Some(20), 5.0), 1, "set back by an hour");
    assert_eq!(changes(5_395, Some(15), 95.0), 0, "an older sample");
    assert_eq!(changes(5_410, None, 95.0), 1, "without the other clock");
    assert_eq!(changes(9_040, Some(5), 5.0), 1, "the machine was started anew");
}

fn volume() -> impl Strategy<Value = Volume> {
    prop_oneof![2 => (-3_i64..4).prop_map(Volume::Integer), 1 => prop::sample::select(EXTREMES.to_vec())]
}

proptest! {
    #[test]
    fn it_is_what_a_plain_model_says(
        slots in prop::collection::vec(prop::collection::vec((0_u32..2, 0_u32..12, 0_u32..5, volume()), 0..25), 1..8),
        raise in prop_oneof![4 => (-2..3_i32).prop_map(f64::from), 1 => Just(1e300), 1 => Just(5e-324)],
        gap in (0..3_i32).prop_map(f64::from),
        below: bool,
    ) {
        let clear = if below { raise + gap } else { raise - gap };
        let key = if below { "below" } else { "above" };
        let mut host = Host::new().config(&format!("{{\"{key}\": {raise:e}, \"clear\": {clear:e}}}")).read_at(100);
        let mut known: BTreeMap<(u32, u32), (u32, bool)> = BTreeMap::new();
        for slot in slots {
            let batches = batches(&slot);
            let mut expected = Vec::new();
            for (meter, second, resource, volume) in samples(&batches) {
                let (then, before) = known.get(&(meter, resource)).copied().unwrap_or((0, false));
                if then > second {
                    continue;
                }
                let volume = volume.real();
                let raised = match before {
                    false if below => volume < raise,
                    false => volume > raise,
                    true if below => volume < clear,
                    true => volume > clear,
                };
                known.insert((meter, resource), (second, raised));
                if raised != before {
                    expected.push((meter, second, resource, Volume::Count(raised.into())));
                }
            }
            let given = host.convert::<Threshold>(&["a", "b"].map(meter), batches).unwrap();
            let mut given = samples(&given.batches);
            given.sort_by_key(|(meter, second, resource, _)| (*second, *meter, *resource));
            prop_assert_eq!(given, expected);
        }
    }
}
