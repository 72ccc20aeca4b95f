//! Taps: somebody sees samples as they pass a point. Nobody waits for whoever looks: what does not fit is left out.

use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::samples::{Samples, Slot};
use super::sinks::Sinks;
use crate::config::MeterFilter;

/// All taps.
#[derive(Debug, Clone, Default)]
pub struct Taps(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether there may be any; else nothing is looked at.
    is_open: AtomicBool,
    taps: Mutex<Vec<Tap>>,
}

/// Where samples are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// What outputs outside of pipelines get.
    Measured,
    /// What comes out of the sink of this name.
    Sink(String),
    /// What the output of this name is handed.
    Output(String),
}

/// Which samples are looked at.
#[derive(Debug)]
pub struct Wanted {
    /// Where.
    pub point: Point,
    /// Of which meters.
    pub meters: MeterFilter,
    /// Of whose modules; `None` for all.
    pub tenant: Option<String>,
}

/// Whoever looks.
#[derive(Debug)]
struct Tap {
    wanted: Wanted,
    sender: Sender<Slot>,
    state: Arc<State>,
}

/// What both ends of a tap know.
#[derive(Debug, Default)]
struct State {
    /// Samples that wait to be looked at.
    waiting: AtomicUsize,
    /// Samples that were left out.
    left_out: AtomicU64,
}

/// Samples as they come.
#[derive(Debug)]
pub struct Tapped {
    receiver: Receiver<Slot>,
    state: Arc<State>,
}

/// Taps at once: each costs the loop a look at every meter.
pub const MOST_TAPS: usize = 4;
/// Slots of one tap that wait.
const MOST_SLOTS: usize = 16;
/// Samples of one tap that wait: a slot of a thousand guests, or a few meters of ten thousand. They are columns of
/// numbers, and copying as many is copying a megabyte or two.
const MOST_WAITING: usize = 100_000;

// === impl Taps ===

impl Taps {
    /// One more; `None` if there are too many.
    pub fn open(&self, wanted: Wanted) -> Option<Tapped> {
        let mut taps = self.0.taps.lock().unwrap_or_else(PoisonError::into_inner);
        taps.retain(|tap| !tap.sender.is_closed());
        if taps.len() >= MOST_TAPS {
            return None;
        }
        let (sender, receiver) = mpsc::channel(MOST_SLOTS);
        let state = Arc::<State>::default();
        taps.push(Tap { wanted, sender, state: Arc::clone(&state) });
        self.0.is_open.store(true, Ordering::Release);
        Some(Tapped { receiver, state })
    }

    /// Shows a slot that sinks had a look at, to whoever looks.
    pub fn show(&self, sinks: &mut Sinks, slot: &Slot) {
        if !self.0.is_open.load(Ordering::Acquire) {
            return;
        }
        let mut taps = self.0.taps.lock().unwrap_or_else(PoisonError::into_inner);
        taps.retain(|tap| !tap.sender.is_closed());
        self.0.is_open.store(!taps.is_empty(), Ordering::Release);
        taps.iter().for_each(|tap| tap.show(sinks, slot));
    }
}

// === impl Point ===

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "measured" => Ok(Self::Measured),
            Some(("sink", name)) => Ok(Self::Sink(name.to_owned())),
            Some(("output", name)) => Ok(Self::Output(name.to_owned())),
            _ => Err(format!("there is no point {text}; write measured, sink:NAME or output:NAME")),
        }
    }
}

// === impl Tap ===

impl Tap {
    fn show(&self, sinks: &mut Sinks, slot: &Slot) {
        let passing: Vec<&Samples> = match &self.wanted.point {
            Point::Measured => slot.samples.iter().filter(|samples| samples.route.is_measured).collect(),
            Point::Sink(sink) => sinks.out_of(sink, slot),
            Point::Output(output) => slot.samples.iter().filter(|samples| samples.route.has(output)).collect(),
        };
        // Without a place in the channel nothing is copied.
        let place = self.sender.try_reserve().ok();
        let (mut shown, mut fits) = (Vec::new(), place.is_some());
        for samples in passing.into_iter().filter(|samples| self.wanted.has(samples)) {
            let rows = samples.column.len();
            fits &= self.state.waiting.load(Ordering::Acquire) + rows <= MOST_WAITING;
            if fits {
                self.state.waiting.fetch_add(rows, Ordering::AcqRel);
                shown.push(samples.clone());
            } else {
                self.state.left_out.fetch_add(rows as u64, Ordering::AcqRel);
            }
        }
        if let Some(place) = place.filter(|_| !shown.is_empty()) {
            place.send(Slot { at: slot.at, resources: Arc::clone(&slot.resources), samples: shown });
        }
    }
}

// === impl Wanted ===

impl Wanted {
    fn has(&self, samples: &Samples) -> bool {
        !samples.column.is_empty()
            && self.meters.matches(&samples.meter.name)
            && self.tenant.as_deref().is_none_or(|tenant| *samples.tenant == *tenant)
    }
}

// === impl Tapped ===

impl Tapped {
    /// The next slot with samples; `None` once there will be none.
    pub async fn next(&mut self) -> Option<Slot> {
        let slot = self.receiver.recv().await?;
        self.state.waiting.fetch_sub(slot.len(), Ordering::AcqRel);
        Some(slot)
    }

    /// How many samples were left out since this was asked last.
    pub fn left_out(&self) -> u64 {
        self.state.left_out.swap(0, Ordering::AcqRel)
    }
}

#[cfg(test)]
pub(crate) mod tests;
