//! A RabbitMQ that does not want us, or has something else than expected.

use rustix::process::Signal;
use wasmeter_rig::lapin::ExchangeKind;
use wasmeter_rig::lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use wasmeter_rig::lapin::types::FieldTable;
use wasmeter_rig::{Certificates, Rabbit, or_say};

use super::{Arrived, CONNECTED, LOST, QUEUE, balance, publishing, said, until_measured, until_said};
use crate::support::program::{Folder, until};

/// Passwords that no other text contains.
const WRONG: &str = "wr0ng-secret";
const RIGHT: &str = "r1ght-secret";

fn reload(folder: &Folder, old: &str, new: &str) {
    let config = folder.read("wasmeter.yaml");
    assert!(config.contains(old));
    folder.write("wasmeter.yaml", config.replace(old, new));
}

/// First the broker's password changes to ours, then ours to the broker's. No password is ever logged.
#[test]
fn a_wrong_password_and_then_the_right_one() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let rabbit = vhost.rabbit();
    let user = format!("meter-{}", vhost.name());
    rabbit.ctl(&["add_user", &user, "another"]).unwrap();
    rabbit.ctl(&["set_permissions", "-p", vhost.name(), &user, ".*", ".*", ".*"]).unwrap();
    let folder = publishing(&rabbit.url(&user, WRONG, vhost.name()), "", "");
    let daemon = folder.start_by_shell("exec env WASMETER_LOG=trace \"$wasmeter\" run -c wasmeter.yaml");
    until_said(&daemon, "ACCESS_REFUSED", 3);
    until_measured(&folder, 1);
    rabbit.ctl(&["change_password", &user, WRONG]).unwrap();
    until_said(&daemon, CONNECTED, 1);

    // The connection that is there stays, until it ends for another reason.
    rabbit.ctl(&["change_password", &user, RIGHT]).unwrap();
    rabbit.ctl(&["close_all_user_connections", &user, "it is a test"]).unwrap();
    until_said(&daemon, LOST, 3);
    until_measured(&folder, 1);
    reload(&folder, WRONG, RIGHT);
    daemon.signal(Signal::HUP);
    until_said(&daemon, CONNECTED, 2);
    let log = daemon.end();

    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = folder.samples("samples");
    arrived.is_all(&measured);
    assert_eq!(balance(&folder.path("spool"), &measured, &arrived), (0, 0));
    assert_eq!((said(&log, LOST), said(&log, CONNECTED)), (3, 2), "{log}");
    for secret in [WRONG, RIGHT, "hush-hush", "secret"] {
        assert!(!log.contains(secret), "{secret} in:\n{log}");
    }
}

#[test]
fn a_deleted_queue_is_made_again() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let folder = publishing(&vhost.url(), "", "");
    let daemon = folder.start("run");
    until_said(&daemon, CONNECTED, 1);
    until_measured(&folder, 1);
    let mut arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    vhost.delete_queue(QUEUE).unwrap();
    until_said(&daemon, "A message was returned; declaring the queue again.", 1);
    until_measured(&folder, 1);
    vhost.delete_exchange("ceilometer").unwrap();
    until_said(&daemon, "The broker closed the channel; declaring everything again.", 1);
    until_said(&daemon, "The broker takes messages again.", 2);
    until("a publisher that works", || {
        folder
            .run("status")
            .stdout
            .lines()
            .any(|line| line.starts_with("notifier") && line.contains("works"))
            .then_some(())
    });
    until_measured(&folder, 1);
    let log = daemon.end();
    arrived.take(&vhost.drain(QUEUE).unwrap());
    let measured = folder.samples("samples");
    // What was in the queue when it was deleted is gone with it, and was delivered.
    arrived.is_part(&measured);
    assert_eq!(balance_of_delivered(&folder), (measured.len() as u64, 0));
    let slots = crate::support::program::slots(&measured).len();
    assert!(arrived.times().len() >= slots - 1, "{} of {slots} slots", arrived.times().len());
    assert_eq!((said(&log, LOST), said(&log, CONNECTED)), (0, 1), "{log}");
}

/// How many samples the notifier delivered and lost.
fn balance_of_delivered(folder: &Folder) -> (u64, u64) {
    let account = super::account(&folder.path("spool"), "notifier");
    assert!(account.balances());
    (account.acknowledged.counts.samples(), account.lost().counts.samples())
}

/// As an older Ceilometer may have left it.
#[test]
fn an_exchange_of_other_flags_is_used_as_it_is() {
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    vhost.declare_exchange("ceilometer", ExchangeKind::Topic, ExchangeDeclareOptions::default()).unwrap();
    vhost.declare_queue(QUEUE, QueueDeclareOptions::default(), FieldTable::default()).unwrap();
    let folder = publishing(&vhost.url(), "", "");
    let daemon = folder.start("run");
    until_said(&daemon, CONNECTED, 1);
    until_measured(&folder, 1);
    let log = daemon.end();
    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = folder.samples("samples");
    arrived.is_all(&measured);
    assert_eq!(balance(&folder.path("spool"), &measured, &arrived), (0, 0));
    assert_eq!(said(&log, "Something exists with other flags and is used as it is."), 2, "{log}");
    assert_eq!((said(&log, LOST), said(&log, CONNECTED)), (0, 1), "{log}");
}

/// The broker wants our certificate, and shows one that expired; then a good one, and the expired one again.
#[test]
fn an_expired_certificate_and_then_a_good_one() {
    let certificates = Certificates::new().unwrap();
    let options = Rabbit::options().tls(&certificates).clients_need_certificates();
    let Some(rabbit) = or_say(options.start()) else { return };
    rabbit.show_certificate(certificates.expired_server()).unwrap();
    let vhost = rabbit.vhost();
    let at = |path: &std::path::Path| path.display().to_string();
    let client = certificates.client();
    let options = format!(
        ", ssl: true, ssl_ca_file: {}, ssl_cert_file: {}, ssl_key_file: {}",
        at(&certificates.authority()),
        at(&client.certificate),
        at(&client.key),
    );
    let folder = publishing(&vhost.url_at(rabbit.tls_port().unwrap()), &options, "");
    let daemon = folder.start("run");
    until_said(&daemon, LOST, 1);
    assert!(daemon.log().contains("Expired"), "{}", daemon.log());
    until_measured(&folder, 2);
    rabbit.show_certificate(certificates.server()).unwrap();
    until_said(&daemon, CONNECTED, 1);
    until_measured(&folder, 1);
    let log = daemon.end();
    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = folder.samples("samples");
    arrived.is_all(&measured);
    assert_eq!(balance(&folder.path("spool"), &measured, &arrived), (0, 0));
    assert_eq!((said(&log, LOST), said(&log, CONNECTED)), (1, 1), "{log}");
    super::publisher::tls(&rabbit, &certificates);
}
