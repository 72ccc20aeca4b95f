//! What the host checks of the columns that a module hands it.

use crate::testing::Words;
use crate::{Batch, Column, Meter, Moment, Note, Series, Values};

/// The longest name, key or suffix in bytes.
const LONGEST: usize = 255;

/// How far back a transformer may date samples, in nanoseconds: a day.
const OLDEST: i64 = 86_400_000_000_000;

/// The samples of a pollster.
pub fn series(series: &[Series], meters: &[Meter], words: &Words) {
    for (place, one) in series.iter().enumerate() {
        let twice = series.iter().take(place).any(|earlier| earlier.meter == one.meter);
        assert!(!twice, "meter {} is given twice in a call", one.meter);
        let meter = meter(one.meter, meters);
        volumes(&meter.name, &one.column, words);
        notes(&meter.name, &one.notes, words.texts.len());
    }
}

/// The samples of a transformer in a slot, if it is known which one that is.
pub fn batches(batches: &[Batch], meters: &[Meter], words: &Words, slot: Option<Moment>) {
    for one in batches {
        let meter = meter(one.meter, meters);
        volumes(&meter.name, &one.column, words);
        notes(&meter.name, &one.notes, words.texts.len());
        slot.iter().for_each(|slot| dated(&meter.name, &one.at, slot));
    }
}

/// What stands behind the hyphen in the id of a part.
pub fn suffix(text: &str) {
    let length = text.len();
    assert!((1..=LONGEST).contains(&length), "declare_parts: a suffix has 1 to {LONGEST} bytes, not {length}");
    assert!(!text.chars().any(char::is_control), "declare_parts: a suffix has no control characters: {text:?}");
}

/// Resources ascend, values are as many and finite.
pub fn column(what: &str, column: &Column) {
    let values = match &column.values {
        Values::Counts(values) => values.len(),
        Values::Integers(values) => values.len(),
        Values::Interned(values) => values.len(),
        Values::Reals(values) => {
            assert!(values.iter().all(|value| value.is_finite()), "{what}: a real is not finite");
            values.len()
        }
    };
    assert_eq!(column.resources.len(), values, "{what}: as many resources as values");
    assert!(column.resources.is_sorted_by(|a, b| a < b), "{what}: resources do not ascend: {:?}", column.resources);
}

/// A column that holds numbers.
pub fn numbers(what: &str, numbers: &Column) {
    column(what, numbers);
    assert!(!matches!(numbers.values, Values::Interned(_)), "{what}: texts are no numbers");
}

fn meter(position: u32, meters: &[Meter]) -> &Meter {
    let found = usize::try_from(position).ok().and_then(|position| meters.get(position));
    found.unwrap_or_else(|| panic!("a sample is of meter {position}, and there are {}", meters.len()))
}

fn volumes(meter: &str, column: &Column, words: &Words) {
    numbers(meter, column);
    let end = words.first_part.saturating_add(u32::try_from(words.parts.len()).unwrap_or(u32::MAX));
    if let Some(unknown) = column.resources.iter().find(|resource| **resource >= end) {
        panic!("{meter}: there is no resource {unknown}");
    }
}

fn dated(meter: &str, at: &Moment, slot: &Moment) {
    let past = slot.wall.saturating_sub(at.wall);
    let later = at.monotonic.zip(slot.monotonic).is_some_and(|(at, slot)| at > slot);
    assert!(past >= 0 && !later, "{meter}: its samples are of a time after this slot: {at:?}");
    assert!(past <= OLDEST, "{meter}: its samples are of a time more than a day ago: {at:?}");
}

fn notes(meter: &str, notes: &[Note], texts: usize) {
    let known = |index: &u32| usize::try_from(*index).is_ok_and(|index| index < texts);
    for note in notes {
        assert!(known(&note.key), "{meter}: a note's key is no index of a text");
        column(meter, &note.column);
        if let Values::Interned(values) = &note.column.values {
            assert!(values.iter().all(known), "{meter}: a note's value is no index of a text");
        }
    }
}
