use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// What Ceilometer 27 computed.
#[test]
fn digests_of_ceilometer() {
    let mut other = Signer::new("not-so-secret");
    let mut usual = Signer::new("change this for valid signing");
    for (sample, by_other, by_usual) in [
        (
            r#"{"a": "A", "b": "B"}"#,
            "698a5f64f76b33a057952a573da6f05582f7539f458c7dcf92b03224272514ed",
            "3f42ea5a076d4940c85a8f57e99193097b50269a0db31e4e1c5600a33df6bebd",
        ),
        (
            r#"{"nested": {"b": "B", "a": "A"}, "a": "A", "b": "B"}"#,
            "e2079d9037dc19d6bbc6db486934329cf779b4ca11ce44aba540c70d320886f2",
            "8b80cd1b3b31bdcecf5c2ae6b94e1fb39b282cb69db9d8bd8f63342142167916",
        ),
        (
            r#"{"a": null, "b": true, "c": 1, "d": 1.0, "e": 1e+16, "f": 1e-05, "g": 0.1}"#,
            "e942115ad013e735150166dd5b943d4247c008c7faa359a86e54f17665e9707c",
            "4a42d9c74106f4755d218fbcfa904027ee70590bc22fc0c8d56d039ba3926214",
        ),
    ] {
        assert_eq!(other.sign_json(sample).unwrap().as_str(), by_other);
        assert_eq!(usual.sign_json(sample).unwrap().as_str(), by_usual);
        assert_eq!(Signer::new("").sign_json(sample).unwrap(), Signature::EMPTY);
    }
}

fn signed(sample: &str) -> String {
    let mut signer = Signer::new("x");
    signer.sign_json(sample).unwrap();
    signer.text
}

#[test]
fn signed_form() {
    for (sample, text) in [
        (r#"{"a": {}, "b": [], "c": "", "d": [{}, [], ""]}"#, "b[]cd[{}, [], b'']"),
        (r#"{"a": {"b": {"c": 1}, "a:b": 2}, "a:b": 3}"#, "a:a:b2a:b:c1a:b3"),
        (r#"{"l": [null, true, 1, 1.0, 1e999, NaN, "x"]}"#, "l[None, True, 1, 1.0, inf, nan, b'x']"),
        (
            r#"{"l": ["it's", "\"", "'\"", "\\\t\n\r\u0000\u007fé"]}"#,
            r#"l[b"it's", b'"', b'\'"', b'\\\t\n\r\x00\x7f\xc3\xa9']"#,
        ),
        (r#"{"l": [{"b": {"d": 1, "c": "2"}, "a": "é"}]}"#, r"l[{b'a': b'\xc3\xa9', b'b': {b'c': b'2', b'd': 1}}]"),
        (r#"{"n": -0, "o": -0.0, "p": 123456789012345678901234567890}"#, "n0o-0.0p123456789012345678901234567890"),
        (r#"{"message_signature": "old", "x": {"message_signature": 1}}"#, "x:message_signature1"),
        (r#"{"message_signature": {"a": 1}}"#, "message_signature:a1"),
        (r#"{"\ud83d\ude00": 1, "\uffff": 2, "Z": 3, "a": 4}"#, "Z3a4\u{ffff}2\u{1f600}1"),
    ] {
        assert_eq!(signed(sample), text);
    }
}

#[test]
fn secrets_are_not_shown() {
    let mut signer = Signer::new("hidden");
    signer.sign_json(r#"{"password": "hidden"}"#).unwrap();
    assert_eq!(format!("{signer:?}"), "Signer { signs: true, .. }");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-d\u{e9}:]{0,2}", any_json(), 0..8).prop_map(|map| map.into_iter().collect())
}

proptest! {
    /// A sample's parts and its JSON have the same signature, whatever is shared and whatever is not.
    #[test]
    fn parts_or_whole(metadata in any_object(), notes in any_object(), user in proptest::option::of(".{0,4}")) {
        let text = |object: &Map<String, Value>| Value::Object(object.clone()).to_string();
        let fields = Fields {
            source: "openstack",
            name: "cpu",
            kind: "cumulative",
            unit: "ns",
            volume: "1.5",
            user_id: user.as_deref(),
            user_name: None,
            project_id: Some("p"),
            project_name: None,
            resource_id: "r",
            timestamp: "2026-11-20T08:27:41.892649",
            metadata: &Canonical::under(METADATA, &text(&metadata)).unwrap(),
            notes: &Canonical::under(METADATA, &text(&notes)).unwrap(),
            message_id: "m",
            monotonic_time: "null",
        };
        let mut merged = metadata;
        merged.extend(notes);
        let whole = json!({
            "source": "openstack", "counter_name": "cpu", "counter_type": "cumulative", "counter_unit": "ns",
            "counter_volume": 1.5, "user_id": user, "user_name": null, "project_id": "p", "project_name": null,
            "resource_id": "r", "timestamp": "2026-11-20T08:27:41.892649", "resource_metadata": merged,
            "message_id": "m", "monotonic_time": null,
        });
        let mut signer = Signer::new("secret");
        prop_assert_eq!(signer.sign(&fields), signer.sign_json(&whole.to_string()).unwrap());
    }
}
