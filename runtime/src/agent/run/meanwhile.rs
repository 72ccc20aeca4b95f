//! What comes between two slots.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout};

use super::Wish;
use crate::agent::errands::Errand;
use crate::agent::reloading::Reloaded;
use crate::modules::NotLoaded;

/// What comes between two slots.
#[derive(Debug)]
pub(super) enum Meanwhile {
    Wish(Option<Wish>),
    /// A module of a tenant is done.
    Done,
    Errand(Errand),
    /// An order is kept, or could not be.
    Kept,
    /// What was read anew is ready.
    Reloaded(Box<Prepared>),
}

/// What came of getting it ready.
pub(super) type Prepared = Result<Result<Reloaded, NotLoaded>, JoinError>;

/// What is under way between slots.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    /// A configuration that is read anew and not in force yet.
    reload: Option<JoinHandle<Result<Reloaded, NotLoaded>>>,
    /// Whether files changed since, or while an order was being kept.
    again: bool,
    /// Orders that wait for it, as what they are prepared by may not hold any more, or for one that is being kept.
    orders: VecDeque<Errand>,
    /// How long errands took lately.
    took: Duration,
    /// Whether one was begun since the last slot.
    begun: bool,
    /// Whether one waited for the whole of the time between two slots.
    urgent: bool,
}

/// The least time before a slot in which no errand is begun.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

// === impl UnderWay ===

impl UnderWay {
    /// Gets another configuration ready. If one is under way, it is to be read again once that is in force.
    pub(super) fn begin(&mut self, task: JoinHandle<Result<Reloaded, NotLoaded>>) {
        self.reload = Some(task);
    }

    /// Whether another configuration cannot be made ready yet, but is to be read later: one is being made ready, or an
    /// order is being kept, by which other versions are to be made ready.
    pub(super) fn puts_off_reload(&mut self, is_following: bool) -> bool {
        self.again = self.reload.is_some() || is_following;
        self.again
    }

    /// Whether it is to be read again, now that one is in force or the order is followed.
    pub(super) fn is_to_be_read_again(&mut self) -> bool {
        std::mem::take(&mut self.again)
    }

    /// An errand took so long.
    pub(super) fn took(&mut self, took: Duration) {
        self.took = took.max(self.took / 2);
        self.begun = true;
    }

    /// A slot begins, for which some errand may be waiting.
    pub(super) fn slot(&mut self, is_any_waiting: bool) {
        self.urgent = !std::mem::take(&mut self.begun) && (is_any_waiting || !self.orders.is_empty());
    }

    /// Waits for what is next, `until` a slot is due. Errands wait for the host. So none is begun so shortly before a
    /// slot that this would have to wait, as they take about as long as others did, unless one has waited since the slot
    /// before. While an order `is_followed`, which waits for the disk, others wait for it.
    pub(super) async fn next(
        &mut self,
        errands: &mut Receiver<Errand>,
        until: Duration,
        interval: Duration,
        is_followed: bool,
    ) -> Meanwhile {
        let pause = (self.took * 2).max(SHORTEST_PAUSE).min(interval / 2);
        let pause = if self.urgent { Duration::ZERO } else { pause };
        let ends = Instant::now() + until.saturating_sub(pause);
        let is_reloading = self.reload.is_some();
        let waits = |errand: &Errand| match errand {
            Errand::Surroundings(_) | Errand::Consider(..) => is_reloading,
            Errand::Change(..) => is_reloading || is_followed,
            Errand::Read(..) => false,
        };
        if Instant::now() < ends
            && let Some(first) = self.orders.iter().position(|order| !waits(order))
            && let Some(order) = self.orders.remove(first)
        {
            return Meanwhile::Errand(order);
        }
        loop {
            let Self { reload, orders, .. } = &mut *self;
            let errand = async {
                match timeout(ends.saturating_duration_since(Instant::now()), errands.recv()).await {
                    Ok(Some(errand)) => errand,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                prepared = finished(reload) => {
                    self.reload = None;
                    return Meanwhile::Reloaded(Box::new(prepared));
                }
                errand = errand => match waits(&errand) {
                    true => orders.push_back(errand),
                    false => return Meanwhile::Errand(errand),
                },
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(reload) = &self.reload {
            reload.abort();
        }
    }
}

/// Waits for a task, and never if there is none. Waiting can be given up and taken up again.
async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::agent::errands::{Order, What};
    use crate::modules::deployment::Key;

    const INTERVAL: Duration = Duration::from_secs(1);

    fn errand() -> Errand {
        Errand::Surroundings(oneshot::channel().0)
    }

    /// Whether an errand is begun that comes so long before a slot.
    async fn begins(under_way: &mut UnderWay, before: Duration) -> bool {
        let (sender, mut errands) = mpsc::channel(1);
        tokio::spawn(async move {
            tokio::time::sleep(INTERVAL - before).await;
            sender.send(errand()).await.unwrap();
            // Not closed before the slot.
            tokio::time::sleep(INTERVAL).await;
        });
        let begun = timeout(INTERVAL, under_way.next(&mut errands, INTERVAL, INTERVAL, false)).await.is_ok();
        tokio::task::yield_now().await;
        under_way.slot(!begun);
        begun
    }

    #[tokio::test(start_paused = true)]
    async fn no_errand_delays_a_slot() {
        let (milliseconds, mut under_way) = (Duration::from_millis, UnderWay::default());
        assert!(begins(&mut under_way, milliseconds(25)).await);
        under_way.took(milliseconds(100));
        assert!(begins(&mut under_way, milliseconds(220)).await);
        under_way.took(milliseconds(100));
        under_way.slot(false);
        assert!(!begins(&mut under_way, milliseconds(180)).await);
        // It has waited for long enough.
        assert!(begins(&mut under_way, milliseconds(180)).await);
        // What takes longer than there is time still has half of it.
        under_way.took(milliseconds(3_000));
        under_way.slot(false);
        assert!(begins(&mut under_way, milliseconds(550)).await);
        under_way.took(milliseconds(3_000));
        under_way.slot(false);
        assert!(!begins(&mut under_way, milliseconds(450)).await);
    }

    /// Orders are kept one after the other, and all else goes on.
    #[tokio::test(start_paused = true)]
    async fn an_order_waits_for_the_one_before_it() {
        let key = Key::new("acme".parse().unwrap(), "one".parse().unwrap());
        let order = Arc::new(Order { key, what: What::Pause, by: "me".to_owned(), at: 0, rules: None });
        let (sender, mut errands) = mpsc::channel(2);
        sender.send(Errand::Change(order, oneshot::channel().0)).await.unwrap();
        sender.send(errand()).await.unwrap();
        let mut under_way = UnderWay::default();
        let first = under_way.next(&mut errands, INTERVAL, INTERVAL, true).await;
        assert!(matches!(first, Meanwhile::Errand(Errand::Surroundings(_))), "{first:?}");
        let second = under_way.next(&mut errands, INTERVAL, INTERVAL, false).await;
        assert!(matches!(second, Meanwhile::Errand(Errand::Change(..))), "{second:?}");
    }
}
