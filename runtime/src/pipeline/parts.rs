//! Parts of guests that modules declared, as resources of the slot.

use std::collections::HashMap;
use std::sync::Arc;

use crate::contract::Column;
use crate::discovery::resource::Resource;
use crate::discovery::{Directory, Label, Resources};
use crate::sandbox::host::texts::Text;
use crate::sandbox::{Cause, Failure};

/// The number of a part that was refused.
const REFUSED: u32 = u32::MAX;

/// Parts that modules declare in a slot, beside those that are there.
#[derive(Debug)]
pub struct Parts<'a> {
    resources: &'a Resources,
    /// New ones, in the order of their numbers after all others.
    declared: Vec<Resource>,
    /// Numbers by guest and suffix.
    known: HashMap<(u32, Arc<str>), u32>,
    refused: u32,
}

/// What the numbers of a call's parts are in the slot.
#[derive(Debug)]
pub struct Numbers {
    first: u32,
    numbers: Vec<u32>,
}

// === impl Parts ===

impl<'a> Parts<'a> {
    /// None but those that were declared before.
    pub fn beside(resources: &'a Resources) -> Self {
        let before = resources.declared().filter_map(|number| {
            let part = resources.get(number)?;
            Some(((part.root, part.label.device.as_str().into()), number))
        });
        Self { resources, declared: Vec::new(), known: before.collect(), refused: 0 }
    }

    /// Declares what a call declared. A part that two calls declared is the same part, and one that has the name of a
    /// device is the device.
    pub fn declare(&mut self, directory: &mut Directory, parts: &[(u32, u32)], texts: &[Text]) -> Numbers {
        let numbers = parts.iter().map(|(guest, suffix)| {
            let number = texts.get(*suffix as usize).and_then(|text| self.number(directory, *guest, &text.text));
            self.refused += u32::from(number.is_none());
            number.unwrap_or(REFUSED)
        });
        Numbers { numbers: numbers.collect(), first: self.resources.len() }
    }

    fn number(&mut self, directory: &mut Directory, guest: u32, suffix: &Arc<str>) -> Option<u32> {
        let root = self.resources.get(guest)?;
        let key = (guest, Arc::clone(suffix));
        let known = self.known.get(&key).copied().or_else(|| self.resources.part_named(guest, suffix));
        let number = match known {
            Some(number) => number,
            None => {
                let (id, device) = (format!("{}-{suffix}", root.label.id), suffix.to_string());
                let label = Arc::new(Label { id, device, ..(*root.label).clone() });
                let ident = directory.declared(root.ident, suffix)?;
                let next = self.resources.len() + u32::try_from(self.declared.len()).ok()?;
                self.declared.push(Resource { ident, root: guest, label });
                next
            }
        };
        self.known.insert(key, number);
        Some(number)
    }

    /// Parts that were refused since this was asked last, as what their module did wrong. Their samples are left out.
    pub fn refused(&mut self) -> Option<(Failure, u32)> {
        let refused = std::mem::take(&mut self.refused);
        let failure = || Failure::new(Cause::TooMuch, "it declared more parts of guests than are kept");
        (refused > 0).then(|| (failure(), refused))
    }

    /// The new ones.
    pub fn into_declared(self) -> Vec<Resource> {
        self.declared
    }
}

// === impl Numbers ===

impl Numbers {
    /// Turns a call's numbers into the slot's, and keeps the order.
    pub fn renumber(&self, column: &mut Column) {
        if column.resources.last().is_none_or(|last| *last < self.first) {
            return;
        }
        for number in column.resources.iter_mut().filter(|number| **number >= self.first) {
            *number = self.numbers.get((*number - self.first) as usize).copied().unwrap_or(REFUSED);
        }
        column.retain(|number| number != REFUSED);
        column.ascend();
    }
}
