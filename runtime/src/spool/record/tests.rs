use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::clock::Moment;
use crate::contract::{self, Column, Meter, Values};
use crate::discovery::label::Metadata;
use crate::discovery::resource::Resource;
use crate::discovery::{Directory, Ident, Identity, Label, Resources, Rules};
use crate::pipeline::route::Tag;
use crate::pipeline::{NoteColumn, Route, Samples};
use crate::publish::encode::Encoder;
use crate::publish::id::Ids;
use crate::sandbox::host::state::{State, Writes};
use crate::sandbox::host::texts::Text;
use crate::spool::missed::{Missed, Why};

const NOW: Moment = Moment { wall: 1_795_163_261_892_649_123, monotonic: 77 };

fn label(number: u32, text: &str) -> Arc<Label> {
    let metadata = Metadata {
        head: format!("\"display_name\": {}, \"name\": ", serde_json::json!(text)).into(),
        name: "\"instance-1\"".into(),
        tail: ", \"host\": \"h\"".into(),
        extra: if number.is_multiple_of(2) { ", \"disk_name\": \"vda\"".into() } else { "".into() },
    };
    Arc::new(Label { project: Some("p".into()), metadata, ..Label::bare(&format!("{text}-{number}")) })
}

fn slot(columns: Vec<(Vec<u32>, Values)>, text: &str) -> Slot {
    let resource = |number| Resource { ident: Ident(number), root: number, label: label(number, text) };
    let notes = |resources: &[u32]| {
        let column = Column { resources: resources.to_vec(), values: Values::Interned(vec![1; resources.len()]) };
        let texts = [Text { text: "unused".into(), json: false }, Text { text: "[1, 2]".into(), json: true }];
        vec![NoteColumn { key: text.into(), column, texts: texts.into() }]
    };
    let samples = columns.into_iter().enumerate().map(|(number, (resources, values))| Samples {
        module: "disk".into(),
        tenant: "operator".into(),
        meter: Arc::new(Meter {
            name: format!("meter.{number}"),
            kind: wire::KINDS[number % 3],
            unit: if number == 0 { String::new() } else { "B".to_owned() },
        }),
        at: contract::Moment { wall: NOW.wall, monotonic: (number % 2 == 0).then_some(NOW.monotonic) },
        notes: if number == 1 { notes(&resources) } else { Vec::new() },
        column: Column { resources, values },
        first_id: Ids::new("host", NOW).take(NOW, 0).from(1000 * number),
        route: Route::default(),
        sink: (number == 0).then(|| text.into()),
    });
    let resources = Arc::new(Resources::listed((0..50).map(resource).collect()));
    Slot { at: NOW, resources, samples: samples.collect() }
}

/// What a publisher would write.
fn text(slot: &Slot) -> String {
    let (mut encoder, mut out) = (Encoder::new(slot), String::new());
    for samples in &slot.samples {
        encoder
            .write(samples, &mut out, |out| {
                out.push('\n');
                Ok::<(), ()>(())
            })
            .unwrap();
    }
    out
}

fn columns() -> impl Strategy<Value = Vec<(Vec<u32>, Values)>> {
    let resources = prop::collection::btree_set(0u32..50, 1..20);
    let column = (resources, 0..3, any::<u64>()).prop_map(|(resources, kind, seed)| {
        let resources: Vec<u32> = resources.into_iter().collect();
        let each = |n: &u32| seed.wrapping_mul(u64::from(*n) + 1);
        let values = match kind {
            0 => Values::Counts(resources.iter().map(each).collect()),
            1 => Values::Integers(resources.iter().map(|n| each(n).cast_signed()).collect()),
            _ => Values::Reals(resources.iter().map(|n| each(n) as f64 / 7.0).collect()),
        };
        (resources, values)
    });
    prop::collection::vec(column, 0..6)
}

proptest! {
    #[test]
    fn samples_come_out_as_they_went_in(columns in columns(), name in "[^\u{0}]{0,9}") {
        let slot = slot(columns, &name);
        let (counts, payload) = of_slot(&slot, &Memory::default());
        prop_assert_eq!(counts.samples(), slot.len() as u64);
        let Content::Slot(read) = read(&payload).unwrap() else { panic!("a slot was written") };
        prop_assert_eq!(text(&read), text(&slot));
        let sinks = |slot: &Slot| slot.samples.iter().map(|samples| samples.sink.clone()).collect::<Vec<_>>();
        prop_assert_eq!(sinks(&read), sinks(&slot));
        prop_assert_eq!(read.at, slot.at);
        prop_assert_eq!(read_memory(&payload).unwrap(), Memory::default());
    }

    /// Whatever is in a record, reading it ends, and in an error if it is not ours.
    #[test]
    fn damage_is_an_error(columns in columns(), at in any::<prop::sample::Index>(), bits in 1u8..) {
        let (_, mut payload) = of_slot(&slot(columns, "n"), &Memory::default());
        let at = at.index(payload.len());
        payload[at] ^= bits;
        if let Ok(Content::Slot(slot)) = read(&payload) {
            text(&slot);
        }
        let _ = read_memory(&payload);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (read(&bytes), read_memory(&bytes));
        let _ = read(&[&[FORMAT][..], &lz4_flex::compress_prepend_size(&bytes)].concat());
    }
}

#[test]
fn samples_to_be_delivered_again_are_kept_as_they_are() {
    let samples = ["{\"a\": 1}".to_owned(), "{}".to_owned()];
    let Content::Replayed { only, samples: read } = read(&of_samples(Some("notifier"), &samples)).unwrap() else {
        panic!("samples were written")
    };
    assert_eq!((only.as_deref(), read.as_slice()), (Some("notifier"), &samples[..]));
    assert_eq!(super::read(&[FORMAT + 1]).unwrap_err(), Unreadable::Format(FORMAT + 1));
}

#[test]
fn keys_say_what_is_counted() {
    let kind =
        Kind { module: "m".into(), tenant: "t".into(), route: Route::default(), meter: "disk.read.bytes".into() };
    assert_eq!(Kind::of(&kind.key()), kind);
    let route = Route::default().and_to(&(0..15).map(|n| Tag::of(&n.to_string())).collect::<Vec<_>>());
    let long = Kind { module: "m".repeat(300), tenant: "\u{1f}\u{e9}".repeat(200), route, meter: "x".repeat(300) };
    assert!(long.key().as_str().len() <= 255);
    let many = (0..3000).map(|n| (vec![n % 50], Values::Counts(vec![1]))).collect();
    assert_eq!(counts(&slot(many, "n")).samples(), 3000);
}

#[test]
fn memory_outlives_the_run() {
    let guest = |n| Identity::Guest(Uuid::from_u128(n));
    let mut first = Directory::new(Rules::default());
    let (one, other) = (first.expect(guest(1)), first.expect(Identity::Disk(Uuid::nil(), "vda".into())));
    let mut state = State::default();
    state.commit(Writes {
        cells: vec![
            ("c".into(), vec![one, other], Values::Counts(vec![7, u64::MAX])),
            ("r".into(), vec![one], Values::Reals(vec![0.5])),
        ],
        bytes: vec![("b".into(), vec![1, 2])],
    });
    let memory = Memory::of(&first, [("work".to_owned(), &state)]);
    let (_, payload) = of_slot(&slot(vec![], ""), &memory);
    let mut kept = Memory::default();
    kept.update(read_memory(&payload).unwrap());
    assert_eq!(kept, memory);
    // What is newer takes the place of all that the module remembered, and others stay.
    let newer = Memory::of(&first, [("work".to_owned(), &State::default()), ("second".to_owned(), &state)]);
    let mut missed = Missed::default();
    missed.add("notifier", Why::DiskFull, &Counts::from_iter([]));
    kept.update(Memory { missed: Some(missed.clone()), ..Memory::default() });
    kept.update(newer);
    assert_eq!(kept.missed.as_ref(), Some(&missed), "what says nothing of losses has none to take back");
    let mut second = Directory::new(Rules::default());
    let [(_, empty), (work, read)] = <[_; 2]>::try_from(kept.into_states(&mut second)).unwrap();
    assert_eq!((work.as_str(), empty.names()), ("second", 0));
    let [one, other] = [guest(1), Identity::Disk(Uuid::nil(), "vda".into())].map(|identity| second.expect(identity));
    let cells = read.load("c", &[3, 4], &[other, one]).unwrap();
    assert_eq!(
        format!("{cells:?}"),
        format!("{:?}", Column { resources: vec![3, 4], values: Values::Counts(vec![u64::MAX, 7]) })
    );
    assert_eq!(read.load_bytes("b"), Some(&vec![1, 2]));
}

/// Parts of a record are counted by what the whole was counted by, however many meters there are.
#[test]
fn parts_are_counted_as_the_whole() {
    let columns = (0..2500).map(|_| (vec![1, 2], Values::Counts(vec![1, 2]))).collect();
    let slot = slot(columns, "t");
    let (all, content) = (counts(&slot), Content::Slot(Arc::new(slot)));
    assert_eq!(counts_of(&content, 0..content.len()), all);
    let some = counts_of(&content, [0, 3, 4999]);
    assert_eq!(some.samples(), 3);
    assert!(some.iter().all(|(key, number)| all.of(key.as_str()) >= *number), "{some:?}");
    let samples = ["a", "b", "a"].map(|meter| format!("{{\"counter_name\": \"{meter}\"}}")).to_vec();
    let content = Content::Replayed { only: Some("x".into()), samples };
    assert_eq!(counts_of(&content, 0..3), replayed(Some("x"), ["a", "b", "a"]));
    assert_eq!(counts_of(&content, [1]), replayed(Some("x"), ["b"]));
}
