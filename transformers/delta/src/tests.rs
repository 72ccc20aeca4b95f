use super::*;
use wasmeter_sdk::testing::{Host, moment};

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

#[test]
fn says_what_is_wrong_with_a_configuration() {
    for (config, inputs, text) in [
        (r#"{"target": {"map_to": {"name": "x"}}}"#, 1, "not supported; set target.name"),
        (r#"{"source": {"map_from": {"name": "x"}}}"#, 1, "not supported; set target.name"),
        (CPU, 2, "target.name is cpu.delta, but cpu, cpu and perhaps others come in"),
        (r#"{"growth-only": true}"#, 1, "unknown field `growth-only`"),
        ("target: cpu", 1, "the configuration cannot be used"),
    ] {
        let error = Delta::describe(config, &vec![meter("cpu"); inputs]).unwrap_err();
        assert!(error.contains(text), "{config}: {error}");
    }
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
