//! Tenants' transformers: what they are called with, and what they give.
//!
//! A transformer is handed what the operator's pollsters gave in the slot, and what its own tenant's did, of its
//! tenant's guests alone. So it begins when those of them have landed that have the slot.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::deployed::Described;
use crate::agent::polling::Polled;
use crate::clock::{Clock, Moment};
use crate::config::MeterFilter;
use crate::contract::Batch;
use crate::discovery::{Resources, Snapshot};
use crate::pipeline::Samples;
use crate::pipeline::chain::{Batches, Done, Work};
use crate::sandbox::halves::Answers;
use crate::sandbox::host::Gives;
use crate::sandbox::host::state::State;
use crate::sandbox::ledger::{self, Ledger, Sure};
use crate::sandbox::{Landed, Module, Names, Sandbox, turns};

/// What a version of a transformer said and gave.
#[derive(Debug)]
pub(crate) struct Converted {
    /// Its inputs.
    pub inputs: Vec<String>,
    /// What it said that it gives for them.
    pub gives: Option<Arc<Gives>>,
    /// What it gave.
    pub landed: Vec<Landed<Vec<Batch>>>,
}

/// What a transformer is called with.
#[derive(Debug, Clone)]
pub(crate) struct Convert {
    pub sandbox: Arc<Sandbox>,
    pub ledger: Arc<Ledger>,
    pub tenant: Arc<str>,
    pub module: Arc<Module>,
    pub meters: MeterFilter,
    pub names: Arc<Names>,
    pub state: Arc<State>,
    pub described: Arc<Described>,
    pub resources: Arc<Resources>,
    pub roots: Vec<Range<u32>>,
    pub at: Moment,
    pub samples: Arc<Vec<Samples>>,
    pub sure: Sure,
    pub clock: Arc<dyn Clock>,
}

// === impl Convert ===

impl Convert {
    /// Hands over all of it.
    pub async fn run(self) -> (Polled, Converted) {
        let (began, before) = (self.clock.now().monotonic, turns::waited());
        let taken: Vec<&Samples> = self.samples.iter().filter(|some| self.meters.matches(&some.meter.name)).collect();
        let entries = taken.iter().map(|samples| samples.column.len()).sum::<usize>();
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        let batches = Batches::of(&taken);
        let inputs = batches.key();
        let granted = ledger::allowance(&self.module.limits, 1, entries);
        let work = Work {
            sandbox: self.sandbox,
            ledger: self.ledger,
            tenant: self.tenant,
            module: self.module,
            state: self.state,
            gives: self.described.get(&inputs).cloned(),
            batches,
            snapshot: Arc::new(Snapshot::empty(self.resources, self.at)),
            roots: self.roots,
            names: self.names,
            entries,
            sure: self.sure,
        };
        let done = match entries > 0 || work.state.waiting() > 0 {
            true => work.run().await,
            false => Done { gives: None, answers: Answers::none(work.state) },
        };
        let Done { gives, answers: Answers { landed, failures, state, fuel, memory, calls, lines } } = done;
        let took = Duration::from_nanos(self.clock.now().monotonic.saturating_sub(began));
        let took = took.saturating_sub(turns::waited().saturating_sub(before));
        let polled = Polled { landed: Vec::new(), failures, state, fuel, memory, took, calls, granted, lines };
        (polled, Converted { inputs, gives, landed })
    }
}

#[cfg(test)]
mod tests {
    use super::super::next::Given;
    use super::*;
    use crate::contract::{Column, Kind, Meter, Values};
    use crate::discovery::resource::{GuestResources, Ident, Resource};
    use crate::discovery::{Label, View};
    use crate::pipeline::samples::NoteColumn;
    use crate::publish::id::Ids;
    use crate::sandbox::host::texts::Text;

    const AT: Moment = Moment { wall: 1, monotonic: 1 };

    fn text(text: &str) -> Text {
        Text { text: text.into(), json: false }
    }

    fn column(resources: &[u32], values: Values) -> Column {
        Column { resources: resources.to_vec(), values }
    }

    fn samples(resources: &[u32]) -> Samples {
        let names = resources.iter().map(|number| text(&format!("note of {number}")));
        let numbers = Values::Interned((0..).take(resources.len()).collect());
        Samples {
            module: "m".into(),
            tenant: "operator".into(),
            meter: Arc::new(Meter { name: "cpu".into(), kind: Kind::Gauge, unit: String::new() }),
            at: AT.into(),
            column: column(resources, Values::Counts(resources.iter().map(|number| u64::from(*number)).collect())),
            notes: vec![NoteColumn {
                key: "name".into(),
                column: column(resources, numbers),
                texts: names.collect::<Vec<_>>().into(),
            }],
            first_id: Ids::new("host", AT).take(AT, resources.len()),
            route: crate::pipeline::Route::default(),
            sink: None,
        }
    }

    /// Guests 0 and 2 are ours, and 1 is not.
    fn resources() -> Arc<Resources> {
        let label = |project: &str| Arc::new(Label { project: Some(project.into()), ..Label::bare("x") });
        let guest = |project| GuestResources { ident: Ident(0), label: label(project), parts: Default::default() };
        Arc::new(Resources::number(&["ours", "theirs", "ours"].map(guest), &[]))
    }

    #[test]
    fn nothing_of_others_comes_along() {
        let resources = resources();
        let view = View::of(&resources, resources.guests_of(|project| project == "ours"));
        let sliced = samples(&[0, 1, 2]).seen_by(&view).unwrap();
        let batches = Batches::of(&[&sliced]);
        assert_eq!(batches.all[0].column.resources, [0, 2]);
        let texts: Vec<&str> = batches.texts.iter().map(|text| &*text.text).collect();
        assert_eq!(texts, ["note of 0", "note of 2", "name"]);
        assert!(samples(&[1]).seen_by(&view).is_none());
    }

    #[test]
    fn parts_that_others_declared_do_not_meet() {
        let resources = resources();
        let part = |root| Resource { ident: Ident(9), root, label: Arc::new(Label::bare("part")) };
        // The operator's modules declared two parts in the slot, behind which ours stand.
        let slot = Arc::new(resources.with_declared(vec![part(0), part(1)]));
        let mut given = Given { resources: slot, samples: vec![samples(&[0, 3])], chain: None };
        given.take([samples(&[0, 2, 3])].iter(), resources.len(), &[part(2)]);
        given.take([samples(&[2])].iter(), resources.len(), &[]);
        let numbers: Vec<&[u32]> = given.samples.iter().map(|samples| &*samples.column.resources).collect();
        assert_eq!(numbers, [&[0, 3][..], &[0, 2, 5], &[2]]);
        assert_eq!(given.samples[1].notes[0].column.resources, [0, 2, 5]);
        assert_eq!(given.resources.get(5).unwrap().root, 2);
    }
}
