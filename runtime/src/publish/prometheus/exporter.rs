//! The latest values, kept from slot to slot. Whoever writes them and whoever reads them never wait for each other for
//! longer than it takes to hand over a pointer.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::endpoint::{Endpoint, Ready};
use super::latest::Latest;
use super::own;
use super::page::Page;
use super::resource::Known;
use crate::clock::Clock;
use crate::config::{Config, MeterFilter};
use crate::control::Control;
use crate::pipeline::Slot;

/// The latest values.
#[derive(Debug)]
pub struct Exporter {
    clock: Arc<dyn Clock>,
    latest: Mutex<Arc<Latest>>,
    known: Mutex<Known>,
    /// Whom to ask how the daemon is.
    control: OnceLock<Control>,
}

/// Where samples go on their way to an exporter: it belongs to a configuration, which says how often what is measured.
#[derive(Debug)]
pub struct Intake {
    endpoint: Arc<Endpoint>,
    /// What the configuration needs, until it is in force.
    ready: Mutex<Option<Ready>>,
    /// Nobody listens, so nothing is kept.
    idle: bool,
    sources: Vec<(MeterFilter, Duration)>,
    /// How often meters are measured, as far as that was asked.
    intervals: Mutex<FxHashMap<String, Duration>>,
}

// === impl Exporter ===

impl Exporter {
    /// One that has nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, latest: Mutex::default(), known: Mutex::default(), control: OnceLock::new() }
    }

    /// Takes a slot's values. `interval` says how often a meter is measured.
    pub fn store(&self, slot: &Slot, interval: impl Fn(&str) -> Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = known.of(&slot.resources);
        let after = Arc::new(self.latest().after(slot, &texts, interval));
        // What was before is given back after the lock is.
        let _before = std::mem::replace(&mut *self.latest.lock().unwrap_or_else(PoisonError::into_inner), after);
    }

    /// All that is known now, as text.
    pub fn page(&self) -> Page {
        let status = self.control.get().map(Control::status);
        Page::new(self.latest(), self.clock.now().monotonic).and_own(own::text(status.as_ref()))
    }

    /// Tells how the daemon is from now on, too.
    pub fn tell_of(&self, control: &Control) {
        // There is one daemon, and it begins once.
        let _ = self.control.set(control.clone());
    }

    /// Forgets all values.
    pub fn clear(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known::default();
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    fn latest(&self) -> Arc<Latest> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Intake ===

impl Intake {
    /// A way to an endpoint's exporter, for the configuration that was prepared last.
    pub fn new(endpoint: Arc<Endpoint>, config: &Config) -> Self {
        let sources = config.polling.sources.iter().map(|source| (source.meters.clone(), source.interval));
        let deployments = config.deployments.files.iter().filter_map(|deployment| {
            let names = deployment.grants.names.iter().map(|name| format!("{name}*")).collect();
            Some((MeterFilter::new(names).ok()?, Duration::from_secs(deployment.interval)))
        });
        let sources = sources.chain(deployments).collect();
        let (ready, idle) = (endpoint.take_ready(), config.metrics.listen.is_empty());
        Self { endpoint, ready: Mutex::new(ready), idle, sources, intervals: Mutex::default() }
    }

    /// Says that the configuration to which this belongs is in force.
    pub fn begin(&self) {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        ready.into_iter().for_each(|ready| self.endpoint.begin(ready));
    }

    /// Whether nobody listens.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// Hands over a slot.
    pub fn store(&self, slot: &Slot) {
        if self.idle {
            return;
        }
        let mut known = self.intervals.lock().unwrap_or_else(PoisonError::into_inner);
        for samples in &slot.samples {
            let name = &samples.meter.name;
            if !known.contains_key(name) {
                known.insert(name.clone(), interval(&self.sources, name));
            }
        }
        self.endpoint.exporter().store(slot, |meter| known.get(meter).copied().unwrap_or_default());
    }
}

/// How often a meter is measured. What a transformer made comes as seldom as anything does, for all we know.
fn interval(sources: &[(MeterFilter, Duration)], meter: &str) -> Duration {
    let longest = |wanted: fn(&MeterFilter, &str) -> bool| {
        sources.iter().filter(|(meters, _)| wanted(meters, meter)).map(|(_, interval)| *interval).max()
    };
    longest(MeterFilter::matches).or_else(|| longest(|_, _| true)).unwrap_or_default()
}
