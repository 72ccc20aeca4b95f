//! What was read in one slot: numbered resources and columns of statistics.

mod growing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use self::growing::{Columns, Keys, Present};
use super::directory::{Directory, Shape};
use super::resource::Resources;
use super::view::View;
use crate::clock::Moment;
use crate::contract::Column;
use crate::hypervisor::{Groups, KeyId, Record};

/// libvirt's number of the state in which a guest is off. Ceilometer gives no sample of such a guest that needs
/// libvirt, unless it is configured to.
const SHUT_OFF: i64 = 5;

/// What was read in one slot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When the reading began.
    pub at: Moment,
    /// Everything that can be sampled.
    pub resources: Arc<Resources>,
    /// Guests that are nobody's, and are not in here for that.
    pub nobodys: usize,
    /// Groups of statistics that were read; of these, a key without a column is one that nobody has a value of.
    groups: Groups,
    /// Statistics by key.
    columns: HashMap<String, Column>,
}

// === impl Snapshot ===

impl Snapshot {
    /// Puts together what was read, as far as it is wanted. `others` are the roots that are no guests.
    pub fn assemble(
        directory: &mut Directory,
        wanted: impl Fn(KeyId) -> bool,
        groups: Groups,
        records: &[Record],
        others: &[String],
        at: Moment,
    ) -> Self {
        let keys = Keys::find(wanted);
        directory.turn_to(at);
        let report_stopped = directory.rules().guests.report_stopped;
        let (mut guests, mut present) = (Vec::with_capacity(records.len()), Vec::with_capacity(records.len()));
        let (mut unmetered, mut shape) = (Vec::new(), Shape::default());
        for record in records {
            keys.look_at(record, &mut shape);
            match directory.saw(record.guest, &shape) {
                Some((definition, resources)) => {
                    guests.push(resources);
                    present.push(Present { definition, record, state: shape.state });
                }
                None => unmetered.push(record.guest),
            }
        }
        let nobodys = directory.nobodys(unmetered.into_iter());
        let others = others.iter().map(|id| directory.root(id)).collect();
        let resources = directory.number(guests, others);
        let mut columns = Columns::of(keys);
        for (root, one) in (0..).zip(&present) {
            columns.flavor(root, &one.definition);
            match (one.state, report_stopped) {
                (SHUT_OFF, false) => {}
                (SHUT_OFF, true) => columns.stopped_guest(root, one, &resources),
                _ => columns.guest(root, one, &resources),
            }
        }
        Self { at, resources, nobodys, groups, columns: columns.finish() }
    }

    /// Resources without statistics.
    pub fn empty(resources: Arc<Resources>, at: Moment) -> Self {
        Self { at, resources, nobodys: 0, groups: Groups::NONE, columns: HashMap::new() }
    }

    /// The column of a key, for all resources. `None` if nothing has a value under it.
    pub fn column(&self, key: &str) -> Option<&Column> {
        self.columns.get(key)
    }

    /// The same without the values of a key.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        let others = self.columns.iter().filter(|(name, _)| *name != key);
        let columns = others.map(|(name, column)| (name.clone(), column.clone())).collect();
        Self { resources: Arc::clone(&self.resources), columns, ..*self }
    }

    /// Groups of which a resource has a value that may be seen.
    pub fn groups_of(&self, view: &View) -> Groups {
        let seen = self.columns.iter().filter(|(_, column)| view.count(column) > 0);
        Groups::of_keys(seen.map(|(key, _)| key.as_str()))
    }

    /// Whether a key was read, even if nobody has a value under it.
    pub fn was_read(&self, key: &str) -> bool {
        key.starts_with("flavor.") || Groups::of_key(key).is_some_and(|group| self.groups.contains(group))
    }
}
