use std::collections::BTreeMap;

use proptest::prelude::*;
use scaling::testing::{EXTREMES, Sample, batches, cut, samples};
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
            "target.expr: say of which meter: `$(cpu)` is the volume of cpu, `$(cpu).unit` its unit, at column 8: `volume`",
        ),
        (
            r#"{"target": {"expr": "$(a).id"}}"#,
            "target.expr: a sample has no id before it is sent, at column 1: `$(a).id`",
        ),
        (
            r#"{"target": {"expr": "$(a) * $(b).timestamp"}}"#,
            "target.expr: `*` takes numbers, and this is a text, at column 8: `$(b).timestamp`; write what is a number, such \
             as volume, monotonic_time or an entry of resource_metadata",
        ),
        (r#"{"target": {"expr": "$() + 1"}}"#, "target.expr: a meter is written $(its.name), at column 1: `$(`"),
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

/// The first meter does not come in in the slot in which the others do; what `target` lacks is its own all the same.
#[test]
fn the_first_meter_may_have_waited() {
    let others = Meter { unit: "GB".into(), ..meter("memory") };
    for (target, unit) in [("", "MB"), (r#""type": "gauge", "#, "MB"), (r#""unit": "%", "#, "%")] {
        let config = format!(r#"{{"target": {{{target}"name": "x", "expr": "$(memory.usage) + $(memory)"}}}}"#);
        let mut host = Host::new().config(&config);
        let mut convert = |input: &Meter, second| {
            let given = batches(&[count(0, second, 1, u64::from(second))]);
            host.convert::<Arithmetic>(std::slice::from_ref(input), given).unwrap()
        };
        assert!(convert(&others, 10).batches.is_empty());
        assert_eq!(convert(&meter("memory.usage"), 20).batches.len(), 1);
        assert!(convert(&meter("memory.usage"), 30).batches.is_empty());
        let given = convert(&others, 40);
        assert_eq!(given.meters, [Meter { name: "x".into(), kind: Kind::Gauge, unit: unit.into() }]);
        assert_eq!(samples(&given.batches), [(0, 40, 1, Volume::Real(70.0))], "{config}");
    }
}

#[test]
fn one_that_cannot_be_calculated_is_used_up() {
    let mut host = Host::new().config(MEMORY);
    assert_eq!(convert(&mut host, &[count(0, 10, 1, 50), count(1, 10, 1, 0)]), []);
    let expected = "A sample was dropped: memory_util: target.expr: division by zero, at column 1: `100 * \
                    $(memory.usage) / $(memory)`";
    assert_eq!(host.logs(), [(Level::Warn, expected.to_owned())]);
    assert_eq!(convert(&mut host, &[count(1, 20, 1, 100)]), []);
}

/// Its guest is gone, or one of the meters does not come any more: it is counted, and makes no result later.
#[test]
fn nothing_waits_for_longer_than_a_day() {
    const HOUR: u32 = 3_600;
    let mut host = Host::new().config(MEMORY).read_at(HOUR);
    assert_eq!(convert(&mut host, &[count(0, HOUR, 1, 50), count(0, HOUR, 2, 60)]), []);
    host = host.read_at(10 * HOUR);
    // Another of the same, which may wait anew.
    assert_eq!(convert(&mut host, &[count(0, 10 * HOUR, 2, 70)]), []);
    host = host.read_at(24 * HOUR);
    assert_eq!((convert(&mut host, &[]), host.dropped(), host.waiting()), (vec![], 0, 2));
    host = host.read_at(25 * HOUR);
    assert_eq!((convert(&mut host, &[]), host.dropped(), host.waiting()), (vec![], 1, 1));
    let line = "A sample was dropped: memory.usage: it waited for a day, and memory did not come";
    assert_eq!(host.logs(), [(Level::Warn, line.to_owned())]);
    let late = [count(1, 25 * HOUR, 1, 100), count(1, 25 * HOUR, 2, 100)];
    assert_eq!(convert(&mut host, &late), [(25 * HOUR, 2, 70.0)]);
    assert_eq!((host.dropped(), host.waiting()), (1, 1));
}

/// Those that did not come are named, as far as that is the same for all.
#[test]
fn what_lacked_is_named() {
    const DAY: u32 = 86_400;
    let config = r#"{"target": {"name": "x", "unit": "", "type": "gauge", "expr": "$(a) + $(b) + $(c) + $(d)"}}"#;
    let inputs = ["a", "b", "c", "d"].map(meter);
    for (given, line) in [
        (vec![count(1, 10, 1, 5)], "A sample was dropped: b: it waited for a day, and a, c, d did not come"),
        (
            vec![count(0, 10, 1, 5), count(2, 10, 1, 5), count(2, 10, 2, 5)],
            "3 samples were dropped, the first of a: it waited for a day, and b, d did not come",
        ),
        (
            (0..4).map(|meter| count(meter, 10, meter, 5)).collect(),
            "4 samples were dropped, the first of a: it waited for a day, and another of its resource did not come",
        ),
    ] {
        let mut host = Host::new().config(config).read_at(10);
        assert!(host.convert::<Arithmetic>(&inputs, batches(&given)).unwrap().batches.is_empty());
        host = host.read_at(10 + DAY);
        assert!(host.convert::<Arithmetic>(&inputs, Vec::new()).unwrap().batches.is_empty());
        assert_eq!((host.dropped() as usize, host.waiting()), (given.len(), 0));
        assert_eq!(host.logs(), [(Level::Warn, line.to_owned())]);
    }
}

/// What was given up does not count once more when the clock that said so is set back.
#[test]
fn a_clock_that_is_set_brings_nothing_back() {
    const HOUR: u32 = 3_600;
    for back in [40, 47, 30] {
        let mut host = Host::new().config(MEMORY).read_at(40 * HOUR);
        assert_eq!(convert(&mut host, &[count(0, 40 * HOUR, 1, 50), count(0, 40 * HOUR, 2, 50)]), []);
        host = host.read_at(70 * HOUR);
        assert_eq!(convert(&mut host, &[count(0, 70 * HOUR, 3, 50)]), []);
        assert_eq!((host.dropped(), host.waiting()), (2, 1));
        let at = back * HOUR;
        host = host.read_at(at);
        // Of what comes now some is as old as what was given up.
        assert_eq!(convert(&mut host, &[count(1, at, 1, 100), count(0, at, 4, 50)]), []);
        let is_kept = u32::from(back == 47);
        assert_eq!((host.dropped(), host.waiting()), (3 - is_kept, 2 + u64::from(is_kept)), "{back}");
        host = host.read_at(at + 10);
        assert_eq!(convert(&mut host, &[count(1, at + 10, 2, 100), count(1, at + 10, 4, 100)]), [(at + 10, 4, 50.0)]);
        assert_eq!((host.dropped(), host.waiting()), (3 - is_kept, 2 + u64::from(is_kept)), "{back}");
    }
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
    host = host.attribute("resource_metadata.n", Vec::<(u32, u64)>::new());
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

/// A sample says the same in the slot in which it came as in a later one.
#[test]
fn what_waits_says_what_it_said() {
    let memory = "$(memory.usage)";
    for (expr, now, later) in [
        ("($U if $U.unit == 'MB' else -1) / $(memory)", Ok(0.5), Ok(0.5)),
        ("1 if $U.name == 'memory.usage' and $U.type == 'gauge' and $(memory).unit == 'MB' else 0", Ok(1.0), Ok(1.0)),
        ("1 if $U.resource_metadata.status == 'active' and $(memory) else 0", Ok(1.0), Ok(1.0)),
        ("1 if $U.resource_id == 'a' and $U.project_id == 'p' and $(memory) else 0", Ok(1.0), Ok(1.0)),
        ("$U.resource_metadata.n + $(memory)", Ok(17.0), Ok(17.0)),
        ("1 if $U.resource_metadata.other or not $(memory) else 0", Ok(0.0), Ok(0.0)),
        ("len($U.timestamp) + $(memory)", Ok(36.0), Ok(36.0)),
        ("1 if $U.timestamp == '1970-01-01T00:00:10.000000' and $(memory) else 0", Ok(1.0), Ok(1.0)),
        ("$U.monotonic_time + $(memory)", Ok(20.0), Ok(20.0)),
        ("1 if $U.source == 'openstack' and $(memory) else 0", Ok(1.0), Ok(1.0)),
        (
            "1 if $U.resource_metadata.t == 'text' and $(memory) else 0",
            Ok(1.0),
            Err(
                "A sample was dropped: x: target.expr: $(memory.usage).resource_metadata.t was a text, and of samples \
                 that wait only numbers are kept",
            ),
        ),
    ] {
        let config = format!(
            r#"{{"target": {{"name": "x", "unit": "", "type": "gauge", "expr": "{}"}}}}"#,
            expr.replace("$U", memory)
        );
        let host = || {
            let host = Host::new().config(&config).attribute("id", [(1, "a")]).attribute("project_id", [(1, "p")]);
            let host = host
                .attribute("resource_metadata.status", [(1, "\"active\"")])
                .attribute("k", [(0, "n"), (1, "t"), (2, "text")]);
            let nobody_has =
                |host: Host, key: &str| host.attribute(&format!("resource_metadata.{key}"), Vec::<(u32, u64)>::new());
            ["other", "n", "t"].into_iter().fold(host, nobody_has).read_at(100)
        };
        let usage = || {
            let noted = |key: &str, column: Column| {
                let known = ["a", "p", "\"active\"", "n", "t", "text"].iter().position(|known| *known == key);
                Note { key: u32::try_from(known.unwrap()).unwrap(), column }
            };
            let notes =
                vec![noted("n", [(1, 7_u64)].into_iter().collect()), noted("t", Column::new(vec![1], vec![5_u32]))];
            Batch { meter: 0, at: moment(10), column: [(1, 5_u64)].into_iter().collect(), notes }
        };
        let mem = |second| batches(&[count(1, second, 1, 10)]).remove(0);
        let result = |host: &Host, batches: Vec<Batch>| match batches.first() {
            Some(batch) => Ok(batch.column.as_f64()[0]),
            None => Err(host.logs().last().map(|(_, line)| line.clone()).unwrap_or_default()),
        };
        let mut at_once = host();
        let given = at_once.convert::<Arithmetic>(&inputs(), vec![usage(), mem(10)]).unwrap().batches;
        assert_eq!(result(&at_once, given), now.map_err(str::to_owned), "{expr}");
        let mut apart = host();
        // The other meter does not come in in its slot.
        assert!(apart.convert::<Arithmetic>(&inputs()[..1], vec![usage()]).unwrap().batches.is_empty());
        let mem = Batch { meter: 0, ..mem(20) };
        let given = apart.convert::<Arithmetic>(&inputs()[1..], vec![mem]).unwrap().batches;
        assert_eq!(result(&apart, given), later.map_err(str::to_owned), "{expr}, later");
    }
}

fn volume() -> impl Strategy<Value = Volume> {
    prop_oneof![(0_u64..9).prop_map(Volume::Count), prop::sample::select(EXTREMES.to_vec())]
}

proptest! {
    /// Several samples of a meter in a slot, meters that come in different slots, some that are not asked for, hours in
    /// which nothing comes, clocks that are set back, and calls that are cut.
    #[test]
    fn it_is_what_a_plain_model_says(
        slots in prop::collection::vec(
            (
                prop::collection::vec((0_u32..3, 0_u32..12, 0_u32..5, volume()), 0..12),
                prop::collection::vec(0_usize..3, 5),
                prop_oneof![4 => Just(0_i32), 1 => -30..30_i32],
            ),
            1..10,
        ),
    ) {
        let config = r#"{"target": {"name": "x", "unit": "", "type": "gauge", "expr": "$(a) * 10 + $(b)"}}"#;
        let inputs = ["a", "b", "c"].map(meter);
        let mut host = Host::new().config(config);
        let mut known: BTreeMap<u32, BTreeMap<u32, (u32, Volume)>> = BTreeMap::new();
        // The first hour whose samples still waited when others were given up.
        let (mut dropped, mut hour, mut given_up) = (0, 100_u32, 0);
        for (slot, calls, hours) in slots {
            hour = hour.saturating_add_signed(hours);
            host = host.read_at(hour * 3_600 + 12);
            let slot = samples(&batches(&slot)).into_iter();
            let slot: Vec<Sample> = slot.map(|(m, s, r, v)| (m, hour * 3_600 + s, r, v)).collect();
            let first = if hour < given_up { u32::MAX } else { hour.saturating_sub(23).max(given_up) };
            for meters in known.values_mut() {
                let old = meters.extract_if(.., |_, (known, _)| *known < first).count();
                dropped += old;
                given_up = if old > 0 { first } else { given_up };
            }
            given_up = if hour < given_up { 0 } else { given_up };
            for part in cut(&slot, |resource| calls[resource as usize], 3) {
                let batches = batches(&part);
                for (meter, _, resource, volume) in samples(&batches).into_iter().filter(|(meter, ..)| *meter < 2) {
                    known.entry(resource).or_default().insert(meter, (hour, volume));
                }
                let last = samples(&batches).last().map(|(_, second, ..)| *second);
                let mut expected = Vec::new();
                known.retain(|resource, meters| {
                    let (Some((_, a)), Some((_, b))) = (meters.get(&0), meters.get(&1)) else { return true };
                    let exact = a.whole().zip(b.whole()).map(|(a, b)| (a * 10 + b) as f64);
                    let volume = exact.unwrap_or_else(|| times_ten(*a) + b.real());
                    match volume.is_finite() {
                        true => expected.push((last.unwrap(), *resource, volume)),
                        false => dropped += 1,
                    }
                    false
                });
                let given = host.convert::<Arithmetic>(&inputs, batches).unwrap().batches;
                let given: Vec<_> = samples(&given).into_iter().map(|(_, s, r, volume)| (s, r, volume.real())).collect();
                prop_assert_eq!(given, expected);
                prop_assert_eq!(host.waiting(), known.values().map(BTreeMap::len).sum::<usize>() as u64);
            }
        }
        prop_assert_eq!(host.dropped() as usize, dropped);
    }
}

/// As Python has it: whole numbers are exact for as long as they are whole.
fn times_ten(volume: Volume) -> f64 {
    volume.whole().map_or_else(|| volume.real() * 10.0, |whole| (whole * 10) as f64)
}
