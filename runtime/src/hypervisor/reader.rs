//! Reading a host that may be slow, give part of an answer, or never answer.
//!
//! Every call has a watchdog and runs on a thread with a connection of its own, a [`line::Line`]. What a guest's process
//! has to answer is read by two calls at once, each of half the guests, while a scout looks whose process does not
//! answer. A call that meets a frozen guest stays with it and keeps its line; the rest is read on a new one in the same
//! slot. Guests in which a call is stuck are in [`quarantine`], which leaves them out of what needs their process until
//! it is over; what needs no process is read of them all the same. With more stuck calls than are allowed, nothing that
//! a guest's process has to answer is asked at all; at twice as many the host as a whole must hang, and nothing is
//! asked until a call comes back. What libvirt does not tell of disks' files is looked up in the end ([`lengths`]).

pub mod defining;
pub mod lengths;
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

use self::defining::{Defined, Definitions};
use self::lengths::Lengths;
use self::line::{Lines, Missed};
use self::quarantine::Quarantine;
pub use self::want::Want;
use super::{Doubt, Groups, Guests, Hypervisor, HypervisorError, Record, Request};

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
    definitions: Definitions,
    /// `None` for a host whose files are elsewhere.
    lengths: Option<Lengths>,
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

// === impl Reader ===

impl Reader {
    /// A reader that gives each call so much time, and lets so many calls be stuck.
    pub fn new(hypervisor: Arc<dyn Hypervisor>, watchdog: Duration, max_stuck: usize) -> Self {
        Self {
            lengths: hypervisor.has_files_here().then(Lengths::default),
            lines: Lines::new(hypervisor, watchdog, most(max_stuck)),
            max_stuck,
            quarantine: Quarantine::default(),
            definitions: Definitions::default(),
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
        self.definitions.refused()
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
        self.definitions.forget_others(&reading.records);
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
        // Only where block devices were read are there paths.
        if let Some(lengths) = &mut self.lengths {
            lengths.add(&mut reading.records, self.lines.watchdog()).await;
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

    /// What guests are made of; `None` for those that are gone meanwhile or whose definition cannot be used. What is not
    /// had in time is left out, to be asked for again in the next slot.
    pub async fn define(&mut self, guests: Vec<Uuid>) -> Result<Defined, HypervisorError> {
        self.definitions.read(&self.lines, guests).await
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
        if self.quarantine.is_empty() {
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
