//! Where deployments outlive the daemon.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::read::Reading;
use crate::config::{ByteSize, file};

/// Where deployments outlive the daemon, and who may have how much of that.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Store {
    /// The folder; it belongs to one daemon.
    #[serde(serialize_with = "file::show")]
    pub path: PathBuf,
    /// Where it is written who changed what.
    #[serde(serialize_with = "file::show")]
    pub audit: PathBuf,
    /// What each tenant may keep.
    #[serde(flatten)]
    pub quota: Quota,
}

/// What a tenant may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Quota {
    /// Deployments.
    pub deployments: u64,
    /// Bytes of all modules that their versions name.
    pub module_bytes: ByteSize,
}

/// The keys of [`Quota`], wherever they stand.
pub(super) const QUOTA_KEYS: [&str; 2] = ["deployments", "module_bytes"];

const DEPLOYMENTS: RangeInclusive<u64> = 0..=10_000;
const MODULE_BYTES: RangeInclusive<ByteSize> = ByteSize::new(0)..=ByteSize::new(1 << 40);

// === impl Store ===

impl Store {
    /// Beside the spool, if nothing is said.
    pub(super) fn read(reading: &mut Reading<'_, '_>, spool: &super::Spool) -> Self {
        let [deployments, module_bytes] = QUOTA_KEYS;
        let section = reading.section("store", &["path", "audit", deployments, module_bytes]);
        let path = section.read("path", reading.problems, |node| node.text()).map(|path| reading.path(path));
        let audit = section.read("audit", reading.problems, |node| node.text()).map(|path| reading.path(path));
        Self {
            path: path.unwrap_or_else(|| spool.path.with_file_name("deployed")),
            audit: audit.unwrap_or_else(|| spool.path.with_file_name("audit.log")),
            quota: Quota::default().overridden(&section, reading.problems),
        }
    }
}

// === impl Quota ===

impl Quota {
    /// This quota but for what a section sets.
    pub(super) fn overridden(
        &self,
        section: &crate::config::yaml::Section<'_>,
        problems: &mut crate::config::Problems,
    ) -> Self {
        let deployments = section.read("deployments", problems, |node| node.integer(&DEPLOYMENTS));
        let module_bytes = section.read("module_bytes", problems, |node| ByteSize::read(node, &MODULE_BYTES));
        Self {
            deployments: deployments.unwrap_or(self.deployments),
            module_bytes: module_bytes.unwrap_or(self.module_bytes),
        }
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self { deployments: 100, module_bytes: ByteSize::mebibytes(256) }
    }
}
