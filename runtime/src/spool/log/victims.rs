//! Who goes first when there is no room.

use super::account::Cause;
use super::counts::Counts;
use super::record::Sequence;

/// A record that could go.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// Its number.
    pub sequence: Sequence,
    /// When it was appended, in nanoseconds since 1970.
    pub time: i64,
    /// What it holds: the keys say of which class it is.
    pub counts: &'a Counts,
    /// Bytes that its payload takes; its head stays until its segment goes.
    pub bytes: u64,
    /// How many cursors have not acknowledged it.
    pub readers: usize,
}

/// What goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The oldest segment, all of it.
    OldestSegment,
    /// These records. Their segments are written anew without them, which costs as much disk for a moment.
    Records(Vec<Sequence>),
}

/// Chooses what goes. Asked again until there is room; a choice that frees nothing counts as the oldest segment.
pub trait Victims: Send {
    /// Chooses among the records that somebody still waits for, oldest first, to free this many bytes.
    fn choose(&mut self, held: &[Held<'_>], bytes: u64, cause: Cause) -> Choice;
}

/// The oldest segment goes first.
#[derive(Debug, Clone, Copy, Default)]
pub struct OldestFirst;

// === impl OldestFirst ===

impl Victims for OldestFirst {
    fn choose(&mut self, _: &[Held<'_>], _: u64, _: Cause) -> Choice {
        Choice::OldestSegment
    }
}
