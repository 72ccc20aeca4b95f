//! What the host checks of the columns that a module hands it.

use crate::{Batch, Column, Meter, Note, Series, Values};

/// The samples of a pollster.
pub fn series(series: &[Series], meters: &[Meter], texts: usize) {
    for (place, one) in series.iter().enumerate() {
        let twice = series.iter().take(place).any(|earlier| earlier.meter == one.meter);
        assert!(!twice, "meter {} is given twice in a call", one.meter);
        let meter = meter(one.meter, meters);
        volumes(&meter.name, &one.column);
        notes(&meter.name, &one.notes, texts);
    }
}

/// The samples of a transformer.
pub fn batches(batches: &[Batch], meters: &[Meter], texts: usize) {
    for one in batches {
        let meter = meter(one.meter, meters);
        volumes(&meter.name, &one.column);
        notes(&meter.name, &one.notes, texts);
    }
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

fn volumes(meter: &str, column: &Column) {
    numbers(meter, column);
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
