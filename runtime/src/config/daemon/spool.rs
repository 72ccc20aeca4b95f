//! Where samples wait until they are delivered.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::machine;
use super::read::Reading;
use crate::config::yaml::Kind;
use crate::config::{ByteSize, duration, file};

/// Where samples wait until they are delivered.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Spool {
    /// The folder; it belongs to one daemon.
    #[serde(serialize_with = "file::show")]
    pub path: PathBuf,
    /// How large it gets before something goes.
    pub max_size: ByteSize,
    /// How old samples get.
    #[serde(serialize_with = "duration::serialize")]
    pub max_age: Duration,
    /// When samples are on disk for good.
    pub sync: Sync,
}

/// When samples are on disk for good, whatever happens to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// After every so many slots.
    Slots(u32),
    /// When the kernel likes.
    Never,
}

const MAX_SIZE: RangeInclusive<ByteSize> = ByteSize::new(1 << 20)..=ByteSize::new(1 << 40);
const MAX_AGE: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(366 * 24 * 3600);
const SLOTS: RangeInclusive<u64> = 1..=1000;

// === impl Spool ===

impl Spool {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Self {
        let section = reading.section("spool", &["path", "max_size", "max_age", "sync"]);
        let path = section.read("path", reading.problems, |node| node.text());
        let max_size = section.read("max_size", reading.problems, |node| ByteSize::read(node, &MAX_SIZE));
        let max_age = section.read("max_age", reading.problems, |node| duration::read(node, &MAX_AGE));
        let sync = section.read("sync", reading.problems, |node| match &node.kind {
            Kind::Text(text) if text == "slot" => Ok(Sync::Slots(1)),
            Kind::Text(text) if text == "never" => Ok(Sync::Never),
            Kind::Text(_) => Err(node.refuse("not a rule", "Write slot, never, or a number of slots")),
            _ => node.integer(&SLOTS).map(|slots| Sync::Slots(u32::try_from(slots).unwrap_or(1))),
        });
        Self {
            path: path.map_or_else(machine::state_folder, |path| reading.path(path)),
            max_size: max_size.unwrap_or(ByteSize::mebibytes(64)),
            max_age: max_age.unwrap_or(Duration::from_secs(7 * 24 * 3600)),
            sync: sync.unwrap_or(Sync::Slots(1)),
        }
    }
}

// === impl Sync ===

impl serde::Serialize for Sync {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Slots(1) => serializer.serialize_str("slot"),
            Self::Slots(slots) => serializer.serialize_u32(*slots),
            Self::Never => serializer.serialize_str("never"),
        }
    }
}
