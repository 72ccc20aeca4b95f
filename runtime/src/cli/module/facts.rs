//! What a version of a deployment is, field by field: to be looked at, and to be compared.

use serde_json::Value;

use super::amount::bytes;
use crate::config::duration;
use crate::control::deployments::VersionShown;
use crate::digest::Digest;
use crate::modules::deployment::{Grants, Overrides, RequestLimits, SecretSource};

/// A field and one of its values. A field with several values is there several times, and one without none is not.
pub type Fact = (String, String);

/// The module's bytes.
pub fn of_module(digest: &Digest, size: u64) -> Vec<Fact> {
    vec![fact("module", format!("sha256:{digest}")), fact("size", format!("{size} bytes, {}", bytes(size)))]
}

/// All that a version is, but for its number, and for who deployed it when.
pub fn of(version: &VersionShown) -> Vec<Fact> {
    let VersionShown { digest, size, signed_by, config, meters, interval, grants, limits, .. } = version;
    let mut facts = of_module(digest, *size);
    facts.extend(signed_by.iter().map(|key| fact("signed by", key)));
    facts.push(fact("interval", format!("{interval}s")));
    of_config("config", config, &mut facts);
    facts.extend(meters.iter().map(|pattern| fact("meters", pattern)));
    of_grants(grants, &mut facts);
    of_limits(limits, &mut facts);
    facts
}

fn fact(what: &str, value: impl Into<String>) -> Fact {
    (what.to_owned(), value.into())
}

/// Key by key, at any depth. A list is one value, because its order may matter.
fn of_config(path: &str, config: &Value, facts: &mut Vec<Fact>) {
    match config {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                of_config(&format!("{path}.{key}"), value, facts);
            }
        }
        Value::Null if path == "config" => {}
        Value::String(text) if path == "config" && text.is_empty() => {}
        value => facts.push(fact(path, value.to_string())),
    }
}

fn of_grants(grants: &Grants, facts: &mut Vec<Fact>) {
    let Grants { names, http, addresses, secrets, secret_origins, requests, clock, random, groups, shortest_interval } =
        grants;
    for (what, texts) in
        [("grants.names", names), ("grants.http", http), ("grants.addresses", addresses), ("grants.groups", groups)]
    {
        facts.extend(texts.iter().map(|text| fact(what, text)));
    }
    let secret = |(name, source): (&String, &SecretSource)| match source {
        SecretSource::File(path) => fact("grants.secrets", format!("{name}, in {path}")),
        SecretSource::Text(_) => fact("grants.secrets", name),
    };
    facts.extend(secrets.iter().map(secret));
    for (name, origins) in secret_origins {
        facts.extend(origins.iter().map(|origin| fact("grants.origins", format!("{name} to {origin}"))));
    }
    let RequestLimits { body, time, per_minute } = requests;
    facts.extend(body.map(|body| fact("grants.body", bytes(body))));
    let time = time.map(std::time::Duration::from_millis);
    facts.extend(time.map(|time| fact("grants.time", duration::show(time))));
    facts.extend(per_minute.map(|rate| fact("grants.rate", format!("{rate} a minute"))));
    facts.extend(clock.then(|| fact("grants.clock", "yes")));
    facts.extend(random.then(|| fact("grants.random", "yes")));
    facts.extend(shortest_interval.map(|seconds| fact("grants.interval", format!("{seconds}s"))));
}

fn of_limits(limits: &Overrides, facts: &mut Vec<Fact>) {
    let Overrides { fuel_base, fuel_per_resource, memory, deadline } = limits;
    facts.extend(fuel_base.map(|fuel| fact("limits.fuel", fuel.to_string())));
    facts.extend(fuel_per_resource.map(|fuel| fact("limits.fuel_per_resource", fuel.to_string())));
    facts.extend(memory.map(|memory| fact("limits.memory", bytes(memory))));
    let shown = |milliseconds| duration::show(std::time::Duration::from_millis(milliseconds));
    facts.extend(deadline.map(|deadline| fact("limits.deadline", shown(deadline))));
}

/// A version as the daemon tells it.
#[cfg(test)]
pub fn example(number: u64) -> VersionShown {
    VersionShown {
        number,
        digest: Digest::of(b"module"),
        size: 96_973,
        deployed_at: crate::control::time::Time(1_767_323_045_000_000_000),
        by: "uid 0".into(),
        signed_by: Some("release".into()),
        config: serde_json::json!({"threshold": 3, "auth": {"token": "***", "user": "me"}, "names": ["a", "b"]}),
        meters: vec!["acme.*".into(), "!acme.odd".into()],
        interval: 60,
        grants: Grants { names: vec!["acme.".into()], clock: true, ..Grants::default() },
        limits: Overrides { memory: Some(16 << 20), deadline: Some(500), ..Overrides::default() },
        in_force: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(version: &VersionShown) -> Vec<String> {
        of(version).iter().map(|(what, value)| format!("{what} {value}")).collect()
    }

    #[test]
    fn every_field_is_there_with_each_of_its_values() {
        let mut version = example(1);
        version.grants = Grants {
            names: vec!["acme.".into(), "more.".into()],
            http: vec!["GET https://metrics.example:9100/".into()],
            addresses: vec!["10.0.0.5".into()],
            secrets: [("token".to_owned(), SecretSource::File("/etc/token".into()))].into(),
            clock: false,
            random: true,
            groups: vec!["block".into()],
            shortest_interval: Some(1),
            secret_origins: [("token".to_owned(), vec!["https://metrics.example:9100".to_owned()])].into(),
            requests: RequestLimits { body: Some(1 << 20), time: Some(1500), per_minute: Some(30) },
        };
        version.limits.fuel_base = Some(1_000);
        version.limits.fuel_per_resource = Some(10);
        let digest = Digest::of(b"module");
        let expected = [
            &format!("module sha256:{digest}"),
            "size 96973 bytes, 94.7K",
            "signed by release",
            "interval 60s",
            "config.threshold 3",
            "config.auth.token \"***\"",
            "config.auth.user \"me\"",
            "config.names [\"a\",\"b\"]",
            "meters acme.*",
            "meters !acme.odd",
            "grants.names acme.",
            "grants.names more.",
            "grants.http GET https://metrics.example:9100/",
            "grants.addresses 10.0.0.5",
            "grants.groups block",
            "grants.secrets token, in /etc/token",
            "grants.origins token to https://metrics.example:9100",
            "grants.body 1.0M",
            "grants.time 1500ms",
            "grants.rate 30 a minute",
            "grants.random yes",
            "grants.interval 1s",
            "limits.fuel 1000",
            "limits.fuel_per_resource 10",
            "limits.memory 16.0M",
            "limits.deadline 500ms",
        ];
        assert_eq!(lines(&version), expected);
    }

    #[test]
    fn what_is_not_there_is_not_named() {
        for config in [Value::Null, "".into()] {
            let bare = VersionShown {
                signed_by: None,
                config,
                meters: Vec::new(),
                grants: Grants::default(),
                limits: Overrides::default(),
                ..example(1)
            };
            assert_eq!(lines(&bare).len(), 3, "{:?}", lines(&bare));
        }
        let told = VersionShown { config: "run: loop".into(), ..example(1) };
        assert!(lines(&told).contains(&"config \"run: loop\"".to_owned()));
    }
}
