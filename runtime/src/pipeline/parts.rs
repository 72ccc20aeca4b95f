//! Parts of guests that modules declared, as resources of the slot.

use std::collections::HashMap;
use std::sync::Arc;

use crate::agent::OPERATOR;
use crate::contract::Column;
use crate::discovery::resource::Resource;
use crate::discovery::{Directory, Label, Resources};
use crate::sandbox::host::texts::Text;

/// Parts that modules declare in a slot, beside those that are there.
#[derive(Debug)]
pub struct Parts<'a> {
    resources: &'a Resources,
    /// New ones, in the order of their numbers after all others.
    declared: Vec<Resource>,
    /// Numbers by guest and suffix.
    known: HashMap<(u32, Arc<str>), u32>,
}

/// What the numbers of a call's parts are in the slot.
#[derive(Debug)]
pub struct Numbers {
    first: u32,
    /// The guest of each part, and the part's number in the slot.
    parts: Vec<(u32, u32)>,
}

/// Who declares a part.
#[derive(Debug, Clone, Copy)]
pub struct Declarer<'a> {
    /// Whose module it is.
    pub tenant: &'a Arc<str>,
    /// The module.
    pub module: &'a Arc<str>,
}

// === impl Declarer ===

impl Declarer<'_> {
    /// What the module is called among those of all tenants, and what its part is called: a tenant's have the
    /// deployment's name before theirs, so that none is taken for a device or for somebody else's part.
    fn names(self, suffix: &Arc<str>) -> (Arc<str>, Arc<str>) {
        match &**self.tenant {
            OPERATOR => (Arc::clone(self.module), Arc::clone(suffix)),
            tenant => (format!("{tenant}/{}", self.module).into(), format!("{tenant}/{}/{suffix}", self.module).into()),
        }
    }
}

// === impl Parts ===

impl<'a> Parts<'a> {
    /// None but those that were declared before.
    pub fn beside(resources: &'a Resources) -> Self {
        let before = resources.declared().filter_map(|number| {
            let part = resources.get(number)?;
            Some(((part.root, part.label.device.as_str().into()), number))
        });
        Self { resources, declared: Vec::new(), known: before.collect() }
    }

    /// Declares what a module's call declared. A part that two calls declared is the same part, and one that has the
    /// name of a device is the device.
    pub fn declare(
        &mut self,
        directory: &mut Directory,
        by: Declarer<'_>,
        parts: &[(u32, u32)],
        texts: &[Text],
    ) -> Numbers {
        let number = |(guest, suffix): &(u32, u32)| {
            let number = match (self.resources.get(*guest), texts.get(*suffix as usize)) {
                (Some(root), Some(text)) => self.number(directory, by, root, &text.text),
                // Both were looked at when the module declared the part.
                _ => *guest,
            };
            (*guest, number)
        };
        Numbers { parts: parts.iter().map(number).collect(), first: self.resources.len() }
    }

    fn number(&mut self, directory: &mut Directory, by: Declarer<'_>, root: &Resource, suffix: &Arc<str>) -> u32 {
        let (owner, suffix) = by.names(suffix);
        if let Some(device) = self.resources.part_named(root.root, &suffix) {
            return device;
        }
        // Asked for a known part, too: it is remembered for everyone who declares it.
        let ident = directory.declared(&owner, root.ident, &suffix);
        let next = self.resources.len().saturating_add(u32::try_from(self.declared.len()).unwrap_or(u32::MAX));
        let number = *self.known.entry((root.root, Arc::clone(&suffix))).or_insert(next);
        if number == next {
            let (id, device) = (format!("{}-{suffix}", root.label.id), suffix.to_string());
            let label = Arc::new(Label { id, device, ..(*root.label).clone() });
            self.declared.push(Resource { ident, root: root.root, label });
        }
        number
    }

    /// The new ones.
    pub fn into_declared(self) -> Vec<Resource> {
        self.declared
    }
}

// === impl Numbers ===

impl Numbers {
    /// The guest of a part that the call declared; `None` for what was there before.
    pub fn guest(&self, number: u32) -> Option<u32> {
        self.parts.get(number.checked_sub(self.first)? as usize).map(|(guest, _)| *guest)
    }

    /// Turns a call's numbers into the slot's, and keeps the order.
    pub fn renumber(&self, column: &mut Column) {
        if column.resources.last().is_none_or(|last| *last < self.first) {
            return;
        }
        for number in column.resources.iter_mut().filter(|number| **number >= self.first) {
            if let Some((_, of_slot)) = self.parts.get((*number - self.first) as usize) {
                *number = *of_slot;
            }
        }
        column.ascend();
    }
}
