//! How one version follows another.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::config::Secret;
use crate::digest::Digest;
use crate::modules::life::Outcome;
use crate::sandbox::Cause;

/// The host's version.
pub const HOST_VERSION: &str = "host 0";

/// A deployment's key.
pub fn key(tenant: &str, name: &str) -> Key {
    Key::new(tenant.parse().unwrap(), name.parse().unwrap())
}

/// A deployment with this module.
pub fn first(key: Key, module: &[u8]) -> Deployment {
    Deployment::new(key, version(module), HOST_VERSION, 0)
}

/// With this module on trial.
pub fn deployed(now: &Deployment, module: &[u8]) -> Deployment {
    now.deployed(version(module)).unwrap().0
}

/// After a slot with which a trial passes or fails, if there is one.
pub fn trial_ended(now: &Deployment, outcome: Outcome) -> Option<Deployment> {
    let rules = Rules { trial_slots: 1, trial_failures: 1, ..Rules::default() };
    let went = |now: &Deployment| {
        let ran = Ran { trial: Some((now.life.trial()?.instance.state, outcome)), current: None };
        let mut next = now.clone();
        next.land(&ran, &rules, 0);
        Some(next)
    };
    let next = went(now)?;
    // What was tried out and did well is on trial from then on.
    let next = went(&next).unwrap_or(next);
    assert_eq!(next.on_trial(), None);
    Some(next)
}

/// After a slot with which a trial passes, if there is one.
pub fn trial_passed(now: &Deployment) -> Option<Deployment> {
    trial_ended(now, Outcome::Good)
}

/// After a slot with which a trial fails, if there is one.
pub fn trial_failed(now: &Deployment) -> Option<Deployment> {
    trial_ended(now, Outcome::Failed(Cause::Trap))
}

/// A version of a module, with something in every field.
pub fn version(module: &[u8]) -> Version {
    let grants = Grants {
        names: vec!["acme.".to_owned()],
        http: vec!["GET https://metrics.example:9100/".to_owned()],
        secrets: [
            ("token".to_owned(), SecretSource::Text(Secret::new("hunter2"))),
            ("password".to_owned(), SecretSource::File("/etc/acme/password".to_owned())),
        ]
        .into(),
        clock: true,
        shortest_interval: Some(5),
        ..Grants::default()
    };
    Version {
        number: 0,
        digest: Digest::of(module),
        size: module.len() as u64,
        config: Secret::new("url: https://me:hunter3@metrics.example\n"),
        meters: vec!["acme.*".to_owned()],
        interval: 10,
        grants,
        limits: Overrides { memory: Some(1 << 20), ..Overrides::default() },
        signature: Some(Signature { key: "RWQ1".to_owned(), text: "untrusted comment: x\nRUQ1\n".to_owned() }),
        deployed_at: 1,
        by: "uid 1000".to_owned(),
        file: None,
    }
}

/// The same from a file of the operator's.
pub fn written(module: &[u8]) -> Version {
    Version { file: Some("/etc/wasmeter/deployments.d/t.yaml".to_owned()), ..version(module) }
}

/// With versions 1 to this one, each of which passed its trial.
fn with(last: u64) -> Deployment {
    let first = first(key("t", "n"), b"1");
    (2..=last).fold(first, |now, _| trial_passed(&deployed(&now, b"x")).unwrap())
}

/// What runs, what is on trial, and what can be gone back to.
fn standing(it: &Deployment) -> (u64, Option<u64>, &[u64]) {
    let number = |version: &Arc<Version>| version.number;
    (it.current().map(number).unwrap(), it.on_trial().map(number), it.life.earlier())
}

fn back(now: &Deployment) -> Deployment {
    now.rolled_back().unwrap().0
}

fn back_to(now: &Deployment, number: u64) -> Deployment {
    now.rolled_back_to(number).unwrap().0
}

#[test]
fn a_version_from_trial_to_rollback() {
    let one = with(1);
    assert_eq!(standing(&one), (1, None, &[][..]));
    let two = deployed(&one, b"2");
    assert_eq!(standing(&two), (1, Some(2), &[][..]));
    assert_eq!(two.running().map(|version| version.number).collect::<Vec<_>>(), [1, 2]);
    // Another one takes its place, and a rollback during a trial ends only that.
    let three = deployed(&two, b"3");
    assert_eq!(standing(&three), (1, Some(3), &[][..]));
    let withdrawn = back(&three);
    assert_eq!((standing(&withdrawn), withdrawn.versions.len()), ((1, None, &[][..]), 3));
    let four = trial_passed(&deployed(&withdrawn, b"4")).unwrap();
    assert_eq!(standing(&four), (4, None, &[1][..]));
    assert_eq!(standing(&back(&four)), (1, None, &[][..]));
}

/// Before that was kept, what is written in its file was the newest version that came from one.
#[test]
fn what_a_file_said_is_known_of_older_stores() {
    let one = Deployment::new(key("t", "n"), written(b"1"), HOST_VERSION, 1);
    let two = trial_passed(&one.deployed(written(b"2")).unwrap().0).unwrap();
    let text = serde_json::to_string(&two).unwrap();
    let before = text.replace(",\"written\":2", "");
    assert_ne!(text, before);
    let read: Deployment = serde_json::from_str(&before).unwrap();
    let said = |it: &Deployment| (it.written().map(|version| version.number), it.differs_from_file());
    assert_eq!((said(&read), said(&back(&read))), ((Some(2), false), (Some(2), true)));
    // It may say what runs again.
    assert_eq!(said(&back(&two).in_file_of(&written(b"1"))), (Some(1), false));
    assert_eq!(said(&with(3)), (None, false), "it is in no file");
}

#[test]
fn what_is_written_is_tried_out_and_what_is_ordered_was() {
    let one = with(1);
    let dry = |next: &Deployment| next.life.trial().map(|trial| trial.dry);
    let (ordered, written) = (deployed(&one, b"2"), one.deployed(written(b"2")).unwrap().0);
    assert_eq!((dry(&ordered), dry(&written)), (Some(false), Some(true)));
    assert_eq!((standing(&written), standing(&ordered)), (standing(&ordered), (1, Some(2), &[][..])));
    // Until then the one before it says how often it runs, and for which meters.
    let leading = |it: &Deployment| it.leading().unwrap().number;
    assert_eq!((leading(&one), leading(&ordered), leading(&written)), (1, 2, 1));
    assert_eq!(standing(&trial_passed(&written).unwrap()), (2, None, &[1][..]));
    assert_eq!(standing(&trial_failed(&written).unwrap()), (1, None, &[][..]));
}

#[test]
fn a_version_on_trial_that_cannot_run_any_more_leaves_the_one_before_it() {
    let one = with(1);
    let (next, changes) = deployed(&one, b"2").without_trial();
    assert_eq!(standing(&next), (1, None, &[][..]));
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(change.to_string(), "version 2 is given up, and 1 goes on: it cannot run any more");
    assert!(change.is_by_failing());
    assert_eq!(one.without_trial(), (one.clone(), Vec::new()));
    // That is no fault of its own, as long as it is not tried again.
    let again = next.rolled_back_to(2).unwrap().0;
    assert_eq!([&one, &next, &again].map(|it| it.life.was_refused(2)), [false, true, false]);
    assert!(!trial_failed(&again).unwrap().life.was_refused(2));
    assert!(next.is_worth_saving(&trial_failed(&again).unwrap()));
}

#[test]
fn what_could_not_run_is_remembered_as_long_as_it_is_kept() {
    let refused = |it: &Deployment| it.without_trial().0;
    let left = refused(&deployed(&back(&with(2)), b"3"));
    // Another one that cannot run either hides nothing.
    let both = refused(&back_to(&left, 2));
    assert_eq!([1, 2, 3].map(|number| both.life.was_refused(number)), [false, true, true]);
    let many = (0..30).fold(both, |now, _| refused(&deployed(&now, b"x")));
    many.check().unwrap();
    assert_eq!([3, 24, 25, 33].map(|number| many.life.was_refused(number)), [false, false, true, true]);
}

#[test]
fn rolling_back_twice_goes_back_twice() {
    let three = with(3);
    let two = back(&three);
    let one = back(&two);
    assert_eq!((standing(&two).0, standing(&one).0), (2, 1));
    let nothing = "nothing ran before version 1 of t/n that is still kept: name one of the kept ones, or deploy the one that is wanted";
    assert_eq!(one.rolled_back().unwrap_err().to_string(), nothing);
    let only = "nothing ran before version 1 of t/n that is still kept: deploy the one that is wanted";
    assert_eq!(with(1).rolled_back().unwrap_err().to_string(), only);
    let unknown = "there is no version 9 of t/n: the kept ones are 1, 2, 3";
    assert_eq!(one.rolled_back_to(9).unwrap_err().to_string(), unknown);
    assert_eq!(standing(&back_to(&three, 1)), (1, None, &[][..]));
    // What was rolled back from does not give away its number.
    assert_eq!(standing(&deployed(&one, b"x")).1, Some(4));
}

#[test]
fn what_was_left_is_on_trial_when_it_is_named() {
    let one = back(&back(&with(3)));
    let forward = back_to(&one, 3);
    assert_eq!(standing(&forward), (1, Some(3), &[][..]));
    assert!(forward.life.trial().is_some_and(|trial| !trial.dry), "whoever ordered it tried it out");
    for number in [1, 3] {
        let again = forward.rolled_back_to(number).map(|(next, _)| standing(&next).1);
        let expected = Refused::RunsAlready { key: key("t", "n"), version: 3 };
        assert_eq!(again, if number == 1 { Ok(None) } else { Err(expected) });
    }
    let again = one.rolled_back_to(1).unwrap_err().to_string();
    assert!(again.starts_with("version 1 of t/n runs already, or is on trial: name another one, or resume"), "{again}");
    // And from there back to where that was said.
    let passed = trial_passed(&forward).unwrap();
    assert_eq!((standing(&passed), standing(&back(&passed)).0), ((3, None, &[1][..]), 1));
}

#[test]
fn going_back_is_told_and_takes_the_state_along() {
    let three = deployed(&with(2), b"3");
    let (one, changes) = three.rolled_back_to(1).unwrap();
    let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let expected = [
        "version 3 is given up, and 2 goes on: it was withdrawn",
        "version 1 runs again in the place of 2, on its state",
    ];
    assert_eq!(told, expected);
    let (now, before) = (one.life.current(), three.life.current());
    assert_eq!(changes.last(), Some(&Change::RolledBack { current: now, before }));
    assert!(three.life.states().all(|state| state != now.state), "what ends late cannot write to it");
}

#[test]
fn the_oldest_versions_go() {
    let many = with(30);
    assert_eq!(many.versions.iter().map(|version| version.number).collect::<Vec<_>>(), Vec::from_iter(21..=30));
    assert_eq!(many.life.earlier(), Vec::from_iter(21..=29));
    // What runs, and what it would go back to, stays however old it is.
    let old = back_to(&many, 22);
    let tried = (0..20).fold(old, |now, _| trial_failed(&deployed(&now, b"x")).unwrap());
    assert_eq!((standing(&tried), tried.versions.len()), ((22, None, &[21][..]), VERSIONS));
    assert_eq!(tried.versions.last().unwrap().number, 50);
    tried.check().unwrap();
}

#[test]
fn a_pause_goes_on_with_another_version() {
    let (stopped, _) = with(2).paused(5, "me");
    let (again, changes) = stopped.paused(6, "you");
    assert_eq!((again.paused, changes), (Some(Paused { at: 5, by: "me".to_owned() }), vec![]));
    for next in [stopped.deployed(version(b"3")), stopped.rolled_back(), stopped.rolled_back_to(1)] {
        let (next, _) = next.unwrap();
        assert_eq!(next.plan(&Rules::default(), 0), Run::Nothing(Idle::Paused));
    }
    assert_eq!(stopped.resumed(), (with(2).resumed().0, vec![Change::Resumed]));
    assert_eq!(with(2).resumed().1, []);
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let refused = |change: &dyn Fn(&mut Deployment)| {
        let mut changed = with(3);
        change(&mut changed);
        changed.check().unwrap_err().to_string()
    };
    let first = |it: &mut Deployment, change: &dyn Fn(&mut Version)| change(Arc::make_mut(&mut it.versions[0]));
    assert_eq!(refused(&|it| it.versions.clear()), "it has 0 versions, and 1 to 10 are kept");
    assert_eq!(refused(&|it| it.versions.swap(0, 1)), "the numbers of its versions do not rise from 1");
    let interval = refused(&|it| first(it, &|version| version.interval = 0));
    assert_eq!(interval, "version 1: interval: 0 is not within 1 to 86400");
    let deadline = refused(&|it| first(it, &|version| version.limits.deadline = Some(60_001)));
    assert_eq!(deadline, "version 1: deadline is out of bounds: it can be 1ms to 1m");
    let long = "x".repeat(70_000);
    let told = refused(&|it| first(it, &|version| version.config = Secret::new(long.clone())));
    assert_eq!(told, "version 1: the configuration has 70000 bytes, and at most 65536 are kept");
    let secret = refused(&|it| {
        let long = SecretSource::Text(Secret::new(long.clone()));
        first(it, &|version| drop(version.grants.secrets.insert("key".to_owned(), long.clone())));
    });
    assert_eq!(secret, "version 1: the secret \"key\" has more than 4096 bytes");
    let many = refused(&|it| first(it, &|version| version.grants.http = vec![String::new(); 1_001]));
    assert_eq!(many, "version 1: there are 1001 requests granted, and at most 1000 are kept");
    let large = refused(&|it| first(it, &|version| version.size = (16 << 20) + 1));
    assert_eq!(large, "version 1: the module has 16777217 bytes, and at most 16777216 are kept");
    assert_eq!(refused(&|it| drop(it.versions.remove(2))), "it has no version 3, which is to run");
}

#[test]
fn what_is_hidden_is_not_shown() {
    let deployment = with(1);
    let json = serde_json::to_string(&deployment).unwrap();
    for shown in [json, format!("{deployment:?}")] {
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.contains("***") && shown.contains("/etc/acme/password"), "{shown}");
    }
}

/// Something that is done, if it can be.
fn step(now: &Deployment, (what, number): (u8, u64)) -> Option<Deployment> {
    match what {
        0 => Some(now.deployed(written(&number.to_le_bytes())).unwrap().0),
        1..=2 => Some(deployed(now, &number.to_le_bytes())),
        3..=4 => trial_passed(now),
        5 => trial_failed(now),
        6 => Some(now.paused(7, "me").0),
        7 => Some(now.rolled_back().ok()?.0),
        8 => Some(now.without_trial().0),
        _ => {
            let pick = usize::try_from(number).unwrap() % now.versions.len();
            Some(now.rolled_back_to(now.versions[pick].number).ok()?.0)
        }
    }
}

/// Texts that are longer in the file than they are.
#[test]
fn versions_that_fill_more_than_a_file_go() {
    for (text, kept) in [("\"".repeat(64_000), 8), ("\u{1}".repeat(64_000), 2)] {
        let long = || Version { config: Secret::new(text.clone()), ..version(b"module") };
        let mut now = Deployment::new(key("acme", "one"), long(), HOST_VERSION, 0);
        for _ in 0..12 {
            now = trial_passed(&now.deployed(long()).unwrap().0).unwrap();
            assert!(record::has_room(&now), "{} versions", now.versions.len());
            assert_eq!(now.check(), Ok(()));
        }
        let numbers: Vec<u64> = now.versions.iter().map(|version| version.number).collect();
        assert_eq!(numbers, Vec::from_iter(14 - kept..=13));
        assert!(now.rolled_back().is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done in whatever order.
    #[test]
    fn rules_hold_after_any_steps(steps in vec((0..11_u8, 0..100_u64), 0..80)) {
        let (mut now, mut highest) = (with(1), 1);
        for done in steps {
            let Some(next) = step(&now, done) else { continue };
            prop_assert_eq!(next.check(), Ok(()));
            prop_assert!(next.is_worth_saving(&now) || next == now);
            let newest = next.versions.iter().map(|version| version.number).max().unwrap();
            prop_assert_eq!(newest, if done.0 <= 2 { highest + 1 } else { highest }, "numbers are used once");
            if done.0 == 7 && now.on_trial().is_none() {
                let (before, current) = (now.life.current().version, next.life.current().version);
                prop_assert_eq!(Some(&current), now.life.earlier().last());
                prop_assert!(!next.life.earlier().contains(&before));
            }
            highest = newest;
            now = next;
        }
    }
}

#[test]
fn grants_keep_to_their_bounds_wherever_they_come_from() {
    let check = |grants: Grants| Version { grants, ..version(b"m") }.check().map_err(|invalid| invalid.to_string());
    let names = |names: &[&str]| Grants { names: names.iter().map(ToString::to_string).collect(), ..Grants::default() };
    let requests = |requests| Grants { requests, ..Grants::default() };
    let none = RequestLimits::default();
    let origins = vec!["https://a.example".to_owned(); 17];
    for (grants, words) in [
        (names(&[""]), "grants.names: \"\" is no beginning of names; write whole words with a point behind"),
        (names(&["."]), "grants.names: \".\" is no beginning"),
        (names(&["a..b."]), "grants.names: \"a..b.\" is no beginning"),
        (names(&["acme.", "ac"]), "grants.names: \"ac\" is no beginning"),
        (names(&["a."; 101]), "there are 101 names granted, and at most 100 are kept"),
        (
            Grants { groups: vec!["everything".to_owned()], ..Grants::default() },
            "grants.groups: \"everything\" is no group of statistics; write some of state, ",
        ),
        (Grants { groups: vec!["cpu".to_owned(); 101], ..Grants::default() }, "there are 101 groups granted"),
        (Grants { shortest_interval: Some(0), ..Grants::default() }, "grants.shortest_interval: 0 is not within 1 to"),
        (
            Grants { secret_origins: [("token".to_owned(), origins)].into(), ..Grants::default() },
            "there are 17 origins of a secret, and at most 16 are kept",
        ),
        (requests(RequestLimits { body: Some(u64::MAX), ..none }), "grants.requests.body: "),
        (requests(RequestLimits { body: Some(1), ..none }), " is not within 1KiB to 8MiB"),
        (
            requests(RequestLimits { time: Some(60_001), ..none }),
            "grants.requests.time: 60001ms is not within 10ms to 1m",
        ),
        (
            requests(RequestLimits { per_minute: Some(6_001), ..none }),
            "grants.requests.per_minute: 6001 is not within 1 to 6000",
        ),
        (requests(RequestLimits { per_minute: Some(0), ..none }), "per_minute: 0 is not within"),
    ] {
        let said = check(grants).unwrap_err();
        assert!(said.contains(words), "{said}");
    }
    let most = RequestLimits { body: Some(8 << 20), time: Some(60_000), per_minute: Some(6_000) };
    assert_eq!(check(Grants { requests: most, groups: vec!["cpu".to_owned()], ..names(&["acme.app."]) }), Ok(()));
}
