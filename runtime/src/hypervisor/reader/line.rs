//! Threads that make one blocking call at a time, and can be done without.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::hypervisor::{Connection, Hypervisor, HypervisorError};

/// A thread with a connection. Dropping it lets the thread end, when its call does.
#[derive(Debug, Clone)]
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
    idle: Arc<Mutex<Vec<Line>>>,
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
        Self { hypervisor, watchdog, most, idle: Arc::default(), stuck: Arc::default() }
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
        &self,
        call: impl FnOnce(&mut dyn Connection) -> Result<T, HypervisorError> + Send + 'static,
    ) -> Result<T, Missed> {
        self.call_unless(pending(), call).await
    }

    /// The same, given up as late as soon as there is no hope for it.
    pub async fn call_unless<T: Send + 'static>(
        &self,
        hopeless: impl Future<Output = ()>,
        call: impl FnOnce(&mut dyn Connection) -> Result<T, HypervisorError> + Send + 'static,
    ) -> Result<T, Missed> {
        let stuck = self.stuck();
        if stuck >= self.most {
            return Err(Missed::Refused(HypervisorError::Stuck { calls: stuck }));
        }
        let idle = taken(&self.idle).pop();
        let line = idle.map_or_else(|| Line::open(Arc::clone(&self.hypervisor)), Ok).map_err(Missed::Refused)?;
        let (answer, mut answered) = oneshot::channel();
        let (leash, mut held) = oneshot::channel::<Leash>();
        let (idle, itself) = (Arc::clone(&self.idle), line.clone());
        let job: Job = Box::new(move |connection| {
            let result = call(connection);
            let leash = held.try_recv();
            // A connection that failed is not used again, nor is one that was given up.
            if result.is_ok() && leash.is_err() {
                taken(&idle).push(itself);
            }
            // Nobody listens any more if this is late; then the leash is here, and is let go of.
            let _ = answer.send(result);
        });
        if line.jobs.send(job).is_err() {
            return Err(Missed::Refused(gone(&self.hypervisor)));
        }
        let answer = tokio::select! {
            answer = timeout(self.watchdog, &mut answered) => answer.ok(),
            () = hopeless => None,
        };
        match answer {
            Some(Ok(Ok(value))) => Ok(value),
            Some(Ok(Err(error))) => Err(Missed::Refused(error)),
            Some(Err(_)) => Err(Missed::Refused(gone(&self.hypervisor))),
            None => {
                let _ = leash.send(Leash::hold(&self.stuck));
                Err(Missed::Late)
            }
        }
    }
}

fn taken(idle: &Mutex<Vec<Line>>) -> MutexGuard<'_, Vec<Line>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
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
        let run = move || {
            let connect = || hypervisor.connect().unwrap_or_else(|error| Box::new(Refusing(error)));
            let mut connection = connect();
            for job in queue {
                // While nobody called, the host may have gone and come back.
                if !connection.is_alive() {
                    connection = connect();
                }
                job(connection.as_mut());
            }
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

    fn occupied(&mut self, _: &[uuid::Uuid]) -> Result<Vec<(uuid::Uuid, Duration)>, HypervisorError> {
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
