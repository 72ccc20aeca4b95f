//! Many tenants with many modules, a fifth of which do whatever can be done wrong: nobody sees anything of anybody
//! else's, and whoever is honest loses nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::process::{Signal, geteuid};
use serde_json::{Value, json};
use wasmeter::digest::Digest;
use wasmeter_rig::{CannotRun, or_say};

use super::deploying::try_ask;
use super::requests::{Server, page};
use crate::exporter;
use crate::support::kinds::{self, Ends, Kind};
use crate::support::program::{Daemon, Folder, of_meter, samples_in, text, until};
use crate::support::{asking, repeat, resources};

const GUESTS: &str = "sim://?domains=500&seed=3&calm=true&disks=1&nics=1";
const TENANTS: usize = 50;
const MODULES: usize = 4;
/// One of so many is hostile.
const HOSTILE: usize = 5;
/// Slots that are watched; with WASMETER_REPEAT more, up to as many as show whether memory grows.
const SLOTS: u32 = 12;
const MOST_SLOTS: u32 = 1_000;
/// Seconds from slot to slot. Two hundred modules take one of them where nothing is optimised, and more where other
/// tests run beside them and have the disk sync all the time.
const INTERVAL: u64 = if cfg!(debug_assertions) { 10 } else { 1 };
/// What modules may ask, and should not have, with what is said of that.
const PATHS: [(&str, &[&str]); 5] = [
    ("/granted/metadata", &["GET http://169.254.169.254/latest/meta-data/, where a redirect leads, is not granted"]),
    ("/granted/aside", &[]),
    ("/granted/round", &["redirects once more after"]),
    ("/granted/large", &[]),
    ("/granted/slow", &[]),
];
/// A name of which the answer changes, from an address that is granted to one that nobody may reach.
const CHANGING: &str = "changing.example";
const CHANGES: [&str; 2] = ["127.0.0.1", "127.0.0.2"];
/// What the memory of the daemon may differ by, from the first half of the last slots to the second.
const FLAT: u64 = 16 << 20;

/// Who is who among the guests.
struct Cloud {
    folder: Folder,
    /// Guests of each tenant.
    guests: Vec<usize>,
    /// Whose each id and name is; none where no tenant has it.
    whose: HashMap<String, Option<usize>>,
}

/// What can be done wrong.
struct Wrong {
    bytes: Arc<[u8]>,
    config: String,
    /// Grants beside those that all have.
    grants: String,
    /// What the server is asked for by it.
    asks: Option<&'static str>,
    /// What is said of it in the log.
    said: &'static [&'static str],
    /// Whether it is about a name of which the answer changes once its server was asked.
    changes: bool,
}

/// What came of honest modules so far, by source and slot.
#[derive(Default)]
struct Came {
    read: u64,
    operators: BTreeMap<String, usize>,
    sources: BTreeMap<String, BTreeMap<String, usize>>,
}

fn tenant(number: usize) -> String {
    format!("tenant{number:02}")
}

fn is_hostile(tenant: usize, module: usize) -> bool {
    (tenant * MODULES + module) % HOSTILE == HOSTILE - 1
}

// === impl Cloud ===

impl Cloud {
    fn new() -> Self {
        let once = Folder::measuring(GUESTS, "").run("once --format json").is(0);
        let samples = samples_in(&once.stdout);
        let mut projects: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for sample in of_meter(&samples, "cpu") {
            projects.entry(text(sample, "project_id")).or_default().push(sample);
        }
        assert!(projects.len() >= 2 * TENANTS, "{} projects", projects.len());
        let (mut whose, mut guests, mut tenants) = (HashMap::new(), vec![0; TENANTS], String::new());
        for (place, (project, samples)) in projects.iter().enumerate() {
            let owner = (place / 2 < TENANTS).then_some(place / 2);
            let mut is = |known: &str| {
                let before = whose.insert(known.to_owned(), owner);
                assert!(before.is_none_or(|before| before == owner), "{known} is anybody's");
            };
            is(project);
            for sample in samples {
                is(text(sample, "user_id"));
                is(text(sample, "resource_id"));
                is(text(&sample["resource_metadata"], "display_name"));
                is(text(&sample["resource_metadata"], "name"));
            }
            if let Some(owner) = owner {
                guests[owner] += samples.len();
            }
        }
        let all: Vec<&&str> = projects.keys().collect();
        for number in 0..TENANTS {
            let (one, other) = (all[2 * number], all[2 * number + 1]);
            writeln!(tenants, "  {}: {{projects: ['{one}', '{other}']}}", tenant(number)).unwrap();
        }
        let folder = Folder::measuring(
            GUESTS,
            &format!(
                "schedule: {{offset: 0s}}\ndeployments: deployments.d\noutputs: [{{file: samples, max_size: 100GiB}}]\n\
                 metrics: {{listen: '127.0.0.1:0'}}\nbudget: {{node: 6400%, tenant: 6400%}}\n\
                 tenants:\n{tenants}"
            ),
        );
        folder.write("polling.yaml", format!("sources: [{{name: a, interval: {INTERVAL}, meters: [cpu]}}]\n"));
        std::fs::create_dir(folder.path("deployments.d")).unwrap();
        Self { folder, guests, whose }
    }

    /// Starts the daemon where the test says which addresses names have.
    fn start(&self) -> Result<Daemon, CannotRun> {
        let user = if geteuid().is_root() { "" } else { "--user --map-root-user " };
        self.say(CHANGES[0]);
        let with_hosts =
            |script: &str| format!("unshare {user}--mount sh -c 'mount --bind hosts /etc/hosts && {script}'");
        let tried = Command::new("sh").args(["-c", &with_hosts("true")]).current_dir(self.folder.path("")).output()?;
        match tried.status.success() {
            true => {
                Ok(self.folder.start_by_shell(&format!("exec {}", with_hosts("exec $wasmeter run -c wasmeter.yaml"))))
            }
            false => Err(CannotRun::Namespaces(String::from_utf8_lossy(&tried.stderr).into_owned())),
        }
    }

    /// Which address the name has of which that changes.
    fn say(&self, address: &str) {
        self.folder.write("hosts", format!("127.0.0.1 localhost\n{address} {CHANGING}\n"));
    }

    fn deploy(&self, owner: usize, module: usize, bytes: &[u8], config: &str, (grants, more): (&str, &str)) {
        let (tenant, digest) = (tenant(owner), Digest::of(bytes));
        let file = self.folder.path(&format!("deployments.d/{digest}.wasm"));
        if !file.exists() {
            std::fs::write(file, bytes).unwrap();
        }
        let text = format!(
            "tenant: {tenant}\nname: m{module}\nfile: {digest}.wasm\ndigest: {digest}\ninterval: {INTERVAL}\n\
             config: {config:?}\ngrants: {{names: [probe., hostile., remembering., forged., other., asking.], groups: [cpu], \
             {grants}}}\n{more}\n"
        );
        self.folder.write(&format!("deployments.d/{tenant}-{module}.yaml"), text);
    }

    /// Each honest module sees what it can and says all of it, remembers, or measures.
    fn deploy_honest(&self) {
        let echo = std::fs::read(resources()).unwrap();
        let (hostile, remembering) = (crate::support::hostile(), std::fs::read(env!("REMEMBERING_WASM")).unwrap());
        for (owner, module) in modules().filter(|(owner, module)| !is_hostile(*owner, *module)) {
            match module % 4 {
                0 | 1 => self.deploy(owner, module, &echo, "{\"echo\": true, \"parts\": [\"own\"]}", ("", "")),
                2 => self.deploy(owner, module, &remembering, "1 0 0", ("", "")),
                _ => self.deploy(owner, module, &hostile, "", ("", "")),
            }
        }
    }

    /// The next so many kinds of what can be done wrong.
    fn deploy_hostile(&self, wrongs: &[&Wrong]) {
        let hostile = modules().filter(|(owner, module)| is_hostile(*owner, *module));
        for ((owner, module), Wrong { bytes, config, grants, .. }) in hostile.zip(wrongs) {
            // Others of its tenant wait while it burns what it may. Requests cost fuel, while nobody waits.
            let fuel = if grants.is_empty() { "fuel_base: 5000000" } else { "fuel_base: 1000000000" };
            self.deploy(owner, module, bytes, config, (grants, fuel));
        }
    }

    /// Everything in a text that is said to one tenant is its own or nobody's.
    fn is_own(&self, owner: usize, text: &str) {
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
        for word in words.filter(|word| word.len() > 3) {
            // Devices and parts are called after their guest.
            let known = self.whose.get(word).or_else(|| self.whose.get(word.get(..36)?));
            assert!(known.is_none_or(|whose| *whose == Some(owner)), "{word} came to {}: {text}", tenant(owner));
        }
    }

    /// Reads on in the file of samples.
    fn read(&self, came: &mut Came) {
        // Nobody has written anything yet.
        let Ok(mut file) = File::open(self.folder.path("samples")) else { return };
        file.seek(SeekFrom::Start(came.read)).unwrap();
        let (mut lines, mut line) = (BufReader::new(file), String::new());
        loop {
            line.clear();
            let length = lines.read_line(&mut line).unwrap();
            if !line.ends_with('\n') {
                return;
            }
            came.read += length as u64;
            let sample: Value = serde_json::from_str(&line).unwrap();
            let slot = text(&sample, "timestamp").to_owned();
            let Some((owner, _)) = text(&sample, "source").split_once('/') else {
                *came.operators.entry(slot).or_default() += 1;
                continue;
            };
            let owner = owner.strip_prefix("tenant").unwrap().parse().unwrap();
            self.is_own(owner, &line);
            let project = text(&sample, "project_id");
            assert_eq!(self.whose[project], Some(owner), "{line}");
            if ["probe.up", "remembering.mark", "hostile.time"].contains(&text(&sample, "counter_name")) {
                let of_source = came.sources.entry(text(&sample, "source").to_owned()).or_default();
                *of_source.entry(slot).or_default() += 1;
            }
        }
    }

    /// Waits until the operator has so many slots.
    fn slots(&self, came: &mut Came, slots: usize) {
        until("slots", || {
            self.read(came);
            (came.operators.len() > slots).then_some(())
        });
    }

    /// What modules log and what is shown of them, to whoever asks about one of them.
    fn logs_are_own(&self) {
        for (owner, module) in modules() {
            for path in ["", "/log"] {
                let path = format!("/deployments/{}/m{module}{path}", tenant(owner));
                let Some((status, said)) = try_ask(&self.folder, "GET", &path, b"") else { panic!("nobody answers") };
                // What never ran is not there.
                assert!(status == 200 || is_hostile(owner, module), "{path}: {status}");
                self.is_own(owner, &said);
                assert!(path.ends_with("log") || module != 0 || status != 200 || said.len() > 100, "{said}");
            }
        }
    }

    fn metrics_are_own(&self, daemon: &Daemon) {
        let metrics = exporter::page::body(&exporter::page::get(&exporter::address(daemon), ""));
        let mut sources = 0;
        for line in metrics.lines() {
            if let Some((_, rest)) = line.split_once("source=\"tenant") {
                sources += 1;
                self.is_own(rest[..2].parse().unwrap(), line);
            }
        }
        assert!(sources > TENANTS * 10, "{sources} series of tenants");
    }
}

fn modules() -> impl Iterator<Item = (usize, usize)> {
    (0..TENANTS).flat_map(|owner| (0..MODULES).map(move |module| (owner, module)))
}

/// A server that does what it can to modules: leads elsewhere, answers without end, or not at all until the test is over.
fn server(over: &Arc<(Mutex<bool>, Condvar)>) -> Server {
    let over = Arc::clone(over);
    Server::new(move |request| match request.split(' ').nth(1) {
        Some("/granted/metadata") => {
            "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n\r\n".to_owned()
        }
        Some("/granted/aside") => "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\n\r\n".to_owned(),
        Some("/granted/round") => "HTTP/1.1 302 Found\r\nLocation: /granted/round\r\n\r\n".to_owned(),
        Some("/granted/large") => page(&"x".repeat(2 << 20)),
        Some("/granted/slow") => {
            // Longer than anybody waits.
            let (over, changed) = &*over;
            let waited = changed.wait_timeout_while(over.lock().unwrap(), Duration::from_secs(20), |over| !*over);
            drop(waited.unwrap());
            page("late")
        }
        _ => page("ok"),
    })
}

/// All that can be done wrong.
fn wrongs(server: &Server) -> Vec<Wrong> {
    let is_wrong = |kind: &Kind| kind.ends != Ends::Landing || !kind.config.is_empty();
    let wrong = |bytes, config| Wrong { bytes, config, grants: String::new(), asks: None, said: &[], changes: false };
    let kinds = kinds::all().into_iter().filter(is_wrong);
    let mut wrongs: Vec<Wrong> = kinds.map(|kind| wrong(kind.bytes, kind.config)).collect();
    // Gives a meter of the operator's.
    let cpu = wasmeter::modules::built_in().find(|module| module.name == "cpu").unwrap();
    wrongs.push(wrong(cpu.wasm.into(), String::new()));
    let asking: Arc<[u8]> = std::fs::read(asking()).unwrap().into();
    let here = format!("http: ['GET,POST {}'], addresses: [127.0.0.1]", server.url("/granted"));
    let mut asks = |requests: Value, grants: &str, asks, said| {
        let (bytes, config) = (Arc::clone(&asking), json!({"requests": requests}).to_string());
        wrongs.push(Wrong { bytes, config, grants: grants.to_owned(), asks, said, changes: false });
    };
    for (path, said) in PATHS {
        asks(json!([{"url": server.url(path)}]), &here, Some(path), said);
    }
    // What is granted to nobody, and a name that leads where nobody may go.
    let ungranted =
        ["http://169.254.169.254/latest/meta-data/".to_owned(), server.url("/"), server.url("/granted/../x")];
    let ungranted = ungranted.map(|url| json!({"url": url}));
    asks(json!(ungranted), &here, None, &["GET http://169.254.169.254/latest/meta-data/ is not granted"]);
    let by_name = format!("http://localhost:{}/granted", server.address.port());
    let grant = format!("http: ['{by_name}']");
    let said = &["localhost has an address that is not public, so no connection is made"];
    asks(json!([{"url": by_name}]), &grant, None, said);
    // More than it may, as fast as it can.
    asks(json!([{"url": server.url("/granted"), "times": 100}]), &here, Some("/granted"), &[]);
    // What a name leads to is granted when it is asked first, and not any more when it is asked again.
    let changing = format!("http://{CHANGING}:{}/granted/changing", server.address.port());
    let grant = format!("http: ['{changing}'], addresses: [{}]", CHANGES[0]);
    let said = &["changing.example has an address that is not public, so no connection is made"];
    asks(json!([{"url": changing}]), &grant, Some("/granted/changing"), said);
    if let Some(last) = wrongs.last_mut() {
        last.changes = true;
    }
    wrongs
}

/// What the server was asked for.
fn asked(server: &Server) -> BTreeSet<String> {
    server.seen().iter().map(|seen| seen.split(' ').nth(1).unwrap().to_owned()).collect()
}

/// What the daemon says about a tenant is said about nobody else.
fn log_is_own(cloud: &Cloud, daemon: &Daemon) {
    for line in daemon.log().lines() {
        if let Some((_, rest)) = line.split_once("tenant=\"tenant") {
            cloud.is_own(rest[..2].parse().unwrap(), line);
        }
    }
}

#[test]
fn a_fifth_that_is_hostile_costs_nobody_anything() {
    let (cloud, over) = (Cloud::new(), Arc::<(Mutex<bool>, Condvar)>::default());
    let server = server(&over);
    let elsewhere = TcpListener::bind((CHANGES[1], server.address.port())).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let wrongs = wrongs(&server);
    let slots = (SLOTS * repeat()).min(MOST_SLOTS) as usize;
    let at_once = modules().count() / HOSTILE;
    let rounds = wrongs.len().div_ceil(at_once);
    assert!(rounds >= 3 && slots >= 2 * rounds, "{rounds} rounds in {slots} slots");
    let of_round = |round: usize| wrongs.iter().cycle().skip(round * at_once).take(at_once).collect::<Vec<_>>();
    cloud.deploy_honest();
    cloud.deploy_hostile(&of_round(0));
    let Some(daemon) = or_say(cloud.start()) else { return };
    let (mut came, mut memory) = (Came::default(), Vec::new());
    for round in 0..rounds {
        if round > 0 {
            cloud.deploy_hostile(&of_round(round));
            daemon.signal(Signal::HUP);
        }
        for slot in (0..slots).filter(|slot| slot * rounds / slots == round) {
            cloud.slots(&mut came, slot + 1);
            memory.push(daemon.memory());
        }
        // Each of them was at it before the next ones come.
        for Wrong { asks, said, changes, .. } in of_round(round) {
            until("what is asked", || asks.is_none_or(|path| asked(&server).contains(path)).then_some(()));
            if *changes {
                cloud.say(CHANGES[1]);
            }
            for words in *said {
                until(words, || daemon.log().contains(words).then_some(()));
            }
        }
        cloud.logs_are_own();
        cloud.metrics_are_own(&daemon);
    }
    log_is_own(&cloud, &daemon);
    let log = daemon.end();
    *over.0.lock().unwrap() = true;
    over.1.notify_all();
    let granted: BTreeSet<String> = wrongs.iter().filter_map(|wrong| wrong.asks).map(str::to_owned).collect();
    assert_eq!(asked(&server), granted, "no server hears of what is not granted");
    let reached = elsewhere.accept().map(|(_, from)| from);
    assert!(reached.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{reached:?}");
    cloud.read(&mut came);
    let mut missing = Vec::new();
    // The first slot is at the start, and the second one on the grid, which may leave next to no time between them.
    let soon = came.operators.keys().nth(1);
    for (owner, module) in modules().filter(|(owner, module)| !is_hostile(*owner, *module)) {
        let source = format!("{}/m{module}", tenant(owner));
        let of_source = &came.sources[&source];
        let first = of_source.keys().next().unwrap();
        assert!(came.operators.keys().filter(|slot| *slot < first).count() <= 1, "{source} begins in {first}");
        for slot in came.operators.keys().filter(|slot| *slot >= first && Some(*slot) != soon) {
            let found = of_source.get(slot).copied().unwrap_or_default();
            if found != cloud.guests[owner] {
                missing.push(format!("{source} in {slot}: {found} of {}", cloud.guests[owner]));
            }
        }
    }
    let said = |line: &&str| {
        !line.contains("does not run") && !line.contains("goes on as it was") && !line.contains("Deployment: it is new")
    };
    let said: Vec<&str> = log.lines().filter(said).collect();
    assert!(missing.is_empty(), "{}\nof {:?}:\n{missing:#?}", said.join("\n"), came.operators);
    // Each round brings other modules; after the last one nothing more comes.
    let last = memory.split_off(slots - slots / rounds);
    let (first, second) = last.split_at(last.len() / 2);
    let most = |half: &[u64]| half.iter().copied().max().unwrap();
    assert!(most(second) <= most(first) + FLAT, "memory by slot: {memory:?}, then {last:?}");
    println!("{slots} slots, {} kinds of wrong, {} MiB", wrongs.len(), most(&last) >> 20);
}
