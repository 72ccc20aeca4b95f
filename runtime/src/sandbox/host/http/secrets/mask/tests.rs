use proptest::prelude::*;

use super::*;

const SECRET: &str = r#"s3cr<t&"/+\ word-two"#;

fn mask(secrets: &[&str]) -> Mask {
    Mask::new(secrets.iter().copied()).unwrap()
}

fn masked(mask: &Mask, text: &str) -> String {
    mask.mask(text.as_bytes()).map_or(text.to_owned(), |masked| String::from_utf8(masked).unwrap())
}

#[test]
fn secrets_are_found_however_they_are_spelt() {
    let mask = mask(&[SECRET, "hunter22hunter22"]);
    let everything = |form: &str, each: &dyn Fn(u8) -> String| {
        let text: String = SECRET.bytes().map(each).collect();
        assert_eq!(masked(&mask, &format!("<{text}>{text};")), "<***>***;", "{form}: {text}");
    };
    everything("plain", &|byte| char::from(byte).to_string());
    everything("percent", &|byte| format!("%{byte:02x}"));
    everything("PERCENT", &|byte| format!("%{byte:02X}"));
    everything("some percent", &|byte| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    });
    everything("form", &|byte| match byte {
        b' ' => "+".to_owned(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    everything("json", &|byte| match byte {
        b'"' | b'\\' | b'/' => format!("\\{}", char::from(byte)),
        _ => char::from(byte).to_string(),
    });
    everything("unicode", &|byte| format!("\\u{byte:04x}"));
    everything("x", &|byte| format!("\\x{byte:02X}"));
    everything("decimal entities", &|byte| format!("&#{byte};"));
    everything("hexadecimal entities", &|byte| format!("&#x{byte:04X};"));
    everything("entities", &|byte| match byte {
        b'<' => "&lt;".to_owned(),
        b'&' => "&amp;".to_owned(),
        b'"' => "&quot;".to_owned(),
        _ => char::from(byte).to_string(),
    });
    everything("hexadecimal", &|byte| format!("{byte:02X}"));
    everything("upper case", &|byte| char::from(byte.to_ascii_uppercase()).to_string());
    let json = serde_json::to_string(&serde_json::json!({ "headers": { "x": SECRET } })).unwrap();
    assert_eq!(masked(&mask, &json), r#"{"headers":{"x":"***"}}"#);
    assert_eq!(masked(&mask, "hunter22hunter22hunter22"), "***");
    assert_eq!(masked(&mask, "hunter22, word-two alone"), "hunter22, *** alone");
    assert_eq!(mask.mask(b"hunter22hunter2"), None);
    assert_eq!(format!("{mask:?}"), "***");
}

#[test]
fn what_basic_authentication_sends_is_masked_as_servers_read_it() {
    let mask = mask(&["Basic YW5uOnMzY3JldA=="]);
    for text in ["Basic YW5uOnMzY3JldA==", "YW5uOnMzY3JldA==", "ann:s3cret", "ann%3As3cret"] {
        assert_eq!(masked(&mask, &format!("[{text}]")), "[***]", "{text}");
    }
    assert_eq!(masked(&mask, "Basic realm"), "Basic realm");
}

#[test]
fn secrets_in_secrets_leave_no_rests() {
    let mask = mask(&["abcdefgh12345678", "12345678ijklmnop", "cdefgh12"]);
    assert_eq!(masked(&mask, "<abcdefgh12345678ijklmnop>"), "<***>");
    assert_eq!(masked(&mask, "<abcdefgh12>"), "<ab***>");
}

proptest! {
    /// In Base64 nothing of a secret remains, wherever it stands.
    #[test]
    fn base64_keeps_nothing(
        before in proptest::collection::vec(any::<u8>(), 0..9),
        after in proptest::collection::vec(any::<u8>(), 0..9),
        secret in "[!-~]{8,40}",
    ) {
        let mask = mask(&[&secret]);
        let whole = [&before, secret.as_bytes(), &after].concat();
        for engine in [&STANDARD, &URL_SAFE, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&whole);
            let masked = masked(&mask, &encoded);
            // Characters that hold no bit of the secret are all that may remain.
            let end = (8 * (before.len() + secret.len())).div_ceil(6);
            let free = before.len() * 8 / 6 + (encoded.len() - end);
            prop_assert!(masked.contains("***") && masked.len() <= free + 3, "{encoded} {masked}");
        }
    }

    /// However a server mixes ways to escape within one spelling, nothing is left, and nothing else is lost.
    #[test]
    fn mixtures_are_found(
        secret in "[!-~]{8,30}",
        choices in proptest::collection::vec(0..3usize, 30),
        around in "[g-z ]{0,9}",
    ) {
        prop_assume!(!around.contains(&secret) && !secret.contains("***"));
        let mask = mask(&[&secret]);
        let text: String = secret.bytes().zip(&choices).map(|(byte, choice)| match choice {
            0 => format!("%{byte:02x}"),
            1 => format!("%{byte:02X}"),
            _ if byte == b'%' => "%25".to_owned(),
            _ => char::from(byte).to_string(),
        }).collect();
        prop_assert_eq!(masked(&mask, &format!("{around}=={text}=={around}")), format!("{around}==***=={around}"));
    }

    #[test]
    fn texts_without_secrets_stay(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(mask(&["a secret that is in no text"]).mask(&text), None);
    }

    /// Long texts are masked as short ones are.
    #[test]
    fn masking_slowly_is_masking(
        text in "([a-c%+&;\\\\]|secret-1|%73ecret-1|&#x0073;ecret-1){0,90}",
        window in 1usize..400,
    ) {
        let mask = mask(&["secret-1", "ret-1abc"]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert_eq!(runtime.block_on(mask.mask_slowly(text.as_bytes(), window)), mask.mask(text.as_bytes()));
    }
}
