//! One slot of a module that is tried out, and what comes of it, whatever its kind.

use std::sync::Arc;
use std::time::Duration;

use super::meters::Meters;
use crate::agent::polling::{Poll, Polled};
use crate::agent::tenants::{Convert, Converted};
use crate::clock::{Moment, SECOND};
use crate::contract::{Batch, Column, Series};
use crate::control::deployments::DryMeter;
use crate::discovery::Resources;
use crate::modules::deploying::Ready;
use crate::sandbox::host::log::Lines;
use crate::sandbox::host::state::State;
use crate::sandbox::{Failure, Names};

/// A module with all that it runs on in a slot.
#[derive(Clone)]
pub(super) enum Run {
    /// A pollster.
    Poll(Poll),
    /// A transformer.
    Convert(Convert),
}

/// What a module did in a slot.
pub(super) struct Ran {
    polled: Polled,
    /// What it said and gave, if it is a transformer.
    converted: Option<Converted>,
    /// What that is of.
    resources: Arc<Resources>,
}

/// The same, with what it gave counted.
pub(super) struct Tried {
    /// What it gave that is wanted.
    pub meters: Vec<DryMeter>,
    /// What came to nothing, with the number of resources that were left out.
    pub failures: Vec<(Failure, u32)>,
    /// What it remembers now.
    pub state: Arc<State>,
    /// Fuel that it used.
    pub fuel: u64,
    /// The most memory that an instance had.
    pub memory: usize,
    /// How long it took.
    pub took: Duration,
    /// What it logged.
    pub lines: Lines,
}

// === impl Run ===

impl Run {
    /// Runs it.
    pub(super) async fn run(self) -> Ran {
        match self {
            Self::Poll(poll) => {
                let resources = Arc::clone(&poll.snapshot.resources);
                Ran { polled: poll.run().await, converted: None, resources }
            }
            Self::Convert(convert) => {
                let resources = Arc::clone(&convert.resources);
                let (polled, converted) = convert.run().await;
                Ran { polled, converted: Some(converted), resources }
            }
        }
    }

    /// The same was read or measured so many seconds later, and this is remembered.
    pub(super) fn go_on(&mut self, remembered: &Arc<State>, seconds: u64) {
        match self {
            Self::Poll(poll) => {
                poll.state = Arc::clone(remembered);
                let snapshot = Arc::make_mut(&mut poll.snapshot);
                snapshot.at = later(snapshot.at, seconds);
            }
            Self::Convert(convert) => {
                convert.state = Arc::clone(remembered);
                convert.at = later(convert.at, seconds);
                let at = convert.at.into();
                Arc::make_mut(&mut convert.samples).iter_mut().for_each(|samples| samples.at = at);
            }
        }
    }
}

fn later(Moment { wall, monotonic }: Moment, seconds: u64) -> Moment {
    let later = seconds.saturating_mul(SECOND.unsigned_abs());
    Moment { wall: wall.saturating_add_unsigned(later), monotonic: monotonic.saturating_add(later) }
}

// === impl Ran ===

impl Ran {
    /// Counts what is wanted of it. What has none of these names has failed.
    pub(super) fn counted(self, ready: &Ready, names: &Names) -> Tried {
        let Self { polled, converted, resources } = self;
        let Polled { landed, mut failures, state, fuel, memory, took, lines, .. } = polled;
        let (module, mut meters) = (&ready.module, Meters::of(names.clone(), &resources));
        let wanted = |name: &str| ready.source.meters.matches(name);
        for landed in landed {
            failures.extend(meters.count(module.giver(), &module.description.meters, landed, of_series, wanted));
        }
        // Of a transformer everything is wanted: its meters are those that it is handed.
        if let Some(Converted { gives, landed, .. }) = converted {
            let gives = gives.unwrap_or_default();
            for landed in landed {
                failures.extend(meters.count(module.giver(), &gives.meters, landed, of_batch, |_| true));
            }
        }
        Tried { meters: meters.into_counted(), failures, state, fuel, memory, took, lines }
    }
}

fn of_series(series: &Series) -> (u32, &Column) {
    (series.meter, &series.column)
}

fn of_batch(batch: &Batch) -> (u32, &Column) {
    (batch.meter, &batch.column)
}

// === impl Tried ===

impl Tried {
    /// Whether there are no samples.
    pub(super) fn gave_nothing(&self) -> bool {
        self.meters.iter().all(|meter| meter.samples == 0)
    }

    /// It said something in the slot before.
    pub(super) fn said_before(&mut self, mut before: Self) {
        before.lines.append(std::mem::take(&mut self.lines));
        self.lines = before.lines;
    }
}
