//! Room that is taken beforehand. On a full disk a segment is written anew there, so that less can be made of what waits
//! before anything has to go.

use super::super::storage::StorageFile;
use super::*;

/// The file that takes it.
const RESERVE: &str = "reserve";

impl<S: Storage> Store<S> {
    /// Takes room for a segment, unless it is taken; a disk that does not have it will have it later.
    pub(super) fn keep_reserve(&mut self) {
        if self.reserved {
            return;
        }
        let room = self.limits.segment();
        let there = self.storage.open(RESERVE).and_then(|file| file.length()).is_ok_and(|length| length == room);
        self.reserved = there || self.take(room).is_ok();
        if !self.reserved {
            // Some of it may be taken.
            let _ = self.storage.remove(RESERVE);
        }
    }

    fn take(&mut self, room: u64) -> std::io::Result<()> {
        let file = self.storage.create(RESERVE)?;
        self.names = true;
        file.allocate(room)?;
        file.sync()
    }

    /// Gives it back to the disk; false if there is none.
    pub(super) fn use_reserve(&mut self) -> bool {
        std::mem::take(&mut self.reserved) && self.storage.remove(RESERVE).is_ok()
    }
}
