//! Answering from recorded slots, one after the other.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::{Recorded, RecordedGuest};
use crate::hypervisor::{Connection, Definition, Groups, Guests, HypervisorError, KeyId, Record, Request, Stat};

/// What a recording says, and where it stands.
pub(super) struct Tape {
    path: PathBuf,
    /// At least one.
    pub(super) slots: Vec<Slot>,
    /// The group of every key.
    groups: HashMap<KeyId, Groups>,
    /// The slot that lasts, counted from 1; 0 before the first one.
    begun: AtomicUsize,
}

/// One slot and the places of its guests.
pub(super) struct Slot {
    pub(super) recorded: Recorded,
    places: HashMap<Uuid, usize>,
}

/// A connection to a recording.
pub(super) struct Session {
    tape: Arc<Tape>,
}

// === impl Tape ===

impl Tape {
    pub(super) fn new(path: &Path, slots: Vec<Recorded>) -> Self {
        let mut groups = HashMap::new();
        for stat in slots.iter().flat_map(|slot| &slot.guests).flat_map(|guest| &guest.stats) {
            groups.entry(stat.key).or_insert_with(|| Groups::of_key(&stat.key.name()).unwrap_or(Groups::NONE));
        }
        let slots = slots.into_iter().map(Slot::of).collect();
        Self { path: path.to_owned(), slots, groups, begun: AtomicUsize::new(0) }
    }

    /// The slot that lasts.
    pub(super) fn now(&self) -> Option<&Slot> {
        self.slots.get(self.place())
    }

    /// Its number, from 0.
    pub(super) fn place(&self) -> usize {
        self.begun.load(Ordering::SeqCst).saturating_sub(1)
    }

    /// Goes to the next slot.
    fn wind(&self) {
        let next = |begun| Some(if begun < self.slots.len() { begun + 1 } else { 1 });
        // It always changes, so there is nothing to learn from the result.
        let _ = self.begun.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
    }

    fn record(&self, guest: &RecordedGuest, Request { groups, keys, .. }: &Request) -> Record {
        let is_in = |group: &Groups| !group.is_empty() && groups.contains(*group);
        let is_wanted = |stat: &&Stat| keys.has(stat.key) && self.groups.get(&stat.key).is_some_and(is_in);
        let stats = guest.stats.iter().filter(is_wanted).cloned().collect();
        Record { guest: guest.definition.uuid, revision: guest.revision, stats }
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("path", &self.path).field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}

// === impl Slot ===

impl Slot {
    fn of(recorded: Recorded) -> Self {
        let places = recorded.guests.iter().enumerate().map(|(place, guest)| (guest.definition.uuid, place));
        Self { places: places.collect(), recorded }
    }

    fn guest(&self, uuid: Uuid) -> Option<&RecordedGuest> {
        self.recorded.guests.get(*self.places.get(&uuid)?)
    }
}

// === impl Session ===

impl Session {
    pub(super) fn new(tape: &Arc<Tape>) -> Self {
        Self { tape: Arc::clone(tape) }
    }
}

impl Connection for Session {
    fn read(&mut self, request: &Request) -> Result<Vec<Record>, HypervisorError> {
        if request.guests == Guests::All && request.groups.contains(Groups::STATE) {
            self.tape.wind();
        }
        let Some(slot) = self.tape.now() else { return Ok(Vec::new()) };
        let record = |guest| self.tape.record(guest, request);
        Ok(match &request.guests {
            Guests::All => slot.recorded.guests.iter().map(record).collect(),
            Guests::Only(uuids) => uuids.iter().filter_map(|uuid| slot.guest(*uuid)).map(record).collect(),
        })
    }

    fn define(&mut self, guest: Uuid) -> Result<Option<Definition>, HypervisorError> {
        Ok(self.tape.now().and_then(|slot| slot.guest(guest)).map(|guest| guest.definition.clone()))
    }

    fn occupied(&mut self, _guests: &[Uuid]) -> Result<Vec<(Uuid, Duration)>, HypervisorError> {
        Ok(Vec::new())
    }
}
