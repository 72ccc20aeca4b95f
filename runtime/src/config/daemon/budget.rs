//! How much of the machine modules of tenants may have.

use std::ops::RangeInclusive;

use super::read::Reading;
use crate::config::share::Share;
use crate::config::yaml::Node;
use crate::modules::deployment::bounds::INTERVAL;

/// How much of the machine modules of tenants may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Budget {
    /// All of them together.
    pub node: Share,
    /// All modules of a tenant of which nothing else is said.
    pub tenant: Share,
    /// Seconds from slot to slot that a deployment has at least without a grant.
    pub shortest_interval: u64,
    /// Whether what modules use is measured like anything else.
    pub meters: bool,
}

/// Up to 64 cores.
pub(super) const SHARE: RangeInclusive<Share> = Share::percent(0)..=Share::percent(6400);

// === impl Budget ===

impl Budget {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Self {
        let section = reading.section("budget", &["node", "tenant", "shortest_interval", "meters"]);
        let shortest = section.read("shortest_interval", reading.problems, |node| node.integer(&INTERVAL));
        let meters = section.read("meters", reading.problems, Node::boolean);
        let mut share = |key: &str| section.read(key, reading.problems, |node| Share::read(node, &SHARE));
        let default = Self::default();
        let (node, tenant) = (share("node"), share("tenant"));
        Self {
            node: node.unwrap_or(default.node),
            tenant: tenant.unwrap_or(default.tenant),
            meters: meters.unwrap_or(default.meters),
            shortest_interval: shortest.unwrap_or(default.shortest_interval),
        }
    }
}

impl Default for Budget {
    /// Fifty modules of the usual limits every second, or five hundred every ten; a tenant has twenty or two hundred.
    fn default() -> Self {
        Self { node: Share::percent(25), tenant: Share::percent(10), shortest_interval: 1, meters: false }
    }
}
