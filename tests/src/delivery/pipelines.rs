//! What comes out of a pipeline, for every kind of receiver at once.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;
use wasmeter_rig::{Proxy, Rabbit, Vhost, or_say};

use super::receiver::Receiver;
use crate::support::program::{Folder, samples_so_far, text, until};

const PIPELINE: &str = r"
sources:
    - {name: cpu_source, meters: [cpu], sinks: [cpu_sink]}
sinks:
    - name: cpu_sink
      transformers:
          - name: rate_of_change
            parameters:
                target:
                    name: cpu_util
                    unit: '%'
                    type: gauge
                    scale: '100.0 / (10**9 * (resource_metadata.cpu_number or 1))'
      publishers: PUBLISHERS
";

/// How many guests there are, and so many rates come of a slot.
const GUESTS: usize = 5;
/// Bytes a second, fewer than a slot has.
const SLOW: u64 = 2000;

/// A resource at a time, which tells samples of one meter apart, and the volume.
type Point = ((String, i64), f64);

/// Somebody who gets samples.
struct Recipient {
    /// Its name in the books.
    publisher: String,
    /// None while there is none.
    receiver: RefCell<Option<Receiver>>,
    /// What came to those before.
    before: RefCell<Vec<Value>>,
    /// Whether it says what arrived. Who does not may lack what was under way when a connection broke.
    confirms: bool,
    /// What stands between.
    proxy: Option<Proxy>,
    /// What it wrote down of a sample.
    point: fn(&Value) -> Point,
    /// What happens to it, one after the other.
    troubles: &'static [Trouble],
}

/// What happens to a recipient.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// It refuses connections; without any, nobody listens.
    Away,
    /// It answers nobody.
    Silent,
    /// It is there, and takes less than is measured.
    Slow,
    /// It behaves in this way.
    Behaves(&'static str),
    /// The broker takes nothing.
    Full,
}

fn micros(timestamp: &str) -> i64 {
    let time: jiff::civil::DateTime = timestamp.parse().unwrap();
    jiff::tz::TimeZone::UTC.to_timestamp(time).unwrap().as_microsecond()
}

fn of_sample(sample: &Value, prefix: &str) -> Point {
    assert_eq!(sample[&*format!("{prefix}name")], "cpu_util", "{sample}");
    assert_eq!(
        (&sample[&*format!("{prefix}type")], &sample[&*format!("{prefix}unit")]),
        (&"gauge".into(), &"%".into())
    );
    let at = (text(sample, "resource_id").to_owned(), micros(text(sample, "timestamp")));
    (at, sample[&*format!("{prefix}volume")].as_f64().unwrap())
}

fn of_point(point: &Value) -> Point {
    assert_eq!((text(point, "name"), text(point, "kind"), text(point, "unit")), ("cpu_util", "gauge", "%"), "{point}");
    let at = (text(&point["attributes"], "resource_id").to_owned(), point["time"].as_i64().unwrap() / 1000);
    (at, point["value"].as_f64().unwrap())
}

impl Recipient {
    fn new(kind: &str, more: &[&str], point: fn(&Value) -> Point, troubles: &'static [Trouble]) -> Option<Self> {
        let receiver = or_say(Receiver::start(kind, more))?;
        // The broker is who is in trouble, and datagrams need no connection.
        let proxy = (!matches!(kind, "udp" | "oslo")).then(|| Proxy::start(receiver.port()).unwrap());
        let port = proxy.as_ref().map_or(receiver.port(), Proxy::port);
        Some(Self {
            publisher: match kind {
                "http" => format!("http://127.0.0.1:{port}/in?timeout=2"),
                "otlp-http" => format!("opentelemetryhttp://127.0.0.1:{port}/v1/metrics?timeout=2"),
                "otlp-grpc" => format!("opentelemetrygrpc://127.0.0.1:{port}?timeout=2"),
                kind => format!("{kind}://127.0.0.1:{port}"),
            },
            receiver: RefCell::new(Some(receiver)),
            before: RefCell::default(),
            confirms: !matches!(kind, "udp" | "tcp"),
            proxy,
            point,
            troubles,
        })
    }

    fn seen(&self) -> BTreeMap<(String, i64), f64> {
        let mut all = self.before.borrow().clone();
        all.extend(self.receiver.borrow().iter().flat_map(Receiver::received));
        all.iter().map(self.point).collect()
    }

    fn begins(&self, trouble: Trouble, vhost: &Vhost<'_>) {
        match (trouble, &self.proxy) {
            (Trouble::Away, Some(proxy)) => proxy.refuse(),
            (Trouble::Away, None) => {
                let receiver = self.receiver.take().unwrap();
                self.before.borrow_mut().extend(receiver.end());
            }
            (Trouble::Silent, Some(proxy)) => proxy.stall(),
            (Trouble::Slow, Some(proxy)) => proxy.throttle(SLOW),
            (Trouble::Behaves(mode), _) => self.receiver.borrow().as_ref().unwrap().behave(mode),
            (Trouble::Full, _) => {
                let full = r#"{"max-length":0,"overflow":"reject-publish"}"#;
                vhost.rabbit().ctl(&["set_policy", "-p", vhost.name(), "full", "^metering", full]).unwrap();
            }
            (trouble, None) => panic!("{trouble:?} needs somebody between"),
        }
        if let (Trouble::Away | Trouble::Silent, Some(proxy)) = (trouble, &self.proxy) {
            proxy.cut();
        }
    }

    fn ends(&self, trouble: Trouble, vhost: &Vhost<'_>) {
        match (trouble, &self.proxy) {
            (Trouble::Behaves(_), _) => self.receiver.borrow().as_ref().unwrap().behave("take"),
            (Trouble::Full, _) => {
                vhost.rabbit().ctl(&["clear_policy", "-p", vhost.name(), "full"]).unwrap();
            }
            (_, Some(proxy)) => proxy.heal().unwrap(),
            (_, None) => {
                let port = self.publisher.rsplit(':').next().unwrap();
                *self.receiver.borrow_mut() = Some(Receiver::start("udp", &[port]).unwrap());
            }
        }
    }
}

/// What is measured in all, and delivered, spooled and lost, of each publisher of a pipeline. The equation holds.
fn books(folder: &Folder) -> Vec<(String, u64, [u64; 3])> {
    let told = folder.run("spool status --json").is(0).json();
    let publishers = told["publishers"].as_array().unwrap().iter();
    let of_pipeline = publishers.filter(|publisher| text(publisher, "name").starts_with("pipeline:"));
    let books = of_pipeline.map(|publisher| {
        let number = |key: &str| publisher[key].as_u64().unwrap();
        let (measured, became) = (number("measured"), ["delivered", "spooled", "lost"].map(number));
        assert_eq!(measured + number("replayed"), became.iter().sum::<u64>(), "{publisher}");
        (text(publisher, "name").to_owned(), measured, became)
    });
    books.collect()
}

/// Each is away, answers nobody, is slow, refuses, and comes and goes, while the others get all of each slot, and the
/// books balance. In the end all that say what arrived have all of it.
#[test]
fn each_receiver_has_every_rate() {
    use Trouble::{Away, Behaves, Full, Silent, Slow};
    let Some(vhost) = or_say(Rabbit::shared()) else { return };
    let of_http = |line: &Value| of_sample(&line["sample"], "");
    let of_message = |sample: &Value| of_sample(sample, "counter_");
    let of_notification = |line: &Value| of_sample(&line["sample"], "counter_");
    let recipients = [
        Recipient::new("http", &[], of_http, &[Away, Behaves("status 503"), Behaves("late 300")]),
        Recipient::new("otlp-http", &[], of_point, &[Silent, Behaves("flap 503"), Behaves("status 400")]),
        Recipient::new("otlp-grpc", &[], of_point, &[Away, Behaves("status 14"), Slow]),
        Recipient::new("tcp", &[], of_message, &[Away, Silent, Slow]),
        Recipient::new("udp", &[], of_message, &[Away]),
        Recipient::new("oslo", &[&vhost.url(), "metering"], of_notification, &[Silent, Full, Slow]),
    ];
    let Some(mut all) = recipients.into_iter().collect::<Option<Vec<Recipient>>>() else { return };
    let broker = Proxy::start(vhost.rabbit().port()).unwrap();
    let notifier = vhost.url_at(broker.port()).replace("rabbit://", "notifier://");
    all[5].publisher = format!("{notifier}?per_meter_topic=0");
    all[5].proxy = Some(broker);
    let file = "file://FOLDER/rates?json";
    let publishers: Vec<&str> = all.iter().map(|recipient| &*recipient.publisher).chain([file]).collect();
    // Its secret is what samples over UDP and TCP are signed with.
    let signing = format!("broker: {{url: '{}', secret: hush-hush}}", vhost.url());
    let folder = Folder::measuring(super::GUESTS, &format!("{signing}\npipeline: pipeline.yaml\n"));
    folder.pipe_samples(&PIPELINE.replace("PUBLISHERS", &format!("{publishers:?}")));
    let daemon = folder.start("run");
    let rates = || -> BTreeMap<(String, i64), f64> {
        samples_so_far(&folder.read("rates")).iter().map(|one| of_sample(one, "counter_")).collect()
    };
    until("rates everywhere", || all.iter().all(|recipient| !recipient.seen().is_empty()).then_some(()));
    for (place, troubled) in all.iter().enumerate() {
        for trouble in troubled.troubles {
            troubled.begins(*trouble, &vhost);
            let before = rates();
            let slot = until("another slot", || {
                let mut now = rates();
                now.retain(|at, _| !before.contains_key(at));
                (now.len() >= GUESTS).then_some(now)
            });
            for other in all.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, other)| other) {
                let has_it = |seen: BTreeMap<_, _>| slot.keys().all(|at| seen.contains_key(at)).then_some(());
                let what = format!("{} while {} is {trouble:?}", other.publisher, troubled.publisher);
                until(&what, || has_it(other.seen()));
            }
            assert!(books(&folder).iter().all(|(_, _, [_, _, lost])| *lost == 0), "{trouble:?}");
            troubled.ends(*trouble, &vhost);
        }
        let before = troubled.seen().len();
        until("more again", || (troubled.seen().len() > before).then_some(()));
    }
    daemon.end();
    let rates = rates();
    let books = books(&folder);
    assert_eq!(books.len(), publishers.len(), "{books:#?}");
    for (publisher, measured, became) in &books {
        assert_eq!((*measured, became), (rates.len() as u64, &[rates.len() as u64, 0, 0]), "{publisher}");
    }
    for recipient in &all {
        let publisher = &recipient.publisher;
        let seen = until(publisher, || {
            let seen = recipient.seen();
            (!recipient.confirms || rates.keys().all(|at| seen.contains_key(at))).then_some(seen)
        });
        for (at, volume) in rates.iter().filter(|(at, _)| recipient.confirms || seen.contains_key(*at)) {
            assert_eq!(seen.get(at), Some(volume), "{at:?} from {publisher}");
        }
    }
}
