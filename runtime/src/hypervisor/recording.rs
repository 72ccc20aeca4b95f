//! Recordings of a host: some of its slots in a file, to be answered from again later.
//!
//! A recording has a line of JSON for each slot:
//!
//! ```json
//! {"read_at":{"wall":1790000000000000000,"monotonic":7},
//!  "guests":[{"definition":{"uuid":"…"},"revision":0,"stats":[["block.*.rd.bytes",0,123],["block.*.name",0,"vda"]]}]}
//! ```
//!
//! A statistic is its key with `*` for the number, the number, and the value. Masking identities is a step of its own,
//! [`mask`], between reading a host and [`write_slot`].

mod load;
pub mod mask;
mod stat;
mod tape;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

pub use self::load::FILE_BYTES;
use self::tape::{Session, Tape};
use super::{Connection, Definition, Hypervisor, HypervisorError, Record, Stat};
use crate::clock::Moment;

const SCHEME: &str = "recording:";

/// One slot of a host.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Recorded {
    /// When it was read.
    pub read_at: Moment,
    /// Its guests.
    pub guests: Vec<RecordedGuest>,
}

/// One guest in a slot.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RecordedGuest {
    /// What it is made of.
    pub definition: Definition,
    /// Changes whenever its definition does.
    #[serde(default)]
    pub revision: u64,
    /// Its statistics, in the order in which they were read.
    #[serde(with = "stat")]
    pub stats: Vec<Stat>,
}

/// A host that answers from a recording. Its clones and connections are of the same host.
///
/// A slot lasts until the next read of [`Groups::STATE`](super::Groups::STATE) of every guest, with which every slot
/// of a reader begins. After the last slot comes the first one again: time goes back, and counters fall as after a
/// reset. No call is ever stuck.
#[derive(Debug, Clone)]
pub struct Recording {
    tape: Arc<Tape>,
}

/// Writes a slot as one line, in one piece. Refuses what could not be read again.
pub fn write_slot(out: &mut impl Write, slot: &Recorded) -> io::Result<()> {
    let mut line = serde_json::to_vec(slot)?;
    line.push(b'\n');
    load::check(slot, line.len()).map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
    out.write_all(&line)
}

// === impl Recorded ===

impl Recorded {
    /// A slot as it was read. A guest without a definition, being gone meanwhile, is left out.
    pub fn new(read_at: Moment, records: Vec<Record>, definitions: Vec<Definition>) -> Self {
        let mut definitions: HashMap<Uuid, Definition> = definitions.into_iter().map(|d| (d.uuid, d)).collect();
        let guest = |Record { guest, revision, stats }| {
            Some(RecordedGuest { definition: definitions.remove(&guest)?, revision, stats })
        };
        Self { read_at, guests: records.into_iter().filter_map(guest).collect() }
    }
}

// === impl Recording ===

impl Recording {
    /// The recording that a URI such as `recording:/var/tmp/host.jsonl` names.
    pub fn from_uri(uri: &str) -> Result<Self, HypervisorError> {
        match uri.strip_prefix(SCHEME) {
            Some(path) if !path.is_empty() => Self::open(path),
            _ => {
                let reason = "a recording is written recording:FILE, such as recording:/var/tmp/host.jsonl".to_owned();
                Err(HypervisorError::Uri { uri: uri.to_owned(), reason })
            }
        }
    }

    /// Reads a whole file of at most 256 MiB. Blocks.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, HypervisorError> {
        let path = path.as_ref();
        let uri = || format!("{SCHEME}{}", path.display());
        let slots = load::file(path).map_err(|reason| HypervisorError::Unreachable { uri: uri(), reason })?;
        Ok(Self { tape: Arc::new(Tape::new(path, slots)) })
    }

    /// How many slots there are; at least one.
    pub fn slots(&self) -> usize {
        self.tape.slots.len()
    }

    /// When each slot was recorded.
    pub fn moments(&self) -> Vec<Moment> {
        self.tape.slots.iter().map(|slot| slot.recorded.read_at).collect()
    }

    /// The number of the slot that lasts, from 0. Until the first read it is the first one.
    pub fn slot(&self) -> usize {
        self.tape.place()
    }

    /// When the slot that lasts was recorded.
    pub fn read_at(&self) -> Option<Moment> {
        self.tape.now().map(|slot| slot.recorded.read_at)
    }
}

impl Hypervisor for Recording {
    fn connect(&self) -> Result<Box<dyn Connection>, HypervisorError> {
        Ok(Box::new(Session::new(&self.tape)))
    }
}
