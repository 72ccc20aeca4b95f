//! A module that was loaded: linked, configured, and asked what it gives and needs.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Number, Value};
use wasmtime::component::{Component, Linker};

use super::admission::Manifest;
pub use super::admission::World;
use super::failure::{Cause, Failure};
use super::granted::Granted;
use super::host::{Context, Gives, Reads};
use super::limits::Limits;
use super::names::Giver;
use crate::agent::OPERATOR;
use crate::contract::pollster::PollsterPre;
use crate::contract::transformer::TransformerPre;
use crate::contract::{Description, PACKAGE, VERSION};
use crate::digest::Digest;
use crate::discovery::Label;

/// Code that can be instantiated.
#[derive(Clone)]
pub struct Code {
    /// The digest of the file.
    pub digest: String,
    /// The size of the file in bytes.
    pub size: usize,
    /// What the file says of itself.
    pub manifest: Manifest,
    pub(super) linked: Linked,
}

#[derive(Clone)]
pub(super) enum Linked {
    Pollster(PollsterPre<Context>),
    Transformer(TransformerPre<Context>),
}

/// Code with a name, a configuration and limits: what runs.
#[derive(Clone)]
pub struct Module {
    /// What it is called in this daemon.
    pub name: Arc<str>,
    /// Whose it is.
    pub tenant: Arc<str>,
    /// Who pays for what it uses, and has room for what it remembers: whose it is, or whose samples the operator's is
    /// handed.
    pub payer: Arc<str>,
    /// Whether it came with the daemon.
    pub built_in: bool,
    /// The code.
    pub code: Code,
    /// Its configuration, as it is handed over.
    pub config: String,
    /// What a call of it may use.
    pub limits: Limits,
    /// What it may do that others may not.
    pub granted: Arc<Granted>,
    /// What a pollster gives and needs; empty for a transformer, whose meters depend on its inputs.
    pub description: Arc<Description>,
    pub(super) reads: Arc<Reads>,
    /// Likewise.
    pub(super) gives: Arc<Gives>,
    /// What its work is called if it is for no meters, once somebody asked: after each slot it is asked for.
    pub(super) work: OnceLock<String>,
}

// === impl Code ===

impl Code {
    /// Links a component to what its world may import.
    pub(super) fn link(
        digest: String,
        size: usize,
        manifest: Manifest,
        component: &Component,
        linker: &Linker<Context>,
    ) -> Result<Self, Failure> {
        let mismatch = |error: wasmtime::Error| {
            let (major, minor, patch) = VERSION;
            let detail = format!(
                "it wants {PACKAGE}@{}, of which this host ({major}.{minor}.{patch}) does not have everything: {}",
                manifest.contract,
                error.root_cause()
            );
            Failure::new(Cause::AbiMismatch, detail)
        };
        let pre = linker.instantiate_pre(component).map_err(mismatch)?;
        let linked = match manifest.world {
            World::Pollster => Linked::Pollster(PollsterPre::new(pre).map_err(mismatch)?),
            World::Transformer => Linked::Transformer(TransformerPre::new(pre).map_err(mismatch)?),
        };
        Ok(Self { digest, size, manifest, linked })
    }
}

// === impl Module ===

impl Module {
    /// What distinguishes its work from that of any other: its name, what its configuration means, and the meters that
    /// it is for.
    /// What it remembers belongs to its work, whichever code does it: another version goes on with it.
    pub fn work(&self, meters: &[String]) -> String {
        match meters {
            [] => self.work.get_or_init(|| self.work_for(meters)).clone(),
            meters => self.work_for(meters),
        }
    }

    fn work_for(&self, meters: &[String]) -> String {
        // The number tells those of one name from each other, and changes when one of them goes.
        let name = self.name.split('#').next().unwrap_or_default();
        let mut all = format!("{name}\0{}", meaning(&self.config));
        meters.iter().for_each(|meter| all.extend(["\0", meter]));
        Digest::of(all.as_bytes()).to_string()
    }

    /// The same for what a tenant's modules give.
    pub fn paid_by(&self, payer: Arc<str>) -> Self {
        Self { payer, ..self.clone() }
    }

    /// Whether it runs for the operator, and not for a tenant.
    pub fn is_operators(&self) -> bool {
        *self.tenant == *OPERATOR
    }

    /// Whether it may make requests, and does.
    pub fn asks(&self) -> bool {
        self.granted.http.is_some() && self.code.manifest.asks()
    }

    /// As whom it gives meters.
    pub fn giver(&self) -> Giver<'_> {
        (&self.name, &self.granted)
    }

    /// A module before it has been asked to describe itself.
    pub fn undescribed(name: &str, built_in: bool, code: Code, config: String, limits: Limits) -> Self {
        Self {
            name: name.into(),
            tenant: OPERATOR.into(),
            payer: OPERATOR.into(),
            built_in,
            code,
            config,
            limits,
            granted: Arc::default(),
            description: Arc::new(Description {
                meters: Vec::new(),
                declares: Vec::new(),
                reads: Vec::new(),
                attributes: Vec::new(),
                discovery: Vec::new(),
            }),
            reads: Arc::default(),
            gives: Arc::default(),
            work: OnceLock::new(),
        }
    }

    /// A transformer cannot know what it reads before it knows its inputs; attributes cost nothing to have.
    pub(super) fn that_reads_every_attribute(mut self) -> Self {
        let attributes = Label::ATTRIBUTES.map(String::from).to_vec();
        self.reads = Arc::new(Reads { attributes, stats: Vec::new(), metadata: true, node: self.is_operators() });
        self
    }

    /// Takes over what a pollster said of itself.
    pub(super) fn described(mut self, description: Description) -> Self {
        let stats = description.reads.iter().map(|wanted| wanted.key.clone()).collect();
        let attributes = description.attributes.clone();
        self.reads = Arc::new(Reads { stats, attributes, metadata: false, node: false });
        self.gives = Arc::new(Gives::new(description.meters.clone(), &description.declares));
        self.description = Arc::new(description);
        self
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("name", &self.name).field("digest", &self.code.digest).finish_non_exhaustive()
    }
}

/// A configuration as one that means the same is written, too: keys in one order, and whole numbers as such.
fn meaning(config: &str) -> String {
    match serde_json::from_str(config) {
        Ok(Value::Null) => String::new(),
        Ok(Value::Object(entries)) if entries.is_empty() => String::new(),
        Ok(value) => plain(value).to_string(),
        Err(_) => config.to_owned(),
    }
}

fn plain(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let entries: BTreeMap<String, Value> =
                entries.into_iter().map(|(key, value)| (key, plain(value))).collect();
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(values) => values.into_iter().map(plain).collect(),
        Value::Number(number) => number.as_f64().filter(|_| number.is_f64()).and_then(whole).unwrap_or(number).into(),
        other => other,
    }
}

/// A real number as the whole one that it is.
fn whole(real: f64) -> Option<Number> {
    // Above this, not every whole number is a real one.
    const MOST: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "it is whole and fits")]
    (real.fract() == 0.0 && real.abs() < MOST).then(|| Number::from(real as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_that_mean_the_same_are_the_same() {
        let same = |a: &str, b: &str| meaning(a) == meaning(b);
        for (a, b) in [
            (r#"{"target": {"name": "x", "max": 2}, "on": true}"#, r#"{"on":true,"target":{"max":2.0,"name":"x"}}"#),
            (r#"[{"b": 1, "a": [2.0, null]}]"#, r#"[{"a":[2,null],"b":1.0}]"#),
            ("{}", "null"),
            ("", "{}"),
            ("no JSON", "no JSON"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [
            (r#"{"size": null}"#, "{}"),
            (r#"{"size": 1}"#, r#"{"size": "1"}"#),
            (r#"{"rules": [1, 2]}"#, r#"{"rules": [2, 1]}"#),
            ("1.5", "1"),
            ("9007199254740993", "9007199254740992.0"),
            ("no JSON", "no other JSON"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }
}
