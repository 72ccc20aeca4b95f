//! Rules, as they are written.

use std::collections::BTreeMap;

use scaling::{Keys, Pattern, Positions, mixed};
use serde_json::Value;
use wasmeter_sdk::Meter;

use crate::conditions::{Conditions, Held};

/// The rules, in their order.
#[derive(Debug)]
pub struct Rules(pub Vec<Rule>);

/// What is done with which samples.
#[derive(Debug)]
pub struct Rule {
    pub conditions: Conditions,
    pub action: Action,
}

/// What is done with samples.
#[derive(Debug)]
pub enum Action {
    /// The others are left out.
    Keep,
    /// They are left out.
    Drop,
    /// They come out by another name.
    Rename(Pattern),
    /// They carry more metadata: keys, and values as JSON.
    Set(Vec<(String, String)>),
}

/// On what it depends that a sample comes out under a name.
#[derive(Debug, Clone, PartialEq)]
enum Way {
    /// On what these rules make of it, by their places: whether their conditions hold.
    Through(Vec<(usize, bool)>),
    /// There are several ways.
    Several,
}

/// More rules are nobody's intention, and every sample goes through all of them.
const MOST: usize = 64;

/// Metadata that the host writes, and nobody else.
const HOSTS: [&str; 31] = [
    "display_name",
    "name",
    "instance_id",
    "instance_type",
    "host",
    "instance_host",
    "flavor",
    "status",
    "state",
    "task_state",
    "image",
    "image_ref",
    "image_ref_url",
    "image_meta",
    "reservation_id",
    "architecture",
    "OS-EXT-AZ:availability_zone",
    "kernel_id",
    "os_type",
    "ramdisk_id",
    "vcpus",
    "memory_mb",
    "disk_gb",
    "ephemeral_gb",
    "root_gb",
    "user_metadata",
    "disk_name",
    "mac",
    "fref",
    "parameters",
    "vnic_name",
];

// === impl Rules ===

impl Rules {
    pub fn of(config: &str) -> Result<Self, String> {
        let mut keys = Keys::of(config)?;
        let rules = keys.list("rules")?;
        keys.end()?;
        if rules.is_empty() {
            return Err("rules is missing or empty; write a list of keep, drop, rename and set".into());
        }
        if rules.len() > MOST {
            return Err(format!("rules has {} entries and may have {MOST}", rules.len()));
        }
        rules.into_iter().map(Rule::of).collect::<Result<_, _>>().map(Self)
    }

    /// The meters that may come of these. Rules that depend on samples may keep those of two apart that have one name.
    pub fn positions(&self, inputs: &[Meter]) -> Result<Positions, String> {
        let mut positions = Positions::default();
        let mut ways: BTreeMap<String, Vec<(&str, Way)>> = BTreeMap::new();
        for input in inputs {
            for (meter, way) in self.names(input) {
                let others = ways.entry(meter.name.clone()).or_default();
                let mut others_of = others.iter().filter(|(other, _)| *other != input.name);
                if let Some((other, _)) = others_of.find(|(_, other)| way.meets(other)) {
                    return Err(mixed(other, &input.name, &meter.name));
                }
                others.push((&input.name, way));
                positions.of(meter)?;
            }
        }
        Ok(positions)
    }

    /// The meters that may come of one, and the way to each.
    fn names(&self, input: &Meter) -> Vec<(Meter, Way)> {
        let mut meters = vec![(input.clone(), Way::Through(Vec::new()))];
        for (place, rule) in self.0.iter().enumerate() {
            let mut after: Vec<(Meter, Way)> = Vec::new();
            for (meter, way) in meters {
                let held = rule.conditions.of_meter(&meter);
                let (hit, missed) = match &rule.action {
                    Action::Keep => (Some(meter), None),
                    Action::Drop => (None, Some(meter)),
                    Action::Rename(pattern) => {
                        (Some(Meter { name: pattern.replace(&meter.name), ..meter.clone() }), Some(meter))
                    }
                    Action::Set(_) => (Some(meter.clone()), Some(meter)),
                };
                let outcomes = match held {
                    Held::Always => vec![(hit, way)],
                    Held::Never => vec![(missed, way)],
                    Held::Depends if hit == missed => vec![(hit, way)],
                    Held::Depends => vec![(hit, way.through(place, true)), (missed, way.through(place, false))],
                };
                for (meter, way) in outcomes.into_iter().filter_map(|(meter, way)| Some((meter?, way))) {
                    match after.iter_mut().find(|(known, _)| *known == meter) {
                        Some((_, known)) => *known = Way::Several,
                        None => after.push((meter, way)),
                    }
                }
            }
            meters = after;
        }
        meters
    }
}

// === impl Way ===

impl Way {
    fn through(&self, rule: usize, holds: bool) -> Self {
        match self {
            Self::Through(rules) => Self::Through(rules.iter().copied().chain([(rule, holds)]).collect()),
            Self::Several => Self::Several,
        }
    }

    /// Whether some samples go both ways: those of the one that depends on all that the other depends on.
    fn meets(&self, other: &Self) -> bool {
        let (Self::Through(a), Self::Through(b)) = (self, other) else { return false };
        a.iter().all(|rule| b.contains(rule)) || b.iter().all(|rule| a.contains(rule))
    }
}

// === impl Rule ===

impl Rule {
    fn of(mut keys: Keys) -> Result<Self, String> {
        let mut given = ["keep", "drop", "rename", "set"].to_vec();
        given.retain(|key| keys.has(key));
        let (keep, drop) = (keys.keys("keep")?, keys.keys("drop")?);
        let (mut rename, set, when) = (keys.keys("rename")?, keys.keys("set")?, keys.keys("when")?);
        let place = keys.place("");
        let place = place.trim_end_matches('.');
        keys.end()?;
        let [action] = given[..] else {
            let given = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
            return Err(format!("{place} has {given}; write one of keep, drop, rename and set, with what it needs"));
        };
        let (is_empty, needs) = match action {
            "keep" | "drop" => (keep.is_empty() && drop.is_empty(), "conditions, each as a name and a pattern"),
            "rename" => (rename.is_empty(), "from and to"),
            _ => (set.is_empty(), "metadata and their values"),
        };
        if is_empty {
            return Err(format!("{place}.{action} is empty; write {needs}"));
        }
        if matches!(action, "keep" | "drop") {
            if !when.is_empty() {
                return Err(format!("{place}.when has no meaning here; write its conditions under {action}"));
            }
            return Ok(match action {
                "keep" => Self { conditions: Conditions::of(keep)?, action: Action::Keep },
                _ => Self { conditions: Conditions::of(drop)?, action: Action::Drop },
            });
        }
        let conditions = Conditions::of(when)?;
        if action == "set" {
            return Ok(Self { conditions, action: Action::Set(entries(set)?) });
        }
        let (from, to) = (rename.text("from")?, rename.text("to")?);
        let (there, here) = (rename.place("from"), rename.place("to"));
        rename.end()?;
        let from = from.ok_or_else(|| format!("{there} is missing; write a pattern for the name"))?;
        let to = to.ok_or_else(|| format!("{here} is missing; write what replaces what {there} matches"))?;
        Ok(Self { conditions, action: Action::Rename(Pattern::of((&there, &from), (&here, &to))?) })
    }
}

/// Metadata to set.
fn entries(keys: Keys) -> Result<Vec<(String, String)>, String> {
    let place = keys.place("");
    let entry = |(key, value): (String, Value)| {
        if HOSTS.contains(&&*key) {
            return Err(format!("{place}{key} is written by the host; write another key"));
        }
        if key.is_empty() || key.len() > 255 || key.chars().any(char::is_control) {
            return Err(format!("{place}{key:?} is no key; write 1 to 255 bytes without control characters"));
        }
        Ok((key, value.to_string()))
    };
    keys.rest().into_iter().map(entry).collect()
}
