//! What is scraped of whom, and what is made of it.

use std::collections::BTreeMap;

use wasmeter_sdk::Kind;
use wasmeter_sdk::config::{self, Deserialize, serde};

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(crate = "serde", deny_unknown_fields)]
pub struct Config {
    /// Endpoints, each of a guest.
    pub targets: Vec<Target>,
    /// Headers of every request. `{{secret:NAME}}` in a value stands for a secret of the deployment.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What becomes of what they say.
    pub series: Vec<Series>,
}

/// An endpoint and the guest whose samples come from it.
#[derive(Debug, Deserialize)]
#[serde(crate = "serde", deny_unknown_fields)]
pub struct Target {
    /// The guest's id or its name.
    pub guest: String,
    /// Where its application speaks to Prometheus.
    pub url: String,
}

/// A series and its meter. Several that match are added.
#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "serde", deny_unknown_fields)]
pub struct Series {
    /// What Prometheus calls it.
    pub series: String,
    /// Labels that it has to have.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The meter's name.
    pub meter: String,
    /// The meter's unit.
    #[serde(default)]
    pub unit: String,
    /// The meter's type.
    #[serde(rename = "type")]
    pub kind: Type,
}

/// A meter's type, in Ceilometer's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(crate = "serde", rename_all = "lowercase")]
pub enum Type {
    /// A level.
    Gauge,
    /// A counter.
    Cumulative,
    /// What was added.
    Delta,
}

impl Config {
    /// Reads it.
    pub fn read(text: &str) -> Result<Self, String> {
        let config: Self = config::parse(text)?;
        for (place, series) in config.series.iter().enumerate() {
            let before = config.series.iter().take(place);
            if before.into_iter().any(|other| other.meter == series.meter) {
                return Err(format!("series[{place}]: the meter {} has a series already", series.meter));
            }
        }
        for (place, target) in config.targets.iter().enumerate() {
            let before = config.targets.iter().take(place);
            if before.into_iter().any(|other| other.guest == target.guest) {
                return Err(format!("targets[{place}]: {} has an endpoint already", target.guest));
            }
        }
        if config.series.is_empty() || config.targets.is_empty() {
            return Err("targets and series have at least one entry each".to_owned());
        }
        Ok(config)
    }
}

impl From<Type> for Kind {
    fn from(kind: Type) -> Self {
        match kind {
            Type::Gauge => Self::Gauge,
            Type::Cumulative => Self::Cumulative,
            Type::Delta => Self::Delta,
        }
    }
}
