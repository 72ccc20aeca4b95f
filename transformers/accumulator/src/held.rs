//! Batches that are held back from call to call: numbers in cells of their resources, the rest in bytes.

use scaling::Numbers as _;
use wasmeter_sdk::config::{Deserialize, serde};
use wasmeter_sdk::{Batch, Call, Column, Converting, Failure, Meter, Moment, Note, Values};

/// Batches that are held back.
#[derive(Debug, Default, Deserialize)]
#[serde(crate = "serde", default)]
pub struct Held {
    batches: Vec<Kept>,
    /// How many batches were ever held back.
    ever: i64,
}

/// A batch that is held back. Its place is its number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(crate = "serde")]
struct Kept {
    /// Its cells say that they are of this one, and not of an earlier one that had its number.
    mark: i64,
    /// The meter's name and unit.
    meter: (String, String),
    wall: i64,
    monotonic: Option<u64>,
    samples: u64,
    /// The keys of notes that are numbers.
    notes: Vec<String>,
    /// Whether it came out already: others behind it wait for their meters.
    gone: bool,
}

/// Batches that can be held back: each has two names of state and one for each note, and a module may have 1,024.
pub const MOST: usize = 200;
/// Notes of a batch that are kept.
const NOTES: usize = 3;

/// The name under which batches are listed.
const LIST: &str = "held";

// === impl Held ===

impl Held {
    pub fn load(call: &Call<'_, Converting>) -> Self {
        let bytes = call.load_bytes(LIST).unwrap_or_default();
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        wasmeter_sdk::config::parse(text).unwrap_or_default()
    }

    /// How many batches there are.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// How many samples wait.
    pub fn samples(&self) -> u64 {
        self.batches.iter().filter(|kept| !kept.gone).map(|kept| kept.samples).sum()
    }

    /// All of them, but those of meters that do not come in now: they come out when these do.
    pub fn give(mut self, call: &Call<'_, Converting>, inputs: &[Meter]) -> Result<Vec<Batch>, Failure> {
        if self.batches.is_empty() {
            return Ok(Vec::new());
        }
        let resources = call.attribute("id")?.resources;
        let mut given = Vec::new();
        for (number, kept) in self.batches.iter_mut().enumerate().filter(|(_, kept)| !kept.gone) {
            let meter = inputs.iter().position(|input| (&input.name, &input.unit) == (&kept.meter.0, &kept.meter.1));
            let Some(meter) = meter.and_then(|meter| u32::try_from(meter).ok()) else { continue };
            let marked = call.load(&mark(number), &resources);
            let Values::Integers(marks) = &marked.values else { continue };
            let now = marked.resources.iter().zip(marks).filter(|(_, mark)| **mark == kept.mark);
            let now: Vec<u32> = now.map(|(resource, _)| *resource).collect();
            let column = call.load(&value(number), &now);
            let mut notes = Vec::new();
            for (place, key) in kept.notes.iter().enumerate() {
                notes.push(call.note(key, call.load(&note(number, place), &now))?);
            }
            kept.gone = true;
            if !column.is_empty() {
                given.push(Batch { meter, at: Moment { wall: kept.wall, monotonic: kept.monotonic }, column, notes });
            }
        }
        if self.batches.iter().all(|kept| kept.gone) {
            self.batches.clear();
        }
        self.save(call)?;
        Ok(given)
    }

    /// Holds back more.
    pub fn keep(mut self, call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<(), Failure> {
        for batch in batches {
            let Some(input) = inputs.get(batch.meter as usize) else { continue };
            let number = self.batches.len();
            let (mut keys, mut columns) = (Vec::new(), Vec::new());
            for Note { key, column } in batch.notes {
                // Cells hold numbers alone.
                if column.values.number(0).is_some() && keys.len() < NOTES {
                    keys.push(key);
                    columns.push(column);
                }
            }
            self.ever = self.ever.wrapping_add(1);
            let marks = vec![self.ever; batch.column.len()];
            call.save(&mark(number), &Column::new(batch.column.resources.clone(), marks))?;
            call.save(&value(number), &batch.column)?;
            for (place, column) in columns.iter().enumerate() {
                call.save(&note(number, place), &column.at(&batch.column.resources))?;
            }
            self.batches.push(Kept {
                mark: self.ever,
                meter: (input.name.clone(), input.unit.clone()),
                wall: batch.at.wall,
                monotonic: batch.at.monotonic,
                samples: batch.column.len() as u64,
                notes: call.resolve(&keys),
                gone: false,
            });
        }
        self.save(call)
    }

    fn save(self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        let list: Vec<serde_json::Value> = self.batches.into_iter().map(Kept::into_json).collect();
        let list = serde_json::json!({ "batches": list, "ever": self.ever });
        call.save_bytes(LIST, list.to_string().as_bytes())
    }
}

// === impl Kept ===

impl Kept {
    fn into_json(self) -> serde_json::Value {
        let Self { mark, meter, wall, monotonic, samples, notes, gone } = self;
        serde_json::json!({
            "mark": mark, "meter": meter, "wall": wall, "monotonic": monotonic, "samples": samples, "notes": notes, "gone": gone
        })
    }
}

fn mark(number: usize) -> String {
    format!("mark {number}")
}

fn value(number: usize) -> String {
    format!("value {number}")
}

fn note(number: usize, place: usize) -> String {
    format!("note {number} {place}")
}
