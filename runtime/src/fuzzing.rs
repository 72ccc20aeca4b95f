//! What reads input from outside, each as a function of any bytes: what fuzzing calls, and the tests below with bytes
//! of their own. A function that returns has found nothing.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Builder;

use crate::clock::SystemClock;
use crate::config::ceilometer::Import;
use crate::config::{Pipelines, Polling, daemon};
use crate::control::desk::Desk;
use crate::control::server;
use crate::modules::registry::Registry;
use crate::modules::store::record::{Found, decode, encode, framed};
use crate::publish::notifier::envelope::{Envelope, Escaped, Message};
use crate::publish::notifier::signature::{Canonical, METADATA, Signer};
use crate::publish::notifier::transport_url::{Options, TransportUrl};
use crate::sandbox::admission::admit;
use crate::sandbox::host::http::url::Url;
use crate::sandbox::host::http::{AddressGrant, Grant, Method};
use crate::spool::{log, record};

/// Something that reads bytes, and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("admission", admission),
    ("ceilometer_conf", ceilometer_conf),
    ("control", control),
    ("deployment", deployment),
    ("envelope", envelope),
    #[cfg(feature = "libvirt")]
    ("nova_xml", nova_xml),
    ("pipeline", pipeline),
    ("polling", polling),
    ("record", record),
    ("signature", signature),
    ("spool", spool),
    #[cfg(feature = "libvirt")]
    ("statistics", statistics),
    ("stored_deployment", stored_deployment),
    ("transport_url", transport_url),
    ("url", url),
];

/// A module that somebody deploys, as far as it is looked at before anything of it is compiled.
pub fn admission(bytes: &[u8]) {
    let _ = admit(bytes);
    // What a component begins with, so that what is behind it is reached.
    let _ = admit(&[b"\0asm\x0d\0\x01\0", bytes].concat());
}

/// A file like `ceilometer.conf`.
pub fn ceilometer_conf(bytes: &[u8]) {
    let _ = Import::of_bytes(bytes);
}

/// A request at the control socket, a method and a path on its first line and the body behind it, when the daemon is
/// about to end.
#[allow(clippy::panic, reason = "what fuzzing looks for")]
pub fn control(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (head, body) = bytes.split_at(end);
    let (method, path) = std::str::from_utf8(head).ok().and_then(|head| head.split_once(' ')).unwrap_or_default();
    let body = Bytes::copy_from_slice(body.strip_prefix(b"\n").unwrap_or_default());
    let Ok(request) = hyper::Request::builder().method(method).uri(path).body(body) else { return };
    let (desk, _) = Desk::new(Arc::new(SystemClock), Registry::none("nothing is kept"));
    let Ok(runtime) = Builder::new_current_thread().enable_time().build() else { return };
    let reply = runtime.block_on(server::try_read(&desk, &request));
    let status = reply.status();
    // Whatever is asked for, what is not understood is the other side's doing, and what is, cannot be done here.
    if status.is_server_error() && status != hyper::StatusCode::SERVICE_UNAVAILABLE {
        panic!("{status}");
    }
}

/// A deployment's file as the operator writes it.
pub fn deployment(bytes: &[u8]) {
    daemon::try_read_deployment(&String::from_utf8_lossy(bytes), Path::new("/deployments.d/fuzzed.yaml"));
}

/// Pieces of samples in a message: whatever they say, they come out of it as they went in.
#[allow(clippy::panic, reason = "what fuzzing looks for")]
pub fn envelope(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let pieces: Vec<&str> = text.split('\n').collect();
    let mut message = Message::new(&Envelope::of_samples(bytes, 0), 0);
    message.begin();
    for (number, piece) in pieces.iter().enumerate() {
        if number % 2 == 0 { message.add(piece) } else { message.add_shared(&Escaped::of(piece)) }
    }
    let message = message.finish();
    let outer: serde_json::Value = serde_json::from_slice(&message).unwrap_or_default();
    let inner = outer.get("oslo.message").and_then(serde_json::Value::as_str).unwrap_or_default();
    // What is not ASCII stands as an escape, in the pieces too.
    let expected = pieces.concat();
    let whole = inner.split_once("{\"samples\": [").and_then(|(_, rest)| rest.rsplit_once("]}, \"timestamp\""));
    match whole {
        Some((found, _)) if found == expected => {}
        _ => panic!("{expected:?} came out as {inner:?}"),
    }
}

/// The definition of a guest, with what Nova wrote into it.
#[cfg(feature = "libvirt")]
pub fn nova_xml(bytes: &[u8]) {
    let _ = crate::hypervisor::libvirt::definition(uuid::Uuid::nil(), &String::from_utf8_lossy(bytes));
}

/// A file like `pipeline.yaml`: what is taken has pipelines between sources and sinks that there are.
#[allow(clippy::panic, reason = "what fuzzing looks for")]
pub fn pipeline(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for is_polled_elsewhere in [false, true] {
        let read = Pipelines::parse(&text, Path::new("pipeline.yaml"), 0, is_polled_elsewhere);
        let Ok((pipelines, _)) = read else { continue };
        if pipelines.iter().count() != pipelines.pipelines.len() {
            panic!("{pipelines:?}");
        }
        let _ = (pipelines.polling(), pipelines.publishers(), pipelines.matcher().takers("cpu"));
    }
}

/// A file like `polling.yaml`.
pub fn polling(bytes: &[u8]) {
    let _ = Polling::parse(&String::from_utf8_lossy(bytes), Path::new("polling.yaml"), 0);
}

/// A record of the spool whose checksums are right.
pub fn record(bytes: &[u8]) {
    let _ = (record::read(bytes), record::read_memory(bytes));
    let packed = lz4_flex::compress_prepend_size(bytes);
    let _ = record::read(&[&[1], packed.as_slice()].concat());
}

/// JSON to be signed.
pub fn signature(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = Signer::new("secret").sign_json(&text);
    if let Ok(canonical) = Canonical::under(METADATA, &text) {
        canonical.write(&canonical, &mut String::new());
    }
}

/// A folder of the spool, whatever happened to its files.
pub fn spool(bytes: &[u8]) {
    log::hostile::fuzz(bytes);
}

/// What libvirt says of a guest, up to the slot's columns.
#[cfg(feature = "libvirt")]
pub fn statistics(bytes: &[u8]) {
    use crate::discovery::{Directory, Rules, Snapshot};
    use crate::hypervisor::{Definition, Groups, Record, libvirt};
    let guest = uuid::Uuid::nil();
    let (name, nothing) = ("guest".to_owned(), String::new());
    let (os_type, architecture) = (nothing.clone(), nothing);
    let (nova, plain) = (None, crate::hypervisor::Plain::default());
    let definition =
        Definition { uuid: guest, name, os_type, architecture, nova, plain, disks: Vec::new(), nics: Vec::new() };
    let mut rules = Rules::default();
    rules.guests.without_nova = crate::config::daemon::WithoutNova::Meter;
    rules.guests.project.default = Some("project".to_owned());
    let mut directory = Directory::new(rules);
    directory.learn(definition, 1);
    let at = crate::clock::Moment { wall: 0, monotonic: 0 };
    let records = [Record { guest, revision: 1, stats: libvirt::forged(bytes) }];
    let _ = Snapshot::assemble(&mut directory, |_| true, Groups::BLOCK, &records, &[], at);
}

/// A deployment's file in the store: what is taken for one is kept as it is.
#[allow(clippy::panic, reason = "what fuzzing looks for")]
pub fn stored_deployment(bytes: &[u8]) {
    let framed = framed(bytes.to_vec()).unwrap_or_default();
    for bytes in [bytes, framed.as_slice()] {
        if let Found::Deployment(deployment) = decode(bytes) {
            let again = encode(&deployment).map(|bytes| decode(&bytes));
            match again {
                Ok(Found::Deployment(again)) if again == deployment => {}
                _ => panic!("{deployment:?} is kept as {again:?}"),
            }
        }
    }
}

/// Where brokers are.
pub fn transport_url(bytes: &[u8]) {
    let _ = TransportUrl::parse(&String::from_utf8_lossy(bytes), Options::default());
}

/// What modules may request, what they do request, and where servers lead them: whatever is taken is taken for the same
/// when it is read again.
#[allow(clippy::panic, reason = "what fuzzing looks for")]
pub fn url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let same = |url: Url| match Url::parse(&url.to_string()) {
        Ok(again) if again == url => {}
        again => panic!("{url:?} was read as {again:?}"),
    };
    let _ = Url::parse(&text).map(same);
    let from = Url::parse("https://metrics.example:9100/a/b?c");
    let _ = from.and_then(|from| from.join(&text)).map(same);
    if let Ok(grant) = text.parse::<Grant>() {
        let covers = Method::ALL.iter().any(|method| grant.covers(*method, grant.url()));
        assert!(covers && grant.to_string().parse() == Ok(grant.clone()), "{grant:?}");
    }
    if let Ok(grant) = text.parse::<AddressGrant>() {
        assert!(grant.to_string().parse() == Ok(grant), "{grant:?}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A module is a component of many parts, into which no chance comes without one to begin with.
    fn damaged(at: prop::sample::Index, with: u8) -> Vec<u8> {
        let mut module = crate::modules::built_in().next().map(|module| module.wasm.to_vec()).unwrap_or_default();
        let at = at.index(module.len());
        module[at] ^= with;
        module
    }

    /// Words that are understood, in any order.
    fn words(known: &'static [&'static str]) -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(known), 0..12).prop_map(|words| words.concat())
    }

    const REQUEST: &[&str] = &[
        "GET ",
        "POST ",
        "/deployments",
        "/acme",
        "/one",
        "/deploy",
        "/log",
        "/rollback",
        "/pause",
        "/remove",
        "?after=",
        "?wait=0&after=1",
        "%00",
        "\n",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"to\":",
        "1",
        "\"interval\":",
        "\"config\":",
        "\"\"",
        "\"dry_run\":true",
        "\"grants\":{\"names\":[\"a.\"]}",
    ];
    const DEPLOYMENT: &[&str] = &[
        "tenant: acme\n",
        "name: one\n",
        "file: a.wasm\n",
        "interval: 1\n",
        "interval: -1\n",
        "digest: ",
        "9b74c9897bac770ffc029102a200c5de3b8a3d0f1e6f0b8d9a7c5e4f3b2a1c0d\n",
        "config: ",
        "{a: [b]}\n",
        "grants: ",
        "{names: [a.]}\n",
        "{names: [.]}\n",
        "&a ",
        "*a\n",
        "meters: ['!*', b]\n",
        "fuel_base: 1\n",
        "memory: 1MiB\n",
        "- ",
        "\n",
        "  ",
    ];
    const PIPELINE: &[&str] = &[
        "sources: [{name: a, meters: [cpu], ",
        "sources: ",
        "sinks: [{name: a, ",
        "sinks: ",
        "[a]",
        "[a, a]",
        "interval: 5, ",
        "publishers: [b], ",
        "transformers: [{name: delta, parameters: ",
        "{}",
        "}]",
        "}]\n",
        "{a: b}",
        "[",
        "]",
        ", ",
        "\n",
    ];
    const STORED: &[&str] = &[
        "{\"deployment\":",
        "{\"key\":{\"tenant\":\"a\",\"name\":\"b\"},",
        "\"versions\":[],",
        "\"versions\":[{}],",
        "\"life\":{},",
        "\"paused\":null,",
        "\"file\":null",
        "}",
        ",\"hidden\":[]",
        "[",
        "]",
        "\n",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn what_is_nearly_right_is_answered(
            request in words(REQUEST),
            written in words(DEPLOYMENT),
            pipelines in words(PIPELINE),
            stored in words(STORED),
            at in any::<prop::sample::Index>(),
            with in 1..=255_u8,
        ) {
            control(request.as_bytes());
            deployment(written.as_bytes());
            pipeline(pipelines.as_bytes());
            stored_deployment(stored.as_bytes());
            admission(&damaged(at, with));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nothing_is_found(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "[\\[\\]{}\",:= \n$a-z0-9<>/%@-]{0,200}") {
            for (_, target) in TARGETS {
                target(&bytes);
                target(text.as_bytes());
            }
        }
    }
}
