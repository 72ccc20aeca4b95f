//! Where a connection is counted: among those that are answered at once, those that wait for what they ordered, or
//! those that wait for lines. However many wait, others are answered; however many wait for lines, others can order.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;

/// The place of a connection and of what it ordered. Somebody else has it once both are over.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<Mutex<OwnedSemaphorePermit>>);

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
        Self(Arc::new(Mutex::new(permit)))
    }

    /// Goes to those that wait for this, for good; says whether there is a place for it.
    pub(super) fn wait(&self, wait: Wait, waiting: &Waiting) -> bool {
        let Ok(permit) = Arc::clone(waiting.places(wait)).try_acquire_owned() else { return false };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = permit;
        true
    }

    /// Does work here to its end, even if nobody waits for it any more.
    pub(super) async fn held_for<T>(self, work: impl Future<Output = T> + Send + 'static) -> Result<T, JoinError>
    where
        T: Send + 'static,
    {
        let work = async move {
            let done = work.await;
            drop(self);
            done
        };
        tokio::spawn(work).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn place(of: &Arc<Semaphore>) -> Place {
        Place::of(Arc::clone(of).try_acquire_owned().unwrap())
    }

    #[test]
    fn who_waits_leaves_its_place_to_others_until_too_many_do() {
        let (answered, waiting) = (Arc::new(Semaphore::new(2)), Waiting::of(1, 1));
        let free = || [&answered, &waiting.orders, &waiting.lines].map(|places| places.available_permits());
        let (first, second) = (place(&answered), place(&answered));
        assert_eq!(free(), [0, 1, 1]);
        assert!(first.wait(Wait::Lines, &waiting));
        assert_eq!(free(), [1, 1, 0]);
        // Those that wait for lines are in no order's way.
        assert!(!second.wait(Wait::Lines, &waiting) && second.wait(Wait::Order, &waiting));
        assert_eq!(free(), [2, 0, 0]);
        assert!(!place(&answered).wait(Wait::Order, &waiting));
        drop((first, second));
        assert_eq!(free(), [2, 1, 1]);
    }

    #[tokio::test]
    async fn what_is_ordered_keeps_its_place_to_its_end() {
        let places = Arc::new(Semaphore::new(1));
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        // Whoever ordered it is gone at once.
        assert!(timeout(Duration::ZERO, place(&places).held_for(ended)).await.is_err());
        tokio::task::yield_now().await;
        assert_eq!(places.available_permits(), 0);
        end.send(()).unwrap();
        assert!(places.acquire().await.is_ok());
    }
}
