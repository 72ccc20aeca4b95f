//! What a record of the spool holds, and how it is written.
//!
//! A record explains itself: labels and names stand in it beside the numbers, each once, and all of it is compressed.
//! What it says of a sample is what any publisher needs, before that publisher's own format.

mod restore;
mod wire;

use std::sync::Arc;

use self::wire::{Wire, WireSlot};
use super::log::{Counts, Key};
use super::memory::Memory;
use crate::agent::OPERATOR;
use crate::clock::Moment;
use crate::digest::Digest;
use crate::discovery::Resources;
use crate::pipeline::{Route, Samples, Slot};
use crate::sandbox::limits::NAME_BYTES;

/// What a record begins with: which way of writing it is.
const FORMAT: u8 = 3;
/// No slot is as large; a damaged length is no reason to reserve all memory.
const LARGEST: usize = 1 << 30;
/// What separates the parts of a key.
const SEPARATOR: char = '\u{1f}';
/// Keys with which the samples of a record are counted; those beyond are counted together.
const MOST_KEYS: usize = 2000;
/// Under what they are counted.
const OTHERS: &str = "(others)";
/// The module of samples that are delivered again: whose they were is not in them.
pub const REPLAYED: &str = "(replayed)";
/// The longest part of a key but the last.
const PART_BYTES: usize = 64;
/// Letters of a digest that stand for a name that is too long for a key.
const DIGITS: usize = 16;

/// What a record holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// What was measured.
    Slot(Arc<Slot>),
    /// Samples that somebody wants to be delivered again, as JSON.
    Replayed {
        /// The only publisher that they are for; otherwise all.
        only: Option<String>,
        /// The samples.
        samples: Vec<String>,
    },
}

/// Why a record that is whole cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Another version wrote it.
    #[error("it was written in format {0}, and this version reads {FORMAT}")]
    Format(u8),
    /// It was not written by us.
    #[error("its {0} cannot be read")]
    Part(&'static str),
}

/// What samples are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The module that gave them.
    pub module: String,
    /// Whose module that is.
    pub tenant: String,
    /// Which outputs they are for.
    pub route: Route,
    /// The meter.
    pub meter: String,
}

/// A slot's samples, and what the modules remember after it, as a record and what it counts.
pub fn of_slot(slot: &Slot, memory: &Memory) -> (Counts, Vec<u8>) {
    (counts(slot), write(&Wire::Slot(WireSlot::of(slot)), memory))
}

/// Samples that are to be delivered again.
pub fn of_samples(only: Option<&str>, samples: &[String]) -> Vec<u8> {
    let samples = samples.iter().map(String::as_str).collect();
    write(&Wire::Replayed { only, samples }, &Memory::default())
}

/// What became of publishers, without samples.
pub fn of_memory(memory: &Memory, now: i64) -> Vec<u8> {
    let at = Moment { wall: now, monotonic: 0 };
    let slot = Slot { at, resources: Arc::new(Resources::listed(Vec::new())), samples: Vec::new() };
    write(&Wire::Slot(WireSlot::of(&slot)), memory)
}

/// By what samples of these meters are counted when they are delivered again.
pub fn replayed<'a>(only: Option<&str>, meters: impl IntoIterator<Item = &'a str>) -> Counts {
    let mut counts = Counts::new();
    for meter in meters {
        add(&mut counts, Kind::of_replayed(only, meter), 1);
    }
    counts
}

/// The module of samples that are delivered again by one publisher: it has its name, or a digest where there is no room.
fn replayed_for(publisher: &str) -> String {
    let module = format!("{REPLAYED}{publisher}");
    if module.len() <= PART_BYTES && !module.contains(SEPARATOR) {
        return module;
    }
    let digest = Digest::of(publisher.as_bytes()).to_string();
    format!("{REPLAYED}~{}", digest.get(..DIGITS).unwrap_or_default())
}

/// What is in a record.
pub fn read(payload: &[u8]) -> Result<Content, Unreadable> {
    content(take_wire(&unpack(payload)?)?.0)
}

/// What the modules remembered when it was written, as far as that had changed.
pub fn read_memory(payload: &[u8]) -> Result<Memory, Unreadable> {
    memory(take_wire(&unpack(payload)?)?.1)
}

/// Both.
pub fn read_whole(payload: &[u8]) -> Result<(Content, Memory), Unreadable> {
    let bytes = unpack(payload)?;
    let (wire, rest) = take_wire(&bytes)?;
    Ok((content(wire)?, memory(rest)?))
}

fn content(wire: Wire<'_>) -> Result<Content, Unreadable> {
    match wire {
        Wire::Slot(slot) => Ok(Content::Slot(Arc::new(restore::slot(slot)?))),
        Wire::Replayed { only, samples } => {
            let samples = samples.into_iter().map(str::to_owned).collect();
            Ok(Content::Replayed { only: only.map(str::to_owned), samples })
        }
    }
}

fn memory(rest: &[u8]) -> Result<Memory, Unreadable> {
    let unreadable = |_| Unreadable::Part("memory of modules");
    let (mut memory, rest): (Memory, _) = postcard::take_from_bytes(rest).map_err(unreadable)?;
    if !rest.is_empty() {
        memory.closed = postcard::from_bytes(rest).map_err(unreadable)?;
    }
    Ok(memory)
}

/// By what the samples of a slot are counted, and how many there are.
pub fn counts(slot: &Slot) -> Counts {
    let mut counts = Counts::new();
    for samples in &slot.samples {
        add(&mut counts, Kind::of_samples(samples), samples.column.len() as u64);
    }
    counts
}

/// By what some samples of a record are counted, which are given by their places among all of it, in order.
pub fn counts_of(content: &Content, places: impl IntoIterator<Item = usize>) -> Counts {
    let (mut all, mut some, mut places) = (Counts::new(), Counts::new(), places.into_iter().peekable());
    let mut end = 0;
    let mut count = |kind: Kind, samples: usize| {
        end += samples;
        let mut among = 0;
        while places.next_if(|place| *place < end).is_some() {
            among += 1;
        }
        // As they were counted when the record was written.
        let key = add(&mut all, kind, samples as u64);
        some.add(key, among);
    };
    match content {
        Content::Slot(slot) => {
            slot.samples.iter().for_each(|samples| count(Kind::of_samples(samples), samples.column.len()))
        }
        Content::Replayed { only, samples } => {
            for sample in samples {
                let meter = meter(sample).unwrap_or_default();
                count(Kind::of_replayed(only.as_deref(), &meter), 1);
            }
        }
    }
    some
}

/// The meter of a sample that is delivered again.
pub fn meter(sample: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        counter_name: String,
    }
    serde_json::from_str(sample).ok().map(|Named { counter_name }| counter_name)
}

/// Counts samples of a kind; those of one too many with others. Returns by what they are counted.
fn add(counts: &mut Counts, kind: Kind, samples: u64) -> Key {
    let key = kind.key();
    let known = counts.keys() < MOST_KEYS || counts.of(key.as_str()) > 0;
    let key = if known { key } else { Kind { meter: OTHERS.into(), ..kind }.key() };
    counts.add(key.clone(), samples);
    key
}

fn write(wire: &Wire<'_>, memory: &Memory) -> Vec<u8> {
    // Writing into memory cannot fail.
    let bytes = postcard::to_extend(wire, Vec::new()).and_then(|bytes| postcard::to_extend(memory, bytes));
    // Few records have them.
    let bytes = bytes.and_then(|bytes| match memory.closed.is_empty() {
        true => Ok(bytes),
        false => postcard::to_extend(&memory.closed, bytes),
    });
    let packed = lz4_flex::compress_prepend_size(&bytes.unwrap_or_default());
    let mut payload = Vec::with_capacity(packed.len() + 1);
    payload.push(FORMAT);
    payload.extend(packed);
    payload
}

fn unpack(payload: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let (format, packed) = payload.split_first().ok_or(Unreadable::Part("format"))?;
    if *format != FORMAT {
        return Err(Unreadable::Format(*format));
    }
    let part = || Unreadable::Part("compressed text");
    let (size, rest) = lz4_flex::block::uncompressed_size(packed).map_err(|_| part())?;
    // LZ4 makes no more than 255 bytes of one.
    if size > LARGEST || size / 255 > rest.len() {
        return Err(part());
    }
    lz4_flex::decompress(rest, size).map_err(|_| part())
}

fn take_wire(bytes: &[u8]) -> Result<(Wire<'_>, &[u8]), Unreadable> {
    postcard::take_from_bytes(bytes).map_err(|_| Unreadable::Part("samples"))
}

// === impl Content ===

impl Content {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Slot(slot) => slot.len(),
            Self::Replayed { samples, .. } => samples.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// === impl Kind ===

impl Kind {
    fn of_samples(samples: &Samples) -> Self {
        let (module, tenant) = (samples.module.to_string(), samples.tenant.to_string());
        Self { module, tenant, route: samples.route.clone(), meter: samples.meter.name.clone() }
    }

    fn of_replayed(only: Option<&str>, meter: &str) -> Self {
        let module = only.map_or_else(|| REPLAYED.to_owned(), replayed_for);
        Self { module, tenant: OPERATOR.to_owned(), route: Route::default(), meter: meter.to_owned() }
    }

    /// As a key. Parts that are too long together are cut.
    pub fn key(&self) -> Key {
        let cut = |text: &str, most: usize| {
            let end = (0..=text.len().min(most)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.get(..end).unwrap_or_default().replace(SEPARATOR, " ")
        };
        let (module, tenant) = (cut(&self.module, NAME_BYTES.min(PART_BYTES)), cut(&self.tenant, PART_BYTES));
        let route = self.route.text();
        let meter = cut(&self.meter, 255 - 3 - module.len() - tenant.len() - route.len());
        match Key::new(&format!("{module}{SEPARATOR}{tenant}{SEPARATOR}{route}{SEPARATOR}{meter}")) {
            Ok(key) => key,
            Err(_) => unreachable!("it has three separators and at most 255 bytes"),
        }
    }

    /// What a key says.
    pub fn of(key: &Key) -> Self {
        Self::of_text(key.as_str())
    }

    /// Of samples of which only the number is known.
    pub fn unknown() -> Self {
        let unknown = || "(unknown)".to_owned();
        Self { module: unknown(), tenant: unknown(), route: Route::default(), meter: unknown() }
    }

    /// What the text of a key says.
    pub fn of_text(key: &str) -> Self {
        let mut parts = key.splitn(4, SEPARATOR);
        let mut part = || parts.next().unwrap_or_default().to_owned();
        Self { module: part(), tenant: part(), route: Route::of_text(&part()), meter: part() }
    }

    /// Whether these are samples that are delivered again.
    pub fn is_replayed(&self) -> bool {
        self.module.starts_with(REPLAYED)
    }

    /// Whether they are for this publisher, among others or alone.
    pub fn is_for(&self, publisher: &str) -> bool {
        match self.is_replayed() {
            true => self.module == REPLAYED || self.module == replayed_for(publisher),
            false => self.route.has(publisher),
        }
    }
}

#[cfg(test)]
mod tests;
