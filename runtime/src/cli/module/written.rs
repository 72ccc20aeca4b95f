//! Samples that somebody wrote, as those of a slot of a host.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use crate::agent::OPERATOR;
use crate::clock::Moment;
use crate::config::Place;
use crate::contract::{Column, Meter, Values};
use crate::discovery::{Resources, Snapshot};
use crate::pipeline::{NoteColumn, Route, Samples};
use crate::publish::id::Ids;
use crate::sandbox::host::texts::Text;

/// One sample that somebody wrote, of a slot that is known.
#[derive(Debug, Clone)]
pub struct Written {
    /// Its meter.
    pub meter: Meter,
    /// The id of its resource.
    pub resource: String,
    /// Its volume.
    pub volume: Number,
    /// Its own metadata, of numbers and texts.
    pub notes: Map<String, Value>,
    /// When it was read, if not at the time of the slot.
    pub at: Option<Moment>,
    /// Where it stands.
    pub place: Option<Place>,
}

/// What is wrong with a sample.
#[derive(Debug, PartialEq, Eq)]
pub struct Odd {
    /// Where it stands.
    pub place: Option<Place>,
    /// What it is, without a full stop.
    pub message: String,
    /// What to do, without a full stop.
    pub remedy: &'static str,
}

/// Samples of one meter and one time, by their resources.
struct Group<'a> {
    meter: &'a Meter,
    at: Moment,
    cells: BTreeMap<u32, &'a Written>,
}

/// What gives the samples.
const GIVER: &str = "inputs";

/// Samples as they are written, meter by meter in the order in which they are.
pub fn samples(written: &[Written], snapshot: &Snapshot, ids: &mut Ids) -> Result<Vec<Samples>, Odd> {
    let groups = groups(written, snapshot)?;
    let samples = groups.into_iter().map(|group| {
        let Group { meter, at, cells } = group;
        let notes = notes(&cells)?;
        let column = column(cells.into_iter().map(|(number, one)| (number, &one.volume)));
        Ok(Samples {
            module: GIVER.into(),
            tenant: OPERATOR.into(),
            meter: Arc::new(meter.clone()),
            at: at.into(),
            first_id: ids.take(snapshot.at, column.len()),
            column,
            notes,
            route: Route::default(),
            sink: None,
        })
    });
    samples.collect()
}

fn groups<'a>(written: &'a [Written], snapshot: &Snapshot) -> Result<Vec<Group<'a>>, Odd> {
    let numbers = numbers(&snapshot.resources);
    let mut groups: Vec<Group<'a>> = Vec::new();
    for one in written {
        let number = *numbers.get(one.resource.as_str()).ok_or_else(|| {
            let ids: Vec<&str> = numbers.keys().copied().take(3).collect();
            let message = format!("the host has no resource {}; it has {} and others", one.resource, ids.join(", "));
            Odd { place: one.place, message, remedy: "Write one that it has, or name another host" }
        })?;
        let at = one.at.unwrap_or(snapshot.at);
        let is_later = at.wall > snapshot.at.wall || at.monotonic > snapshot.at.monotonic;
        if is_later {
            let message = "`at` is after the time of its slot, which is over by then".to_owned();
            return Err(Odd { place: one.place, message, remedy: "Write an earlier `at`, or a later `slot`" });
        }
        let group = groups.iter().rposition(|group| group.is_of(&one.meter, at));
        let group = group.and_then(|place| groups.get_mut(place));
        match group {
            // Who gives the time means that it comes twice.
            Some(group) if group.cells.contains_key(&number) && one.at.is_none() => {
                let message = format!("{} comes twice of {}", one.meter.name, one.resource);
                return Err(Odd { place: one.place, message, remedy: "Take one out, or say `at`" });
            }
            Some(group) if !group.cells.contains_key(&number) => {
                group.cells.insert(number, one);
            }
            _ => groups.push(Group { meter: &one.meter, at, cells: BTreeMap::from([(number, one)]) }),
        }
    }
    Ok(groups)
}

// === impl Group ===

impl Group<'_> {
    fn is_of(&self, meter: &Meter, at: Moment) -> bool {
        let own = self.meter;
        self.at == at && own.name == meter.name && own.unit == meter.unit && own.kind.word() == meter.kind.word()
    }
}

fn numbers(resources: &Resources) -> HashMap<&str, u32> {
    (0..resources.len()).filter_map(|number| Some((resources.get(number)?.label.id.as_str(), number))).collect()
}

/// Counts if all of them are, else integers or reals.
fn column<'a>(cells: impl Iterator<Item = (u32, &'a Number)>) -> Column {
    let (resources, numbers): (Vec<u32>, Vec<&Number>) = cells.unzip();
    let counts: Option<Vec<u64>> = numbers.iter().map(|number| number.as_u64()).collect();
    let integers: Option<Vec<i64>> = numbers.iter().map(|number| number.as_i64()).collect();
    let reals = || numbers.iter().map(|number| number.as_f64().unwrap_or_default()).collect();
    let values =
        counts.map(Values::Counts).or(integers.map(Values::Integers)).unwrap_or_else(|| Values::Reals(reals()));
    Column { resources, values }
}

/// Each key's values, which are all numbers or all texts.
fn notes(cells: &BTreeMap<u32, &Written>) -> Result<Vec<NoteColumn>, Odd> {
    let keys: BTreeSet<&String> = cells.values().flat_map(|one| one.notes.keys()).collect();
    let note = |key: &String| {
        let values = || cells.iter().filter_map(|(number, one)| Some((*number, *one, one.notes.get(key)?)));
        let is_number = values().next().is_some_and(|(.., value)| value.is_number());
        if let Some((_, odd, _)) = values().find(|(.., value)| value.is_number() != is_number) {
            let meter = &odd.meter.name;
            let message = format!("the note {key} of {meter} is a number of one resource and a text of another");
            return Err(Odd { place: odd.place, message, remedy: "Write numbers of all of them, or texts" });
        }
        let key = key.as_str().into();
        if is_number {
            let cells = values().filter_map(|(number, _, value)| Some((number, value.as_number()?)));
            return Ok(NoteColumn { key, column: column(cells), texts: Arc::default() });
        }
        let text = |(.., value): (u32, &Written, &Value)| Text {
            text: value.as_str().unwrap_or_default().into(),
            json: false,
        };
        let texts: Arc<[Text]> = values().map(text).collect();
        let resources: Vec<u32> = values().map(|(number, ..)| number).collect();
        let values = Values::Interned((0..).take(resources.len()).collect());
        Ok(NoteColumn { key, column: Column { resources, values }, texts })
    };
    keys.into_iter().map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_of_the_narrowest_type() {
        let of = |numbers: &[&str]| {
            let parse = |text: &&str| serde_json::from_str::<Number>(text).unwrap();
            let numbers: Vec<Number> = numbers.iter().map(parse).collect();
            column((0..).zip(&numbers)).values
        };
        assert!(matches!(of(&["1", "18446744073709551615"]), Values::Counts(_)));
        assert!(matches!(of(&["1", "-1"]), Values::Integers(_)));
        assert!(matches!(of(&["1", "0.5"]), Values::Reals(_)));
    }

    #[test]
    fn a_note_is_numbers_or_texts() {
        let one = |notes: Value| {
            let meter = Meter { name: "cpu".to_owned(), kind: crate::contract::Kind::Gauge, unit: String::new() };
            let notes = notes.as_object().unwrap().clone();
            Written { meter, resource: "a".to_owned(), volume: 1.into(), notes, at: None, place: None }
        };
        let all =
            [one(serde_json::json!({"n": 4, "t": "x"})), one(serde_json::json!({})), one(serde_json::json!({"n": 2}))];
        let read = notes(&(0..).zip(&all).collect()).unwrap();
        let shown: Vec<String> =
            read.iter().map(|note| format!("{} {:?} {}", note.key, note.column.resources, note.texts.len())).collect();
        assert_eq!(shown, ["n [0, 2] 0", "t [0] 1"]);
        assert!(matches!(&read[0].column.values, Values::Counts(values) if values == &[4, 2]));
        let mixed = [one(serde_json::json!({"n": 4})), one(serde_json::json!({"n": "x"}))];
        let odd = notes(&(0..).zip(&mixed).collect()).unwrap_err();
        assert_eq!(odd.message, "the note n of cpu is a number of one resource and a text of another");
    }
}
