//! Settings.

use scaling::{Keys, Naming, Scale};
use wasmeter_sdk::Kind;

use crate::aggregate::How;

/// What is written under `parameters`.
#[derive(Debug)]
pub struct Config {
    /// So many samples of all meters and resources together.
    pub size: Option<u64>,
    /// Nanoseconds that the first sample waits.
    pub retention: Option<i64>,
    /// Whose metadata what comes out carries.
    pub metadata: Policy,
    /// Whether it has the time of the last sample, not of the first.
    pub last_time: bool,
    pub naming: Naming,
    pub scale: Scale,
}

/// Which of the samples counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    First,
    Last,
    /// None of them.
    Drop,
}

/// Slots are a second apart at least, and read some milliseconds sooner or later than planned: by so many seconds one
/// may be early, so that a window always ends with the same slot.
const EARLY: f64 = 0.5;

// === impl Config ===

impl Config {
    /// How samples of a meter of this type become one.
    pub fn how(&self, kind: Kind) -> How {
        How { kind, last_time: self.last_time, last_said: self.metadata == Policy::Last }
    }

    pub fn of(config: &str) -> Result<Self, String> {
        let mut keys = Keys::of(config)?;
        let (mut source, mut target) = (keys.keys("source")?, keys.keys("target")?);
        // A missing size is 1; one that is written as nothing is none.
        let size = if keys.has("size") { keys.whole_or_nothing("size")? } else { Some(1) };
        let retention = keys.number("retention_time")?.filter(|seconds| *seconds != 0.0);
        if let Some(odd) = retention.filter(|seconds| !(0.0..=86_400.0).contains(seconds)) {
            return Err(format!("retention_time is {odd}; write seconds, at most 86400"));
        }
        let size = size.filter(|size| *size > 0).or(if retention.is_none() { Some(1) } else { None });
        // Whose a sample is comes from the host, and is the same for all samples of a resource.
        policy(&mut keys, "project_id", false)?;
        policy(&mut keys, "user_id", false)?;
        let metadata = policy(&mut keys, "resource_metadata", true)?.unwrap_or(Policy::Last);
        let last_time = policy(&mut keys, "timestamp", false)? == Some(Policy::Last);
        // Known and without effect, as upstream.
        source.text("unit")?;
        let (naming, scale) = (Naming::of(&mut source, &mut target)?, Scale::of(&mut target)?);
        source.end()?;
        target.end()?;
        keys.end()?;
        #[allow(clippy::cast_possible_truncation, reason = "it is at most a day")]
        let retention = retention.map(|seconds| ((seconds - EARLY.min(seconds / 4.0)) * 1e9) as i64);
        Ok(Self { size, retention, metadata, last_time, naming, scale })
    }
}

fn policy(keys: &mut Keys, key: &'static str, droppable: bool) -> Result<Option<Policy>, String> {
    let words = if droppable { "first, last or drop" } else { "first or last" };
    match keys.text(key)?.as_deref() {
        None | Some("") => Ok(None),
        Some("first") => Ok(Some(Policy::First)),
        Some("last") => Ok(Some(Policy::Last)),
        Some("drop") if droppable => Ok(Some(Policy::Drop)),
        Some(other) => Err(format!("{} is {other:?}; write {words}", keys.place(key))),
    }
}
