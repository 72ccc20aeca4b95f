//! Servers of HTTP that are away, slow, full, picky, or take nothing at all.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::Signal;
use serde_json::Value;
use wasmeter::spool::log::Cause;
use wasmeter_rig::{Certificates, Proxy, or_say};

use super::receiver::Receiver;
use super::{GUESTS, account, books, said, sending, until_measured, until_said};
use crate::support::program::{Daemon, Folder, of_meter, samples_so_far, text, until};

/// What the daemon says when samples have to wait, and when they need not any more.
const WAITS: &str = "Samples cannot be delivered; they wait in the spool.";
const AGAIN: &str = "Samples are delivered again.";
const IN_FORCE: &str = "The configuration was read again and is in force.";
const REFUSED: &str = "The server will never take some samples";
/// So many guests that not every sample of a record is refused alone before the server seems to take nothing.
const MANY: &str = "sim://?domains=60&seed=1&calm=true&disks=1&nics=1";
/// What nobody may read anywhere: passwords, tokens, and what stands for them in a request.
const SECRETS: [&str; 5] = ["hush/hush", "hush%2Fhush", "t0ken", "s3cret", "bWV0ZXI6aHVzaC9odXNo"];

fn url(port: u16) -> String {
    format!("http://meter:hush%2Fhush@127.0.0.1:{port}/in?token=t0ken")
}

/// Each sample that came, by its id.
fn arrived(receiver: &Receiver) -> BTreeMap<String, Value> {
    let received = receiver.received().into_iter().map(|mut line| line["sample"].take());
    received.map(|sample| (text(&sample, "id").to_owned(), sample)).collect()
}

/// What came was measured. Returns what did not come.
fn missing<'a>(arrived: &BTreeMap<String, Value>, measured: &'a [Value]) -> Vec<&'a Value> {
    let all: BTreeMap<&str, &Value> = measured.iter().map(|sample| (text(sample, "message_id"), sample)).collect();
    for (id, sample) in arrived {
        let measured = all[id.as_str()];
        let mut expected = serde_json::Map::new();
        for (key, value) in measured.as_object().unwrap() {
            let key = match key.as_str() {
                "message_id" => "id",
                key => key.strip_prefix("counter_").unwrap_or(key),
            };
            expected.insert(key.to_owned(), value.clone());
        }
        assert_eq!(*sample, Value::Object(expected));
    }
    all.into_iter().filter(|(id, _)| !arrived.contains_key(*id)).map(|(_, sample)| sample).collect()
}

/// Waits until all that was measured so far has come.
fn until_arrived(receiver: &Receiver, folder: &Folder) {
    let measured = samples_so_far(&folder.read("samples"));
    until("what was measured", || {
        let arrived = arrived(receiver);
        measured.iter().all(|sample| arrived.contains_key(text(sample, "message_id"))).then_some(())
    });
}

/// Has it measure these meters from now on.
fn measure_instead(folder: &Folder, daemon: &Daemon, meters: &[&str], reloads: usize) {
    folder.poll(meters);
    daemon.signal(Signal::HUP);
    until_said(daemon, IN_FORCE, reloads);
}

fn says(folder: &Folder, command: &str) -> String {
    let ran = folder.run(command);
    format!("{}{}", ran.stdout, ran.stderr)
}

/// One trouble after the other. What is lost is what the server refused for ever, and it is counted.
#[test]
fn a_server_may_do_what_it_likes() {
    let Some(receiver) = or_say(Receiver::start("http", &[])) else { return };
    let proxy = Proxy::start(receiver.port()).unwrap();
    proxy.refuse();
    let http = format!(
        "- {{name: http, http: {{url: '{}', timeout: 1s, batch_size: 20, headers: {{X-Token: s3cret}}}}}}",
        url(proxy.port())
    );
    let folder = sending(GUESTS, &http, "");
    let daemon = folder.start_by_shell("exec env WASMETER_LOG=trace \"$wasmeter\" run -c wasmeter.yaml");
    until_said(&daemon, WAITS, 1);
    until_measured(&folder, 1);
    proxy.heal().unwrap();
    until_said(&daemon, AGAIN, 1);

    receiver.behave("status 503");
    until_said(&daemon, WAITS, 2);
    receiver.behave("take");
    until_said(&daemon, AGAIN, 2);
    proxy.stall();
    until_said(&daemon, WAITS, 3);
    proxy.heal().unwrap();
    until_said(&daemon, AGAIN, 3);
    receiver.behave("slow");
    until_said(&daemon, WAITS, 4);
    receiver.behave("take");
    until_said(&daemon, AGAIN, 4);
    receiver.behave("flap 500");
    until_said(&daemon, WAITS, 6);
    receiver.behave("most 7");
    receiver.until_received(30);
    receiver.behave("status 400 cpu");
    until_said(&daemon, REFUSED, 1);
    until("losses", || says(&folder, "losses").contains("refused").then_some(()));
    let told =
        says(&folder, "status") + &says(&folder, "losses") + &says(&folder, "check") + &says(&folder, "check --json");
    receiver.behave("take");
    let told = told + &daemon.end();

    let (arrived, measured) = (arrived(&receiver), folder.samples("samples"));
    let missing = missing(&arrived, &measured);
    assert!(!missing.is_empty() && missing.iter().all(|sample| sample["counter_name"] == "cpu"), "{missing:?}");
    assert_eq!(books(&folder, "http", &measured), (0, [("refused", missing.len() as u64)].into()));
    for line in receiver.received() {
        let request = &line["request"];
        assert_eq!(request["authorization"], "Basic bWV0ZXI6aHVzaC9odXNo");
        assert_eq!((&request["path"], &request["token"]), (&"/in?token=t0ken".into(), &"s3cret".into()));
    }
    for secret in SECRETS {
        assert!(!told.contains(secret), "{secret} in:\n{told}");
    }
}

/// A server that refuses everything is wrong itself: nothing is given up. Once it takes others, what it still refuses
/// is, a whole record too.
#[test]
fn a_server_that_takes_nothing_costs_nothing_and_one_that_is_picky_what_it_refuses() {
    let Some(receiver) = or_say(Receiver::start("http", &[])) else { return };
    receiver.behave("status 400");
    let http = format!("- {{name: http, http: {{url: '{}', batch_size: 1}}}}", url(receiver.port()));
    let folder = sending(GUESTS, &http, "");
    folder.poll(&["cpu", "memory.usage"]);
    let daemon = folder.start("run");
    until_said(&daemon, WAITS, 1);
    until_measured(&folder, 3);
    let lost = || account(&folder.path("spool"), "http").lost().counts.samples();
    assert_eq!(lost(), 0);
    receiver.behave("status 400 odd");
    until_said(&daemon, AGAIN, 1);
    let odd = |number: u32| {
        let mut sample = folder.samples("samples").remove(0);
        sample["message_id"] = format!("9f3c0f6e-8f57-11f0-a1f6-7d6a54a3200{number}").into();
        sample["counter_name"] = "odd".into();
        format!("{sample}\n")
    };
    folder.write("odd", odd(1) + &odd(2));
    folder.run("spool replay odd --to http").is(0);
    until("the loss", || (lost() > 0).then_some(()));
    daemon.end();
    let (arrived, measured) = (arrived(&receiver), folder.samples("samples"));
    assert_eq!(missing(&arrived, &measured), Vec::<&Value>::new());
    let books = account(&folder.path("spool"), "http");
    assert!(books.balances(), "{books:?}");
    let lost: Vec<_> = books.dropped.iter().map(|(cause, total)| (*cause, total.counts.samples())).collect();
    assert_eq!((books.held.counts.samples(), lost), (0, vec![(Cause::Refused, 2)]));
    assert_eq!(books.acknowledged.counts.samples(), measured.len() as u64);
    assert!(receiver.received().iter().all(|line| line["request"]["alone"] == true));
}

/// Whenever it recovers: while the record is tried that was refused first, or the one after it.
#[test]
fn a_server_that_refuses_everything_for_a_while_costs_nothing() {
    let Some(receiver) = or_say(Receiver::start("http", &[])) else { return };
    let http = format!("- {{name: http, http: {{url: '{}'}}}}", url(receiver.port()));
    let folder = sending(MANY, &http, "");
    folder.poll(&["cpu", "memory.usage", "vcpus"]);
    let daemon = folder.start("run");
    receiver.until_received(1);
    for times in 1..=4 {
        receiver.behave("status 400");
        until_said(&daemon, WAITS, times);
        until_measured(&folder, 1);
        receiver.behave("take");
        until_said(&daemon, AGAIN, times);
        until_arrived(&receiver, &folder);
    }
    daemon.end();
    let (arrived, measured) = (arrived(&receiver), folder.samples("samples"));
    assert_eq!(missing(&arrived, &measured), Vec::<&Value>::new());
    assert_eq!(books(&folder, "http", &measured), (0, BTreeMap::new()));
}

/// Slot after slot. Whether they are meant shows in what is taken behind them, and later in what was taken before them.
#[test]
fn slots_that_are_refused_as_a_whole_stop_nothing() {
    let Some(receiver) = or_say(Receiver::start("http", &[])) else { return };
    receiver.behave("status 400 cpu");
    // No busy machine is to look like a server that is away.
    let http = format!("- {{name: http, http: {{url: '{}', timeout: 1m}}}}", url(receiver.port()));
    let folder = sending(GUESTS, &http, "");
    folder.poll(&["cpu"]);
    let daemon = folder.start("run");
    until_said(&daemon, WAITS, 1);
    until_measured(&folder, 3);
    let lost = || account(&folder.path("spool"), "http").lost().counts.samples();
    assert_eq!(lost(), 0, "it takes nothing at all");
    let refused = || of_meter(&samples_so_far(&folder.read("samples")), "cpu").len() as u64;

    measure_instead(&folder, &daemon, &["memory.usage"], 1);
    receiver.until_received(1);
    until("the losses", || (lost() == refused()).then_some(()));
    measure_instead(&folder, &daemon, &["cpu"], 2);
    until_measured(&folder, 3);
    let so_far = refused();
    until("the losses of those that follow each other", || (lost() >= so_far).then_some(()));
    let log = daemon.end();
    assert_eq!((said(&log, WAITS), said(&log, AGAIN)), (1, 1), "{log}");

    let (arrived, measured) = (arrived(&receiver), folder.samples("samples"));
    let missing = missing(&arrived, &measured);
    assert!(missing.iter().all(|sample| sample["counter_name"] == "cpu"), "{missing:?}");
    assert_eq!(books(&folder, "http", &measured), (0, [("refused", missing.len() as u64)].into()));
}

/// What it refuses is spread over all that it is sent.
#[test]
fn a_server_that_refuses_some_guests_gets_all_others() {
    let Some(receiver) = or_say(Receiver::start("http", &[])) else { return };
    receiver.behave("some 400");
    let http = format!("- {{name: http, http: {{url: '{}'}}}}", url(receiver.port()));
    let folder = sending(MANY, &http, "");
    folder.poll(&["cpu", "memory.usage", "vcpus"]);
    let daemon = folder.start("run");
    until_measured(&folder, 2);
    receiver.until_received(1);
    let log = daemon.end();
    let (arrived, measured) = (arrived(&receiver), folder.samples("samples"));
    let missing = missing(&arrived, &measured);
    let lacking: BTreeSet<&str> = missing.iter().map(|sample| text(sample, "resource_id")).collect();
    assert!(arrived.values().all(|sample| !lacking.contains(text(sample, "resource_id"))), "{lacking:?}");
    assert_eq!(books(&folder, "http", &measured), (0, [("refused", missing.len() as u64)].into()));
    assert!(!log.contains(WAITS), "some of it was always taken: {log}");
}

/// What a server can do in time is found out, and remembered: it gets all, and little of it again.
#[test]
fn a_server_that_is_slow_gets_as_much_at_once_as_it_can_do_in_time() {
    let Some(receiver) = or_say(Receiver::start("http", &[])) else { return };
    // Sixty samples are a slot.
    receiver.behave("each 40");
    let http = format!("- {{name: http, http: {{url: '{}', timeout: 2s}}}}", url(receiver.port()));
    let folder = sending(MANY, &http, "");
    folder.poll(&["cpu"]);
    let daemon = folder.start("run");
    until_measured(&folder, 2);
    daemon.end();
    let (arrived, measured) = (arrived(&receiver), folder.samples("samples"));
    assert_eq!(missing(&arrived, &measured), Vec::<&Value>::new());
    assert_eq!(books(&folder, "http", &measured), (0, BTreeMap::new()));
    let again = receiver.received().len() - measured.len();
    assert!(again < measured.len(), "{again} of {} came again", measured.len());
}

/// One that ends the connection instead of reading on does not say what is wrong: that it is too much is found out.
#[test]
fn a_server_that_hangs_up_when_it_has_enough_gets_less_at_once() {
    let Some(receiver) = or_say(Receiver::start("http", &[])) else { return };
    // A dozen samples or two.
    receiver.behave("shut 30000");
    // No busy machine is to look like a server that is slow.
    let http = format!("- {{name: http, http: {{url: '{}', timeout: 1m}}}}", url(receiver.port()));
    let folder = sending(MANY, &http, "");
    folder.poll(&["cpu"]);
    let daemon = folder.start("run");
    receiver.until_received(60);
    until_measured(&folder, 1);
    let log = daemon.end();
    let (arrived, measured) = (arrived(&receiver), folder.samples("samples"));
    assert_eq!(missing(&arrived, &measured), Vec::<&Value>::new());
    assert_eq!(books(&folder, "http", &measured), (0, BTreeMap::new()));
    assert_eq!(receiver.received().len(), measured.len(), "nothing came again");
    assert!(said(&log, WAITS) <= 1, "it is not said again and again: {log}");
}

/// Outputs that answer nobody change, and one goes: no slot waits for them, and nothing is lost that is still wanted.
#[test]
fn a_reload_waits_for_no_output() {
    let Some(receiver) = or_say(Receiver::start("http", &[])) else { return };
    let proxies = ["one", "two", "gone"].map(|name| (name, Proxy::start(receiver.port()).unwrap()));
    let output = |(name, proxy): &(&str, Proxy), timeout: &str| {
        format!("- {{name: {name}, http: {{url: 'http://127.0.0.1:{}/{name}', timeout: {timeout}}}}}\n", proxy.port())
    };
    // Whoever waited for them would do so for longer than this test waits for anything.
    let outputs: String = proxies.iter().map(|named| output(named, "10m")).collect();
    let folder = sending(GUESTS, &outputs, "");
    folder.poll(&["cpu", "memory.usage"]);
    let daemon = folder.start("run");
    receiver.until_received(1);
    proxies.iter().for_each(|(_, proxy)| proxy.stall());
    until_measured(&folder, 2);
    let config =
        folder.read("wasmeter.yaml").replace(&output(&proxies[2], "10m"), "").replace("timeout: 10m", "timeout: 9m");
    folder.write("wasmeter.yaml", config);
    daemon.signal(Signal::HUP);
    let gone = "what it had still to deliver is lost, and counted. output=\"gone\"";
    until_said(&daemon, gone, 1);
    let log = daemon.log();
    assert!(log.find(IN_FORCE) < log.find(gone) && said(&log, IN_FORCE) == 1, "it waited for what goes: {log}");
    until_measured(&folder, 1);
    proxies.iter().for_each(|(_, proxy)| proxy.heal().unwrap());
    daemon.end();

    let measured = folder.samples("samples");
    for name in ["one", "two"] {
        let of_it = |line: &Value| line["request"]["path"] == format!("/{name}");
        let received = receiver.received().into_iter().filter(of_it);
        let samples = received.map(|mut line| line["sample"].take());
        let arrived = samples.map(|sample| (text(&sample, "id").to_owned(), sample)).collect();
        assert_eq!(missing(&arrived, &measured), Vec::<&Value>::new(), "{name}");
        assert_eq!(books(&folder, name, &measured), (0, BTreeMap::new()), "{name}");
    }
}

/// A server that wants a certificate, and clients that know whom to believe, or do not.
#[test]
fn servers_are_believed_if_somebody_vouches_for_them() {
    let certificates = Certificates::new().unwrap();
    let shown = |path: &std::path::Path| path.display().to_string();
    let (server, client) = (certificates.server(), certificates.client());
    let authority = shown(&certificates.authority());
    let files = [shown(&server.certificate), shown(&server.key), authority.clone()];
    let Some(receiver) = or_say(Receiver::start("http", &files.each_ref().map(String::as_str))) else { return };
    let url = url(receiver.port()).replace("http://", "https://");
    let ours = format!("cert_file: {}, key_file: {}", shown(&client.certificate), shown(&client.key));
    let outputs = format!(
        "- {{name: trusting, http: {{url: '{url}', ca_file: {authority}, {ours}}}}}
- {{name: careless, http: {{url: '{url}', verify: false, {ours}}}}}
- {{name: stranger, http: {{url: '{url}', {ours}}}}}
- {{name: nobody, http: {{url: '{url}', ca_file: {authority}}}}}"
    );
    let folder = sending(GUESTS, &outputs, "");
    let config = folder.read("wasmeter.yaml").replace("drain: 60s", "drain: 3s");
    folder.write("wasmeter.yaml", config);
    folder.poll(&["cpu"]);
    assert!(says(&folder, "check").contains("`verify` is off"), "{}", says(&folder, "check"));
    let daemon = folder.start("run");
    until_said(&daemon, WAITS, 2);
    until_measured(&folder, 2);
    // A try may come to know that the connection ended before it is told why.
    until("the cause", || says(&folder, "status").contains("CertificateRequired").then_some(()));
    let log = daemon.end();
    assert!(log.contains("UnknownIssuer"), "{log}");
    let measured = folder.samples("samples");
    let all = measured.len() as u64;
    for (output, held) in [("trusting", 0), ("careless", 0), ("stranger", all), ("nobody", all)] {
        assert_eq!(books(&folder, output, &measured), (held, BTreeMap::new()), "{output}: {log}");
    }
    assert_eq!(missing(&arrived(&receiver), &measured), Vec::<&Value>::new());
}
