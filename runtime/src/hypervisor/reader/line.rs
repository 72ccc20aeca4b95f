//! Threads that make one blocking call at a time, and can be done without.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::hypervisor::{Connection, Hypervisor, HypervisorError};

/// A thread with a connection. Dropping it lets the thread end, when its call does.
#[derive(Debug)]
struct Line {
    jobs: Sender<Job>,
}

type Job = Box<dyn FnOnce(&mut dyn Connection) + Send>;

/// Lines to one host: idle ones are used again, late ones are left to themselves.
#[derive(Debug)]
pub struct Lines {
    hypervisor: Arc<dyn Hypervisor>,
    watchdog: Duration,
    most: usize,
    idle: Vec<Line>,
    stuck: Arc<AtomicUsize>,
}

/// Why a call gave nothing.
#[derive(Debug)]
pub enum Missed {
    /// It has not come back in time. What it says later is discarded.
    Late,
    /// The hypervisor said no.
    Refused(HypervisorError),
}

/// Counts a call as stuck from its watchdog's bark to its return.
struct Leash {
    stuck: Arc<AtomicUsize>,
}

// === impl Lines ===

impl Lines {
    /// No lines yet, and never more than so many with a call that is stuck.
    pub fn new(hypervisor: Arc<dyn Hypervisor>, watchdog: Duration, most: usize) -> Self {
        Self { hypervisor, watchdog, most, idle: Vec::new(), stuck: Arc::default() }
    }

    /// How long a call may take.
    pub fn watchdog(&self) -> Duration {
        self.watchdog
    }

    /// Changes how long a call may take, and how many may be stuck.
    pub fn reconfigure(&mut self, watchdog: Duration, most: usize) {
        self.watchdog = watchdog;
        self.most = most;
    }

    /// Calls that are late and have not come back.
    pub fn stuck(&self) -> usize {
        self.stuck.load(Ordering::SeqCst)
    }

    /// Makes a call on an idle line, or on a new one. Refuses if too many are stuck: each keeps a thread and a
    /// connection.
    pub async fn call<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&mut dyn Connection) -> Result<T, HypervisorError> + Send + 'static,
    ) -> Result<T, Missed> {
        let stuck = self.stuck();
        if stuck >= self.most {
            return Err(Missed::Refused(HypervisorError::Stuck { calls: stuck }));
        }
        let line = self.idle.pop().map_or_else(|| Line::open(Arc::clone(&self.hypervisor)), Ok);
        let line = line.map_err(Missed::Refused)?;
        let (answer, mut answered) = oneshot::channel();
        let (leash, held) = oneshot::channel::<Leash>();
        let job: Job = Box::new(move |connection| {
            let result = call(connection);
            // Nobody listens any more if this is late; then the leash is here, and is let go of.
            let _ = answer.send(result);
            drop(held.blocking_recv());
        });
        if line.jobs.send(job).is_err() {
            return Err(Missed::Refused(gone(&self.hypervisor)));
        }
        match timeout(self.watchdog, &mut answered).await {
            Ok(Ok(Ok(value))) => {
                drop(leash);
                self.idle.push(line);
                Ok(value)
            }
            // A connection that failed is not used again.
            Ok(Ok(Err(error))) => Err(Missed::Refused(error)),
            Ok(Err(_)) => Err(Missed::Refused(gone(&self.hypervisor))),
            Err(_) => {
                let _ = leash.send(Leash::hold(&self.stuck));
                Err(Missed::Late)
            }
        }
    }
}

fn gone(hypervisor: &Arc<dyn Hypervisor>) -> HypervisorError {
    let reason = "its connection was lost; it is opened again in the next slot".to_owned();
    HypervisorError::Unreachable { uri: format!("{hypervisor:?}"), reason }
}

// === impl Line ===

impl Line {
    /// Starts a thread. It connects first, because connecting can block as well.
    fn open(hypervisor: Arc<dyn Hypervisor>) -> Result<Self, HypervisorError> {
        let (jobs, queue) = channel::<Job>();
        let run = move || match hypervisor.connect() {
            Ok(mut connection) => queue.into_iter().for_each(|job| job(connection.as_mut())),
            Err(error) => queue.into_iter().for_each(|job| job(&mut Refusing(error.clone()))),
        };
        std::thread::Builder::new().name("hypervisor".into()).spawn(run).map_err(|error| {
            HypervisorError::Unreachable { uri: String::new(), reason: format!("no thread can be started: {error}") }
        })?;
        Ok(Self { jobs })
    }
}

/// What stands for a connection that could not be opened.
struct Refusing(HypervisorError);

impl Connection for Refusing {
    fn read(&mut self, _: &crate::hypervisor::Request) -> Result<Vec<crate::hypervisor::Record>, HypervisorError> {
        Err(self.0.clone())
    }

    fn define(&mut self, _: uuid::Uuid) -> Result<Option<crate::hypervisor::Definition>, HypervisorError> {
        Err(self.0.clone())
    }

    fn occupied(&mut self, _: &[uuid::Uuid]) -> Result<Vec<uuid::Uuid>, HypervisorError> {
        Err(self.0.clone())
    }
}

// === impl Leash ===

impl Leash {
    fn hold(stuck: &Arc<AtomicUsize>) -> Self {
        stuck.fetch_add(1, Ordering::SeqCst);
        Self { stuck: Arc::clone(stuck) }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.stuck.fetch_sub(1, Ordering::SeqCst);
    }
}
