//! Removing modules that nobody needs.

use super::*;

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Modules.
    pub modules: usize,
}

impl<S: Storage> Store<S> {
    /// Removes modules that no version of any deployment names and nobody holds. To be called after opening, and now
    /// and then after deployments changed.
    ///
    /// It first does again what the disk failed to do. Nothing is removed as long as a file may name any module: one
    /// whose replacement is not durable, or one that could not be read.
    pub fn collect(&mut self) -> Result<Collected, Error> {
        self.settle()?;
        if let Some(file) = self.unread.clone() {
            return Err(Error::Unread { file });
        }
        let versions = self.deployments.values().flat_map(|deployment| &deployment.versions);
        let mut kept: BTreeSet<Digest> = versions.map(|version| version.digest).collect();
        kept.extend(self.pins.held());
        kept.extend(&self.mentioned);
        let shelf = Shelf::Modules;
        let mut collected = Collected::default();
        for name in self.storage.list(shelf, FILES).map_err(Error::io(Step::List, shelf, ""))? {
            let Some(digest) = names::as_module(&name).filter(|digest| !kept.contains(digest)) else { continue };
            self.whole.remove(&digest);
            self.storage.remove(shelf, &name).map_err(Error::io(Step::Remove, shelf, &name))?;
            collected.modules += 1;
        }
        // Should a name come back after a crash, it goes with the next start.
        self.storage.sync(shelf).map_err(Error::io(Step::Sync, shelf, ""))?;
        Ok(collected)
    }

    /// The same, if deployments let go of any since.
    pub fn collect_let_go(&mut self) -> Result<Collected, Error> {
        if !self.has_let_go {
            return Ok(Collected::default());
        }
        // What is held just now, and what the disk keeps, is looked for again.
        let is_held = !self.pins.held().is_empty();
        let collected = self.collect()?;
        self.has_let_go = is_held;
        Ok(collected)
    }
}
