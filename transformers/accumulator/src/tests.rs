use expression::Volume;
use proptest::prelude::*;
use scaling::testing::{EXTREMES, Sample, batches, cut, samples};
use wasmeter_sdk::testing::{Host, moment};
use wasmeter_sdk::{Column, Kind, Moment, Note};

use super::*;

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn inputs() -> [Meter; 2] {
    ["a", "b"].map(|name| Meter { name: name.into(), kind: Kind::Gauge, unit: "B".into() })
}

fn host(config: &str) -> Host {
    Host::new().config(config).attribute("id", (0..).zip(IDS)).read_at(1_000)
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

/// What waits comes out with the others, whether more of its meter comes in or not.
#[test]
fn a_meter_may_stay_away() {
    let mut host = host(r#"{"size": 3}"#);
    let [a, b] = inputs();
    let mut convert = |input: &Meter, second| {
        let given = batches(&[count(0, second, 1, 5)]);
        let given = host.convert::<Accumulator>(std::slice::from_ref(input), given).unwrap();
        let named = |batch: &Batch| (given.meters[batch.meter as usize].name.clone(), batch.at.wall / 1_000_000_000);
        given.batches.iter().map(named).collect::<Vec<_>>()
    };
    assert_eq!(convert(&a, 10), []);
    assert_eq!(convert(&a, 20), []);
    let of = |name: &str, second| (name.to_owned(), second);
    assert_eq!(convert(&b, 30), [of("a", 10), of("a", 20), of("b", 30)]);
    assert_eq!([convert(&b, 40), convert(&b, 50)], [[], []]);
    assert_eq!(convert(&b, 60), [of("b", 40), of("b", 50), of("b", 60)]);
}

/// Nothing comes in, and the first has waited for long.
#[test]
fn a_slot_may_bring_nothing() {
    let mut there = host(r#"{"size": 9}"#);
    assert_eq!(convert(&mut there, &[count(0, 10, 1, 5)]), []);
    let convert_nothing = |host: &mut Host| host.convert::<Accumulator>(&[], Vec::new()).unwrap();
    assert!(convert_nothing(&mut there).batches.is_empty());
    assert_eq!(there.waiting(), 1);
    there = there.read_at(10 + 23 * 3_600);
    let given = convert_nothing(&mut there);
    assert_eq!((samples(&given.batches), given.meters[0].clone()), (vec![count(0, 10, 1, 5)], inputs()[0].clone()));
    assert_eq!(there.waiting(), 0);
}

/// One whose unit is another now cannot come out under its name.
#[test]
fn what_cannot_come_out_is_counted() {
    let mut host = host(r#"{"size": 2}"#);
    let [a, _] = inputs();
    let given = |second| batches(&[count(0, second, 1, 5)]);
    assert!(host.convert::<Accumulator>(std::slice::from_ref(&a), given(10)).unwrap().batches.is_empty());
    let other = Meter { unit: "KB".into(), ..a };
    let out = host.convert::<Accumulator>(&[other], given(20)).unwrap().batches;
    assert_eq!((samples(&out), host.dropped()), (vec![count(0, 20, 1, 5)], 1));
    let line = "A sample was dropped: a: it waited, and its type or unit is another now";
    assert_eq!(host.logs()[0].1, line);
}

#[test]
fn nothing_waits_for_a_day() {
    let mut there = host(r#"{"size": 9}"#).read_at(90_000);
    assert_eq!(convert(&mut there, &[count(0, 10, 1, 5)]), []);
    there = there.read_at(10 + 23 * 3_600);
    let late = count(0, 10 + 23 * 3_600, 1, 6);
    assert_eq!(convert(&mut there, &[late]), [count(0, 10, 1, 5), late]);
    assert_eq!(convert(&mut there, &[count(0, 90_000, 1, 5)]), []);
    there = there.read_at(190_000);
    // The daemon was down for longer.
    assert_eq!(convert(&mut there, &[count(0, 190_000, 1, 6)]), [count(0, 190_000, 1, 6)]);
    assert_eq!(there.dropped(), 1);
}

#[test]
fn what_waits_keeps_its_time_its_type_and_what_it_says() {
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
    let said: Vec<(u32, Column)> = given[0].notes.iter().map(|note| (note.key, note.column.clone())).collect();
    assert_eq!(said, [(ids[0], [(1, 7_u64)].into_iter().collect()), (ids[1], Column::new(vec![1], vec![ids[1]]))]);
    assert_eq!(given[1].column, new.column);
}

/// Nobody says what another one said that had its place in an earlier round.
#[test]
fn who_says_nothing_is_not_heard() {
    let mut host = host(r#"{"size": 3}"#).attribute("n", [(0, "n")]);
    let of = |second, resources: &[u32], notes: Vec<Note>| Batch {
        meter: 0,
        at: moment(second),
        column: resources.iter().map(|resource| (*resource, 1_u64)).collect(),
        notes,
    };
    let says = |resource: u32| {
        vec![Note { key: host_text(&Host::new(), "n"), column: [(resource, 0.5)].into_iter().collect() }]
    };
    let mut said = |batch| -> Vec<Vec<Column>> {
        let given = host.convert::<Accumulator>(&inputs(), vec![batch]).unwrap().batches;
        given.iter().map(|batch| batch.notes.iter().map(|note| note.column.clone()).collect()).collect()
    };
    let half = |resource: u32| -> Vec<Column> { vec![[(resource, 0.5)].into_iter().collect()] };
    assert!(said(of(10, &[1, 2], says(1))).is_empty());
    assert_eq!(said(of(20, &[1], Vec::new())), [half(1), vec![]]);
    assert!(said(of(30, &[1, 2], says(2))).is_empty());
    assert_eq!(said(of(40, &[1], says(1))), [half(2), half(1)]);
    assert!(said(of(50, &[1, 2], Vec::new())).is_empty());
    assert_eq!(said(of(60, &[1], Vec::new())), [[], []]);
}

/// The number of a text of the test's host, which numbers them in the order in which it meets them.
fn host_text(_: &Host, text: &str) -> u32 {
    let known = ["a", "b", "c", "d", "e", "n", "t"].iter().position(|known| *known == text);
    u32::try_from(known.unwrap()).unwrap()
}

/// A machine that was restarted counts anew, and clocks are set back.
#[test]
fn no_time_is_later_than_the_slot() {
    let mut there = host(r#"{"size": 2}"#).read_at(2_000);
    assert_eq!(convert(&mut there, &[count(0, 1_000, 1, 5)]), []);
    there = there.read_at(900);
    let given = there.convert::<Accumulator>(&inputs(), batches(&[count(0, 900, 1, 6)])).unwrap().batches;
    let times: Vec<Moment> = given.iter().map(|batch| batch.at).collect();
    assert_eq!(times, [Moment { wall: moment(900).wall, monotonic: None }, moment(900)]);
    assert_eq!((there.dropped(), there.waiting()), (0, 0));
}

/// What waits when the clock is set has the times that the clock would have shown as it is now.
#[test]
fn a_clock_that_is_set_costs_nothing() {
    let moment =
        |wall: i64, monotonic: u64| Moment { wall: wall * 1_000_000_000, monotonic: Some(monotonic * 1_000_000_000) };
    const DAY: i64 = 24 * 3_600;
    for set_by in [-7_200, -5, 0, 5, 10 * DAY] {
        let mut there = Host::new().config(r#"{"size": 4}"#).attribute("id", (0..).zip(IDS));
        let mut convert = |at: Moment, volume| {
            let batch = Batch { at, ..batches(&[count(0, 0, 1, volume)]).remove(0) };
            let given = there.convert::<Accumulator>(&inputs(), vec![batch]).unwrap().batches;
            given.iter().map(|batch| batch.at).collect::<Vec<_>>()
        };
        for (at, volume) in [(moment(100_000, 10), 1), (moment(100_010, 20), 2), (moment(100_020 + set_by, 30), 3)] {
            assert_eq!(convert(at, volume), [], "{set_by}");
        }
        let expected = [10_u64, 20, 30, 40].map(|seconds| moment(99_990 + set_by + seconds.cast_signed(), seconds));
        assert_eq!(convert(moment(100_030 + set_by, 40), 4), expected, "{set_by}");
        assert_eq!((there.dropped(), there.waiting()), (0, 0));
    }
}

/// Each sample that was left is given up for its own age.
#[test]
fn what_was_left_lately_waits_on() {
    const DAY: u32 = 23 * 3_600;
    let mut there = host(r#"{"size": 2}"#).read_at(10);
    assert_eq!(convert(&mut there, &[count(0, 10, 1, 5)]), []);
    there = there.attribute("id", [(0, "a")]).read_at(20);
    assert_eq!(convert(&mut there, &[count(0, 20, 0, 7)]).len(), 1);
    there = there.attribute("id", (0..).zip(IDS)).attribute("id", [(0, "a"), (2, "c")]).read_at(DAY - 10);
    assert_eq!(convert(&mut there, &[count(0, DAY - 10, 2, 5)]), []);
    there = there.attribute("id", [(0, "a")]).read_at(DAY);
    assert_eq!(convert(&mut there, &[count(0, DAY, 0, 7)]).len(), 1);
    there = there.read_at(DAY + 20);
    assert_eq!(convert(&mut there, &[]), []);
    assert_eq!((there.dropped(), there.waiting()), (1, 1));
    there = there.attribute("id", [(0, "a"), (2, "c")]).read_at(DAY + 30);
    assert_eq!(convert(&mut there, &[]), [count(0, DAY - 10, 2, 5)]);
    assert_eq!((there.dropped(), there.waiting()), (1, 0));
}

/// Two sources of a sink may have a meter: each hands it over, and both count.
#[test]
fn what_comes_twice_comes_out_twice() {
    for parts in [false, true] {
        let mut there = host(r#"{"size": 4}"#).part(parts);
        let slot = [count(0, 10, 0, 5), count(0, 10, 1, 6)];
        assert_eq!(convert(&mut there, &slot), []);
        let mut given = convert(&mut there, &slot);
        there = there.part(false);
        given.extend(convert(&mut there, &[count(0, 20, 0, 7), count(0, 20, 1, 7), count(0, 20, 2, 7)]));
        assert_eq!(given.iter().filter(|sample| sample.1 == 10).count(), 4, "{given:?}");
        assert_eq!((there.dropped(), there.waiting()), (0, if parts { 0 } else { 3 }));
    }
}

/// What waits of a guest, or of a part that is measured less often.
#[test]
fn what_is_absent_when_others_come_out_waits_on() {
    let mut there = host(r#"{"size": 3}"#);
    assert_eq!(convert(&mut there, &[count(0, 10, 1, 5), count(0, 10, 2, 6)]), []);
    there = there.attribute("id", [(0, "a"), (2, "c")]);
    assert_eq!(convert(&mut there, &[count(0, 20, 0, 7)]), [count(0, 10, 2, 6), count(0, 20, 0, 7)]);
    assert_eq!((there.dropped(), there.waiting()), (0, 1));
    // Others do not come out the earlier for it.
    assert_eq!(convert(&mut there, &[count(0, 30, 0, 7), count(0, 30, 2, 8)]), []);
    there = there.attribute("id", (0..).zip(IDS));
    let given = convert(&mut there, &[count(0, 40, 1, 9)]);
    assert_eq!(given, [count(0, 10, 1, 5), count(0, 30, 0, 7), count(0, 30, 2, 8), count(0, 40, 1, 9)]);
    assert_eq!((there.dropped(), there.waiting()), (0, 0));
}

#[test]
fn a_guest_that_is_gone_takes_its_samples_with_it() {
    let mut there = host(r#"{"size": 2}"#);
    assert_eq!(convert(&mut there, &[count(0, 10, 1, 5)]), []);
    there = there.attribute("id", [(0, "a"), (2, "c")]);
    assert_eq!(convert(&mut there, &[count(0, 20, 0, 7)]), [count(0, 20, 0, 7)]);
    assert_eq!((there.dropped(), there.waiting()), (0, 1));
    there = there.read_at(10 + 23 * 3_600);
    assert!(there.convert::<Accumulator>(&[], Vec::new()).unwrap().batches.is_empty());
    assert_eq!((there.dropped(), there.waiting()), (1, 0));
    assert_eq!(there.logs()[0].1, "A sample was dropped: a: it waited, and what it is of is gone");
}

/// Others come out in a rhythm that never meets the slots in which it is there.
#[test]
fn what_was_left_waits_for_its_resource_alone() {
    let mut there = host(r#"{"size": 7}"#);
    let mut came = 0;
    let mut given: Vec<Sample> = Vec::new();
    for slot in 1..100 {
        let (mut samples, mut ids) = (vec![count(0, 10 * slot, 0, 5)], vec![(0, "a")]);
        // With it there are as many as it takes, three slots later.
        if slot % 6 == 3 {
            samples.push(count(0, 10 * slot, 1, 7));
            ids.push((1, "b"));
            came += 1;
        }
        there = there.attribute("id", ids);
        given.extend(convert(&mut there, &samples));
    }
    let rare: Vec<Sample> = given.into_iter().filter(|(_, _, resource, _)| *resource == 1).collect();
    let expected: Vec<Sample> = (1..=came).map(|number| count(0, 60 * number - 30, 1, 7)).collect();
    assert_eq!(rare, expected.split_at(rare.len()).0);
    assert!(rare.len() + 1 >= expected.len(), "{} of {}", rare.len(), expected.len());
    assert_eq!(there.dropped(), 0);
}

/// Guests come and go, each with a sample that is left; once these leave no room for others they are given up.
#[test]
fn what_is_absent_takes_no_room_from_others() {
    let mut there = host(r#"{"size": 3}"#);
    let (mut came, mut given) = (0, 0);
    for slot in 0..250 {
        let (second, guest) = (3 * slot, slot + 1);
        let id = format!("id-{guest}");
        there = there.attribute("id", [(0, "a"), (guest, &*id)]);
        given += convert(&mut there, &[count(0, second, guest, 5)]).len();
        there = there.attribute("id", [(0, "a")]);
        for second in [second + 1, second + 2] {
            given += convert(&mut there, &[count(0, second, 0, 5)]).len();
        }
        came += 3;
    }
    let (dropped, waiting) = (u64::from(there.dropped()), there.waiting());
    assert!(dropped > 0, "{waiting}");
    assert_eq!(given as u64 + dropped + waiting, came);
    assert!(given >= 498, "whoever is there loses nothing, and two may wait: {given}");
}

/// Near the bound on state, who was looked at and who got theirs is remembered as far as that has to be.
#[test]
fn nothing_is_given_up_that_has_room() {
    let ids: Vec<String> = (0..600).map(|resource| format!("id-{resource}")).collect();
    let ids = || (0..).zip(ids.iter().map(String::as_str));
    let of = |second, resources: std::ops::Range<u32>| -> Vec<Sample> {
        resources.map(|resource| count(0, second, resource, 5)).collect()
    };
    for room in (1..40).map(|room| room << 10) {
        let mut there = Host::new().config(r#"{"size": 200}"#).attribute("id", ids()).room(room).read_at(1_000);
        // Some are there now, and some then.
        let mut given = convert(&mut there, &of(10, 0..80));
        given.extend(convert(&mut there, &of(20, 80..180)));
        let waited = there.waiting();
        // There are enough, and one of them is absent.
        there = there.attribute("id", ids().skip(1));
        given.extend(convert(&mut there, &of(30, 200..400)));
        assert_eq!((there.dropped(), there.waiting()), (0, u64::from(waited == 180)), "room for {room}");
        // A slot without any samples needs no room.
        assert_eq!(convert(&mut there, &[]), []);
        there = there.attribute("id", ids());
        given.extend(convert(&mut there, &[]));
        assert_eq!((given.len(), there.dropped(), there.waiting()), (380, 0, 0), "room for {room}");
    }
}

#[test]
fn there_is_a_most_of_batches() {
    let mut host = host(r#"{"size": 100000}"#);
    let given: Vec<_> = (0..=200).map(|second| convert(&mut host, &[count(0, second, 1, 5)]).len()).collect();
    assert_eq!(given.iter().filter(|given| **given > 0).collect::<Vec<_>>(), [&201]);
}

/// A large node comes to the bound on state before there are enough: what waits comes out early, again and again.
#[test]
fn state_has_a_bound() {
    let ids: Vec<String> = (0..600).map(|resource| format!("id-{resource}")).collect();
    let ids = || (0..).zip(ids.iter().map(String::as_str));
    let mut host = Host::new().config(r#"{"size": 10000000}"#).attribute("id", ids()).room(512 << 10).read_at(1_000);
    let (mut waits, mut flushes) = (0, Vec::new());
    for slot in 0..80 {
        let slot: Vec<Sample> = (0..600).map(|resource| count(slot % 2, slot, resource, 5)).collect();
        waits += slot.len();
        match convert(&mut host, &slot).len() {
            0 => {}
            given => {
                assert_eq!(given, waits);
                waits = 0;
                flushes.push(given);
            }
        }
    }
    assert!((2..10).contains(&flushes.len()), "{flushes:?}");
    assert!(flushes.windows(2).all(|two| two[0] == two[1]), "{flushes:?}");
    // So much in a slot that nothing can wait.
    let mut host = Host::new().config(r#"{"size": 10000000}"#).attribute("id", ids()).room(4 << 10);
    let slot: Vec<Sample> = (0..600).map(|resource| count(0, 10, resource, 5)).collect();
    assert_eq!(convert(&mut host, &slot), slot);
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

/// A slot in calls of some resources each, after one with everything failed.
fn convert_by_parts(mut host: Host, slot: &[Sample], calls: &[usize]) -> (Host, Vec<Sample>) {
    let mut given = Vec::new();
    for (call, part) in cut(slot, |resource| calls[resource as usize], 3).into_iter().enumerate() {
        let ids = IDS.iter().enumerate().filter(|(resource, _)| calls[*resource] == call);
        host = host.attribute("id", ids.map(|(resource, id)| (u32::try_from(resource).unwrap(), *id))).part(true);
        if !part.is_empty() {
            given.extend(convert(&mut host, &part));
        }
    }
    (host.attribute("id", (0..).zip(IDS)).part(false), given)
}

#[test]
fn a_part_lets_go_of_nothing_that_the_whole_would_not() {
    let slot = |second| (0..4).map(|resource| count(0, second, resource, 5)).collect::<Vec<_>>();
    let (host, given) = convert_by_parts(host(r#"{"size": 5}"#), &slot(10), &[0, 0, 1, 1, 2]);
    assert_eq!(given, []);
    let (mut host, given) = convert_by_parts(host, &slot(20), &[0, 0, 1, 1, 2]);
    assert_eq!(given, []);
    assert_eq!(convert(&mut host, &slot(30)), [slot(10), slot(20), slot(30)].concat());
    // If there are only parts, each lets go of its own when twice as much waits.
    let (mut parted, mut all) = (host, Vec::new());
    for second in [40, 50, 60] {
        let (after, given) = convert_by_parts(parted, &slot(second), &[0, 0, 1, 1, 2]);
        (parted, all) = (after, [all, given].concat());
    }
    let of = |resources: [u32; 2]| [40, 50, 60].map(|second| resources.map(|resource| count(0, second, resource, 5)));
    assert_eq!(all, of([0, 1]).concat());
    assert_eq!(parted.dropped(), 0);
}

fn volume() -> impl Strategy<Value = Volume> {
    prop_oneof![(0_u64..99).prop_map(Volume::Count), prop::sample::select(EXTREMES.to_vec())]
}

proptest! {
    /// Slots in which meters and resources stay away, or calls that are cut. In uncut ones what was left comes out when
    /// its resource is there, and the others' when there are enough; nothing is ever lost, and nothing comes out twice.
    #[test]
    fn it_is_what_a_plain_model_says(
        slots in prop::collection::vec(
            (
                prop::collection::vec((0_u32..2, 0_u32..9, 0_u32..5, volume()), 0..12),
                prop::option::weighted(0.3, prop::collection::vec(0_usize..3, 5)),
                prop::collection::vec(prop::bool::weighted(0.3), 5),
            ),
            1..14,
        ),
        are_cut: bool,
        size in 0_u64..30,
    ) {
        let mut host = host(&format!(r#"{{"size": {size}}}"#));
        let (mut left, mut held): (Vec<Sample>, Vec<Sample>) = (Vec::new(), Vec::new());
        let (mut ever, mut came, mut was_cut) = (Vec::new(), Vec::new(), false);
        for (number, (slot, calls, absent)) in (0..).zip(slots) {
            let calls = calls.filter(|_| are_cut);
            let is_there = |resource: u32| calls.is_some() || !absent[resource as usize];
            host = host.attribute("id", (0..).zip(IDS).filter(|(resource, _)| is_there(*resource)));
            let slot = slot.into_iter().filter(|(_, _, resource, _)| is_there(*resource));
            // Each slot has times of its own.
            let slot: Vec<Sample> = slot.map(|(m, s, r, v)| (m, number * 10 + s, r, v)).collect();
            let flat = samples(&batches(&slot));
            ever.extend(flat.clone());
            if let Some(calls) = calls {
                let (after, given) = convert_by_parts(host, &flat, &calls);
                host = after;
                came.extend(given);
                was_cut = true;
                continue;
            }
            let is_out = |sample: &mut Sample| is_there(sample.2);
            let mut expected: Vec<Sample> = left.extract_if(.., is_out).collect();
            held.extend(flat.clone());
            if held.len() as u64 >= size {
                expected.extend(held.extract_if(.., is_out));
                left.append(&mut held);
            }
            let given = convert(&mut host, &flat);
            if !was_cut {
                prop_assert_eq!(&given, &expected);
            }
            came.extend(given);
            prop_assert_eq!(host.waiting(), (ever.len() - came.len()) as u64);
        }
        let mut host = host.config(r#"{"size": 0}"#).attribute("id", (0..).zip(IDS));
        let last = (0, 990, 0, Volume::Count(1));
        ever.push(last);
        came.extend(convert(&mut host, &[last]));
        let sorted = |mut samples: Vec<Sample>| {
            samples.sort_by_key(|sample| format!("{sample:?}"));
            samples
        };
        prop_assert_eq!(sorted(came), sorted(ever));
        prop_assert_eq!((host.dropped(), host.waiting()), (0, 0));
    }
}
