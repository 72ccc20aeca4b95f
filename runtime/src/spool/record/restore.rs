//! From the written form back to a slot, for whoever delivers it.

use std::sync::Arc;

use super::Unreadable;
use super::wire::{KINDS, TextAt, WireColumn, WireLabel, WireNote, WireSamples, WireSlot, WireValues};
use crate::contract::{Column, Meter, Moment, Values};
use crate::discovery::label::{About, Metadata};
use crate::discovery::resource::Resource;
use crate::discovery::{Ident, Label, Resources};
use crate::pipeline::{NoteColumn, Route, Samples, Slot};
use crate::sandbox::host::texts::Text;

/// Texts that are shared by all who refer to them.
struct Texts(Vec<Arc<str>>);

/// The slot. Whatever the bytes say, it fits together.
pub(super) fn slot(wire: WireSlot<'_>) -> Result<Slot, Unreadable> {
    let texts = Texts(wire.texts.into_iter().map(Arc::from).collect());
    let about = Arc::new(About::default());
    let resource = |(number, label): (u32, &WireLabel)| {
        let label = Arc::new(texts.label(label, &about)?);
        Some(Resource { ident: Ident(number), root: number, label })
    };
    let resources: Option<Vec<Resource>> = (0..).zip(&wire.resources).map(resource).collect();
    let resources = resources.ok_or(Unreadable::Part("labels"))?;
    let most = resources.len();
    let samples: Option<Vec<Samples>> = wire.samples.into_iter().map(|samples| texts.samples(samples, most)).collect();
    Ok(Slot {
        at: wire.at,
        resources: Arc::new(Resources::listed(resources)),
        samples: samples.ok_or(Unreadable::Part("columns"))?,
    })
}

// === impl Texts ===

impl Texts {
    fn get(&self, place: TextAt) -> Option<Arc<str>> {
        self.0.get(place as usize).cloned()
    }

    fn optional(&self, place: Option<TextAt>) -> Option<Option<Arc<str>>> {
        place.map_or(Some(None), |place| self.get(place).map(Some))
    }

    fn owned(&self, place: TextAt) -> Option<String> {
        self.0.get(place as usize).map(ToString::to_string)
    }

    fn label(&self, wire: &WireLabel, about: &Arc<About>) -> Option<Label> {
        let [head, name, tail, extra] = wire.metadata;
        Some(Label {
            id: self.owned(wire.id)?,
            project: self.optional(wire.project)?,
            user: self.optional(wire.user)?,
            device: self.owned(wire.device)?,
            about: Arc::clone(about),
            metadata: Metadata {
                head: self.get(head)?,
                name: self.get(name)?,
                tail: self.get(tail)?,
                extra: self.owned(extra)?.into_boxed_str(),
            },
        })
    }

    fn samples(&self, wire: WireSamples<'_>, most: usize) -> Option<Samples> {
        let (column, _) = self.column(wire.column, most)?;
        let notes: Option<Vec<NoteColumn>> = wire.notes.into_iter().map(|note| self.note(note, most)).collect();
        Some(Samples {
            module: self.get(wire.module)?,
            tenant: self.get(wire.tenant)?,
            meter: Arc::new(Meter {
                name: self.owned(wire.meter)?,
                kind: *KINDS.get(usize::from(wire.kind))?,
                unit: self.owned(wire.unit)?,
            }),
            at: Moment { wall: wire.wall, monotonic: wire.monotonic },
            column,
            notes: notes?,
            first_id: wire.first_id,
            sink: self.optional(wire.sink)?,
            route: Route { is_measured: wire.is_measured, publishers: wire.publishers.as_ref().into() },
        })
    }

    fn note(&self, wire: WireNote<'_>, most: usize) -> Option<NoteColumn> {
        let (column, texts) = self.column(wire.column, most)?;
        Some(NoteColumn { key: self.get(wire.key)?, column, texts: texts.into() })
    }

    fn column(&self, wire: WireColumn<'_>, most: usize) -> Option<(Column, Vec<Text>)> {
        let (resources, mut texts) = (wire.resources(), Vec::new());
        let values = match wire.values {
            WireValues::Counts(values) => Values::Counts(values.into_owned()),
            WireValues::Integers(values) => Values::Integers(values.into_owned()),
            WireValues::Reals(values) => Values::Reals(values.into_owned()),
            WireValues::Texts(places) => {
                let mut numbers = std::collections::HashMap::new();
                let mut number = |(place, json): (TextAt, bool)| {
                    let next = u32::try_from(numbers.len()).ok()?;
                    let number = *numbers.entry((place, json)).or_insert(next);
                    if number == next {
                        texts.push(Text { text: self.get(place)?, json });
                    }
                    Some(number)
                };
                Values::Interned(places.into_iter().map(&mut number).collect::<Option<_>>()?)
            }
        };
        let ascends = resources.is_sorted_by(|a, b| a < b);
        let exist = resources.last().is_none_or(|last| (*last as usize) < most);
        (ascends && exist && resources.len() == values.len()).then_some((Column { resources, values }, texts))
    }
}
