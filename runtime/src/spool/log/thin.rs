//! Making less of what waits, so that none of it has to go as a whole.

use super::counts::Counts;
use super::record::Record;

/// A record that stands for all that its segment held, or two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thinned {
    /// What it holds: of no key more than the records that it stands for. The rest counts as lost, and an answer that
    /// holds more is not taken.
    pub counts: Counts,
    /// What cursors get instead of the payloads. If the segment does not get smaller by it, it is not taken.
    pub payload: Vec<u8>,
}

/// Makes less of what waits when there is no room.
///
/// The store asks for one segment at a time, all segments oldest first in each pass, until there is room. It does not
/// ask for the segment that is being written, nor for one of which a cursor was given a record and has not
/// acknowledged the last: its reader would get some of it twice.
///
/// When no pass gains anything any more, two segments that follow one another become one in the last pass, oldest
/// first, as long as that gains anything. Only then the oldest segment goes.
pub trait Thin: Send {
    /// How many passes there are over all segments before whole segments go: pass 0 over every segment, oldest first,
    /// then pass 1, and so on.
    fn passes(&self) -> usize;

    /// Whether a segment that holds this may become less: what may not is not read for nothing. `held` counts
    /// everything that waits in the spool.
    fn may_thin(&self, pass: usize, segment: &Counts, held: &Counts) -> bool;

    /// Makes one record of all held records of a segment, or of two, oldest first. It takes the number and the time of
    /// the last of them. `None` if nothing would be gained.
    ///
    /// After a restart the store does not know in which passes a segment was thinned, and asks again.
    fn thin(&mut self, pass: usize, records: &[Record], held: &Counts) -> Option<Thinned>;
}

/// Makes nothing less: the oldest segment goes first.
#[derive(Debug, Clone, Copy, Default)]
pub struct OldestFirst;

// === impl OldestFirst ===

impl Thin for OldestFirst {
    fn passes(&self) -> usize {
        0
    }

    fn may_thin(&self, _: usize, _: &Counts, _: &Counts) -> bool {
        false
    }

    fn thin(&mut self, _: usize, _: &[Record], _: &Counts) -> Option<Thinned> {
        None
    }
}
