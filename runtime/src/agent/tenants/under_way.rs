//! What is under way beside the loop: deployments that are at a slot, and how that ends.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::answer::Answer;
use crate::modules::deployment::Key;
use crate::sandbox::turns::Gate;

/// Deployments that are at a slot.
#[derive(Debug)]
pub(super) struct UnderWay {
    tasks: HashMap<u64, Task>,
    /// How many there were.
    begun: u64,
    /// There is one for each task at most.
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

// === impl UnderWay ===

impl UnderWay {
    /// Has a deployment begin in its tenant's turn.
    pub fn begin<F: Future<Output = Answer> + Send + 'static>(
        &mut self,
        task: Task,
        (gate, tenant, threads): (&Arc<Gate>, &Arc<str>, &Handle),
        work: impl FnOnce() -> F + Send + 'static,
    ) {
        self.begun += 1;
        let teller = Teller { task: self.begun, answer: None, ends: self.ends.clone() };
        self.tasks.insert(self.begun, task);
        gate.start(tenant, threads, move || async move { teller.answered(work().await) });
    }

    /// What the next one gives, once it is there; the task if it is lost. Waits for ever if nothing is under way.
    /// Waiting can be given up and taken up again.
    pub async fn next(&mut self) -> Result<Answer, Task> {
        loop {
            // It does not end, as one end of it is here.
            let Some(ended) = self.ended.recv().await else { std::future::pending().await };
            if let Some(end) = self.end(ended) {
                return end;
            }
        }
    }

    /// What one gave that is done already.
    pub fn try_next(&mut self) -> Option<Result<Answer, Task>> {
        while let Ok(ended) = self.ended.try_recv() {
            if let Some(end) = self.end(ended) {
                return Some(end);
            }
        }
        None
    }

    fn end(&mut self, Ended { task, answer }: Ended) -> Option<Result<Answer, Task>> {
        let task = self.tasks.remove(&task)?;
        Some(answer.ok_or(task))
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// When what they are about was read.
    pub fn read(&self) -> impl Iterator<Item = u64> {
        self.tasks.values().map(|task| task.read)
    }
}

impl Default for UnderWay {
    fn default() -> Self {
        let (ends, ended) = unbounded_channel();
        Self { tasks: HashMap::new(), begun: 0, ends, ended }
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
        let mut under_way = UnderWay::default();
        let key = Key::new("t".parse().unwrap(), "a".parse().unwrap());
        for number in [1, 2] {
            let task = Task { key: key.clone(), number, read: number, chained: 0 };
            under_way.begin(task, (&gate, &tenant, threads.handle()), || async { panic!("as it should") });
        }
        assert_eq!(under_way.read().max(), Some(2));
        for number in [1, 2] {
            let lost = threads.block_on(under_way.next()).unwrap_err();
            assert_eq!((lost.key, lost.number), (key.clone(), number));
        }
        assert!(under_way.is_empty() && under_way.try_next().is_none());
    }
}
