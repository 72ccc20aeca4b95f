//! A host for pollsters that are linked into this program: the daemon's own snapshot, view and identities behind
//! plain function calls.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use wasmeter::contract;
use wasmeter::discovery::{Snapshot, View};
use wasmeter_sdk::answers::Answers;
use wasmeter_sdk::http::{self, Request, Response};
use wasmeter_sdk::{Column, Level, LimitReached, Meter, Moment, ReadError, Values};

/// Answers natively.
pub struct Native {
    pub snapshot: Arc<Snapshot>,
    pub view: View,
    texts: RefCell<Vec<String>>,
    cells: RefCell<HashMap<String, Vec<Option<u64>>>>,
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Native")
    }
}

impl Native {
    /// A host of this slot.
    pub fn new(snapshot: Arc<Snapshot>, view: View) -> Self {
        Self { snapshot, view, texts: RefCell::default(), cells: RefCell::default() }
    }

    fn ident(&self, resource: u32) -> usize {
        self.snapshot.resources.get(resource).map_or(0, |resource| resource.ident.0 as usize)
    }
}

/// The host's column as the module's: the same lists under another name.
fn theirs(column: contract::Column) -> Column {
    let values = match column.values {
        contract::Values::Counts(values) => Values::Counts(values),
        contract::Values::Integers(values) => Values::Integers(values),
        contract::Values::Reals(values) => Values::Reals(values),
        contract::Values::Interned(values) => Values::Interned(values),
    };
    Column { resources: column.resources, values }
}

impl Answers for Native {
    fn stat_column(&self, key: &str) -> Result<Column, ReadError> {
        let column = self.snapshot.column(key).ok_or(ReadError::Unavailable)?;
        Ok(theirs(self.view.slice(column)))
    }

    fn parents_of(&self, resources: &[u32]) -> Vec<u32> {
        resources.iter().map(|r| self.snapshot.resources.get(*r).map_or(*r, |resource| resource.root)).collect()
    }

    fn attribute_column(&self, _: &str) -> Result<Column, ReadError> {
        Err(ReadError::Unavailable)
    }

    fn intern(&self, texts: &[String]) -> Result<Vec<u32>, LimitReached> {
        let mut known = self.texts.borrow_mut();
        known.clear();
        known.extend_from_slice(texts);
        Ok((0..).zip(texts).map(|(number, _)| number).collect())
    }

    fn intern_json(&self, texts: &[String]) -> Result<Vec<u32>, LimitReached> {
        self.intern(texts)
    }

    fn resolve(&self, _: &[u32]) -> Vec<String> {
        Vec::new()
    }

    fn declare_meters(&self, _: &[Meter]) -> Result<Vec<u32>, LimitReached> {
        Ok(Vec::new())
    }

    fn declare_parts(&self, _: &[u32], _: &[u32]) -> Result<Vec<u32>, LimitReached> {
        Ok(Vec::new())
    }

    fn time(&self) -> Moment {
        let at = self.snapshot.at;
        Moment { wall: at.wall, monotonic: Some(at.monotonic) }
    }

    fn load(&self, name: &str, resources: &[u32]) -> Option<Column> {
        let all = self.cells.borrow();
        let cells = all.get(name)?;
        let (mut found, mut values) = (Vec::with_capacity(resources.len()), Vec::with_capacity(resources.len()));
        for resource in resources {
            if let Some(Some(value)) = cells.get(self.ident(*resource)) {
                found.push(*resource);
                values.push(*value);
            }
        }
        Some(Column { resources: found, values: Values::Counts(values) })
    }

    fn save(&self, name: &str, cells: &Column) -> Result<(), LimitReached> {
        let mut all = self.cells.borrow_mut();
        let kept = all.entry(name.to_owned()).or_default();
        if let Values::Counts(values) = &cells.values {
            for (resource, value) in cells.resources.iter().zip(values) {
                let place = self.ident(*resource);
                if kept.len() <= place {
                    kept.resize(place + 1, None);
                }
                if let Some(cell) = kept.get_mut(place) {
                    *cell = Some(*value);
                }
            }
        }
        Ok(())
    }

    fn load_bytes(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn save_bytes(&self, _: &str, _: &[u8]) -> Result<(), LimitReached> {
        Ok(())
    }

    fn log(&self, _: Level, _: &str) {}

    fn dropped(&self, _: u32) {}

    fn is_part(&self) -> bool {
        false
    }

    fn room(&self) -> u64 {
        u64::MAX
    }

    fn request(&self, _: &Request) -> Result<Response, http::Error> {
        Err(http::Error::Denied("there is nobody to ask".to_owned()))
    }
}
