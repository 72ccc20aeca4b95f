//! What is accepted, and what is said of what is not.

use std::fs;

use proptest::prelude::*;

use super::minisign::Signers;
use crate::modules::trust::{KeyId, Trust, Untrusted};

const MODULE: &[u8] = b"\0asm\x0d\0\x01\0 and so on";

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

fn lines(signature: &[u8]) -> Vec<String> {
    str::from_utf8(signature).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn what_minisign_signed_is_verified() {
    let signers = Signers::new(&["acme-release", "beta"]);
    let trust = signers.trust();
    for options in [&["-t", "release 7"][..], &["-H", "-t", "release 7"], &["-c", "what you like", "-t", "release 7"]] {
        let signature = signers.sign("acme-release", MODULE, options);
        let verified = trust.verify(MODULE, &signature).unwrap();
        assert_eq!((&*verified.key_name, &*verified.trusted_comment), ("acme-release", "release 7"));
        let public = fs::read_to_string(signers.public("acme-release")).unwrap();
        let comment = format!("untrusted comment: minisign public key {}", verified.key_id);
        assert_eq!(public.lines().next(), Some(&*comment), "the id is written as minisign writes it");
    }
    let usual = trust.verify(b"", &signers.sign("beta", b"", &[])).unwrap();
    assert!(usual.trusted_comment.starts_with("timestamp:"), "{usual:?}");
}

#[test]
fn an_id_is_written_as_minisign_writes_it() {
    assert_eq!(KeyId::from_bytes([0x0c, 0xb7, 0xb8, 0x18, 0xf4, 0xc6, 0x0a, 0]).to_string(), "AC6F418B8B70C");
}

#[test]
fn what_a_mail_program_does_to_lines_does_no_harm() {
    let signers = Signers::new(&["acme"]);
    let text = String::from_utf8(signers.sign("acme", MODULE, &[])).unwrap();
    signers.trust().verify(MODULE, text.replace('\n', "\r\n").as_bytes()).unwrap();
    signers.trust().verify(MODULE, text.trim_end().as_bytes()).unwrap();
}

#[test]
fn legacy_signatures_are_refused_and_the_library_would_accept_them() {
    let signers = Signers::new(&["acme"]);
    let legacy = signers.sign("acme", MODULE, &["-l"]);
    let refused = signers.trust().verify(MODULE, &legacy).unwrap_err();
    assert_eq!(refused, Untrusted::Legacy);
    assert_eq!(refused.remedy(), "Have it signed again with minisign -SH");
    // Otherwise this would be a test of a signature that is wrong anyway.
    let public = minisign_verify::PublicKey::from_file(signers.public("acme")).unwrap();
    let whole = minisign_verify::Signature::decode(str::from_utf8(&legacy).unwrap()).unwrap();
    public.verify(MODULE, &whole, true).unwrap();
}

#[test]
fn an_unknown_key_is_named_with_where_it_would_have_to_be() {
    let signers = Signers::new(&["acme", "stranger"]);
    fs::remove_file(signers.public("stranger")).unwrap();
    let refused = signers.trust().verify(MODULE, &signers.sign("stranger", MODULE, &[])).unwrap_err();
    let secret = fs::read_to_string(signers.secret("stranger")).unwrap();
    let Untrusted::UnknownKey { key_id, .. } = &refused else { panic!("{refused}") };
    let folder = signers.trusted();
    let folder = folder.display();
    assert_eq!(refused.to_string(), format!("it is signed with the key {key_id}, which is none of those in {folder}"));
    let put = format!("put it there as {folder}/NAME.pub");
    assert!(refused.remedy().ends_with(&put), "{}", refused.remedy());
    assert!(!refused.to_string().contains(secret.lines().nth(1).unwrap()));
    // What the message says is what helps.
    signers.make("stranger");
    signers.trust().verify(MODULE, &signers.sign("stranger", MODULE, &[])).unwrap();
}

#[test]
fn a_changed_file_and_a_changed_comment_are_told_apart() {
    let signers = Signers::new(&["acme"]);
    let trust = signers.trust();
    let signature = signers.sign("acme", MODULE, &["-t", "version 2"]);
    let refused = trust.verify(b"another", &signature).unwrap_err();
    assert_eq!(refused, Untrusted::OtherFile { key_name: "acme".into() });
    assert!(refused.to_string().starts_with("the file is not what was signed with acme"), "{refused}");

    let newer = String::from_utf8(signature.clone()).unwrap().replace("version 2", "version 3");
    let refused = trust.verify(MODULE, newer.as_bytes()).unwrap_err();
    assert_eq!(refused, Untrusted::Changed { key_name: "acme".into() });
    assert!(refused.to_string().contains("trusted comment"), "{refused}");

    // A comment that was signed along with another file.
    let (mut mixed, other) = (lines(&signature), lines(&signers.sign("acme", b"another", &["-t", "version 3"])));
    (mixed[2], mixed[3]) = (other[2].clone(), other[3].clone());
    let refused = trust.verify(MODULE, mixed.join("\n").as_bytes()).unwrap_err();
    assert_eq!(refused, Untrusted::Changed { key_name: "acme".into() });
}

#[test]
fn a_signature_of_another_key_with_the_same_id_is_refused() {
    let signers = Signers::new(&["acme", "thief"]);
    let trust = signers.trust();
    let id_of = |name: &str| {
        let text = fs::read_to_string(signers.public(name)).unwrap();
        decode(text.lines().nth(1).unwrap())[2..10].to_vec()
    };
    let (acme, thief) = (id_of("acme"), id_of("thief"));
    let mut stolen = lines(&signers.sign("thief", MODULE, &[]));
    let mut bytes = decode(&stolen[1]);
    assert_eq!(bytes[2..10], thief);
    bytes[2..10].copy_from_slice(&acme);
    stolen[1] = encode(&bytes);
    let refused = trust.verify(MODULE, stolen.join("\n").as_bytes()).unwrap_err();
    assert_eq!(refused, Untrusted::Changed { key_name: "acme".into() });
}

#[test]
fn a_damaged_signature_is_refused_with_its_line() {
    let signers = Signers::new(&["acme"]);
    let trust = signers.trust();
    let whole = lines(&signers.sign("acme", MODULE, &[]));
    let cases: [(usize, &str, &str); 10] = [
        (0, "trusted comment: x", "line 1 of the signature does not begin with \"untrusted comment: \""),
        (1, "?", "line 2 of the signature is not Base64"),
        (1, "RWQf6LRCGA9i", "line 2 of the signature is not as long as a signature"),
        (2, "untrusted comment: x", "line 3 of the signature does not begin with \"trusted comment: \""),
        (2, "trusted comment: \x1b[31mred", "line 3 of the signature has control characters in it"),
        (3, "AAAA", "line 4 of the signature is not as long as a signature"),
        (3, "", "line 4 of the signature is missing; it has four"),
        (3, "AA==\n\n", "line 5 of the signature is too many; it has four"),
        (0, "untrusted comment: \0", "line 1 of the signature has control characters in it"),
        (1, "\u{a0}", "line 2 of the signature is not Base64"),
    ];
    for (line, put, says) in cases {
        let mut damaged = whole.clone();
        damaged[line] = put.to_owned();
        assert_eq!(trust.verify(MODULE, damaged.join("\n").as_bytes()).unwrap_err().to_string(), says);
    }
    let text = whole.join("\n");
    for (bytes, says) in [
        (&b""[..], "line 4 of the signature is missing; it has four"),
        (b"untrusted comment: x\n\xff", "line 2 of the signature is not UTF-8"),
        (text.rsplit_once('\n').unwrap().0.as_bytes(), "line 4 of the signature is missing; it has four"),
        (&[b' '; 11 << 10], "the signature has more than 10240 bytes, so it is none"),
    ] {
        assert_eq!(trust.verify(MODULE, bytes).unwrap_err().to_string(), says);
    }
    let mut other = decode(&whole[1]);
    other[1] = b'x';
    let text = [&*whole[0], &*encode(&other), &*whole[2], &*whole[3]].join("\n");
    let says = "line 2 of the signature is a signature of another kind than minisign's";
    assert_eq!(trust.verify(MODULE, text.as_bytes()).unwrap_err().to_string(), says);
}

#[test]
fn with_no_keys_nothing_is_trusted() {
    let signers = Signers::new(&["acme"]);
    let signature = signers.sign("acme", MODULE, &[]);
    assert!(matches!(Trust::default().verify(MODULE, &signature), Err(Untrusted::NoFolder)));
}

/// Every one of them, which is more than any choice of them.
#[test]
fn any_flipped_bit_of_a_signature_is_refused() {
    let signers = Signers::new(&["acme"]);
    let trust = signers.trust();
    let signature = signers.sign("acme", MODULE, &["-t", "release 7", "-c", "by hand"]);
    trust.verify(MODULE, &signature).unwrap();
    // The text of the untrusted comment is not signed, and not shown.
    let unsigned = "untrusted comment: ".len()..lines(&signature)[0].len();
    let mut accepted = 0;
    for bit in 0..signature.len() * 8 {
        let result = trust.verify(MODULE, &flipped(&signature, bit));
        if unsigned.contains(&(bit / 8)) {
            if let Ok(verified) = result {
                assert_eq!(verified.trusted_comment, "release 7");
                accepted += 1;
            }
        } else {
            assert!(result.is_err(), "bit {bit} of\n{}", String::from_utf8_lossy(&signature));
        }
    }
    assert!(accepted > 0, "what is not signed may be changed");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_of_a_file_is_refused(
        file in prop::collection::vec(any::<u8>(), 1..5000),
        bits in prop::collection::vec(any::<prop::sample::Index>(), 1..16),
        comment in "[ -~\t\u{e0}-\u{ff}]{1,200}",
    ) {
        let signers = Signers::new(&["acme"]);
        let trust = signers.trust();
        let signature = signers.sign("acme", &file, &["-t", &comment]);
        prop_assert_eq!(trust.verify(&file, &signature).unwrap().trusted_comment, comment);
        for bit in bits {
            let changed = flipped(&file, bit.index(file.len() * 8));
            let refused = trust.verify(&changed, &signature);
            prop_assert_eq!(refused, Err(Untrusted::OtherFile { key_name: "acme".into() }));
        }
        prop_assert!(trust.verify(&file[1..], &signature).is_err());
        prop_assert!(trust.verify(&[&file[..], b"\0"].concat(), &signature).is_err());
    }

    #[test]
    fn nothing_that_is_no_signature_is_accepted(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = [b"untrusted comment: \n", &bytes[..]].concat();
        prop_assert!(Trust::default().verify(MODULE, &bytes).is_err());
    }
}

fn decode(text: &str) -> Vec<u8> {
    base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text).unwrap()
}

fn encode(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes)
}
