//! Messages as oslo.messaging's driver `messagingv2` writes them: a JSON object whose text stands as a string in
//! another JSON object. Byte for byte, for consumers that compare, and so that every try is the same message.

use bytes::Bytes;
use uuid::Uuid;

use crate::json;
use crate::publish::encode;

/// Whose messages Ceilometer's polling agent says they are.
pub const PUBLISHER: &str = "ceilometer.polling";
/// The event type under which Ceilometer's notification agent takes samples.
pub const EVENT: &str = "telemetry.polling";
/// The event type under which Ceilometer's pipelines publish samples.
pub const METERING: &str = "metering";
/// The priority: the second half of the routing key, in small letters there.
pub const PRIORITY: &str = "SAMPLE";

/// The properties with which kombu publishes a message of oslo.messaging, as they stand in AMQP's content header: a
/// content type, its encoding, an empty table of headers, delivery mode 2 (to be kept on disk) and priority 0.
pub const PROPERTIES: &[u8] = b"\xf8\x00\x10application/json\x05utf-8\0\0\0\0\x02\0";

/// What a message says besides its samples. All of it is given, for a message that is sent again must be the same.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// `message_id`
    pub id: Uuid,
    /// `_unique_id`, by which consumers recognise a message that they have seen.
    pub unique_id: Uuid,
    /// `publisher_id`
    pub publisher: &'a str,
    /// `event_type`
    pub event: &'a str,
    /// `priority`
    pub priority: &'a str,
    /// When it was sent first, in nanoseconds since 1970.
    pub sent: i64,
    /// What stands around the samples in it.
    pub payload: Payload,
}

/// What stands around the samples of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// They are a list under `samples`: what polling agents send.
    Samples,
    /// They are the whole payload, a list: what pipelines send.
    List,
}

/// A message in the making.
#[derive(Debug)]
pub struct Message<'a> {
    envelope: Envelope<'a>,
    out: Vec<u8>,
    samples: usize,
}

/// JSON that many samples share, ready to be copied into messages. Most of a sample is its resource's metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Escaped(Vec<u8>);

// === impl Escaped ===

impl Escaped {
    /// Any part of a sample's JSON.
    pub fn of(json: &str) -> Self {
        let mut out = Vec::new();
        escape(&mut out, json);
        Self(out)
    }
}

// === impl Envelope ===

impl Envelope<'static> {
    /// Of samples, as the polling agent sends them. The ids follow from `seed`, which says where the samples are kept.
    pub fn of_samples(seed: &[u8], sent: i64) -> Self {
        Self {
            id: id_of(b"message_id", seed),
            unique_id: id_of(b"_unique_id", seed),
            publisher: PUBLISHER,
            event: EVENT,
            priority: PRIORITY,
            sent,
            payload: Payload::Samples,
        }
    }
}

/// An id that looks drawn at random, as oslo.messaging's are, and is the same for the same seed.
fn id_of(name: &[u8], seed: &[u8]) -> Uuid {
    use sha2::Digest;
    let digest = sha2::Sha256::new().chain_update(name).chain_update([0]).chain_update(seed).finalize();
    let mut id = [0; 16];
    id.iter_mut().zip(digest).for_each(|(byte, drawn)| *byte = drawn);
    uuid::Builder::from_random_bytes(id).into_uuid()
}

// === impl Message ===

impl<'a> Message<'a> {
    /// Begins a message of about so many bytes.
    pub fn new(envelope: &Envelope<'a>, size: usize) -> Self {
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(br#"{"oslo.version": "2.0", "oslo.message": ""#);
        let mut inner = String::with_capacity(256);
        json::append(&mut inner, format_args!("{{\"message_id\": \"{}\"", envelope.id.hyphenated()));
        for (key, value) in [
            (", \"publisher_id\": ", envelope.publisher),
            (", \"event_type\": ", envelope.event),
            (", \"priority\": ", envelope.priority),
        ] {
            inner.push_str(key);
            json::string(&mut inner, value);
        }
        inner.push_str(match envelope.payload {
            Payload::Samples => ", \"payload\": {\"samples\": [",
            Payload::List => ", \"payload\": [",
        });
        escape(&mut out, &inner);
        Self { envelope: *envelope, out, samples: 0 }
    }

    /// Adds a sample: a JSON object.
    pub fn push(&mut self, sample: &str) {
        self.begin();
        self.add(sample);
    }

    /// Begins a sample, whose JSON is added piece by piece.
    pub fn begin(&mut self) {
        if self.samples > 0 {
            self.out.extend_from_slice(b", ");
        }
        self.samples += 1;
    }

    /// Adds a piece of a sample's JSON.
    pub fn add(&mut self, json: &str) {
        escape(&mut self.out, json);
    }

    /// Adds a piece that was made ready before.
    pub fn add_shared(&mut self, shared: &Escaped) {
        self.out.extend_from_slice(&shared.0);
    }

    /// How many samples it has.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// How long it is by now.
    pub fn size(&self) -> usize {
        self.out.len()
    }

    /// Ends the message.
    pub fn finish(self) -> Bytes {
        let mut out = self.out;
        let sent = python_time(self.envelope.sent);
        let unique = self.envelope.unique_id.simple();
        let close = match self.envelope.payload {
            Payload::Samples => "]}",
            Payload::List => "]",
        };
        escape(&mut out, &format!("{close}, \"timestamp\": \"{sent}\", \"_unique_id\": \"{unique}\"}}"));
        out.extend_from_slice(b"\"}");
        Bytes::from(out)
    }
}

/// Appends JSON as the inside of a JSON string.
fn escape(out: &mut Vec<u8>, text: &str) {
    // Looking at all of it is quicker than stopping early.
    if !text.bytes().fold(true, |plain, b| plain & (b' '..=b'~').contains(&b)) {
        return escape_odd(out, text);
    }
    out.reserve(text.len() + text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| matches!(b, b'"' | b'\\')) {
        let (plain, odd) = rest.split_at(at);
        out.extend_from_slice(plain);
        out.push(b'\\');
        let Some((first, after)) = odd.split_first() else { return };
        out.push(*first);
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// The same for texts with more than printable ASCII in them.
fn escape_odd(out: &mut Vec<u8>, text: &str) {
    let mut quoted = String::with_capacity(text.len() + 64);
    json::string(&mut quoted, text);
    out.extend_from_slice(quoted.get(1..quoted.len() - 1).unwrap_or_default().as_bytes());
}

/// Nanoseconds since 1970 as Python's `str` writes a time without a zone.
fn python_time(wall: i64) -> String {
    encode::datetime(wall, ' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn envelope(sent: i64) -> Envelope<'static> {
        Envelope {
            id: Uuid::from_u128(0x9f3c_0f6e_8f57_4d0c_a1f6_7d6a_54a3_20de),
            unique_id: Uuid::from_u128(0xad57_b5ae_55ee_46f4_bffd_85f7_d344_000a),
            ..Envelope::of_samples(b"", sent)
        }
    }

    /// What oslo.messaging 18 and kombu 5.7 put on a queue.
    #[test]
    fn bytes_of_oslo() {
        let mut message = Message::new(&envelope(1_795_163_261_892_649_000), 0);
        message.push(r#"{"source": "openstack", "counter_volume": 1e-05, "x": "\"\\\u00e9\n"}"#);
        message.push(r#"{"source": null}"#);
        let expected = concat!(
            r#"{"oslo.version": "2.0", "oslo.message": "{\"message_id\": \"9f3c0f6e-8f57-4d0c-a1f6-7d6a54a320de\", "#,
            r#"\"publisher_id\": \"ceilometer.polling\", \"event_type\": \"telemetry.polling\", "#,
            r#"\"priority\": \"SAMPLE\", \"payload\": {\"samples\": [{\"source\": \"openstack\", "#,
            r#"\"counter_volume\": 1e-05, \"x\": \"\\\"\\\\\\u00e9\\n\"}, {\"source\": null}]}, "#,
            r#"\"timestamp\": \"2026-11-20 08:27:41.892649\", "#,
            r#"\"_unique_id\": \"ad57b5ae55ee46f4bffd85f7d344000a\"}"}"#,
        );
        assert_eq!(message.samples(), 2);
        assert_eq!(message.finish(), expected);
    }

    #[test]
    fn bytes_of_a_pipeline() {
        let publisher = "telemetry.publisher.compute-1";
        let envelope = Envelope { publisher, event: METERING, payload: Payload::List, ..envelope(0) };
        let mut message = Message::new(&envelope, 0);
        message.push("{}");
        message.push("{}");
        let bytes = message.finish();
        let outer: Value = serde_json::from_slice(&bytes).unwrap();
        let inner = concat!(
            r#"{"message_id": "9f3c0f6e-8f57-4d0c-a1f6-7d6a54a320de", "#,
            r#""publisher_id": "telemetry.publisher.compute-1", "event_type": "metering", "priority": "SAMPLE", "#,
            r#""payload": [{}, {}], "timestamp": "1970-01-01 00:00:00", "#,
            r#""_unique_id": "ad57b5ae55ee46f4bffd85f7d344000a"}"#,
        );
        assert_eq!(outer["oslo.message"], inner);
    }

    #[test]
    fn times_of_python() {
        assert_eq!(python_time(1_795_163_261_000_000_999), "2026-11-20 08:27:41");
        assert_eq!(python_time(1_000), "1970-01-01 00:00:00.000001");
        assert_eq!(python_time(-1), "1969-12-31 23:59:59.999999");
        assert_eq!(python_time(i64::MAX), "2262-04-11 23:47:16.854775");
    }

    #[test]
    fn ids_follow_from_the_seed() {
        let [one, same, other] = [b"1", b"1", b"2"].map(|seed| Envelope::of_samples(seed, 0));
        assert_eq!((one.id, one.unique_id), (same.id, same.unique_id));
        assert!(one.id != one.unique_id && one.id != other.id && one.unique_id != other.unique_id);
        assert_eq!(one.id.get_version_num(), 4);
    }

    proptest! {
        #[test]
        fn samples_come_out_as_they_went_in(
            samples in prop::collection::vec("[^\u{0}]{0,9}|[\\\\\"\u{e9}a]{0,9}|[\\\\\"a]{20,90}", 0..5),
        ) {
            let samples: Vec<Value> = samples.into_iter().map(|text| serde_json::json!({ &text: text })).collect();
            let mut message = Message::new(&envelope(0), 0);
            for (i, sample) in samples.iter().enumerate() {
                let mut ascii = String::new();
                json::value(&mut ascii, sample);
                match i % 3 {
                    0 => message.push(&ascii),
                    1 => message.push(&sample.to_string()),
                    _ => {
                        let (before, rest) = ascii.split_at(ascii.len() / 3);
                        let (shared, after) = rest.split_at(rest.len() / 2);
                        message.begin();
                        message.add(before);
                        message.add_shared(&Escaped::of(shared));
                        message.add(after);
                    }
                }
            }
            let bytes = message.finish();
            prop_assert!(bytes.is_ascii());
            let outer: Value = serde_json::from_slice(&bytes).unwrap();
            let inner: Value = serde_json::from_str(outer["oslo.message"].as_str().unwrap()).unwrap();
            prop_assert_eq!(&inner["payload"]["samples"], &Value::from(samples));
        }
    }
}
