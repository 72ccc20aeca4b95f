//! What a pollster answers.

use crate::{Column, Note, Series};

/// The samples of one slot.
#[derive(Debug, Default)]
pub struct Samples(Vec<Series>);

// === impl Samples ===

impl Samples {
    /// Adds the volumes of a meter, which is named by its position in `METERS` or by what
    /// [`Call::declare_meters`](crate::Call::declare_meters) gave. A column without values adds nothing.
    pub fn emit(&mut self, meter: usize, column: Column) {
        self.emit_with(meter, column, Vec::new());
    }

    /// Like [`emit`](Self::emit), with metadata for these samples alone.
    pub fn emit_with(&mut self, meter: usize, column: Column, notes: Vec<Note>) {
        if !column.is_empty() {
            // A position that is no u32 is none of any list; the host refuses this one, too.
            let meter = u32::try_from(meter).unwrap_or(u32::MAX);
            self.0.push(Series { meter, column, notes });
        }
    }

    pub(crate) fn into_series(self) -> Vec<Series> {
        self.0
    }
}
