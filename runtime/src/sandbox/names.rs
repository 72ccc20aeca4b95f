//! Whose meter a name is: no two modules give samples of one name.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::call::Landed;
use super::failure::{Cause, Failure};
use super::granted::Granted;
use super::limits::OWN_NAMES;
use crate::contract::Meter;

pub mod built_in;

/// Names of meters that were described when modules were loaded, or declared since.
#[derive(Debug, Default, Clone)]
pub struct Names {
    owners: HashMap<String, Owner>,
    /// The same as they are on `/metrics`. Every deployment holds those of the operator's.
    metrics: Arc<HashSet<String>>,
    /// When names of a module were looked through last for those of earlier slots.
    swept: HashMap<Arc<str>, u64>,
    /// How many names of a module were declared.
    declared: HashMap<Arc<str>, usize>,
    slot: u64,
    /// The operator's names, which no deployment of a tenant's gives.
    reserved: Option<Arc<HashSet<String>>>,
}

/// Who gives a meter: a module by its name, and what it was granted.
pub type Giver<'a> = (&'a Arc<str>, &'a Granted);

/// Why a name may not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Nobody else gives it, whatever is granted.
    #[error("the meter {0} is the operator's; choose a name of its own")]
    Operators(String),
    /// It begins with nothing that was granted.
    #[error("the meter {name} was not granted: {}", beginnings(granted))]
    NotGranted {
        /// The name.
        name: String,
        /// What names may begin with.
        granted: Arc<[String]>,
    },
}

/// What the names begin with that the host itself gives, as they are on `/metrics`.
const HOSTS: &str = "wasmeter_";

#[derive(Debug, Clone)]
struct Owner {
    module: Arc<str>,
    /// The last slot in which it was declared; `None` for one that its module described when it was loaded.
    declared: Option<u64>,
}

fn beginnings(granted: &[String]) -> String {
    match granted {
        [] => "no names were".to_owned(),
        some => format!("names begin with `{}`", some.join("`, `")),
    }
}

// === impl Names ===

impl Names {
    /// Names of a tenant's deployment: none is one of the operator's or one that a built-in pollster gives, on or off.
    pub fn beside(reserved: &Self) -> Self {
        Self { reserved: Some(Arc::clone(&reserved.metrics)), ..Self::default() }
    }

    /// The operator's names from now on, which no deployment of a tenant's gives.
    pub fn reserve(&mut self, reserved: &Self) {
        self.reserved = Some(Arc::clone(&reserved.metrics));
    }

    /// Whether a name may be had at all by whom this was granted, whoever has it.
    pub fn allow(&self, granted: &Granted, name: &str) -> Result<(), NotAllowed> {
        if let Some(reserved) = &self.reserved {
            let metric = metric(name);
            if metric.starts_with(HOSTS) || built_in::has_metric(&metric) || reserved.contains(&metric) {
                return Err(NotAllowed::Operators(name.to_owned()));
            }
        }
        match &granted.names {
            Some(beginnings) if !beginnings.iter().any(|beginning| name.starts_with(&**beginning)) => {
                Err(NotAllowed::NotGranted { name: name.to_owned(), granted: Arc::clone(beginnings) })
            }
            _ => Ok(()),
        }
    }

    /// Takes a name for a module that described it when it was loaded, or says whose it is.
    pub fn describe(&mut self, module: &Arc<str>, name: &str) -> Result<(), Arc<str>> {
        match self.owners.get(name) {
            Some(owner) if owner.module != *module => Err(Arc::clone(&owner.module)),
            Some(_) => Ok(()),
            None => {
                self.own(name, Owner { module: Arc::clone(module), declared: None });
                Ok(())
            }
        }
    }

    /// Keeps what these modules have declared among other names, as far as these are free of it.
    pub fn keep_declared(&mut self, before: &Self, still_runs: impl Fn(&str) -> bool) {
        self.slot = before.slot;
        for (name, owner) in &before.owners {
            if owner.declared.is_some() && !self.owners.contains_key(name) && still_runs(&owner.module) {
                self.own(name, owner.clone());
                *self.declared.entry(Arc::clone(&owner.module)).or_default() += 1;
            }
        }
    }

    /// All names that modules gave their meters.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.owners.keys().map(String::as_str)
    }

    /// Another slot begins.
    pub fn next_slot(&mut self) {
        self.slot += 1;
    }

    /// Why a module cannot have a meter of this name, if another has one.
    pub fn refuse(&self, (module, granted): Giver<'_>, name: &str) -> Result<(), String> {
        self.allow(granted, name).map_err(|not_allowed| not_allowed.to_string())?;
        match self.owners.get(name).filter(|owner| owner.module != *module) {
            Some(owner) => Err(taken(name, &owner.module)),
            None => Ok(()),
        }
    }

    /// Takes the names that a module described or declared in a call that landed. Where it cannot have one, because
    /// another module declared it in the same slot or because it has too many, the samples of that meter are left
    /// out; they come back as failures, with their number. `of` says which meter something is of, and how many
    /// samples it is.
    pub fn land<T>(
        &mut self,
        giver: Giver<'_>,
        gives: &[Meter],
        landed: &mut Landed<Vec<T>>,
        of: impl Fn(&T) -> (u32, usize),
    ) -> Vec<(Failure, u32)> {
        let meters = (0..).zip(gives.iter().chain(&landed.meters));
        let denied = meters.filter_map(|(position, meter)| Some((position, self.declare(giver, &meter.name).err()?)));
        let denied: HashMap<u32, Failure> = denied.collect();
        let mut failures = Vec::new();
        if !denied.is_empty() {
            landed.output.retain(|given| {
                let (position, samples) = of(given);
                let Some(failure) = denied.get(&position) else { return true };
                failures.push((failure.clone(), u32::try_from(samples).unwrap_or(u32::MAX)));
                false
            });
        }
        failures
    }

    fn declare(&mut self, (module, granted): Giver<'_>, name: &str) -> Result<(), Failure> {
        self.allow(granted, name).map_err(|not_allowed| Failure::new(Cause::Forged, not_allowed.to_string()))?;
        if let Some(owner) = self.owners.get_mut(name) {
            if owner.module != *module {
                return Err(Failure::new(Cause::Forged, taken(name, &owner.module)));
            }
            if owner.declared.is_some() {
                owner.declared = Some(self.slot);
            }
            return Ok(());
        }
        if self.declared.get(module).is_some_and(|declared| *declared >= OWN_NAMES) {
            self.forget_all_but_this_slots(module);
        }
        let declared = self.declared.entry(Arc::clone(module)).or_default();
        if *declared >= OWN_NAMES {
            let detail = format!("it declared more than {OWN_NAMES} meters in a slot, such as {name}");
            return Err(Failure::new(Cause::TooMuch, detail));
        }
        *declared += 1;
        self.own(name, Owner { module: Arc::clone(module), declared: Some(self.slot) });
        Ok(())
    }

    fn own(&mut self, name: &str, owner: Owner) {
        Arc::make_mut(&mut self.metrics).insert(metric(name));
        self.owners.insert(name.to_owned(), owner);
    }

    fn forget_all_but_this_slots(&mut self, module: &Arc<str>) {
        let slot = self.slot;
        // Once a slot: what was declared in it stays.
        if self.swept.insert(Arc::clone(module), slot) == Some(slot) {
            return;
        }
        let old = |owner: &Owner| owner.module == *module && owner.declared.is_some_and(|last| last < slot);
        let forgotten = self.owners.extract_if(|_, owner| old(owner)).count();
        if forgotten > 0 {
            self.metrics = Arc::new(self.owners.keys().map(|name| metric(name)).collect());
        }
        if let Some(declared) = self.declared.get_mut(module) {
            *declared = declared.saturating_sub(forgotten);
        }
    }
}

/// A name as it is on `/metrics`, where all but letters and digits is `_`. Who sums up a built-in meter's series there has
/// to find nobody else's among them.
fn metric(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn taken(name: &str, owner: &Arc<str>) -> String {
    format!("the meter {name} is the module {owner}'s; choose a name of its own")
}

#[cfg(test)]
mod tests;
