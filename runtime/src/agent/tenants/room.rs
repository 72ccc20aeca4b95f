//! How much tenants' modules may remember together. What of it changes is in the record of a landing, beside everybody's
//! samples: a record that is too large for the spool would lose them all.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Deployed;
use crate::agent::polling::Polled;
use crate::modules::life::Outcome;
use crate::sandbox::host::state::State;
use crate::sandbox::{Cause, Failure};

/// Room for what tenants' modules remember.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Room {
    /// Bytes for all of them together.
    most: usize,
    /// Bytes that each tenant's modules remember.
    used: BTreeMap<Arc<str>, usize>,
}

/// Of the spool, this part is for what tenants' modules remember.
const PART: u64 = 16;
/// Bytes that there are for it however small the spool is.
const LEAST: u64 = 1 << 20;

// === impl Room ===

impl Room {
    /// What there is in a spool of this size beside what these remember, and what sinks remember of what they gave.
    pub fn beside<'a>(
        deployed: impl Iterator<Item = &'a Deployed>,
        in_sinks: BTreeMap<Arc<str>, usize>,
        spool: u64,
    ) -> Self {
        let mut used = in_sinks;
        for deployed in deployed {
            let recorded = deployed.states.values().map(|state| state.recorded()).sum::<usize>();
            *used.entry(Arc::clone(&deployed.tenant)).or_default() += recorded;
        }
        Self { most: usize::try_from((spool / PART).max(LEAST)).unwrap_or(usize::MAX), used }
    }

    /// Has what a module gave for so many resources come to nothing if it would remember more than there is room for.
    /// Then it is told how that went.
    pub fn admit(
        &mut self,
        tenant: &Arc<str>,
        before: &Arc<State>,
        polled: &mut Polled,
        resources: u32,
    ) -> Option<Outcome> {
        // Nothing that would be in a record.
        if Arc::ptr_eq(before, &polled.state) {
            return None;
        }
        let failure = self.take(tenant, before.recorded(), polled.state.recorded()).err()?;
        let cause = failure.cause;
        polled.refuse(failure, resources, Arc::clone(before));
        Some(Outcome::Failed(cause))
    }

    /// Takes room for so many bytes of a tenant's in the place of so many. A tenant that has less than its equal share has it whatever
    /// others have, and what does not grow is never too much.
    pub fn take(&mut self, tenant: &Arc<str>, before: usize, after: usize) -> Result<(), Failure> {
        let own = self.used.entry(Arc::clone(tenant)).or_default();
        let others_before = *own;
        let wanted = own.saturating_sub(before).saturating_add(after);
        let all = self.used.values().sum::<usize>().saturating_sub(others_before).saturating_add(wanted);
        let share = self.most / self.used.len().max(1);
        if after > before && wanted > share && all > self.most {
            let most = self.most;
            let detail = format!(
                "it would remember {after} bytes, its tenant's modules {wanted}, and all tenants' {all}, which may \
                 remember {most} together"
            );
            return Err(Failure::new(Cause::TooMuch, detail));
        }
        self.used.insert(Arc::clone(tenant), wanted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sandbox::Landed;
    use crate::sandbox::host::log::Lines;
    use crate::sandbox::host::state::Writes;

    const MIB: usize = 1 << 20;

    fn room(most: usize, used: &[(&str, usize)]) -> Room {
        Room { most, used: used.iter().map(|(tenant, used)| ((*tenant).into(), *used)).collect() }
    }

    fn state(bytes: usize) -> Arc<State> {
        let mut state = State::default();
        state.commit(Writes { cells: Vec::new(), bytes: vec![("name".to_owned(), vec![1; bytes])] });
        Arc::new(state)
    }

    fn polled(state: &Arc<State>) -> Polled {
        let (output, meters, parts, texts) = Default::default();
        let landed = Landed { output, meters, parts, texts, writes: Writes::default(), dropped: 0 };
        Polled {
            landed: vec![landed],
            failures: Vec::new(),
            state: Arc::clone(state),
            fuel: 1,
            memory: 1,
            took: Duration::ZERO,
            calls: 1,
            granted: 1,
            lines: Lines::default(),
        }
    }

    #[test]
    fn there_is_a_sixteenth_of_the_spool_and_at_least_a_mebibyte() {
        let most = |spool: usize| Room::beside(std::iter::empty(), BTreeMap::new(), spool as u64).most;
        assert_eq!([64 * MIB, 16 * MIB, MIB].map(most), [4 * MIB, MIB, MIB]);
    }

    #[test]
    fn what_would_remember_too_much_fails_alone_and_remembers_what_it_did() {
        let (greedy, other): (Arc<str>, Arc<str>) = ("greedy".into(), "other".into());
        let mut room = room(4 * MIB, &[("greedy", 3 * MIB), ("other", 0)]);
        let (before, after) = (state(10), state(2 * MIB));
        let mut gave = polled(&after);
        assert_eq!(room.admit(&greedy, &before, &mut gave, 7), Some(Outcome::Failed(Cause::TooMuch)));
        assert!(gave.landed.is_empty() && Arc::ptr_eq(&gave.state, &before));
        let (failure, resources) = &gave.failures[0];
        assert_eq!((failure.cause, *resources), (Cause::TooMuch, 7));
        assert!(failure.detail.ends_with("which may remember 4194304 together"), "{failure:?}");
        // Others have what they always had.
        let mut gave = polled(&state(MIB));
        assert_eq!(room.admit(&other, &before, &mut gave, 7), None);
        assert_eq!((gave.landed.len(), gave.failures.len(), gave.state.size()), (1, 0, MIB));
        // And whoever changes nothing takes nothing.
        let mut gave = polled(&after);
        assert_eq!(room.admit(&greedy, &after, &mut gave, 7), None);
    }

    #[test]
    fn whoever_has_less_than_its_share_is_not_refused_because_others_have_more() {
        let [first, second]: [Arc<str>; 2] = ["first", "second"].map(Into::into);
        let mut alone = room(100, &[("first", 0)]);
        assert!(alone.take(&first, 0, 100).is_ok() && alone.take(&first, 0, 1).is_err());
        let mut room = room(100, &[("first", 100), ("second", 0)]);
        assert!(room.take(&second, 0, 50).is_ok(), "its share");
        assert!(room.take(&second, 0, 1).is_err(), "beyond that there is nothing");
        assert!(room.take(&first, 10, 10).is_ok(), "what there is may change");
        assert!(room.take(&first, 10, 11).is_err());
        assert!(room.take(&first, 60, 9).is_ok());
        assert!(room.take(&second, 0, 1).is_ok(), "what others left");
        assert_eq!(room.used.values().copied().collect::<Vec<_>>(), [49, 51]);
    }
}
