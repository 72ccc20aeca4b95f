//! What a module asks its host during a call.

use std::marker::PhantomData;

use crate::bindings::pollster::wasmeter::plugin::types::{LimitReached, ReadError};
use crate::host::Host;
use crate::http::{self, Request, Response};
use crate::{Column, Failure, Level, Meter, Moment, Note};

/// The call of a pollster: it may do everything.
#[derive(Debug)]
pub struct Polling;

/// The call of a transformer: it is handed samples, and reads no statistics.
#[derive(Debug)]
pub struct Converting;

/// The host, for the time of one call.
#[derive(Debug)]
pub struct Call<'a, K = Polling> {
    host: &'a Host,
    config: &'a str,
    kind: PhantomData<K>,
}

/// Under this name the host finds how many samples wait.
pub(crate) const WAITING: &str = "samples waiting";

// === impl Call ===

impl<'a, K> Call<'a, K> {
    pub(crate) fn new(host: &'a Host, config: &'a str) -> Self {
        Self { host, config, kind: PhantomData }
    }

    /// The configuration of the module, as it was written.
    pub fn config(&self) -> &'a str {
        self.config
    }

    /// The column of an attribute, as interned texts.
    pub fn attribute(&self, key: &str) -> Result<Column, Failure> {
        self.host.attribute_column(key).map_err(|e| unread(key, "ATTRIBUTES", e))
    }

    /// The guest that each of these resources belongs to; a guest belongs to itself.
    pub fn parents(&self, resources: &[u32]) -> Vec<u32> {
        self.host.parents_of(resources)
    }

    /// An index for each text; the same text has the same index.
    pub fn intern(&self, texts: &[String]) -> Result<Vec<u32>, Failure> {
        Ok(self.host.intern(texts)?)
    }

    /// Like [`intern`](Self::intern), for values that are JSON.
    pub fn intern_json(&self, texts: &[String]) -> Result<Vec<u32>, Failure> {
        Ok(self.host.intern_json(texts)?)
    }

    /// The texts behind indexes.
    pub fn resolve(&self, indexes: &[u32]) -> Vec<String> {
        self.host.resolve(indexes)
    }

    /// Positions for meters that the description does not list; their names match a pattern that it gives.
    pub fn declare_meters(&self, meters: &[Meter]) -> Result<Vec<u32>, Failure> {
        Ok(self.host.declare_meters(meters)?)
    }

    /// Indexes for parts of guests; entry i of `suffixes`, an interned text, names a part of entry i of `guests`.
    pub fn declare_parts(&self, guests: &[u32], suffixes: &[u32]) -> Result<Vec<u32>, Failure> {
        Ok(self.host.declare_parts(guests, suffixes)?)
    }

    /// Metadata for the samples of one meter.
    pub fn note(&self, key: &str, column: Column) -> Result<Note, Failure> {
        let interned = self.intern(&[key.to_owned()])?;
        let [key] = interned[..] else { return Err("the host interned one text as several".into()) };
        Ok(Note { key, column })
    }

    /// What was saved under a name, for these resources. Empty if there is nothing.
    pub fn load(&self, name: &str, resources: &[u32]) -> Column {
        self.host.load(name, resources).unwrap_or_default()
    }

    /// Saves numbers under a name. Other resources keep theirs.
    pub fn save(&self, name: &str, cells: &Column) -> Result<(), Failure> {
        Ok(self.host.save(name, cells)?)
    }

    /// The bytes that were saved under a name.
    pub fn load_bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.host.load_bytes(name)
    }

    /// Saves bytes under a name; none remove what is there.
    pub fn save_bytes(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.host.save_bytes(name, bytes)?)
    }

    /// Says how many samples wait in what is remembered, such as those that are held back until there are enough. They
    /// count as lost where that is forgotten: when the module's parameters or its place become others. As long as
    /// samples wait, a transformer is called in slots in which nothing comes to it as well.
    pub fn save_waiting(&self, samples: u64) -> Result<(), Failure> {
        if samples == self.load_waiting() {
            return Ok(());
        }
        let bytes = samples.to_le_bytes();
        self.save_bytes(WAITING, if samples > 0 { &bytes } else { &[] })
    }

    /// How many samples wait, as was said last.
    pub fn load_waiting(&self) -> u64 {
        self.load_bytes(WAITING).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
    }

    /// Whether this call has only a part of the slot, and other calls have others: what is decided for all resources
    /// together is not to be decided now.
    pub fn is_part(&self) -> bool {
        self.host.is_part()
    }

    /// How many bytes can still be saved in this call, whatever they replace. A number takes 16.
    pub fn room(&self) -> u64 {
        self.host.room()
    }

    /// When this slot's statistics were read.
    pub fn read_at(&self) -> Moment {
        self.host.time()
    }

    /// A line for the operator.
    pub fn log(&self, level: Level, text: &str) {
        self.host.log(level, text);
    }

    /// So many samples that were handed over gave nothing, for which a line says why: they are counted as lost.
    pub fn dropped(&self, samples: u32) {
        self.host.dropped(samples);
    }
}

impl Call<'_, Polling> {
    /// The column of a statistic that the module is nothing without.
    pub fn column(&self, key: &str) -> Result<Column, Failure> {
        self.host.stat_column(key).map_err(|e| unread(key, "READS", e))
    }

    /// The column of a statistic that may be missing: empty if no resource has a value.
    pub fn column_or_empty(&self, key: &str) -> Result<Column, Failure> {
        match self.host.stat_column(key) {
            Err(ReadError::Unavailable) => Ok(Column::default()),
            other => other.map_err(|e| unread(key, "READS", e)),
        }
    }

    /// Makes a request and waits for the answer, whatever its status. It cannot be taken back if the call fails.
    ///
    /// A module that uses this needs the grant `http`. An error becomes a [`Failure`] by `?`.
    pub fn send(&self, request: &Request) -> Result<Response, http::Error> {
        self.host.request(request)
    }
}

fn unread(key: &str, list: &str, error: ReadError) -> Failure {
    match error {
        ReadError::Undeclared => Failure::Failed(format!("{key} is read, but {list} does not name it")),
        ReadError::Unavailable => Failure::Unavailable(format!("{key} could not be read")),
    }
}

// === impl Failure ===

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self::Failed(text.to_owned())
    }
}

impl From<LimitReached> for Failure {
    fn from(limit: LimitReached) -> Self {
        Self::Failed(format!("a limit was reached: {}", limit.what))
    }
}
