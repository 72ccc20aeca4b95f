//! Where a connection is counted: among those that are answered at once, or among those that wait. However many wait,
//! others are answered.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The place of a connection.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<Mutex<Taken>>);

#[derive(Debug)]
struct Taken {
    /// What lets somebody else in when it is dropped.
    _permit: OwnedSemaphorePermit,
    /// Places among those that wait, until this is at one.
    waiting: Option<Arc<Semaphore>>,
}

// === impl Place ===

impl Place {
    /// A place among those that are answered at once, and where it may wait.
    pub(super) fn of(permit: OwnedSemaphorePermit, waiting: &Arc<Semaphore>) -> Self {
        Self(Arc::new(Mutex::new(Taken { _permit: permit, waiting: Some(Arc::clone(waiting)) })))
    }

    /// Goes to those that wait, for good; says whether there is a place for it.
    pub(super) fn wait(&self) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = taken.waiting.clone() else { return true };
        let Ok(permit) = waiting.try_acquire_owned() else { return false };
        *taken = Taken { _permit: permit, waiting: None };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_leaves_its_place_to_others_until_too_many_do() {
        let [answered, waiting] = [2, 1].map(|places| Arc::new(Semaphore::new(places)));
        let place = || Place::of(Arc::clone(&answered).try_acquire_owned().unwrap(), &waiting);
        let (first, second) = (place(), place());
        assert_eq!(answered.available_permits(), 0);
        // Once it waits, it always may.
        assert!(first.wait() && first.clone().wait());
        assert_eq!((answered.available_permits(), waiting.available_permits()), (1, 0));
        assert!(!second.wait());
        drop(first);
        assert!(second.wait());
        drop(second);
        assert_eq!((answered.available_permits(), waiting.available_permits()), (2, 1));
    }
}
