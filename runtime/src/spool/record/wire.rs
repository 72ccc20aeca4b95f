//! The form in which a slot is written: texts and numbers in tables, each text once.

use std::borrow::Cow;
use std::collections::HashMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::contract::{self, Column, Kind, Values};
use crate::discovery::Label;
use crate::pipeline::route::Tag;
use crate::pipeline::{NoteColumn, Samples, Slot};
use crate::publish::id::FirstId;
use crate::sandbox::host::texts::Text;

/// A place in the table of texts.
pub(super) type TextAt = u32;

/// What is in a record, beside what modules remember.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Wire<'a> {
    #[serde(borrow)]
    Slot(WireSlot<'a>),
    Replayed {
        only: Option<&'a str>,
        samples: Vec<&'a str>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireSlot<'a> {
    pub at: Moment,
    #[serde(borrow)]
    pub texts: Vec<&'a str>,
    /// Resources that have samples, numbered anew.
    pub resources: Vec<WireLabel>,
    pub samples: Vec<WireSamples<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireLabel {
    pub id: TextAt,
    pub project: Option<TextAt>,
    pub user: Option<TextAt>,
    pub device: TextAt,
    /// The four parts of its metadata.
    pub metadata: [TextAt; 4],
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireSamples<'a> {
    pub module: TextAt,
    pub tenant: TextAt,
    pub meter: TextAt,
    pub kind: u8,
    pub unit: TextAt,
    pub wall: i64,
    pub monotonic: Option<u64>,
    pub first_id: FirstId,
    pub is_measured: bool,
    pub publishers: Cow<'a, [Tag]>,
    pub sink: Option<TextAt>,
    #[serde(borrow)]
    pub column: WireColumn<'a>,
    pub notes: Vec<WireNote<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireNote<'a> {
    pub key: TextAt,
    #[serde(borrow)]
    pub column: WireColumn<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireColumn<'a> {
    /// How far each resource is from the one before.
    pub steps: Vec<u32>,
    #[serde(borrow)]
    pub values: WireValues<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum WireValues<'a> {
    Counts(Cow<'a, [u64]>),
    Integers(Cow<'a, [i64]>),
    Reals(Cow<'a, [f64]>),
    /// Places of texts, and whether each is JSON.
    Texts(Vec<(TextAt, bool)>),
}

/// The kinds of meters, in the order of their numbers.
pub(super) const KINDS: [Kind; 3] = [Kind::Gauge, Kind::Cumulative, Kind::Delta];

/// Each text once. Those that resources share are found by where they are in memory, without being read.
#[derive(Default)]
struct Texts<'a> {
    all: Vec<&'a str>,
    met: FxHashMap<(usize, usize), TextAt>,
    places: FxHashMap<&'a str, TextAt>,
}

/// New numbers of resources that have samples.
struct Numbering(Vec<u32>);

const UNUSED: u32 = u32::MAX;

// === impl Texts ===

impl<'a> Texts<'a> {
    fn place(&mut self, text: &'a str) -> TextAt {
        let Self { all, met, places } = self;
        *met.entry((text.as_ptr().addr(), text.len())).or_insert_with(|| {
            *places.entry(text).or_insert_with(|| {
                all.push(text);
                u32::try_from(all.len() - 1).unwrap_or(u32::MAX)
            })
        })
    }
}

// === impl Numbering ===

impl Numbering {
    fn of(slot: &Slot) -> Self {
        let mut numbers = vec![UNUSED; slot.resources.len() as usize];
        for number in slot.samples.iter().flat_map(|samples| &samples.column.resources) {
            if let Some(used) = numbers.get_mut(*number as usize) {
                *used = 0;
            }
        }
        for (new, number) in (0..).zip(numbers.iter_mut().filter(|number| **number != UNUSED)) {
            *number = new;
        }
        Self(numbers)
    }

    fn new_of(&self, number: u32) -> Option<u32> {
        self.0.get(number as usize).copied().filter(|new| *new != UNUSED)
    }

    /// Those that are used, in order.
    fn used(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.0).filter(|(_, new)| **new != UNUSED).map(|(number, _)| number)
    }
}

// === impl WireSlot ===

impl<'a> WireSlot<'a> {
    pub fn of(slot: &'a Slot) -> Self {
        let (numbering, mut texts) = (Numbering::of(slot), Texts::default());
        let resources = numbering.used().filter_map(|number| slot.resources.get(number));
        let resources = resources.map(|resource| WireLabel::of(&resource.label, &mut texts)).collect();
        let samples = slot.samples.iter().map(|samples| WireSamples::of(samples, &numbering, &mut texts)).collect();
        Self { at: slot.at, texts: texts.all, resources, samples }
    }
}

// === impl WireLabel ===

impl WireLabel {
    fn of<'a>(label: &'a Label, texts: &mut Texts<'a>) -> Self {
        let metadata = &label.metadata;
        Self {
            id: texts.place(&label.id),
            project: label.project.as_deref().map(|project| texts.place(project)),
            user: label.user.as_deref().map(|user| texts.place(user)),
            device: texts.place(&label.device),
            metadata: [&*metadata.head, &metadata.name, &metadata.tail, &metadata.extra].map(|part| texts.place(part)),
        }
    }
}

// === impl WireSamples ===

impl<'a> WireSamples<'a> {
    fn of(samples: &'a Samples, numbering: &Numbering, texts: &mut Texts<'a>) -> Self {
        let contract::Moment { wall, monotonic } = samples.at;
        Self {
            module: texts.place(&samples.module),
            tenant: texts.place(&samples.tenant),
            meter: texts.place(&samples.meter.name),
            kind: match samples.meter.kind {
                Kind::Gauge => 0,
                Kind::Cumulative => 1,
                Kind::Delta => 2,
            },
            unit: texts.place(&samples.meter.unit),
            wall,
            monotonic,
            first_id: samples.first_id,
            is_measured: samples.route.is_measured,
            publishers: Cow::Borrowed(&samples.route.publishers),
            sink: samples.sink.as_deref().map(|sink| texts.place(sink)),
            column: WireColumn::of(&samples.column, &[], numbering, texts),
            notes: samples.notes.iter().map(|note| WireNote::of(note, numbering, texts)).collect(),
        }
    }
}

// === impl WireNote ===

impl<'a> WireNote<'a> {
    fn of(note: &'a NoteColumn, numbering: &Numbering, texts: &mut Texts<'a>) -> Self {
        Self { key: texts.place(&note.key), column: WireColumn::of(&note.column, &note.texts, numbering, texts) }
    }
}

// === impl WireColumn ===

impl<'a> WireColumn<'a> {
    /// Without the entries of resources that have no samples, which only notes can be about.
    fn of(column: &'a Column, interned: &'a [Text], numbering: &Numbering, texts: &mut Texts<'a>) -> Self {
        let mut last = 0;
        let new: Vec<Option<u32>> = column.resources.iter().map(|number| numbering.new_of(*number)).collect();
        let steps = new.iter().flatten().map(|new| new.wrapping_sub(std::mem::replace(&mut last, *new))).collect();
        Self { steps, values: WireValues::of(&column.values, &new, interned, texts) }
    }

    /// The numbers of the resources.
    pub fn resources(&self) -> Vec<u32> {
        let mut last: u32 = 0;
        let add = |step: &u32| {
            last = last.wrapping_add(*step);
            last
        };
        self.steps.iter().map(add).collect()
    }
}

// === impl WireValues ===

impl<'a> WireValues<'a> {
    fn of(values: &'a Values, used: &[Option<u32>], interned: &'a [Text], texts: &mut Texts<'a>) -> Self {
        match values {
            Values::Counts(values) => Self::Counts(kept(values, used)),
            Values::Integers(values) => Self::Integers(kept(values, used)),
            Values::Reals(values) => Self::Reals(kept(values, used)),
            Values::Interned(values) => {
                // The same few texts come again and again.
                let mut known: HashMap<u32, (TextAt, bool)> = HashMap::new();
                let mut text = |number: &u32| {
                    *known.entry(*number).or_insert_with(|| match interned.get(*number as usize) {
                        Some(text) => (texts.place(&text.text), text.json),
                        None => (texts.place("null"), true),
                    })
                };
                Self::Texts(kept(values, used).iter().map(&mut text).collect())
            }
        }
    }
}

fn kept<'a, T: Copy>(values: &'a [T], used: &[Option<u32>]) -> Cow<'a, [T]> {
    if used.iter().all(Option::is_some) {
        return Cow::Borrowed(values);
    }
    values.iter().zip(used).filter(|(_, used)| used.is_some()).map(|(value, _)| *value).collect()
}
