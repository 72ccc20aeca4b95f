//! What Prometheus reads.

use std::net::SocketAddr;

use super::Taking;

pub(super) fn take(taking: &mut Taking<'_>) {
    let enabled = taking.boolean("polling", "enable_prometheus_exporter");
    let addresses = taking.list("polling", "prometheus_listen_addresses");
    let tls = taking.boolean("polling", "prometheus_tls_enable");
    let certificate = taking.text("polling", "prometheus_tls_certfile");
    let key = taking.text("polling", "prometheus_tls_keyfile");
    let Some(enabled) = enabled else {
        let set =
            [addresses.map(|set| set.at), tls.map(|set| set.at), certificate.map(|set| set.at), key.map(|set| set.at)];
        for at in set.into_iter().flatten() {
            taking.missing(at, "nothing: `enable_prometheus_exporter` is off", "nothing to do");
        }
        return;
    };
    match addresses {
        None => taking.take(enabled.at, &["metrics", "listen"], vec!["127.0.0.1:9101"]),
        Some(addresses) => {
            let read: Option<Vec<String>> = addresses.value.iter().map(|text| address(text)).collect();
            match read.filter(|read| !read.is_empty()) {
                Some(read) => {
                    taking.take(addresses.at, &["metrics", "listen"], read);
                    taking.tell(enabled.at, super::Verdict::Taken, "", "metrics");
                }
                None => {
                    let remedy = "Write addresses with ports, such as 127.0.0.1:9101,[::1]:9101";
                    taking.wrong(addresses.at, "has an entry that is not an address with a port", remedy);
                }
            }
        }
    }
    let Some(tls) = tls else {
        for at in [certificate.map(|set| set.at), key.map(|set| set.at)].into_iter().flatten() {
            taking.missing(at, "nothing: `prometheus_tls_enable` is off", "nothing to do");
        }
        return;
    };
    let certificate = certificate.filter(|set| !set.value.is_empty());
    let (Some(certificate), Some(key)) = (certificate, key.filter(|set| !set.value.is_empty())) else {
        let remedy = "Set `prometheus_tls_certfile` and `prometheus_tls_keyfile`, too, or turn it off";
        return taking.wrong(tls.at, "is on without a certificate and its key", remedy);
    };
    taking.tell(tls.at, super::Verdict::Taken, "", "metrics.tls");
    taking.take(certificate.at, &["metrics", "tls", "certificate"], certificate.value);
    taking.take(key.at, &["metrics", "tls", "key"], key.value);
}

/// An address with a port. Of names, the one that everybody has.
fn address(text: &str) -> Option<String> {
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse::<SocketAddr>().ok().map(|address| address.to_string())
}
