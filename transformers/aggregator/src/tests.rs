use expression::Volume;
use proptest::prelude::*;
use scaling::testing::{Sample, batches, samples};
use wasmeter_sdk::testing::{Host, moment};
use wasmeter_sdk::{Column, Kind};

use super::*;

fn inputs() -> [Meter; 3] {
    let meter = |name: &str, kind| Meter { name: name.into(), kind, unit: "B".into() };
    [meter("gauge", Kind::Gauge), meter("delta", Kind::Delta), meter("counter", Kind::Cumulative)]
}

fn host(config: &str) -> Host {
    let ids = (0..5).map(|resource| (resource, ["a", "b", "c", "d", "e"][resource as usize]));
    Host::new().config(config).attribute("id", ids).read_at(1_000)
}

fn convert(host: &mut Host, given: &[(u32, u32, u32, u64)]) -> Vec<(u32, u32, u32, f64)> {
    let given: Vec<Sample> = given.iter().map(|(m, s, r, v)| (*m, *s, *r, Volume::Count(*v))).collect();
    let given = host.convert::<Aggregator>(&inputs(), batches(&given)).unwrap().batches;
    samples(&given).into_iter().map(|(m, s, r, volume)| (m, s, r, volume.real())).collect()
}

#[test]
fn without_settings_a_slot_is_one() {
    let mut host = host("");
    let given =
        convert(&mut host, &[(0, 10, 1, 4), (0, 20, 1, 8), (1, 10, 1, 4), (1, 20, 1, 8), (2, 10, 1, 4), (2, 20, 1, 8)]);
    // By name: the counter, the delta and the gauge.
    assert_eq!(given, [(2, 10, 1, 8.0), (1, 10, 1, 12.0), (0, 10, 1, 6.0)]);
    assert_eq!(convert(&mut host, &[(0, 30, 1, 5)]), [(0, 30, 1, 5.0)]);
}

#[test]
fn there_are_enough_samples_of_all_resources_together() {
    let mut host = host(r#"{"size": "4", "timestamp": "last"}"#);
    assert_eq!(convert(&mut host, &[(0, 10, 1, 4), (0, 10, 2, 10)]), []);
    assert_eq!(convert(&mut host, &[(0, 20, 1, 8)]), []);
    // The second resource has no sample in this slot, and comes out all the same.
    assert_eq!(convert(&mut host, &[(0, 30, 3, 7)]), [(0, 10, 2, 10.0), (0, 20, 1, 6.0), (0, 30, 3, 7.0)]);
    assert_eq!(convert(&mut host, &[(0, 40, 1, 1), (0, 40, 2, 2), (0, 40, 3, 3)]), []);
    assert_eq!(convert(&mut host, &[(0, 50, 1, 2)]), [(0, 40, 2, 2.0), (0, 40, 3, 3.0), (0, 50, 1, 1.5)]);
}

#[test]
fn the_first_waits_so_long() {
    let mut host = host(r#"{"size": 0, "retention_time": 20}"#);
    assert_eq!(convert(&mut host, &[(1, 10, 1, 4)]), []);
    assert_eq!(convert(&mut host, &[(1, 29, 1, 5)]), []);
    assert_eq!(convert(&mut host, &[(1, 30, 1, 6)]), [(1, 10, 1, 15.0)]);
    assert_eq!(convert(&mut host, &[(1, 40, 1, 7)]), []);
    assert_eq!(convert(&mut host, &[(1, 90, 2, 1)]), [(1, 40, 1, 7.0), (1, 90, 2, 1.0)]);
}

#[test]
fn renamed_gauges_are_averaged_too() {
    let config = r#"{"size": 2, "target": {"name": "mean", "unit": "KB", "scale": "volume / 1024", "max": 3}}"#;
    let mut host = host(config);
    let gauge = std::slice::from_ref(&inputs()[0]).to_vec();
    let mut convert = |second, volume| {
        let given = batches(&[(0, second, 1, Volume::Count(volume))]);
        let given = host.convert::<Aggregator>(&gauge, given).unwrap();
        assert_eq!(given.meters[0].name, "mean");
        samples(&given.batches).first().map(|(.., volume)| volume.real())
    };
    assert_eq!(convert(10, 1024), None);
    assert_eq!(convert(20, 2048), Some(1.5));
    assert_eq!(convert(30, 4096), None);
    assert_eq!(convert(40, 8192), Some(3.0));
}

#[test]
fn metadata_are_of_the_last_or_the_first_or_none() {
    for (policy, expected) in [("last", Some(2)), ("first", Some(1)), ("drop", None)] {
        let mut host = host(&format!(r#"{{"resource_metadata": "{policy}"}}"#)).attribute("n", [(0, "n")]);
        let batch = |second, n: u64| {
            let notes = vec![Note { key: 0, column: [(1, n)].into_iter().collect() }];
            Batch { meter: 0, at: moment(second), column: [(1, 1_u64)].into_iter().collect(), notes }
        };
        let given = host.convert::<Aggregator>(&inputs(), vec![batch(10, 1), batch(20, 2)]).unwrap().batches;
        let expected: Vec<Column> = expected.map(|n: u64| [(1, n)].into_iter().collect()).into_iter().collect();
        assert_eq!(given[0].notes.iter().map(|note| note.column.clone()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn errors_name_the_key() {
    for (config, expected) in [
        (r#"{"size": "many"}"#, "size is \"many\"; write a whole number, zero or more"),
        (r#"{"size": -1}"#, "size is -1; write a whole number, zero or more"),
        (r#"{"retention_time": -5}"#, "retention_time is -5; write seconds, at most 86400"),
        (r#"{"timestamp": "drop"}"#, "timestamp is \"drop\"; write first or last"),
        (r#"{"resource_metadata": "none"}"#, "resource_metadata is \"none\"; write first, last or drop"),
        (
            r#"{"sise": 1}"#,
            "there is no key sise; there are source, target, size, retention_time, project_id, user_id, resource_metadata, timestamp",
        ),
    ] {
        assert_eq!(Aggregator::describe(config, &inputs()).unwrap_err(), expected);
    }
    for config in [r#"{"size": null}"#, r#"{"size": "", "user_id": "last", "project_id": "first"}"#] {
        assert_eq!(convert(&mut host(config), &[(0, 10, 1, 4)]).len(), 1, "{config}");
    }
}

proptest! {
    /// Any number of slots, with late samples, several of a resource, and resources that come and go.
    #[test]
    fn it_is_what_a_plain_model_says(
        slots in prop::collection::vec(prop::collection::vec((0_u32..3, 0_u32..40, 0_u32..5, 0_u64..99), 1..12), 1..12),
        size in 0_u64..30,
        retention in 0_i64..40,
        last: bool,
    ) {
        let word = if last { "last" } else { "first" };
        let config = format!(r#"{{"size": {size}, "retention_time": {retention}, "timestamp": "{word}"}}"#);
        let mut host = host(&config);
        let limit = if size == 0 && retention == 0 { 1 } else { size };
        // Each meter comes in every slot: what waits of others comes out when they do.
        let (mut kept, mut first): (Vec<Sample>, Option<u32>) = (Vec::new(), None);
        for mut slot in slots {
            slot.extend((0..3).map(|meter| (meter, 40, 0, 1)));
            let slot: Vec<Sample> = slot.into_iter().map(|(m, s, r, v)| (m, s, r, Volume::Count(v))).collect();
            let batches = batches(&slot);
            let flat = samples(&batches);
            first = first.or(flat.first().map(|(_, second, ..)| *second));
            let now = flat.last().unwrap().1;
            kept.extend(flat);
            let expired = retention > 0 && i64::from(now) - i64::from(first.unwrap()) >= retention;
            let mut expected = Vec::new();
            if expired || (limit > 0 && kept.len() as u64 >= limit) {
                for meter in 0..3 {
                    for resource in 0..5 {
                        let of: Vec<_> = kept.iter().filter(|(m, _, r, _)| (*m, *r) == (meter, resource)).collect();
                        let (Some(start), Some(end)) = (of.first(), of.last()) else { continue };
                        let sum: f64 = of.iter().map(|(.., volume)| volume.real()).sum();
                        let volume = match meter {
                            0 => sum / of.len() as f64,
                            1 => sum,
                            _ => end.3.real(),
                        };
                        expected.push((meter, if last { end.1 } else { start.1 }, resource, volume));
                    }
                }
                kept.clear();
                first = None;
            }
            let given = host.convert::<Aggregator>(&inputs(), batches).unwrap().batches;
            let mut given: Vec<_> = samples(&given).into_iter().map(|(m, s, r, volume)| (m, s, r, volume.real())).collect();
            given.sort_by_key(|(meter, _, resource, _)| (*meter, *resource));
            prop_assert_eq!(given, expected);
        }
    }
}
