//! Batches that were cut into pieces, as one.

use std::collections::BTreeMap;

use wasmeter_sdk::{Batch, Column, Values};

/// Batches of one meter and one moment as one: a large host's come in pieces, guest by guest. Of two samples of one
/// resource in them the first counts.
pub fn merged(batches: Vec<Batch>) -> Vec<Batch> {
    let mut all: Vec<Batch> = Vec::with_capacity(batches.len());
    // The place of the last of each meter and moment.
    let mut places: BTreeMap<(u32, i64, Option<u64>), usize> = BTreeMap::new();
    for batch in batches {
        let place = places.entry((batch.meter, batch.at.wall, batch.at.monotonic)).or_insert(all.len());
        match all.get_mut(*place) {
            Some(known) if fits(&known.column, &batch.column) => append(known, batch),
            _ => {
                *place = all.len();
                all.push(batch);
            }
        }
    }
    all
}

/// Whether one column follows upon the other, and has its type.
fn fits(column: &Column, more: &Column) -> bool {
    let alike = std::mem::discriminant(&column.values) == std::mem::discriminant(&more.values);
    alike && column.resources.last() < more.resources.first()
}

fn append(batch: &mut Batch, more: Batch) {
    extend(&mut batch.column, more.column);
    for note in more.notes {
        match batch.notes.iter_mut().find(|known| known.key == note.key) {
            Some(known) if fits(&known.column, &note.column) => extend(&mut known.column, note.column),
            Some(known) => known.column = std::mem::take(&mut known.column).or(&note.column),
            None => batch.notes.push(note),
        }
    }
}

fn extend(column: &mut Column, more: Column) {
    column.resources.extend(more.resources);
    match (&mut column.values, more.values) {
        (Values::Counts(values), Values::Counts(more)) => values.extend(more),
        (Values::Integers(values), Values::Integers(more)) => values.extend(more),
        (Values::Reals(values), Values::Reals(more)) => values.extend(more),
        (Values::Interned(values), Values::Interned(more)) => values.extend(more),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use wasmeter_sdk::Note;
    use wasmeter_sdk::testing::moment;

    use super::*;

    fn batch(meter: u32, second: u32, resources: &[u32]) -> Batch {
        let column = || Column::new(resources.to_vec(), resources.iter().map(|r| u64::from(*r)).collect::<Vec<_>>());
        let notes = vec![Note { key: 7, column: column() }];
        Batch { meter, at: moment(second), column: column(), notes }
    }

    #[test]
    fn pieces_become_one() {
        let given = merged(vec![
            batch(0, 10, &[1, 2]),
            batch(1, 10, &[1]),
            batch(0, 10, &[3]),
            batch(0, 20, &[4]),
            batch(0, 20, &[2]),
            batch(1, 10, &[5, 6]),
        ]);
        let expected = [batch(0, 10, &[1, 2, 3]), batch(1, 10, &[1, 5, 6]), batch(0, 20, &[4]), batch(0, 20, &[2])];
        assert_eq!(given, expected);
    }
}
