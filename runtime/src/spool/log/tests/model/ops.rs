//! What happens in a history, and histories at random.

use std::time::Duration;

use proptest::prelude::*;

use super::super::super::*;
use super::Model;

#[derive(Debug, Clone)]
pub enum Op {
    Append { size: usize, class: u8 },
    Sync,
    Settle,
    Read { cursor: u8, records: u8, acknowledge: bool },
    Rewind { cursor: u8 },
    Discard { cursor: u8, records: u8 },
    Add { cursor: u8, end: bool },
    Remove { cursor: u8 },
    Wait { seconds: u8 },
    Crash,
    Kill,
    Flip { pick: u64 },
    FlipLedger { pick: u64 },
    Fail { fault: u8, after: u8, length: u8 },
    Leave { bytes: u16 },
    Heal,
}

/// Operations, one line in a report.
#[derive(Clone)]
pub struct History(pub Vec<Op>);

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|op| write!(f, "{op:?}; "))
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        30 => (0..400_usize, any::<u8>()).prop_map(|(size, class)| Op::Append { size, class }),
        12 => Just(Op::Sync),
        8 => Just(Op::Settle),
        12 => (any::<u8>(), 1..12_u8, any::<bool>())
            .prop_map(|(cursor, records, acknowledge)| Op::Read { cursor, records, acknowledge }),
        2 => any::<u8>().prop_map(|cursor| Op::Rewind { cursor }),
        1 => (any::<u8>(), 0..4_u8).prop_map(|(cursor, records)| Op::Discard { cursor, records }),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(cursor, end)| Op::Add { cursor, end }),
        1 => any::<u8>().prop_map(|cursor| Op::Remove { cursor }),
        4 => (0..40_u8).prop_map(|seconds| Op::Wait { seconds }),
        5 => Just(Op::Crash),
        2 => Just(Op::Kill),
        2 => any::<u64>().prop_map(|pick| Op::Flip { pick }),
        1 => any::<u64>().prop_map(|pick| Op::FlipLedger { pick }),
        4 => (any::<u8>(), 0..12_u8, 1..6_u8).prop_map(|(fault, after, length)| Op::Fail { fault, after, length }),
        1 => (0..1500_u16).prop_map(|bytes| Op::Leave { bytes }),
        3 => Just(Op::Heal),
    ]
}

fn limits(bytes: std::ops::Range<u64>) -> impl Strategy<Value = Limits> {
    let sync = prop_oneof![
        4 => Just(SyncPolicy::OnSync),
        1 => Just(SyncPolicy::EachRecord),
        1 => (1..4_u32).prop_map(SyncPolicy::Every),
        1 => Just(SyncPolicy::Never),
    ];
    (bytes, 20..200_u64, 256..3_000_u64, sync).prop_map(|(bytes, age, segment_bytes, sync)| Limits {
        bytes,
        age: Duration::from_secs(age),
        segment_bytes,
        sync,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn histories(
        seed in any::<u64>(),
        limits in limits(2_000..12_000),
        thinning in any::<bool>(),
        history in prop::collection::vec(op(), 1..120).prop_map(History),
    ) {
        let mut model = Model::new(seed, limits, thinning);
        for op in &history.0 {
            model.step(op);
        }
        model.step(&Op::Heal);
        model.step(&Op::Kill);
    }

    /// With little room and long enough for segments to be joined again and again.
    #[test]
    fn long_histories(
        seed in any::<u64>(),
        limits in limits(1_500..4_000),
        history in prop::collection::vec(op(), 150..400).prop_map(History),
    ) {
        let mut model = Model::new(seed, Limits { age: limits.age * 20, ..limits }, true);
        for op in &history.0 {
            model.step(op);
        }
        model.step(&Op::Heal);
        model.step(&Op::Kill);
    }
}

/// An empty segment was removed, its number used in the one before it, and then it came back.
#[test]
fn a_segment_came_back_empty() {
    let limits = Limits { bytes: 3580, age: Duration::from_secs(22), segment_bytes: 895, sync: SyncPolicy::Every(3) };
    let mut model = Model::new(1020332480322250324, limits, false);
    for op in [
        Op::Append { size: 0, class: 0 },
        Op::Wait { seconds: 3 },
        Op::Append { size: 53, class: 118 },
        Op::Append { size: 185, class: 0 },
        Op::Append { size: 284, class: 32 },
        Op::Append { size: 0, class: 0 },
        Op::Append { size: 0, class: 0 },
        Op::Crash,
        Op::Add { cursor: 0, end: false },
        Op::Append { size: 2, class: 0 },
        Op::Append { size: 117, class: 184 },
        Op::Append { size: 70, class: 220 },
        Op::Append { size: 48, class: 54 },
        Op::Append { size: 363, class: 178 },
        Op::Append { size: 371, class: 24 },
        Op::Append { size: 154, class: 0 },
        Op::Append { size: 89, class: 19 },
        Op::Append { size: 46, class: 16 },
        Op::Append { size: 381, class: 54 },
        Op::Crash,
        Op::Append { size: 107, class: 21 },
        Op::Append { size: 388, class: 3 },
        Op::Crash,
        Op::Fail { fault: 0, after: 7, length: 1 },
        Op::Append { size: 290, class: 39 },
        Op::Append { size: 35, class: 107 },
        Op::Append { size: 85, class: 39 },
        Op::Append { size: 15, class: 0 },
        Op::Append { size: 50, class: 21 },
        Op::Flip { pick: 7115467585826394478 },
        Op::Crash,
        Op::Append { size: 0, class: 0 },
        Op::Append { size: 239, class: 40 },
        Op::Crash,
    ] {
        model.step(&op);
    }
}
