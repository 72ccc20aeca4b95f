use expression::Volume;
use proptest::prelude::*;
use scaling::testing::{EXTREMES, Sample, batches, cut, samples};
use wasmeter_sdk::testing::{Host, moment};
use wasmeter_sdk::{Column, Kind, Note};

use super::*;

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn inputs() -> [Meter; 3] {
    let meter = |name: &str, kind| Meter { name: name.into(), kind, unit: "B".into() };
    [meter("gauge", Kind::Gauge), meter("delta", Kind::Delta), meter("counter", Kind::Cumulative)]
}

fn host(config: &str) -> Host {
    Host::new().config(config).attribute("id", (0..).zip(IDS)).read_at(1_000)
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
    assert_eq!(given, [(0, 10, 1, 6.0), (1, 10, 1, 12.0), (2, 10, 1, 8.0)]);
    assert_eq!(convert(&mut host, &[(0, 30, 1, 5)]), [(0, 30, 1, 5.0)]);
}

/// Clocks are set back.
#[test]
fn no_time_is_later_than_the_slot() {
    let mut there = host(r#"{"size": 2, "timestamp": "last"}"#).read_at(2_000);
    assert_eq!(convert(&mut there, &[(0, 1_000, 1, 5)]), []);
    there = there.read_at(900);
    assert_eq!(convert(&mut there, &[(0, 900, 2, 7)]), [(0, 900, 2, 7.0), (0, 900, 1, 5.0)]);
}

/// A slot in which resources are there, each with one sample, by clocks in seconds.
fn slot(host: &mut Host, wall: i64, monotonic: Option<u64>, resources: &[u32]) -> Vec<Moment> {
    let at = Moment { wall: wall * SECOND, monotonic: monotonic.map(|seconds| seconds * SECOND.cast_unsigned()) };
    let column = resources.iter().map(|resource| (*resource, 5_u64)).collect();
    let batch = Batch { meter: 1, at, column, notes: Vec::new() };
    let given = host.convert::<Aggregator>(&inputs(), vec![batch]).unwrap().batches;
    given.into_iter().map(|batch| batch.at).collect()
}

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 24 * 3_600;

/// What comes out has the time that the clock would have shown as it is now.
#[test]
fn a_clock_that_is_set_makes_nothing_wait_for_longer_or_shorter() {
    for set_by in [-7_200, -5, 0, 5, 10 * DAY] {
        for (policy, read) in [("first", 10), ("last", 40)] {
            let config = format!(r#"{{"size": 0, "retention_time": 30, "timestamp": "{policy}"}}"#);
            let mut host = Host::new().config(&config).attribute("id", (0..).zip(IDS));
            for (wall, monotonic) in [(100_000, 10), (100_010, 20), (100_020 + set_by, 30)] {
                assert_eq!(slot(&mut host, wall, Some(monotonic), &[1]), [], "{set_by}");
            }
            let wall = (99_990 + set_by + read) * SECOND;
            let expected = Moment { wall, monotonic: Some((read * SECOND).cast_unsigned()) };
            assert_eq!(slot(&mut host, 100_030 + set_by, Some(40), &[1]), [expected], "{set_by}");
            assert_eq!((host.dropped(), host.waiting()), (0, 0));
        }
    }
}

/// It waits for as long again, and not until the clock shows the old time.
#[test]
fn without_the_other_clock_waiting_begins_anew_when_one_is_set_back() {
    let mut host = Host::new().config(r#"{"size": 0, "retention_time": 30}"#).attribute("id", (0..).zip(IDS));
    for wall in [100_000, 100_010, 5_000, 5_010, 5_020] {
        assert_eq!(slot(&mut host, wall, None, &[1]), [], "{wall}");
    }
    assert_eq!(slot(&mut host, 5_030, None, &[1]).len(), 1);
    assert_eq!((host.dropped(), host.waiting()), (0, 0));
}

#[test]
fn a_clock_that_is_set_forward_gives_nothing_up_that_was_left() {
    let all = || (0..).zip(IDS);
    let mut host = Host::new().config(r#"{"size": 2}"#).attribute("id", all());
    assert_eq!(slot(&mut host, 100_000, Some(10), &[1]), []);
    host = host.attribute("id", all().take(1));
    assert_eq!(slot(&mut host, 100_010, Some(20), &[0]).len(), 1);
    assert_eq!(slot(&mut host, 100_020 + 10 * DAY, Some(30), &[0]), []);
    assert_eq!((host.dropped(), host.waiting()), (0, 2));
    host = host.attribute("id", all());
    let given = slot(&mut host, 100_030 + 10 * DAY, Some(40), &[0]);
    let walls: Vec<i64> = given.iter().map(|at| at.wall / SECOND - 10 * DAY).collect();
    assert_eq!((walls, host.dropped(), host.waiting()), (vec![100_000, 100_020], 0, 0));
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

/// Slots are read some milliseconds sooner or later than planned.
#[test]
fn windows_have_as_many_slots() {
    let mut host = host(r#"{"size": 0, "retention_time": 3}"#);
    let slot = |number: i64| {
        let wall = number * 1_000_000_000 + (number * 7 % 5 - 2) * 40_000_000;
        Moment { wall, monotonic: u64::try_from(number * 1_000_000_000).ok() }
    };
    let mut ends = Vec::new();
    for number in 0..40 {
        let mut given = batches(&[(0, 0, 1, Volume::Count(1))]);
        given[0].at = slot(number);
        if !host.convert::<Aggregator>(&inputs(), given).unwrap().batches.is_empty() {
            ends.push(number);
        }
    }
    assert_eq!(ends, (3..40).step_by(4).collect::<Vec<_>>());
}

/// Nothing comes in, and what waits has waited long enough.
#[test]
fn a_slot_may_bring_nothing() {
    let mut there = host(r#"{"size": 0, "retention_time": 20}"#).read_at(10);
    assert_eq!(convert(&mut there, &[(1, 10, 1, 4)]), []);
    let convert_nothing = |host: &mut Host| host.convert::<Aggregator>(&[], Vec::new()).unwrap();
    there = there.read_at(29);
    assert!(convert_nothing(&mut there).batches.is_empty());
    there = there.read_at(30);
    let given = convert_nothing(&mut there);
    assert_eq!(given.meters, [inputs()[1].clone()]);
    assert_eq!(samples(&given.batches), [(0, 10, 1, Volume::Count(4))]);
    assert_eq!(there.waiting(), 0);
}

/// What waits comes out with the others, whether more of its meter comes in or not, and then waiting begins anew.
#[test]
fn a_meter_may_stay_away() {
    let mut host = host(r#"{"size": 0, "retention_time": 30, "target": {"name": "All"}}"#);
    let [gauge, delta, _] = inputs();
    let mut convert = |input: &Meter, second| {
        let given = batches(&[(0, second, 1, Volume::Count(u64::from(second)))]);
        let given = host.convert::<Aggregator>(std::slice::from_ref(input), given).unwrap();
        let named = |(m, second, _, volume): Sample| (given.meters[m as usize].kind, second, volume.real());
        samples(&given.batches).into_iter().map(named).collect::<Vec<_>>()
    };
    assert_eq!(convert(&gauge, 10), []);
    assert_eq!([convert(&delta, 20), convert(&delta, 30)], [[], []]);
    // Two of one name cannot come out.
    assert_eq!(convert(&delta, 40), [(Kind::Delta, 20, 90.0)]);
    assert_eq!([convert(&delta, 50), convert(&delta, 60), convert(&delta, 70)], [[], [], []]);
    assert_eq!(convert(&delta, 80), [(Kind::Delta, 50, 260.0)]);
    assert_eq!(host.dropped(), 1);
    let mut host = self::host(r#"{"size": 3}"#);
    let mut convert = |input: &Meter, second| {
        let given = batches(&[(0, second, 1, Volume::Count(u64::from(second)))]);
        let given = host.convert::<Aggregator>(std::slice::from_ref(input), given).unwrap();
        let named = |(m, second, ..): Sample| (given.meters[m as usize].name.clone(), second);
        samples(&given.batches).into_iter().map(named).collect::<Vec<_>>()
    };
    assert_eq!([convert(&gauge, 10), convert(&delta, 20)], [[], []]);
    assert_eq!(convert(&delta, 30), [("gauge".to_owned(), 10), ("delta".to_owned(), 20)]);
    assert_eq!([convert(&delta, 40), convert(&gauge, 50)], [[], []]);
    assert_eq!(convert(&delta, 60), [("delta".to_owned(), 40), ("gauge".to_owned(), 50)]);
    assert_eq!(host.dropped(), 0);
}

/// Two meters of one name are two, though one comes out.
#[test]
fn kinds_are_apart() {
    let mut host = host(r#"{"target": {"unit": "B", "type": "delta"}}"#);
    let [gauge, ..] = inputs();
    let both = [gauge.clone(), Meter { kind: Kind::Delta, ..gauge }];
    let count = |meter, second, volume| (meter, second, 1, Volume::Count(volume));
    let given = batches(&[count(0, 10, 4), count(0, 20, 6), count(1, 10, 4), count(1, 20, 6)]);
    let given = host.convert::<Aggregator>(&both, given).unwrap();
    assert_eq!(samples(&given.batches), [count(0, 10, 10), count(0, 10, 10)]);
    let mut host = self::host(r#"{"size": 4, "target": {"unit": "B", "type": "gauge"}}"#);
    let mut convert = |given: &[Sample]| {
        let given = host.convert::<Aggregator>(&both, batches(given)).unwrap().batches;
        samples(&given).into_iter().map(|(_, second, _, volume)| (second, volume.real())).collect::<Vec<_>>()
    };
    assert_eq!(convert(&[count(0, 10, 4), count(1, 10, 4)]), []);
    // Of gauges the mean; what comes out as one is divided all the same.
    assert_eq!(convert(&[count(0, 20, 6), count(1, 20, 6)]), [(10, 5.0), (10, 5.0)]);
}

/// What waits of a guest, or of a part that is measured less often.
#[test]
fn what_is_absent_when_others_come_out_waits_on() {
    let mut there = host(r#"{"size": 5}"#);
    assert_eq!(convert(&mut there, &[(0, 10, 1, 5), (0, 10, 2, 6), (1, 10, 1, 6)]), []);
    there = there.attribute("id", [(0, "a"), (2, "c")]);
    assert_eq!(convert(&mut there, &[(0, 20, 0, 7), (0, 20, 2, 8)]), [(0, 10, 2, 7.0), (0, 20, 0, 7.0)]);
    assert_eq!((there.dropped(), there.waiting()), (0, 2));
    // Others do not come out the earlier for it.
    for second in [30, 40] {
        assert_eq!(convert(&mut there, &[(0, second, 0, 7), (0, second, 2, 9)]), []);
    }
    there = there.attribute("id", (0..).zip(IDS));
    let given = convert(&mut there, &[(0, 50, 1, 9)]);
    assert_eq!(given, [(0, 10, 1, 5.0), (1, 10, 1, 6.0), (0, 30, 0, 7.0), (0, 30, 2, 9.0), (0, 50, 1, 9.0)]);
    assert_eq!((there.dropped(), there.waiting()), (0, 0));
}

/// Others come out in a rhythm that never meets the slots in which it is there.
#[test]
fn what_was_left_waits_for_its_resource_alone() {
    let mut there = host(r#"{"size": 0, "retention_time": 30}"#);
    let (mut came, mut given) = (0, 0);
    for slot in 1..100 {
        let mut samples = vec![(0, 10 * slot, 0, 5)];
        let mut ids = vec![(0, "a")];
        if slot % 6 == 0 {
            samples.push((0, 10 * slot, 1, 7));
            ids.push((1, "b"));
            came += 1;
        }
        there = there.attribute("id", ids);
        given += convert(&mut there, &samples).iter().filter(|(_, _, resource, _)| *resource == 1).count();
    }
    assert!(given == came || given == came - 1, "{given} of {came}");
    assert_eq!(there.dropped(), 0);
}

/// Places of meters that nothing waits of any more are others', whatever else is left.
#[test]
fn what_is_left_keeps_no_place_of_others() {
    let mut there = host(r#"{"size": 2}"#).room(40 << 10);
    assert_eq!(convert(&mut there, &[(0, 10, 1, 5)]), []);
    there = there.attribute("id", [(0, "a")]);
    let named = |number: usize| Meter { name: format!("meter.{number}"), ..inputs()[0].clone() };
    for number in 0..600 {
        let (input, batches) = (named(number), batches(&[(0, 20, 0, Volume::Count(1)), (0, 21, 0, Volume::Count(1))]));
        let (first, second) = batches.split_at(1);
        for batches in [first, second] {
            there.convert::<Aggregator>(std::slice::from_ref(&input), batches.to_vec()).unwrap();
        }
    }
    assert_eq!((there.waiting(), there.dropped()), (2, 0), "what is left, and the last one");
}

#[test]
fn what_a_guest_takes_with_it_is_counted() {
    let mut there = host(r#"{"size": 3}"#);
    assert_eq!(convert(&mut there, &[(0, 10, 1, 5), (1, 10, 1, 6)]), []);
    there = there.attribute("id", [(0, "a"), (2, "c")]);
    assert_eq!(convert(&mut there, &[(0, 20, 0, 7)]), [(0, 20, 0, 7.0)]);
    assert_eq!((there.dropped(), there.waiting()), (0, 2));
    for (seconds, expected) in [(24 * 3_600 - 1, (0, 2)), (24 * 3_600, (2, 0))] {
        there = there.read_at(seconds);
        assert!(there.convert::<Aggregator>(&[], Vec::new()).unwrap().batches.is_empty());
        assert_eq!((there.dropped(), there.waiting()), expected, "{seconds}");
    }
    assert_eq!(there.logs()[0].1, "2 samples were dropped, the first of gauge: it waited, and what it is of is gone");
}

/// Each sample that was left is given up for its own age.
#[test]
fn what_was_left_lately_waits_on() {
    const HOUR: u32 = 3_600;
    let mut there = host(r#"{"size": 2}"#).read_at(20);
    assert_eq!(convert(&mut there, &[(0, 10, 1, 5)]), []);
    there = there.attribute("id", [(0, "a")]);
    assert_eq!(convert(&mut there, &[(0, 20, 0, 7)]).len(), 1);
    there = there.attribute("id", [(0, "a"), (2, "c")]).read_at(23 * HOUR);
    assert_eq!(convert(&mut there, &[(0, 23 * HOUR, 2, 5)]), []);
    there = there.attribute("id", [(0, "a")]);
    assert_eq!(convert(&mut there, &[(0, 23 * HOUR, 0, 7)]).len(), 1);
    assert_eq!((there.dropped(), there.waiting()), (0, 2));
    there = there.read_at(25 * HOUR);
    assert_eq!(convert(&mut there, &[]), []);
    assert_eq!((there.dropped(), there.waiting()), (1, 1));
    // What was given up does not come back, and the other one does.
    there = there.attribute("id", (0..).zip(IDS));
    assert_eq!(convert(&mut there, &[]), [(0, 23 * HOUR, 2, 5.0)]);
    assert_eq!((there.dropped(), there.waiting()), (1, 0));
}

/// Near the bound on state a slot without any samples needs no room, and costs none.
#[test]
fn nothing_is_given_up_where_nothing_comes() {
    let inputs: Vec<Meter> =
        (0..200).map(|number| Meter { name: format!("meter.{number}"), ..inputs()[0].clone() }).collect();
    let of = |meter| (meter, 10, 1, Volume::Count(5));
    let mut there = host(r#"{"size": 10000000}"#).room(46 << 10);
    let slot = batches(&(0..200).map(of).collect::<Vec<_>>());
    assert!(there.convert::<Aggregator>(&inputs, slot).unwrap().batches.is_empty());
    there = there.attribute("id", [(0, "a")]);
    assert_eq!(convert(&mut there, &[]), []);
    assert_eq!((there.dropped(), there.waiting()), (0, 200));
}

#[test]
fn nothing_waits_for_a_day() {
    let mut there = host(r#"{"size": 0, "retention_time": 86400}"#);
    assert_eq!(convert(&mut there, &[(1, 10, 1, 5)]), []);
    there = there.read_at(10 + 23 * 3_600);
    assert_eq!(convert(&mut there, &[(1, 10 + 23 * 3_600, 1, 5)]), [(1, 10, 1, 10.0)]);
    there = there.read_at(90_000);
    assert_eq!(convert(&mut there, &[(1, 90_000, 1, 5)]), []);
    there = there.read_at(190_000);
    assert_eq!(convert(&mut there, &[(1, 190_000, 2, 5)]), [(1, 190_000, 2, 5.0)]);
    assert_eq!(there.dropped(), 1);
}

/// At the bound on state what waits comes out early, again and again.
#[test]
fn state_has_a_bound() {
    let ids: Vec<String> = (0..600).map(|resource| format!("id-{resource}")).collect();
    let ids = (0..).zip(ids.iter().map(String::as_str));
    let mut host = Host::new().config(r#"{"size": 10000000}"#).attribute("id", ids).room(88 << 10).read_at(1_000);
    let (mut waits, mut flushes) = (0, 0);
    for slot in 0..40 {
        // Now these, now those.
        let first = slot % 10 * 60;
        let slot: Vec<_> = (first..first + 60).flat_map(|r| (0..3).map(move |m| (m, 10 + slot, r, 5))).collect();
        waits += slot.len();
        let given = convert(&mut host, &slot);
        if !given.is_empty() {
            assert_eq!(given.len(), waits);
            (waits, flushes) = (0, flushes + 1);
        }
    }
    assert!((2..20).contains(&flushes), "{flushes}");
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
        let said = |given: &[Batch]| given[0].notes.iter().map(|note| note.column.clone()).collect::<Vec<_>>();
        assert_eq!(said(&given), expected);
        // From slot to slot as well, and for a meter that comes in no more.
        let mut host = host.config(&format!(r#"{{"resource_metadata": "{policy}", "size": 3}}"#));
        assert!(host.convert::<Aggregator>(&inputs(), vec![batch(10, 1)]).unwrap().batches.is_empty());
        assert!(host.convert::<Aggregator>(&inputs(), vec![batch(20, 2)]).unwrap().batches.is_empty());
        let other = Batch { meter: 1, notes: Vec::new(), ..batch(30, 0) };
        let given = host.convert::<Aggregator>(&inputs(), vec![other]).unwrap().batches;
        assert_eq!((given[0].meter, said(&given)), (0, expected));
        assert!(given[1].notes.is_empty());
        // What was said in an earlier round is said no more.
        let silent = |second| Batch { notes: Vec::new(), ..batch(second, 0) };
        for second in [40, 50] {
            assert!(host.convert::<Aggregator>(&inputs(), vec![silent(second)]).unwrap().batches.is_empty());
        }
        let given = host.convert::<Aggregator>(&inputs(), vec![silent(60)]).unwrap().batches;
        assert!(given[0].notes.is_empty(), "{policy}");
    }
}

/// Numbers, texts and JSON, each as it was, of several guests.
#[test]
fn whatever_is_said_is_kept() {
    let mut host = host(r#"{"size": 6}"#).attribute("words", [(0, "n"), (1, "t"), (2, "4"), (3, "odd")]);
    let word = |word: &str| {
        let known = IDS.into_iter().chain(["n", "t", "4", "odd"]).position(|known| known == word);
        u32::try_from(known.unwrap()).unwrap()
    };
    let texts = |resources: &[u32], index: u32| Column::new(resources.to_vec(), vec![index; resources.len()]);
    let batch = |second, notes: Vec<Note>| Batch {
        meter: 0,
        at: moment(second),
        column: (0..3).map(|resource| (resource, 1_u64)).collect(),
        notes,
    };
    let (numbers, real): (Column, Column) =
        ([(0, 7_u64), (2, 7)].into_iter().collect(), [(1, 1e-7)].into_iter().collect());
    let notes = vec![
        Note { key: word("n"), column: numbers.clone() },
        Note { key: word("t"), column: texts(&[0, 1], word("4")) },
        Note { key: word("odd"), column: real.clone() },
    ];
    assert!(host.convert::<Aggregator>(&inputs(), vec![batch(10, notes)]).unwrap().batches.is_empty());
    let more = Batch { meter: 1, ..batch(20, Vec::new()) };
    let given = host.convert::<Aggregator>(&inputs(), vec![more]).unwrap().batches;
    let said: Vec<(u32, Column)> = given[0].notes.iter().map(|note| (note.key, note.column.clone())).collect();
    let expected = [(word("n"), numbers), (word("odd"), real), (word("t"), texts(&[0, 1], word("4")))];
    assert_eq!(said, expected);
}

/// What is said comes to a bound of its own where samples of few guests say ever new things.
#[test]
fn what_is_said_has_a_bound() {
    let mut host = host(r#"{"size": 10000000}"#).attribute("n", [(0, "n")]).read_at(10_000);
    let mut flushes = 0;
    for slot in 0..2_500_u32 {
        let notes = vec![Note { key: 5, column: [(1, u64::from(slot))].into_iter().collect() }];
        let batch = Batch { meter: 0, at: moment(slot), column: [(1, 1_u64)].into_iter().collect(), notes };
        flushes += host.convert::<Aggregator>(&inputs(), vec![batch]).unwrap().batches.len();
    }
    assert_eq!(flushes, 2);
}

/// Where there is no room, what is absent when the others come out is given up.
#[test]
fn what_is_absent_takes_no_room_from_others() {
    let mut host = host(r#"{"size": 10000000}"#).attribute("n", [(0, "n")]).read_at(10_000);
    assert_eq!(convert(&mut host, &[(0, 0, 2, 5)]), []);
    host = host.attribute("id", [(1, "b")]);
    let mut flushes = 0;
    for slot in 1..1_200_u32 {
        let notes = vec![Note { key: 5, column: [(1, u64::from(slot))].into_iter().collect() }];
        let batch = Batch { meter: 0, at: moment(slot), column: [(1, 1_u64)].into_iter().collect(), notes };
        flushes += host.convert::<Aggregator>(&inputs(), vec![batch]).unwrap().batches.len();
    }
    assert_eq!((flushes, host.dropped()), (1, 1));
}

/// Each of many guests says something else, and a slot brings samples of one.
#[test]
fn what_many_say_waits_until_there_are_enough() {
    let ids: Vec<String> = (0..1_200).map(|resource| format!("id-{resource}")).collect();
    let ids = (0..).zip(ids.iter().map(String::as_str));
    let mut host = Host::new().config(r#"{"size": 10000000}"#).attribute("id", ids).attribute("n", [(0, "n")]);
    let notes = vec![Note { key: 1_200, column: (0..1_200).map(|resource| (resource, u64::from(resource))).collect() }];
    let column = (0..1_200).map(|resource| (resource, 1_u64)).collect();
    let all = Batch { meter: 0, at: moment(10), column, notes };
    let one = Batch { meter: 0, at: moment(20), column: [(1, 1_u64)].into_iter().collect(), notes: Vec::new() };
    for batch in [all, one] {
        assert!(host.convert::<Aggregator>(&inputs(), vec![batch]).unwrap().batches.is_empty());
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

/// A slot in calls of some resources each, after one with everything failed.
fn convert_by_parts(mut host: Host, slot: &[Sample], calls: &[usize]) -> (Host, Vec<Sample>) {
    let mut given = Vec::new();
    for (call, part) in cut(slot, |resource| calls[resource as usize], 3).into_iter().enumerate() {
        let ids = IDS.iter().enumerate().filter(|(resource, _)| calls[*resource] == call);
        host = host.attribute("id", ids.map(|(resource, id)| (u32::try_from(resource).unwrap(), *id))).part(true);
        if !part.is_empty() {
            given.extend(samples(&host.convert::<Aggregator>(&inputs(), batches(&part)).unwrap().batches));
        }
    }
    (host.attribute("id", (0..).zip(IDS)).part(false), given)
}

/// What was left when others came out, and came out with a part since, is missed by nobody.
#[test]
fn what_was_left_and_came_out_with_a_part_is_left_no_more() {
    let of = |second, resource| (1, second, resource, Volume::Count(1));
    let whole = |host: &mut Host, slot: &[Sample]| {
        samples(&host.convert::<Aggregator>(&inputs(), batches(slot)).unwrap().batches).len()
    };
    let mut host = host(r#"{"size": 3}"#);
    assert_eq!(whole(&mut host, &[of(10, 1), of(11, 1)]), 0);
    host = host.attribute("id", [(0, "a")]);
    assert_eq!(whole(&mut host, &[of(20, 0), of(21, 0), of(22, 0)]), 1);
    // One part has enough for itself, and the other one waits.
    let slot = [of(30, 0), of(30, 1), of(31, 1), of(32, 1)];
    let (mut host, given) = convert_by_parts(host.attribute("id", (0..).zip(IDS)), &slot, &[0, 1, 1, 1, 1]);
    assert_eq!((given.len(), host.waiting()), (2, 1));
    assert_eq!(whole(&mut host, &[of(40, 0), of(41, 0)]), 1);
    assert_eq!((host.waiting(), host.dropped()), (0, 0));
}

#[test]
fn a_part_lets_go_of_nothing_that_the_whole_would_not() {
    for config in [r#"{"size": 5}"#, r#"{"size": 0, "retention_time": 15}"#] {
        let slot = |second| (0..4).map(|resource| (1, second, resource, Volume::Count(5))).collect::<Vec<_>>();
        let calls = [0, 0, 1, 1, 2];
        let (mut host, mut all) = (host(config), Vec::new());
        for second in [10, 20] {
            let (after, given) = convert_by_parts(host, &slot(second), &calls);
            (host, all) = (after, [all, given].concat());
        }
        assert_eq!(all, []);
        let given = host.convert::<Aggregator>(&inputs(), batches(&slot(30))).unwrap().batches;
        let of = |second, resource, volume| (1, second, resource, Volume::Count(volume));
        assert_eq!(samples(&given), (0..4).map(|resource| of(10, resource, 15)).collect::<Vec<_>>());
        // If there are only parts, each lets go of its own when twice as much waits, or for twice as long.
        for second in [40, 50, 60, 70] {
            let (after, given) = convert_by_parts(host, &slot(second), &calls);
            (host, all) = (after, [all, given].concat());
        }
        let expected = match config.contains("retention") {
            true => (0..4).map(|resource| of(40, resource, 20)).collect::<Vec<_>>(),
            false => vec![of(40, 0, 15), of(40, 1, 15), of(40, 2, 20), of(40, 3, 20)],
        };
        assert_eq!(all, expected, "{config}");
        assert_eq!(host.dropped(), 0);
    }
}

fn volume() -> impl Strategy<Value = Volume> {
    prop_oneof![(0_u64..99).prop_map(Volume::Count), prop::sample::select(EXTREMES.to_vec())]
}

/// What the samples of a resource become: those of a slot, and then those of slots.
fn plain(meter: u32, slots: &[Vec<Volume>]) -> Volume {
    let add = |a: Volume, b: Volume| match (a.whole(), b.whole()) {
        (Some(a), Some(b)) => Volume::of(a + b),
        _ => Volume::Real((a.real() + b.real()).clamp(f64::MIN, f64::MAX)),
    };
    let sum = || slots.iter().filter_map(|slot| slot.iter().copied().reduce(add)).reduce(add).unwrap();
    match meter {
        0 => Volume::Real(sum().real() / slots.iter().map(Vec::len).sum::<usize>() as f64),
        1 => sum(),
        _ => *slots.iter().rev().find_map(|slot| slot.last()).unwrap(),
    }
}

proptest! {
    /// Any number of slots, with late samples, several of a resource, and meters and resources that come and go.
    #[test]
    fn it_is_what_a_plain_model_says(
        slots in prop::collection::vec(prop::collection::vec((0_u32..3, 0_u32..40, 0_u32..5, volume()), 1..12), 1..12),
        size in 0_u64..30,
        retention in 0_i64..40,
        last: bool,
    ) {
        let word = if last { "last" } else { "first" };
        let config = format!(r#"{{"size": {size}, "retention_time": {retention}, "timestamp": "{word}"}}"#);
        let mut host = host(&config);
        let limit = if size == 0 && retention == 0 { 1 } else { size };
        let (mut kept, mut first): (Vec<Vec<Sample>>, Option<u32>) = (Vec::new(), None);
        for slot in slots {
            let batches = batches(&slot);
            let flat = samples(&batches);
            first = first.or(flat.first().map(|(_, second, ..)| *second));
            let now = flat.last().unwrap().1;
            kept.push(flat);
            let expired = retention > 0 && i64::from(now) - i64::from(first.unwrap()) >= retention;
            let mut expected = Vec::new();
            if expired || (limit > 0 && kept.iter().map(Vec::len).sum::<usize>() as u64 >= limit) {
                for meter in 0..3 {
                    for resource in 0..5 {
                        let is_of = |(m, _, r, _): &&Sample| (*m, *r) == (meter, resource);
                        let of: Vec<_> = kept.iter().flatten().filter(is_of).collect();
                        let (Some(start), Some(end)) = (of.first(), of.last()) else { continue };
                        let volumes = |slot: &Vec<Sample>| slot.iter().filter(is_of).map(|(.., volume)| *volume).collect();
                        let volume = plain(meter, &kept.iter().map(volumes).collect::<Vec<_>>());
                        expected.push((meter, if last { end.1 } else { start.1 }, resource, volume));
                    }
                }
                kept.clear();
                first = None;
            }
            let given = host.convert::<Aggregator>(&inputs(), batches).unwrap().batches;
            let mut given = samples(&given);
            given.sort_by_key(|(meter, _, resource, _)| (*meter, *resource));
            let reals = |samples: &[Sample]| -> Vec<_> {
                samples.iter().map(|(m, s, r, volume)| (*m, *s, *r, volume.real())).collect()
            };
            prop_assert_eq!(reals(&given), reals(&expected));
            prop_assert_eq!(host.waiting(), kept.iter().map(Vec::len).sum::<usize>() as u64);
        }
        prop_assert_eq!(host.dropped(), 0);
    }

    /// Hours pass, and whoever was absent comes back or does not: nothing waits for it for longer than a day.
    #[test]
    fn what_is_left_is_as_a_plain_model_says(
        slots in prop::collection::vec(
            (
                prop::collection::vec((0_u32..5, 0_u64..99), 0..6),
                prop::collection::vec(prop::bool::weighted(0.4), 5),
                prop_oneof![6 => Just(0_u32), 1 => 1..30_u32],
            ),
            1..20,
        ),
        size in 1_u64..12,
    ) {
        const HOUR: u32 = 3_600;
        let mut host = host(&format!(r#"{{"size": {size}}}"#));
        // The hour in which it was left, and the sample.
        let (mut left, mut fresh): (Vec<(u32, Sample)>, Vec<Sample>) = (Vec::new(), Vec::new());
        let (mut now, mut lost) = (0, 0);
        for (slot, absent, hours) in slots {
            now += 10 + hours * HOUR;
            let is_there = |resource: u32| !absent[resource as usize];
            host = host.attribute("id", (0..).zip(IDS).filter(|(resource, _)| is_there(*resource))).read_at(now);
            let slot = slot.into_iter().filter(|(resource, _)| is_there(*resource));
            let slot: Vec<Sample> = slot.map(|(resource, volume)| (1, now, resource, Volume::Count(volume))).collect();
            let slot = batches(&slot);
            let mut expected = BTreeMap::new();
            let mut come_out = |all: Vec<Sample>, lost: &mut usize| {
                for resource in 0..5 {
                    let of: Vec<&Sample> = all.iter().filter(|sample| sample.2 == resource).collect();
                    let Some(first) = of.first().map(|sample| sample.1) else { continue };
                    if now - first > 24 * HOUR - 60 {
                        *lost += of.len();
                    } else {
                        let sum = of.iter().map(|sample| sample.3.real()).sum::<f64>();
                        expected.insert((first, resource), sum);
                    }
                }
            };
            let is_back = |(_, sample): &mut (u32, Sample)| is_there(sample.2);
            come_out(left.extract_if(.., is_back).map(|(_, sample)| sample).collect(), &mut lost);
            lost += left.extract_if(.., |(hour, _)| *hour + 23 < now / HOUR).count();
            fresh.extend(samples(&slot));
            let is_old = fresh.first().is_some_and(|first| now - first.1 >= 23 * HOUR);
            if fresh.len() as u64 >= size || is_old {
                come_out(fresh.extract_if(.., |sample| is_there(sample.2)).collect(), &mut lost);
                left.extend(fresh.drain(..).map(|sample| (now / HOUR, sample)));
            }
            let given = host.convert::<Aggregator>(&inputs(), slot).unwrap().batches;
            let given = samples(&given).into_iter().map(|(_, s, r, volume)| ((s, r), volume.real()));
            let given: BTreeMap<_, _> = given.collect();
            prop_assert_eq!(given, expected);
            prop_assert_eq!(host.waiting(), (left.len() + fresh.len()) as u64);
            prop_assert_eq!(host.dropped() as usize, lost);
        }
    }

    /// However calls are cut, and whoever is absent, what comes out is the sum of what came in.
    #[test]
    fn nothing_is_lost_where_calls_are_cut(
        slots in prop::collection::vec(
            (
                prop::collection::vec((0_u32..40, 0_u32..5, 0_u64..1 << 40), 1..12),
                prop::option::of(prop::collection::vec(0_usize..3, 5)),
                prop::collection::vec(prop::bool::weighted(0.3), 5),
            ),
            1..14,
        ),
        size in 0_u64..30,
        retention in 0_i64..40,
    ) {
        let mut host = host(&format!(r#"{{"size": {size}, "retention_time": {retention}}}"#));
        let (mut came, mut went, mut times) = (0_i128, 0_i128, 0);
        let sum = |samples: &[Sample]| samples.iter().map(|(.., volume)| volume.whole().unwrap()).sum::<i128>();
        for (slot, calls, absent) in slots {
            let is_there = |resource: u32| calls.is_some() || !absent[resource as usize];
            let slot = slot.into_iter().filter(|(_, resource, _)| is_there(*resource));
            let slot: Vec<Sample> = slot.map(|(s, r, v)| (1, times + s, r, Volume::Count(v))).collect();
            host = host.attribute("id", (0..).zip(IDS).filter(|(resource, _)| is_there(*resource)));
            times += 10;
            let slot = samples(&batches(&slot));
            came += sum(&slot);
            let given = match calls {
                Some(calls) => {
                    let (after, given) = convert_by_parts(host, &slot, &calls);
                    host = after;
                    given
                }
                None => samples(&host.convert::<Aggregator>(&inputs(), batches(&slot)).unwrap().batches),
            };
            went += sum(&given);
        }
        let mut host = host.config(r#"{"size": 1}"#).attribute("id", (0..).zip(IDS));
        let last = batches(&[(1, 999, 0, Volume::Count(7))]);
        went += sum(&samples(&host.convert::<Aggregator>(&inputs(), last).unwrap().batches));
        prop_assert_eq!(went, came + 7);
        prop_assert_eq!(host.dropped(), 0);
    }
}
