//! Making samples of what a module gave: under names that are wanted, of resources that are wanted, with everything
//! that identifies them from the host.

use std::collections::HashMap;
use std::sync::Arc;

use super::samples::{NoteColumn, Samples};
use crate::clock::Moment;
use crate::contract::{Column, Meter, Note, Series};
use crate::discovery::resource::Resource;
use crate::discovery::{Directory, Label, Resources, View};
use crate::sandbox::Landed;
use crate::sandbox::host::texts::Text;
use crate::schedule::plan::{Selection, Work};

/// The number of a part that was refused.
const REFUSED: u32 = u32::MAX;

/// Stamps what modules gave in one slot.
#[derive(Debug)]
pub struct Stamper<'a> {
    resources: &'a Resources,
    others: &'a [String],
    at: Moment,
    /// Parts that modules declared, in the order of their numbers after all others.
    declared: Vec<Resource>,
    known: HashMap<(u32, Arc<str>), u32>,
    views: Vec<(Selection, View)>,
    /// What was stamped.
    pub samples: Vec<Samples>,
    /// Parts that were declared beyond what a guest may have; their samples are left out.
    pub refused: u32,
    next_id: u64,
}

// === impl Stamper ===

impl<'a> Stamper<'a> {
    /// A stamper for a slot; message ids are counted from `first_id`.
    pub fn new(resources: &'a Resources, others: &'a [String], at: Moment, first_id: u64) -> Self {
        Self {
            resources,
            others,
            at,
            declared: Vec::new(),
            known: HashMap::new(),
            views: Vec::new(),
            samples: Vec::new(),
            refused: 0,
            next_id: first_id,
        }
    }

    /// Stamps what one call of a module gave.
    pub fn stamp(&mut self, directory: &mut Directory, work: &Work, landed: Landed<Vec<Series>>) {
        let Landed { output, meters, parts, texts, .. } = landed;
        let texts: Arc<[Text]> = texts.into();
        let numbers = self.declare(directory, &parts, &texts);
        let described = work.module.description.meters.len();
        let all = work.selection();
        for series in output {
            let index = series.meter as usize;
            let (meter, selection) = match index.checked_sub(described) {
                None => (work.module.description.meters.get(index), work.meters.get(index).cloned()),
                Some(declared) => {
                    let meter = meters.get(declared);
                    (meter, meter.map(|meter| work.declared(&meter.name)))
                }
            };
            if let (Some(meter), Some(selection)) = (meter, selection.filter(|selection| !selection.is_empty())) {
                let view = (selection != all).then_some(&selection);
                self.series(work, meter, series, view, &numbers, &texts);
            }
        }
    }

    fn series(
        &mut self,
        work: &Work,
        meter: &Meter,
        series: Series,
        only: Option<&Selection>,
        numbers: &[u32],
        texts: &Arc<[Text]>,
    ) {
        let Series { mut column, notes, .. } = series;
        if let Some(selection) = only {
            let (resources, view) = (self.resources, self.view(selection));
            column.retain(|number| match resources.get(number) {
                Some(_) => view.contains(number),
                None => true,
            });
        }
        renumber(&mut column, self.resources.len(), numbers);
        if column.is_empty() {
            return;
        }
        let notes = notes.into_iter().filter_map(|note| self.note(note, numbers, texts)).collect();
        let first_id = self.next_id;
        self.next_id += column.len() as u64;
        let (module, meter) = (Arc::clone(&work.module.name), Arc::new(meter.clone()));
        self.samples.push(Samples { module, meter, at: self.at, column, notes, first_id });
    }

    fn note(&self, note: Note, numbers: &[u32], texts: &Arc<[Text]>) -> Option<NoteColumn> {
        let key = Arc::clone(&texts.get(note.key as usize)?.text);
        let mut column = note.column;
        renumber(&mut column, self.resources.len(), numbers);
        Some(NoteColumn { key, column, texts: Arc::clone(texts) })
    }

    fn view(&mut self, selection: &Selection) -> &View {
        let found = self.views.iter().position(|(known, _)| known == selection);
        let place = found.unwrap_or_else(|| {
            let view = View::of(self.resources, selection.roots(self.resources, self.others));
            self.views.push((selection.clone(), view));
            self.views.len() - 1
        });
        match self.views.get(place) {
            Some((_, view)) => view,
            None => unreachable!("it was found or made just now"),
        }
    }

    /// The slot's numbers of parts that a call declared. A part that two calls declared is the same part, and one that
    /// has the name of a device is the device.
    fn declare(&mut self, directory: &mut Directory, parts: &[(u32, u32)], texts: &[Text]) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(parts.len());
        for (guest, suffix) in parts {
            let Some(text) = texts.get(*suffix as usize) else { continue };
            let Some(root) = self.resources.get(*guest) else { continue };
            let key = (*guest, Arc::clone(&text.text));
            let known = self.known.get(&key).copied().or_else(|| self.resources.part_named(*guest, &text.text));
            let number = known.or_else(|| {
                let (id, device) = (format!("{}-{}", root.label.id, text.text), text.text.to_string());
                let label = Arc::new(Label { id, device, ..(*root.label).clone() });
                let ident = directory.declared(root.ident, &text.text)?;
                let next = self.resources.len() + u32::try_from(self.declared.len()).ok()?;
                self.declared.push(Resource { ident, root: *guest, label });
                Some(next)
            });
            match number {
                Some(number) => drop(self.known.insert(key, number)),
                None => self.refused += 1,
            }
            numbers.push(number.unwrap_or(REFUSED));
        }
        numbers
    }

    /// What was stamped, and the parts that were declared.
    pub fn finish(self) -> (Vec<Samples>, Vec<Resource>) {
        (self.samples, self.declared)
    }
}

/// Turns a call's numbers of declared parts into the slot's, and keeps the order.
fn renumber(column: &mut Column, first: u32, numbers: &[u32]) {
    if column.resources.last().is_none_or(|last| *last < first) {
        return;
    }
    for number in column.resources.iter_mut().filter(|number| **number >= first) {
        *number = numbers.get((*number - first) as usize).copied().unwrap_or(REFUSED);
    }
    column.retain(|number| number != REFUSED);
    column.ascend();
}
