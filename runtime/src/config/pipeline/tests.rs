use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::cases;

const MITAKA: &str = include_str!("tests/mitaka.yaml");
const TODAY: &str = include_str!("tests/today.yaml");

fn parse(text: &str) -> Result<(Pipelines, Problems), Problems> {
    Pipelines::parse(text, Path::new("pipeline.yaml"), 0, false)
}

fn fine(text: &str) -> Pipelines {
    let (pipelines, problems) = parse(text).unwrap();
    assert!(problems.is_empty(), "{problems}");
    pipelines
}

/// All that is said about a file, a problem a line.
fn said(text: &str) -> String {
    parse(text).map_or_else(|problems| problems.to_string(), |(_, problems)| problems.to_string())
}

#[test]
fn every_problem_is_said_at_once_with_its_line_and_remedy() {
    cases::check(include_str!("tests/problems.txt"), said);
}

#[test]
fn mitakas_file_is_read_as_it_is() {
    let pipelines = fine(MITAKA);
    let names: Vec<&str> = pipelines.iter().map(|(pipeline, ..)| pipeline.name.as_str()).collect();
    let expected = [
        "meter_source:meter_sink",
        "cpu_source:cpu_sink",
        "cpu_source:cpu_delta_sink",
        "disk_source:disk_sink",
        "network_source:network_sink",
    ];
    assert_eq!(names, expected);
    let sinks = serde_json::to_value(&pipelines.sinks).unwrap();
    assert_eq!(
        sinks[2],
        json!({
            "name": "cpu_delta_sink",
            "transformers": [
                {"name": "delta", "parameters": {"target": {"name": "cpu.delta"}, "growth_only": true}},
            ],
            "publishers": ["notifier://"],
        })
    );
    let mapped = &sinks[3]["transformers"][0]["parameters"]["source"]["map_from"]["name"];
    assert_eq!(mapped, r"(disk\.device|disk)\.(read|write)\.(bytes|requests)");
    let polling = pipelines.polling().unwrap();
    let intervals: Vec<u64> = polling.sources.iter().map(|source| source.interval.as_secs()).collect();
    assert_eq!(intervals, [600; 4]);
    assert_eq!(pipelines.publishers().len(), 1);
    assert!(pipelines.check_transformers(None, |_| false, |_| None).is_empty());
}

#[test]
fn transformers_that_there_are_not_are_named() {
    let built_in: Vec<&str> = crate::modules::built_in().map(|module| module.name).collect();
    assert!(TRANSFORMERS.iter().all(|name| built_in.contains(name)), "{built_in:?}");
    let pipelines = fine(&MITAKA.replace("\"delta\"", "mine"));
    assert!(pipelines.check_transformers(None, |name| name == "mine", |_| None).is_empty());
    assert_eq!(
        pipelines.check_transformers(Some(Path::new("pipeline.yaml")), |name| name == "cpu", |_| None).to_string(),
        "pipeline.yaml:56:13: error: sink `cpu_delta_sink`: No transformer named mine loaded. Name one of accumulator, \
         aggregator, arithmetic, delta, rate_of_change, relabel, threshold, unit_conversion, a module that has a \
         file under `modules` in wasmeter.yaml, or a tenant's deployment as TENANT/NAME",
    );
}

#[test]
fn deployments_stand_in_one_place_and_are_told_nothing() {
    let chain = |transformers: &str| {
        let pipelines = fine(&format!(
            "sources: [{{name: a, meters: ['*'], sinks: [b]}}]\nsinks:\n- name: b\n  transformers: {transformers}\n  \
             publishers: [test://]\n"
        ));
        let owner_of = |tenant: &Tenant| (tenant.as_str() == "5d7b").then(|| "acme".to_owned());
        pipelines.check_transformers(None, |_| false, owner_of).to_string()
    };
    assert_eq!(chain("[{name: acme/growth, parameters: {}}]"), "");
    for (transformers, expected) in [
        ("[{name: acme/Growth, parameters: {}}]", "error: sink `b`: \"Growth\" is no name for a deployment"),
        ("[{name: -/growth, parameters: {}}]", "error: sink `b`: \"-\" is no tenant"),
        ("[{name: acme/growth, parameters: {a: 1}}]", "error: sink `b`: acme/growth cannot be told anything here"),
        (
            "[{name: acme/growth, parameters: {}}, {name: acme/growth, parameters: {}}]",
            "error: sink `b`: acme/growth stands in a chain already",
        ),
        (
            "[{name: 5d7b/growth, parameters: {}}]",
            "error: sink `b`: 5d7b is a project of the tenant acme. Write acme/growth",
        ),
    ] {
        let said = chain(transformers);
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
}

#[test]
fn todays_file_is_read_as_it_is() {
    let pipelines = fine(TODAY);
    assert!(pipelines.polling().is_none());
    assert_eq!(
        serde_json::to_value(&pipelines).unwrap(),
        json!({
            "sources": [{"name": "meter_source", "meters": ["*"], "sinks": ["meter_sink"]}],
            "sinks": [{"name": "meter_sink", "transformers": [], "publishers": ["gnocchi://"]}],
            "pipelines": [{"name": "meter_source:meter_sink", "source": 0, "sink": 0}],
        })
    );
    let places = pipelines.iter().map(|(_, source, sink)| (source.place, sink.place, sink.publishers[0].place));
    let line = |place: Option<Place>| place.unwrap().line;
    let lines: Vec<_> = places.map(|(source, sink, publisher)| (line(source), line(sink), line(publisher))).collect();
    assert_eq!(lines, [(3, 9, 11)]);
}

#[test]
fn one_name_of_both_is_the_pipelines() {
    let pipelines = fine(
        "sources: [{name: a, meters: [cpu], sinks: [b, a]}]\nsinks: [{name: a, publishers: [x]}, {name: b, publishers: [z]}]\n",
    );
    let expected =
        [("a:b", 0, 1), ("a", 0, 0)].map(|(name, source, sink)| Pipeline { name: name.into(), source, sink });
    assert_eq!(pipelines.pipelines, expected);
    let schemes: Vec<&str> = pipelines.publishers().iter().map(|publisher| publisher.scheme()).collect();
    assert_eq!(schemes, ["x", "z"]);
}

#[test]
fn a_file_may_say_what_is_measured_unless_another_does() {
    let text = "sources:\n  - {name: a, meters: [cpu], sinks: [k], interval: 60, resources: [x]}\n  - {name: b, \
                counters: [\"disk.*\"], sinks: [k], discovery: [local_instances]}\nsinks: [{name: k, publishers: [test]}]\n";
    let (pipelines, problems) = parse(text).unwrap();
    assert_eq!(
        problems.to_string(),
        "pipeline.yaml:3:6: warning: source `b`: other sources have an `interval`; this one is measured every 600 \
         seconds, as in Mitaka. Add `interval` to say how often it is measured",
    );
    assert_eq!(
        serde_json::to_value(pipelines.polling().unwrap()).unwrap(),
        json!({"sources": [
            {"name": "a", "interval": 60, "meters": ["cpu"], "resources": ["x"], "discovery": []},
            {"name": "b", "interval": 600, "meters": ["disk.*"], "resources": [], "discovery": ["local_instances"]},
        ]})
    );
    let (_, problems) = Pipelines::parse(text, Path::new("pipeline.yaml"), 0, true).unwrap();
    let keys: Vec<&str> = problems.iter().filter_map(|problem| problem.key.as_deref()).collect();
    assert_eq!(keys, ["sources[0].interval", "sources[0].resources", "sources[1].discovery"]);
    let first = problems.iter().next().unwrap().to_string();
    assert!(first.contains("`interval` has no effect: polling.yaml says what is measured how often."), "{first}");
}

#[test]
fn what_has_no_effect_may_be_wrong() {
    let text = "sources: [{name: a, meters: [cpu], sinks: [k], interval: 60s, resources: x, discovery: 5}]\n\
                sinks: [{name: k, publishers: [test]}]\n";
    let (pipelines, problems) = Pipelines::parse(text, Path::new("pipeline.yaml"), 0, true).unwrap();
    assert!(pipelines.polling().is_none() && problems.iter().count() == 3, "{problems}");
    assert!(said(text).contains("Invalid interval value"));
}

#[test]
fn logins_and_tokens_are_shown_to_nobody() {
    for (url, shown) in [
        ("http://user:hunter2@host/x?timeout=5", "http://***@host/x?timeout=5"),
        ("http://hunter2@host", "http://***@host"),
        ("kafka://a:hunter2@h1,b:hunter2@h2:9092?topic=x", "kafka://***@h1,***@h2:9092?topic=***"),
        ("http://a:hunter2/@?@host", "http://***@host"),
        ("http://host/?token=hunter2&x=y&api-key=hunter2", "http://host/?token=***&x=***&api-key=***"),
        ("https://h/in?sig=hunter2&key=hunter2&timeout=5&hunter2", "https://h/in?sig=***&key=***&timeout=5&***"),
        ("notifier://h?topic=a&rabbit_quorum_queue=1&x=hunter2", "notifier://h?topic=a&rabbit_quorum_queue=1&x=***"),
        ("file:///x?max_bytes=9&backup_count=2&json", "file:///x?max_bytes=9&backup_count=2&json"),
        ("notifier", "notifier://"),
    ] {
        let text = "sources: [{name: a, meters: [cpu], sinks: [k]}]\nsinks: [{name: k, publishers: ['URL', 'URL']}]\n";
        let (pipelines, problems) = parse(&text.replace("URL", url)).unwrap();
        assert!(pipelines.publishers()[0].url().expose().starts_with(url));
        assert_eq!(pipelines.publishers()[0].to_string(), shown);
        let all = format!("{pipelines:?} {problems} {}", serde_json::to_string(&pipelines).unwrap());
        assert!(!all.contains("hunter2"), "{all}");
        assert!(problems.to_string().contains(&format!("`{shown}` is named twice")), "{problems}");
    }
    let long = format!("http://hunter2@h/{}", "x".repeat(4096));
    let said = said(&format!("sources: []\nsinks: [{{name: k, publishers: ['{long}']}}]\n"));
    assert!(said.contains("`sinks[0].publishers[0]` is a URL: too long") && !said.contains("hunter2"), "{said}");
}

#[test]
fn sizes_are_bounded() {
    let many = |number: usize, text: &dyn Fn(usize) -> String| (0..number).map(text).collect::<String>();
    let sink = "sinks: [{name: k, publishers: [test]}]\n";
    for (text, last) in [
        (format!("sources:\n{}{sink}", many(10_001, &|_| "  -\n".into())), "too long. Write at most 10000 entries"),
        (format!("sources: []\nsinks:\n{}", many(1001, &|_| "  -\n".into())), "too long. Write at most 1000 entries"),
        (
            format!("sources: [{{name: a, meters: [cpu], sinks: [{}]}}]\n{sink}", "k,".repeat(10_001)),
            "there are more than 10000 sinks. Name fewer",
        ),
        (
            format!("sources: []\nsinks: [{{name: k, publishers: [{}]}}]\n", many(16, &|n| format!("x{n},"))),
            "too long. Write at most 15 entries",
        ),
        (
            format!("sources: []\nsinks:\n{}", many(16, &|n| format!("  - {{name: s{n}, publishers: [x{n}]}}\n"))),
            "sink `s15` there are more than 15 publishers. Publish to fewer places",
        ),
        (
            format!(
                "sources: []\nsinks: [{{name: k, publishers: [x], transformers: [{}]}}]\n",
                "{name: delta, parameters: ~},".repeat(101)
            ),
            "too long. Write at most 100 entries",
        ),
        (
            format!(
                "x: &x [{}]\nsources: []\nsinks:\n{}",
                "{name: delta, parameters: ~},".repeat(100),
                many(11, &|n| format!("  - {{name: s{n}, publishers: [x], transformers: *x}}\n"))
            ),
            "sink `s10` there are more than 1000 transformers. Transform in fewer sinks",
        ),
        (
            format!(
                "sources:\n{}sinks:\n{}",
                many(101, &|n| format!("  - {{name: s{n}, meters: [cpu], sinks: *k}}\n")).replacen(
                    "*k",
                    &format!("&k [{}]", many(100, &|n| format!("k{n},"))),
                    1
                ),
                many(100, &|n| format!("  - {{name: k{n}, publishers: [x]}}\n"))
            ),
            "source `s100` there are more than 10000 pipelines. Use fewer sources, or fewer sinks in each",
        ),
        (
            format!(
                "x: &x [{}]\nsources:\n{}{sink}",
                "'?',".repeat(100),
                many(101, &|n| format!("  - {{name: s{n}, meters: *x, sinks: [k]}}\n"))
            ),
            "source `s100` there are more than 10000 meters. Write fewer, with * where meters share a beginning, or in \
             fewer sources",
        ),
        (
            format!("sources: [{{name: {}, meters: [cpu], sinks: [k]}}]\n{sink}", "n".repeat(256)),
            "the name is longer than 255 characters. Write a shorter one",
        ),
    ] {
        let said = said(&text);
        let errors: Vec<&str> = said.lines().filter(|line| line.contains(": error: ")).collect();
        assert_eq!(errors.len(), 1, "{said}");
        assert!(errors[0].ends_with(last), "{last}: {}", errors[0]);
    }
}

#[test]
fn a_meter_is_taken_by_those_that_name_it() {
    let text = "sources:\n  - {name: all, meters: ['*'], sinks: [k]}\n  - {name: cpu, meters: [cpu], sinks: [k, j]}\n  \
                - {name: rest, meters: ['!cpu', '!disk.*'], sinks: [j]}\nsinks: [{name: k, publishers: [x]}, {name: j, \
                publishers: [z]}]\n";
    let mut matcher = fine(text).matcher();
    let mut taken = |meter: &str| {
        let takers = matcher.takers(meter);
        assert_eq!(takers, matcher.takers(meter));
        (takers.pipelines.to_vec(), takers.sinks.to_vec())
    };
    assert_eq!(taken("cpu"), (vec![0, 1, 2], vec![0, 1]));
    assert_eq!(taken("disk.read.bytes"), (vec![0], vec![0]));
    assert_eq!(taken("memory"), (vec![0, 3], vec![0, 1]));
    let mut matcher = fine(TODAY.replace('*', "cpu").as_str()).matcher();
    assert_eq!(matcher.takers("cpus"), Arc::default());
    for name in 0..25_000 {
        assert_eq!(matcher.takers(&name.to_string()), Arc::default());
    }
}

#[test]
fn what_transformers_get_twice_is_said_once() {
    let file = |meters: &str, transformers: &str| {
        format!(
            "sources:\n  - {{name: all, meters: ['disk.*'], sinks: [k]}}\n  - {{name: more, meters: [{meters}], sinks: \
             [k]}}\nsinks:\n  - {{name: k, transformers: [{transformers}], publishers: [x]}}\n"
        )
    };
    let delta = "{name: delta, parameters: {}}";
    for (meters, meter) in [("'*'", "disk.allocation"), ("disk.mine, disk.yours", "disk.mine")] {
        assert_eq!(
            said(&file(meters, delta)),
            format!(
                "pipeline.yaml:3:6: warning: sources `all` and `more` both lead {meter} to sink `k`, whose \
                 transformers get each sample twice. Lead it there from one of them, or give the other one a sink of \
                 its own"
            )
        );
        assert_eq!(said(&file(meters, "")), "");
    }
    assert_eq!(said(&file("cpu, 'network.*'", delta)), "");
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = parse(&text);
    }

    #[test]
    fn nothing_like_yaml_panics(
        text in "(sources|sinks|name|meters|publishers|transformers|[\\[\\]{}:,\\-\"'*&!|>%#?~<a0-9. \\n]){0,60}",
    ) {
        for problem in parse(&text).map_or_else(|problems| problems, |(_, problems)| problems).iter() {
            prop_assert!(problem.line.is_some() && problem.file.is_some());
            prop_assert!(!problem.remedy.is_empty());
            prop_assert!(!problem.to_string().contains('\n'));
        }
    }

    #[test]
    fn whatever_a_key_is_every_problem_has_a_place(
        at in 0..3_usize,
        key in "name|meters|sinks|interval|resources|discovery|counters|transformers|publishers|parameters",
        value in "[\\[\\]{}:,\"'*!a-c0-9._+ -]{0,12}",
    ) {
        let entry = |number: usize| if number == at { format!("{key}: {value}") } else { "name: a".to_owned() };
        let text = format!(
            "sources:\n  - {}\n    interval: 5\n    meters: [cpu]\n    sinks: [a]\nsinks:\n  - {}\n    publishers: \
             [a, b]\n    transformers:\n      - {}\n        parameters:\n",
            entry(0), entry(1), entry(2),
        );
        match parse(&text) {
            Ok((pipelines, _)) => {
                prop_assert!(pipelines.iter().count() == pipelines.pipelines.len());
                prop_assert!(pipelines.iter().all(|(_, source, sink)| source.sinks.contains(&sink.name)));
            }
            Err(problems) => {
                prop_assert!(problems.has_errors());
                prop_assert!(problems.iter().all(|problem| problem.line.is_some() && !problem.remedy.is_empty()));
            }
        }
    }
}
