//! Where a connection is counted: among those that are answered at once, those that wait for what they ordered, or
//! those that wait for lines. However many wait, others are answered; however many wait for lines, others can order.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The place of a connection.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<Mutex<Taken>>);

#[derive(Debug)]
struct Taken {
    /// What lets somebody else in when it is dropped.
    _permit: OwnedSemaphorePermit,
    /// What it waits for, unless it is answered at once.
    wait: Option<Wait>,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// What it ordered: for a slot, a disk, or a module that is tried out.
    Order,
    /// Lines that a module logs.
    Lines,
}

/// Places of connections that wait.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    orders: Arc<Semaphore>,
    lines: Arc<Semaphore>,
}

// === impl Waiting ===

impl Waiting {
    /// For so many of each.
    pub(super) fn of(orders: usize, lines: usize) -> Self {
        Self { orders: Arc::new(Semaphore::new(orders)), lines: Arc::new(Semaphore::new(lines)) }
    }

    fn places(&self, wait: Wait) -> &Arc<Semaphore> {
        match wait {
            Wait::Order => &self.orders,
            Wait::Lines => &self.lines,
        }
    }
}

// === impl Place ===

impl Place {
    /// A place among those that are answered at once.
    pub(super) fn of(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Taken { _permit: permit, wait: None })))
    }

    /// Goes to those that wait for this, and stays there; says whether there is a place for it.
    pub(super) fn wait(&self, wait: Wait, waiting: &Waiting) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.wait == Some(wait) {
            return true;
        }
        let Ok(permit) = Arc::clone(waiting.places(wait)).try_acquire_owned() else { return false };
        *taken = Taken { _permit: permit, wait: Some(wait) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_leaves_its_place_to_others_until_too_many_do() {
        let (answered, waiting) = (Arc::new(Semaphore::new(2)), Waiting::of(1, 1));
        let place = || Place::of(Arc::clone(&answered).try_acquire_owned().unwrap());
        let free = || [&answered, &waiting.orders, &waiting.lines].map(|places| places.available_permits());
        let (first, second) = (place(), place());
        assert_eq!(free(), [0, 1, 1]);
        // Once it waits, it always may.
        assert!(first.wait(Wait::Lines, &waiting) && first.clone().wait(Wait::Lines, &waiting));
        assert_eq!(free(), [1, 1, 0]);
        // Those that wait for lines are in no order's way, and who ordered something takes no place of lines by that.
        assert!(!second.wait(Wait::Lines, &waiting) && second.wait(Wait::Order, &waiting));
        assert_eq!(free(), [2, 0, 0]);
        assert!(!first.wait(Wait::Order, &waiting) && !second.wait(Wait::Lines, &waiting));
        drop(first);
        assert!(second.wait(Wait::Lines, &waiting));
        assert_eq!(free(), [2, 1, 0]);
        drop(second);
        assert_eq!(free(), [2, 1, 1]);
    }
}
