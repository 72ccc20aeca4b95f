//! What is said about `pipeline.yaml` before anything runs.

use std::collections::HashSet;

use rustix::process::Signal;

use crate::support::program::{Folder, Ran, mitaka_to, text, until};

const SIM: &str = "sim://?domains=1&calm=true";

/// A folder with this `pipeline.yaml`; all is measured every second.
fn folder(config: &str, pipeline: &str) -> Folder {
    let folder = Folder::measuring(SIM, &format!("pipeline: pipeline.yaml\n{config}"));
    folder.write("pipeline.yaml", pipeline);
    folder
}

const CPU: &str = "sources:
  - {name: all, meters: ['*'], sinks: [everything]}
  - {name: cpu, meters: [cpu], sinks: [cpu_util, everything]}
sinks:
  - {name: everything, publishers: ['http://me:hunter2@host/samples']}
  - name: cpu_util
    transformers: [{name: rate_of_change, parameters: {target: {name: cpu_util, type: gauge}}}]
    publishers: [test, 'http://me:hunter2@host/samples']
";

#[test]
fn pipelines_are_checked_and_shown() {
    let folder = folder("", CPU);
    let ran = folder.run("check").is(0).says("\nready to run\n");
    let ran = ran.says("modules     cpu disk flavor memory network perf power cpu_util:rate_of_change\n");
    let ran = ran.says("pipeline    all:everything: * -> http://***@host/samples\n");
    let ran = ran.says("pipeline    cpu:cpu_util: cpu -> rate_of_change -> test://, http://***@host/samples\n");
    let report = folder.run("check --json").is(0).json();
    assert_eq!(
        report["pipelines"][1],
        serde_json::json!({
            "name": "cpu:cpu_util", "source": "cpu", "meters": ["cpu"], "sink": "cpu_util",
            "transformers": ["rate_of_change"], "publishers": ["test://", "http://***@host/samples"],
        })
    );
    assert_eq!(report["config"]["pipeline"]["pipelines"].as_array().map(Vec::len), Some(3));
    let graph = folder.run("pipeline graph").is(0);
    assert_eq!(
        graph.stdout,
        "all: *\n  -> everything -> http://***@host/samples\ncpu: cpu\n  -> cpu_util -> rate_of_change -> test://, \
         http://***@host/samples\n  -> everything -> http://***@host/samples\n"
    );
    let dot = folder.run("pipeline graph --format dot").is(0).says("digraph pipelines {\n");
    let json = folder.run("pipeline graph --format json").is(0);
    assert_eq!(json.json()["nodes"].as_array().map(Vec::len), Some(7));
    for shown in [&ran.stdout, &graph.stdout, &dot.stdout, &json.stdout, &report.to_string()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn problems_of_pipelines_are_named() {
    for (config, pipeline, words) in [
        ("", "sources: []\n", "pipeline.yaml:1:1: error: Both sources & sinks are required."),
        (
            "",
            &CPU.replace("rate_of_change", "mine"),
            "pipeline.yaml:7:21: error: sink `cpu_util`: No transformer named mine loaded. Name one of accumulator,",
        ),
        (
            "modules: {mine: {}}",
            &CPU.replace("rate_of_change", "mine"),
            "pipeline.yaml:7:21: error: sink `cpu_util`: No transformer named mine loaded.",
        ),
        (
            "",
            &CPU.replace("rate_of_change", "rate_of_chnage"),
            "No transformer named rate_of_chnage loaded. Did you mean `rate_of_change`? Name one of",
        ),
        ("", &CPU.replace("sinks: [cpu_util,", "sinks: [cpu,"), "Dangling sink cpu from source cpu."),
        (
            "",
            &CPU.replace("meters: [cpu]", "meters: [network.*.bytes]")
                .replace(
                    "{name: rate_of_change,",
                    "{name: relabel, parameters: {rules: [{rename: RENAME}]}}, {name: delta,",
                )
                .replace("RENAME", "{from: 'incoming.|outgoing.', to: ''}"),
            "pipeline.yaml:7:21: error: the transformer relabel of the sink cpu_util: network.incoming.bytes and \
             network.outgoing.bytes would both come out as network.bytes, and nobody could tell their samples apart; \
             give them other names",
        ),
    ] {
        folder(config, pipeline).run("check").is(64).says(words).says("not ready to run");
    }
    let misspelt = CPU.replace("meters: [cpu]", "meters: [cpuu]");
    let words =
        "pipeline.yaml:3:6: warning: source `cpu` matches no meter that anything gives. Did you mean `cpu`? See";
    folder("", &misspelt).run("check").is(0).says(words).says("ready to run, with warnings");
    let measured = CPU.replace("{name: all,", "{name: all, interval: 60,");
    let words =
        "pipeline.yaml:2:6: warning: source `all`: `interval` has no effect: polling.yaml says what is measured";
    folder("", &measured).run("check").is(0).says(words).says("ready to run, with warnings");
}

/// Whatever is wrong with one of a chain, those behind it are asked, too.
#[test]
fn all_that_is_wrong_in_a_chain_is_said_at_once() {
    let chain = "[{name: rate_of_change, parameters: {target: {name: cpu_util}}},
       {name: threshold, parameters: {above: x}}, {name: nothing, parameters: {}}, {name: acme/x y, parameters: {}},
       {name: threshold, parameters: {below: x}}, {name: delta, parameters: {target: 5}}]";
    let pipeline = CPU.replace("[{name: rate_of_change, parameters: {target: {name: cpu_util, type: gauge}}}]", chain);
    let ran = folder("", &pipeline).run("check").is(64);
    for words in [
        "pipeline.yaml:8:39: error: the transformer threshold of the sink cpu_util: above is \"x\"",
        "pipeline.yaml:8:52: error: sink `cpu_util`: No transformer named nothing loaded.",
        "pipeline.yaml:8:85: error: sink `cpu_util`: \"x y\" is no name for a deployment",
        "pipeline.yaml:9:39: error: the transformer threshold of the sink cpu_util: below is \"x\"",
        "pipeline.yaml:9:78: error: the transformer delta of the sink cpu_util: target is 5",
    ] {
        assert!(ran.stdout.contains(words), "{words}\n{}", ran.stdout);
    }
    assert_eq!(ran.stdout.matches("error: ").count(), 5, "{}", ran.stdout);
}

/// All that a transformer refuses, each where it stands; what it does not know has no effect, as in Ceilometer.
#[test]
fn all_that_is_wrong_with_parameters_is_said_at_once() {
    let parameters = "
        source: {map_from: {name: '('}}
        target:
          name: []
          scale: volume +
          map_to: {name: x}
          typo: 1
        odd: 2";
    let told = |parameters: &str| {
        folder(
            "",
            &CPU.replace("{target: {name: cpu_util, type: gauge}}}]", "null}]").replace(
                "    transformers: [{name: rate_of_change, parameters: null}]\n",
                &format!("    transformers:\n      - name: rate_of_change\n        parameters: {parameters}\n"),
            ),
        )
        .run("check")
    };
    let indented = parameters.replace('\n', "\n  ");
    let ran = told(&indented).is(64);
    let who = "the transformer rate_of_change of the sink cpu_util: ";
    for words in [
        format!("pipeline.yaml:10:31: error: {who}source.map_from.name: "),
        format!("pipeline.yaml:12:13: error: {who}target.name is a list; write a text"),
        format!("pipeline.yaml:13:13: error: {who}target.scale: "),
        format!("pipeline.yaml:15:13: warning: {who}there is no key target.typo; there are "),
        format!("pipeline.yaml:16:11: warning: {who}there is no key odd; there are source, target."),
    ] {
        assert!(ran.stdout.contains(&words), "{words}\n{}", ran.stdout);
    }
    // What is left of a rule without what was refused is not refused once more, and others are named as they stand there.
    let rules = "{rules: [{keep: {name: 5}}, {set: {a: 1}}, {drop: {volume: 3}}, {drop: {}}, {rename: {from: a}}]}";
    let relabelling =
        CPU.replace("{name: rate_of_change, parameters: {target: {name: cpu_util, type: gauge}}}", "RULES");
    let relabelling = relabelling.replace("RULES", &format!("{{name: relabel, parameters: {rules}}}"));
    let ran = folder("", &relabelling).run("check").is(64).says("rules[0].keep.name is 5; write a pattern");
    let ran =
        ran.says("rules[2].drop.volume: conditions are about texts").says("rules[3].drop is empty; write conditions");
    let ran = ran.says("rules[4].rename.to is missing; write what replaces what rules[4].rename.from matches");
    assert_eq!(ran.stdout.matches("error: ").count(), 4, "{}", ran.stdout);
    assert!(ran.stdout.contains("Give it the parameters that docs/transformers.md asks for"), "{}", ran.stdout);
    // It goes without what it does not know.
    told("{target: {name: cpu_util, typo: 1}}").is(0).says("It has no effect: remove it").says("with warnings");
}

#[test]
fn who_reads_what_a_publisher_sends_is_said() {
    let to = |publisher: &str| {
        let config = "broker: {url: 'rabbit://me:pass@127.0.0.1:1/'}";
        folder(config, &CPU.replace("test, 'http", &format!("'{publisher}', 'http"))).run("check")
    };
    const NOBODY: &str = "which Ceilometer's collector read: nothing of today's Ceilometer does.";
    let named = to("notifier://?topic=metering").is(0);
    assert!(!named.stdout.contains(NOBODY), "{}", named.stdout);
    to("notifier://").is(0).says(NOBODY);
    to("notifier://?topic=notifications")
        .is(0)
        .says("`notifications` is what Ceilometer's notification agent reads, and");
    to("gnocchi://").is(0).says("Have Ceilometer's notification agent store samples: add a `notifier` to `outputs`");
    let wrong = CPU.replace("publishers: ['http://me:hunter2@host/samples']", "publishers: [notifire]");
    let ran = folder("", &wrong).run("check").is(64).says("there is no publisher `notifire`");
    assert!(!ran.stdout.contains("Name another publisher"), "{}", ran.stdout);
}

const BROKER: &str = "url: 'rabbit://me:pass@127.0.0.1:1/', topics: [metering], options: {amqp_durable_queues: true}";

/// What is said of Mitaka's pipelines with publishers that name no broker.
fn mitaka(config: &str) -> Ran {
    let modules = "modules: {mitaka: {enabled: true}}";
    let folder = Folder::new(&format!("hypervisor: {SIM}\npipeline: pipeline.yaml\n{modules}\n{config}"));
    folder.write("pipeline.yaml", mitaka_to("notifier://"));
    folder.run("check")
}

#[test]
fn mitakas_publishers_have_a_broker_that_gets_nothing_else() {
    mitaka(&format!("broker: {{{BROKER}}}")).is(0).says("\nready to run\n");
    let missing = mitaka("").is(64);
    let words = "pipeline.yaml:33:20: error: the publisher notifier:// names no broker. Name it in wasmeter.yaml, such \
                 as `broker: {url: rabbit://user:password@host:5672/}`, or write";
    assert_eq!(missing.stdout.matches("pipeline.yaml:").count(), 1, "{}", missing.stdout);
    missing.says(words);
    let output = format!("- notifier: {{format: metering, {BROKER}}}");
    let words = "pipeline.yaml:33:20: warning: sink `meter_sink` leads samples to the queue metering.sample, to which the \
                 output `notifier` leads all samples: they are there twice. Move what it says from `outputs` to";
    let twice = mitaka(&format!("broker: {{{BROKER}}}\noutputs:\n{output}")).is(0).says(words);
    assert_eq!(twice.stdout.matches("twice").count(), 1, "what is made of samples is another one: {}", twice.stdout);
    for other in [output.replace(":1/", ":2/"), output.replace(":1/", ":1/v"), output.replace("[metering]", "[mine]")] {
        mitaka(&format!("broker: {{{BROKER}}}\noutputs:\n{other}")).is(0).says("\nready to run\n");
    }
}

#[test]
fn a_broker_that_nobody_sends_to_is_told() {
    let words =
        "warning: `broker` has no effect: no publisher of a `pipeline` is notifier://, udp:// or tcp://. Remove";
    let config = format!("broker: {{{BROKER}}}");
    folder(&config, CPU).run("check").is(0).says("wasmeter.yaml:4:1: ").says(words);
    Folder::measuring(SIM, &config).run("check").is(0).says("wasmeter.yaml:3:1: ").says(words);
    let used = folder(&config, &CPU.replace("test,", "'udp://127.0.0.1:1',")).run("check").is(0);
    assert!(!used.stdout.contains("has no effect"), "{}", used.stdout);
    // What is wrong with it is said, and not that there is none.
    let wrong = folder("broker: {uri: 'rabbit://h/'}", &CPU.replace("test,", "'notifier://',")).run("check").is(64);
    let wrong = wrong.says("wasmeter.yaml:4:10: error: unknown key `uri`. Did you mean `url`?");
    assert!(!wrong.stdout.contains("names no broker"), "{}", wrong.stdout);
}

#[test]
fn whoever_is_not_verified_is_told_once_in_the_words_of_the_url() {
    let url = "'https://127.0.0.1:1/in?verify_ssl=False'";
    let ran = folder("", &CPU.replace("test,", &format!("{url},"))).run("check").is(0);
    assert_eq!(ran.stdout.matches("can read and change samples").count(), 1, "{}", ran.stdout);
    ran.says("warning: `verify_ssl` is off, and whoever is in between can read and change samples. Name the authority");
}

/// A broker tells who somebody is, and receivers of datagrams have nothing but the signature.
#[test]
fn whoever_signs_as_everybody_can_is_told_once() {
    let words = "samples are signed with Ceilometer's default secret, which everybody knows. Have the receiver";
    let publishers = CPU.replace("test,", "'udp://127.0.0.1:1',");
    let tcp = "outputs: [{tcp: {host: 127.0.0.1, port: 1}}]";
    let known = folder(tcp, &publishers);
    let ran = known.run("check").is(0);
    assert_eq!(ran.stdout.matches(words).count(), 2, "{}", ran.stdout);
    let ran = ran.says("wasmeter.yaml:4:").says("pipeline.yaml:8:").says(" as `secret_file`");
    ran.says(" as `broker.secret_file` in wasmeter.yaml");
    let log = known.start("run").end();
    assert_eq!(log.matches(words).count(), 2, "{log}");

    let tcp = tcp.replace("port: 1", "port: 1, secret: ours");
    let ran = folder(&format!("{tcp}\nbroker: {{{BROKER}, secret: ours}}"), &publishers).run("check").is(0);
    assert!(!ran.stdout.contains(words), "{}", ran.stdout);
}

/// Also if it stands before them, and differs from one in its options alone.
#[test]
fn another_publisher_costs_none_what_waits_for_it() {
    let to = |publishers: &str| {
        let sources = "sources: [{name: cpu, meters: [cpu], sinks: [all]}]";
        format!("{sources}\nsinks: [{{name: all, publishers: [{publishers}]}}]\n")
    };
    let folder = folder("", &to("'http://me:hunter2@127.0.0.1:1/in?x=1'"));
    let books = || {
        let ran = folder.run("status --json");
        let status = (ran.code == Some(0)).then(|| ran.json());
        let books = status.and_then(|status| status["publishers"].as_array().cloned()).unwrap_or_default();
        books.into_iter().filter(|book| book["name"].as_str().unwrap().contains("http://")).collect::<Vec<_>>()
    };
    let daemon = folder.start("run");
    let before = until("samples that wait", || books().into_iter().find(|book| book["spooled"].as_u64() > Some(0)));
    folder.write("pipeline.yaml", to("'http://127.0.0.1:1/in?x=2', 'http://me:hunter2@127.0.0.1:1/in?x=1'"));
    daemon.signal(Signal::HUP);
    let after = until("another publisher", || Some(books()).filter(|books| books.len() == 2));
    let same = after.iter().find(|book| book["name"] == before["name"]).unwrap_or_else(|| panic!("{after:?}"));
    assert_eq!((same["position"].as_u64(), same["lost"].as_u64()), (before["position"].as_u64(), Some(0)));
    assert!(same["spooled"].as_u64() >= before["spooled"].as_u64(), "{before} {same}");
    // Whose books these are, people see by the URLs.
    let shows_urls = |command: &str| {
        let said = folder.run(command).is(0).stdout;
        for url in ["http://127.0.0.1:1/in?x=***", "http://***@127.0.0.1:1/in?x=***"] {
            assert!(said.contains(&format!(" {url}\n")) && !said.contains("hunter2"), "{said}");
        }
    };
    for command in ["status", "losses", "spool status"] {
        shows_urls(command);
    }
    let log = daemon.end();
    assert!(!log.contains("is not served any more"), "{log}");
    shows_urls("spool status");
}

/// Whoever changes how samples are delivered often does so because many wait.
#[test]
fn another_way_of_delivery_costs_a_publisher_nothing_that_waits_for_it() {
    let to = |options: &str| {
        let sources = "sources: [{name: cpu, meters: [cpu], sinks: [all]}]";
        format!("{sources}\nsinks: [{{name: all, publishers: ['file://FOLDER/later/cpu?{options}']}}]\n")
    };
    // There is more in the spool than this publisher is to get.
    let folder = folder("outputs: [{test: true}]\nschedule: {drain: 60s}", "");
    folder.pipe_samples(&to("json"));
    let name = format!("pipeline:file://{}", folder.path("later/cpu").display());
    let books = || {
        let ran = folder.run("spool status --json");
        let status = (ran.code == Some(0)).then(|| ran.json());
        let books = status.and_then(|status| status["publishers"].as_array().cloned()).unwrap_or_default();
        books.into_iter().find(|book| book["name"] == *name)
    };
    let daemon = folder.start("run");
    until("samples that wait", || books().filter(|book| book["spooled"].as_u64() > Some(1)));
    daemon.kill();
    let waiting = books().unwrap()["spooled"].clone();
    let daemon = folder.start("run");
    daemon.logs(&format!("that are still to be delivered. output=\"{name}\" samples={waiting}\n"));

    folder.pipe_samples(&to("json&max_bytes=1500&backup_count=1000"));
    daemon.signal(Signal::HUP);
    daemon.logs("The configuration was read again and is in force.");
    std::fs::create_dir(folder.path("later")).unwrap();
    // It puts files aside, as it is told now.
    until("a file that was put aside", || folder.path("later/cpu.1").exists().then_some(()));
    let log = daemon.end();
    assert!(!log.contains("is not served any more"), "{log}");
    let files = std::fs::read_dir(folder.path("later")).unwrap().map(|file| file.unwrap().file_name());
    let samples = files.flat_map(|file| folder.samples(&format!("later/{}", file.to_str().unwrap())));
    let ids: HashSet<String> = samples.map(|sample| text(&sample, "message_id").to_owned()).collect();
    let books = books().unwrap();
    let all = Some(ids.len() as u64);
    assert_eq!((books["measured"].as_u64(), books["delivered"].as_u64(), books["lost"].as_u64()), (all, all, Some(0)));
    assert!(all > waiting.as_u64(), "{books}");
}

/// As a file of Mitaka's does.
#[test]
fn pipelines_may_say_what_is_measured() {
    let folder = Folder::new(&format!("hypervisor: {SIM}\npipeline: pipeline.yaml\n"));
    folder
        .write("pipeline.yaml", CPU.replace("{name: all, meters: ['*']", "{name: all, interval: 5, meters: ['!cpu']"));
    let words =
        "pipeline.yaml:3:6: warning: source `cpu`: other sources have an `interval`; this one is measured every";
    folder.run("check").is(0).says(words);
    let report = folder.run("check --json").is(0).json();
    let sources = report["config"]["polling"]["sources"].as_array().unwrap();
    let intervals: Vec<_> = sources.iter().map(|source| (&source["name"], &source["interval"])).collect();
    assert_eq!(serde_json::json!(intervals), serde_json::json!([["all", 5], ["cpu", 600]]));
    let ran = folder.run("explain cpu instance-00000001");
    assert!(ran.stdout.contains("sources  cpu, every 600 s, pipeline.yaml:3"), "{}{}", ran.stdout, ran.stderr);
}

/// The guest of [`SIM`].
const GUEST: &str = "2ed8d4a5-c3eb-4c66-a727-c4f1a70e2409";
const OTHER: &str = "965606bb-f8a5-46f9-a677-8d5d39272c4b";

const CASE: &str = "pipeline: ../pipeline.yaml
host: sim://?domains=1&calm=true
in:
  - {slot: 1, meter: cpu, type: cumulative, unit: ns, resource: GUEST, volume: 0}
  - {slot: 2, meter: cpu, type: cumulative, unit: ns, resource: GUEST, volume: 5000000000}
  - {slot: 2, meter: memory, type: gauge, unit: MB, resource: GUEST, volume: 512}
out:
  cpu_util:
    - {slot: 2, meter: cpu_util, type: gauge, unit: '%', resource: GUEST, volume: 50.0}
  everything:
    - {slot: 1, meter: cpu, resource: GUEST, volume: 0}
    - {slot: 2, meter: cpu, resource: GUEST}
    - {slot: 2, meter: memory, resource: GUEST, volume: 512}
";

const RATE: &str = "sources:
  - {name: all, meters: ['*'], sinks: [everything]}
  - {name: cpu, meters: [cpu], sinks: [cpu_util, everything]}
sinks:
  - {name: everything, publishers: [test]}
  - name: cpu_util
    transformers:
      - {name: rate_of_change, parameters: {target: {name: cpu_util, unit: '%', type: gauge, scale: 100.0 / 10**9}}}
    publishers: ['http://me:hunter2@host/samples']
";

/// A folder with [`RATE`] and this case.
fn case(case: &str) -> Folder {
    let folder = Folder::new("");
    folder.write("pipeline.yaml", RATE);
    std::fs::create_dir(folder.path("cases")).unwrap();
    folder.write("cases/case.yaml", case.replace("GUEST", GUEST));
    folder
}

#[test]
fn pipelines_are_tested() {
    let folder = case(CASE);
    let ran = folder.run("pipeline test cases/case.yaml").is(0);
    assert_eq!(ran.stdout, "ok       cases/case.yaml: 2 slots, 4 samples of 2 sinks\n1 case, all good\n");
    let report = folder.run("pipeline test cases/case.yaml --json").is(0).json();
    let sinks = serde_json::json!([
        {"sink": "cpu_util", "samples": 1, "differences": []},
        {"sink": "everything", "samples": 3, "differences": []},
    ]);
    assert_eq!((&report["cases"][0]["sinks"], &report["good"], &report["bad"]), (&sinks, &1.into(), &0.into()));
    // The configured pipelines, for a case that names none, and several at once.
    folder.configure("pipeline: pipeline.yaml\n");
    folder.write("other.yaml", CASE.replace("pipeline: ../pipeline.yaml\n", "").replace("GUEST", GUEST));
    folder.run("pipeline test cases/case.yaml other.yaml").is(0).says("2 cases, all good");
    // What goes nowhere is said.
    folder.write("pipeline.yaml", RATE.replace("['*']", "[cpu]"));
    let words = "case.yaml:6:5: warning: no source of the pipelines takes `memory`.";
    folder.run("pipeline test cases/case.yaml").is(1).complains(words);
}

/// Mitaka's scale, a guest with four processors, a sample that comes late, one that comes twice, and a gap.
#[test]
fn samples_have_notes_and_times() {
    let sample = "meter: cpu, type: cumulative, unit: ns, resource: GUEST";
    let four = "notes: {cpu_number: 4}";
    let text = format!(
        "pipeline: ../pipeline.yaml\nin:
  - {{slot: 1, {sample}, volume: 0, {four}}}
  - {{slot: 2, {sample}, volume: 40000000000, {four}}}
  - {{slot: 3, at: 5, {sample}, volume: 1, {four}}}
  - {{slot: 3, at: 10, {sample}, volume: 40000000000, {four}}}
  - {{slot: 4, at: 27.5, {sample}, volume: 75000000000, {four}}}
out:
  cpu_util:
    - {{slot: 2, meter: cpu_util, resource: GUEST, volume: 100.0, {four}}}
    - {{slot: 3, meter: cpu_util, resource: GUEST, volume: 0.0}}
    - {{slot: 4, meter: cpu_util, resource: GUEST, volume: 50.0}}
"
    );
    let run = |text: &str| {
        let folder = case(text);
        let scale = "100.0 / (10**9 * (resource_metadata.cpu_number or 1))";
        folder.write("pipeline.yaml", RATE.replace("100.0 / 10**9", scale));
        folder.run("pipeline test cases/case.yaml")
    };
    run(&text).is(0).says("4 slots, 3 samples of 1 sink\n");
    run(&text.replace("27.5", "30.5")).is(64).complains("Write an earlier `at`, or a later `slot`");
    let twice = text.replace("slot: 2, meter: cpu, ", "slot: 1, meter: cpu, ");
    run(&twice).is(64).complains(&format!("cpu comes twice of {GUEST}. Take one out, or say `at`"));
    run(&text.replacen("cpu_number: 4}", "cpu_number: much}", 2)).is(70).says("failed for 1");
}

#[test]
fn what_comes_out_of_a_sink_otherwise_is_shown() {
    let folder =
        case(&CASE.replace("volume: 50.0", "volume: 51.0").replace("    - {slot: 1, meter: cpu,", "    - {meter: x,"));
    let ran = folder.run("pipeline test cases/case.yaml").is(1);
    ran.says(
        "differs  cases/case.yaml: 2 slots, 4 samples of 2 sinks\n  cpu_util:\n  ~ slot 2  cpu_util  build worker-0  ",
    )
    .says("      volume: expected 51.0, and 50.0 came\n  everything:\n  + {")
    .says("  - {")
    .says("1 case, 1 of them bad\n");
    let report = folder.run("pipeline test cases/case.yaml --json").is(1).json();
    let differences = &report["cases"][0]["sinks"][0]["differences"];
    assert_eq!(differences[0]["expected"], serde_json::json!({"volume": 51.0}));
}

#[test]
fn what_pollsters_measure_is_handed_to_pipelines() {
    let expected = "meters: [cpu]\nslots: 3\nout:\n  cpu_util:\n    - {slot: 2, meter: cpu_util, resource: GUEST}\n    \
                    - {slot: 3, meter: cpu_util, resource: GUEST}\n";
    let folder = case(&format!("pipeline: ../pipeline.yaml\nhost: {SIM}\n{expected}"));
    folder.run("pipeline test cases/case.yaml").is(0).says("ok       cases/case.yaml: 3 slots, 2 samples of 1 sink\n");
    // The same of a recording, which has slots of its own.
    folder.run(&format!("record cases/host.jsonl --hypervisor {SIM}")).is(0);
    let recorded = "pipeline: ../pipeline.yaml\nhost: recording:host.jsonl\nmeters: [cpu]\nout: {cpu_util: []}\n";
    folder.write("cases/recorded.yaml", recorded);
    folder.run("pipeline test cases/recorded.yaml").is(0).says(" slot, 0 samples of 1 sink\n");
}

/// A sink for all meters has as many as a node gives.
#[test]
fn a_chain_is_for_hundreds_of_meters() {
    let mut text = "pipeline: ../pipeline.yaml\nhost: sim://?domains=1&calm=true\nin:\n".to_owned();
    let mut expected = "out:\n  rates:\n".to_owned();
    for meter in 0..800 {
        for slot in 1..=2 {
            let sample = format!("slot: {slot}, meter: m{meter}, type: cumulative, unit: B, resource: GUEST");
            text += &format!("  - {{{sample}, volume: {}}}\n", 10 * slot);
        }
        expected += &format!("    - {{slot: 2, meter: m{meter}.rate, resource: GUEST, volume: 1.0}}\n");
    }
    let folder = case(&(text + &expected));
    let parameters = "{source: {map_from: {name: '(.*)'}}, target: {map_to: {name: '\\1.rate'}}}";
    folder.write(
        "pipeline.yaml",
        format!(
            "sources: [{{name: all, meters: ['*'], sinks: [rates]}}]\nsinks:\n- name: rates\n  transformers: \
             [{{name: rate_of_change, parameters: {parameters}}}]\n  publishers: [test]\n"
        ),
    );
    folder.write("wasmeter.yaml", "modules: {rate_of_change: {fuel_base: 1000000000}}\n");
    folder.run("pipeline test cases/case.yaml").is(0);
}

#[test]
fn cases_that_cannot_be_run_say_why() {
    for (text, code, words) in [
        (
            "in: []\nout: {cpu_util: []}\n".to_owned(),
            64,
            "cases/case.yaml: it is about no pipelines. Write `pipeline: ",
        ),
        (
            CASE.replace("  everything:", "  nothing:"),
            64,
            "error: there is no sink `nothing`. Write one of the pipelines'",
        ),
        (
            CASE.replacen("resource: GUEST", "resource: me", 1),
            64,
            "cases/case.yaml:4:5: error: the host has no resource me",
        ),
        (CASE.replace("../pipeline.yaml", "missing.yaml"), 64, "missing.yaml: error: the file cannot be read"),
        (
            format!("{CASE}slots: 1\n"),
            64,
            "cases/case.yaml:5:12: error: `in[1].slot` is `2`: beyond `slots: 1`. Write `slots: 2`, or remove `slots`",
        ),
        (CASE.replace("out:", "outs:"), 64, "unknown key `outs`. Did you mean `out`?"),
        (CASE.replace("sim://", "recording:none#"), 69, "none#"),
    ] {
        let folder = case(&text);
        folder.run("pipeline test cases/case.yaml").is(code).complains(words).says("unusable cases/case.yaml\n");
    }
    let folder = case(CASE);
    folder.write("pipeline.yaml", RATE.replace("100.0 / 10**9", "100.0 /"));
    folder.run("pipeline test cases/case.yaml").is(64).complains("the transformer rate_of_change of the sink cpu_util");
    folder.run("pipeline test").is(64).complains("<FILE>...");
}

/// It runs where it is deployed, and the other sinks of the file can be compared all the same.
#[test]
fn a_sink_with_a_tenants_transformer_is_not_compared() {
    let folder = case(CASE);
    folder.write(
        "pipeline.yaml",
        RATE.replace("{name: everything,", "{name: everything, transformers: [{name: acme/x, parameters: }],"),
    );
    let words = "acme/x of the sink runs where it is deployed only. Leave it out in another pipeline.yaml";
    folder.run("pipeline test cases/case.yaml").is(64).complains(words);
    let others = folder.read("cases/case.yaml").split("  everything:").next().unwrap().to_owned();
    folder.write("cases/case.yaml", others);
    folder.run("pipeline test cases/case.yaml").is(0).says("2 slots, 1 sample of 1 sink");
}

/// What comes out of a chain of transformers, with the samples of a case.
fn chained(transformers: &str, samples: &str, expected: &str) -> crate::support::program::Ran {
    let host = "sim://?domains=2&calm=true";
    let text = format!("pipeline: ../pipeline.yaml\nhost: {host}\nin:\n{samples}out:\n  s:\n{expected}");
    let folder = case(&text.replace("OTHER", OTHER));
    folder.write(
        "pipeline.yaml",
        format!(
            "sources: [{{name: all, meters: ['*'], sinks: [s]}}]\nsinks:\n- name: s\n  publishers: [test]\n  \
             transformers:\n{transformers}"
        ),
    );
    folder.run("pipeline test cases/case.yaml")
}

/// A link before it gives nothing: what waits comes out when it is due.
#[test]
fn the_end_of_a_batch_is_for_every_link() {
    let keep = "  - {name: relabel, parameters: {rules: [{keep: {name: a}}]}}\n";
    let hold = "  - {name: aggregator, parameters: {size: 0, retention_time: 15}}\n";
    let first = "  - {slot: 1, meter: a, type: gauge, unit: B, resource: GUEST, volume: 10}\n";
    let others: String = (1..=4)
        .map(|slot| format!("  - {{slot: {slot}, meter: b, type: gauge, unit: B, resource: GUEST, volume: 1}}\n"))
        .collect();
    let expected = "    - {slot: 3, meter: a, unit: B, resource: GUEST, volume: 10.0}\n";
    chained(&format!("{keep}{hold}"), &format!("{first}{others}"), expected).is(0);
}

/// Nothing comes to a sink: what waits in the first link of its chain comes out when it is due all the same, and goes
/// through the others; what has to wait on does.
#[test]
fn the_end_of_a_slot_is_for_every_chain() {
    let hold = "  - {name: aggregator, parameters: {size: 0, retention_time: 15}}\n";
    let convert = "  - {name: unit_conversion, parameters: {target: {scale: 2}}}\n";
    let add = "  - {name: arithmetic, parameters: {target: {name: sum, expr: $(a) + $(b)}}}\n";
    let keep = "  - {name: accumulator, parameters: {size: 2}}\n";
    let sample = |slot: u32, meter: &str, volume: u32| {
        format!("  - {{slot: {slot}, meter: {meter}, type: gauge, unit: B, resource: GUEST, volume: {volume}}}\n")
    };
    let (one, two) = (sample(1, "a", 10), sample(1, "a", 10) + &sample(6, "b", 4));
    let out = |slot: u32, meter: &str, volume: &str| {
        format!("    - {{slot: {slot}, meter: {meter}, unit: B, resource: GUEST, volume: {volume}}}\n")
    };
    let slots = "slots: 8\n";
    chained(&format!("{hold}{convert}"), &(one.clone() + slots), &out(3, "a", "20.0")).is(0);
    let both = out(3, "a", "10.0") + &out(8, "b", "4.0");
    chained(hold, &(two.clone() + slots), &both).is(0);
    chained(add, &(two.clone() + slots), &out(6, "sum", "14.0")).is(0);
    chained(keep, &(two + slots), &(out(6, "a", "10") + &out(6, "b", "4"))).is(0);
    chained(keep, &(one + slots), "    []\n").is(0);
}

/// A link gives whole numbers now and real ones then; the other guest is absent when they change.
#[test]
fn whoever_is_absent_when_a_type_changes_has_a_sample_before() {
    let chain =
        "  - {name: unit_conversion, parameters: {target: {scale: 0.5, max: 100}}}\n  - {name: delta, parameters: }\n";
    let samples: String = [(1, "GUEST", 300), (1, "OTHER", 300), (2, "GUEST", 50), (3, "GUEST", 60), (3, "OTHER", 80)]
        .map(|(slot, guest, volume)| {
            format!("  - {{slot: {slot}, meter: a, type: gauge, unit: B, resource: {guest}, volume: {volume}}}\n")
        })
        .concat();
    let expected = [(2, "GUEST", "-75.0"), (3, "GUEST", "5.0"), (3, "OTHER", "-60.0")]
        .map(|(slot, guest, volume)| format!("    - {{slot: {slot}, meter: a, resource: {guest}, volume: {volume}}}\n"))
        .concat();
    chained(chain, &samples, &expected).is(0);
}

/// What samples say themselves is there for what stands behind those that hold them back.
#[test]
fn notes_wait_with_their_samples() {
    let sample = "meter: a, type: gauge, unit: s, resource: GUEST";
    let samples = format!(
        "  - {{slot: 1, {sample}, volume: 8, notes: {{cpu_number: 4, kind: x}}}}\n  - {{slot: 2, meter: b, type: \
         gauge, unit: s, resource: GUEST, volume: 3}}\n"
    );
    for hold in ["aggregator", "accumulator"] {
        let chain = format!(
            "  - {{name: {hold}, parameters: {{size: 2}}}}\n  - name: unit_conversion\n    parameters: {{target: \
             {{scale: \"volume / (resource_metadata.cpu_number or 1) if resource_metadata.kind == 'x' else volume\"}}}}\n"
        );
        let expected = "    - {slot: 2, meter: a, resource: GUEST, volume: 2.0, notes: {cpu_number: 4, kind: x}}\n    \
                        - {slot: 2, meter: b, resource: GUEST}\n";
        chained(&chain, &samples, expected).is(0);
    }
}
