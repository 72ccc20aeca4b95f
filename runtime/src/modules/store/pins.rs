//! Modules that are held before a deployment names them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::digest::Digest;

/// How often each module is held.
#[derive(Debug, Clone, Default)]
pub struct Pins(Arc<Mutex<BTreeMap<Digest, usize>>>);

/// A module in the store. It stays there for as long as this lives, whether a deployment names it or not.
#[derive(Debug)]
pub struct Pinned {
    /// The module.
    pub digest: Digest,
    /// What was there before.
    pub stored: Stored,
    pins: Pins,
}

/// What was there when a module was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// Nothing.
    New,
    /// The same.
    Known,
    /// A file that was damaged. It was replaced; somebody should look at the disk.
    Mended,
}

// === impl Pins ===

impl Pins {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, usize>> {
        // A count is whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a module.
    pub fn pin(&self, digest: Digest, stored: Stored) -> Pinned {
        *self.lock().entry(digest).or_default() += 1;
        Pinned { digest, stored, pins: self.clone() }
    }

    /// All modules that are held.
    pub fn held(&self) -> BTreeSet<Digest> {
        self.lock().keys().copied().collect()
    }
}

// === impl Pinned ===

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut pins = self.pins.lock();
        if let Some(count) = pins.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.digest);
            }
        }
    }
}
