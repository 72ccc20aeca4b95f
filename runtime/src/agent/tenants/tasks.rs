//! Tasks beside the loop, of deployments that are at a slot, and how they end.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::answer::Answer;
use crate::modules::deployment::Key;
use crate::sandbox::turns::Gate;

/// Tasks of deployments that are at a slot.
#[derive(Debug)]
pub(super) struct Tasks {
    under_way: HashMap<u64, Task>,
    /// How many there were.
    begun: u64,
    /// There is one for each task.
    ends: UnboundedSender<Ended>,
    ended: UnboundedReceiver<Ended>,
}

/// A deployment that is at a slot.
#[derive(Debug)]
pub(super) struct Task {
    pub key: Key,
    /// Which one of this key.
    pub number: u64,
    /// When what it is about was read.
    pub read: u64,
    /// Samples that it was handed in a chain.
    pub chained: u32,
}

/// What came of a task. One that is lost has no answer.
#[derive(Debug)]
struct Ended {
    task: u64,
    answer: Option<Answer>,
}

/// Tells how a task ended, whatever becomes of it.
struct Teller {
    task: u64,
    answer: Option<Answer>,
    ends: UnboundedSender<Ended>,
}

// === impl Tasks ===

impl Tasks {
    /// Has a deployment begin in its tenant's turn.
    pub fn begin<F: Future<Output = Answer> + Send + 'static>(
        &mut self,
        task: Task,
        (gate, tenant, threads): (&Arc<Gate>, &Arc<str>, &Handle),
        work: impl FnOnce() -> F + Send + 'static,
    ) {
        self.begun += 1;
        let teller = Teller { task: self.begun, answer: None, ends: self.ends.clone() };
        self.under_way.insert(self.begun, task);
        gate.start(tenant, threads, move || async move {
            // Whoever would have it may be gone.
            if !teller.ends.is_closed() {
                teller.answered(work().await);
            }
        });
    }

    /// What the next one gives, once it is there; the task if it is lost. Waits for ever if nothing is under way.
    /// Waiting can be given up and taken up again.
    pub async fn next(&mut self) -> Result<Answer, Task> {
        loop {
            // It does not end, as one end of it is here.
            let ended = self.ended.recv().await;
            if let Some(end) = ended.and_then(|ended| self.end(ended)) {
                return end;
            }
        }
    }

    /// What one gave that is done already.
    pub fn try_next(&mut self) -> Option<Result<Answer, Task>> {
        self.ended.try_recv().ok().and_then(|ended| self.end(ended))
    }

    fn end(&mut self, Ended { task, answer }: Ended) -> Option<Result<Answer, Task>> {
        let task = self.under_way.remove(&task)?;
        Some(answer.ok_or(task))
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// When what they are about was read.
    pub fn read_at(&self) -> impl Iterator<Item = u64> {
        self.under_way.values().map(|task| task.read)
    }
}

impl Default for Tasks {
    fn default() -> Self {
        let (ends, ended) = unbounded_channel();
        Self { under_way: HashMap::new(), begun: 0, ends, ended }
    }
}

// === impl Teller ===

impl Teller {
    fn answered(mut self, answer: Answer) {
        self.answer = Some(answer);
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        // Nobody may be there any more.
        drop(self.ends.send(Ended { task: self.task, answer: self.answer.take() }));
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_task_that_is_lost_is_told_of() {
        let threads = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (gate, tenant) = (Gate::new(1), Arc::from("t"));
        let mut tasks = Tasks::default();
        let key = Key::new("t".parse().unwrap(), "a".parse().unwrap());
        for number in [1, 2] {
            let task = Task { key: key.clone(), number, read: number, chained: 0 };
            tasks.begin(task, (&gate, &tenant, threads.handle()), || async { panic!("as it should") });
        }
        assert_eq!(tasks.read_at().max(), Some(2));
        for number in [1, 2] {
            let lost = threads.block_on(tasks.next()).unwrap_err();
            assert_eq!((lost.key, lost.number), (key.clone(), number));
        }
        assert!(tasks.is_empty() && tasks.try_next().is_none());
    }
}
