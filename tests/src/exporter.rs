//! Prometheus itself finds the daemon's metrics, and they are what files say.

pub mod page;
pub mod prometheus;
mod reaching;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::prometheus::{Prometheus, installed};
use crate::support::program::{Daemon, Folder, samples_so_far, slots, until};

/// A series: its labels, the name among them.
pub type Labels = BTreeMap<String, String>;

/// A host on which guests come and go.
const BUSY: &str = "sim://?domains=30&seed=3";
/// Encrypted, and for one user.
pub const SECURE: &str = "metrics:\n  listen: 127.0.0.1:0\n  tls: {certificate: certificate, key: key}\n  \
                      users: {prometheus: {password_file: password}}\n";
/// That user's password.
pub const PASSWORD: &str = "it's \"secret\": ü";

/// A threshold that is crossed once, and a mean of five seconds.
const NOW_AND_THEN: &str = r#"
sources: [{name: a, meters: [memory.usage], sinks: [raised, mean]}]
sinks:
    - name: raised
      transformers: [{name: threshold, parameters: {above: 0, target: {name: memory.raised}}}]
      publishers: ["test://"]
    - name: mean
      transformers: [{name: aggregator, parameters: {size: 0, retention_time: 5, target: {name: memory.mean}}}]
      publishers: ["test://"]
"#;

/// Makes a certificate for this machine, and the user's password.
pub fn secure(folder: &Folder) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    folder.write("certificate", made.cert.pem());
    folder.write("key", made.signing_key.serialize_pem());
    folder.write("password", format!("{PASSWORD}\n"));
}

/// The addresses at which a daemon says that metrics are.
fn addresses(daemon: &Daemon) -> Vec<String> {
    let log = daemon.log();
    let lines = log.lines().filter(|line| line.contains("Metrics are at /metrics"));
    lines.map(|line| line.split_once("address=").unwrap().1.split(' ').next().unwrap().to_owned()).collect()
}

pub fn address(daemon: &Daemon) -> String {
    until("an address", || addresses(daemon).last().cloned())
}

/// What a sample's series is called, and labels that tell it apart.
fn key(sample: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = format!("ceilometer_{}", text(&sample["counter_name"]).replace('.', "_"));
    let metadata = &sample["resource_metadata"];
    let names = format!("{}:{}", text(&metadata["display_name"]), text(&metadata["name"]));
    (name, text(&sample["resource_id"]), names)
}

/// Prometheus reads over TLS with a password what a file has of one of the slots that passed, and all of it.
#[test]
fn prometheus_has_what_files_have() {
    if !installed() {
        return;
    }
    let folder = Folder::measuring(BUSY, &format!("{SECURE}outputs: [{{file: samples, max_size: 1GiB}}]\n"));
    secure(&folder);
    let daemon = folder.start("run");
    let prometheus = Prometheus::start(&folder, &address(&daemon), PASSWORD);
    // Two scrapes, some slots apart.
    let scrapes = until("scrapes", || {
        let scrapes = prometheus.query("count_over_time(ceilometer_vcpus[1h])");
        scrapes.iter().any(|(_, count)| *count >= 5.0).then_some(scrapes)
    });
    assert!(!scrapes.is_empty());
    let found = prometheus.query("{__name__=~\"ceilometer_.*\"}");
    assert!(found.len() > 300, "{}", found.len());
    let all = samples_so_far(&folder.read("samples"));
    let mut values: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for sample in &all {
        values.entry(key(sample)).or_default().insert(sample["counter_volume"].as_f64().unwrap().to_string());
    }
    for (labels, value) in &found {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let measured = values.get(&(label("__name__"), label("resource"), label("resource_name")));
        let measured = measured.unwrap_or_else(|| panic!("{labels:?} is in no slot"));
        assert!(measured.contains(&value.to_string()), "{labels:?}: {value} is not among {measured:?}");
        assert_eq!((&*label("job"), &*label("publisher")), ("wasmeter", "ceilometer"));
    }
    let types = prometheus.types();
    assert_eq!((&*types["ceilometer_vcpus"], &*types["ceilometer_cpu"]), ("gauge", "unknown"));
    assert_eq!(prometheus.query("up"), [(found_up(&address(&daemon)), 1.0)]);
    assert_eq!(prometheus.query("wasmeter_build_info").len(), 1);
    drop(prometheus);
    daemon.end();
}

fn found_up(instance: &str) -> Labels {
    [("__name__", "up"), ("instance", instance), ("job", "wasmeter")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// A page has exactly the series of the last slot of each meter, and never less.
#[test]
fn a_page_is_a_slot() {
    let config = "metrics: {listen: '127.0.0.1:0'}\noutputs: [{file: samples, max_size: 1GiB}]\n";
    let folder = Folder::measuring("sim://?domains=30&calm=true&disks=2&nics=1", config);
    let daemon = folder.start("run");
    let address = address(&daemon);
    until("a slot", || (!folder.read("samples").is_empty()).then_some(()));
    let mut sizes = BTreeSet::new();
    let mut last = String::new();
    let mut different = 0;
    // Through several slots without a pause, so that some pages are read while a slot is stored.
    until("three slots", || {
        let page = page::get(&address, "");
        assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
        let series: Vec<&str> = page.lines().filter(|line| line.starts_with("ceilometer_cpu{")).collect();
        let body = series.join("\n");
        sizes.insert(page.lines().filter(|line| line.starts_with("ceilometer_")).count());
        different += usize::from(body != last);
        last = body;
        (different > 3).then_some(())
    });
    daemon.end();
    let samples = folder.samples("samples");
    let slots = slots(&samples);
    // Deltas come with the second slot.
    let expected: BTreeSet<usize> = slots.iter().map(Vec::len).collect();
    assert!(sizes.is_subset(&expected), "{sizes:?} {expected:?}");
    // All values of one meter are of one slot.
    let cpu = |slot: &[&Value]| -> BTreeSet<String> {
        let cpu = slot.iter().filter(|sample| sample["counter_name"] == "cpu");
        cpu.map(|sample| sample["counter_volume"].to_string()).collect()
    };
    let told: BTreeSet<String> = last.lines().map(|line| line.rsplit_once(' ').unwrap().1.to_owned()).collect();
    assert!(slots.iter().any(|slot| cpu(slot) == told), "{told:?}");
}

/// Names of simulated guests have quotes, control characters and other scripts in them.
#[test]
fn promtool_finds_nothing_to_complain_of() {
    if !installed() {
        return;
    }
    let folder = Folder::measuring(BUSY, "metrics: {listen: '127.0.0.1:0'}\nmodules: {mitaka: {}, deep: {}}\n");
    let daemon = folder.start("run");
    let address = address(&daemon);
    let page = until("two slots", || {
        let page = page::body(&page::get(&address, ""));
        page.contains("ceilometer_network_incoming_bytes_delta{").then_some(page)
    });
    assert_eq!(prometheus::complaints(&page), "");
    assert!(!prometheus::complaints(&page.replace("untyped", "counter")).is_empty());
    daemon.end();
}

/// What transformers give now and then is there as long as what they are given is.
#[test]
fn what_transformers_give_now_and_then_stays() {
    let config = "metrics: {listen: '127.0.0.1:0'}\npipeline: pipeline.yaml\n\
                  transform: [{meters: [memory.usage], module: threshold, config: {above: 0}}]\n\
                  outputs: [{file: samples, max_size: 1GiB}]\n";
    let folder = Folder::measuring("sim://?domains=5&calm=true", config);
    folder.poll(&["memory.usage"]);
    folder.pipe_samples(NOW_AND_THEN);
    let daemon = folder.start("run");
    let address = address(&daemon);
    let (mut seen, mut all_seen) = (BTreeSet::new(), None);
    until("slots after all of them", || {
        let page = page::get(&address, "");
        let count = |name: &str| page.lines().filter(|line| line.starts_with(&format!("ceilometer_{name}{{"))).count();
        for made in ["memory_usage_threshold", "memory_raised", "memory_mean"] {
            if seen.contains(made) {
                assert_eq!(count(made), count("memory_usage"), "{made}:\n{page}");
            } else if count(made) > 0 {
                seen.insert(made);
            }
        }
        let slots = slots(&samples_so_far(&folder.read("samples"))).len();
        if seen.len() < 3 {
            return None;
        }
        (slots > *all_seen.get_or_insert(slots) + 6).then_some(())
    });
    daemon.end();
}

/// Guests of this host stop and move away.
#[test]
fn series_go_with_their_guests() {
    let config = "metrics: {listen: '127.0.0.1:0'}\noutputs: [{file: samples, max_size: 1GiB}]\n";
    // Of so many, one goes every few seconds.
    let folder = Folder::measuring("sim://?domains=1000&seed=3", config);
    folder.poll(&["cpu", "vcpus"]);
    let daemon = folder.start("run");
    let address = address(&daemon);
    let guests = |page: &str| -> BTreeSet<String> {
        let lines = page.lines().filter(|line| line.starts_with("ceilometer_vcpus{"));
        lines.map(|line| line.split_once("resource=\"").unwrap().1.split('"').next().unwrap().to_owned()).collect()
    };
    let mut seen = BTreeSet::new();
    let (gone, page) = until("a guest that is gone", || {
        let page = page::get(&address, "");
        let now = guests(&page);
        seen.extend(now.iter().cloned());
        let gone = seen.difference(&now).next().cloned();
        gone.map(|gone| (gone, page))
    });
    assert!(!page.contains(&format!("ceilometer_cpu{{cpu=\"{gone}\"")), "{gone}");
    daemon.end();
    let samples = folder.samples("samples");
    assert!(samples.iter().any(|sample| sample["resource_id"] == *gone), "{gone} was never measured");
}
