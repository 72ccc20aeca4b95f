//! Publishers, each at its own pace and with its own troubles.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::Instrument;

use super::counted::Counted;
use super::file::JsonLines;
use super::http::{Lists, Poster};
use super::notifier::Notifier;
use super::opentelemetry::{OverGrpc, OverHttp};
use super::socket::{Tcp, Udp};
use crate::config::daemon::{OpenTelemetryOutput, Output, Protocol};
use crate::spool::log::{Error, Step};
use crate::spool::{Feed, Spool};

/// Delivers samples to one place.
pub trait Publisher: Send {
    /// Delivers what the feed gives and tells it so, in order, until the feed ends. What fails is tried again for ever;
    /// nobody else notices.
    fn run(self: Box<Self>, feed: Feed, health: Health) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// How a publisher is.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<Option<String>>>);

/// All publishers of the daemon, shared by the loop and those who look after them.
#[derive(Debug, Clone)]
pub struct Publishers {
    spool: Spool,
    threads: Handle,
    running: Arc<AsyncMutex<Vec<Running>>>,
    /// How each of those that run is. Known without waiting for any of them.
    health: Arc<Mutex<BTreeMap<String, Health>>>,
    /// Whether all that were started still run.
    serving: Arc<AtomicBool>,
}

/// What is done for one name: only ever one thing at a time, which begins once the one before has ended.
#[derive(Debug)]
struct Running {
    name: String,
    /// What is served. None where the last one is not wanted any more, and its books are closed once it has ended.
    output: Option<Output>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Notes the end of a publisher that nobody told to end, be it by a panic.
struct Watched {
    serving: Arc<AtomicBool>,
    stopped: watch::Receiver<bool>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !*self.stopped.borrow_and_update() {
            self.serving.store(false, Ordering::Relaxed);
        }
    }
}

/// How long a publisher that is not wanted any more may take to finish what it is at.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at whether everything is delivered.
const PAUSE: Duration = Duration::from_millis(20);

/// The publisher of an output.
fn publisher(output: &Output) -> Box<dyn Publisher> {
    match output {
        Output::File(file) => Box::new(JsonLines::new(&file.file, file.max_size.bytes(), file.keep)),
        Output::Notifier { notifier } => Box::new(Notifier::new(notifier)),
        Output::Http { http } => Box::new(Poster::new(Lists::of(http.batch_size), &http.server, http.batch_size)),
        Output::Udp { udp } => Box::new(Udp::new(udp)),
        Output::Tcp { tcp } => Box::new(Tcp::new(tcp)),
        Output::OpenTelemetry { opentelemetry } => {
            let OpenTelemetryOutput { server, protocol, batch_size, .. } = &**opentelemetry;
            match protocol {
                Protocol::Http => Box::new(Poster::new(OverHttp::default(), server, *batch_size)),
                Protocol::Grpc => Box::new(Poster::new(OverGrpc::default(), server, *batch_size)),
            }
        }
        Output::Test { .. } => Box::new(Counted),
    }
}

// === impl Health ===

impl Health {
    /// It cannot deliver, for this reason.
    pub fn fails(&self, why: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.into());
    }

    /// It delivers.
    pub fn works(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why it cannot deliver, if it cannot.
    pub fn trouble(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// === impl Publishers ===

impl Publishers {
    /// Nobody yet.
    pub fn of(spool: Spool, threads: Handle) -> Self {
        Self { spool, threads, running: Arc::default(), health: Arc::default(), serving: Arc::new(true.into()) }
    }

    /// Has these outputs be served and no others. One that is as it was goes on undisturbed; others end, each in its own
    /// time, before another one with their name begins. Who asks for this waits for none of them.
    pub async fn serve(&self, outputs: &[Output], now: i64) -> Result<(), Error> {
        let mut all = self.running.lock().await;
        all.retain(|running| !running.task.is_finished());
        let is_wanted = |name: &str| outputs.iter().any(|output| output.name() == name);
        let goes_on = |running: &Running| match &running.output {
            Some(output) => outputs.contains(output),
            None => !is_wanted(&running.name),
        };
        let mut old: BTreeMap<String, Running> =
            all.extract_if(.., |running| !goes_on(running)).map(|old| (old.name.clone(), old)).collect();
        for old in old.values() {
            old.stop.send_replace(true);
        }
        self.known().retain(|name, _| all.iter().any(|running| running.name == *name && running.output.is_some()));
        // The books of those that end are open until then.
        let ending = old.keys().chain(all.iter().map(|running| &running.name));
        let mut names: Vec<String> =
            outputs.iter().map(|output| output.name().to_owned()).chain(ending.cloned()).collect();
        names.sort_unstable();
        names.dedup();
        let spool = self.spool.clone();
        // The disk may hang, and who asks for this keeps time.
        blocking(move || spool.follow(&names, now)).await?.into_iter().for_each(say_closed);
        for output in outputs {
            if !all.iter().any(|running| running.output.as_ref() == Some(output)) {
                all.push(self.start(output, old.remove(output.name())));
            }
        }
        all.extend(old.into_values().map(|old| self.close(old, now)));
        self.serving.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Serves an output once the one that had its name has ended.
    fn start(&self, output: &Output, old: Option<Running>) -> Running {
        let (stop, stopped) = watch::channel(false);
        let (spool, name, health) = (self.spool.clone(), output.name().to_owned(), Health::default());
        self.known().insert(name.clone(), health.clone());
        let watched = Watched { serving: Arc::clone(&self.serving), stopped: stop.subscribe() };
        let publisher = publisher(output);
        let work = async move {
            let _watched = watched;
            if let Some(old) = old {
                old.end(Instant::now() + PATIENCE).await;
            }
            match blocking(move || Feed::new(&spool, &name, stopped)).await {
                Ok(feed) => publisher.run(feed, health).await,
                Err(error) => {
                    health.fails(error.to_string());
                    tracing::error!(%error, "The spool cannot be read; the next slot tries again.");
                }
            }
        };
        // Whatever it says, the log names it.
        let named = tracing::error_span!("output", name = output.name());
        let task = self.threads.spawn(work.instrument(named));
        Running { name: output.name().to_owned(), output: Some(output.clone()), stop, task }
    }

    /// Closes the books of an output that is not wanted any more, once it has ended.
    fn close(&self, old: Running, now: i64) -> Running {
        let (stop, mut stopped) = watch::channel(false);
        let (all, name) = (self.clone(), old.name.clone());
        let closing = name.clone();
        let work = async move {
            let began = Instant::now();
            old.end(began + PATIENCE).await;
            let mut running = tokio::select! {
                biased;
                // It is wanted again, or the daemon ends: the next one to look closes them.
                _ = stopped.wait_for(|stop| *stop) => return,
                running = all.running.lock() => running,
            };
            // Nobody is to take it for one whose books are open. Dropped, it would end this.
            let _closed: Vec<Running> = running.extract_if(.., |running| running.name == name).collect();
            let now = now.saturating_add_unsigned(u64::try_from(began.elapsed().as_nanos()).unwrap_or_default());
            let (spool, output) = (all.spool.clone(), name.clone());
            match blocking(move || spool.close(&name, now)).await {
                Ok(closed) => closed.into_iter().for_each(say_closed),
                Err(error) => {
                    tracing::error!(output, %error, "The books of an output are not closed; the next start does it.");
                }
            }
        };
        Running { name: closing, output: None, stop, task: self.threads.spawn(work) }
    }

    /// Gives up what a publisher has not delivered of what was kept before this time. It is stopped meanwhile, so that
    /// it does not deliver what counts as lost.
    pub async fn give_up(&self, publisher: &str, time: i64, now: i64) -> Result<u64, Error> {
        let mut all = self.running.lock().await;
        let at = all.iter().position(|running| running.name == publisher && running.output.is_some());
        let stopped = at.map(|at| all.swap_remove(at));
        let output = stopped.as_ref().and_then(|running| running.output.clone());
        if let Some(running) = stopped {
            running.end(Instant::now() + PATIENCE).await;
        }
        let (spool, name) = (self.spool.clone(), publisher.to_owned());
        let given_up = blocking(move || spool.give_up(&name, time, now)).await;
        if let Some(output) = output {
            all.push(self.start(&output, None));
        }
        given_up
    }

    /// Whether each of these outputs is served. One whose publisher has ended by itself is not.
    pub fn serves(&self, outputs: &[Output]) -> bool {
        let known = self.known();
        self.serving.load(Ordering::Relaxed) && outputs.iter().all(|output| known.contains_key(output.name()))
    }

    /// Why publishers that run cannot deliver, if they cannot.
    pub fn health(&self) -> BTreeMap<String, Option<String>> {
        self.known().iter().map(|(name, health)| (name.clone(), health.trouble())).collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Health>> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all is delivered.
    pub async fn drained(&self) {
        loop {
            let spool = self.spool.clone();
            if let Ok(true) = blocking(move || Ok(spool.is_drained())).await {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Ends them all, however they are, after so long. What is not delivered stays in the spool.
    pub async fn end(&self, patience: Duration) {
        // Somebody may be at them, whom a disk keeps.
        let Ok(mut all) = timeout(patience, self.running.lock()).await else { return };
        for running in all.iter() {
            running.stop.send_replace(true);
        }
        let deadline = Instant::now() + patience;
        for running in all.drain(..) {
            running.end(deadline).await;
        }
    }
}

/// What is lost with an output that is not wanted any more.
fn say_closed((output, samples): (String, u64)) {
    match samples {
        0 => tracing::info!(output, "An output is not served any more; everything was delivered."),
        _ => tracing::warn!(
            output,
            samples,
            "An output is not served any more; what it had still to deliver is lost, and counted."
        ),
    }
}

/// Does work on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let lost = |error| Error::Io { step: Step::Ledger, source: io::Error::other(error) };
    spawn_blocking(work).await.map_err(lost)?
}

// === impl Running ===

impl Running {
    /// Ends it, and gives it up at this time.
    async fn end(mut self, deadline: Instant) {
        self.stop.send_replace(true);
        // If it is given up, dropping it ends it.
        let _ = timeout_at(deadline, &mut self.task).await;
    }
}

impl Drop for Running {
    /// What waits for others to end is not to leave them behind.
    fn drop(&mut self) {
        self.task.abort();
    }
}
