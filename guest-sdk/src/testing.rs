//! A host for native tests: it answers from what a test makes up or from a recording, and holds a module to the
//! contract.
//!
//! What the real host refuses ends the test with a panic that says what was wrong; what the real host answers with an
//! error comes back as one. State lasts from call to call, by the `id` of resources where they have one:
//!
//! ```
//! use wasmeter_sdk::{testing::Host, *};
//!
//! struct Power;
//! impl Pollster for Power {
//!     const METERS: &'static [Declared] = &[gauge("power.state", "")];
//!     const READS: &'static [Wanted] = &[read("state.state")];
//!     fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
//!         Ok(out.emit(0, call.column("state.state")?))
//!     }
//! }
//!
//! let mut host = Host::new().stat("state.state", [(0, 1), (1, 5)]);
//! assert_eq!(host.poll::<Power>().unwrap().counts("power.state"), [(0, 1), (1, 5)]);
//! host = host.without("state.state");
//! assert!(matches!(host.poll::<Power>(), Err(Failure::Unavailable(_))));
//! ```

#![allow(clippy::panic, reason = "a broken contract ends the test that broke it")]

mod answers;
mod cell;
mod check;
mod recording;
mod samples;
mod state;

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::call::WAITING;
use crate::http::{self, Request, Response};
use crate::{Batch, Column, Description, Failure, Level, Meter, Moment, Outputs, Pollster, Transformer};

pub use self::cell::Cell;
use self::samples::Words;
pub use self::samples::{Converted, Polled};
use self::state::State;

/// A host that a test makes up.
#[derive(Debug)]
pub struct Host {
    config: String,
    read_at: Option<Moment>,
    stats: BTreeMap<String, Column>,
    attributes: BTreeMap<String, Column>,
    parents: BTreeMap<u32, u32>,
    state: State,
    /// The most bytes that state takes.
    room: u64,
    is_part: bool,
    texts: RefCell<Texts>,
    logs: RefCell<Vec<(Level, String)>>,
    dropped: RefCell<u32>,
    /// What servers answer, by URL.
    answers: BTreeMap<String, Result<Response, http::Error>>,
    requests: RefCell<Vec<Request>>,
    /// What lasts for a call.
    call: RefCell<Session>,
}

/// Texts, and whether each is JSON. Its place is its index.
type Texts = Vec<(String, bool)>;

/// One call: what the module said of itself, and what it did so far.
#[derive(Debug, Default)]
struct Session {
    /// The slot that it is of, if it is known which one.
    slot: Option<Moment>,
    /// Statistics that it may read.
    stats: Vec<String>,
    /// Attributes that it may read; a transformer may read all.
    attributes: Option<Vec<String>>,
    /// Meters that it described, and those that it declared.
    meters: Vec<Meter>,
    /// Patterns of meters that it may declare.
    declares: Vec<String>,
    /// The guest and the suffix of each part that was declared, in order of its index.
    parts: Vec<(u32, u32)>,
    /// The index after all resources of the samples that a transformer was handed.
    after_handed: u32,
    state: State,
    /// Bytes of state that it wrote, names repeated or not.
    written: u64,
}

/// The most bytes that the state of a module of the operator's takes.
const ROOM: u64 = 16 << 20;

// === impl Host ===

impl Default for Host {
    fn default() -> Self {
        Self {
            config: String::new(),
            read_at: None,
            stats: BTreeMap::new(),
            attributes: BTreeMap::new(),
            parents: BTreeMap::new(),
            state: State::default(),
            room: ROOM,
            is_part: false,
            texts: RefCell::default(),
            logs: RefCell::default(),
            dropped: RefCell::default(),
            answers: BTreeMap::new(),
            requests: RefCell::default(),
            call: RefCell::default(),
        }
    }
}

impl Host {
    /// A host that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// One slot of a recording that the daemon made. Guests are numbered from zero, in order; then come the disks
    /// guest by guest, the network devices and the virtual CPUs. [`resource`](Self::resource) finds them by id.
    pub fn from_recording(text: &str, slot: usize) -> Result<Self, String> {
        Self::new().recording(text, slot)
    }

    /// Replaces statistics, attributes, parents and the time with those of a slot of a recording. State stays.
    pub fn recording(self, text: &str, slot: usize) -> Result<Self, String> {
        recording::replay(self, text, slot)
    }

    /// The configuration of the module.
    pub fn config(mut self, config: &str) -> Self {
        config.clone_into(&mut self.config);
        self
    }

    /// When the statistics were read, in seconds since 1970.
    pub fn read_at(mut self, seconds: u32) -> Self {
        self.read_at = Some(moment(seconds));
        self
    }

    /// The column of a statistic, ascending by resource.
    pub fn stat<C: Into<Cell>>(mut self, key: &str, cells: impl IntoIterator<Item = (u32, C)>) -> Self {
        let column = self.make(key, cells);
        self.stats.insert(key.to_owned(), column);
        self
    }

    /// Takes a statistic away.
    pub fn without(mut self, key: &str) -> Self {
        self.stats.remove(key);
        self
    }

    /// The column of an attribute, ascending by resource. `id` is what state is remembered by.
    pub fn attribute<C: Into<Cell>>(mut self, key: &str, cells: impl IntoIterator<Item = (u32, C)>) -> Self {
        let column = self.make(key, cells);
        self.attributes.insert(key.to_owned(), column);
        self
    }

    /// The guests of parts. A resource that is not named here is a guest.
    pub fn parents(mut self, parents: impl IntoIterator<Item = (u32, u32)>) -> Self {
        self.parents.extend(parents);
        self
    }

    /// The resource with this `id`.
    pub fn resource(&self, id: &str) -> Option<u32> {
        let ids = self.attributes.get("id")?;
        let texts = self.texts.borrow();
        let is = |index: &u32| matches!(place(&texts, *index), Some((text, false)) if text == id);
        let found = ids.texts().ok()?.iter().position(is)?;
        ids.resources.get(found).copied()
    }

    /// What a server answers at a URL, with its query, from now on. Any other URL is denied, as where nothing is granted.
    pub fn answer(self, url: &str, status: u16, body: impl Into<Vec<u8>>) -> Self {
        self.answer_with(url, Ok(Response { status, headers: Vec::new(), body: body.into() }))
    }

    /// The same with headers, or with the reason why there is no answer.
    pub fn answer_with(mut self, url: &str, answer: Result<Response, http::Error>) -> Self {
        self.answers.insert(url.to_owned(), answer);
        self
    }

    /// Whether calls from now on have only a part of the slot, of the resources that there are now.
    pub fn part(mut self, is_part: bool) -> Self {
        self.is_part = is_part;
        self
    }

    /// The most bytes that state takes; otherwise 16 MiB, as for modules of the operator's. A tenant's have 1 MiB.
    pub fn room(mut self, bytes: u64) -> Self {
        self.room = bytes;
        self
    }

    /// The requests that were made, as the module made them.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    /// Samples that were dropped in all calls so far.
    pub fn dropped(&self) -> u32 {
        *self.dropped.borrow()
    }

    /// How many samples wait in what the module remembers, as it said last.
    pub fn waiting(&self) -> u64 {
        let bytes = self.state.bytes.get(WAITING).and_then(|bytes| bytes.as_slice().try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    }

    /// The lines that were logged.
    pub fn logs(&self) -> Vec<(Level, String)> {
        self.logs.borrow().clone()
    }

    /// One slot of a pollster. State changes only if the call succeeds.
    pub fn poll<P: Pollster>(&mut self) -> Result<Polled, Failure> {
        let Description { meters, declares, reads, attributes, .. } = P::describe(&self.config)?;
        let (stats, attributes) = (reads.into_iter().map(|wanted| wanted.key).collect(), Some(attributes));
        self.begin(Session { stats, attributes, meters, declares, ..Session::default() });
        let series = crate::run_pollster::<P>(self, &self.config)?;
        let (meters, words) = self.end();
        check::series(&series, &meters, &words);
        Ok(Polled { meters, series, words })
    }

    /// One slot of a transformer. It is the slot of [`read_at`](Self::read_at) or else of the youngest of the batches.
    pub fn convert<T: Transformer>(&mut self, inputs: &[Meter], batches: Vec<Batch>) -> Result<Converted, Failure> {
        let Outputs { meters, declares } = T::describe(&self.config, inputs)?;
        let handed = batches.iter().flat_map(|batch| &batch.column.resources);
        let after_handed = handed.max().map_or(0, |last| last.saturating_add(1));
        let slot = self.read_at.or_else(|| youngest(&batches));
        self.begin(Session { slot, meters, declares, after_handed, ..Session::default() });
        let batches = crate::run_transformer::<T>(self, &self.config, inputs, batches)?;
        let (meters, words) = self.end();
        check::batches(&batches, &meters, &words, slot);
        Ok(Converted { meters, batches, words })
    }

    fn begin(&self, session: Session) {
        *self.call.borrow_mut() = Session { state: self.state.clone(), ..session };
    }

    /// Ends a call that succeeded: what it saved stays.
    fn end(&mut self) -> (Vec<Meter>, Words) {
        let first_part = self.first_part();
        let Session { meters, parts, state, .. } = self.call.take();
        self.state = state;
        (meters, Words { texts: self.texts.borrow().clone(), parts, first_part })
    }

    fn make<C: Into<Cell>>(&self, key: &str, cells: impl IntoIterator<Item = (u32, C)>) -> Column {
        let (resources, cells): (Vec<u32>, Vec<Cell>) = cells.into_iter().map(|(r, c)| (r, c.into())).unzip();
        let column = Column::new(resources, cell::values(cells, |text| self.index_of(text, false)));
        check::column(key, &column);
        column
    }

    /// The index after all that the test knows and all that the call was handed.
    fn first_part(&self) -> u32 {
        let columns = self.stats.values().chain(self.attributes.values()).flat_map(|column| &column.resources);
        let last = columns.chain(self.parents.keys()).chain(self.parents.values()).max();
        last.map_or(0, |last| last.saturating_add(1)).max(self.call.borrow().after_handed)
    }

    fn index_of(&self, text: String, json: bool) -> u32 {
        let mut texts = self.texts.borrow_mut();
        let found = texts.iter().position(|(known, is_json)| *known == text && *is_json == json);
        let index = found.unwrap_or_else(|| {
            texts.push((text, json));
            texts.len() - 1
        });
        u32::try_from(index).unwrap_or_else(|_| panic!("too many texts"))
    }
}

/// A moment for tests, in seconds since 1970.
pub fn moment(seconds: u32) -> Moment {
    let nanos = u64::from(seconds) * 1_000_000_000;
    Moment { wall: nanos.cast_signed(), monotonic: Some(nanos) }
}

/// When the last of these samples were read, by either clock.
fn youngest(batches: &[Batch]) -> Option<Moment> {
    let wall = batches.iter().map(|batch| batch.at.wall).max()?;
    Some(Moment { wall, monotonic: batches.iter().filter_map(|batch| batch.at.monotonic).max() })
}

fn place(texts: &Texts, index: u32) -> Option<(&str, bool)> {
    texts.get(usize::try_from(index).ok()?).map(|(text, json)| (text.as_str(), *json))
}

#[cfg(test)]
mod tests;
