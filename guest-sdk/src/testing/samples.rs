//! What a module gave, by the names of meters.

use crate::testing::{Texts, place};
use crate::{Batch, Column, Meter, Series, Values};

/// The samples of one call of a pollster.
#[derive(Debug, PartialEq)]
pub struct Polled {
    pub(super) meters: Vec<Meter>,
    pub(super) series: Vec<Series>,
    pub(super) words: Words,
}

/// The samples of one call of a transformer.
#[derive(Debug, PartialEq)]
pub struct Converted {
    /// Meters that it described, and those that it declared; batches name them by position.
    pub meters: Vec<Meter>,
    /// Samples.
    pub batches: Vec<Batch>,
    pub(super) words: Words,
}

/// The texts and the parts that numbers stand for.
#[derive(Debug, PartialEq)]
pub(super) struct Words {
    pub texts: Texts,
    pub parts: Vec<(u32, u32)>,
    pub first_part: u32,
}

// === impl Polled ===

impl Polled {
    /// The names of the meters that have samples, in the order in which they were emitted.
    pub fn names(&self) -> Vec<&str> {
        let name = |series: &Series| Some(self.meters.get(usize::try_from(series.meter).ok()?)?.name.as_str());
        self.series.iter().filter_map(name).collect()
    }

    /// The volumes of a meter; `None` if it has no samples.
    pub fn column(&self, meter: &str) -> Option<&Column> {
        self.series(meter).map(|series| &series.column)
    }

    /// The volumes of a meter of counts; none if it has no samples.
    ///
    /// # Panics
    ///
    /// If its volumes are of another type. So do the two below.
    pub fn counts(&self, meter: &str) -> Vec<(u32, u64)> {
        self.volumes(meter, |values| if let Values::Counts(values) = values { Some(values) } else { None })
    }

    /// The volumes of a meter of integers.
    pub fn integers(&self, meter: &str) -> Vec<(u32, i64)> {
        self.volumes(meter, |values| if let Values::Integers(values) = values { Some(values) } else { None })
    }

    /// The volumes of a meter of reals.
    pub fn reals(&self, meter: &str) -> Vec<(u32, f64)> {
        self.volumes(meter, |values| if let Values::Reals(values) = values { Some(values) } else { None })
    }

    /// The values of a note on the samples of a meter, as JSON; none if there is no such note.
    pub fn note(&self, meter: &str, key: &str) -> Vec<(u32, String)> {
        let is = |index: u32| place(&self.words.texts, index).is_some_and(|(text, json)| text == key && !json);
        let note = self.series(meter).and_then(|series| series.notes.iter().find(|note| is(note.key)));
        let Some(note) = note else { return Vec::new() };
        let text = |index: &u32| match place(&self.words.texts, *index) {
            Some((text, true)) => text.to_owned(),
            Some((text, false)) => format!("{text:?}"),
            None => panic!("note {key}: there is no text {index}"),
        };
        let values: Vec<String> = match &note.column.values {
            Values::Counts(values) => values.iter().map(ToString::to_string).collect(),
            Values::Integers(values) => values.iter().map(ToString::to_string).collect(),
            Values::Reals(values) => values.iter().map(ToString::to_string).collect(),
            Values::Interned(values) => values.iter().map(text).collect(),
        };
        note.column.resources.iter().copied().zip(values).collect()
    }

    /// The guest and the suffix of a part that was declared in this call.
    pub fn part(&self, resource: u32) -> Option<(u32, &str)> {
        self.words.part(resource)
    }

    fn series(&self, meter: &str) -> Option<&Series> {
        let position = self.meters.iter().position(|known| known.name == meter);
        let position = position.unwrap_or_else(|| panic!("there is no meter {meter:?}"));
        self.series.iter().find(|series| usize::try_from(series.meter) == Ok(position))
    }

    fn volumes<T: Copy>(&self, meter: &str, of: impl Fn(&Values) -> Option<&Vec<T>>) -> Vec<(u32, T)> {
        let Some(column) = self.column(meter) else { return Vec::new() };
        let values = of(&column.values).unwrap_or_else(|| panic!("{meter} is of another type: {:?}", column.values));
        column.resources.iter().copied().zip(values.iter().copied()).collect()
    }
}

// === impl Converted ===

impl Converted {
    /// The guest and the suffix of a part that was declared in this call.
    pub fn part(&self, resource: u32) -> Option<(u32, &str)> {
        self.words.part(resource)
    }

    /// The text behind an index, be it a plain one or JSON.
    pub fn text(&self, index: u32) -> Option<&str> {
        Some(place(&self.words.texts, index)?.0)
    }
}

// === impl Words ===

impl Words {
    fn part(&self, resource: u32) -> Option<(u32, &str)> {
        let at = usize::try_from(resource.checked_sub(self.first_part)?).ok()?;
        let (guest, suffix) = *self.parts.get(at)?;
        Some((guest, place(&self.texts, suffix)?.0))
    }
}
