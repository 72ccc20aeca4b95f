use proptest::prelude::*;

use super::*;

fn at(wall_seconds: f64, monotonic_seconds: f64) -> Moment {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
    Moment { wall: (wall_seconds * 1e9) as i64, monotonic: (monotonic_seconds * 1e9) as u64 }
}

fn run(intervals: &[u64], skipped: &[(u64, u64)]) -> Next {
    Next::Run(Due { intervals: intervals.to_vec(), left_out: left_out(skipped) })
}

fn left_out(slots: &[(u64, u64)]) -> LeftOut {
    LeftOut { slots: slots.to_vec(), is_clock_set: false }
}

#[test]
fn one_cycle_at_once_and_then_aligned() {
    let mut slots = Slots::new(&[60, 10, 10], &[], 0);
    assert_eq!(slots.next(at(1003.0, 0.0)), run(&[10, 60], &[]));
    assert_eq!(slots.next(at(1003.0, 0.0)), Next::Sleep(Duration::from_secs(1)));
    assert_eq!(slots.next(at(1009.75, 6.75)), Next::Sleep(Duration::from_millis(250)));
    assert_eq!(slots.next(at(1010.0, 7.0)), run(&[10], &[]));
    assert_eq!(slots.next(at(1020.01, 17.01)), run(&[10, 60], &[]), "1020 is a multiple of both");
}

#[test]
fn an_overrun_skips_slots_and_counts_them() {
    let mut slots = Slots::new(&[10, 60], &[], 0);
    assert_eq!(slots.next(at(1050.0, 0.0)), run(&[10, 60], &[]));
    assert_eq!(slots.finished(at(1052.0, 2.0)), left_out(&[]));
    assert_eq!(slots.next(at(1060.0, 10.0)), run(&[10], &[]));
    assert_eq!(slots.finished(at(1084.0, 34.0)), left_out(&[(10, 2)]), "those of 1070 and 1080");
    assert_eq!(slots.next(at(1084.0, 34.0)), run(&[60], &[]), "late, because it did not run itself");
    assert_eq!(slots.finished(at(1085.0, 35.0)), left_out(&[]));
    assert_eq!(slots.next(at(1090.0, 40.0)), run(&[10], &[]));
}

#[test]
fn a_machine_that_stood_still_skips_slots_and_counts_them() {
    let mut slots = Slots::new(&[10], &[], 0);
    slots.next(at(1000.0, 0.0));
    slots.finished(at(1001.0, 1.0));
    assert_eq!(slots.next(at(1034.0, 34.0)), run(&[10], &[(10, 2)]));
}

#[test]
fn a_clock_that_is_set_back_causes_no_stall_and_no_repetition() {
    let mut slots = Slots::new(&[10], &[], 0);
    slots.next(at(1000.0, 0.0));
    assert_eq!(slots.next(at(1010.0, 10.0)), run(&[10], &[]));
    assert!(matches!(slots.next(at(1009.5, 11.0)), Next::Sleep(_)));
    assert!(matches!(slots.next(at(1010.0, 11.5)), Next::Sleep(_)), "this slot has been");
    assert_eq!(slots.next(at(1020.0, 21.5)), run(&[10], &[]));
    assert!(matches!(slots.next(at(20.0, 22.0)), Next::Sleep(_)), "an hour back");
    assert_eq!(slots.next(at(30.0, 32.0)), run(&[10], &[]));
}

#[test]
fn a_clock_that_is_set_forward_causes_one_cycle() {
    let mut slots = Slots::new(&[10], &[], 0);
    slots.next(at(1000.0, 0.0));
    let set = |slots: &[(u64, u64)]| LeftOut { is_clock_set: true, ..left_out(slots) };
    let due = |slots| Next::Run(Due { intervals: vec![10], left_out: set(slots) });
    assert_eq!(slots.next(at(5001.0, 1.0)), due(&[]));
    assert!(matches!(slots.next(at(5001.0, 1.0)), Next::Sleep(_)));
    assert_eq!(slots.finished(at(9009.0, 2.0)), set(&[]), "while it ran");
    assert_eq!(slots.next(at(9010.0, 3.0)), run(&[10], &[]));
    assert_eq!(slots.next(at(10_045.0, 38.0)), due(&[(10, 2)]), "there was time for those of 10020 and 10030");
}

#[test]
fn offsets_are_stable_and_can_be_zero() {
    assert_eq!(offset(AutoDuration::Auto, "compute-1"), offset(AutoDuration::Auto, "compute-1"));
    assert_ne!(offset(AutoDuration::Auto, "compute-1"), offset(AutoDuration::Auto, "compute-2"));
    assert_eq!(offset(AutoDuration::Fixed(Duration::ZERO), "compute-1"), 0);
    let mut slots = Slots::new(&[10], &[], 3 * SECOND);
    slots.next(at(1000.0, 0.0));
    assert_eq!(slots.next(at(1003.0, 3.0)), run(&[10], &[]));
}

#[test]
fn a_reload_keeps_the_slots_that_stay() {
    let mut slots = Slots::new(&[10], &[], 0);
    slots.next(at(1001.0, 0.0));
    let mut slots = slots.reconfigure(&[10, 7], &[], 0);
    assert_eq!(slots.next(at(1002.0, 1.0)), run(&[7], &[]));
    assert_eq!(slots.reconfigure(&[7, 10], &[10], 0), slots.reconfigure(&[7, 10], &[], 0));
}

/// Whatever is read in all of its slots is read in the first one, too.
#[test]
fn what_comes_later_begins_in_a_slot_of_all_that_it_is_a_multiple_of() {
    let mut slots = Slots::new(&[2], &[5], 0);
    assert_eq!(slots.next(at(1001.0, 0.0)), run(&[2, 5], &[]));
    let mut slots = slots.reconfigure(&[2], &[4, 5], 0);
    assert_eq!(slots.next(at(1001.5, 0.5)), Next::Sleep(Duration::from_millis(500)));
    assert_eq!(slots.next(at(1002.0, 1.0)), run(&[2, 4], &[]), "no multiple of 4, but one of the operator's");
    assert_eq!(slots.next(at(1004.0, 3.0)), run(&[2, 4], &[]));
    // Of two of the operator's. What others deployed is nobody's business.
    let mut slots = slots.reconfigure(&[2, 3], &[5, 30], 0);
    assert_eq!(slots.next(at(1004.5, 3.5)), run(&[3], &[]), "it is no multiple of 2");
    assert_eq!(slots.next(at(1005.0, 4.0)), run(&[3, 5], &[]));
    assert_eq!(slots.next(at(1006.0, 5.0)), run(&[2], &[]));
    assert_eq!(slots.next(at(1008.0, 7.0)), run(&[2, 3, 30], &[]));
    // All that are new begin together.
    let mut slots = slots.reconfigure(&[7, 70], &[], 0);
    assert_eq!(slots.next(at(1008.5, 7.5)), run(&[7, 70], &[]));
}

/// A host that is always late may never have a slot of two intervals at once.
#[test]
fn what_comes_later_begins_in_a_slot_of_its_own_at_the_latest() {
    let mut slots = Slots::new(&[2, 3], &[], 0);
    slots.next(at(1003.0, 0.0));
    slots.finished(at(1003.0, 0.0));
    let mut slots = slots.reconfigure(&[2, 3], &[6], 0);
    for (second, due) in [(4, 2), (5, 3), (6, 2)] {
        let now = at(1000.0 + f64::from(second), f64::from(second) - 3.0);
        assert_eq!(slots.next(now), run(&[due], &[]));
        if second < 6 {
            assert_eq!(slots.finished(now), left_out(&[]));
        }
    }
    assert_eq!(slots.finished(at(1008.5, 5.5)), left_out(&[(2, 1)]), "that of 1008, which is one of all three");
    assert_eq!(slots.next(at(1008.5, 5.5)), run(&[3, 6], &[]));
}

proptest! {
    /// Whatever happens to the wall clock: as many cycles as intervals fit, two more for each time that it is set,
    /// and never none for two intervals.
    #[test]
    fn neither_bursts_nor_stalls(
        interval in 1u64..100, offset in 0i64..1_000_000_000_000,
        steps in prop::collection::vec((1u64..300, prop_oneof![9 => Just(0i64), 1 => -100_000i64..100_000]), 1..600),
    ) {
        let mut slots = Slots::new(&[interval], &[], offset);
        let mut now = Moment { wall: 1_700_000_000 * SECOND, monotonic: 0 };
        let (mut cycles, mut jumps, mut last, mut set) = (0u64, 0u64, 0u64, 0u64);
        for (tenths, jump) in steps {
            now.monotonic += tenths * 100_000_000;
            now.wall += i64::try_from(tenths).unwrap() * 100_000_000 + jump * SECOND;
            if jump != 0 {
                jumps += 1;
                set = now.monotonic;
            }
            if let Next::Run(due) = slots.next(now) {
                prop_assert_eq!(due.intervals.len(), 1);
                prop_assert!(matches!(slots.next(now), Next::Sleep(_)), "a slot runs once");
                cycles += 1;
                last = now.monotonic;
            }
            prop_assert!(cycles <= now.monotonic / (interval * SECOND.unsigned_abs()) + 2 + 2 * jumps);
            // Asked at least every 30 s, a cycle comes at least every two intervals and one asking.
            let since = now.monotonic - last.max(set);
            prop_assert!(since <= 2 * interval * SECOND.unsigned_abs() + 30 * SECOND.unsigned_abs());
        }
    }
}
