use proptest::prelude::*;

use super::*;

fn defaults(broker: Option<&Broker>) -> UrlDefaults<'_> {
    UrlDefaults { host: "compute-1", folder: Path::new("/etc/ceilometer"), broker, outputs: &[] }
}

fn read(url: &str) -> Result<FromUrl, Vec<Advice>> {
    Output::of_url(url, "a:b", None, defaults(None))
}

fn output(url: &str) -> Output {
    let FromUrl { output, warnings } = read(url).unwrap();
    assert_eq!(warnings, [], "{url}");
    assert_eq!(output.name(), "a:b");
    output
}

/// The one thing that is wrong with a URL.
fn refused(url: &str) -> Advice {
    let mut wrong = read(url).unwrap_err();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    wrong.remove(0)
}

/// What is said of a URL that is taken.
fn warnings(url: &str) -> Vec<String> {
    read(url).unwrap().warnings.into_iter().map(|advice| advice.message).collect()
}

#[test]
fn http_has_the_options_of_ceilometer_and_hands_on_the_others() {
    let Output::Http { http } = output("http://u:p%20w@h:80/a?x=1&timeout=2&batch=False&y=b%20c") else { panic!() };
    assert_eq!(http.server.url.target.expose(), "/a?x=1&y=b%20c");
    assert_eq!(http.server.url.login.as_ref().unwrap().password.expose(), "p w");
    assert_eq!((http.server.timeout, http.batch_size), (Duration::from_secs(2), 1));
    let url = "https://h/?verify_ssl=ca.pem&clientcert=/c.pem&clientkey=k.pem";
    let Output::Http { http } = output(url) else { panic!() };
    let tls = &http.server.tls;
    assert!(tls.verify && http.server.url.secure && http.server.url.port == 443);
    let paths = [&tls.ca_file, &tls.cert_file, &tls.key_file].map(|path| path.clone().unwrap().display().to_string());
    assert_eq!(paths, ["/etc/ceilometer/ca.pem", "/c.pem", "/etc/ceilometer/k.pem"]);
    let said = warnings("https://h/?max_retries=3&verify_ssl=no&clientkey=k&raw_only=1");
    assert_eq!(said.len(), 3, "what is not verified is said where it is known what is encrypted: {said:?}");
    assert!(warnings("http://h?verify_ssl=False").is_empty(), "nothing is encrypted there");
}

/// A request can have all of it, and says the same as Ceilometer's would.
#[test]
fn what_no_request_can_have_is_encoded() {
    for (url, expected) in [
        (r#"http://h/x?tok="q"&x=<1>&y=a b"#, "/x?tok=%22q%22&x=%3C1%3E&y=a%20b"),
        ("http://h/a b/ü?x=%20^%", "/a%20b/%C3%BC?x=%20%5E%"),
        (r"opentelemetryhttp://h/x?y={`|\}", "/x?y=%7B%60%7C%5C%7D"),
        ("http://h?a=[1]&b='(*)'", "/?a=[1]&b='(*)'"),
    ] {
        let server = match output(url) {
            Output::Http { http } => http.server,
            Output::OpenTelemetry { opentelemetry } => opentelemetry.server,
            other => panic!("{other:?}"),
        };
        assert_eq!(server.url.target.expose(), expected);
        assert!(expected.parse::<hyper::Uri>().is_ok(), "{expected}");
    }
}

#[test]
fn options_without_a_value_are_none() {
    let url = "https://h/?verify_ssl=&clientcert=&clientkey=&timeout=&batch=";
    let Output::Http { http } = output(url) else { panic!() };
    let tls = &http.server.tls;
    assert!(tls.verify && [&tls.ca_file, &tls.cert_file, &tls.key_file].iter().all(|file| file.is_none()));
    assert_eq!(tls.options, ["verify_ssl", "clientcert", "clientkey"], "they are called as they are written");
}

#[test]
fn opentelemetry_by_either_protocol() {
    for (url, target, port, secure) in [
        ("opentelemetryhttp://h:1/v1/metrics", "/v1/metrics", 1, false),
        ("opentelemetryhttp://h", "/v1/metrics", 4318, false),
        ("opentelemetryhttp://h?x=y&timeout=5", "/v1/metrics?x=y", 4318, false),
        ("opentelemetryhttp://h/?x=y", "/v1/metrics?x=y", 4318, false),
        ("opentelemetryhttp://h/x?ssl=true&tenant=7", "/x?tenant=7", 4318, true),
        ("opentelemetrygrpc://h", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", 4317, false),
    ] {
        let Output::OpenTelemetry { opentelemetry } = output(url) else { panic!("{url}") };
        let Endpoint { target: found, port: on, secure: encrypted, .. } = &opentelemetry.server.url;
        assert_eq!((found.expose(), *on, *encrypted), (target, port, secure));
    }
}

#[test]
fn sockets_files_and_nothing() {
    let Output::Udp { udp } = output("udp://collector") else { panic!() };
    assert_eq!((udp.address(), udp.publisher.as_str()), ("collector:4952".to_owned(), "compute-1"));
    let Output::Tcp { tcp } = output("tcp://[::1]:5") else { panic!() };
    assert_eq!(tcp.address(), "[::1]:5");
    let Output::File(file) = output("file:///var/x%20y?max_bytes=10&backup_count=2&json") else { panic!() };
    assert_eq!((file.file.as_path(), file.max_size.bytes(), file.keep), (Path::new("/var/x y"), 10, 2));
    for (options, said) in [
        ("max_bytes=10", "`max_bytes` has no effect without `backup_count`, and the file grows"),
        ("max_bytes=10&backup_count=0", "`max_bytes` has no effect without `backup_count`, and the file grows"),
        ("backup_count=3", "`backup_count` has no effect without `max_bytes`, and the file grows"),
        ("max_bytes=0&backup_count=0", ""),
    ] {
        let FromUrl { output: Output::File(file), warnings } = read(&format!("file:///x?json&{options}")).unwrap()
        else {
            panic!()
        };
        assert_eq!((file.max_size.bytes(), file.keep), (u64::MAX, 0), "it takes both");
        assert_eq!(warnings.iter().map(|advice| advice.message.as_str()).collect::<String>(), said);
    }
    let FromUrl { output: Output::File(file), warnings } =
        read("file:///x?json&backup_count=4000000000&max_bytes=1000").unwrap()
    else {
        panic!()
    };
    assert_eq!((file.max_size.bytes(), file.keep), (1000, 1000));
    assert_eq!(warnings[0].message, "`backup_count` has the effect of 1000, as no more files are kept aside");
    assert_eq!(output("test"), Output::Test { test: "a:b".to_owned() });
    assert_eq!(output("test://"), Output::Test { test: "a:b".to_owned() });
}

#[test]
fn notifiers_have_the_broker_of_the_configuration_or_their_own() {
    let Output::Notifier { notifier: own } = output("notifier://u:hush@h:1/v?topic=a&topic=b&rabbit_quorum_queue=1")
    else {
        panic!()
    };
    assert_eq!(own.broker.topics, ["a", "b"]);
    assert!(own.broker.url.options.rabbit_quorum_queue);
    assert_eq!(own.target().keys, ["a.sample", "b.sample"]);
    let Format::Metering { publisher, per_meter: false } = &own.format else { panic!() };
    assert_eq!(publisher, "telemetry.publisher.compute-1");
    for url in ["notifier", "notifier://", "notifier://?per_meter_topic=1", "notifier://?topic=c"] {
        let FromUrl { output, warnings } = Output::of_url(url, "n", None, defaults(Some(&own.broker))).unwrap();
        let Output::Notifier { notifier } = output else { panic!() };
        let topics = if url.contains("topic=c") { vec!["c".to_owned()] } else { own.broker.topics.clone() };
        assert_eq!(notifier.broker, Broker { topics, ..own.broker.clone() });
        assert_eq!(warnings, [], "whoever names topics for those who collect has one who does");
        assert_eq!(matches!(notifier.format, Format::Metering { per_meter: true, .. }), url.contains("per_meter"));
    }
    assert!(refused("notifier://").message.contains("names no broker"));
    assert!(refused("notifier://h?driver=kafka").message.contains("driver"));
    assert_eq!(warnings("notifier://h?policy=drop&max_queue_length=5&max_retry=100&topic=metering").len(), 3);
    assert_eq!(warnings("notifier://h?policy=default&topic=metering"), [""; 0]);
}

#[test]
fn topics_that_others_read_are_named() {
    for (url, word) in [
        ("notifier://h", "metering.sample"),
        ("notifier://h?per_meter_topic=1", "metering.sample"),
        ("notifier://h?topic=notifications", "`notifications` is what Ceilometer's notification agent reads"),
        ("notifier://h?topic=mine&topic=alarm.all", "`alarm.all` is what Aodh reads"),
    ] {
        let said = warnings(url);
        assert!(said.len() == 1 && said[0].contains(word), "{url}: {said:?}");
    }
    let Output::Notifier { notifier: mut polling } = output("notifier://h?topic=ours") else { panic!() };
    polling.format = Format::Polling;
    let broker = Broker { topics: Vec::new(), ..polling.broker.clone() };
    let outputs = [Output::Notifier { notifier: polling }];
    for (url, expected) in [("notifier://?topic=ours", 1), ("notifier://?topic=metering", 0), ("notifier://", 1)] {
        let told =
            Output::of_url(url, "n", None, UrlDefaults { outputs: &outputs, ..defaults(Some(&broker)) }).unwrap();
        assert_eq!(told.warnings.len(), expected, "{url}: {:?}", told.warnings);
    }
}

#[test]
fn all_options_that_are_wrong_are_said_at_once() {
    let said: Vec<String> = read("http://h/?timeout=soon&batch=perhaps&verify_ssl=no&raw_only=x")
        .unwrap_err()
        .into_iter()
        .map(|Advice { message, remedy, .. }| format!("{message}. {remedy}"))
        .collect();
    let wrong = |name: &str, expected: &str| {
        format!(
            "`{name}` of the publisher http:// is not {expected}. Correct what stands behind `{name}=`, or take it out"
        )
    };
    let expected = [("timeout", "a number"), ("batch", "true or false"), ("raw_only", "true or false")];
    assert_eq!(said, expected.map(|(name, expected)| wrong(name, expected)));
    let said = read("file:///x?max_bytes=much&backup_count=-1").unwrap_err();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(refused("https://h?timeout=1e9").message, "`timeout` of the publisher https:// is not from 0.01 to 600");
}

#[test]
fn what_is_not_there_is_said_by_name_and_nothing_secret_is_repeated() {
    for name in ["gnocchi", "prometheus", "zaqar", "kafka", "direct", "database"] {
        let told = refused(&format!("{name}://u:hunter2@h"));
        assert_eq!(told.message, format!("the publisher {name}:// is not there yet"));
    }
    let told = refused("smtp://u:hunter2@h");
    assert_eq!(told.message, "there is no publisher `smtp`");
    assert!(told.remedy.contains("opentelemetrygrpc://"));
    for url in ["://x", "://"] {
        assert_eq!(refused(url).message, "the scheme of the publisher's URL is missing");
    }
    for url in [
        "u:hunter2@h",
        "http://u:hunter2",
        "http://u:1/hunter2@h",
        "http://h?timeout=hunter2",
        "udp://u:hunter2@h",
        "tcp://h:hunter2",
        "file://hunter2",
        "notifier://u:hunter2:1@h:x",
        "opentelemetryhttp://u:hunter2",
        "http://u:hunter2@h?timeout=%ff",
    ] {
        let told = read(url).unwrap_err();
        assert!(!format!("{told:?}").contains("hunter2"), "{url}: {told:?}");
    }
    let url = "https://me:hunter2@h/hunter2?token=hunter2&clientcert=/x";
    assert!(!format!("{:?}", read(url).unwrap()).contains("hunter2"));
    let shown = serde_json::to_string(&output(url)).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
}

proptest! {
    /// Whatever stands there, it is read or refused, and what is called a secret is not repeated.
    #[test]
    fn anything_is_answered(
        scheme in "|notifier|file|http|https|opentelemetryhttp|opentelemetrygrpc|udp|tcp|test|[a-z]{1,9}",
        rest in "[a-z0-9:/?#@%=&,.\\[\\]+ -]{0,60}",
    ) {
        let told = format!("{:?}", read(&format!("{scheme}://me:hunter2@{rest}")));
        prop_assert!(!told.contains("hunter2"), "{told}");
        drop(read(&format!("{scheme}://{rest}")));
        drop(read(&rest));
    }
}
