use expression::Volume;
use proptest::prelude::*;
use scaling::testing::{Sample, batches, samples};
use wasmeter_sdk::testing::{Host, moment};
use wasmeter_sdk::{Column, Kind, Note};

use super::*;

fn inputs() -> [Meter; 2] {
    ["a", "b"].map(|name| Meter { name: name.into(), kind: Kind::Gauge, unit: "B".into() })
}

fn host(config: &str) -> Host {
    let ids = (0..5).map(|resource| (resource, ["a", "b", "c", "d", "e"][resource as usize]));
    Host::new().config(config).attribute("id", ids).read_at(1_000)
}

fn convert(host: &mut Host, given: &[Sample]) -> Vec<Sample> {
    samples(&host.convert::<Accumulator>(&inputs(), batches(given)).unwrap().batches)
}

fn count(meter: u32, second: u32, resource: u32, volume: u64) -> Sample {
    (meter, second, resource, Volume::Count(volume))
}

#[test]
fn samples_wait_for_others() {
    let given = [count(0, 10, 1, 5), count(1, 10, 2, 6), count(0, 20, 1, 7), count(0, 30, 3, 8)];
    for (config, expected) in [
        ("", [1, 1, 1, 1]),
        (r#"{"size": 1}"#, [1, 1, 1, 1]),
        (r#"{"size": 0}"#, [1, 1, 1, 1]),
        (r#"{"size": null}"#, [1, 1, 1, 1]),
        (r#"{"size": "2"}"#, [0, 2, 0, 2]),
        (r#"{"size": 4}"#, [0, 0, 0, 4]),
    ] {
        let mut host = host(config);
        assert_eq!(given.map(|sample| convert(&mut host, &[sample]).len()), expected, "{config}");
    }
}

#[test]
fn samples_wait_for_their_meter() {
    let mut host = host(r#"{"size": 2}"#);
    let [a, b] = inputs();
    let mut convert = |input: &Meter, second| {
        let given = batches(&[count(0, second, 1, 5)]);
        samples(&host.convert::<Accumulator>(std::slice::from_ref(input), given).unwrap().batches).len()
    };
    assert_eq!([convert(&a, 10), convert(&b, 20), convert(&b, 30), convert(&a, 40)], [0, 1, 1, 2]);
}

#[test]
fn what_waits_keeps_its_time_its_type_and_its_numbers() {
    let mut host = host(r#"{"size": 3}"#).attribute("n", [(0, "n"), (1, "t")]);
    let ids = ["n", "t"].map(|text| host_text(&host, text));
    let notes = vec![
        Note { key: ids[0], column: [(1, 7_u64), (4, 9)].into_iter().collect() },
        Note { key: ids[1], column: Column::new(vec![1], vec![ids[1]]) },
    ];
    let held = Batch { meter: 1, at: moment(10), column: [(1, -5_i64)].into_iter().collect(), notes };
    assert!(host.convert::<Accumulator>(&inputs(), vec![held.clone()]).unwrap().batches.is_empty());
    let new = Batch { at: moment(20), column: [(1, 1.5), (2, 2.5)].into_iter().collect(), notes: Vec::new(), ..held };
    let given = host.convert::<Accumulator>(&inputs(), vec![new.clone()]).unwrap().batches;
    assert_eq!(given.len(), 2);
    assert_eq!((given[0].at.wall, given[0].at.monotonic), (moment(10).wall, moment(10).monotonic));
    assert_eq!(given[0].column, [(1, -5_i64)].into_iter().collect());
    assert_eq!(given[0].notes.len(), 1, "texts are not kept");
    assert_eq!(given[0].notes[0].column, [(1, 7_u64)].into_iter().collect());
    assert_eq!(given[1].column, new.column);
}

/// The number of a text of the test's host, which numbers them in the order in which it meets them.
fn host_text(_: &Host, text: &str) -> u32 {
    let known = ["a", "b", "c", "d", "e", "n", "t"].iter().position(|known| *known == text);
    u32::try_from(known.unwrap()).unwrap()
}

#[test]
fn a_guest_that_is_gone_takes_its_samples_with_it() {
    let mut there = host(r#"{"size": 3}"#);
    assert_eq!(convert(&mut there, &[count(0, 10, 1, 5), count(0, 10, 2, 6)]), []);
    there = there.attribute("id", [(0, "a"), (2, "c")]);
    assert_eq!(convert(&mut there, &[count(0, 20, 0, 7)]), [count(0, 10, 2, 6), count(0, 20, 0, 7)]);
}

#[test]
fn there_is_a_most_of_batches() {
    let mut host = host(r#"{"size": 100000}"#);
    let given: Vec<_> =
        (0..=u32::try_from(MOST).unwrap()).map(|second| convert(&mut host, &[count(0, second, 1, 5)]).len()).collect();
    assert_eq!(given.iter().filter(|given| **given > 0).collect::<Vec<_>>(), [&(MOST + 1)]);
}

#[test]
fn errors_name_the_key() {
    for (config, expected) in [
        (r#"{"size": "x"}"#, "size is \"x\"; write a whole number, zero or more"),
        (r#"{"sise": 1}"#, "there is no key sise; there are size"),
    ] {
        assert_eq!(Accumulator::describe(config, &inputs()).unwrap_err(), expected);
    }
}

proptest! {
    #[test]
    fn it_is_what_a_plain_model_says(
        slots in prop::collection::vec(prop::collection::vec((0_u32..2, 0_u32..9, 0_u32..5, 0_u64..99), 0..12), 1..12),
        size in 0_u64..30,
    ) {
        let mut host = host(&format!(r#"{{"size": {size}}}"#));
        let mut held = Vec::new();
        for slot in slots {
            let slot: Vec<_> = slot.into_iter().map(|(m, s, r, v)| count(m, s, r, v)).collect();
            let flat = samples(&batches(&slot));
            let mut expected = Vec::new();
            if !flat.is_empty() {
                held.extend(flat);
                if held.len() as u64 >= size {
                    expected = std::mem::take(&mut held);
                }
            }
            prop_assert_eq!(convert(&mut host, &slot), expected);
        }
    }
}
