//! Making samples of what a module gave: under names that are wanted, of resources that are wanted, with everything
//! that identifies them from the host.

use std::sync::Arc;

use super::parts::{Declarer, Numbers, Parts};
use super::route::Route;
use super::samples::{NoteColumn, Samples};
use crate::clock::Moment;
use crate::contract::{Batch, Meter, Series};
use crate::discovery::resource::Resource;
use crate::discovery::{Directory, Resources, View};
use crate::publish::id::FirstId;
use crate::sandbox::Landed;
use crate::sandbox::host::texts::Text;
use crate::schedule::plan::{Selection, Work};

/// Stamps what modules gave in one slot.
#[derive(Debug)]
pub struct Stamper<'a> {
    resources: &'a Resources,
    others: &'a [String],
    tenant: Arc<str>,
    at: Moment,
    views: Vec<(Selection, View)>,
    /// What was stamped.
    pub samples: Vec<Samples>,
    /// Parts of guests that modules declared.
    parts: Parts<'a>,
    next_id: FirstId,
}

// === impl Stamper ===

impl<'a> Stamper<'a> {
    /// A stamper for a slot of a tenant's modules; message ids are counted from `first_id`.
    pub fn new(
        resources: &'a Resources,
        others: &'a [String],
        tenant: Arc<str>,
        at: Moment,
        first_id: FirstId,
    ) -> Self {
        Self {
            resources,
            others,
            tenant,
            at,
            views: Vec::new(),
            samples: Vec::new(),
            parts: Parts::beside(resources),
            next_id: first_id,
        }
    }

    /// Goes on with a module of another tenant.
    pub fn turn_to(&mut self, tenant: &Arc<str>) {
        self.tenant = Arc::clone(tenant);
    }

    /// Stamps what one call of a module gave.
    pub fn stamp(&mut self, directory: &mut Directory, work: &Work, landed: Landed<Vec<Series>>) {
        let Landed { output, meters, parts, texts, .. } = landed;
        let texts: Arc<[Text]> = texts.into();
        let by = Declarer { tenant: &self.tenant, module: &work.module.name };
        let numbers = self.parts.declare(directory, by, &parts, &texts);
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

    /// Stamps what one call of a transformer gave, of what it said that it gives.
    pub fn convert(
        &mut self,
        directory: &mut Directory,
        module: &Arc<str>,
        gives: &[Meter],
        landed: Landed<Vec<Batch>>,
    ) {
        let Landed { output, meters, parts, texts, .. } = landed;
        let texts: Arc<[Text]> = texts.into();
        let by = Declarer { tenant: &self.tenant, module };
        let numbers = self.parts.declare(directory, by, &parts, &texts);
        for Batch { meter, at, mut column, notes } in output {
            numbers.renumber(&mut column);
            let meter = gives.iter().chain(&meters).nth(meter as usize);
            let Some(meter) = meter.filter(|_| !column.is_empty()) else { continue };
            let notes = notes.into_iter().filter_map(|note| NoteColumn::of(note, &numbers, &texts)).collect();
            let first_id = self.next_id;
            self.next_id = first_id.from(column.len());
            let (module, tenant, meter) = (Arc::clone(module), Arc::clone(&self.tenant), Arc::new(meter.clone()));
            let (route, sink) = (Route::default(), None);
            self.samples.push(Samples { module, tenant, meter, at, column, notes, first_id, route, sink });
        }
    }

    fn series(
        &mut self,
        work: &Work,
        meter: &Meter,
        series: Series,
        only: Option<&Selection>,
        numbers: &Numbers,
        texts: &Arc<[Text]>,
    ) {
        let Series { mut column, notes, .. } = series;
        if let Some(selection) = only {
            let view = self.view(selection);
            column.retain(|number| view.contains(numbers.guest(number).unwrap_or(number)));
        }
        numbers.renumber(&mut column);
        if column.is_empty() {
            return;
        }
        let notes = notes.into_iter().filter_map(|note| NoteColumn::of(note, numbers, texts)).collect();
        let first_id = self.next_id;
        self.next_id = first_id.from(column.len());
        let (module, tenant, meter) =
            (Arc::clone(&work.module.name), Arc::clone(&self.tenant), Arc::new(meter.clone()));
        self.samples.push(Samples {
            module,
            tenant,
            meter,
            at: self.at.into(),
            column,
            notes,
            first_id,
            route: Route::default(),
            sink: None,
        });
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

    /// What was stamped, and the parts that were declared.
    pub fn finish(self) -> (Vec<Samples>, Vec<Resource>) {
        (self.samples, self.parts.into_declared())
    }
}
