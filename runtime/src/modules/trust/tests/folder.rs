//! Folders of keys in which not all is as it should be.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use super::minisign::Signers;
use crate::modules::trust::Trust;

/// What is said about the folder, without where it is. The good key works whatever there is beside it.
fn said(signers: &Signers) -> Vec<String> {
    let (trust, problems) = Trust::load(&signers.trusted());
    let signature = signers.sign("good", b"file", &[]);
    assert_eq!(&*trust.verify(b"file", &signature).unwrap().key_name, "good");
    let folder = format!("{}/", signers.trusted().display());
    problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
}

#[test]
fn an_odd_file_is_named_with_its_line_and_the_others_work() {
    let signers = Signers::new(&["good"]);
    let good = fs::read_to_string(signers.public("good")).unwrap();
    let base64 = good.lines().nth(1).unwrap().to_owned();
    let as_it_was = "Put the public key there as minisign -G wrote it: a line of comment and one of Base64";
    let cases: [(&[u8], &str); 9] = [
        (b"", "1:1: warning: the key is not used: it is empty"),
        (b"\xff\xfe", "1:1: warning: the key is not used: it is no text"),
        (
            base64.as_bytes(),
            "1:1: warning: the key is not used: its first line does not begin with \"untrusted comment: \"",
        ),
        (b"untrusted comment: x", "2:1: warning: the key is not used: it ends before the key"),
        (b"untrusted comment: x\n???", "2:1: warning: the key is not used: its second line is not Base64"),
        (b"untrusted comment: x\nAAAA", "2:1: warning: the key is not used: it is not as long as a key"),
        (
            &[b"untrusted comment: x\nRVQ", &base64.as_bytes()[3..]].concat(),
            "2:1: warning: the key is not used: it is a key of another kind",
        ),
        (
            &[good.as_bytes(), b"\n"].concat(),
            "3:1: warning: the key is not used: it goes on after the key; a file has one key",
        ),
        (&[b' '; 5000], "warning: the key is not used: it is larger than 4096 bytes"),
    ];
    for (bytes, says) in cases {
        fs::write(signers.public("odd"), bytes).unwrap();
        let said = said(&signers);
        assert_eq!(said.len(), 1, "{said:?}");
        let found = said[0].strip_prefix("odd.pub:").unwrap().trim_start();
        assert!(found.starts_with(&format!("{says}. ")), "{found}");
        assert!(found.ends_with(as_it_was) || found.ends_with("as a file of its own that the daemon can read"));
    }
}

#[test]
fn a_secret_key_is_told_from_a_public_one_and_not_shown() {
    let signers = Signers::new(&["good", "other"]);
    fs::remove_file(signers.public("other")).unwrap();
    fs::copy(signers.secret("other"), signers.public("other")).unwrap();
    let said = said(&signers);
    assert!(
        said[0].starts_with("other.pub:2:1: warning: the key is not used: it is a secret key. Take it away"),
        "{said:?}"
    );
    let secret = fs::read_to_string(signers.secret("other")).unwrap();
    assert!(!said[0].contains(secret.lines().nth(1).unwrap()));
}

#[test]
fn what_is_no_file_keeps_nobody() {
    let signers = Signers::new(&["good"]);
    fs::create_dir(signers.public("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(signers.public("pipe")).status().unwrap().success());
    fs::copy(signers.public("good"), signers.secret("outside")).unwrap();
    symlink("../outside.key", signers.public("link")).unwrap();
    symlink("gone", signers.public("dangling")).unwrap();
    let said = said(&signers);
    let files: Vec<_> = said.iter().map(|line| line.split_once(':').unwrap().0).collect();
    assert_eq!(files, ["dangling.pub", "folder.pub", "link.pub", "pipe.pub"]);
    assert!(
        said.iter()
            .all(|line| line.ends_with("Put the public key there as a file of its own that the daemon can read"))
    );
}

#[test]
fn names_are_such_that_a_policy_can_name_them() {
    let signers = Signers::new(&["good"]);
    let key = fs::read(signers.public("good")).unwrap();
    for odd in ["", "a b", "a\nb", "\u{e9}", &"x".repeat(65)] {
        // Its id is also the good key's, so that it would be odd whatever its name.
        fs::write(signers.trusted().join(format!("{odd}.pub")), &key).unwrap();
    }
    for beside in ["README", "good.pub~", ".good.pub.swp", ".hidden.pub", "good.minisig"] {
        fs::write(signers.trusted().join(beside), b"x").unwrap();
    }
    let said = said(&signers);
    // `.pub` is a hidden file.
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said.iter().all(|line| line.contains("its name cannot be a key's. Call it NAME.pub")), "{said:?}");
}

#[test]
fn an_id_is_one_keys_only() {
    let signers = Signers::new(&["good"]);
    fs::copy(signers.public("good"), signers.public("zzz")).unwrap();
    let said = said(&signers);
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("zzz.pub:2:1: warning: the key is not used: its id "), "{said:?}");
    assert!(said[0].ends_with(" is that of good, which is used. Take away one of the two"), "{said:?}");
}

#[test]
fn what_anybody_may_write_is_not_trusted() {
    let signers = Signers::new(&["good", "open"]);
    fs::set_permissions(signers.public("open"), Permissions::from_mode(0o666)).unwrap();
    let said = said(&signers);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("open.pub: warning: the key is not used: anybody may write it"), "{said:?}");

    fs::set_permissions(signers.trusted(), Permissions::from_mode(0o777)).unwrap();
    let (trust, problems) = Trust::load(&signers.trusted());
    assert_eq!(trust.keys().count(), 0);
    assert!(problems.to_string().ends_with("Take that right away with chmod o-w"), "{problems}");
}

#[test]
fn there_are_not_more_keys_than_anybody_would_look_at() {
    let signers = Signers::new(&["good"]);
    for number in 0..300 {
        fs::write(signers.public(&format!("zz{number:03}")), b"").unwrap();
    }
    let said = said(&signers);
    assert_eq!(said.len(), 256, "the good one is the first, and 255 others are odd");
    assert!(
        said.iter().any(|line| line.contains("45 keys are left out: the first 256 by name are looked at")),
        "{said:?}"
    );
}

#[test]
fn a_folder_that_is_not_there_has_no_keys() {
    let folder = tempfile::tempdir().unwrap();
    let (trust, problems) = Trust::load(&folder.path().join("trust.d"));
    assert_eq!((trust.keys().count(), problems.is_empty()), (0, true));
    fs::write(folder.path().join("trust.d"), b"").unwrap();
    let (trust, problems) = Trust::load(&folder.path().join("trust.d"));
    assert_eq!((trust.keys().count(), problems.iter().count()), (0, 1));
}
