//! A spool as others see it, whether a daemon writes to it or not.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::books::{self, Books, View};
use super::log::{Account, Look, Sequence, Store};
use super::missed::Missed;
use super::{MEMORY, Unusable, checkpoint, is_closed, is_publisher, limits, record};
use crate::config::daemon;

/// A spool at one moment, and its records.
#[derive(Debug)]
pub struct Sight {
    /// What is in it, and what became of all that was, as the daemon last noted it.
    pub view: View,
    /// Its records.
    pub records: Look,
}

// === impl Sight ===

impl Sight {
    /// Looks at the spool of a configuration. Changes nothing, and keeps nobody from anything.
    pub fn of(config: &daemon::Spool, now: i64) -> Result<Self, Unusable> {
        let path = &config.path;
        let folder = |source| Unusable::Folder { path: path.clone(), source };
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(folder)?;
        let view = dir.try_clone().map_err(folder)?;
        let records = Store::look(view).map_err(|source| Unusable::Log { path: path.clone(), source })?;
        let accounts = records.accounts();
        let noted = accounts.iter().find(|account| account.cursor == MEMORY);
        let (missed, closed) = Self::missed(&dir, &records, noted.map_or(Sequence(0), |account| account.position));
        let oldest = |from: Sequence| records.heads().find(|(number, ..)| *number >= from).map(|(_, time, ..)| time);
        let is_closed = |account: &Account| closed.iter().any(|closed| is_closed(account, closed));
        let books = accounts.iter().filter(|account| is_publisher(account) && !is_closed(account));
        let books: Vec<Books> = books.map(|account| Books::of(account, &missed, oldest(account.position))).collect();
        let view = View {
            at: now,
            bytes: records.bytes(),
            limits: limits(config),
            records: records.heads().count(),
            oldest: oldest(Sequence(0)),
            former: books::former(&missed, &books),
            books,
        };
        Ok(Self { view, records })
    }

    /// What the spool could not take: as of the last checkpoint, or of a record since. And whose cursors are to go.
    fn missed(dir: &Dir, records: &Look, from: Sequence) -> (Missed, Vec<(String, u64)>) {
        let (mut missed, mut closed) = (None, Vec::new());
        for found in records.records(from).flatten() {
            let Ok(memory) = record::read_memory(&found.payload) else { continue };
            missed = memory.missed.or(missed);
            closed.extend(memory.closed);
        }
        (missed.unwrap_or_else(|| checkpoint::read(dir).missed), closed)
    }

    /// Whether there is anything to look at.
    pub fn is_there(config: &daemon::Spool) -> bool {
        Path::is_dir(&config.path)
    }
}
