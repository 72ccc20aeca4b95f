use std::fs;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::cases;

const SAMPLE: &str = include_str!("../../../../etc/wasmeter.yaml");
const PIPELINE: &str = include_str!("../../../../etc/pipeline.yaml");

fn parse(text: &str) -> Result<(Config, Problems), Problems> {
    Config::parse(text, Some(Path::new("wasmeter.yaml")))
}

/// All that is said about a file, a problem a line.
fn said(text: &str) -> String {
    let said = parse(text).map_or_else(|problems| problems.to_string(), |(_, problems)| problems.to_string());
    said.replace(&std::env::current_dir().unwrap().display().to_string(), "CWD")
}

/// The sample with its settings in force: those lines that begin with # and no blank.
fn uncommented() -> String {
    let setting = |line: &str| line.replacen('#', "", usize::from(!line.trim_start().starts_with("# ")));
    SAMPLE.lines().map(|line| setting(line) + "\n").collect()
}

#[test]
fn every_problem_is_said_at_once_with_its_line_and_remedy() {
    cases::check(include_str!("tests/problems.txt"), said);
}

#[test]
fn the_sample_says_what_the_defaults_are() {
    let (config, _) = Config::load(None).unwrap();
    let (mut sample, _) = parse(SAMPLE).unwrap();
    // A daemon without a file takes nobody's place.
    assert_eq!((&config.control.socket, &sample.control.socket), (&None, &default_socket()));
    sample.control = Control::default();
    let defaults = config.effective_json();
    assert_eq!(sample.effective_json(), defaults);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wasmeter.yaml");
    fs::write(&path, uncommented()).unwrap();
    fs::write(folder.path().join("polling.yaml"), polling::BUILT_IN).unwrap();
    fs::write(folder.path().join("pipeline.yaml"), PIPELINE).unwrap();
    fs::create_dir(folder.path().join("deployments.d")).unwrap();
    let (config, problems) = Config::load(Some(&path)).unwrap();
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(config.polling_file, Some(folder.path().join("polling.yaml")));
    assert_eq!(config.pipeline_file, Some(folder.path().join("pipeline.yaml")));
    let limits = |name: &str, enabled: bool, file: Option<PathBuf>, config: Value, deadline: &str| {
        json!({
            "name": name, "enabled": enabled, "file": file, "config": config, "fuel_base": 50_000_000,
            "fuel_per_resource": 20_000, "memory": "32MiB", "deadline": deadline,
        })
    };
    let mine = Some(folder.path().join("modules/mine.wasm"));
    let expected = json!({
        "host": "compute-1",
        "hypervisor": "sim://?domains=20&seed=1",
        "polling": {"sources": [
            {"name": "all", "interval": 10, "meters": ["*"], "resources": [], "discovery": []},
        ]},
        "pipeline": {
            "sources": [
                {"name": "all", "meters": ["*"], "sinks": ["everything"]},
                {"name": "cpu", "meters": ["cpu"], "sinks": ["cpu_util"]},
            ],
            "sinks": [
                {"name": "everything", "transformers": [], "publishers": ["notifier://?topic=metering"]},
                {
                    "name": "cpu_util",
                    "transformers": [{"name": "rate_of_change", "parameters": {"target": {
                        "name": "cpu_util", "unit": "%", "type": "gauge",
                        "scale": "100.0 / (10**9 * (resource_metadata.cpu_number or 1))",
                    }}}],
                    "publishers": ["notifier://?topic=metering"],
                },
            ],
            "pipelines": [
                {"name": "all:everything", "source": 0, "sink": 0}, {"name": "cpu:cpu_util", "source": 1, "sink": 1},
            ],
        },
        "schedule": {"offset": "auto", "drain": "5s"},
        "reader": {"watchdog": "auto", "max_stuck": 5},
        "sandbox": {
            "fuel_base": 50_000_000, "fuel_per_resource": 20_000, "memory": "32MiB", "deadline": "1s", "chunk": 1000,
            "cache": "/var/cache/wasmeter",
        },
        "modules": [
            limits("mitaka", true, None, Value::Null, "1s"),
            limits("deep", false, None, Value::Null, "1s"),
            limits("mine", true, mine, json!({"threshold": 3}), "100ms"),
        ],
        "transform": [{
            "meters": ["network.incoming.bytes"], "module": "delta",
            "config": {"target": {"name": "network.incoming.growth"}},
        }],
        "budget": {"node": "25%", "tenant": "10%", "shortest_interval": 1, "meters": false},
        "tenants": {"acme": {
            "projects": ["5d7b60047a9a234138bda7f890cb50bf"], "signatures": "required", "keys": ["acme-release"],
            "deployments": 100, "module_bytes": "256MiB",
            "budget": "15%",
        }},
        "deployments": [],
        "trust": folder.path().join("trust.d"),
        "spool": {"path": "/var/lib/wasmeter/spool", "max_size": "64MiB", "max_age": "168h", "sync": "slot"},
        "store": {
            "path": "/var/lib/wasmeter/deployed", "audit": "/var/lib/wasmeter/audit.log", "deployments": 100,
            "module_bytes": "256MiB",
        },
        "control": {"socket": "/run/wasmeter/control.sock", "group": "adm"},
        "broker": {
            "url": "rabbit://***:***@host:5672//", "exchange": "ceilometer", "topics": ["metering"], "batch_size": 50,
            "secret": "***",
        },
        "outputs": [
            {
                "file": folder.path().join("samples.jsonl"), "max_size": "10MiB", "keep": 5,
                "name": "file:samples.jsonl",
            },
            {"notifier": {
                "name": "notifier", "url": "rabbit://***:***@host:5672//", "exchange": "ceilometer",
                "topics": ["notifications"], "format": "polling", "batch_size": 50, "secret": "***",
            }},
            {"http": {
                "name": "http:host:443", "url": "https://***:***@host:443/***", "timeout": "5s", "verify": true,
                "ca_file": folder.path().join("ca.pem"), "cert_file": folder.path().join("client.pem"),
                "key_file": folder.path().join("client.key"), "headers": {"name": "***"}, "batch_size": 1000,
            }},
            {"opentelemetry": {
                "name": "opentelemetry:host:4318", "url": "http://host:4318/***", "timeout": "10s", "verify": true,
                "ca_file": null, "cert_file": null, "key_file": null, "headers": {}, "protocol": "http",
                "batch_size": 1000,
            }},
            {"udp": {"name": "udp:localhost:4952", "host": "localhost", "port": 4952, "secret": "***"}},
            {"tcp": {"name": "tcp:localhost:4952", "host": "localhost", "port": 4952, "secret": "***"}},
            {"test": "test"},
        ],
        "guests": {
            "report_stopped": false, "remember": "1h", "without_nova": "meter",
            "project": {"element": "{http://example.org/tenancy}tenant/@id", "default": "nobody"},
            "user": {"element": null, "default": "nobody"},
        },
        "metadata": {"reserved_namespaces": ["metering."], "reserved_keys": [], "reserved_length": 256},
        "metrics": {
            "listen": ["127.0.0.1:9101"],
            "tls": {"certificate": folder.path().join("metrics.pem"), "key": folder.path().join("metrics.key")},
            "users": {"prometheus": {"password_file": folder.path().join("metrics.password")}},
        },
        "log": {"format": "text"},
    });
    assert_eq!(config.effective_json(), expected);
    // What the sample calls a default is one: these sections differ in nothing that it does not say.
    for section in ["hypervisor", "polling", "schedule", "reader", "budget", "metadata", "log"] {
        assert_eq!(expected[section], defaults[section]);
    }
    assert_eq!((&defaults["outputs"], &defaults["pipeline"]), (&json!([]), &Value::Null));
    assert_eq!(defaults["metrics"], json!({"listen": [], "tls": null, "users": {}}));
    let nobody = json!({"element": null, "default": null});
    let guests =
        json!({"report_stopped": false, "remember": "1h", "without_nova": "skip", "project": nobody, "user": nobody});
    assert_eq!(defaults["guests"], guests);
}

/// Where Ceilometer's exporter would be, once somebody writes `metrics`.
#[test]
fn metrics_without_addresses_are_for_this_machine() {
    let usual = ["127.0.0.1:9101".parse().unwrap()];
    for (text, addresses) in [
        ("", &[][..]),
        ("metrics: {}", &usual),
        ("metrics:", &usual),
        ("metrics: {listen: }", &usual),
        ("metrics: {users: {a: {password_file: p}}}", &usual),
        ("metrics: {listen: []}", &[]),
        ("metrics: {listen: '[::1]:1'}", &["[::1]:1".parse().unwrap()]),
    ] {
        let (config, _) = parse(text).unwrap();
        let found: Vec<std::net::SocketAddr> = config.metrics.listen.iter().map(|listen| listen.address).collect();
        assert_eq!(found, addresses, "{text}");
    }
}

#[test]
fn outputs_share_no_file_however_it_is_spelt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wasmeter.yaml");
    let whole = folder.path().join("same.jsonl");
    fs::create_dir(folder.path().join("a")).unwrap();
    let files = format!("{{file: ./same.jsonl}}, {{file: {}, name: b}}, {{file: a/../same.jsonl}}", whole.display());
    fs::write(&path, format!("outputs: [{files}]")).unwrap();
    let said = Config::load(Some(&path)).unwrap_err().to_string();
    assert_eq!(said.matches(&format!("{} is the file of two outputs", whole.display())).count(), 2, "{said}");
}

#[test]
fn missing_and_unfit_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wasmeter.yaml");
    let said =
        || Config::load(Some(&path)).unwrap_err().to_string().replace(&folder.path().display().to_string(), "DIR");
    assert_eq!(
        said(),
        "DIR/wasmeter.yaml: error: the file cannot be read: No such file or directory (os error 2). Create it or \
         correct its path"
    );
    fs::write(&path, b"host: a\n\n\xff\n").unwrap();
    assert_eq!(said(), "DIR/wasmeter.yaml: error: the file is not UTF-8 text (line 3). Save it as UTF-8");
    fs::write(&path, "#".repeat(1 << 20) + "\n").unwrap();
    assert_eq!(
        said(),
        "DIR/wasmeter.yaml: error: the file is larger than 1 MiB. Name a configuration file, or shorten this one"
    );
    fs::write(&path, "polling: p.yaml\nhots: a\n").unwrap();
    fs::write(folder.path().join("p.yaml"), "sources:\n  - {name: a, intervall: 5, meters: [cpu]}\n").unwrap();
    assert_eq!(
        said(),
        "DIR/wasmeter.yaml:2:1: error: unknown key `hots`. Did you mean `host`?\n\
         DIR/p.yaml:2:5: error: source `a`: Missing interval value. Add whole seconds, such as `interval: 60`\n\
         DIR/p.yaml:2:15: warning: unknown key `intervall`. Did you mean `interval`?"
    );
}

#[test]
fn modules_inherit_limits_and_are_told_texts() {
    let text = "sandbox: {memory: 8MiB, deadline: 2s}\nmodules:\n  a: {config: as it is, memory: 4MiB}\n  \
                b: {config: {b: [1, 2.5, -1, 18446744073709551615, ~, yes], a: x}}\n  c:\n  \
                d: {config: [], fuel_base: 1}\n";
    let (config, _) = parse(text).unwrap();
    let told: Vec<String> = config.modules.iter().map(|module| module.config.text()).collect();
    assert_eq!(told, ["as it is", r#"{"b":[1,2.5,-1,18446744073709551615,null,true],"a":"x"}"#, "", "[]"]);
    let memory: Vec<String> = config.modules.iter().map(|module| module.limits.memory.to_string()).collect();
    assert_eq!(memory, ["4MiB", "8MiB", "8MiB", "8MiB"]);
    assert!(config.modules.iter().all(|module| module.enabled && module.limits.deadline == Duration::from_secs(2)));
    assert_eq!(config.modules[1].place, Some(Place { line: 4, column: 3 }));
    assert_eq!(config.modules[3].limits.fuel_base, 1);
}

#[test]
fn the_watchdog_follows_the_shortest_interval() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wasmeter.yaml");
    for (reader, interval, milliseconds) in [("auto", 5, 2_500), ("auto", 300, 10_000), ("3s", 300, 3_000)] {
        fs::write(&path, format!("polling: p.yaml\nreader: {{watchdog: {reader}}}\n")).unwrap();
        let sources = format!("sources:\n- {{name: a, interval: {interval}, meters: [a]}}\n");
        fs::write(folder.path().join("p.yaml"), sources + "- {name: b, interval: 999, meters: [a]}\n").unwrap();
        assert_eq!(Config::load(Some(&path)).unwrap().0.watchdog(), Duration::from_millis(milliseconds));
    }
}

#[test]
fn pipelines_say_what_is_measured_where_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let path = folder.path().join("wasmeter.yaml");
    let sinks = "sinks: [{name: k, publishers: [test]}]\n";
    let measured = "sources: [{name: a, interval: 60, meters: [cpu], sinks: [k]}]\n";
    let told = "sources: [{name: a, meters: [cpu], sinks: [k]}]\n";
    write("p.yaml", "sources: [{name: b, interval: 7, meters: [cpu]}]\n");
    for (config, sources, seconds, file, warnings) in [
        ("pipeline: pipeline.yaml\n", measured, 60, Some("pipeline.yaml"), 0),
        ("pipeline: pipeline.yaml\n", told, 10, None, 0),
        ("pipeline: pipeline.yaml\npolling: p.yaml\n", told, 7, Some("p.yaml"), 0),
        ("pipeline: pipeline.yaml\npolling: p.yaml\n", measured, 7, Some("p.yaml"), 1),
        ("polling: p.yaml\n", measured, 7, Some("p.yaml"), 0),
    ] {
        write("wasmeter.yaml", config);
        write("pipeline.yaml", &format!("{sources}{sinks}"));
        let (config, problems) = Config::load(Some(&path)).unwrap();
        assert_eq!(config.polling.shortest_interval(), Some(Duration::from_secs(seconds)));
        assert_eq!(config.polling_file, file.map(|name| folder.path().join(name)));
        assert_eq!(problems.iter().count(), warnings, "{problems}");
    }
}

#[test]
fn problems_stand_in_the_order_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wasmeter.yaml");
    fs::write(&path, "\n\n\npipeline: q.yaml\npolling: p.yaml\nhots: a\n").unwrap();
    fs::write(folder.path().join("q.yaml"), "sources: []\n").unwrap();
    fs::write(folder.path().join("p.yaml"), "\nsources: 1\n").unwrap();
    let said = Config::load(Some(&path)).unwrap_err().to_string().replace(&folder.path().display().to_string(), "DIR");
    assert_eq!(
        said,
        "DIR/wasmeter.yaml:6:1: error: unknown key `hots`. Did you mean `host`?\n\
         DIR/p.yaml:2:10: error: `sources` is `1`: not a list. Write `- ` before each entry, or [entry, entry]\n\
         DIR/q.yaml:1:1: error: Both sources & sinks are required. Write `sinks:` and below it `- name: ...`",
    );
}

#[test]
fn patterns_are_counted_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wasmeter.yaml");
    let polling = format!("sources:\n  - {{name: a, interval: 1, meters: [{}]}}\n", "a,".repeat(5_000));
    fs::write(folder.path().join("p.yaml"), polling).unwrap();
    let transform = |of: &str, count: usize| format!("  - {{module: {of}, meters: [{}]}}\n", "a,".repeat(count));
    let remedy = "Write fewer, with * where meters share a beginning, or in fewer sources";
    for (transforms, said) in [
        (transform("m", 5_000), String::new()),
        (
            transform("m", 5_001),
            format!("p.yaml:2:6: error: with source `a` there are more than 10000 meters. {remedy}"),
        ),
        (
            transform("m", 5_001) + &transform("n", 5_000),
            format!("wasmeter.yaml:4:5: error: with `transform[1]` there are more than 10000 meters. {remedy}"),
        ),
    ] {
        fs::write(&path, format!("polling: p.yaml\ntransform:\n{transforms}")).unwrap();
        let problems = Config::load(Some(&path)).map_or_else(|problems| problems, |(_, problems)| problems);
        let problems = problems.to_string();
        let first = problems.lines().next().unwrap_or_default();
        assert_eq!(first.rsplit_once('/').map_or("", |(_, line)| line), said);
    }
}

#[test]
fn secrets_are_shown_nowhere() {
    let text = "hypervisor: qemu+tcp://me:hunter2@host/system\nmodules: {m: {config: {db: {Password: hunter2}}}}\n\
                transform: [{meters: [a], module: m, config: {api_token: [hunter2]}}]\n\
                metrics: {listen: '[::1]:9101', users: {me: {password: hunter2}}}\n";
    let (config, problems) = parse(text).unwrap();
    let shown = format!("{config:?}{:?}{}", config.effective_json(), problems);
    assert!(!shown.contains("hunter2") && shown.contains("***"));
    assert_eq!(config.modules[0].config.text(), r#"{"db":{"Password":"hunter2"}}"#);
    for text in [
        "password: \"hunter2 \\q\"\n",
        "password: 'a'hunter2\n",
        "password: !hunter2\n",
        "password: !hunter2!x y\n",
        "password: !<hunter2> x\n",
        "password: *hunter2\n",
        "password: !!int hunter2\n",
        "password: !!binary hunter2!\n",
        "password: hunter2: x\n",
        "password: {hunter2\n",
        "password: |hunter2\n",
        "password: |\n  hunter2\n x\n",
        "<<: hunter2\n",
        "? {a: hunter2}\n: x\n",
        "modules: {password: hunter2, m: {secret: hunter2}}\n",
        "log: {my_token: hunter2}\n",
        "metrics: {users: {me: hunter2}}\n",
        "metrics: {users: {me: [hunter2]}}\n",
        "metrics: {users: {me: {password: \"hunter2\\n\"}}}\n",
        "metrics: {users: {me: {password: {hunter2: hunter2}}}}\n",
    ] {
        let said = said(text);
        assert!(said.contains("error") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn problems_are_json_too() {
    let problems = serde_json::to_value(parse("log: {format: xml}\n").unwrap_err()).unwrap();
    let problem = json!({
        "severity": "error", "file": "wasmeter.yaml", "line": 1, "column": 15, "key": "log.format",
        "message": "`log.format` is `xml`: not a format", "remedy": "Write text or json",
    });
    assert_eq!(problems, json!([problem]));
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = parse(&text);
    }

    #[test]
    fn no_value_panics(
        key in "host|hypervisor|schedule|reader|sandbox|modules|transform|broker|outputs|guests|metadata|metrics|log",
        inner in "listen|tls|users|offset|drain|memory|deadline|chunk|file|config|meters|keep|report_stopped|format|reserved_keys",
        value in "[\\[\\]{}:,\"'*!a0-9.KMiBs_+ -]{0,12}",
    ) {
        for text in [
            format!("{key}: {value}\n"),
            format!("{key}: {{{inner}: {value}}}\n"),
            format!("{key}:\n  - {inner}: {value}\n"),
            format!("{key}:\n  a:\n    {inner}: {value}\n"),
        ] {
            match parse(&text) {
                Ok((config, problems)) => {
                    prop_assert!(config.effective_json().is_object());
                    prop_assert!(!problems.has_errors());
                }
                Err(problems) => {
                    prop_assert!(problems.has_errors());
                    for problem in &problems {
                        prop_assert!(problem.line.is_some());
                        prop_assert!(!problem.to_string().contains('\n'));
                    }
                }
            }
        }
    }
}

#[test]
fn a_notifier_whose_readers_read_something_else_is_named() {
    let said = |more: &str| {
        let text = format!("outputs: [{{notifier: {{url: 'rabbit://h/', {more}}}}}]");
        parse(&text).unwrap().1.to_string()
    };
    let told = said("format: metering, topics: [mine, notifications]");
    let words = "warning: `outputs[0].notifier`: `notifications` is what Ceilometer's notification agent reads, and it";
    assert!(told.contains(words), "{told}");
    for fine in ["format: metering", "topics: [notifications]", "format: polling, topics: [mine]"] {
        assert!(!said(fine).contains("reads"), "{}", said(fine));
    }
}

/// What is secret may stand here, or in a file that others cannot read.
#[test]
fn a_notifiers_secrets_stand_here_or_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    fs::write(&path, "rabbit://a:hidden@there:1234/\n").unwrap();
    for url in ["url: 'rabbit://a:hidden@there:1234/'".to_owned(), format!("url_file: {}", path.display())] {
        let (config, problems) = parse(&format!("outputs: [{{notifier: {{{url}, secret: also-hidden}}}}]")).unwrap();
        assert!(problems.is_empty(), "{problems}");
        let [Output::Notifier { notifier }] = &config.outputs[..] else { panic!("{:?}", config.outputs) };
        assert_eq!(
            (&*notifier.broker.url.hosts[0].name, notifier.broker.url.hosts[0].password.expose()),
            ("there", "hidden")
        );
        assert_eq!(notifier.broker.secret.expose(), "also-hidden");
        let shown = config.effective_json().to_string();
        assert!(shown.contains("there:1234") && !shown.contains("hidden"), "{shown}");
    }
}
