use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::clock::Moment;
use crate::contract::{self, Column, Kind, Meter, Values};
use crate::discovery::resource::Resource;
use crate::discovery::{Ident, Resources};
use crate::json;
use crate::pipeline::NoteColumn;
use crate::publish::id::Ids;
use crate::sandbox::host::texts::Text;
use crate::spool::log::Sequence;
use crate::spool::record;

const NOW: Moment = Moment { wall: 1_795_163_261_892_649_123, monotonic: 77_000_000 };
const RESOURCES: u32 = 12;

/// Guests with a device each, and every sixth resource without metadata, or with entries of its own alone.
fn label(number: u32, texts: &[String], shared: &[Arc<str>; 2]) -> Arc<Label> {
    let quoted = |text: &str| {
        let mut out = String::new();
        json::string(&mut out, text);
        out
    };
    let text = texts.get(number as usize % texts.len().max(1)).map_or("", String::as_str);
    let [head, tail] = shared.clone();
    let metadata = match number % 6 {
        4 => Metadata::default(),
        5 => Metadata { extra: format!("\"zone\": {}", quoted(text)).into(), ..Metadata::default() },
        3 => Metadata { head, name: quoted(text).into(), tail, extra: ", \"a\": [{\"b\": 1e16}], \"zz\": null".into() },
        _ => Metadata { head, name: quoted(text).into(), tail, extra: Box::default() },
    };
    let project = (!number.is_multiple_of(3)).then(|| Arc::from(text));
    Arc::new(Label { project, metadata, ..Label::bare(&format!("{text}-{number}")) })
}

fn slot(columns: Vec<(Vec<u32>, Values, Vec<NoteColumn>)>, texts: &[String]) -> Slot {
    let mut head = String::from("\"display_name\": ");
    json::string(&mut head, texts.first().map_or("", String::as_str));
    head.push_str(", \"name\": ");
    let tail =
        ", \"flavor\": {\"id\": \"1\", \"extra_specs\": {}}, \"image\": null, \"x\": -0.0, \"state\": \"\\u00e9\"";
    let shared = [Arc::from(head), Arc::from(tail)];
    let resource = |number| Resource { ident: Ident(number), root: number, label: label(number, texts, &shared) };
    let samples = columns.into_iter().enumerate().map(|(number, (resources, values, notes))| Samples {
        module: "m".into(),
        tenant: "operator".into(),
        meter: Arc::new(Meter { name: format!("meter.{number}"), kind: Kind::Gauge, unit: "µ\"s".into() }),
        at: contract::Moment { wall: NOW.wall, monotonic: number.is_multiple_of(2).then_some(NOW.monotonic) },
        column: Column { resources, values },
        notes,
        first_id: Ids::new("host", NOW).take(NOW, 0).from(1000 * number),
        route: crate::pipeline::Route::default(),
        sink: None,
    });
    let resources = Arc::new(Resources::listed((0..RESOURCES).map(resource).collect()));
    Slot { at: NOW, resources, samples: samples.collect() }
}

fn delivery(sequence: u64, content: Content) -> Delivery {
    Delivery { sequence: Sequence(sequence), time: NOW.wall, checksum: 0, content }
}

/// A slot of so many samples.
fn counted(samples: &[u32]) -> Content {
    let column = |count: &u32| ((0..*count).collect(), Values::Counts(vec![7; *count as usize]), vec![]);
    Content::Slot(Arc::new(slot(samples.iter().map(column).collect(), &["n".to_owned()])))
}

fn messages(delivery: Delivery, batch_size: usize, signer: &mut Signer) -> Vec<Bytes> {
    let mut messages = Messages::of(delivery, batch_size, Format::Polling);
    std::iter::from_fn(|| messages.next(signer)).collect()
}

/// What oslo.messaging's envelope holds.
fn inner(message: &Bytes) -> String {
    let outer: Value = serde_json::from_slice(message).unwrap();
    outer["oslo.message"].as_str().unwrap().to_owned()
}

/// The samples of a message: exactly the text between the brackets, which the caller knows how to compare.
fn samples(message: &Bytes) -> String {
    let inner = inner(message);
    let (_, samples) = inner.split_once("{\"samples\": [").unwrap();
    samples.rsplit_once("]}, \"timestamp\": ").unwrap().0.to_owned()
}

/// What the encoder writes of a slot, sample by sample.
fn encoded(slot: &Slot) -> Vec<String> {
    let (mut encoder, mut all, mut out) = (Encoder::new(slot), Vec::new(), String::new());
    for samples in &slot.samples {
        let Ok(()) = encoder.write::<Infallible>(samples, &mut out, |out| {
            all.push(std::mem::take(out));
            Ok(())
        });
    }
    all
}

fn with_signature(sample: &str, signature: &str) -> String {
    format!("{}, \"message_signature\": \"{signature}\"}}", sample.strip_suffix('}').unwrap())
}

type Rows = (Vec<u32>, Values, Vec<NoteColumn>);

fn rows() -> impl Strategy<Value = Rows> {
    let resources = || prop::collection::btree_set(0..RESOURCES, 1..12).prop_map(Vec::from_iter);
    let reals = prop_oneof![Just(1e16), Just(-0.0), Just(1e-5), Just(f64::MIN_POSITIVE), -1e300..1e300];
    let values = (0..3, any::<u64>(), reals);
    // Notes are of some of the resources, of their own, and of others; one has a key that metadata has, too.
    let keys = prop_oneof![Just("display_name"), Just("a"), Just("~\u{e9}"), Just("0"), Just("zone"), Just("name")];
    let note = (resources(), keys, ".{0,6}").prop_map(|(resources, key, text)| {
        let json = Text { text: "{\"n\": [1.50, {}, \"\\ud83d\\ude80\"], \"k\": {\"j\": 1E3}}".into(), json: true };
        let texts = [Text { text: text.into(), json: false }, json];
        let values = Values::Interned(resources.iter().map(|number| number % 2).collect());
        NoteColumn { key: key.into(), column: Column { resources, values }, texts: texts.into() }
    });
    let notes = prop::collection::vec(note, 0..3).prop_map(|mut notes: Vec<NoteColumn>| {
        let mut seen = BTreeSet::new();
        notes.retain(|note| seen.insert(Arc::clone(&note.key)));
        notes
    });
    (resources(), values, notes).prop_map(|(resources, (kind, count, real), notes)| {
        let length = resources.len();
        let values = match kind {
            0 => Values::Counts(vec![count; length]),
            1 => Values::Integers(vec![count.cast_signed(); length]),
            _ => Values::Reals(vec![real; length]),
        };
        (resources, values, notes)
    })
}

proptest! {
    /// A sample in a message is the encoder's, and its signature is that of its text, whatever was made ready before.
    #[test]
    fn samples_are_the_encoders_and_signed(
        rows in prop::collection::vec(rows(), 1..5),
        texts in prop::collection::vec(".{0,8}", 1..4),
        batch_size in 1_usize..20,
    ) {
        let slot = Arc::new(slot(rows, &texts));
        let expected = encoded(&slot);
        let mut signer = Signer::new("s\u{e9}cret");
        let mut found = messages(delivery(1, Content::Slot(Arc::clone(&slot))), batch_size, &mut signer);
        prop_assert_eq!(found.len(), expected.len().div_ceil(batch_size));
        for (message, batch) in found.iter().zip(expected.chunks(batch_size)) {
            let signed: Vec<_> = batch
                .iter()
                .map(|sample| with_signature(sample, signer.clone().sign_json(sample).unwrap().as_str()))
                .collect();
            prop_assert_eq!(samples(message), signed.join(", "));
        }
        // The same out of the spool.
        let (_, payload) = record::of_slot(&slot, &Default::default());
        let again = messages(delivery(1, record::read(&payload).unwrap()), batch_size, &mut signer);
        prop_assert_eq!(&again, &found);
        // Unsigned, only the signature is empty.
        let unsigned = messages(delivery(1, Content::Slot(slot)), batch_size, &mut Signer::new(""));
        for (message, batch) in unsigned.iter().zip(expected.chunks(batch_size)) {
            let batch: Vec<_> = batch.iter().map(|sample| with_signature(sample, "")).collect();
            prop_assert_eq!(samples(message), batch.join(", "));
        }
        found.dedup();
        prop_assert_eq!(found.len(), unsigned.len());
    }

    /// Samples that are delivered again are as they were, and signed.
    #[test]
    fn replayed_samples_are_signed(
        all in prop::collection::vec(prop::collection::btree_map(".{0,4}", ".{0,4}", 0..4), 1..9),
        batch_size in 1_usize..5,
    ) {
        let all: Vec<String> = all.iter().map(|sample| serde_json::to_string(sample).unwrap()).collect();
        let content = Content::Replayed { only: None, samples: all.clone() };
        let mut signer = Signer::new("secret");
        let found = messages(delivery(1, content), batch_size, &mut signer);
        prop_assert_eq!(found.len(), all.len().div_ceil(batch_size));
        for (message, batch) in found.iter().zip(all.chunks(batch_size)) {
            let found: Value = serde_json::from_str(&format!("[{}]", samples(message))).unwrap();
            for (found, sample) in found.as_array().unwrap().iter().zip(batch) {
                let mut expected: Value = serde_json::from_str(sample).unwrap();
                expected["message_signature"] = signer.sign_json(sample).unwrap().as_str().into();
                prop_assert_eq!(found, &expected);
            }
        }
    }
}

#[test]
fn messages_are_full_but_for_the_last() {
    for (counts, batch_size, expected) in [
        (&[3, 12, 1, 4][..], 50, &[20][..]),
        (&[3, 12, 1, 4], 5, &[5, 5, 5, 5]),
        (&[3, 12, 1, 4], 8, &[8, 8, 4]),
        (&[2], 1, &[1, 1]),
        (&[0, 2, 0], 2, &[2]),
        (&[0], 10, &[]),
        (&[], 10, &[]),
    ] {
        let found = messages(delivery(1, counted(counts)), batch_size, &mut Signer::new(""));
        let sizes: Vec<_> = found.iter().map(|message| inner(message).matches("\"counter_name\"").count()).collect();
        assert_eq!(sizes, expected, "{counts:?} in messages of {batch_size}");
    }
}

#[test]
fn ids_follow_from_the_record() {
    let ids = |sequence, batch_size| -> Vec<String> {
        let found = messages(delivery(sequence, counted(&[12])), batch_size, &mut Signer::new("s"));
        let ids = |message: &Bytes| -> [String; 2] {
            let inner: Value = serde_json::from_str(&inner(message)).unwrap();
            ["message_id", "_unique_id"].map(|key| inner[key].as_str().unwrap().to_owned())
        };
        found.iter().flat_map(ids).collect()
    };
    assert_eq!(ids(1, 5), ids(1, 5));
    // Another record, and other samples in the messages.
    let all = [ids(1, 5), ids(2, 5), ids(1, 6)].concat();
    assert_eq!(all.len(), 6 + 6 + 4);
    assert_eq!(BTreeSet::from_iter(&all).len(), all.len());
}

#[test]
fn what_is_no_sample_spoils_no_message() {
    let all = ["no JSON", "[1]", " {\"a\": 1} ", "{ }"].map(str::to_owned);
    let found = messages(delivery(1, Content::Replayed { only: None, samples: all.into() }), 9, &mut Signer::new(""));
    let expected = r#" {"a": 1, "message_signature": ""}, { "message_signature": ""}"#;
    assert_eq!(found.iter().map(samples).collect::<Vec<_>>(), [expected]);
}

/// What a pipeline's messages say: the event's type, who sent it, and the samples.
fn metering(content: Content, batch_size: usize, per_meter: bool) -> Vec<(String, String, Vec<Value>)> {
    let format = Format::Metering { publisher: "telemetry.publisher.h".to_owned(), per_meter };
    let mut messages = Messages::of(delivery(1, content), batch_size, format);
    let mut signer = Signer::new("secret");
    let read = |message: Bytes| {
        let outer: Value = serde_json::from_slice(&message).unwrap();
        let inner: Value = serde_json::from_str(outer["oslo.message"].as_str().unwrap()).unwrap();
        let text = |key: &str| inner[key].as_str().unwrap().to_owned();
        (text("event_type"), text("publisher_id"), inner["payload"].as_array().unwrap().clone())
    };
    std::iter::from_fn(|| messages.next(&mut signer)).map(read).collect()
}

#[test]
fn pipelines_send_lists() {
    let messages = metering(counted(&[3, 0, 4]), 5, false);
    assert_eq!(messages.iter().map(|(_, _, samples)| samples.len()).collect::<Vec<_>>(), [5, 2]);
    for (event, publisher, samples) in &messages {
        assert_eq!((event.as_str(), publisher.as_str()), ("metering", "telemetry.publisher.h"));
        assert!(samples.iter().all(|sample| sample["message_signature"].as_str().unwrap().len() == 64));
    }
}

#[test]
fn messages_of_one_meter_each() {
    let names = |content: Content| -> Vec<(String, usize)> {
        let messages = metering(content, 3, true);
        for (event, _, samples) in &messages {
            let meter = event.strip_prefix("metering.").unwrap();
            assert!(samples.iter().all(|sample| sample["counter_name"] == meter));
        }
        messages.into_iter().map(|(event, _, samples)| (event, samples.len())).collect()
    };
    let of = |names: &[(&str, usize)]| -> Vec<(String, usize)> {
        names.iter().map(|(name, samples)| (format!("metering.{name}"), *samples)).collect()
    };
    assert_eq!(names(counted(&[4, 0, 2])), of(&[("meter.0", 3), ("meter.0", 1), ("meter.2", 2)]));
    let samples = ["a", "a", "b"].map(|meter| format!("{{\"counter_name\": \"{meter}\"}}")).to_vec();
    assert_eq!(names(Content::Replayed { only: None, samples }), of(&[("a", 2), ("b", 1)]));
}
