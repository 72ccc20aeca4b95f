//! `wasmeter import`: our configuration, made of Ceilometer's.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;

use crate::support::program::{Folder, Ran, run};

/// Folders of Ceilometer's, as those who install it make them, and beside each what is said of it.
const FOLDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/ceilometer");
/// What is a secret in any of them.
const SECRETS: [&str; 6] = ["hunter2", "devpass", "pass@", "kolla-secret-2", "rhoso-secret", "DEFAULT_is_no_name"];

const CONF: &str = "[DEFAULT]\nhost = compute-1\nlibvirt_uri = sim://?domains=3&calm=true\n";
const POLLING: &str = "sources: [{name: a, interval: 60, meters: [cpu]}]\n";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        if from.is_dir() { copy(&from, &to) } else { fs::write(&to, fs::read(&from).unwrap()).unwrap() }
    }
}

/// A folder of Ceilometer's within one of ours.
fn folder(conf: &str) -> Folder {
    let folder = Folder::new("");
    fs::create_dir(folder.path("etc")).unwrap();
    folder.write("etc/ceilometer.conf", conf);
    folder.write("etc/polling.yaml", POLLING);
    folder
}

/// Imports the folder; the arguments contain no blanks.
fn import(folder: &Folder, line: &str) -> Ran {
    run(&format!("import {} {line}", folder.path("etc").display()))
}

fn out(folder: &Folder) -> String {
    fs::create_dir_all(folder.path("out")).unwrap();
    folder.path("out").display().to_string()
}

fn mode(folder: &Folder, name: &str) -> u32 {
    fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777
}

/// Names of what is in a folder.
fn names(folder: &Folder, name: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.path(name)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn folders_as_they_are_found_become_ours() {
    let mut wrong = String::new();
    for name in ["debian", "devstack", "kolla", "mitaka", "rhoso", "tripleo"] {
        let folder = Folder::new("");
        copy(&Path::new(FOLDERS).join(name), &folder.path("etc"));
        let ran = import(&folder, "").is(0);
        let said =
            format!("{}----{}", ran.stdout, ran.stderr).replace(&folder.path("etc").display().to_string(), "FOLDER");
        let json = import(&folder, "--json").is(0);
        for secret in SECRETS {
            assert!(!said.contains(secret) && !json.stdout.contains(secret), "{name}: {secret}");
        }
        assert_eq!(names(&folder, "etc"), names_of(name), "something was written");
        let expected = fs::read_to_string(Path::new(FOLDERS).join(format!("{name}.txt"))).unwrap_or_default();
        if said != expected {
            wrong += &format!("==== {name}.txt\n{said}");
        }
    }
    assert!(wrong.is_empty(), "what is said instead:\n{wrong}");
}

fn names_of(name: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(FOLDERS).join(name)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn everything_is_written_with_secrets_in_files_of_their_own() {
    let secret = "[publisher]\ntelemetry_secret = hunter2\n";
    let folder = folder(&format!("{CONF}transport_url = rabbit://u:hunter2@h:5672/v\n{secret}"));
    let out = out(&folder);
    import(&folder, &format!("--output {out} --copy"))
        .is(0)
        .says("Taken over")
        .says("written: ")
        .says("next:    chown wasmeter ")
        .says("next:    wasmeter check");
    assert_eq!(names(&folder, "out"), ["notifier.secret", "notifier.url", "polling.yaml", "wasmeter.yaml"]);
    assert_eq!(folder.read("out/notifier.url"), "rabbit://u:hunter2@h:5672/v");
    assert_eq!(folder.read("out/notifier.secret"), "hunter2");
    assert_eq!(folder.read("out/polling.yaml"), POLLING);
    assert_eq!(["notifier.url", "notifier.secret"].map(|name| mode(&folder, &format!("out/{name}"))), [0o600, 0o600]);
    assert_eq!(["wasmeter.yaml", "polling.yaml"].map(|name| mode(&folder, &format!("out/{name}"))), [0o640, 0o640]);
    let yaml = folder.read("out/wasmeter.yaml");
    assert!(yaml.contains("url_file: notifier.url") && !yaml.contains("hunter2"), "{yaml}");
}

#[test]
fn what_is_there_already_is_kept_unless_told_otherwise() {
    let folder = folder(&format!("{CONF}transport_url = rabbit://u:p@h/\n"));
    let out = out(&folder);
    folder.write("out/notifier.url", "old");
    fs::set_permissions(folder.path("out/notifier.url"), PermissionsExt::from_mode(0o666)).unwrap();
    let refused = import(&folder, &format!("--output {out}/mine.yaml")).is(64);
    refused.complains(&format!("/notifier.url is there already, beside the file {out}/mine.yaml; "));
    assert_eq!(names(&folder, "out"), ["notifier.url"]);
    assert_eq!(folder.read("out/notifier.url"), "old");
    // A link is there, too, even if it leads nowhere.
    symlink("nowhere", folder.path("out/mine.yaml")).unwrap();
    fs::remove_file(folder.path("out/notifier.url")).unwrap();
    import(&folder, &format!("--output {out}/mine.yaml")).is(64).complains("mine.yaml is there already");
    fs::remove_file(folder.path("out/mine.yaml")).unwrap();
    folder.write("out/mine.yaml", "host: old\n");
    fs::set_permissions(folder.path("out/mine.yaml"), PermissionsExt::from_mode(0o604)).unwrap();
    folder.write("out/notifier.url", "old");
    fs::set_permissions(folder.path("out/notifier.url"), PermissionsExt::from_mode(0o666)).unwrap();
    let owner = fs::metadata(folder.path("out/mine.yaml")).unwrap().uid();
    import(&folder, &format!("--output {out}/mine.yaml --force")).is(0);
    assert_eq!(names(&folder, "out"), ["mine.yaml", "notifier.url"]);
    assert_eq!((mode(&folder, "out/mine.yaml"), mode(&folder, "out/notifier.url")), (0o604, 0o600));
    assert_eq!(fs::metadata(folder.path("out/mine.yaml")).unwrap().uid(), owner);
    assert!(folder.read("out/mine.yaml").contains("host: compute-1"));
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let folder = folder(&format!("{CONF}transport_url = rabbit://u:p@h/\n"));
    let out = out(&folder);
    for place in ["nowhere/wasmeter.yaml", "nowhere/"] {
        let remedy = format!("Make the folder first (mkdir -p {out}/nowhere), or name one that is there");
        import(&folder, &format!("--output {out}/{place}"))
            .is(1)
            .complains("is not written: No such file")
            .complains(&remedy);
    }
    assert!(names(&folder, "out").is_empty());
    // The last of the files cannot take the place of a folder.
    fs::create_dir_all(folder.path("out/notifier.url/x")).unwrap();
    import(&folder, &format!("--output {out} --force")).is(1).complains("is not written");
    assert_eq!(names(&folder, "out"), ["notifier.url"]);
}

#[test]
fn what_is_wrong_is_told_at_once_and_nothing_is_written() {
    let folder = folder("[DEFAULT]\nhost = a b\nlibvirt_type = vmware\nhunter2\n");
    folder.write("etc/polling.yaml", "sources: [{name: a, interval: 0, meters: [cpu]}]");
    let out = out(&folder);
    let ran = import(&folder, &format!("--output {out}")).is(64);
    let words = [
        "etc/ceilometer.conf:4:1: error: the line is neither a section nor an option. Write",
        "etc/ceilometer.conf:2:1: error: `host` in [DEFAULT] is not a host's name. Write",
        "etc/ceilometer.conf:3:1: error: `libvirt_type` in [DEFAULT] is none of libvirt's drivers",
        "etc/polling.yaml:1:31: error: source `a`: Interval value should > 0",
        "error: nothing is imported",
    ];
    let ran = words.iter().fold(ran, |ran, words| ran.complains(words));
    assert!(!ran.stderr.contains("hunter2") && ran.stdout.is_empty(), "{}{}", ran.stdout, ran.stderr);
    assert!(names(&folder, "out").is_empty());
    let report = import(&folder, "--json").is(64).json();
    assert_eq!(report["config"], Value::Null);
    let errors = report["problems"].as_array().unwrap().iter().filter(|problem| problem["severity"] == "error");
    assert_eq!(errors.count(), 4);
}

#[test]
fn folders_that_are_none_are_told() {
    let folder = folder("");
    run("import /nowhere").is(64).complains("/nowhere: error: the folder cannot be read: No such file");
    let file = folder.path("etc/ceilometer.conf");
    run(&format!("import {}", file.display())).is(64).complains("Name the folder that ceilometer.conf is in");
    fs::remove_file(file).unwrap();
    let ran = import(&folder, "").is(64).complains("there is no ceilometer.conf in the folder");
    assert!(!ran.stderr.contains("transport_url"), "{}", ran.stderr);
    folder.write("etc/ceilometer.conf", "");
    fs::remove_file(folder.path("etc/polling.yaml")).unwrap();
    import(&folder, "")
        .is(64)
        .complains("polling.yaml: error: the file cannot be read")
        .complains("does not start without it");
    folder.write("etc/polling.yaml", POLLING);
    folder.write("etc/ceilometer.conf", b"[DEFAULT]\nhost = \xff\n");
    import(&folder, "").is(64).complains("ceilometer.conf: error: the file is not UTF-8 text (line 2)");
    fs::remove_file(folder.path("etc/ceilometer.conf")).unwrap();
    folder.pipe("etc/ceilometer.conf");
    import(&folder, "").is(64).complains("it is a pipe or a device");
}

/// A folder stands for /etc/ceilometer wherever it lies, and files in `ceilometer.conf.d` have the last word.
#[test]
fn files_are_read_in_the_order_in_which_ceilometer_reads_them() {
    let folder = folder("[DEFAULT]\nhost = first\n[polling]\ncfg_file = /etc/ceilometer/mine.yaml\n");
    folder.write("etc/mine.yaml", POLLING);
    for (name, host) in [("a.conf", "second"), ("b.conf", "third"), ("c.txt", "no"), (".d.conf", "no")] {
        fs::create_dir_all(folder.path("etc/ceilometer.conf.d")).unwrap();
        folder.write(&format!("etc/ceilometer.conf.d/{name}"), format!("[DEFAULT]\nhost = {host}\n"));
    }
    folder.write("etc/ceilometer-polling.conf", "[DEFAULT]\nhost = program\n");
    let report = import(&folder, "--json").is(0).json();
    assert_eq!(report["config"]["host"], "third");
    let polling = report["config"]["polling"].as_str().unwrap();
    assert!(polling.starts_with('/') && polling.ends_with("/etc/mine.yaml"), "{polling}");
    fs::create_dir_all(folder.path("etc/ceilometer-polling.conf.d")).unwrap();
    folder.write("etc/ceilometer-polling.conf.d/x.conf", "[DEFAULT]\nhost = last\n");
    assert_eq!(import(&folder, "--json").is(0).json()["config"]["host"], "last");
}

/// Adds what every configuration of the tests has.
fn with_the_cache_of_tests(folder: &Folder) {
    folder.write("out/wasmeter.yaml", folder.read("out/wasmeter.yaml") + &folder.read("wasmeter.yaml"));
}

#[test]
fn what_is_measured_can_be_checked() {
    let more = "reserved_metadata_keys = a,b\n[compute]\nreport_stopped_instance_metrics = 1\n\
                [polling]\nenable_notifications = no\n";
    let folder = folder(&format!("{CONF}{more}"));
    let out = out(&folder);
    for copy in ["", "--copy"] {
        import(&folder, &format!("--output {out} --force {copy}")).is(0).complains("sends nothing with these files");
        with_the_cache_of_tests(&folder);
        let report = run(&format!("check --json -c {out}/wasmeter.yaml")).is(0).json();
        let config = &report["config"];
        assert_eq!((&config["host"], &report["guests"]), (&"compute-1".into(), &3.into()));
        assert_eq!(config["guests"]["report_stopped"], true);
        assert_eq!(config["metadata"]["reserved_keys"], serde_json::json!(["a", "b"]));
        assert_eq!(config["polling"]["sources"][0]["interval"], 60);
    }
}

/// Ceilometer only warns of a discovery that it does not have, and so the source is metered.
#[test]
fn sources_with_other_discoveries_besides_can_be_checked() {
    let folder = folder(&format!("{CONF}[polling]\nenable_notifications = no\n"));
    let discovery = "discovery: [local_instances, endpoint]";
    folder.write("etc/polling.yaml", format!("sources: [{{name: a, interval: 10, meters: [cpu], {discovery}}}]\n"));
    let out = out(&folder);
    let check = format!("check --json -c {out}/wasmeter.yaml");
    import(&folder, &format!("--output {out}")).is(0).says("remove it from the source's `discovery`");
    with_the_cache_of_tests(&folder);
    run(&check).is(64);
    import(&folder, &format!("--output {out} --force --copy")).is(0).says("keeps the source's other discoveries");
    with_the_cache_of_tests(&folder);
    let report = run(&check).is(0).json();
    assert_eq!(report["config"]["polling"]["sources"][0]["discovery"], serde_json::json!(["local_instances"]));
}

#[test]
fn what_is_sent_can_be_checked() {
    let more = "transport_url = rabbit://u:p@h1:5672,u:p@h2:5672/v\n[oslo_messaging_rabbit]\nssl = 1\n\
                amqp_durable_queues = 1\nkombu_reconnect_delay = 2.5\nheartbeat_timeout_threshold = 30\n\
                [oslo_messaging_notifications]\ntopics = a,b\n[publisher]\ntelemetry_secret = hunter2\n\
                [polling]\nbatch_size = 100\nenable_prometheus_exporter = 1\n";
    let folder = folder(&format!("{CONF}{more}"));
    let out = out(&folder);
    import(&folder, &format!("--output {out} --copy")).is(0);
    with_the_cache_of_tests(&folder);
    let report = run(&format!("check --json -c {out}/wasmeter.yaml")).is(0);
    assert!(!report.stdout.contains("hunter2"), "{}", report.stdout);
    assert_eq!(report.json()["problems"], serde_json::json!([]));
}

/// It is measured and sent as the file says, and nothing else is.
#[test]
fn mitakas_folder_becomes_a_daemon_that_follows_its_pipelines() {
    let folder = Folder::new("");
    copy(&Path::new(FOLDERS).join("mitaka"), &folder.path("etc"));
    let conf = folder.read("etc/ceilometer.conf");
    folder
        .write("etc/ceilometer.conf", conf.replace("[DEFAULT]", "[DEFAULT]\nlibvirt_uri = sim://?domains=3&calm=true"));
    let out = folder.path("wasmeter.yaml").display().to_string();
    import(&folder, &format!("--output {out} --copy --force")).is(0).says("pipeline.yaml -> pipeline");
    assert_eq!(names(&folder, ""), ["etc", "notifier.secret", "notifier.url", "pipeline.yaml", "wasmeter.yaml"]);
    assert_eq!(folder.read("pipeline.yaml"), folder.read("etc/pipeline.yaml"));
    folder.configure(&format!("{}modules: {{mitaka: {{enabled: true}}}}", folder.read("wasmeter.yaml")));
    folder.run("check").is(0).says("\nready to run\n");
    // Whose file says nothing of intervals has a polling.yaml, or no agent that polls.
    let today = folder.read("etc/pipeline.yaml").replace("      interval: 600\n", "");
    folder.write("etc/pipeline.yaml", today);
    import(&folder, "").is(64).complains("polling.yaml: error: the file cannot be read");
    folder.write("etc/pipeline.yaml", "sources: [");
    let ran = import(&folder, "").is(64).complains("pipeline.yaml:1:");
    assert!(!ran.stderr.contains("polling.yaml"), "{}", ran.stderr);
}
