//! When guests are measured, and how patiently.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::read::Reading;
use crate::config::duration;
use crate::config::yaml::{Kind, Node, Refusal};

/// When guests are measured.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Schedule {
    /// How long after the wall clock's slot; what is automatic is stable for a host's name, so that a thousand hosts
    /// do not all begin in the same moment.
    pub offset: AutoDuration,
    /// How long a terminated daemon waits for what is under way.
    #[serde(serialize_with = "duration::serialize")]
    pub drain: Duration,
}

/// How the hypervisor is asked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reader {
    /// How long a call may take before it counts as stuck; see [`Config::watchdog`](super::Config::watchdog).
    pub watchdog: AutoDuration,
    /// How many calls may be stuck at once, each with a thread and a connection of its own.
    pub max_stuck: usize,
}

/// A duration, or the daemon's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoDuration {
    /// The daemon chooses.
    Auto,
    /// The operator chose.
    Fixed(Duration),
}

const OFFSET: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
const DRAIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
const WATCHDOG: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(600);
const MAX_STUCK: RangeInclusive<u64> = 1..=100; // libvirtd has 20 workers and 5 prioritised ones by default

// === impl Schedule ===

impl Schedule {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Self {
        let section = reading.section("schedule", &["offset", "drain"]);
        let offset = section.read("offset", reading.problems, |node| AutoDuration::read(node, &OFFSET));
        let drain = section.read("drain", reading.problems, |node| duration::read(node, &DRAIN));
        Self { offset: offset.unwrap_or(AutoDuration::Auto), drain: drain.unwrap_or(Duration::from_secs(5)) }
    }
}

// === impl Reader ===

impl Reader {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Self {
        let section = reading.section("reader", &["watchdog", "max_stuck"]);
        let watchdog = section.read("watchdog", reading.problems, |node| AutoDuration::read(node, &WATCHDOG));
        let max_stuck = section.read("max_stuck", reading.problems, |node| node.integer(&MAX_STUCK));
        Self {
            watchdog: watchdog.unwrap_or(AutoDuration::Auto),
            max_stuck: max_stuck.and_then(|number| usize::try_from(number).ok()).unwrap_or(5),
        }
    }
}

// === impl AutoDuration ===

impl AutoDuration {
    fn read(node: &Node, bounds: &RangeInclusive<Duration>) -> Result<Self, Refusal> {
        if matches!(&node.kind, Kind::Text(text) if text == "auto") {
            return Ok(Self::Auto);
        }
        duration::read(node, bounds).map(Self::Fixed).map_err(|mut refusal| {
            refusal.remedy.push_str(", or auto");
            refusal
        })
    }
}

impl serde::Serialize for AutoDuration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Fixed(duration) => duration::serialize(duration, serializer),
        }
    }
}
