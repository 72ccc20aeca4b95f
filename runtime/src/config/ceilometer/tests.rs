use std::fs;

use proptest::prelude::*;

use super::*;
use crate::config::daemon::Config;

const POLLING: &str = "sources: [{name: a, interval: 60, meters: [cpu]}]\n";

/// What a folder with this `ceilometer.conf` comes to.
fn import(conf: &str) -> Import {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ceilometer.conf"), conf).unwrap();
    fs::write(folder.path().join("polling.yaml"), POLLING).unwrap();
    Import::read(folder.path(), PollingFile::Copied)
}

/// What our configuration says of what another tree of it knows already.
fn config(import: &Import) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wasmeter.yaml");
    let copied = import.draft.copied.as_ref().unwrap();
    fs::write(folder.path().join(copied.name), &copied.text).unwrap();
    fs::write(&path, import.draft.yaml()).unwrap();
    let loaded = Config::load(Some(&path));
    loaded.unwrap_or_else(|problems| panic!("{problems}\n{}", import.draft.yaml())).0
}

/// All errors, a line each, without the folder.
fn errors(conf: &str) -> String {
    let import = import(conf);
    let of = |problem: &crate::config::Problem| {
        format!("{}: {}. {}", problem.line.unwrap_or_default(), problem.message, problem.remedy)
    };
    import.problems.iter().filter(|problem| problem.severity == crate::config::Severity::Error).map(of).collect()
}

/// What is said of the only option of a section: its verdict, what it did there, and what it is here.
fn told(conf: &str) -> (Verdict, String, String) {
    let import = import(conf);
    assert!(!import.problems.has_errors(), "{}", import.problems);
    let item = import.items.iter().find(|item| item.line.is_some()).unwrap();
    (item.verdict, item.there.clone(), item.here.clone())
}

#[test]
fn values_that_cannot_be_used_are_errors_with_lines_and_remedies() {
    for (conf, words) in [
        ("[DEFAULT]\nhost = a b", "2: `host` in [DEFAULT] is not a host's name. Write it as Nova does"),
        ("[DEFAULT]\nhost =", "2: `host` in [DEFAULT] is not a host's name"),
        ("[DEFAULT]\nhypervisor_inspector = vsphere", "is not libvirt. Leave Ceilometer's agent on this node"),
        ("[DEFAULT]\nlibvirt_type = xen", "2: `libvirt_type` in [DEFAULT] is none of libvirt's drivers"),
        (
            "[DEFAULT]\nreserved_metadata_length = all",
            "2: `reserved_metadata_length` in [DEFAULT] is not a whole number",
        ),
        ("[DEFAULT]\ntransport_url = hunter2", "2: `transport_url` in [DEFAULT] is not a URL. Write rabbit://USER"),
        (
            "[DEFAULT]\ntransport_url = rabbit://u:hunter2$x@h",
            "refers to no option of Ceilometer's. Correct it, and write",
        ),
        ("[compute]\ninstance_discovery_method = hunter2", "is no way to find guests. Write libvirt_metadata"),
        ("[compute]\nreport_stopped_instance_metrics = hunter2", "is not true or false. Write true or false"),
        ("[polling]\nenable_notifications = maybe", "`enable_notifications` in [polling] is not true or false"),
        ("[polling]\nbatch_size =", "`batch_size` in [polling] is not a whole number"),
        ("[polling]\ncfg_file = other.yaml", "0: the file cannot be read: No such file"),
        ("[oslo_messaging_notifications]\ntopics =", "names no topic, or an empty one"),
        ("[oslo_messaging_rabbit]\nssl = 2", "`ssl` in [oslo_messaging_rabbit] is not true or false"),
        (
            "[polling]\nenable_prometheus_exporter = 1\nprometheus_listen_addresses = 127.0.0.1",
            "3: `prometheus_listen_addresses` in [polling] has an entry that is not an address with a port",
        ),
        (
            "[polling]\nenable_prometheus_exporter = 1\nprometheus_tls_enable = 1\nprometheus_tls_keyfile = k",
            "3: `prometheus_tls_enable` in [polling] is on without a certificate and its key",
        ),
    ] {
        let said = errors(conf);
        assert!(said.contains(words) && !said.contains("hunter2"), "{conf}: {said:?}");
    }
}

#[test]
fn hypervisors_are_found_as_ceilometer_finds_them() {
    for (conf, uri) in [
        ("", "qemu:///system"),
        ("libvirt_type = kvm", "qemu:///system"),
        ("libvirt_type = qemu", "qemu:///system"),
        ("libvirt_type = lxc", "lxc:///"),
        ("libvirt_type = parallels", "parallels:///system"),
        ("libvirt_type = lxc\nlibvirt_uri = qemu+tls://n/system", "qemu+tls://n/system"),
        ("libvirt_type = lxc\nlibvirt_uri =", "lxc:///"),
    ] {
        let import = import(&format!("[DEFAULT]\n{conf}"));
        assert_eq!(import.draft.json()["hypervisor"], uri, "{conf}");
    }
}

#[test]
fn what_is_set_to_its_default_needs_no_mention() {
    let conf = "[DEFAULT]\ndebug = no\nlibvirt_type = kvm\ncontrol_exchange = 'ceilometer'\n[polling]\nbatch_size = 5_0\n\
                enable_notifications = YES\n[notification]\npipelines = meter, event\n\
                [oslo_messaging_rabbit]\nkombu_reconnect_delay = 1\n";
    let items: Vec<_> = import(conf).items.into_iter().filter(|item| item.line.is_some()).collect();
    assert_eq!(items, []);
}

#[test]
fn drivers_that_send_nothing_have_no_notifier() {
    for (driver, verdict) in [
        ("noop", Verdict::Taken),
        ("test", Verdict::Taken),
        ("log", Verdict::Different),
        ("routing", Verdict::Missing),
        ("messagingv2,log", Verdict::Missing),
    ] {
        let conf = format!("[publisher_notifier]\ntelemetry_driver = {driver}\n");
        assert_eq!(told(&conf).0, verdict, "{driver}");
        assert!(!import(&conf).draft.has("outputs"), "{driver}");
    }
    assert_eq!(told("[publisher_notifier]\nmetering_driver = messaging").0, Verdict::Different);
    let off = import("[polling]\nenable_notifications = off\n[DEFAULT]\ntransport_url = rabbit://u:p@h/\n");
    assert!(off.draft.secrets.is_empty() && !off.draft.has("outputs"));
    assert!(off.problems.to_string().contains("sends nothing with these files"), "{}", off.problems);
}

#[test]
fn brokers_that_are_not_rabbitmq_have_no_notifier() {
    let import = import("[DEFAULT]\ntransport_url = kafka://u:hunter2@h:9092/\n");
    assert!(import.draft.secrets.is_empty() && !import.draft.has("outputs"));
    assert_eq!(told("[DEFAULT]\ntransport_url = kafka://u:hunter2@h:9092/\n").0, Verdict::Missing);
}

/// What a folder of Mitaka's with this option comes to, whose publishers are these.
fn mitaka(option: &str, publishers: &str) -> Import {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = format!(
        "sources: [{{name: a, interval: 60, meters: [cpu, image.size], sinks: [k], discovery: [endpoint]}}]\n\
         sinks: [{{name: k, publishers: [{publishers}]}}]\n"
    );
    fs::write(folder.path().join("ceilometer.conf"), format!("[publisher_notifier]\n{option}\n")).unwrap();
    fs::write(folder.path().join("pipeline.yaml"), pipeline).unwrap();
    Import::read(folder.path(), PollingFile::Copied)
}

#[test]
fn mitakas_pipelines_have_a_broker_and_no_output() {
    for (option, topic) in [("", "metering"), ("metering_topic = ours", "ours")] {
        let import = mitaka(option, "'notifier://'");
        assert!(!import.problems.has_errors() && !import.draft.has("outputs"), "{}", import.problems);
        let broker = &import.draft.json()["broker"];
        assert_eq!((&broker["url"], &broker["topics"]), (&"rabbit://".into(), &serde_json::json!([topic])));
        assert_eq!(import.draft.json()["pipeline"], "pipeline.yaml");
        let said: Vec<_> = import.items.iter().filter(|item| item.file == "pipeline.yaml").collect();
        let names: Vec<_> = said.iter().map(|item| (item.verdict, item.name.as_str())).collect();
        assert_eq!(
            names,
            [
                (Verdict::Taken, "pipeline.yaml"),
                (Verdict::Different, "source a: discovery endpoint"),
                (Verdict::Missing, "source a: image.size"),
            ]
        );
    }
    let elsewhere = mitaka("metering_topic = ours", "test");
    assert!(!elsewhere.draft.has("broker") && elsewhere.draft.has("pipeline"));
    assert!(!elsewhere.problems.to_string().contains("sends nothing"), "{}", elsewhere.problems);
}

#[test]
fn samples_that_were_not_signed_are_not() {
    let import = import("[publisher]\ntelemetry_secret =\n");
    let outputs = config(&import).outputs;
    let [crate::config::daemon::Output::Notifier { notifier }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(notifier.broker.secret.expose(), "");
}

#[test]
fn certificates_that_were_not_verified_are_told() {
    let (verdict, there, _) = told("[oslo_messaging_rabbit]\nssl = 1\n");
    assert_eq!((verdict, there.is_empty()), (Verdict::Taken, true));
    let of_ssl = |conf: &str| {
        let items = import(conf).items;
        items.into_iter().filter(|item| item.name == "ssl" && item.verdict == Verdict::Different).count()
    };
    assert_eq!(of_ssl("[oslo_messaging_rabbit]\nssl = 1\n"), 1);
    assert_eq!(of_ssl("[oslo_messaging_rabbit]\nssl = 1\nssl_ca_file = /ca\n"), 0);
    assert_eq!(of_ssl("[oslo_messaging_rabbit]\nssl = 0\n"), 0);
    assert_eq!(of_ssl("[oslo_messaging_rabbit]\nssl = 1\n[DEFAULT]\ntransport_url = rabbit://h/?ssl=0\n"), 0);
    assert_eq!(of_ssl("[oslo_messaging_rabbit]\nssl = 1\n[DEFAULT]\ntransport_url = rabbit://h/?ssl_ca_file=/ca\n"), 0);
    let conf = "[DEFAULT]\ntransport_url = rabbit://u:p@h/?heartbeat_rate=2&ssl=1\n";
    let of_url = import(conf).items.into_iter().filter(|item| item.name == "transport_url");
    assert_eq!(of_url.map(|item| item.verdict).collect::<Vec<_>>(), [Verdict::Taken, Verdict::Different]);
}

#[test]
fn secrets_are_shown_nowhere() {
    let conf = "[DEFAULT]\ntransport_url = rabbit://u:hunter2@h/\n[publisher]\ntelemetry_secret = hunter2\n\
                [nobody]\nknows = hunter2\n[service_credentials]\npassword = hunter2\n";
    let import = import(conf);
    let secrets: Vec<_> = import.draft.secrets.iter().map(|file| (file.name, file.secret.expose())).collect();
    assert_eq!(secrets, [("notifier.url", "rabbit://u:hunter2@h/"), ("notifier.secret", "hunter2")]);
    let shown = format!("{import:?}{}{}{}", import.draft.yaml(), import.draft.json(), import.problems);
    let told = serde_json::to_string(&import.items).unwrap();
    assert!(!shown.contains("hunter2") && !told.contains("hunter2"));
}

#[test]
fn sources_that_the_daemon_would_refuse_are_left_out_of_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ceilometer.conf"), "[polling]\nenable_notifications = no\n").unwrap();
    let polling =
        "# ours\nsources:\n  - {name: 'a: b', interval: 60, meters: ['!cpu'], discovery: ['local_instances://']}\n";
    fs::write(folder.path().join("polling.yaml"), polling).unwrap();
    let whole = Import::read(folder.path(), PollingFile::Copied);
    assert_eq!(whole.draft.copied.as_ref().map(|file| file.text.as_str()), Some(polling));
    let more = format!("{polling}  - {{name: b, interval: 60, meters: [ip.floating], discovery: [fip_services]}}\n");
    fs::write(folder.path().join("polling.yaml"), more).unwrap();
    let part = Import::read(folder.path(), PollingFile::Copied);
    let sources = config(&part).polling.sources;
    assert_eq!(sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(), ["a: b"]);
    assert_eq!(sources[0].meters.patterns(), ["!cpu"]);
    assert_eq!(sources[0].discovery, ["local_instances://"]);
    assert_eq!(part.items.iter().filter(|item| item.verdict == Verdict::Different).count(), 1);
}

/// The discoveries that a copy leaves to a source that has these, if it has the source, and what is said of it.
fn discoveries(list: &str, polling: PollingFile) -> (Option<String>, Vec<(Verdict, String, String)>) {
    discoveries_of("cpu", list, polling)
}

/// The same of a source of this meter.
fn discoveries_of(meter: &str, list: &str, polling: PollingFile) -> (Option<String>, Vec<(Verdict, String, String)>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ceilometer.conf"), "[polling]\nenable_notifications = no\n").unwrap();
    let text = format!("sources: [{{name: a, interval: 10, meters: [{meter}], discovery: [{list}]}}]\n");
    fs::write(folder.path().join("polling.yaml"), text).unwrap();
    let part = Import::read(folder.path(), polling);
    let sources = if part.draft.copied.is_some() { config(&part).polling.sources } else { Vec::new() };
    let said = part.items.into_iter().filter(|item| item.name.starts_with("source a: "));
    let said = said.map(|item| (item.verdict, item.name["source a: ".len()..].to_owned(), item.here)).collect();
    (sources.first().map(|source| source.discovery.join(" ")), said)
}

/// Ceilometer warns of discoveries that it does not know, and goes on with the others or with those of each pollster.
#[test]
fn discoveries_that_there_are_not_cost_no_source_of_a_compute_node() {
    let (copied, stays) = (PollingFile::Copied, PollingFile::Stays);
    let one = |verdict, name: &str, here: &str| (verdict, name.to_owned(), here.to_owned());
    let known = "left out of the copy, which keeps the source's other discoveries";
    let none = "left out of the copy: without any, each module finds its own";
    for (list, left, said) in [
        ("local_instances, local_node", Some("local_instances local_node"), vec![]),
        (
            "local_instances, endpoint",
            Some("local_instances"),
            vec![one(Verdict::Different, "discovery endpoint", known)],
        ),
        (
            "x, local_node, 'tenant://', z",
            Some("local_node"),
            vec![one(Verdict::Different, "discovery tenant://", known), one(Verdict::Unknown, "discovery x z", known)],
        ),
        ("local_instanses", Some(""), vec![one(Verdict::Unknown, "discovery local_instanses", none)]),
        (
            "x, endpoint",
            Some(""),
            vec![one(Verdict::Different, "discovery endpoint", none), one(Verdict::Unknown, "discovery x", none)],
        ),
        (
            "endpoint, volumes",
            None,
            vec![one(Verdict::Different, "discovery endpoint volumes", "the source is left out of the copy")],
        ),
    ] {
        assert_eq!(discoveries(list, copied), (left.map(str::to_owned), said.clone()), "{list}");
        // Of a file that stays, the same is said, and what to change in it.
        let (_, there) = discoveries(list, stays);
        let names = |said: &[(Verdict, String, String)]| -> Vec<(Verdict, String)> {
            said.iter().map(|(verdict, name, _)| (*verdict, name.clone())).collect()
        };
        assert_eq!(names(&there), names(&said), "{list}");
        assert!(there.iter().all(|(_, _, here)| here.starts_with("the daemon refuses it: remove ")), "{there:?}");
        // Of what nobody here gives, none has to be found.
        let (_, of_others) = discoveries_of("image.size", list, stays);
        let of_others = of_others.iter().filter(|(_, name, _)| name.starts_with("discovery "));
        let warned = "nothing to do: the daemon warns of it, and goes on without the source";
        assert!(of_others.clone().count() == said.len() && of_others.into_iter().all(|(_, _, here)| here == warned));
    }
}

#[test]
fn the_namespace_central_is_told_unless_the_agent_is_one_of_compute() {
    let of = |conf: &str| {
        let items = import(conf).items.into_iter().filter(|item| item.name == "polling_namespaces");
        items.map(|item| (item.verdict, item.line, item.here)).collect::<Vec<_>>()
    };
    for (conf, line) in [("", None), ("[DEFAULT]\npolling_namespaces = compute,central", Some(2))] {
        let said = of(conf);
        let [(Verdict::Missing, at, here)] = &said[..] else { panic!("{said:?}") };
        assert!(*at == line && here.contains("`ceilometer-polling --polling-namespaces central`"), "{said:?}");
    }
    let compute = of("[DEFAULT]\npolling_namespaces = compute");
    assert!(matches!(&compute[..], [(Verdict::Taken, Some(2), _)]), "{compute:?}");
}

#[test]
fn nothing_is_said_of_what_a_file_lacks_that_was_not_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("polling.yaml"), POLLING).unwrap();
    let said = || {
        let import = Import::read(folder.path(), PollingFile::Copied);
        assert!(import.problems.has_errors() && import.items.iter().all(|item| item.file == "polling.yaml"));
        import.problems.to_string()
    };
    assert!(!said().contains("transport_url"), "{}", said());
    fs::write(folder.path().join("ceilometer.conf"), b"[DEFAULT]\nhost = \xff\n").unwrap();
    assert!(said().contains("not UTF-8") && !said().contains("transport_url"), "{}", said());
}

/// Text that looks like a configuration, or nearly.
fn any_conf() -> impl Strategy<Value = String> {
    let names =
        ["DEFAULT", "polling", "compute", "host", "batch_size", "transport_url", "libvirt_type", "=", ":", "[", "]"];
    let odd =
        ["\n", "\n", "\n ", "\r", "$", "${", "}", ".", "\"", "'", "#", ";", ",", "\\", "\u{feff}", "\u{85}", "\0"];
    let piece = prop_oneof![
        prop::sample::select(names.to_vec()).prop_map(str::to_owned),
        prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "[DEFAULT]\n|[polling]\n|host=|\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        Import::of_bytes(&bytes);
    }

    #[test]
    fn no_text_makes_it_panic(text in any_conf()) {
        let import = Import::of_bytes(text.as_bytes());
        prop_assert!(import.problems.iter().all(|problem| !problem.remedy.is_empty()));
        prop_assert!(import.items.iter().all(|item| !item.here.is_empty()));
    }

    /// Whatever can be written into `ceilometer.conf` comes out of `wasmeter.yaml` again. A backslash before a dollar
    /// sign is lost in it, so there are none.
    #[test]
    fn what_is_taken_over_can_be_read(key in "[^\\pC\\\\]{1,8}", other in "[^\n\r\\\\]{1,8}", host in "[a-zA-Z0-9.:_'\"#!-]{1,12}") {
        let quoted = |text: &str| text.replace('$', "$$");
        let conf = format!(
            "[polling]\nenable_notifications = no\n[DEFAULT]\nhost = '{host}'\nreserved_metadata_keys = '{}'\n\
             reserved_metadata_namespace = '{}'\nlibvirt_uri = 'x{}'\n",
            quoted(&key), quoted(&other), quoted(&other),
        );
        let import = import(&conf);
        prop_assert!(!import.problems.has_errors(), "{}", import.problems);
        let config = config(&import);
        prop_assert_eq!(&config.host, &host);
        let expected = |text: &str| value::list(text).into_iter().filter(|entry| !entry.is_empty()).collect::<Vec<_>>();
        prop_assert_eq!(config.metadata.reserved_keys, expected(&key));
        prop_assert_eq!(config.hypervisor.uri, format!("x{other}"));
    }
}
