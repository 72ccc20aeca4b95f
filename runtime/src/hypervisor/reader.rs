//! Reading a host that may be slow, give part of an answer, or never answer.
//!
//! Every call has a watchdog and runs on a thread with a connection of its own, a [`line::Line`]; a call that does
//! not come back keeps its line, and the rest is read on a new one in the same slot. Guests in which a call is stuck
//! are left out of what needs their process until no call is stuck in them any more; what needs no process is read
//! of them all the same. Beyond a number of stuck calls, nothing that a guest's process has to answer is asked at all;
//! at twice as many the host as a whole must hang, and nothing is asked until a call comes back.

pub mod line;
pub mod want;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use self::line::{Lines, Missed};
pub use self::want::Want;
use super::{Connection, Definition, Groups, Guests, Hypervisor, HypervisorError, Record, Request};

/// Definitions that are read in one call, whose watchdog is the same as that of others.
const DEFINITIONS: usize = 50;

/// Reads one host, slot after slot.
#[derive(Debug)]
pub struct Reader {
    lines: Lines,
    max_stuck: usize,
    /// Guests in which a call of ours, or of another, is stuck.
    quarantined: BTreeSet<Uuid>,
    /// Guests one of which was late to be defined: each is asked for alone.
    suspects: BTreeSet<Uuid>,
    /// Guests that were late alone. They are not asked for again while any call is stuck.
    undefined: BTreeSet<Uuid>,
    /// Guests whose definition cannot be used, and why: what the log has said already.
    refused: BTreeMap<Uuid, String>,
}

/// What one slot's reading gave.
#[derive(Debug, Default)]
pub struct Reading {
    /// Groups that were read.
    pub groups: Groups,
    /// Statistics of every guest that there is.
    pub records: Vec<Record>,
    /// Guests that gave only what needs no monitor.
    pub stuck: BTreeSet<Uuid>,
    /// Why statistics that need a monitor are missing altogether, if they are.
    pub missing: Option<String>,
}

/// What guests are made of, as far as that was read.
pub type Defined = Vec<(Uuid, Option<Definition>)>;

// === impl Reader ===

impl Reader {
    /// A reader that gives each call so much time, and lets so many calls be stuck.
    pub fn new(hypervisor: Arc<dyn Hypervisor>, watchdog: Duration, max_stuck: usize) -> Self {
        Self {
            lines: Lines::new(hypervisor, watchdog, most(max_stuck)),
            max_stuck,
            quarantined: BTreeSet::new(),
            suspects: BTreeSet::new(),
            undefined: BTreeSet::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Follows a change of configuration. Stuck calls stay what they are.
    pub fn reconfigure(&mut self, watchdog: Duration, max_stuck: usize) {
        self.lines.reconfigure(watchdog, most(max_stuck));
        self.max_stuck = max_stuck;
    }

    /// Calls that have not come back.
    pub fn stuck_calls(&self) -> usize {
        self.lines.stuck()
    }

    /// Reads what is wanted of every guest.
    pub async fn read(&mut self, want: &Want) -> Result<Reading, HypervisorError> {
        let free = want.groups().without_monitor() | Groups::STATE;
        let records = match self.request(free, Guests::All).await {
            Ok(records) => records,
            Err(Missed::Refused(error)) => return Err(error),
            Err(Missed::Late) => return Err(late(self.lines.watchdog())),
        };
        let mut reading = Reading { groups: free, records, ..Reading::default() };
        self.release(&reading).await;
        if !self.refused.is_empty() {
            let present: BTreeSet<Uuid> = reading.records.iter().map(|record| record.guest).collect();
            self.refused.retain(|guest, _| present.contains(guest));
        }
        if !want.groups().with_monitor().is_empty() {
            self.monitored(want.groups().with_monitor(), &mut reading).await;
        }
        if reading.missing.is_none() {
            reading.groups = reading.groups | want.groups();
        }
        for (groups, guests) in want.fall_backs(&reading.records) {
            if reading.missing.is_some() {
                break;
            }
            let guests: Vec<Uuid> = guests.into_iter().filter(|guest| !self.quarantined.contains(guest)).collect();
            if !guests.is_empty() {
                match self.request(groups, Guests::Only(guests)).await {
                    Ok(more) => reading.merge(more),
                    Err(Missed::Refused(error)) => {
                        reading.missing = Some(error.to_string());
                        break;
                    }
                    Err(Missed::Late) => self.quarantine(&reading).await,
                }
            }
            reading.groups = reading.groups | groups;
        }
        reading.stuck.clone_from(&self.quarantined);
        Ok(reading)
    }

    /// What guests are made of; `None` for those that are gone meanwhile or that the hypervisor says nothing about,
    /// with a word in the log when that begins. What is not had in time is left out, and asked for again in the next
    /// slot.
    pub async fn define(&mut self, guests: Vec<Uuid>) -> Result<Defined, HypervisorError> {
        let mut defined = Vec::with_capacity(guests.len());
        if self.lines.stuck() == 0 {
            self.undefined.clear();
        }
        self.suspects.retain(|guest| guests.contains(guest));
        let asked: Vec<Uuid> = guests.into_iter().filter(|guest| !self.undefined.contains(guest)).collect();
        let (alone, together): (Vec<Uuid>, Vec<Uuid>) = asked.iter().partition(|guest| self.suspects.contains(*guest));
        for some in together.chunks(DEFINITIONS).chain(alone.chunks(1)) {
            match self.lines.call(define_all(some.to_vec())).await {
                Ok(answers) => {
                    let understood = |(guest, answer)| (guest, self.understood(guest, answer));
                    defined.extend(answers.into_iter().map(understood));
                }
                Err(Missed::Refused(error)) => return Err(error),
                Err(Missed::Late) => {
                    match some {
                        [guest] => drop(self.undefined.insert(*guest)),
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

    /// Reads what needs the guests' processes: at most twice, and the second time without those that held up the
    /// first.
    async fn monitored(&mut self, groups: Groups, reading: &mut Reading) {
        let mut known = 0;
        loop {
            if self.lines.stuck() >= self.max_stuck {
                let stuck = self.lines.stuck();
                reading.missing = Some(format!("{stuck} calls are stuck, and no more are risked"));
                return;
            }
            let guests = if self.quarantined.is_empty() {
                Guests::All
            } else {
                let free = |guest: &Uuid| !self.quarantined.contains(guest);
                Guests::Only(reading.records.iter().map(|record| record.guest).filter(free).collect())
            };
            match self.request(groups, guests).await {
                Ok(more) => {
                    reading.merge(more);
                    return;
                }
                // What was read without is not lost with it.
                Err(Missed::Refused(error)) => {
                    reading.missing = Some(error.to_string());
                    return;
                }
                Err(Missed::Late) => self.quarantine(reading).await,
            }
            if self.quarantined.len() <= known {
                // Nobody is known to be stuck: the host as a whole is slow.
                let most = self.lines.watchdog().as_millis();
                reading.missing = Some(format!("the hypervisor took more than {most} ms"));
                return;
            }
            known = self.quarantined.len();
        }
    }

    /// Finds out who is stuck, after a call did not come back.
    async fn quarantine(&mut self, reading: &Reading) {
        let guests = reading.records.iter().map(|record| record.guest).collect();
        let occupied = self.occupied(guests).await;
        self.quarantined.extend(occupied);
    }

    /// Lets go of guests in which no call is stuck any more, and of those that are gone.
    async fn release(&mut self, reading: &Reading) {
        if self.quarantined.is_empty() {
            return;
        }
        let present: BTreeSet<Uuid> = reading.records.iter().map(|record| record.guest).collect();
        let asked: Vec<Uuid> = self.quarantined.intersection(&present).copied().collect();
        self.quarantined = self.occupied(asked).await.into_iter().collect();
    }

    async fn occupied(&mut self, guests: Vec<Uuid>) -> Vec<Uuid> {
        let fallback: Vec<Uuid> = self.quarantined.iter().copied().collect();
        self.lines.call(move |connection| connection.occupied(&guests)).await.unwrap_or(fallback)
    }

    async fn request(&mut self, groups: Groups, guests: Guests) -> Result<Vec<Record>, Missed> {
        let request = Request { groups, guests };
        self.lines.call(move |connection| connection.read(&request)).await
    }
}

/// Calls that may be stuck before none is made any more: those in guests, and as many that no guest's process can
/// hold up.
fn most(max_stuck: usize) -> usize {
    max_stuck.saturating_mul(2)
}

/// What was said when guests were asked for: what they are made of, or why that cannot be used.
type Answers = Vec<(Uuid, Result<Option<Definition>, String>)>;

/// A call that defines guests, one after the other.
fn define_all(guests: Vec<Uuid>) -> impl FnOnce(&mut dyn Connection) -> Result<Answers, HypervisorError> {
    move |connection| {
        let define = |guest: Uuid| match connection.define(guest) {
            Err(HypervisorError::Call { reason, .. }) => Ok((guest, Err(reason))),
            other => other.map(|definition| (guest, Ok(definition))),
        };
        guests.into_iter().map(define).collect()
    }
}

fn late(watchdog: Duration) -> HypervisorError {
    let most = watchdog.as_millis();
    HypervisorError::Call { call: "a read that cannot block", reason: format!("it took more than {most} ms") }
}

// === impl Reading ===

impl Reading {
    /// Adds statistics of guests that are known already; a guest that came meanwhile waits for the next slot.
    fn merge(&mut self, more: Vec<Record>) {
        let mut places: HashMap<Uuid, &mut Record> =
            self.records.iter_mut().map(|record| (record.guest, record)).collect();
        for record in more {
            if let Some(known) = places.get_mut(&record.guest) {
                known.stats.extend(record.stats);
            }
        }
    }
}

#[cfg(test)]
mod tests;
