//! Modules of tenants that make requests, look at clocks and take random numbers, as far as that was granted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use super::tenants::{Cloud, said};
use crate::support::program::{of_meter, samples_so_far, text, until};
use crate::support::{asking, http_exporter};

const SECRET: &str = "s3cret-0f-acme";

/// A server of this machine, and what it was asked.
pub struct Server {
    pub address: SocketAddr,
    /// Heads of requests, with their bodies.
    seen: Arc<Mutex<Vec<String>>>,
    /// Whether it answers. Until then those who ask wait.
    answers: Arc<AtomicBool>,
}

// === impl Server ===

impl Server {
    /// Answers with what is made of a request.
    pub fn new(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, answers) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
        let (sees, may, answer) = (Arc::clone(&seen), Arc::clone(&answers), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, sees, may) = (stream.unwrap(), Arc::clone(&sees), Arc::clone(&may));
                let answer = Arc::clone(&answer);
                thread::spawn(move || {
                    let Some(request) = request(&stream) else { return };
                    let text = answer(&request);
                    sees.lock().unwrap().push(request);
                    until("it may answer", || may.load(Ordering::SeqCst).then_some(()));
                    // Whoever asked may be gone.
                    let _ = stream.write_all(text.as_bytes());
                });
            }
        });
        Self { address, seen, answers }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn request(stream: &TcpStream) -> Option<String> {
    let (mut reader, mut request, mut length) = (BufReader::new(stream), String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        request.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(request + std::str::from_utf8(&body).unwrap())
}

pub fn page(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Two tenants, and modules that ask.
fn cloud() -> Cloud {
    let cloud = Cloud::new("");
    for (name, module) in [("asking", asking()), ("http_exporter", http_exporter())] {
        cloud.folder.write(&format!("deployments.d/{name}.wasm"), std::fs::read(module).unwrap());
    }
    cloud.folder.write("deployments.d/token", format!("{SECRET}\n"));
    cloud
}

/// A deployment of the module that asks, without the grants that all of them have.
fn deploy(cloud: &Cloud, tenant: &str, name: &str, grants: &str, config: &serde_json::Value, more: &str) {
    let all = format!("grants: {{names: [asking.], {grants}}}\nconfig: {config}\n{more}");
    cloud.deploy(tenant, name, "asking", &all);
}

/// A deployment of a transformer that gives a meter another name.
fn converts(cloud: &Cloud, tenant: &str, meter: &str, name: &str) {
    let module = wasmeter::modules::built_in().find(|module| module.name == "unit_conversion").unwrap();
    cloud.folder.write("deployments.d/converts.wasm", module.wasm);
    let config = json!({"target": {"name": name}}).to_string();
    let more = format!("meters: [{meter}]\ngrants: {{names: [own.]}}\nconfig: {config:?}");
    cloud.deploy(tenant, "converts", "converts", &more);
}

fn granted(server: &Server) -> String {
    format!("http: ['GET,POST {}'], addresses: [127.0.0.1]", server.url("/granted"))
}

const PROBE: &str = "grants: {names: [probe.]}";

/// The server is told a secret that the module names and never sees, not even when the server repeats it.
#[test]
fn a_secret_reaches_the_server_and_nobody_else() {
    let cloud = cloud();
    let server = Server::new(|request| {
        let header = request.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
        page(header).replace("\r\n\r\n", &format!("\r\nX-Echo: {header}\r\n\r\n"))
    });
    let header = json!({"authorization": "Bearer {{secret:token}}"});
    let config =
        json!({"requests": [{"method": "POST", "url": server.url("/granted/x?q"), "headers": header, "body": "b"}]});
    let grants = format!("{}, secrets: {{token: {{file: token}}}}", granted(&server));
    deploy(&cloud, "acme", "asks", &grants, &config, "");
    let shown = cloud.folder.run("check --json").is(0);
    assert!(shown.stdout.contains("deployments.d/token") && !shown.stdout.contains(SECRET), "{}", shown.stdout);
    let daemon = cloud.folder.start("run");
    until("answers", || (cloud.measured("acme/asks", "asking.status").len() >= 3).then_some(()));
    let log = daemon.end();
    for request in server.seen() {
        assert!(request.starts_with("POST /granted/x?q HTTP/1.1\r\n") && request.ends_with("\r\n\r\nb"), "{request}");
        assert!(request.contains(&format!("authorization: Bearer {SECRET}\r\n")), "{request}");
        assert!(request.contains(&format!("host: {}\r\n", server.address)), "{request}");
    }
    assert!(log.contains("answered 200 x-echo=Bearer *** <Bearer ***>"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
    let samples = cloud.folder.read("samples");
    let all = samples_so_far(&samples);
    let status = of_meter(&all, "asking.status");
    assert!(status.iter().all(|sample| sample["counter_volume"] == 200));
    assert!(!samples.contains(SECRET));
}

/// It is the same version, which goes on with another secret; with one that cannot be used it goes on with the old one.
#[test]
fn a_secret_that_changed_is_in_force_after_a_reload() {
    const NEXT: &str = "an0ther-0f-acme";
    let cloud = cloud();
    let server = Server::new(|_| page("ok"));
    let header = json!({"authorization": "Bearer {{secret:token}}"});
    let config = json!({"requests": [{"url": server.url("/granted"), "headers": header}]});
    let grants = format!("{}, secrets: {{token: {{file: token}}}}", granted(&server));
    deploy(&cloud, "acme", "asks", &grants, &config, "");
    let daemon = cloud.folder.start("run");
    let sees = |secret: &str, after: usize| {
        let header = format!("authorization: Bearer {secret}\r\n");
        until(secret, || server.seen().iter().skip(after).any(|request| request.contains(&header)).then_some(()));
    };
    sees(SECRET, 0);
    cloud.folder.write("deployments.d/token", NEXT);
    daemon.signal(Signal::HUP);
    sees(NEXT, 0);
    std::fs::remove_file(cloud.folder.path("deployments.d/token")).unwrap();
    daemon.signal(Signal::HUP);
    said(&daemon, "acme/asks goes on as it was, as what is written now cannot run: the secret token: ");
    until("it to be in force", || (daemon.log().matches("is in force.").count() == 2).then_some(()));
    sees(NEXT, server.seen().len());
    cloud.folder.run("module show acme/asks").is(0).says("acme/asks runs version 1\n");
    let log = daemon.end();
    assert!(!log.contains("version 2"), "{log}");
    cloud.has_every_slot("acme/asks", "asking.status", &cloud.guests_of(0..2));
}

/// Each refusal names the grant that it takes, and no server hears of the request.
#[test]
fn what_is_not_granted_is_refused_by_name() {
    let cloud = cloud();
    let server = Server::new(|request| match request.split(' ').nth(1) {
        Some("/granted/metadata") => {
            "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n\r\n".to_owned()
        }
        Some("/granted/aside") => "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n".to_owned(),
        _ => page("ok"),
    });
    let port = server.address.port();
    let urls = [
        server.url("/grantedly"),
        server.url("/granted/metadata"),
        server.url("/granted/aside"),
        format!("http://localhost:{port}/granted"),
        server.url("/granted/../x"),
        server.url("/granted"),
    ];
    let mut requests: Vec<_> = urls.iter().map(|url| json!({"url": url})).collect();
    requests.push(json!({"method": "PUT", "url": server.url("/granted")}));
    requests.push(json!({"url": server.url("/granted"), "headers": {"x-key": "{{secret:token}}"}}));
    let more = "fuel_base: 200000000";
    let config = json!({"requests": requests});
    deploy(&cloud, "acme", "asks", &granted(&server), &config, more);
    // The name is granted, but not where it leads.
    let by_name = format!("http: ['http://localhost:{port}/granted']");
    let config = json!({"requests": [{"url": urls[3]}]});
    deploy(&cloud, cloud.single(), "named", &by_name, &config, more);
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    said(&daemon, "localhost has an address that is not public, so no connection is made");
    said(&daemon, "answered 200");
    let log = daemon.end();
    let refused = |request: &str, redirected: &str| {
        format!(
            "{request}{redirected} is not granted; `grants: {{http: [{request}]}}` (`--grant 'http={request}'`) would allow it"
        )
    };
    let redirected = ", where a redirect leads,";
    for words in [
        refused(&format!("GET {}", urls[0]), ""),
        refused("GET http://169.254.169.254/latest/meta-data/", redirected),
        refused(&format!("GET {}", server.url("/elsewhere")), redirected),
        refused(&format!("GET {}", urls[3]), ""),
        refused(&format!("PUT {}", server.url("/granted")), ""),
        "url: character".to_owned(),
        "header x-key: there is no secret token; `grants.secrets` has to name it".to_owned(),
    ] {
        assert!(log.contains(&format!("A request was refused: {words}")), "not {words:?} in {log}");
    }
    let asked: Vec<String> =
        server.seen().iter().filter_map(|seen| seen.split(' ').nth(1).map(str::to_owned)).collect();
    let may_be_asked = ["/granted/metadata", "/granted/aside", "/granted"];
    assert!(asked.iter().all(|path| may_be_asked.contains(&path.as_str())), "{asked:?}");
}

/// At deployment, with the grant that would allow it; whatever else is wrong with grants, too.
#[test]
fn what_cannot_be_granted_does_not_run() {
    let cloud = cloud();
    let server = Server::new(|_| page("ok"));
    let nothing = json!({});
    cloud.deploy("acme", "probe", "resources", PROBE);
    let tenant = cloud.single();
    for (name, grants, words) in [
        (
            "ungranted",
            "",
            "it imports wasmeter:plugin/http, which was not granted. `grants: {http: [GET https://HOST:PORT/PATH]}` \
             grants it",
        ),
        (
            "private",
            "http: ['GET http://10.1.2.3/']",
            "GET http://10.1.2.3/: 10.1.2.3 is not a public address (private). Grant the address, if it is meant: `grants: \
             {addresses: [10.1.2.3]}`",
        ),
        (
            "query",
            "http: ['http://a.example/?x']",
            "`grants.http[0]` cannot be used: character 18: a grant has no query",
        ),
        ("wide", "http: [], addresses: [0.0.0.0/0]", "`grants.addresses[0]` cannot be used: /0 is nearly everything"),
        (
            "aimless",
            "http: ['http://a.example/', 'http://b.example/'], secrets: {token: {file: token}}",
            "the secret token does not say to which of several origins it may go",
        ),
        (
            "astray",
            "http: ['http://a.example/'], secrets: {token: {file: token, origins: ['http://c.example']}}",
            "the secret token may go to http://c.example, where nothing may be requested",
        ),
        ("lost", "http: ['http://a.example/'], secrets: {token: {file: nowhere}}", "nowhere cannot be read"),
        ("short", "http: ['http://a.example/'], secrets: {token: {file: short}}", "it has fewer than 8 bytes"),
        ("long", "http: ['http://a.example/'], requests: {time: 2h}", "`grants.requests.time` is `2h`"),
        ("odd", "clock: maybe", "`grants.clock` is `maybe`: not a truth value"),
    ] {
        cloud.folder.write("deployments.d/short", "1234567");
        deploy(&cloud, tenant, name, grants, &nothing, "");
        let ran = cloud.folder.run("check").is(64);
        assert!(ran.stderr.contains(words) || ran.stdout.contains(words), "{name}: {}\n{}", ran.stdout, ran.stderr);
        assert!(!ran.stderr.contains(SECRET) && !ran.stdout.contains(SECRET));
        std::fs::remove_file(cloud.folder.path(&format!("deployments.d/{name}-{}.yaml", &tenant[..4]))).unwrap();
    }
    deploy(&cloud, tenant, "ungranted", "", &nothing, "");
    deploy(&cloud, "acme", "asks", &granted(&server), &json!({"requests": [{"url": server.url("/granted")}]}), "");
    let daemon = cloud.folder.start("run");
    until("answers", || (cloud.measured("acme/asks", "asking.status").len() >= 2).then_some(()));
    cloud.slots(4);
    let log = daemon.end();
    assert!(log.contains("it imports wasmeter:plugin/http, which was not granted"), "{log}");
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
    // The operator's own are granted nothing: their slot would wait.
    let config = cloud.folder.read("wasmeter.yaml");
    cloud.folder.write("wasmeter.yaml", format!("modules: {{asks: {{file: deployments.d/asking.wasm}}}}\n{config}"));
    let ran = cloud.folder.run("check");
    ran.says("which deployments can be granted and modules under `modules` cannot. Have the module do without");
}

/// While they wait they keep their memory, so there is only so much of it for all of them.
#[test]
fn memory_is_set_aside_for_those_who_wait() {
    let cloud = cloud();
    let server = Server::new(|_| page("ok"));
    for number in 0..16 {
        deploy(&cloud, "acme", &format!("asks{number}"), &granted(&server), &json!({}), "");
    }
    let ran = cloud.folder.run("check").is(64).says("acme/asks14");
    let words = "acme/asks9 does not run: with its memory and twice its longest answer, deployments that make requests \
                 would have 544 MiB together, and may have 512";
    assert_eq!(ran.stdout.matches("does not run").count(), 1, "{}", ran.stdout);
    assert!(ran.stdout.contains(words), "{}", ran.stdout);
    for number in 0..16 {
        deploy(&cloud, "acme", &format!("asks{number}"), &granted(&server), &json!({}), "memory: 4MiB");
    }
    cloud.folder.run("check").is(0);
}

/// Those that take the places of others are there at once.
#[test]
fn places_of_those_that_go_are_free() {
    let cloud = cloud();
    let server = Server::new(|_| page("ok"));
    let grants = format!("{}, requests: {{body: 8MiB}}", granted(&server));
    let name = |number: u32, renamed: bool| format!("{}{number}", if renamed { "other" } else { "asks" });
    let write = |number, renamed| {
        let asks = json!({"requests": [{"url": server.url("/granted")}]});
        deploy(&cloud, "acme", &name(number, renamed), &grants, &asks, "memory: 64MiB");
    };
    (0..4).for_each(|number| write(number, false));
    let daemon = cloud.folder.start("run");
    let gives = |number, renamed| {
        let given = cloud.measured(&format!("acme/{}", name(number, renamed)), "asking.status");
        !given.is_empty()
    };
    until("all four", || (0..4).all(|number| gives(number, false)).then_some(()));
    for number in 0..4 {
        std::fs::remove_file(cloud.folder.path(&format!("deployments.d/asks{number}-acme.yaml"))).unwrap();
        write(number, true);
    }
    cloud.folder.run("check").is(0);
    daemon.signal(Signal::HUP);
    said(&daemon, "The configuration was read again and is in force.");
    assert!(!daemon.log().contains("does not run"), "{}", daemon.log());
    until("all four by their new names", || (0..4).all(|number| gives(number, true)).then_some(()));
    daemon.end();
}

/// Five of one tenant wait for a server: neither its own other module nor anybody else's loses a slot.
#[test]
fn a_slow_server_delays_its_own_module_alone() {
    let cloud = cloud();
    let server = Server::new(|_| page("at last"));
    server.answers.store(false, Ordering::SeqCst);
    cloud.deploy("acme", "probe", "resources", PROBE);
    cloud.deploy(cloud.single(), "probe", "resources", PROBE);
    let quick = Server::new(|_| page("ok"));
    let asks = |server: &Server| json!({"requests": [{"url": server.url("/granted")}]});
    deploy(&cloud, "acme", "quick", &granted(&quick), &asks(&quick), "");
    for number in 0..5 {
        let grants = format!("{}, requests: {{time: 1m}}", granted(&server));
        // What it waits for the server is not its own time.
        let more = "deadline: 2s";
        deploy(&cloud, cloud.single(), &format!("slow{number}"), &grants, &asks(&server), more);
    }
    // A transformer waits for nobody who gives nothing of its meters.
    converts(&cloud, cloud.single(), "cpu", "own.cpu");
    let daemon = cloud.folder.start("run");
    until("all wait", || (server.seen().len() == 5).then_some(()));
    cloud.slots(5);
    assert_eq!(server.seen().len(), 5, "each is at its first slot");
    assert!(!daemon.log().contains("at last"));
    server.answers.store(true, Ordering::SeqCst);
    let slow = |number: u32| format!("{}/slow{number}", cloud.single());
    until("they land", || {
        (0..5).all(|number| !cloud.measured(&slow(number), "asking.status").is_empty()).then_some(())
    });
    let log = daemon.end();
    assert!(!log.contains("quarantine"), "{log}");
    let single = format!("{}/probe", cloud.single());
    cloud.has_every_slot(&single, "probe.up", &cloud.guests_of(2..3));
    cloud.has_every_slot(&format!("{}/converts", cloud.single()), "own.cpu", &cloud.guests_of(2..3));
    cloud.has_every_slot("acme/probe", "probe.up", &cloud.guests_of(0..2));
    cloud.has_every_slot("acme/quick", "asking.status", &cloud.guests_of(0..2));
}

/// A module that asks a server, and may wait longer for it than any slot lasts.
fn asks_patiently(cloud: &Cloud, server: &Server) {
    let config = json!({"requests": [{"url": server.url("/granted")}]});
    let grants = format!("{}, requests: {{time: 1m}}", granted(server));
    deploy(cloud, "acme", "asks", &grants, &config, "");
}

/// A version that is still at a slot when the next one comes is given up, whether it is tried out or on trial. What runs
/// has that slot and the next one, each once.
#[test]
fn a_version_that_is_slower_than_its_interval_loses_no_slot() {
    let cloud = cloud();
    let quick = Server::new(|_| page("ok"));
    let asks = |server: &Server| asks_patiently(&cloud, server);
    asks(&quick);
    // What it is handed comes late, and comes all the same.
    converts(&cloud, "acme", "asking.up", "own.up");
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    let never = Server::new(|_| page("too late"));
    never.answers.store(false, Ordering::SeqCst);
    asks(&never);
    daemon.signal(Signal::HUP);
    said(&daemon, "version 2 is given up, and 1 goes on: it failed with deadline when it was tried out.");
    said(&daemon, "it was still at a slot when the next one came");
    cloud.slots(2);
    let asked = AtomicUsize::new(0);
    let once = Server::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => page("ok"),
        _ => loop {
            thread::park();
        },
    });
    asks(&once);
    daemon.signal(Signal::HUP);
    said(&daemon, "version 3 did well when it was tried out, and is on trial.");
    said(&daemon, "version 3 is given up, and 1 goes on: it failed with deadline.");
    cloud.slots(2);
    never.answers.store(true, Ordering::SeqCst);
    cloud.slots(1);
    let log = daemon.end();
    assert!(!log.contains("leaves out slots") && !log.contains("too late"), "{log}");
    cloud.has_every_slot("acme/asks", "asking.status", &cloud.guests_of(0..2));
    cloud.has_every_slot("acme/converts", "own.up", &cloud.guests_of(0..2));
}

/// A version that is tried out when the daemon ends is not waited for, and nothing is held against it. What runs has
/// that slot, however long the other one might have taken.
#[test]
fn a_version_that_is_slow_when_the_daemon_ends_costs_no_slot_and_no_trial() {
    let cloud = cloud();
    let config = cloud.folder.read("wasmeter.yaml").replace("offset: 0s", "offset: 0s, drain: 10m");
    cloud.folder.write("wasmeter.yaml", config);
    let quick = Server::new(|_| page("ok"));
    let asks = |server: &Server| {
        asks_patiently(&cloud, server);
        let file = cloud.folder.read("deployments.d/asks-acme.yaml");
        // No slot comes while it waits.
        cloud.folder.write("deployments.d/asks-acme.yaml", file.replace("interval: 1\n", "interval: 10\n"));
    };
    asks(&quick);
    let daemon = cloud.folder.start("run");
    cloud.slots(2);
    let never = Server::new(|_| page("too late"));
    never.answers.store(false, Ordering::SeqCst);
    asks(&never);
    daemon.signal(Signal::HUP);
    until("it is tried out", || (!never.seen().is_empty()).then_some(()));
    let slots = quick.seen().len();
    let log = daemon.end();
    assert!(!log.contains("version 2 is given up") && !log.contains("version 2 did well"), "{log}");
    assert_eq!(cloud.measured("acme/asks", "asking.status").len(), slots, "the last one landed, too");

    never.answers.store(true, Ordering::SeqCst);
    let daemon = cloud.folder.start("run");
    said(&daemon, "Deployment: version 2 did well when it was tried out, and is on trial.");
    daemon.end();
}

/// A call that failed after a request is not made again for some of its guests; what cannot be paid for is not asked.
#[test]
fn requests_are_made_once_and_paid_for_first() {
    let cloud = cloud();
    let (server, unasked) = (Server::new(|_| page("ok")), Server::new(|_| page("ok")));
    let asks = |server: &Server, fail: bool| json!({"requests": [{"url": server.url("/granted")}], "fail": fail});
    deploy(&cloud, "acme", "fails", &granted(&server), &asks(&server, true), "");
    deploy(
        &cloud,
        "acme",
        "poor",
        &granted(&unasked),
        &asks(&unasked, false),
        "fuel_base: 4000000\nfuel_per_resource: 1",
    );
    let often = Server::new(|_| page("ok"));
    let many = json!({"requests": [{"url": often.url("/granted"), "times": 4}]});
    let grants = format!("{}, requests: {{per_minute: 2}}", granted(&often));
    deploy(&cloud, cloud.single(), "often", &grants, &many, "");
    let daemon = cloud.folder.start("run");
    until("all in quarantine", || {
        (daemon.log().matches("it is in quarantine after 3 failing slots in a row").count() == 2).then_some(())
    });
    said(&daemon, "A request was refused: there were more than 2 requests a minute; the next one is possible in");
    // Another version begins where the one before it was.
    let asked = often.seen().len();
    deploy(&cloud, cloud.single(), "often", &grants, &many, "deadline: 30s");
    daemon.signal(Signal::HUP);
    said(&daemon, "Deployment: version 2 did well when it was tried out, and is on trial.");
    cloud.slots(2);
    let log = daemon.end();
    assert!(often.seen().len() <= asked + 2, "{asked} and then {}", often.seen().len());
    assert!(log.contains("as it was told, after answered 200"), "{log}");
    assert_eq!(server.seen().len(), 3, "{log}");
    assert!(log.contains("a request to 127.0.0.1 costs more fuel than is left"), "{log}");
    assert!(unasked.seen().is_empty());
}

/// Without the grants clocks stand at the slot's time; with them they show the time.
#[test]
fn clocks_and_random_numbers_are_granted() {
    let cloud = cloud();
    let server = Server::new(|_| page("ok"));
    let config = json!({"sleep": 20, "random": true});
    deploy(&cloud, "acme", "coarse", &granted(&server), &config, "");
    deploy(&cloud, cloud.single(), "fine", &format!("{}, clock: true, random: true", granted(&server)), &config, "");
    let daemon = cloud.folder.start("run");
    let lines = |log: &str, name: &str, words: &str| -> Vec<String> {
        let module = format!("module=\"{name}\"");
        let of_module = log.lines().filter(|line| line.contains(&module) && line.contains(words));
        of_module.map(|line| line[line.find(words).unwrap()..].to_owned()).collect()
    };
    until("two slots", || {
        let log = daemon.log();
        ["coarse", "fine"].iter().all(|name| lines(&log, name, "random ").len() >= 2).then_some(())
    });
    let log = daemon.end();
    let times = |name: &str| -> Vec<[i128; 3]> {
        let numbers = |line: &String| {
            let words: Vec<&str> = line.split_whitespace().collect();
            [words[1], words[3], words[5]].map(|word| word.parse().unwrap())
        };
        lines(&log, name, "slot ").iter().map(numbers).collect()
    };
    for [slot, clock, slept] in times("coarse") {
        assert!(slot == clock && slept == 0, "{slot} {clock} {slept}");
    }
    for [slot, clock, slept] in times("fine") {
        assert!(clock > slot && clock < slot + 120_000_000_000 && slept >= 20, "{slot} {clock} {slept}");
    }
    for name in ["coarse", "fine"] {
        let mut numbers = lines(&log, name, "random ");
        let all = numbers.len();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), all, "{name}");
    }
}

/// The example makes meters of what an application on a guest says, asked by name.
#[test]
fn an_application_is_metered() {
    let cloud = cloud();
    let server = Server::new(|_| page("# TYPE jobs gauge\njobs{queue=\"a\"} 3\njobs{queue=\"b\"} 4\nups_total 1e3\n"));
    let url = format!("http://localhost:{}/metrics", server.address.port());
    let guests = cloud.guests_of(0..2);
    let guest = guests.iter().next().unwrap();
    let config = json!({
        "targets": [{"guest": guest, "url": url}],
        "headers": {"x-token": "{{secret:token}}"},
        "series": [
            {"series": "jobs", "meter": "app.jobs", "unit": "job", "type": "gauge"},
            {"series": "ups_total", "meter": "app.ups", "type": "cumulative"},
        ],
    });
    let grants = format!(
        "grants: {{names: [app.], http: ['GET {url}'], addresses: [127.0.0.1, '::1'], secrets: {{token: {{file: token}}}}}}"
    );
    cloud.deploy("acme", "app", "http_exporter", &format!("{grants}\nconfig: {config}"));
    let daemon = cloud.folder.start("run");
    until("samples", || (cloud.measured("acme/app", "app.jobs").len() >= 2).then_some(()));
    let log = daemon.end();
    let all = samples_so_far(&cloud.folder.read("samples"));
    for (meter, volume, unit) in [("app.jobs", 7, "job"), ("app.ups", 1000, "")] {
        for sample in of_meter(&all, meter) {
            assert_eq!((text(sample, "resource_id"), text(sample, "counter_unit")), (*guest, unit));
            assert_eq!(sample["counter_volume"], volume);
        }
    }
    assert!(server.seen()[0].contains(&format!("x-token: {SECRET}\r\n")));
    assert!(!log.contains(SECRET), "{log}");
}

/// Over TLS, to whom the machine trusts and under the name that the certificate has: the daemon's own metrics, behind a
/// password.
#[test]
fn a_server_has_to_be_trusted() {
    let metrics = "metrics: {listen: '127.0.0.1:0', tls: {certificate: certificate, key: key}, \
                   users: {acme: {password_file: deployments.d/token}}}";
    let cloud = Cloud::new(metrics);
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    cloud.folder.write("certificate", made.cert.pem());
    cloud.folder.write("key", made.signing_key.serialize_pem());
    cloud.folder.write("deployments.d/token", SECRET);
    // The user and the password as a header has them.
    let login = "YWNtZTpzM2NyZXQtMGYtYWNtZQ==";
    cloud.folder.write("deployments.d/login", login);
    cloud.folder.write("deployments.d/http_exporter.wasm", std::fs::read(http_exporter()).unwrap());
    let guests = cloud.guests_of(0..2);
    let guest = guests.iter().next().unwrap();
    let daemon = cloud.folder.start_by_shell("SSL_CERT_FILE=certificate exec $wasmeter run -c wasmeter.yaml");
    let log = until("an address", || Some(daemon.log()).filter(|log| log.contains("Metrics are at /metrics")));
    let port = log.split_once("address=127.0.0.1:").unwrap().1.split(' ').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("https://{host}:{port}/metrics");
        let config = json!({
            "targets": [{"guest": guest, "url": url}],
            "headers": {"authorization": "Basic {{secret:login}}"},
            "series": [{"series": "ceilometer_cpu", "meter": "app.cpu", "unit": "ns", "type": "gauge"}],
        });
        let grants = format!(
            "names: [app.], http: ['{url}'], addresses: [127.0.0.1, '::1'], secrets: {{login: {{file: login}}}}"
        );
        let name = format!("of-{}", host.replace('.', "-"));
        cloud.deploy("acme", &name, "http_exporter", &format!("grants: {{{grants}}}\nconfig: {config}\nmemory: 8MiB"));
    }
    daemon.signal(Signal::HUP);
    until("samples", || (cloud.measured("acme/of-127-0-0-1", "app.cpu").len() >= 2).then_some(()));
    said(&daemon, "localhost cannot be trusted: its certificate is for another name");
    let log = daemon.end();
    assert!(cloud.measured("acme/of-localhost", "app.cpu").is_empty());
    assert!(!log.contains(SECRET) && !log.contains(login), "{log}");
}
