//! A publisher's way through the spool.

use std::collections::VecDeque;
use std::panic::catch_unwind;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use uuid::Uuid;

use super::log::{Cause, Counts, Error, Sequence};
use super::record::{self, Content, Unreadable};
use super::{Done, Spool, shelf};
use crate::pipeline::Samples;

/// What a publisher is to deliver.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The record's number: later ones have higher numbers.
    pub sequence: Sequence,
    /// When the record was written, in nanoseconds since 1970.
    pub time: i64,
    /// What tells its bytes from others: a record that was made less of has the number that it had.
    pub checksum: u32,
    /// The samples.
    pub content: Content,
}

/// A publisher's way through the spool: records in order, from the first that it has not delivered.
#[derive(Debug)]
pub struct Feed {
    spool: Spool,
    publisher: Arc<str>,
    committed: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    /// The next record, while it is read on a thread that may block.
    reading: Option<JoinHandle<Result<Option<Found>, Error>>>,
    /// Records that were given and are not delivered, and whether they could be read.
    given: VecDeque<(Sequence, bool)>,
    /// Whether the disk did not give the last record.
    failing: bool,
}

/// A record as it was read.
#[derive(Debug)]
struct Found {
    sequence: Sequence,
    time: i64,
    checksum: u32,
    content: Result<Content, Unreadable>,
}

/// A pause after the disk did not give a record.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// What of a record is for a publisher.
fn for_publisher(content: Content, publisher: &str) -> Content {
    let is_for = |samples: &Samples| samples.route.has(publisher);
    match content {
        Content::Slot(slot) if !slot.samples.iter().all(is_for) => {
            let mut slot = Arc::unwrap_or_clone(slot);
            slot.samples.retain(is_for);
            Content::Slot(Arc::new(slot))
        }
        content => content,
    }
}

// === impl Feed ===

impl Feed {
    /// From what this publisher has not delivered, until it is told to stop.
    pub fn new(spool: &Spool, publisher: &str, stop: watch::Receiver<bool>) -> Result<Self, Error> {
        spool.lock().store.rewind(publisher)?;
        let committed = spool.0.committed.subscribe();
        Ok(Self {
            spool: spool.clone(),
            publisher: publisher.into(),
            committed,
            stop,
            reading: None,
            given: VecDeque::new(),
            failing: false,
        })
    }

    /// Who follows.
    pub fn publisher(&self) -> &Arc<str> {
        &self.publisher
    }

    /// The next record, once there is one. None once the publisher is to stop. Waiting can be given up and taken up
    /// again.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            if *self.stop.borrow_and_update() {
                return None;
            }
            match self.take().await {
                Ok(Some(found)) => {
                    self.failing = false;
                    if let Some(delivery) = self.given(found) {
                        return Some(delivery);
                    }
                }
                Ok(None) => {
                    tokio::select! {
                        _ = self.committed.changed() => {}
                        _ = self.stop.changed() => {}
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        let publisher = &*self.publisher;
                        tracing::error!(publisher, %error, "The spool cannot be read; it is tried again.");
                    }
                    self.pause(PAUSE).await?;
                }
            }
        }
    }

    /// The same, if it is wanted; otherwise this only waits until the publisher is to stop.
    pub async fn next_if(&mut self, wanted: bool) -> Option<Delivery> {
        if wanted {
            return self.next().await;
        }
        // Whoever could say so is gone, too.
        let _ = self.stop.wait_for(|stop| *stop).await;
        None
    }

    /// What tells the spool from all others.
    pub fn spool(&self) -> Uuid {
        self.spool.id()
    }

    /// What this publisher kept last, if it kept anything: see [`Feed::keep`].
    pub async fn kept(&self) -> Option<Vec<u8>> {
        let (spool, publisher) = (self.spool.clone(), Arc::clone(&self.publisher));
        spawn_blocking(move || shelf::read(&spool.0.dir, &publisher)).await.ok()?
    }

    /// Keeps what this publisher is to go on with after a start of the daemon, for as long as it is configured.
    pub async fn keep(&self, bytes: Vec<u8>) {
        let (spool, publisher) = (self.spool.clone(), Arc::clone(&self.publisher));
        let written = spawn_blocking(move || shelf::write(&spool.0.dir, &publisher, &bytes)).await;
        if let Ok(Err(error)) = written {
            let publisher = &*self.publisher;
            tracing::warn!(publisher, %error, "What an output goes on with after a start cannot be kept.");
        }
    }

    /// Waits before another try. None once the publisher is to stop.
    pub async fn pause(&mut self, pause: std::time::Duration) -> Option<()> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Some(()),
            _ = self.stop.wait_for(|stop| *stop) => None,
        }
    }

    /// Everything up to this record is delivered.
    pub fn delivered(&mut self, sequence: Sequence) {
        self.delivered_but(sequence, Vec::new());
    }

    /// The same, but for samples of this record that never will be, by their causes.
    pub fn delivered_but(&mut self, sequence: Sequence, mut lost: Vec<(Cause, Counts)>) {
        while let Some((given, delivered)) = self.given.front().copied() {
            // What cannot be read is given up once everything before it is delivered.
            if delivered && given > sequence {
                break;
            }
            let lost = if given == sequence { std::mem::take(&mut lost) } else { Vec::new() };
            self.spool.done(Done { publisher: Arc::clone(&self.publisher), sequence: given, delivered, lost });
            self.given.pop_front();
        }
    }

    /// Reads the next record. What is read stays if nobody waits for it any more.
    async fn take(&mut self) -> Result<Option<Found>, Error> {
        let reading = self.reading.get_or_insert_with(|| {
            // What is committed from now on is news.
            self.committed.mark_unchanged();
            let (spool, publisher) = (self.spool.clone(), Arc::clone(&self.publisher));
            spawn_blocking(move || {
                let mut kept = spool.lock();
                let record = kept.store.next(&publisher);
                // What turned out to be damaged.
                kept.say_dropped();
                drop(kept);
                let record = record?;
                Ok(record.map(|record| Found {
                    sequence: record.sequence,
                    time: record.time,
                    checksum: crc32fast::hash(&record.payload),
                    // A fault in reading costs the record, and is counted like one of the disk.
                    content: catch_unwind(|| record::read(&record.payload)).unwrap_or(Err(Unreadable::Part("content"))),
                }))
            })
        });
        let read = reading.await;
        self.reading = None;
        // A thread that was lost read nothing that is not read again after a start.
        read.unwrap_or(Ok(None))
    }

    fn given(&mut self, Found { sequence, time, checksum, content }: Found) -> Option<Delivery> {
        let mine = |only: &Option<String>| only.as_deref().is_none_or(|only| only == &*self.publisher);
        match content {
            Ok(Content::Replayed { only, .. }) if !mine(&only) => self.given.push_back((sequence, true)),
            Ok(Content::Slot(slot)) if !slot.samples.iter().any(|samples| samples.route.has(&self.publisher)) => {
                self.given.push_back((sequence, true));
            }
            Ok(content) => {
                self.given.push_back((sequence, true));
                let content = for_publisher(content, &self.publisher);
                return Some(Delivery { sequence, time, checksum, content });
            }
            Err(error) => {
                let (publisher, record) = (&*self.publisher, sequence.0);
                tracing::error!(publisher, record, %error, "A record of the spool is lost.");
                self.given.push_back((sequence, false));
            }
        }
        // There is nothing to deliver: done, unless others are still on their way.
        if self.given.len() == 1 {
            self.delivered(sequence);
        }
        None
    }
}
