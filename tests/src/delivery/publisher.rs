//! The publisher itself: its ways to log in, its queues, and what it says about each message.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Builder;
use tokio::time::timeout;
use wasmeter::publish::notifier::amqp::{Config, Fault, Outcome, Publisher};
use wasmeter::publish::notifier::transport_url::{Options, TransportUrl};
use wasmeter_rig::{Certificates, Delivery, Proxy, Rabbit, Vhost, or_say};

use super::QUEUE;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// So that nobody waits long before another try.
const QUICK: &str = "kombu_reconnect_delay=0.1&rabbit_retry_interval=0.1&rabbit_interval_max=0.5";

/// Messages into these queues.
fn into(url: &str, keys: &[&str]) -> Publisher {
    let config = Config::of_samples(TransportUrl::parse(url, Options::default()).unwrap(), &["notifications"]);
    Publisher::new(Config { keys: keys.iter().map(|key| (*key).to_owned()).collect(), ..config }).unwrap()
}

fn message(number: u64) -> Bytes {
    Bytes::from(format!("{number:08}{}", "x".repeat(500)))
}

async fn next(publisher: &mut Publisher) -> Outcome {
    timeout(PATIENCE, publisher.next()).await.expect("nothing happens")
}

/// Publishes messages with these numbers, and hands on whatever happens.
async fn publish(publisher: &mut Publisher, numbers: std::ops::Range<u64>, mut each: impl FnMut(&Outcome)) {
    let mut waiting = numbers.clone();
    let mut delivered = numbers.start;
    while delivered < numbers.end {
        while publisher.has_room()
            && let Some(number) = waiting.next()
        {
            publisher.send(number, message(number));
        }
        let outcome = next(publisher).await;
        if let Outcome::Delivered(number) = outcome {
            assert_eq!(number, delivered, "out of order");
            delivered += 1;
        }
        each(&outcome);
    }
}

/// Nothing but what is to happen.
fn undisturbed(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Delivered(_) | Outcome::Connected(_)), "{outcome:?}");
}

/// First arrivals, in order of arrival; and how many messages came again.
fn came(deliveries: &[Delivery]) -> (Vec<u64>, usize) {
    let mut seen = BTreeSet::new();
    let numbers = deliveries.iter().map(|delivery| std::str::from_utf8(&delivery.body[..8]).unwrap().parse().unwrap());
    let first: Vec<u64> = numbers.filter(|number| seen.insert(*number)).collect();
    let again = deliveries.len() - first.len();
    (first, again)
}

fn in_queue(vhost: &Vhost<'_>, queue: &str) -> (Vec<u64>, usize) {
    came(&vhost.drain(queue).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_in_order_however_it_logs_in() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    for login in ["AMQPLAIN", "PLAIN"] {
        let mut publisher = into(&format!("{}?rabbit_login_method={login}", vhost.url()), &[QUEUE]);
        let mut connected = 0;
        publish(&mut publisher, 0..2_000, |outcome| {
            undisturbed(outcome);
            connected += usize::from(matches!(outcome, Outcome::Connected(_)));
        })
        .await;
        publisher.close().await;
        assert_eq!(connected, 1);
        assert_eq!(in_queue(&vhost, QUEUE), ((0..2_000).collect(), 0));
    }
    let mut publisher = into(&format!("{}?rabbit_login_method=EXTERNAL", vhost.url()), &[QUEUE]);
    let Outcome::Unreachable { fault, .. } = next(&mut publisher).await else { panic!() };
    assert!(fault.to_string().contains("does not know the login method EXTERNAL"), "{fault}");
}

/// Of several hosts one refuses, and the other is lost halfway.
#[tokio::test(flavor = "multi_thread")]
async fn several_hosts_and_topics() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let proxies = [(); 3].map(|()| Proxy::start(vhost.rabbit().port()).unwrap());
    proxies[0].refuse();
    let hosts: Vec<String> = proxies.iter().map(|proxy| format!("guest:guest@127.0.0.1:{}", proxy.port())).collect();
    let url = format!("rabbit://{}/{}?{QUICK}", hosts.join(","), vhost.name());
    let mut publisher = into(&url, &["a.sample", "b.sample"]);
    let mut connected = BTreeSet::new();
    publish(&mut publisher, 0..500, |outcome| match outcome {
        Outcome::Connected(host) => drop(connected.insert(host.clone())),
        Outcome::Delivered(200) => {
            for proxy in proxies.iter().filter(|proxy| proxy.bytes_to_server() > 10_000) {
                proxy.refuse();
                proxy.cut();
            }
        }
        _ => {}
    })
    .await;
    assert_eq!(connected.len(), 2, "{connected:?}");
    for key in ["a.sample", "b.sample"] {
        assert_eq!(in_queue(&vhost, key).0, (0..500).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quorum_queues_are_published_to() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let mut publisher = into(&format!("{}?rabbit_quorum_queue=true", vhost.url()), &["quorum.sample"]);
    publish(&mut publisher, 0..200, undisturbed).await;
    publisher.close().await;
    // An ordinary queue of that name is not wanted any more, and used nevertheless.
    let mut publisher = into(&vhost.url(), &["quorum.sample"]);
    publish(&mut publisher, 200..300, undisturbed).await;
    assert_eq!(in_queue(&vhost, "quorum.sample"), ((0..300).collect(), 0));
}

/// Of two queues one is deleted: the other gets nothing twice.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_returned_comes_again() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let mut publisher = into(&format!("{}?amqp_durable_queues=1", vhost.url()), &["a.sample", "b.sample"]);
    let mut returned = BTreeSet::new();
    publish(&mut publisher, 0..1000, |outcome| match outcome {
        Outcome::Delivered(300) => vhost.delete_queue("a.sample").unwrap(),
        Outcome::Returned(number, reason) => {
            assert_eq!(reason.code, 312, "{reason}");
            returned.insert(*number);
        }
        other => undisturbed(other),
    })
    .await;
    assert!(!returned.is_empty());
    assert_eq!(in_queue(&vhost, "b.sample"), ((0..1000).collect(), 0));
    let first = *returned.first().unwrap();
    assert_eq!(in_queue(&vhost, "a.sample"), ((first..1000).collect(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_exchange_is_made_again() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let mut publisher = into(&vhost.url(), &[QUEUE]);
    publish(&mut publisher, 0..100, undisturbed).await;
    vhost.delete_exchange("ceilometer").unwrap();
    let mut closed = 0;
    publish(&mut publisher, 100..200, |outcome| {
        closed += usize::from(matches!(outcome, Outcome::ChannelClosed(reason) if reason.code == 404));
    })
    .await;
    assert_eq!(closed, 1);
    assert_eq!(in_queue(&vhost, QUEUE).0, (0..200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_waited_for() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let (rabbit, name) = (vhost.rabbit(), vhost.name());
    let full = r#"{"max-length":5,"overflow":"reject-publish"}"#;
    rabbit.ctl(&["set_policy", "-p", name, "full", "^notifications", full]).unwrap();
    let mut publisher = into(&format!("{}?{QUICK}", vhost.url()), &[QUEUE]);
    let mut nacked = 0;
    publish(&mut publisher, 0..100, |outcome| {
        if let Outcome::Nacked(_) = outcome {
            nacked += 1;
            if nacked == 1 {
                rabbit.ctl(&["clear_policy", "-p", name, "full"]).unwrap();
            }
        }
    })
    .await;
    assert!(nacked > 0);
    assert_eq!(came(&vhost.drain(QUEUE).unwrap()).0.len(), 100);
}

/// Against a RabbitMQ that wants certificates from its clients.
pub(super) fn tls(rabbit: &Rabbit, certificates: &Certificates) {
    Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        let vhost = rabbit.new_vhost().unwrap();
        let base = format!("{}?ssl=true&{QUICK}", vhost.url_at(rabbit.tls_port().unwrap()));
        let (authority, client) = (certificates.authority().display().to_string(), certificates.client());
        let ours = format!("ssl_cert_file={}&ssl_key_file={}", client.certificate.display(), client.key.display());
        let mut publisher = into(&format!("{base}&ssl_ca_file={authority}&{ours}"), &[QUEUE]);
        publish(&mut publisher, 0..200, undisturbed).await;
        publisher.close().await;
        assert_eq!(in_queue(&vhost, QUEUE), ((0..200).collect(), 0));
        let other = Certificates::new().unwrap();
        for (query, expected) in [
            (format!("ssl_ca_file={}&{ours}", other.authority().display()), "TLS failed: invalid peer certificate"),
            (ours.clone(), "TLS failed: invalid peer certificate: UnknownIssuer"),
            (format!("ssl_ca_file={authority}"), "CertificateRequired"),
            (format!("ssl_ca_file={authority}.none"), "option ssl_ca_file, file"),
            (format!("ssl_ca_file={}", client.key.display()), "there is no certificate in it"),
        ] {
            let mut publisher = into(&format!("{base}&{query}"), &[QUEUE]);
            let outcome = next(&mut publisher).await;
            let Outcome::Unreachable { fault, .. } = &outcome else { panic!("{outcome:?}") };
            assert!(fault.to_string().contains(expected), "{fault}");
            assert!(!matches!(fault, Fault::Closed(_)), "{fault:?}");
        }

        // The certificate says who it is: the user of its name, without a password.
        std::fs::write(rabbit.folder().join("plugins"), "[rabbitmq_auth_mechanism_ssl].").unwrap();
        let plugins = rabbit.folder().join("plugins").display().to_string();
        rabbit.ctl(&["eval", &format!("{{ok, _, _}} = rabbit_plugins:ensure(\"{plugins}\").")]).unwrap();
        let mechanisms = "application:set_env(rabbit, auth_mechanisms, ['EXTERNAL', 'AMQPLAIN', 'PLAIN']), \
                          application:set_env(rabbit, ssl_cert_login_from, common_name).";
        rabbit.ctl(&["eval", mechanisms]).unwrap();
        rabbit.ctl(&["add_user", "client", "unknown"]).unwrap();
        rabbit.ctl(&["set_permissions", "-p", vhost.name(), "client", ".*", ".*", ".*"]).unwrap();
        let external = format!("{base}&ssl_ca_file={authority}&{ours}&rabbit_login_method=EXTERNAL");
        let mut publisher = into(&external.replace("guest:guest@", ""), &[QUEUE]);
        publish(&mut publisher, 0..100, undisturbed).await;
        publisher.close().await;
        assert_eq!(in_queue(&vhost, QUEUE), ((0..100).collect(), 0));
    });
}
