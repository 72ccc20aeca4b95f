//! Who has to have modules signed, and by whom.

use super::minisign::Signers;
use crate::modules::trust::{Policy, Refused, Signatures, Untrusted};

fn policy() -> Policy {
    serde_json::from_str(
        r#"{"tenants": {
            "acme": {"signatures": "required", "keys": ["acme-release"]},
            "beta": {"keys": ["beta", "acme-release"]},
            "closed": {"signatures": "required", "keys": []},
            "any": {"signatures": "required"}
        }}"#,
    )
    .unwrap()
}

#[test]
fn a_signature_is_not_needed_unless_it_is_said_and_has_to_be_right_if_there_is_one() {
    let signers = Signers::new(&["acme-release", "beta"]);
    let (trust, policy) = (signers.trust(), policy());
    let signed = signers.sign("acme-release", b"file", &[]);
    let by = |tenant: &str, file: &[u8], signature: Option<&[u8]>| {
        policy.check(&trust, tenant, file, signature).map(|verified| verified.map(|it| it.key_name.to_string()))
    };
    for tenant in ["nobody", "beta"] {
        assert_eq!(by(tenant, b"file", None), Ok(None));
    }
    for tenant in ["nobody", "acme", "beta", "any"] {
        assert_eq!(by(tenant, b"file", Some(&signed)), Ok(Some("acme-release".to_owned())), "{tenant}");
        let wrong = Refused::Untrusted(Untrusted::OtherFile { key_name: "acme-release".into() });
        assert_eq!(by(tenant, b"another", Some(&signed)), Err(wrong), "{tenant}");
        assert!(by(tenant, b"file", Some(b"")).is_err(), "{tenant}");
    }
}

#[test]
fn what_has_to_be_signed_is_refused_without_and_with_anothers_key() {
    let signers = Signers::new(&["acme-release", "beta"]);
    let (trust, policy) = (signers.trust(), policy());
    let signed = signers.sign("beta", b"file", &[]);
    let refused = |tenant: &str, signature: Option<&[u8]>| {
        let refused = policy.check(&trust, tenant, b"file", signature).unwrap_err();
        assert_eq!(policy.check_again(&trust, tenant, signature), Err(refused.clone()));
        format!("{refused}. {}", refused.remedy())
    };
    assert_eq!(
        refused("acme", None),
        "modules of acme have to be signed, and this one is not. Have it signed with minisign -SH and acme-release, \
         and give the signature along with it"
    );
    assert_eq!(
        refused("any", None),
        "modules of any have to be signed, and this one is not. Have it signed with minisign -SH and a trusted key, \
         and give the signature along with it"
    );
    assert_eq!(
        refused("acme", Some(&signed)),
        "it is signed with beta, which may not sign for acme. Have it signed with acme-release, or add beta to the \
         keys of acme in the policy"
    );
    assert_eq!(
        refused("closed", Some(&signed)),
        "it is signed with beta, which may not sign for closed. Have it signed with a key that the policy allows, of \
         which there is none, or add beta to the keys of closed in the policy"
    );
}

#[test]
fn a_key_that_is_taken_away_takes_what_it_signed_along() {
    let signers = Signers::new(&["acme-release"]);
    let signed = signers.sign("acme-release", b"file", &[]);
    let again = || policy().check_again(&signers.trust(), "acme", Some(&signed));
    policy().check(&signers.trust(), "acme", b"file", Some(&signed)).unwrap();
    assert_eq!(again(), Ok(()));
    std::fs::remove_file(signers.public("acme-release")).unwrap();
    let refused = policy().check(&signers.trust(), "acme", b"file", Some(&signed)).unwrap_err();
    assert!(matches!(refused, Refused::Untrusted(Untrusted::UnknownKey { .. })), "{refused}");
    assert_eq!(again(), Err(refused));
}

#[test]
fn the_rule_for_others_is_for_all_that_have_none_of_their_own() {
    let policy: Policy = serde_json::from_str(
        r#"{"others": {"signatures": "required"}, "tenants": {"own": {"signatures": "optional"}}}"#,
    )
    .unwrap();
    assert_eq!(policy.of("somebody").signatures, Signatures::Required);
    assert_eq!(policy.of("own").signatures, Signatures::Optional);
    assert_eq!(Policy::default().of("somebody").signatures, Signatures::Optional);
    serde_json::from_str::<Policy>(r#"{"tenant": {}}"#).unwrap_err();
}

#[test]
fn keys_that_are_named_and_not_there_are_found() {
    let signers = Signers::new(&["acme-release"]);
    let (trust, policy) = (signers.trust(), policy());
    let missing: Vec<_> = policy.missing(&trust).map(|(key, name)| format!("{key}: {name}")).collect();
    assert_eq!(missing, ["tenants.beta.keys: beta"]);
}
