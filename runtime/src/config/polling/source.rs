//! One source.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::matching::MeterFilter;
use crate::config::named::{Named, whole_seconds};
use crate::config::problem::{Place, Problems};
use crate::config::yaml::Node;

const COORDINATION: &str = "group_id_coordination_expression";

const KEYS: [&str; 6] = ["name", "interval", "meters", "resources", "discovery", COORDINATION];

/// Some meters, measured every so often.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// How often it is measured; whole seconds.
    #[serde(serialize_with = "whole_seconds")]
    pub interval: Duration,
    /// Which meters.
    pub meters: MeterFilter,
    /// Resources to measure beside those that are found.
    pub resources: Vec<String>,
    /// How resources are found; nothing for each meter's own way.
    pub discovery: Vec<String>,
    /// Where it stands.
    #[serde(skip)]
    pub place: Option<Place>,
}

// === impl Source ===

impl Source {
    /// Reads a source whose name must be none of `names`, known with their lines; `None` if it was refused, which has
    /// been reported.
    pub(super) fn read(
        node: &Node,
        path: &str,
        names: &mut HashMap<String, u64>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut source = Named::of("source", node, path, &KEYS, problems)?;
        let name = source.name(names);
        let meters = source.meters("meters");
        let interval = source.interval();
        let resources = source.texts("resources", "Resources should be a list");
        let discovery = source.texts("discovery", "Discovery should be a list");
        if source.section.get(COORDINATION).is_some() {
            source.warning(COORDINATION, "one node needs no coordination: it has no effect", "Remove it");
        }
        let place = source.place();
        Some(Self { name: name?, interval: interval?, meters: meters?, resources, discovery, place })
    }
}
