//! Samples as a transformer is handed them: batches of inputs, with the texts of their notes in one table.

use std::collections::HashMap;
use std::sync::Arc;

use crate::contract::{Batch, Column, Meter, Note, Values};
use crate::discovery::View;
use crate::pipeline::Samples;
use crate::sandbox::host::texts::Text;

/// The samples of a slot that a transformer is for.
#[derive(Debug, Default)]
pub struct Batches {
    /// Inputs, each once. Two meters of one name are two.
    pub inputs: Vec<Meter>,
    /// The samples.
    pub all: Vec<Batch>,
    /// Texts to which notes refer, each once.
    pub texts: Vec<Text>,
}

/// Numbers of texts while the table is written.
#[derive(Default)]
struct Table {
    texts: Vec<Text>,
    numbers: HashMap<Text, u32>,
}

/// An input takes as much fuel as so many resources: a name is made of its name, and what is remembered of it is loaded
/// and kept.
const INPUT: u32 = 5;

// === impl Batches ===

impl Batches {
    /// Batches of these samples.
    pub fn of(taken: &[&Samples]) -> Self {
        let (mut inputs, mut table) = (Vec::new(), Table::default());
        let mut places: HashMap<(&str, &str, &str), u32> = HashMap::new();
        let mut all = Vec::with_capacity(taken.len());
        for samples in taken {
            let meter = &*samples.meter;
            let place = *places.entry((&meter.name, meter.kind.word(), &meter.unit)).or_insert_with(|| {
                inputs.push(meter.clone());
                u32::try_from(inputs.len() - 1).unwrap_or(u32::MAX)
            });
            all.push(table.batch(samples, place));
        }
        Self { inputs, all, texts: table.texts }
    }

    /// As how many resources its inputs count.
    pub fn inputs_as_resources(&self) -> u32 {
        u32::try_from(self.inputs.len()).unwrap_or(u32::MAX).saturating_mul(INPUT)
    }

    /// What distinguishes these inputs from others.
    pub fn key(&self) -> Vec<String> {
        self.inputs.iter().map(|meter| format!("{meter:?}")).collect()
    }

    /// How many samples a view has a part in.
    pub fn count(&self, view: &View) -> u32 {
        let samples = self.all.iter().map(|batch| view.count(&batch.column)).sum::<usize>();
        u32::try_from(samples).unwrap_or(u32::MAX)
    }

    /// The same, cut to what a view sees, by its call's numbers.
    pub fn cut(&self, view: &View) -> Vec<Batch> {
        let cut = |batch: &Batch| {
            let notes = batch.notes.iter().map(|note| Note { key: note.key, column: view.hand(&note.column) });
            let notes = notes.filter(|note| !note.column.is_empty()).collect();
            Batch { meter: batch.meter, at: batch.at, column: view.hand(&batch.column), notes }
        };
        self.all.iter().map(cut).filter(|batch| !batch.column.is_empty()).collect()
    }
}

// === impl Table ===

impl Table {
    fn batch(&mut self, samples: &Samples, meter: u32) -> Batch {
        let notes = samples.notes.iter().map(|note| {
            let mut column: Column = note.column.clone();
            if let Values::Interned(values) = &mut column.values {
                for value in values {
                    *value = note.texts.get(*value as usize).map_or(0, |text| self.number(text));
                }
            }
            let key = self.number(&Text { text: Arc::clone(&note.key), json: false });
            Note { key, column }
        });
        Batch { meter, at: samples.at, notes: notes.collect(), column: samples.column.clone() }
    }

    fn number(&mut self, text: &Text) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.clone());
        self.numbers.insert(text.clone(), number);
        number
    }
}
