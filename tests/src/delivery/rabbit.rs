//! RabbitMQ itself: absent, out of memory, killed, restarted.

use wasmeter_rig::{Rabbit, or_say};

use super::{Arrived, CONNECTED, LOST, QUEUE, balance, publishing, said, until_measured, until_said};
use crate::support::program::until;

/// How much more memory it may have for all that waits.
const MORE_MEMORY: u64 = 24 << 20;

/// One after the other, as each start of RabbitMQ takes its time.
#[test]
fn rabbitmq_may_come_and_go() {
    let Some(rabbit) = or_say(Rabbit::start()) else { return };
    let vhost = rabbit.vhost();
    let folder = publishing(&vhost.url(), ", heartbeat_timeout_threshold: 2", "");
    rabbit.stop().unwrap();

    // Absent from the beginning on.
    let daemon = folder.start("run");
    until_said(&daemon, LOST, 1);
    until_measured(&folder, 1);
    let before = daemon.memory();
    rabbit.start_again().unwrap();
    until_said(&daemon, CONNECTED, 1);
    until("samples", || vhost.queue_length(QUEUE).is_ok_and(|messages| messages > 0).then_some(()));

    // Longer than it may be silent otherwise.
    rabbit.memory_alarm(true).unwrap();
    until_said(&daemon, "The broker takes no messages for now.", 1);
    until_measured(&folder, 5);
    rabbit.memory_alarm(false).unwrap();
    until_said(&daemon, "The broker takes messages again.", 1);
    assert_eq!(said(&daemon.log(), CONNECTED), 1, "{}", daemon.log());

    rabbit.kill().unwrap();
    until_said(&daemon, LOST, 2);
    until_measured(&folder, 1);
    rabbit.start_again().unwrap();
    until_said(&daemon, CONNECTED, 2);
    until_measured(&folder, 1);

    rabbit.stop().unwrap();
    until_measured(&folder, 1);
    rabbit.start_again().unwrap();
    until_said(&daemon, CONNECTED, 3);
    let after = daemon.memory();
    let log = daemon.end();

    let arrived = Arrived::of(&vhost.drain(QUEUE).unwrap());
    let measured = folder.samples("samples");
    arrived.is_all(&measured);
    assert_eq!(balance(&folder.path("spool"), &measured, &arrived), (0, 0));
    assert_eq!(said(&log, CONNECTED), 3, "{log}");
    // Ended, and then refused: those are two reasons.
    assert!((3..=6).contains(&said(&log, LOST)), "{log}");
    for once in ["The broker takes no messages for now.", "The broker takes messages again."] {
        assert_eq!(said(&log, once), 1, "{log}");
    }
    assert!(after < before + MORE_MEMORY, "{before} bytes became {after}");
    println!("{} samples, {} again, {before} bytes of memory became {after}", measured.len(), arrived.again);
}
