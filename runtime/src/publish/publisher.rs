//! Publishers, each at its own pace and with its own troubles.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::counted::Counted;
use super::file::JsonLines;
use super::notifier::Notifier;
use crate::config::daemon::Output;
use crate::spool::log::{Account, Error};
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

/// All publishers of the daemon.
#[derive(Debug)]
pub struct Publishers {
    spool: Spool,
    threads: Handle,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    output: Output,
    health: Health,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
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
        Self { spool, threads, running: Vec::new() }
    }

    /// Has these outputs be served and no others. One that is as it was goes on undisturbed. What one that is not
    /// wanted any more had still to deliver is lost, and these are the books of those.
    pub async fn serve(&mut self, outputs: &[Output], now: i64) -> Result<Vec<Account>, Error> {
        for old in self.running.extract_if(.., |running| !outputs.contains(&running.output)).collect::<Vec<_>>() {
            old.end().await;
        }
        let names: Vec<String> = outputs.iter().map(|output| output.name().to_owned()).collect();
        let closed = self.spool.follow(&names, now)?;
        for output in outputs {
            if self.running.iter().any(|running| running.output == *output) {
                continue;
            }
            let (stop, stopped) = watch::channel(false);
            let (feed, health) = (Feed::new(&self.spool, output.name(), stopped)?, Health::default());
            let task = self.threads.spawn(publisher(output).run(feed, health.clone()));
            self.running.push(Running { output: output.clone(), health, stop, task });
        }
        Ok(closed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// How each of them is.
    pub fn health(&self) -> impl Iterator<Item = (&str, Option<String>)> {
        self.running.iter().map(|running| (running.output.name(), running.health.trouble()))
    }

    /// Waits until all is delivered.
    pub async fn drained(&self) {
        while !self.spool.is_drained() {
            sleep(PAUSE).await;
        }
    }

    /// Ends them all. What is not delivered stays in the spool.
    pub async fn end(&mut self) {
        for running in &self.running {
            running.stop.send_replace(true);
        }
        for running in self.running.drain(..) {
            running.end().await;
        }
    }
}

// === impl Running ===

impl Running {
    async fn end(mut self) {
        self.stop.send_replace(true);
        if timeout(PATIENCE, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
