use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<TransportUrl, BadUrl> {
    TransportUrl::parse(text, Options::default())
}

/// `user:password@host:port`, and the virtual host.
fn summary(url: &TransportUrl) -> String {
    let host = |host: &Host| format!("{}:{}@{}", host.user.expose(), host.password.expose(), host);
    let hosts: Vec<_> = url.hosts.iter().map(host).collect();
    format!("{} {}", hosts.join(" "), url.vhost)
}

#[test]
fn urls_as_operators_have_them() {
    for (text, expected) in [
        ("rabbit://", "guest:guest@localhost:5672 /"),
        ("rabbit:///", "guest:guest@localhost:5672 /"),
        ("rabbit://h", "guest:guest@h:5672 /"),
        ("RABBIT://u:p@h:5673/", "u:p@h:5673 /"),
        ("rabbit://u:p@h//", "u:p@h:5672 /"),
        ("rabbit://u:p@h/%2F", "u:p@h:5672 /"),
        ("rabbit://u:p@h/%2Fnova", "u:p@h:5672 /nova"),
        ("rabbit://u:p@h?ssl=1", "u:p@h:5672 /"),
        ("rabbit://u:p@h/v#x?y", "u:p@h:5672 v"),
        ("rabbit://u%40d:p%2F%3a%2C%25@h/v", "u@d:p/:,%@h:5672 v"),
        ("rabbit://u@d:p:q@h/v", "u@d:p:q@h:5672 v"),
        ("rabbit://u:p@[::1]:5673,u:p@::2,u:p@[fe80::3]/v", "u:p@[::1]:5673 u:p@[::2]:5672 u:p@[fe80::3]:5672 v"),
        ("rabbit://u:p@h1:1,u:p@h2:2,,u:p@h3:3/v", "u:p@h1:1 u:p@h2:2 u:p@h3:3 v"),
        ("kombu://u:%C3%A9@h/v", "u:\u{e9}@h:5672 v"),
    ] {
        let url = parse(text).unwrap();
        assert_eq!(summary(&url), expected, "{text}");
        assert_eq!(url.warnings, [], "{text}");
    }
}

#[test]
fn options_override() {
    let url = parse(
        "rabbit://h/?ssl=Yes&ssl_ca_file=%2Fetc%2Fca.pem&ssl_cert_file=a+b&heartbeat_timeout_threshold=10\
         &amqp_durable_queues=true&rabbit_quorum_queue=on&rabbit_quorum_delivery_limit=3&rabbit_login_method=PLAIN\
         &kombu_reconnect_delay=0.5&rabbit_retry_interval=2&rabbit_interval_max=60&ssl_key_file=",
    );
    let expected = Options {
        ssl: true,
        ssl_ca_file: Some("/etc/ca.pem".into()),
        ssl_cert_file: Some("a b".into()),
        heartbeat_timeout_threshold: 10,
        amqp_durable_queues: true,
        rabbit_quorum_queue: true,
        quorum: Quorum { delivery_limit: 3, ..Quorum::default() },
        rabbit_login_method: Login::Plain,
        kombu_reconnect_delay: Duration::from_millis(500),
        rabbit_retry_interval: Duration::from_secs(2),
        rabbit_interval_max: Duration::from_secs(60),
        ..Options::default()
    };
    assert_eq!(url.unwrap().options, expected);
    let url = parse("rabbit://u:p@h,h2/?Ssl=1&kombu_compression=gzip&rpc_conn_pool_size=3&x%1b=1").unwrap();
    assert_eq!(
        url.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "some hosts of the transport URL have no credentials: `guest` is used for them",
            "option `Ssl` is unknown and has no effect",
            "option `kombu_compression` has no effect: messages are sent uncompressed",
            "option `x\\u{1b}` is unknown and has no effect",
        ]
    );
}

#[test]
fn errors_name_place_and_remedy() {
    let port = "host 1 of the transport URL has a port that is not from 1 to 65535; if that is part of a password, \
                write `,`, `:`, `/` and `@` in it as `%2C`, `%3A`, `%2F` and `%40`";
    for (text, error) in [
        ("h:5672", "the transport URL has no scheme: it begins with `rabbit://`"),
        ("kafka://h", "the transport URL's scheme is not `rabbit`: this daemon talks to RabbitMQ only"),
        ("rabbit://u:hid/den@h/v", "the transport URL's credentials contain `/`: write it as `%2F`"),
        ("rabbit://u:hid#den@h/v", "the transport URL's credentials contain `#`: write it as `%23`"),
        ("rabbit://u:hid?den@h/v", "the transport URL's credentials contain `?`: write it as `%3F`"),
        ("rabbit://u:hid,den@h/v", port),
        ("rabbit://u:p@h:0", port),
        ("rabbit://u:p@h:65536", port),
        ("rabbit://u:p@h:+1", port),
        ("rabbit://u:p@[::1]x", port),
        ("rabbit://u:p@:1", "host 1 of the transport URL has no name, or a bracket in it is not closed"),
        ("rabbit://u:p@[::1", "host 1 of the transport URL has no name, or a bracket in it is not closed"),
        (
            "rabbit://u:hidden%ff@h",
            "the password of the transport URL is not UTF-8 after decoding its `%`: check these",
        ),
        ("rabbit://h/?ssl=si", "option `ssl` is not one of true, false, 1, 0, on, off, yes, no"),
        (
            "rabbit://h/?heartbeat_timeout_threshold=-1",
            "option `heartbeat_timeout_threshold` is not a whole number in its range",
        ),
        (
            "rabbit://h/?rabbit_login_method=NONE",
            "option `rabbit_login_method` is not one of AMQPLAIN, PLAIN, EXTERNAL",
        ),
        (
            "rabbit://h/?rabbit_ha_queues=1&rabbit_quorum_queue=1",
            "options `rabbit_ha_queues` and `rabbit_quorum_queue` exclude each other: leave out one",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), error, "{text}");
    }
}

#[test]
fn credentials_are_not_shown() {
    let url = parse("rabbit://hidden:hidden2@h1,hidden:hidden2@[::1]:1/v?ssl=1").unwrap();
    assert_eq!(url.to_string(), "rabbit://***:***@h1:5672,***:***@[::1]:1/v");
    assert!(!format!("{url:?}").contains("hidden"), "{url:?}");
}

fn any_url() -> impl Strategy<Value = TransportUrl> {
    let name = prop_oneof!["[a-z][a-z0-9.-]{0,8}", "[0-9a-f]{1,4}::[0-9a-f]{1,4}"];
    let host = (name, 1..=u16::MAX, ".{1,8}", ".{1,8}").prop_map(|(name, port, user, password)| Host {
        name,
        port,
        user: Secret::new(user),
        password: Secret::new(password),
    });
    let login = prop_oneof![Just(Login::Plain), Just(Login::AmqPlain), Just(Login::External)];
    let options = (any::<[bool; 4]>(), proptest::option::of("[^\u{0}]{1,9}"), any::<u16>(), any::<u32>(), login)
        .prop_map(|([ssl, durable, auto_delete, quorum], file, heartbeat, limit, login)| Options {
            ssl,
            ssl_ca_file: file.map(Into::into),
            heartbeat_timeout_threshold: heartbeat,
            amqp_durable_queues: durable,
            amqp_auto_delete: auto_delete,
            rabbit_quorum_queue: quorum,
            quorum: Quorum { delivery_limit: limit, ..Quorum::default() },
            rabbit_login_method: login,
            ..Options::default()
        });
    (prop::collection::vec(host, 1..4), ".{1,8}", options).prop_map(|(hosts, vhost, options)| TransportUrl {
        hosts,
        vhost,
        options,
        warnings: Vec::new(),
    })
}

proptest! {
    #[test]
    fn there_and_back(url in any_url()) {
        prop_assert_eq!(parse(&url.exposed()), Ok(url));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,60}", odd in "rabbit://[a-c0-9@:,/?#%&=\\[\\].+]{0,40}") {
        let _ = parse(&text);
        let _ = parse(&odd);
    }

    #[test]
    fn no_error_quotes_a_password(password in "[ -~]{0,8}hidden[ -~]{0,8}", after in "[ -~]{0,20}") {
        let text = match parse(&format!("rabbit://u:{password}@h{after}")) {
            Ok(url) => format!("{url} {url:?} {:?}", url.warnings),
            Err(error) => format!("{error} {error:?}"),
        };
        // A password that is also a valid address is one.
        let harmless = ["hidden", "@"].iter().all(|part| password.contains(part)) || password.contains(',');
        prop_assert!(!text.contains("hidden") || harmless, "{}", text);
    }
}
