use std::path::Path;

use proptest::prelude::*;

use super::*;

/// A file with one sink of these publishers, and what is said of them.
fn pipelines(urls: &[&str]) -> (Pipelines, String) {
    let list = serde_json::to_string(urls).unwrap();
    let text = format!("sources: [{{name: a, meters: [cpu], sinks: [k]}}]\nsinks:\n- name: k\n  publishers: {list}\n");
    let (mut pipelines, _) = Pipelines::parse(&text, Path::new("pipeline.yaml"), 0, false).unwrap();
    let mut problems = Problems::of(Some(Path::new("pipeline.yaml")));
    let defaults = UrlDefaults { host: "compute-1", folder: Path::new("/etc/wasmeter"), broker: None, outputs: &[] };
    pipelines.open(defaults, &mut problems);
    (pipelines, problems.to_string())
}

/// The same: the publishers' outputs, and what is said.
fn opened(urls: &[&str]) -> (Vec<Option<String>>, String) {
    let (pipelines, said) = pipelines(urls);
    (pipelines.sinks[0].publishers.iter().map(|publisher| publisher.output.clone()).collect(), said)
}

fn name(url: &str) -> String {
    opened(&[url]).0.remove(0).unwrap()
}

#[test]
fn a_url_that_is_shown_is_the_name() {
    for url in ["test://", "http://h:1/in", "udp://[::1]:4952", "file:///var/x%20y"] {
        assert_eq!(name(url), format!("pipeline:{url}"));
    }
    assert_eq!(name("test"), "pipeline:test://");
    let long = format!("http://h/{}", "x".repeat(100));
    for (url, begins) in [
        ("http://h:1/in?x=1", "pipeline:http://h:1/in~"),
        ("http://me:hunter2@h/in", "pipeline:http://h/in~"),
        ("http://h/in#second", "pipeline:http://h/in~"),
        ("notifier://me:p@h1:1,me:hunter2@h2:2/?topic=a", "pipeline:notifier://h1:1,h2:2/~"),
        (&long, &format!("pipeline:http://h/{}~", "x".repeat(61))),
    ] {
        let name = name(url);
        let digest = name.strip_prefix(begins).unwrap();
        assert!(digest.len() == DIGITS && !name.contains("hunter2"), "{name}");
    }
}

#[test]
fn a_name_follows_from_the_url_alone() {
    let urls = ["http://h/in", "http://h/in?x=1", "http://h/in?x=2", "http://me:p@h/in", "http://you:p@h/in", "test"];
    let names: Vec<String> = urls.iter().map(|url| name(url)).collect();
    for start in 0..urls.len() {
        let turned: Vec<usize> = (0..urls.len()).map(|at| (at + start) % urls.len()).collect();
        let (outputs, said) = opened(&turned.iter().map(|at| urls[*at]).collect::<Vec<_>>());
        let expected: Vec<Option<String>> = turned.iter().map(|at| Some(names[*at].clone())).collect();
        assert_eq!((outputs, said.as_str()), (expected, ""));
    }
    let different: std::collections::HashSet<&String> = names.iter().collect();
    assert_eq!(different.len(), urls.len());
}

#[test]
fn two_ways_to_spell_a_place_are_told() {
    for (one, other) in [
        ("http://h/in", "HTTP://h/in"),
        ("http://h/in", "http://H:80/in?timeout=5"),
        ("opentelemetryhttp://h", "opentelemetryhttp://h:4318/"),
        ("udp://h", "udp://h:4952"),
        ("tcp://h", "tcp://H"),
    ] {
        let (outputs, said) = opened(&[one, "test", other]);
        assert_eq!(outputs.into_iter().flatten().count(), 3);
        let words =
            format!("sink `k`: `{other}` leads to where `{one}` does: samples are there twice. Remove one of the two");
        assert!(said.contains(&words), "{said}");
    }
    for (one, other) in [
        ("http://h/in", "https://h/in"),
        ("http://h/in", "http://h/in?x=1"),
        ("http://me:p@h/in", "http://you:p@h/in"),
        ("udp://h", "tcp://h"),
    ] {
        assert!(!opened(&[one, other]).1.contains("twice"), "{one} {other}");
    }
}

#[test]
fn another_password_is_no_other_publisher() {
    assert_eq!(name("http://me:old@h/in?token=a"), name("http://me:new@h/in?token=b"));
    assert_eq!(name("http://old@h/in"), name("http://new@h/in"));
}

#[test]
fn another_way_of_delivery_is_no_other_publisher() {
    for (url, options) in [
        (
            "http://h/in",
            &["timeout=5", "timeout=30&batch=false", "max_retries=3&raw_only=1", "tim%65out=5", "", "&"][..],
        ),
        ("https://h/in", &["verify_ssl=no", "verify_ssl=/ca.pem&clientcert=c.pem&clientkey=k.pem"]),
        ("opentelemetryhttp://h/in", &["timeout=5", "ssl=1&batch=0&verify_ssl=/ca.pem"]),
        ("OpenTelemetryGRPC://h", &["timeout=5", "ssl=1&max_retries=1"]),
        ("notifier://h:1/v", &["ssl=1&heartbeat_timeout_threshold=5", "policy=queue&max_queue_length=9&max_retry=1"]),
        ("file:///x", &["json", "max_bytes=10&backup_count=2&json"]),
        ("udp://h:1", &["x=1"]),
    ] {
        for options in options {
            assert_eq!(name(&format!("{url}?{options}")), format!("pipeline:{url}"), "{options}");
        }
    }
    assert_eq!(name("http://me:p@h/in?x=1&timeout=5&y=a@b"), name("http://me:p@h/in?x=1&y=a@b"));
}

#[test]
fn another_receiver_or_another_form_is_another_publisher() {
    let urls = [
        // What a server is asked for is its own matter, whatever it means to other publishers.
        "http://h/in",
        "https://h/in",
        "http://h/in?policy=a",
        "http://h/in?max_bytes=1",
        "http://h/in?ssl=1",
        "opentelemetryhttp://h/in",
        "opentelemetryhttp://h/in?tenant=7",
        "notifier://h",
        "notifier://h?topic=a",
        "notifier://h?topic=a&topic=b",
        "notifier://h?per_meter_topic=1",
    ];
    let names: HashSet<String> = urls.iter().map(|url| name(url)).collect();
    assert_eq!(names.len(), urls.len(), "{names:?}");
}

#[test]
fn those_that_differ_in_neither_can_be_told_apart_by_a_word() {
    for (one, other, shown) in [
        ("http://h/in?token=a", "http://h/in?token=b", "http://h/in?token=***"),
        ("http://h/in?timeout=5", "http://h/in?batch=no", "http://h/in?batch=no"),
    ] {
        let (outputs, said) = opened(&[one, other]);
        let first = outputs[0].clone().unwrap();
        assert_eq!(outputs[1], Some(format!("{first}#2")));
        let expected = format!(
            ": warning: `{shown}` can be told from {first} by their order alone. Write a `#` and a word of its own \
             behind its URL: else it takes over what waits for the other one when that is removed"
        );
        assert!(said.starts_with("pipeline.yaml:4:") && said.ends_with(&expected), "{said}");
        let worded = format!("{other}#b");
        let (outputs, said) = opened(&[one, &worded]);
        assert_eq!((&outputs[0], said.as_str()), (&Some(first.clone()), ""));
        assert!(outputs[1].as_ref().is_some_and(|name| *name != first && !name.contains("#2")), "{outputs:?}");
        assert_eq!(opened(&[&worded]).0[0], outputs[1]);
    }
}

#[test]
fn urls_are_known_by_the_names_of_their_outputs() {
    let urls = ["http://me:hunter2@h/in?token=hunter2&timeout=5", "test", "gnocchi://"];
    let (pipelines, _) = pipelines(&urls);
    let shown = ["http://***@h/in?token=***&timeout=5", "test://"];
    let expected = urls.iter().zip(shown).map(|(url, shown)| (name(url), shown.to_owned()));
    assert_eq!(pipelines.urls(), expected.collect());
}

#[test]
fn a_sink_without_publishers_is_named_unless_they_are_wrong() {
    const NOWHERE: &str = "no publisher of the sink k is there";
    assert!(opened(&["gnocchi://"]).1.contains(NOWHERE));
    for urls in [&["notifire://"][..], &["gnocchi://", "http://"], &["gnocchi://", "test"]] {
        let (_, said) = opened(urls);
        assert!(!said.contains(NOWHERE), "{said}");
    }
}

proptest! {
    /// Whatever a URL is, its name is the same beside others, and has nothing of a login in it.
    #[test]
    fn any_name_stays(
        scheme in "http|https|udp|opentelemetryhttp|test|file",
        rest in "(me:hunter2@)?[a-z]{0,4}(:[0-9]{1,3})?(/[a-z%#?&=@.]{0,8})?([?](token|x)=[a-z]{0,3})?(#[a-z@]{0,3})?",
        others in prop::collection::vec("http://[a-c](/[?][a-c])?", 0..5),
    ) {
        let url = format!("{scheme}://{rest}");
        let alone = opened(&[&url]).0.remove(0);
        prop_assert!(alone.as_ref().is_none_or(|name| !name.contains("hunter2")), "{alone:?}");
        // Two tags in 65,536 may be the same.
        let is_other = |other: &&str| {
            *other != url && alone.as_ref().is_none_or(|alone| Tag::of(alone) != Tag::of(&name(other)))
        };
        let mut urls: Vec<&str> = others.iter().map(String::as_str).filter(is_other).collect();
        urls.push(&url);
        let (outputs, said) = opened(&urls);
        prop_assert_eq!(outputs.last(), Some(&alone), "{}", said);
    }
}
