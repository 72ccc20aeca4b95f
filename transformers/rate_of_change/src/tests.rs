use std::collections::BTreeMap;

use proptest::prelude::*;
use scaling::testing::{Sample, batches, samples};
use wasmeter_sdk::testing::{Host, moment};
use wasmeter_sdk::{Column, Level, Moment, Note};

use super::*;

const CPU_UTIL: &str = r#"{"target": {"name": "cpu_util", "unit": "%", "type": "gauge",
    "scale": "100.0 / (10**9 * (resource_metadata.cpu_number or 1))"}}"#;

const DISK: &str = r#"{"source": {"map_from": {"name": "(disk\\.device|disk)\\.(read|write)\\.(bytes|requests)",
                                               "unit": "(B|request)"}},
                       "target": {"map_to": {"name": "\\1.\\2.\\3.rate", "unit": "\\1/s"}, "type": "gauge"}}"#;

fn meter(name: &str, kind: Kind, unit: &str) -> Meter {
    Meter { name: name.into(), kind, unit: unit.into() }
}

fn cpu() -> Meter {
    meter("cpu", Kind::Cumulative, "ns")
}

fn batch(seconds: u32, cells: &[(u32, u64)]) -> Batch {
    Batch { meter: 0, at: moment(seconds), column: cells.iter().copied().collect(), notes: Vec::new() }
}

fn rates(host: &mut Host, input: &Meter, batches: Vec<Batch>) -> Vec<(i64, Vec<(u32, f64)>)> {
    let given = host.convert::<RateOfChange>(std::slice::from_ref(input), batches).unwrap().batches;
    let column = |column: Column| column.resources.iter().copied().zip(column.as_f64().to_vec()).collect();
    given.into_iter().map(|batch| (batch.at.wall / 1_000_000_000, column(batch.column))).collect()
}

#[test]
fn mitakas_default_pipeline_is_understood() {
    let named = RateOfChange::describe(CPU_UTIL, &[cpu()]).unwrap().meters;
    assert_eq!(named, [meter("cpu_util", Kind::Gauge, "%")]);
    let inputs = [
        meter("disk.read.bytes", Kind::Cumulative, "B"),
        meter("disk.device.write.requests", Kind::Cumulative, "request"),
    ];
    let named = RateOfChange::describe(DISK, &inputs).unwrap().meters;
    assert_eq!(
        named,
        [
            meter("disk.read.bytes.rate", Kind::Gauge, "B/s"),
            meter("disk.device.write.requests.rate", Kind::Gauge, "request/s")
        ]
    );
}

/// However many different numbers there are, each guest's load is by its own; one that says nothing has one vCPU.
#[test]
fn loads_are_by_each_guests_own_number_of_vcpus() {
    let mut host = Host::new().config(CPU_UTIL).attribute("cpu_number", [(0, "cpu_number")]);
    let numbers: Vec<(u32, u64)> =
        (0..100).filter(|guest| guest % 10 > 0).map(|guest| (guest, 1 + u64::from(guest) % 40)).collect();
    let slot = |seconds: u32| {
        let cells: Vec<(u32, u64)> = (0..100).map(|guest| (guest, u64::from(seconds) * 1_000_000_000)).collect();
        let notes = vec![Note { key: 0, column: numbers.iter().copied().collect() }];
        vec![Batch { notes, ..batch(seconds, &cells) }]
    };
    assert!(rates(&mut host, &cpu(), slot(10)).is_empty());
    let given = rates(&mut host, &cpu(), slot(20));
    assert_eq!(given[0].1.len(), 100);
    for (guest, load) in &given[0].1 {
        let vcpus = numbers.iter().find(|(known, _)| known == guest).map_or(1, |(_, number)| *number);
        #[allow(clippy::cast_precision_loss, reason = "a few")]
        let expected = 100.0 / vcpus as f64;
        assert!((load - expected).abs() < 1e-9, "{guest}: {load}, not {expected}");
    }
}

#[test]
fn the_load_of_guests_is_per_virtual_cpu() {
    let mut host = Host::new().config(CPU_UTIL).attribute("cpu_number", [(0, "cpu_number")]);
    // The test's host numbers texts in the order in which it meets them.
    let noted = |seconds, cells: &[(u32, u64)], numbers: &[(u32, u64)]| {
        let notes = vec![Note { key: 0, column: numbers.iter().copied().collect() }];
        Batch { notes, ..batch(seconds, cells) }
    };
    assert!(rates(&mut host, &cpu(), vec![noted(10, &[(0, 0), (1, 0)], &[(0, 2)])]).is_empty());
    let given = rates(&mut host, &cpu(), vec![noted(20, &[(0, 10_000_000_000), (1, 5_000_000_000)], &[(0, 2)])]);
    assert_eq!(given, [(20, vec![(0, 50.0), (1, 50.0)])]);
}

#[test]
fn metadata_of_the_host_are_asked_for() {
    let config = r#"{"target": {"scale": "resource_metadata.flavor.vcpus * 1.0"}}"#;
    let mut host =
        Host::new().config(config).attribute("resource_metadata.flavor.vcpus", [(0, "4"), (1, "null"), (2, "\"4\"")]);
    rates(&mut host, &cpu(), vec![batch(10, &[(0, 1), (1, 1), (2, 1), (3, 1)])]);
    let given = rates(&mut host, &cpu(), vec![batch(20, &[(0, 11), (1, 11), (2, 11), (3, 11)])]);
    assert_eq!(given, [(20, vec![(0, 4.0)])]);
    let logs = host.logs();
    let expected = "3 samples were dropped, the first of cpu: target.scale: `*` takes numbers, and this is None, at \
                    column 1: `resource_metadata.flavor.vcpus`";
    assert_eq!(logs, [(Level::Warn, expected.to_owned())]);

    let mut host = Host::new().config(config);
    let failure = host.convert::<RateOfChange>(&[cpu()], vec![batch(10, &[(0, 1)])]).unwrap_err();
    assert!(
        matches!(&failure, Failure::Unsupported(text) if text.contains("resource_metadata.flavor.vcpus")),
        "{failure:?}"
    );
}

#[test]
fn a_rate_by_the_table() {
    let counter = &cpu();
    let gauge = &meter("level", Kind::Gauge, "B");
    let delta = &meter("grown", Kind::Delta, "B");
    for (what, config, input, given, expected) in [
        ("growth", "{}", counter, vec![(10, 100), (20, 150)], vec![(20, 5.0)]),
        ("growth without a target", "", counter, vec![(10, 100), (20, 150)], vec![(20, 5.0)]),
        ("nothing grew", "{}", counter, vec![(10, 100), (20, 100)], vec![(20, 0.0)]),
        ("a counter was reset", "{}", counter, vec![(10, 100), (20, 30), (30, 40)], vec![(20, 3.0), (30, 1.0)]),
        ("a gauge shrank", "{}", gauge, vec![(10, 100), (20, 30)], vec![(20, -7.0)]),
        ("a delta shrank", "{}", delta, vec![(10, 100), (20, 30)], vec![(20, -7.0)]),
        ("the same time", "{}", counter, vec![(10, 100), (10, 150), (20, 160)], vec![(10, 0.0), (20, 1.0)]),
        ("an older sample", "{}", counter, vec![(20, 100), (10, 5), (30, 150)], vec![(30, 5.0)]),
        ("as much as there is", "{}", counter, vec![(0, 0), (1, u64::MAX)], vec![(1, 18_446_744_073_709_551_615.0)]),
        ("a factor", r#"{"target": {"scale": 2}}"#, counter, vec![(10, 100), (20, 150)], vec![(20, 10.0)]),
        ("a real factor", r#"{"target": {"scale": 0.5}}"#, counter, vec![(10, 100), (20, 150)], vec![(20, 2.5)]),
        ("no factor", r#"{"target": {"scale": 0}}"#, counter, vec![(10, 100), (20, 150)], vec![(20, 5.0)]),
        ("the volume now", r#"{"target": {"scale": "volume"}}"#, counter, vec![(10, 1), (20, 11)], vec![(20, 11.0)]),
        (
            "at most",
            r#"{"target": {"max": 4}}"#,
            counter,
            vec![(10, 100), (20, 150), (30, 160)],
            vec![(20, 4.0), (30, 1.0)],
        ),
        ("at most, as a text", r#"{"target": {"max": "4"}}"#, counter, vec![(10, 100), (20, 150)], vec![(20, 4.0)]),
        ("at most nothing", r#"{"target": {"max": 0}}"#, counter, vec![(10, 100), (20, 150)], vec![(20, 5.0)]),
        ("no number", r#"{"target": {"scale": "volume and name"}}"#, counter, vec![(10, 100), (20, 150)], vec![]),
        ("too large", r#"{"target": {"scale": "1e308"}}"#, counter, vec![(10, 0), (20, 1000)], vec![]),
        (
            "by nothing",
            r#"{"target": {"scale": "1 / (volume - 150)"}}"#,
            counter,
            vec![(10, 100), (20, 150), (30, 160)],
            vec![(30, 0.1)],
        ),
    ] {
        let mut host = Host::new().config(config).read_at(100);
        let mut found = Vec::new();
        for (seconds, volume) in given {
            let rates = rates(&mut host, input, vec![batch(seconds, &[(7, volume)])]);
            found.extend(rates.into_iter().map(|(seconds, rates)| (seconds, rates[0].1)));
        }
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn a_clock_that_is_set_costs_no_rate() {
    let mut host = Host::new();
    let at = |wall: i64, monotonic: Option<u64>, volume| {
        let nanos = 1_000_000_000;
        let at = Moment { wall: wall * nanos, monotonic: monotonic.map(|at| at * nanos.unsigned_abs()) };
        vec![Batch { at, ..batch(0, &[(0, volume)]) }]
    };
    let mut rate = |batches| rates(&mut host, &cpu(), batches).first().map(|(_, rates)| rates[0].1);
    assert_eq!(rate(at(1_000, Some(10), 0)), None);
    assert_eq!(rate(at(500, Some(20), 100)), Some(10.0), "set back");
    assert_eq!(rate(at(9_000, Some(30), 200)), Some(10.0), "set forth");
    assert_eq!(rate(at(9_010, None, 300)), Some(10.0), "without the other clock");
    assert_eq!(rate(at(9_020, Some(50), 400)), Some(10.0));
    assert_eq!(rate(at(9_040, Some(5), 600)), Some(10.0), "the machine was started anew");
    assert_eq!(rate(at(9_050, Some(15), 700)), Some(10.0));
    // However many slots there were before.
    for slot in 1..=70_u64 {
        let wall = 9_050 + slot.cast_signed() * 10;
        assert_eq!(rate(at(wall, Some(15 + slot * 10), 700 + slot * 100)), Some(10.0));
    }
    assert_eq!(rate(at(6_160, Some(725), 7_800)), Some(10.0), "set back by an hour");
    assert_eq!(rate(at(9_770, Some(735), 7_900)), Some(10.0), "set forth");
}

/// However rarely a source measures: here once in the time in which another does 90 times.
#[test]
fn a_clock_that_is_set_costs_no_rate_of_a_rare_source() {
    let inputs = [cpu(), meter("rare", Kind::Cumulative, "B")];
    let mut host = Host::new();
    let mut slot = |wall: i64, monotonic: u64, meters: &[u32]| {
        let at = Moment { wall: wall * 1_000_000_000, monotonic: Some(monotonic * 1_000_000_000) };
        let of = |meter: &u32| Batch { at, meter: *meter, ..batch(0, &[(0, monotonic)]) };
        let given = host.convert::<RateOfChange>(&inputs, meters.iter().map(of).collect()).unwrap();
        samples(&given.batches).into_iter().map(|(meter, .., rate)| (meter, rate.real())).collect::<Vec<_>>()
    };
    assert_eq!(slot(10_000, 10, &[0, 1]), []);
    for after in (10..900).step_by(10) {
        assert_eq!(slot(10_000 + after, 10 + after.cast_unsigned(), &[0]), [(0, 1.0)]);
    }
    assert_eq!(slot(7_300, 910, &[0, 1]), [(0, 1.0), (1, 1.0)], "set back by an hour");
}

#[test]
fn errors_name_the_key_and_point_into_the_expression() {
    for (config, expected) in [
        (r#"{"target": {"scale": "100 *"}}"#, "target.scale: it ends where a value is expected, at column 6"),
        (
            r#"{"target": {"scale": "volume / cpu_number"}}"#,
            "target.scale: a sample has no cpu_number; it has name, type, unit, volume, user_id, project_id, resource_id, \
             timestamp, monotonic_time, source, resource_metadata; metadata are entries of resource_metadata, at column \
             10: `cpu_number`",
        ),
        (
            r#"{"target": {"scale": "$(cpu) * 2"}}"#,
            "target.scale: $(...) is for the transformer arithmetic; write volume, at column 1: `$(cpu)`",
        ),
        (
            r#"{"target": {"scale": "timestamp"}}"#,
            "target.scale: a number has to come out, and this is a text, at column 1: `timestamp`; write what is a \
             number, such as volume, monotonic_time or an entry of resource_metadata",
        ),
        (
            r#"{"target": {"scale": "100 / timestamp"}}"#,
            "target.scale: `/` takes numbers, and this is a text, at column 7: `timestamp`; write what is a number, such \
             as volume, monotonic_time or an entry of resource_metadata",
        ),
        (r#"{"target": {"scale": [1]}}"#, "target.scale is a list; write a number or an expression"),
        (r#"{"target": {"max": "1 B"}}"#, "target.max is \"1 B\"; write a number"),
        (r#"{"target": {"scale": "id"}}"#, "target.scale: a sample has no id before it is sent, at column 1: `id`"),
    ] {
        assert_eq!(RateOfChange::describe(config, &[cpu()]).unwrap_err(), expected);
    }
}

/// The rule, for one sample after the other.
fn model(known: &mut BTreeMap<(u32, u32), (u32, Volume)>, sample: Sample, kind: Kind) -> Option<(u32, u32, u32, f64)> {
    let (meter, now, resource, volume) = sample;
    let before = known.get(&(meter, resource)).copied();
    if before.is_some_and(|(then, _)| then > now) {
        return None;
    }
    known.insert((meter, resource), (now, volume));
    let (then, before) = before?;
    let growth = match (volume.whole(), before.whole()) {
        (Some(volume), Some(before)) if before > volume && kind == Kind::Cumulative => volume as f64,
        (Some(volume), Some(before)) => (volume - before) as f64,
        _ if before.real() > volume.real() && kind == Kind::Cumulative => volume.real(),
        _ => volume.real() - before.real(),
    };
    let rate = if now == then { 0.0 } else { growth / f64::from(now - then) };
    Some((meter, now, resource, rate))
}

fn slots() -> impl Strategy<Value = Vec<Vec<Sample>>> {
    let volume = |meter| {
        let counts = prop_oneof![0_u64..5, 0..u64::MAX, Just(u64::MAX)].prop_map(Volume::Count);
        let integers = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX)].prop_map(Volume::Integer);
        let reals = prop_oneof![-2.0..2.0, Just(f64::MAX), Just(-f64::MAX), Just(5e-324)].prop_map(Volume::Real);
        match meter {
            0 => counts.boxed(),
            1 => integers.boxed(),
            2 => reals.boxed(),
            _ => prop_oneof![counts, integers, reals].boxed(),
        }
    };
    let sample = (0_u32..4).prop_flat_map(move |meter| (Just(meter), 0_u32..12, 0_u32..5, volume(meter)));
    prop::collection::vec(prop::collection::vec(sample, 0..25), 1..8)
}

/// What these are of.
fn inputs() -> [Meter; 4] {
    let cumulative = |name| meter(name, Kind::Cumulative, "ns");
    [cumulative("cpu"), meter("b", Kind::Gauge, "B"), meter("c", Kind::Delta, "B"), cumulative("d")]
}

proptest! {
    /// Late, repeated, missing and huge samples, several times in a slot, and counters that were reset.
    #[test]
    fn it_is_what_a_plain_model_says(slots in slots()) {
        let inputs = inputs();
        let (mut host, mut known) = (Host::new(), BTreeMap::new());
        for slot in slots {
            let batches = batches(&slot);
            let rate = |sample: Sample| model(&mut known, sample, inputs[sample.0 as usize].kind);
            let is_finite = |(.., rate): &(u32, u32, u32, f64)| rate.is_finite();
            let expected: Vec<_> = samples(&batches).into_iter().filter_map(rate).filter(is_finite).collect();
            let given = samples(&host.convert::<RateOfChange>(&inputs, batches).unwrap().batches);
            let given: Vec<_> = given.into_iter().map(|(m, s, r, volume)| (m, s, r, volume.real())).collect();
            prop_assert_eq!(given, expected);
        }
    }

    /// The same times what a scale makes of the later sample, and at most as much as is allowed.
    #[test]
    fn a_scaled_rate_is_what_a_plain_model_says(
        slots in slots(),
        by in 0_usize..5,
        most in prop::option::of(-3_i32..30),
    ) {
        let scale = [
            "3",
            "-0.25",
            r#""100.0 / (10**9 * (resource_metadata.cpu_number or 1))""#,
            r#""volume""#,
            r#""1 / resource_metadata.cpu_number""#,
        ][by];
        let numbers = [(0, 2), (1, 8), (3, 0)];
        let number = |resource| numbers.iter().find(|(known, _)| *known == resource).map(|(_, number)| f64::from(*number));
        let factor = |resource: u32, volume: Volume| match by {
            0 => Some(3.0),
            1 => Some(-0.25),
            2 => Some(100.0 / (1e9 * number(resource).filter(|number| *number > 0.0).unwrap_or(1.0))),
            3 => Some(volume.real()),
            _ => number(resource).filter(|number| *number > 0.0).map(f64::recip),
        };
        let config = match most {
            Some(most) => format!(r#"{{"target": {{"scale": {scale}, "max": {most}}}}}"#),
            None => format!(r#"{{"target": {{"scale": {scale}}}}}"#),
        };
        let inputs = inputs();
        let texts = numbers.map(|(resource, number)| (resource, number.to_string()));
        let told = texts.iter().map(|(resource, number)| (*resource, number.as_str()));
        let mut host = Host::new().config(&config).attribute("resource_metadata.cpu_number", told);
        let (mut known, mut dropped) = (BTreeMap::new(), 0);
        for slot in slots {
            let batches = batches(&slot);
            let mut expected = Vec::new();
            for sample in samples(&batches) {
                let Some((meter, now, resource, rate)) = model(&mut known, sample, inputs[sample.0 as usize].kind) else {
                    continue;
                };
                match factor(resource, sample.3).map(|factor| factor * rate).filter(|rate| rate.is_finite()) {
                    Some(rate) => {
                        let most = most.filter(|most| *most != 0).map_or(f64::INFINITY, f64::from);
                        expected.push((meter, now, resource, rate.min(most)));
                    }
                    None => dropped += 1,
                }
            }
            let given = samples(&host.convert::<RateOfChange>(&inputs, batches).unwrap().batches);
            let given: Vec<_> = given.into_iter().map(|(m, s, r, volume)| (m, s, r, volume.real())).collect();
            prop_assert_eq!(given, expected);
        }
        prop_assert_eq!(host.dropped(), dropped);
    }
}
