//! Reading what guests are made of.
//!
//! Definitions are read one after the other, many in a call. One that does not come costs the others of its call a
//! slot: afterwards each of them is asked for alone.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::line::{Lines, Missed};
use crate::hypervisor::{Connection, Definition, HypervisorError, Record};

/// Definitions that are read in one call, whose watchdog is the same as that of others.
const TOGETHER: usize = 50;

/// What guests are made of, as far as that was read.
pub type Defined = Vec<(Uuid, Option<Definition>)>;

/// What was said when guests were asked for: what they are made of, or why that cannot be used.
type Answers = Vec<(Uuid, Result<Option<Definition>, String>)>;

/// What is remembered from slot to slot of guests that are hard to define.
#[derive(Debug, Default)]
pub struct Definitions {
    /// Guests one of which was late: each is asked for alone.
    suspects: BTreeSet<Uuid>,
    /// Guests that were late alone. They are not asked for again while any call is stuck.
    late: BTreeSet<Uuid>,
    /// Guests whose definition cannot be used, and why: what the log has said already.
    refused: BTreeMap<Uuid, String>,
}

// === impl Definitions ===

impl Definitions {
    /// Reads definitions; `None` for guests that are gone or whose definition cannot be used, with a word in the log
    /// when that begins. What is not had in time is left out.
    pub async fn read(&mut self, lines: &Lines, guests: Vec<Uuid>) -> Result<Defined, HypervisorError> {
        let mut defined = Vec::with_capacity(guests.len());
        if lines.stuck() == 0 {
            self.late.clear();
        }
        self.suspects.retain(|guest| guests.contains(guest));
        let asked: Vec<Uuid> = guests.into_iter().filter(|guest| !self.late.contains(guest)).collect();
        let (alone, together): (Vec<Uuid>, Vec<Uuid>) = asked.iter().partition(|guest| self.suspects.contains(*guest));
        for some in together.chunks(TOGETHER).chain(alone.chunks(1)) {
            match lines.call(define_all(some.to_vec())).await {
                Ok(answers) => {
                    let understood = |(guest, answer)| (guest, self.understood(guest, answer));
                    defined.extend(answers.into_iter().map(understood));
                }
                Err(Missed::Refused(error)) => return Err(error),
                Err(Missed::Late) => {
                    match some {
                        [guest] => drop(self.late.insert(*guest)),
                        _ => self.suspects.extend(some),
                    }
                    let left = asked.len() - defined.len();
                    tracing::warn!(left, "Definitions take too long; the rest is read in the next slot.");
                    break;
                }
            }
        }
        Ok(defined)
    }

    /// A definition that can be used. Why one cannot is said once, and again when there is another reason.
    fn understood(&mut self, guest: Uuid, answer: Result<Option<Definition>, String>) -> Option<Definition> {
        let reason = match answer {
            Ok(definition) => {
                self.refused.remove(&guest);
                return definition;
            }
            Err(reason) => reason,
        };
        if self.refused.get(&guest) != Some(&reason) {
            tracing::warn!(
                %guest,
                reason,
                "A guest's definition cannot be used; until that changes, an older one is, or the guest is left out."
            );
            self.refused.insert(guest, reason);
        }
        None
    }

    /// Guests whose definition cannot be used, and why.
    pub fn refused(&self) -> &BTreeMap<Uuid, String> {
        &self.refused
    }

    /// Forgets guests that are not there.
    pub fn forget_others(&mut self, there: &[Record]) {
        if !self.refused.is_empty() {
            let there: BTreeSet<Uuid> = there.iter().map(|record| record.guest).collect();
            self.refused.retain(|guest, _| there.contains(guest));
        }
    }
}

/// A call that defines guests, one after the other.
fn define_all(guests: Vec<Uuid>) -> impl FnOnce(&mut dyn Connection) -> Result<Answers, HypervisorError> {
    move |connection| {
        let define = |guest: Uuid| match connection.define(guest) {
            Err(HypervisorError::Unusable { reason }) => Some(Ok((guest, Err(reason)))),
            // It is asked for again in the next slot: what failed may not have had to do with the guest.
            Err(HypervisorError::Call { call, reason }) => {
                tracing::debug!(%guest, call, reason, "A definition could not be read.");
                None
            }
            other => Some(other.map(|definition| (guest, Ok(definition)))),
        };
        guests.into_iter().filter_map(define).collect()
    }
}
