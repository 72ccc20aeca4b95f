use std::collections::BTreeMap;

use proptest::prelude::*;
use scaling::testing::{Sample, batches, samples};
use wasmeter_sdk::Column;
use wasmeter_sdk::testing::{Host, moment};

use super::*;

const CPU: &str = r#"{"target": {"name": "cpu.delta"}}"#;

fn meter(name: &str) -> Meter {
    Meter { name: name.into(), kind: Kind::Cumulative, unit: "ns".into() }
}

fn batch<T>(seconds: u32, cells: &[(u32, T)]) -> Batch
where
    T: Copy,
    Column: FromIterator<(u32, T)>,
{
    Batch { meter: 0, at: moment(seconds), column: cells.iter().copied().collect(), notes: Vec::new() }
}

/// What comes out: the seconds and the volumes of each batch.
fn convert(host: &mut Host, batches: Vec<Batch>) -> Vec<(i64, Column)> {
    let batches = host.convert::<Delta>(&[meter("cpu")], batches).unwrap().batches;
    batches.into_iter().map(|batch| (batch.at.wall / 1_000_000_000, batch.column)).collect()
}

fn grown<const N: usize>(seconds: i64, cells: [(u32, i64); N]) -> (i64, Column) {
    (seconds, cells.into_iter().collect())
}

#[test]
fn names_the_meter_and_keeps_its_unit() {
    let named = Delta::describe(CPU, &[meter("cpu")]).unwrap().meters;
    assert_eq!(named, [Meter { name: "cpu.delta".into(), kind: Kind::Delta, unit: "ns".into() }]);
    let unnamed = Delta::describe("", &[meter("cpu"), meter("disk.read.bytes")]).unwrap().meters;
    assert_eq!(
        unnamed.iter().map(|m| (&*m.name, m.kind)).collect::<Vec<_>>(),
        [("cpu", Kind::Delta), ("disk.read.bytes", Kind::Delta)]
    );
}

/// However large a difference is, it is a whole number.
#[test]
fn the_largest_difference_is_exact() {
    let mut host = Host::new().config(CPU);
    assert_eq!(convert(&mut host, vec![batch(10, &[(1, 0_u64), (2, 0)])]), []);
    let given = convert(&mut host, vec![batch(20, &[(1, 5), (2, u64::MAX)])]);
    assert_eq!(given, [(20, [(1, 5_u64), (2, u64::MAX)].into_iter().collect())]);
}

#[test]
fn says_what_is_wrong_with_a_configuration() {
    for (config, text) in [
        (r#"{"target": {"map_to": {"typo": "x"}}}"#, "there is no key target.map_to.typo; there are name, unit"),
        (r#"{"source": {"map_from": {"name": "("}}, "target": {"map_to": {"name": "x"}}}"#, "source.map_from.name: "),
        (r#"{"growth-only": true}"#, "there is no key growth-only; there are source, target, growth_only"),
        (r#"{"target": {"name": ""}}"#, "target.name is empty; write a name, or leave it out"),
        ("target: cpu", "write keys and values"),
    ] {
        let error = Delta::describe(config, &[meter("cpu")]).unwrap_err();
        assert!(error.contains(text), "{config}: {error}");
    }
    let error = Delta::describe(CPU, &["cpu", "disk.read.bytes"].map(meter)).unwrap_err();
    assert!(
        error.starts_with("target.name is cpu.delta, but cpu, disk.read.bytes and perhaps others come in"),
        "{error}"
    );
    let mapped =
        r#"{"source": {"map_from": {"name": "(incoming|outgoing)\\."}}, "target": {"map_to": {"name": "net."}}}"#;
    let error = Delta::describe(mapped, &["incoming.bytes", "outgoing.bytes"].map(meter)).unwrap_err();
    let text = "incoming.bytes and outgoing.bytes would both come out as net.bytes, and nobody could tell their \
                samples apart; give them other names";
    assert_eq!(error, text);
    let other = Meter { unit: "s".into(), ..meter("cpu") };
    let error = Delta::describe(CPU, &[meter("cpu"), other]).unwrap_err();
    assert!(error.contains("cpu.delta would come out both as delta in \"ns\" and as delta in \"s\""), "{error}");
}

#[test]
fn names_are_mapped() {
    let config = r#"{"source": {"map_from": {"name": "(read|write)\\.(bytes)"}},
                     "target": {"map_to": {"name": "\\1.delta"}, "unit": "B/s"}}"#;
    let inputs = ["disk.read.bytes", "disk.write.bytes", "cpu"].map(meter);
    let named = Delta::describe(config, &inputs).unwrap().meters;
    let named: Vec<_> = named.iter().map(|meter| (&*meter.name, &*meter.unit)).collect();
    assert_eq!(named, [("disk.read.delta", "ns"), ("disk.write.delta", "ns"), ("cpu", "ns")]);
}

#[test]
fn the_first_sample_gives_nothing() {
    let mut host = Host::new().config(CPU);
    assert!(convert(&mut host, vec![batch(10, &[(0, 5_u64)])]).is_empty());
    assert_eq!(convert(&mut host, vec![batch(20, &[(0, 7_u64), (1, 9)])]), [grown(20, [(0, 2)])]);
    assert_eq!(convert(&mut host, vec![batch(30, &[(1, 10_u64)])]), [grown(30, [(1, 1)])]);
    assert_eq!(convert(&mut host, vec![batch(40, &[(0, 8_u64)])]), [grown(40, [(0, 1)])]);
}

#[test]
fn a_counter_that_was_reset_shrinks() {
    let mut host = Host::new().config(CPU);
    convert(&mut host, vec![batch(10, &[(0, u64::MAX)])]);
    assert_eq!(convert(&mut host, vec![batch(20, &[(0, u64::MAX - 3)])]), [grown(20, [(0, -3)])]);
    host = host.config(r#"{"growth_only": true}"#);
    assert!(convert(&mut host, vec![batch(30, &[(0, 4_u64)])]).is_empty());
    assert_eq!(convert(&mut host, vec![batch(40, &[(0, 4_u64)])]), [grown(40, [(0, 0)])]);
}

#[test]
fn samples_come_several_times_in_order() {
    let mut host = Host::new().config(CPU);
    let batches = vec![batch(10, &[(0, 1_u64)]), batch(20, &[(0, 3_u64), (1, 1)]), batch(30, &[(0, 7_u64), (1, 2)])];
    assert_eq!(convert(&mut host, batches), [grown(20, [(0, 2)]), grown(30, [(0, 4), (1, 1)])]);
    assert_eq!(convert(&mut host, vec![batch(40, &[(0, 8_u64)])]), [grown(40, [(0, 1)])]);
}

#[test]
fn an_older_sample_is_dropped_and_not_remembered() {
    let mut host = Host::new().config(CPU);
    convert(&mut host, vec![batch(10, &[(0, 100_u64)])]);
    let batches = vec![batch(5, &[(0, 90_u64), (1, 1)]), batch(10, &[(0, 101_u64), (1, 3)])];
    assert_eq!(convert(&mut host, batches), [grown(10, [(0, 1), (1, 2)])]);
}

#[test]
fn reals_stay_reals() {
    let mut host = Host::new().config("{}");
    convert(&mut host, vec![batch(10, &[(0, 1.5)])]);
    let expected: Column = [(0, -0.25)].into_iter().collect();
    assert_eq!(convert(&mut host, vec![batch(20, &[(0, 1.25)])]), [(20, expected)]);
    // The meter became one of counts.
    let expected: Column = [(0, 0.75)].into_iter().collect();
    assert_eq!(convert(&mut host, vec![batch(30, &[(0, 2_u64)])]), [(30, expected)]);
    assert_eq!(convert(&mut host, vec![batch(40, &[(0, 5_u64)])]), [grown(40, [(0, 3)])]);
}

/// The type of a meter's numbers is what the samples at hand need, whoever has samples before.
#[test]
fn types_of_numbers_are_each_samples_own() {
    let reals = |seconds, cells: &[(u32, f64)]| vec![batch(seconds, cells)];
    let grown_by = |seconds, cells: &[(u32, f64)]| [(seconds, cells.iter().copied().collect::<Column>())];
    let mut host = Host::new().config("{}");
    convert(&mut host, vec![batch(10, &[(0, 100_u64), (1, u64::MAX)])]);
    assert_eq!(convert(&mut host, reals(20, &[(0, 100.5)])), grown_by(20, &[(0, 0.5)]));
    let given = convert(&mut host, vec![batch(30, &[(0, 101_u64), (1, u64::MAX - 1)])]);
    assert_eq!(given, grown_by(30, &[(0, 0.5), (1, -1.0)]), "of the second nothing was forgotten");
    // A call that is cut by halves: one has reals, and the other one has none.
    for seconds in [40, 50, 60] {
        assert_eq!(convert(&mut host, reals(seconds, &[(0, 101.5)])).len(), 1, "{seconds}");
        assert_eq!(convert(&mut host, vec![batch(seconds, &[(1, -5_i64)])]).len(), 1, "{seconds}");
    }
}

#[test]
fn meters_do_not_mix() {
    let mut host = Host::new();
    let inputs = [meter("a"), meter("b")];
    let both =
        |seconds, a: u64, b: u64| vec![batch(seconds, &[(0, a)]), Batch { meter: 1, ..batch(seconds, &[(0, b)]) }];
    host.convert::<Delta>(&inputs, both(1, 10, 100)).unwrap();
    let batches = host.convert::<Delta>(&inputs, both(2, 11, 105)).unwrap().batches;
    let batches: Vec<_> = batches.into_iter().map(|batch| (batch.meter, batch.column)).collect();
    assert_eq!(batches, [(0, [(0, 1_i64)].into_iter().collect()), (1, [(0, 5_i64)].into_iter().collect())]);
}

/// The rule, for one sample after the other.
fn model(known: &mut BTreeMap<(u32, u32), (u32, Volume)>, sample: Sample, growth_only: bool) -> Option<Sample> {
    let (meter, now, resource, volume) = sample;
    let before = known.get(&(meter, resource)).copied();
    if before.is_some_and(|(then, _)| then > now) {
        return None;
    }
    known.insert((meter, resource), (now, volume));
    let (_, before) = before?;
    let growth = match (volume.whole(), before.whole()) {
        (Some(now), Some(before)) => Volume::of(now - before),
        _ => Volume::Real((volume.real() - before.real()).clamp(f64::MIN, f64::MAX)),
    };
    (!growth_only || growth.real() >= 0.0).then_some((meter, now, resource, growth))
}

fn volume(meter: u32) -> BoxedStrategy<Volume> {
    let counts = prop_oneof![0_u64..5, Just(i64::MAX.unsigned_abs()), Just(u64::MAX), 0..1_u64 << 62];
    let integers = prop_oneof![-5_i64..5, Just(i64::MIN), Just(i64::MAX)];
    let reals = prop_oneof![-2.0..2.0, -1e300..1e300, Just(f64::MAX), Just(-f64::MAX), Just(5e-324)];
    let (counts, integers, reals) =
        (counts.prop_map(Volume::Count), integers.prop_map(Volume::Integer), reals.prop_map(Volume::Real));
    match meter {
        0 => counts.boxed(),
        1 => integers.boxed(),
        2 => reals.boxed(),
        _ => prop_oneof![counts, integers, reals].boxed(),
    }
}

fn slots() -> impl Strategy<Value = Vec<Vec<Sample>>> {
    let sample = (0_u32..4).prop_flat_map(|meter| (Just(meter), 0_u32..12, 0_u32..5, volume(meter)));
    prop::collection::vec(prop::collection::vec(sample, 0..25), 1..8)
}

proptest! {
    /// Late, repeated, missing and huge samples, several times in a slot, and counters that were reset.
    #[test]
    fn it_is_what_a_plain_model_says(slots in slots(), growth_only: bool) {
        let mut host = Host::new().config(&format!("{{\"growth_only\": {growth_only}}}"));
        let mut known = BTreeMap::new();
        for slot in slots {
            let batches = batches(&slot);
            let expected: Vec<_> =
                samples(&batches).into_iter().filter_map(|sample| model(&mut known, sample, growth_only)).collect();
            let given = host.convert::<Delta>(&["a", "b", "c", "d"].map(meter), batches).unwrap();
            // One type holds all of a column.
            let reals = |samples: Vec<Sample>| -> Vec<_> {
                samples.into_iter().map(|(m, s, r, volume)| (m, s, r, volume.real())).collect()
            };
            prop_assert_eq!(reals(samples(&given.batches)), reals(expected));
        }
    }
}
