//! The latest values, kept from slot to slot. Whoever writes them and whoever reads them never wait for each other for
//! longer than it takes to hand over a pointer.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::endpoint::{Endpoint, Ready};
use super::fed::Fed;
use super::latest::Latest;
use super::own;
use super::page::Page;
use super::plan::Plan;
use super::resource::Known;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::Control;
use crate::pipeline::Slot;

/// The latest values.
#[derive(Debug)]
pub struct Exporter {
    clock: Arc<dyn Clock>,
    latest: Mutex<Arc<Latest>>,
    /// What it takes to tell what the next slot changes.
    known: Mutex<(Known, Fed)>,
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
    plan: Mutex<Plan>,
}

// === impl Exporter ===

impl Exporter {
    /// One that has nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, latest: Mutex::default(), known: Mutex::default(), control: OnceLock::new() }
    }

    /// Takes a slot's values.
    pub fn store(&self, slot: &Slot, plan: &mut Plan) {
        plan.learn(slot);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (texts, fed) = &mut *known;
        let texts = texts.of(&slot.resources);
        fed.learn(slot, &texts, plan);
        let after = Arc::new(self.latest().after(slot, &texts, plan, fed));
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
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = (Known::default(), Fed::default());
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
        let (ready, idle) = (endpoint.take_ready(), config.metrics.listen.is_empty());
        Self { endpoint, ready: Mutex::new(ready), idle, plan: Mutex::new(Plan::of(config)) }
    }

    /// Says that the configuration to which this belongs is in force.
    pub fn begin(&self) {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        ready.into_iter().for_each(|ready| self.endpoint.begin(ready));
    }

    /// Goes on with what was learned of meters that are measured, under the configuration before.
    pub fn follow(&self, before: &Self) {
        let before = before.plan.lock().unwrap_or_else(PoisonError::into_inner);
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).follow(&before);
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
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        self.endpoint.exporter().store(slot, &mut plan);
    }
}
