//! What modules may use.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::machine;
use super::read::Reading;
use crate::config::duration;
use crate::config::file;
use crate::config::problem::Problems;
use crate::config::size::ByteSize;
use crate::config::yaml::Section;

/// What modules may use.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Sandbox {
    /// What one call may use, unless the module has limits of its own.
    #[serde(flatten)]
    pub limits: CallLimits,
    /// The most guests handed over in one call.
    pub chunk: usize,
    /// The folder of compiled modules.
    #[serde(serialize_with = "file::show")]
    pub cache: PathBuf,
}

/// What one call of a module may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct CallLimits {
    /// Fuel that every call has.
    pub fuel_base: u64,
    /// Fuel that it has for each resource handed over, on top: a guest, a device, a virtual CPU.
    pub fuel_per_resource: u64,
    /// All memories of an instance together.
    pub memory: ByteSize,
    /// Time on the wall's clock.
    #[serde(serialize_with = "duration::serialize")]
    pub deadline: Duration,
}

/// The keys of [`CallLimits`], wherever they stand.
pub(super) const LIMIT_KEYS: [&str; 4] = ["fuel_base", "fuel_per_resource", "memory", "deadline"];

// With the largest chunk, base and guests together stay far from overflowing.
const FUEL_BASE: RangeInclusive<u64> = 1..=1_000_000_000_000;
const FUEL_PER_RESOURCE: RangeInclusive<u64> = 0..=1_000_000_000;
// The pool of instances reserves address space for the largest.
const MEMORY: RangeInclusive<ByteSize> = ByteSize::mebibytes(1)..=ByteSize::mebibytes(64);
const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);
const CHUNK: RangeInclusive<u64> = 1..=10_000;

// === impl Sandbox ===

impl Sandbox {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Self {
        let section = reading.section("sandbox", &[&LIMIT_KEYS[..], &["chunk", "cache"]].concat());
        let limits = CallLimits::default().overridden(&section, reading.problems);
        let chunk = section.read("chunk", reading.problems, |node| node.integer(&CHUNK));
        let cache = section.read("cache", reading.problems, |node| node.text());
        Self {
            limits,
            chunk: chunk.and_then(|number| usize::try_from(number).ok()).unwrap_or(1000),
            cache: cache.map_or_else(machine::cache_folder, |path| reading.path(path)),
        }
    }
}

// === impl CallLimits ===

impl CallLimits {
    /// Whether a file could set these; else the key of one that is out of bounds, and the bounds.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let Self { fuel_base, fuel_per_resource, memory, deadline } = self;
        let [base, per_resource, size, time] = LIMIT_KEYS;
        if !FUEL_BASE.contains(fuel_base) {
            return Err((base, format!("{} to {}", FUEL_BASE.start(), FUEL_BASE.end())));
        }
        if !FUEL_PER_RESOURCE.contains(fuel_per_resource) {
            return Err((per_resource, format!("{} to {}", FUEL_PER_RESOURCE.start(), FUEL_PER_RESOURCE.end())));
        }
        if !MEMORY.contains(memory) {
            return Err((size, format!("{} to {}", MEMORY.start(), MEMORY.end())));
        }
        if !DEADLINE.contains(deadline) {
            let bounds = format!("{} to {}", duration::show(*DEADLINE.start()), duration::show(*DEADLINE.end()));
            return Err((time, bounds));
        }
        Ok(())
    }

    /// These limits but for those that a section sets.
    pub(super) fn overridden(&self, section: &Section<'_>, problems: &mut Problems) -> Self {
        let fuel_base = section.read("fuel_base", problems, |node| node.integer(&FUEL_BASE));
        let per_resource = section.read("fuel_per_resource", problems, |node| node.integer(&FUEL_PER_RESOURCE));
        let memory = section.read("memory", problems, |node| ByteSize::read(node, &MEMORY));
        let deadline = section.read("deadline", problems, |node| duration::read(node, &DEADLINE));
        Self {
            fuel_base: fuel_base.unwrap_or(self.fuel_base),
            fuel_per_resource: per_resource.unwrap_or(self.fuel_per_resource),
            memory: memory.unwrap_or(self.memory),
            deadline: deadline.unwrap_or(self.deadline),
        }
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            fuel_base: 50_000_000,
            fuel_per_resource: 20_000,
            memory: ByteSize::mebibytes(32),
            deadline: Duration::from_secs(1),
        }
    }
}
