//! What samples that wait say themselves: their notes, from call to call.
//!
//! Cells hold numbers alone, and most samples that say anything say what others say, too. So all that a sample says
//! has a number, under which it is kept once.

use std::collections::BTreeMap;
use std::str::FromStr;

use wasmeter_sdk::{Batch, Call, Column, Converting, Failure, Note, Values};

use crate::volumes::at;

/// What samples say, by numbers.
#[derive(Debug, Default)]
pub struct Said {
    /// As it is kept. The number of a line counts from 1: 0 is of samples that say nothing.
    lines: Vec<String>,
    numbers: BTreeMap<String, u64>,
    /// How many lines were kept before.
    before: usize,
}

/// What a sample says: values by their keys.
type Set = BTreeMap<String, Value>;

/// A value, as the letter of its type and its text. All but texts are JSON.
type Value = (String, String);

const COUNT: &str = "c";
const INTEGER: &str = "i";
const REAL: &str = "r";
const TEXT: &str = "t";
const JSON: &str = "j";

/// The name under which it is kept.
const NAME: &str = "said";
/// So many lines are kept, whether samples refer to them or not.
const FEW: usize = 1024;

// === impl Said ===

impl Said {
    /// What is kept.
    pub fn load(call: &Call<'_, Converting>) -> Self {
        let bytes = call.load_bytes(NAME).unwrap_or_default();
        let lines: Vec<String> = std::str::from_utf8(&bytes).unwrap_or_default().lines().map(str::to_owned).collect();
        let numbers = lines.iter().cloned().zip(1..).collect();
        Self { before: lines.len(), lines, numbers }
    }

    /// The number of what each sample of a batch says.
    pub fn numbers(&mut self, call: &Call<'_, Converting>, batch: &Batch) -> Result<Vec<u64>, Failure> {
        let mut rows = vec![0_usize; batch.column.len()];
        let keys: Vec<u32> = batch.notes.iter().map(|note| note.key).collect();
        let mut sets = vec![Set::new()];
        for (Note { column, .. }, key) in batch.notes.iter().zip(call.resolve(&keys)) {
            let texts = texts(call, column)?;
            // With it, a set becomes another one.
            let mut with: BTreeMap<(usize, u64), usize> = BTreeMap::new();
            let (mut from, mut last) = (0, None);
            for (set, resource) in rows.iter_mut().zip(&batch.column.resources) {
                let Some(place) = at(&column.resources, *resource, &mut from) else { continue };
                let Some((bits, letter)) = bits(&column.values, place) else { continue };
                // Mostly it is what the sample before says.
                if let Some((before, after)) = last
                    && before == (*set, bits)
                {
                    *set = after;
                    continue;
                }
                let before = (*set, bits);
                *set = *with.entry(before).or_insert_with(|| {
                    let value = match letter {
                        COUNT => (COUNT.to_owned(), bits.to_string()),
                        INTEGER => (INTEGER.to_owned(), bits.cast_signed().to_string()),
                        REAL => (REAL.to_owned(), format!("{:?}", f64::from_bits(bits))),
                        _ => texts.get(&bits).cloned().unwrap_or_default(),
                    };
                    let mut more = sets.get(*set).cloned().unwrap_or_default();
                    more.insert(key.clone(), value);
                    sets.push(more);
                    sets.len() - 1
                });
                last = Some((before, *set));
            }
        }
        let mut numbers: Vec<Option<u64>> = vec![None; sets.len()];
        let mut number = |set: usize| {
            let known = numbers.get_mut(set)?;
            Some(*known.get_or_insert_with(|| sets.get(set).map_or(0, |set| self.number(set))))
        };
        Ok(rows.into_iter().map(|set| number(set).unwrap_or(0)).collect())
    }

    fn number(&mut self, set: &Set) -> u64 {
        if set.is_empty() {
            return 0;
        }
        let line = serde_json::to_string(set).unwrap_or_default();
        *self.numbers.entry(line).or_insert_with_key(|line| {
            self.lines.push(line.clone());
            self.lines.len() as u64
        })
    }

    /// What these resources' samples say, by its numbers. Resources ascend.
    pub fn notes(&self, call: &Call<'_, Converting>, samples: &[(u32, u64)]) -> Result<Vec<Note>, Failure> {
        let mut numbers: Vec<u64> = samples.iter().map(|(_, number)| *number).filter(|number| *number > 0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut keys: BTreeMap<String, BTreeMap<u64, Value>> = BTreeMap::new();
        for number in numbers {
            for (key, value) in self.set(number) {
                keys.entry(key).or_default().insert(number, value);
            }
        }
        keys.iter().map(|(key, values)| call.note(key, column(call, samples, values)?)).collect()
    }

    fn set(&self, number: u64) -> Set {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let line = place.and_then(|place| self.lines.get(place));
        line.and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        self.lines.iter().map(|line| line.len() as u64 + 1).sum()
    }

    /// Whether it has far more than so many samples that wait can say.
    pub fn is_full(&self, samples: usize) -> bool {
        self.lines.len() > FEW.max(samples.saturating_mul(4))
    }

    /// No sample refers to anything any more.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.numbers.clear();
    }

    /// Keeps it.
    pub fn save(&self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        // Lines are added, or all of them go.
        if self.lines.len() == self.before {
            return Ok(());
        }
        call.save_bytes(NAME, self.lines.join("\n").as_bytes())
    }
}

/// What stands in a column of notes, as bits, and the letter of its type.
fn bits(values: &Values, place: usize) -> Option<(u64, &'static str)> {
    match values {
        Values::Counts(values) => values.get(place).map(|value| (*value, COUNT)),
        Values::Integers(values) => values.get(place).map(|value| (value.cast_unsigned(), INTEGER)),
        Values::Reals(values) => values.get(place).map(|value| (value.to_bits(), REAL)),
        Values::Interned(values) => values.get(place).map(|value| (u64::from(*value), TEXT)),
    }
}

/// What the texts of a column say, by their indexes.
fn texts(call: &Call<'_, Converting>, column: &Column) -> Result<BTreeMap<u64, Value>, Failure> {
    let Values::Interned(indexes) = &column.values else { return Ok(BTreeMap::new()) };
    let mut indexes = indexes.clone();
    indexes.sort_unstable();
    indexes.dedup();
    let texts = call.resolve(&indexes);
    // JSON has another index than the same letters as a text.
    let plain = call.intern(&texts)?;
    let letter = |index: u32, plain: u32| if index == plain { TEXT } else { JSON };
    let all = indexes.iter().zip(plain).zip(texts);
    Ok(all.map(|((index, plain), text)| (u64::from(*index), (letter(*index, plain).to_owned(), text))).collect())
}

/// What samples say under a key as a column: of numbers if all are of one type.
fn column(
    call: &Call<'_, Converting>,
    samples: &[(u32, u64)],
    values: &BTreeMap<u64, Value>,
) -> Result<Column, Failure> {
    if let Some(counts) = numbers::<u64>(values, COUNT) {
        return Ok(spread(samples, &counts));
    }
    if let Some(integers) = numbers::<i64>(values, INTEGER) {
        return Ok(spread(samples, &integers));
    }
    if let Some(reals) = numbers::<f64>(values, REAL) {
        return Ok(spread(samples, &reals));
    }
    let mut indexes: BTreeMap<u64, u32> = BTreeMap::new();
    for (number, (letter, text)) in values {
        let text = std::slice::from_ref(text);
        let index = if letter == TEXT { call.intern(text)? } else { call.intern_json(text)? };
        indexes.extend(index.first().map(|index| (*number, *index)));
    }
    Ok(spread(samples, &indexes))
}

/// Values as numbers of a type, if all are.
fn numbers<T: FromStr>(values: &BTreeMap<u64, Value>, letter: &str) -> Option<BTreeMap<u64, T>> {
    let number =
        |(number, (known, text)): (&u64, &Value)| Some((*number, text.parse().ok().filter(|_| known == letter)?));
    values.iter().map(number).collect()
}

/// The value of each sample that has one.
fn spread<T: Copy>(samples: &[(u32, u64)], values: &BTreeMap<u64, T>) -> Column
where
    Column: FromIterator<(u32, T)>,
{
    // Mostly it is that of the sample before.
    let mut last = (0, None);
    let value = |(resource, number): &(u32, u64)| {
        if *number != last.0 {
            last = (*number, values.get(number).copied());
        }
        Some((*resource, last.1?))
    };
    samples.iter().filter_map(value).collect()
}
