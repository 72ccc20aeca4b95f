//! Samples as they are kept: structured, in columns, until an output encodes them.

use std::borrow::Cow;
use std::sync::Arc;

use super::parts::Numbers;
use super::route::Route;
use crate::agent::OPERATOR;
use crate::clock::Moment;
use crate::contract::{self, Column, Meter, Note};
use crate::discovery::resource::Resource;
use crate::discovery::{Resources, View};
use crate::modules::deployment::Key;
use crate::publish::id::FirstId;
use crate::sandbox::host::texts::Text;

/// What the operator's samples come from, as Ceilometer's do.
pub const SOURCE: &str = "openstack";

/// Everything that one cycle measured.
#[derive(Debug, Clone)]
pub struct Slot {
    /// When the reading began.
    pub at: Moment,
    /// The resources, with those that modules declared.
    pub resources: Arc<Resources>,
    /// Samples, meter by meter.
    pub samples: Vec<Samples>,
}

/// Samples of one meter, read at one moment.
#[derive(Debug, Clone)]
pub struct Samples {
    /// The module that gave them.
    pub module: Arc<str>,
    /// Whose module that is.
    pub tenant: Arc<str>,
    /// The meter.
    pub meter: Arc<Meter>,
    /// When they were read.
    pub at: contract::Moment,
    /// Resources and volumes.
    pub column: Column,
    /// Metadata of these samples alone.
    pub notes: Vec<NoteColumn>,
    /// The first sample's message id; the others follow.
    pub first_id: FirstId,
    /// Which outputs they are for.
    pub route: Route,
    /// The sink of `pipeline.yaml` whose transformers made them, if they were made and not measured. Sinks may give
    /// their samples any name, also that of a meter, and that of another sink's.
    pub sink: Option<Arc<str>>,
}

/// Whose samples are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The operator's.
    Operator,
    /// Those of a tenant's deployment.
    Deployment {
        /// The tenant.
        tenant: Arc<str>,
        /// The deployment.
        name: Arc<str>,
    },
}

/// A note with its texts resolved.
#[derive(Debug, Clone)]
pub struct NoteColumn {
    /// The key.
    pub key: Arc<str>,
    /// A value for each resource that has one.
    pub column: Column,
    /// The texts that interned values refer to.
    pub texts: Arc<[Text]>,
}

// === impl Samples ===

impl Samples {
    /// Where they come from, as consumers are told: a tenant's names the deployment, so that nobody takes them for the
    /// operator's.
    pub fn source(&self) -> Cow<'static, str> {
        match &*self.tenant {
            OPERATOR => SOURCE.into(),
            tenant => format!("{tenant}/{}", self.module).into(),
        }
    }

    /// Whose they are.
    pub fn origin(&self) -> Origin {
        match &*self.tenant {
            OPERATOR => Origin::Operator,
            _ => Origin::Deployment { tenant: Arc::clone(&self.tenant), name: Arc::clone(&self.module) },
        }
    }

    /// Those of resources that a view sees, if there are any. Nothing of others comes along, not even a text.
    pub fn seen_by(&self, view: &View) -> Option<Self> {
        let column = view.slice(&self.column);
        if column.is_empty() {
            return None;
        }
        let note = |note: &NoteColumn| NoteColumn {
            key: Arc::clone(&note.key),
            column: view.slice(&note.column),
            texts: Arc::clone(&note.texts),
        };
        let notes = self.notes.iter().map(note).filter(|note| !note.column.is_empty()).collect();
        let (module, tenant) = (Arc::clone(&self.module), Arc::clone(&self.tenant));
        let (meter, at, first_id) = (Arc::clone(&self.meter), self.at, self.first_id);
        let (route, sink) = (self.route.clone(), self.sink.clone());
        Some(Self { module, tenant, meter, at, column, notes, first_id, route, sink })
    }
}

// === impl Origin ===

impl Origin {
    /// What a deployment gives.
    pub fn of(key: &Key) -> Self {
        Self::Deployment { tenant: key.tenant.shared(), name: key.name.shared() }
    }
}

// === impl NoteColumn ===

impl NoteColumn {
    /// A note as a call gave it, with the slot's numbers of resources.
    pub fn of(note: Note, numbers: &Numbers, texts: &Arc<[Text]>) -> Option<Self> {
        let Note { key, mut column } = note;
        numbers.renumber(&mut column);
        Some(Self { key: Arc::clone(&texts.get(key as usize)?.text), column, texts: Arc::clone(texts) })
    }
}

// === impl Slot ===

impl Slot {
    /// Adds parts that modules declared, behind the numbers that there are.
    pub fn declare(&mut self, parts: Vec<Resource>) {
        if !parts.is_empty() {
            self.resources = Arc::new(self.resources.with_declared(parts));
        }
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.samples.iter().map(|samples| samples.column.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.samples.iter().all(|samples| samples.column.is_empty())
    }
}
