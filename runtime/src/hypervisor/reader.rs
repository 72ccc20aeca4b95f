//! Reading a host that may be slow, give part of an answer, or never answer.
//!
//! Every call has a watchdog and runs on a thread with a connection of its own, a [`line::Line`]. What a guest's process
//! has to answer is read by two calls at once, each of half the guests, while a scout looks whose process does not
//! answer. A call that meets a frozen guest stays with it and keeps its line; the rest is read on a new one in the same
//! slot. Guests in which a call is stuck are in [`quarantine`], which leaves them out of what needs their process until
//! it is over; what needs no process is read of them all the same. With more stuck calls than are allowed, nothing that
//! a guest's process has to answer is asked at all; at twice as many the host as a whole must hang, and nothing is
//! asked until a call comes back.

pub mod line;
pub mod quarantine;
pub mod want;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use self::line::{Lines, Missed};
use self::quarantine::Quarantine;
pub use self::want::Want;
use super::{Connection, Definition, Doubt, Groups, Guests, Hypervisor, HypervisorError, Record, Request};

/// Definitions that are read in one call, whose watchdog is the same as that of others.
const DEFINITIONS: usize = 50;
/// Guests that are worth two calls at once. More than two gain little, and each may be lost to a frozen guest.
const WORTH_TWO: usize = 8;
/// How often the scout looks, while calls are on their way.
const SCOUT: Duration = Duration::from_millis(500);
/// A process that has not answered for so long is frozen: the call that asked it is given up.
const FROZEN: Duration = Duration::from_secs(1);
/// A process that has not answered for so long is what a late call waits for. Healthy ones answer in a few
/// milliseconds, and somebody is always asking: without this, guests would be taken for stuck by mere chance.
const STUCK: Duration = Duration::from_millis(100);

/// Reads one host, slot after slot.
#[derive(Debug)]
pub struct Reader {
    lines: Lines,
    max_stuck: usize,
    quarantine: Quarantine,
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
            quarantine: Quarantine::default(),
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

    /// Guests whose definition cannot be used, and why.
    pub fn refused(&self) -> &BTreeMap<Uuid, String> {
        &self.refused
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
        let asked = want.groups().with_monitor();
        if !asked.is_empty() {
            let guests = want.guests(&reading.records);
            self.monitored(asked, guests, &mut reading).await;
        }
        for (groups, guests) in want.fall_backs(&reading.records) {
            if reading.missing.is_none() {
                self.monitored(groups, guests, &mut reading).await;
            }
        }
        reading.stuck = self.quarantine.guests();
        Ok(reading)
    }

    /// What stands against metering the host, however well it answers.
    pub async fn doubts(&self) -> Result<Vec<Doubt>, HypervisorError> {
        self.lines.call(|connection| connection.doubts()).await.map_err(|missed| match missed {
            Missed::Refused(error) => error,
            Missed::Late => late(self.lines.watchdog()),
        })
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

    /// Reads what needs the guests' processes, of those that are not in quarantine. Whoever holds a call up goes there,
    /// and the others are read again.
    async fn monitored(&mut self, groups: Groups, mut guests: Vec<Uuid>, reading: &mut Reading) {
        loop {
            guests.retain(|guest| !self.quarantine.holds(guest));
            if guests.is_empty() {
                reading.groups = reading.groups | groups;
                return;
            }
            let stuck = self.lines.stuck();
            if stuck > self.max_stuck {
                reading.missing = Some(format!("{stuck} calls are stuck, and no more are risked"));
                return;
            }
            // The last call that may be risked is one.
            let two = guests.len() >= WORTH_TWO && stuck < self.max_stuck;
            let (known, mut late) = (self.quarantine.len(), Vec::new());
            for (some, answer) in self.at_once(groups, &guests, if two { 2 } else { 1 }).await {
                match answer {
                    Ok(more) => reading.merge(more),
                    // What was read without is not lost with it.
                    Err(Missed::Refused(error)) => reading.missing = Some(error.to_string()),
                    Err(Missed::Late) => late.extend(some),
                }
            }
            self.hold_stuck(&late).await;
            if reading.missing.is_none() && !late.is_empty() && self.quarantine.len() <= known {
                // Nobody is known to be stuck: the host as a whole is slow.
                let most = self.lines.watchdog().as_millis();
                reading.missing = Some(format!("the hypervisor took more than {most} ms"));
            }
            if reading.missing.is_some() {
                return;
            }
            guests = late;
        }
    }

    /// Reads guests by so many calls at once; each gives its guests and its answer. None waits for a guest whose
    /// process the scout has found not to answer.
    async fn at_once(
        &self,
        groups: Groups,
        guests: &[Uuid],
        calls: usize,
    ) -> Vec<(Vec<Uuid>, Result<Vec<Record>, Missed>)> {
        let (tell, told) = watch::channel(BTreeSet::new());
        let read = guests.chunks(guests.len().div_ceil(calls).max(1)).map(|some| {
            let mut told = told.clone();
            let request = Request { groups, guests: Guests::Only(some.to_vec()) };
            async move {
                let frozen = async {
                    let mine = |frozen: &BTreeSet<Uuid>| some.iter().any(|guest| frozen.contains(guest));
                    drop(told.wait_for(mine).await);
                };
                let answer = self.lines.call_unless(frozen, move |connection| connection.read(&request)).await;
                (some.to_vec(), answer)
            }
        });
        tokio::select! {
            answers = join_all(read) => answers,
            () = self.scout(guests, &tell) => Vec::new(),
        }
    }

    /// Looks from time to time whose process does not answer, and tells. Ends never.
    async fn scout(&self, guests: &[Uuid], tell: &watch::Sender<BTreeSet<Uuid>>) {
        loop {
            sleep(SCOUT).await;
            match self.occupied(guests.to_vec(), FROZEN).await {
                Ok(frozen) => drop(tell.send_replace(frozen)),
                Err(_) => pending().await,
            }
        }
    }

    /// Puts those of these guests in quarantine that hold up a call.
    async fn hold_stuck(&mut self, guests: &[Uuid]) {
        if guests.is_empty() {
            return;
        }
        let stuck = self.occupied(guests.to_vec(), STUCK).await.unwrap_or_default();
        let now = Instant::now();
        stuck.into_iter().for_each(|guest| self.quarantine.hold(guest, now));
    }

    /// Lets go of guests in which no call is stuck any more, and of those that are gone.
    async fn release(&mut self, reading: &Reading) {
        if self.quarantine.len() == 0 {
            return;
        }
        let (held, present) = (self.quarantine.guests(), reading.records.iter().map(|record| record.guest).collect());
        let asked = held.intersection(&present).copied().collect();
        let stuck = self.occupied(asked, STUCK).await.unwrap_or(held);
        self.quarantine.release(&present, &stuck, Instant::now());
    }

    /// Those of some guests whose process has not answered for so long.
    async fn occupied(&self, guests: Vec<Uuid>, least: Duration) -> Result<BTreeSet<Uuid>, Missed> {
        let occupied = self.lines.call(move |connection| connection.occupied(&guests)).await?;
        Ok(occupied.into_iter().filter(|(_, since)| *since >= least).map(|(guest, _)| guest).collect())
    }

    async fn request(&self, groups: Groups, guests: Guests) -> Result<Vec<Record>, Missed> {
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
