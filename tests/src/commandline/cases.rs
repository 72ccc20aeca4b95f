//! `wasmeter module test` and `bench`, with modules that are built already.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::daemon::requests::{Server, page};
use crate::support::program::{Folder, Ran};
use crate::support::{EXAMPLES, asking, hostile, parting};

/// The top folder of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn cases_of(example: &str) -> PathBuf {
    Path::new(ROOT).join("pollsters/examples").join(example).join("tests/cases")
}

/// A folder with a case of this text, and what is expected of it.
fn case(text: &str, expected: Option<&str>) -> Folder {
    let folder = Folder::new("");
    fs::create_dir_all(folder.path("cases/one")).unwrap();
    folder.write("cases/one/case.yaml", text);
    expected.into_iter().for_each(|expected| folder.write("cases/one/expected.jsonl", expected));
    folder.write("hostile.wasm", hostile());
    folder
}

#[test]
fn the_examples_give_what_is_expected_of_them() {
    for (name, file) in EXAMPLES {
        let folder = Folder::new("");
        let ran = folder.run(&format!("module test {file} --cases {}", cases_of(name).display()));
        let ran = ran.is(0).says("all good");
        assert!(ran.stdout.lines().count() > 3, "{}", ran.stdout);
    }
}

#[test]
fn what_differs_is_shown_and_can_be_accepted() {
    let (name, file) = EXAMPLES[1];
    let folder = Folder::new("");
    let cases = cases_of(name).join("four-guests");
    fs::create_dir_all(folder.path("cases/four")).unwrap();
    for entry in fs::read_dir(&cases).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path("cases/four").join(entry.file_name())).unwrap();
    }
    let right = folder.read("cases/four/expected.jsonl");
    let test = format!("module test {file} --cases cases");
    folder.run(&test).is(0).says("ok       four: 6 slots, 19 samples, at most ").says("1 case, all good");

    // Another value, a sample less and a sample more.
    let mut lines: Vec<String> = right.lines().map(str::to_owned).collect();
    lines[0] = lines[0].replace("10.0", "11.0");
    let gone = lines.remove(5);
    lines.push(gone.replace("\"slot\": 3", "\"slot\": 9"));
    folder.write("cases/four/expected.jsonl", lines.join("\n"));
    let ran = folder.run(&test).is(1).says("differs  four").says("volume: expected 11.0, and 10.0 came");
    ran.says("  + {\"slot\":3").says("  - {\"slot\":9").says("write it down with --accept");
    let report = folder.run(&format!("{test} --json")).is(1).json();
    assert_eq!((&report["good"], &report["bad"]), (&0.into(), &1.into()));
    assert_eq!(report["cases"][0]["outcome"], "differs");
    assert_eq!(report["cases"][0]["differences"].as_array().unwrap().len(), 3);

    folder.run(&format!("{test} --accept")).is(0).says("accepted four");
    assert_eq!(folder.read("cases/four/expected.jsonl"), right);

    // A key that is left out is not compared.
    let short = right.lines().map(|line| format!("{}}}\n", line.split_once(", \"type\"").unwrap().0));
    let resources = right.lines().map(|line| line.split("\"resource\": ").nth(1).unwrap().split(',').next().unwrap());
    let short: String =
        short.zip(resources).map(|(line, id)| line.replace("}\n", &format!(", \"resource\": {id}}}\n"))).collect();
    folder.write("cases/four/expected.jsonl", short);
    folder.run(&test).is(0);

    let ceiling = folder.read("cases/four/case.yaml").replace("fuel: ", "fuel: 1 #");
    folder.write("cases/four/case.yaml", ceiling);
    folder.run(&test).is(1).says("fuel     four").says("slot 6 took ").says(" fuel, and may take 1\n");
}

#[test]
fn a_case_without_expectations_shows_what_comes() {
    let (_, file) = EXAMPLES[1];
    let folder = case("host: sim://?domains=1&calm=true\nslots: 2\n", None);
    let test = format!("module test {file} --cases cases");
    folder.run(&test).is(1).says("new      one: 2 slots, 1 sample").says("  + {\"slot\": 2, \"meter\": \"guest.idle\"");
    folder.run(&format!("{test} --bless")).is(0);
    folder.run(&test).is(0);
    folder.run(&format!("{test} --only two")).is(64).complains("no case with \"two\" in its name");
}

#[test]
fn failures_can_be_expected() {
    let sim = "host: sim://?domains=1&calm=true&disks=1&nics=1\n";
    let folder = case(&format!("{sim}config: 'run: panic'\n"), Some(""));
    let test = "module test hostile.wasm --cases cases";
    folder.run(test).is(70).says("failed   one").says("  + {\"slot\":1,\"failed\":\"trap\"");
    folder.run(&format!("{test} --accept")).is(0);
    folder.run(test).is(0).says("ok       one");
    // What is expected and does not fail is no failure.
    folder.write("cases/one/case.yaml", sim);
    folder.run(test).is(1).says("  - {\"slot\":1,\"failed\":\"trap\"");
    folder.write("cases/one/case.yaml", format!("{sim}config: 'run: loop'\nfuel_base: 100000\n"));
    folder.run(&format!("{test} --json")).is(70).says("out-of-fuel");
}

#[test]
fn cases_that_cannot_be_run_say_why() {
    for (text, expected, code, words) in [
        ("slots: 1\n", "", 64, "case.yaml:1:1: error: `host` is missing"),
        ("host: sim://\nslot: 1\n", "", 64, "unknown key `slot`. Did you mean `slots`?"),
        ("host: sim://?calm=true\n", "{", 64, "expected.jsonl:1:1: error: this is no JSON"),
        (
            "host: sim://?calm=true\n",
            "{\"slot\": 1, \"metre\": \"cpu\", \"resource\": \"x\"}",
            64,
            "expected.jsonl:1:1: error: unknown key `metre`. Did you mean `meter`?",
        ),
        ("host: recording:nowhere\n", "", 69, "nowhere"),
        ("host: sim://?domain=3\n", "", 64, "no parameter \"domain\""),
        ("host: sim://?calm=true\nmeters: [cpu]\n", "", 64, "hostile is a pollster, which is handed no meters"),
    ] {
        let folder = case(text, Some(expected));
        folder.run("module test hostile.wasm --cases cases").is(code).complains(words).says("unusable one");
    }
}

/// A transformer is handed what is written, and only that.
#[test]
fn a_transformer_is_handed_what_is_written() {
    let folder = case("host: sim://?domains=1&calm=true&disks=1&nics=1\nslots: 3\ninputs: in.jsonl\n", None);
    let id = "2ed8d4a5-c3eb-4c66-a727-c4f1a70e2409";
    let line = |slot: u32, volume: &str| {
        format!(
            r#"{{"slot": {slot}, "meter": "a", "type": "cumulative", "unit": "B", "resource": "{id}", "volume": {volume}}}"#
        )
    };
    folder.write("cases/one/in.jsonl", format!("{}\n{}\n", line(1, "5"), line(3, "12")));
    folder.write("cases/one/case.yaml", folder.read("cases/one/case.yaml") + "config: {target: {name: a.delta}}\n");
    let built_in = "module test delta --cases cases";
    let ran = folder.run(built_in).is(1);
    ran.says(r#"  + {"slot": 3, "meter": "a.delta", "type": "delta", "unit": "B", "guest": "build worker-0""#)
        .says("\"volume\": 7}");
    for (bad, words) in [
        (line(1, "5").replace(id, "nobody"), "the host has no resource nobody; it has "),
        (format!("{}\n{}", line(1, "5"), line(1, "6")), "a comes twice of"),
        (line(1, "\"5\""), "line 1: invalid type"),
    ] {
        folder.write("cases/one/in.jsonl", bad);
        folder.run(built_in).is(64).complains(words);
    }
}

/// What is shown to authors is what a slot of the daemon takes, to the last unit.
#[test]
fn fuel_is_the_same_wherever_it_is_shown() {
    let folder = case("host: recording:host.jsonl\n", None);
    folder.run("record cases/one/host.jsonl --hypervisor sim://?domains=3&calm=true").is(0);
    let report = folder.run("module test memory --cases cases --accept --json").is(0).json();
    let fuel = &report["cases"][0]["slots"][0]["fuel"];
    assert!(fuel.as_u64() > Some(0), "{report}");
    let host = "--hypervisor recording:cases/one/host.jsonl";
    folder.run(&format!("module run memory --quiet {host}")).is(0).says(&format!(" resources, {fuel} fuel ("));
    let recorded = folder.read("cases/one/host.jsonl");
    let recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
    let guest = recorded["guests"][0]["definition"]["uuid"].as_str().unwrap();
    let explained = folder.run(&format!("explain memory {guest} --json {host}")).is(0).json();
    assert_eq!(&explained["module"]["took"]["fuel"], fuel);
}

#[test]
fn what_a_module_takes_is_measured() {
    let folder = Folder::new("");
    let report = folder.run("module bench disk --resources 1,300 --slots 2 --json").is(0).json();
    let [one, many] = [0, 1].map(|place| &report["measured"][place]);
    assert_eq!(one["guests"], 1);
    assert!(many["resources"].as_u64().unwrap() >= 300 && many["guests"].as_u64().unwrap() < 300, "{many}");
    for (key, less) in [("fuel", one), ("samples", one), ("fuel_granted", one)] {
        assert!(many[key].as_u64() > less[key].as_u64(), "{key}: {report}");
    }
    assert!(many["fuel_granted"].as_u64() > many["fuel"].as_u64() && many["memory"].as_u64() > Some(0), "{report}");
    assert!(one["nanoseconds"].as_u64() > Some(0), "{report}");
    assert_eq!((&report["reads"][0]["group"], &report["reads"][0]["asks_guest"]), (&"block".into(), &true.into()));
    // The same work takes the same fuel.
    let again = folder.run("module bench disk --resources 1,300 --slots 2 --json").is(0).json();
    assert_eq!(again["measured"][1]["fuel"], many["fuel"]);
    let table = folder.run("module bench network --resources 10 --slots 1").is(0);
    table.says("OF GRANTED").says("net    the host  always  net.*.rx.bytes");
    let line = "module bench delta --meters cpu --resources 1,20 --slots 1 --json --config";
    let report = folder.run(&format!("{line} {{\"target\":{{\"name\":\"cpu.delta\"}}}}")).is(0).json();
    assert_eq!((&report["measured"][1]["input_samples"], &report["measured"][1]["samples"]), (&20.into(), &20.into()));
    folder.write("hostile.wasm", hostile());
    let mut failing = folder.command("module bench hostile.wasm --resources 1");
    let failing = Ran::of(&failing.arg("--config='run: panic'").output().unwrap());
    failing.is(70).complains("hostile with 1 resources, slot 1: failed for ").complains("trap: ");
}

/// A case of the module that asks, and the command line that runs it.
fn case_of_requests(grants: &str, answers: &str, config: &serde_json::Value) -> (Folder, String) {
    let grants = format!("grants: {{names: [asking.], {grants}}}");
    let text = format!("host: recording:host.jsonl\n{grants}\nanswers:\n{answers}config: {config}\n");
    let folder = case(&text, None);
    folder.run("record cases/one/host.jsonl --hypervisor sim://?domains=2&calm=true&disks=1&nics=1").is(0);
    (folder, format!("module test {} --cases cases", asking()))
}

/// What an answer costs that is written is what it costs when a server gives it, to the last unit, whoever shows it.
#[test]
fn written_answers_cost_what_a_servers_do() {
    let body = "x".repeat(10_000);
    let said = body.clone();
    let server = Server::new(move |request| match request.split(' ').nth(1) {
        Some("/a/moved") => "HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n".to_owned(),
        _ => page(&said),
    });
    let (url, moved) = (server.url("/a"), server.url("/a/moved"));
    let header = json!({"authorization": "Bearer {{secret:token}}"});
    let config = json!({"requests": [{"url": moved}, {"method": "POST", "url": url, "headers": header, "body": "b"}]});
    let grants =
        format!("http: ['GET,POST {url}'], addresses: [127.0.0.1], secrets: {{token: {{text: s3cret-0f-a-case}}}}");
    let answers = format!(
        "  - {{url: '{moved}', status: 302, headers: {{location: /a}}}}\n  - {{url: '{url}', body_file: body}}\n  \
         - {{method: POST, url: '{url}', body: {body}}}\n"
    );
    let (folder, test) = case_of_requests(&grants, &answers, &config);
    folder.write("cases/one/body", &body);
    let report = folder.run(&format!("{test} --accept --json")).is(0).json();
    let fuel = &report["cases"][0]["slots"][0]["fuel"];
    assert!(fuel.as_u64() > Some(15_000_000 + 100 * 20_000), "{report}");
    assert_eq!(server.seen(), Vec::<String>::new());

    folder.write("token", "s3cret-0f-a-case\n");
    let options = [
        format!("--config={config}"),
        format!("--grant=http=GET,POST {url}"),
        "--grant=address=127.0.0.1".to_owned(),
        "--grant=name=asking.".to_owned(),
        "--secret=token=@token".to_owned(),
    ];
    let on = |line: &str, options: &[String]| Ran::of(&folder.command(line).args(options).output().unwrap());
    let host = "--hypervisor recording:cases/one/host.jsonl";
    let ran = on(&format!("module run {} --quiet {host}", asking()), &options).is(0);
    ran.says(&format!(" resources, {fuel} fuel (")).complains("answered 200");
    assert!(server.seen()[2].contains("authorization: Bearer s3cret-0f-a-case\r\n"), "{:?}", server.seen());
    let inspected = on(&format!("module inspect {} --json {host}", asking()), &options).is(0).json();
    assert_eq!((&inspected["measured"]["fuel"], &inspected["granted"]), (fuel, &true.into()));
    let bench = on(&format!("module bench {} --resources 1 --slots 1 --json", asking()), &options).is(0).json();
    assert!(bench["measured"][0]["fuel"].as_u64() > Some(15_000_000), "{bench}");
}

/// What is asked and not written fails the case, whatever the module makes of it.
#[test]
fn a_request_that_is_not_written_is_named() {
    let config =
        json!({"requests": [{"url": "http://a.example/x?q"}, {"method": "POST", "url": "http://a.example/x"}]});
    let answer = "  - {url: 'http://a.example/x'}\n";
    let (folder, test) = case_of_requests("http: ['GET,POST http://a.example']", answer, &config);
    let ran = folder.run(&test).is(64).says("unusable one");
    let ran = ran.complains("case.yaml: slot 1: GET http://a.example/x?q is requested, and no answer is written");
    ran.complains("add `- {method: POST, url: 'http://a.example/x', body: ...}` to `answers`");
}

/// A case gives the same each time, whatever it grants; and time that a server took is gone for the whole call.
#[test]
fn nothing_of_the_machine_is_in_a_case() {
    let answers = "  - {url: 'http://a.example/slow', error: timeout}\n  - {url: 'http://a.example/'}\n";
    let grants = "http: ['http://a.example'], clock: true, random: true";
    let requests = json!([{"url": "http://a.example/slow"}, {"url": "http://a.example/"}]);
    for (config, words) in [
        (
            json!({"strict": true, "requests": requests}),
            "a.example took too long, waiting for the head of its answer: ",
        ),
        (json!({"fail": true, "requests": requests}), "a.example took too long, looking up its name: "),
        (json!({"fail": true, "sleep": 50}), " slept 0"),
        (json!({"fail": true, "random": true}), "random "),
    ] {
        let (folder, test) = case_of_requests(grants, answers, &config);
        let first = folder.run(&test).is(70).says(words).stdout;
        assert_eq!(folder.run(&test).is(70).stdout, first);
    }
}

/// A grant that is missing, wrong or too much is refused with the words of a deployment.
#[test]
fn grants_are_held_against_the_module() {
    let (file, folder) = (asking(), Folder::new(""));
    let http = "--grant http=http://a.example/";
    for (options, code, words) in [
        (
            "--grant clock",
            70,
            "--grant http: it imports wasmeter:plugin/http, which was not granted. `--grant http='GET ",
        ),
        (http, 70, "the meter asking.up was not granted: no names were. Grant it, such as by `--grant name='asking.'`"),
        ("--grant http=http://127.0.0.1/", 64, "Grant the address, if it is meant: `--grant address='127.0.0.1'`"),
        ("--grant nothing", 64, "there is no such grant"),
        ("--secret token=s3cret", 64, "write NAME=@FILE"),
        ("--grant rate=0", 64, "--grant rate: 0 is not within 1 to 6000"),
    ] {
        for command in ["run", "inspect", "bench"] {
            let ran = folder.run(&format!("module {command} {file} {options}")).is(code).complains(words);
            assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
        }
    }
    // What needs no grant is not refused one; what nobody granted is refused when it is requested.
    folder.run("module run cpu --quiet --grant name=acme.").is(70).complains("the meter cpu is the operator's");
    let inspected = folder.run(&format!("module inspect {file}")).is(0);
    inspected
        .says("needs a grant for\n  wasmeter:plugin/http@0.1.1, as in --grant http='GET https://HOST:PORT/PATH'\n");
    let inspected = folder.run(&format!("module inspect {file} {http} --grant name=asking.")).is(0);
    inspected.says("wasmeter:plugin/http@0.1.1, and is granted what it needs\n");
    let config = r#"{"requests":[{"url":"http://a.example/x"}]}"#;
    let ran = folder.run(&format!("module run {file} --quiet --config {config}")).is(0);
    ran.complains(
        "`grants: {http: [GET http://a.example/x]}` (`--grant 'http=GET http://a.example/x'`) would allow it",
    );
    let (case, test) = case_of_requests("http: ['ftp://a']", "  - {url: 'http://a.example/'}\n", &json!({}));
    case.run(&test).is(64).complains("character 1: a URL begins with http://");
    case.write(
        "cases/one/case.yaml",
        "host: recording:host.jsonl\ngrants: {names: [b.], http: ['http://a.example']}\n",
    );
    case.run(&test).is(70).complains("case.yaml was refused: grants.names: the meter asking.up was not granted");
    case.write("cases/one/case.yaml", "host: recording:host.jsonl\n");
    case.run(&test).is(70).complains(
        "case.yaml was refused: grants.http: it imports wasmeter:plugin/http, which was not granted. \
         `grants: {http: [GET https://HOST:PORT/PATH]}` grants it",
    );
}

/// What a transformer makes is held against its grants like what a pollster gives: what it says of the inputs that are
/// known before it is tried, and what it declares in a slot.
#[test]
fn names_of_what_a_transformer_makes_are_held_against_its_grants() {
    let folder = case("host: sim://?domains=1&calm=true\n", None);
    let growth = r#"delta --config {"target":{"name":"growth.cpu"}}"#;
    let refused = "the meter growth.cpu was not granted: names begin with `acme.`. Grant it, such as by ";
    for command in ["run", "inspect", "bench --resources 1 --slots 1"] {
        let line = format!("module {command} {growth} --meters cpu");
        folder.run(&format!("{line} --grant name=growth.")).is(0);
        let ran = folder.run(&format!("{line} --grant name=acme.")).is(70);
        ran.complains(&format!("delta was refused: --grant name: {refused}`--grant name='growth.'`"));
    }
    let id = "2ed8d4a5-c3eb-4c66-a727-c4f1a70e2409";
    folder.write(
        "cases/one/in.jsonl",
        format!(r#"{{"slot": 1, "meter": "cpu", "type": "cumulative", "resource": "{id}", "volume": 1}}"#),
    );
    for handed in ["meters: [cpu]", "inputs: in.jsonl"] {
        let case = "host: sim://?domains=1&calm=true\nconfig: {target: {name: growth.cpu}}\ngrants: {names: [acme.]}\n";
        folder.write("cases/one/case.yaml", format!("{case}{handed}\n"));
        let ran = folder.run("module test delta --cases cases").is(70).says("unusable one");
        ran.complains(&format!("case.yaml was refused: grants.names: {refused}`grants: {{names: [growth.]}}`"));
    }

    let (file, declared) = (parting(), r#"{"pattern":"b.*","meter":"b.c","parts":["d"]}"#);
    let line = format!("{file} --meters cpu --config {declared} --grant name=acme.");
    let forged = "parting failed for 1 input sample: forged: the meter b.c was not granted: names begin with `acme.`";
    folder.run(&format!("module run {line} --hypervisor sim://?domains=1&calm=true")).is(70).says(forged);
    folder.run(&format!("module bench {line} --resources 1")).is(70).complains("forged: the meter b.c was not granted");
}
