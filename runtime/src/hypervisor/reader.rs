//! Reading a host that may be slow, give part of an answer, or never answer.
//!
//! Every call has a watchdog and runs on a thread with a connection of its own, a [`line::Line`]. What a guest's process
//! has to answer is read by two calls at once, each of half the guests, while a scout looks whose process does not
//! answer. A call that meets a frozen guest stays with it and keeps its line, and reading begins again without that
//! guest, on new lines, in the same slot. Guests in which a call is stuck are in [`quarantine`], which leaves them out of
//! what needs their process until it is over; what needs no process is read of them all the same. With more stuck calls
//! than are allowed, nothing that a guest's process has to answer is asked at all; at twice as many the host as a whole
//! must hang, and nothing is asked until a call comes back. What libvirt does not tell of disks' files is looked up in
//! the end ([`lengths`]).

pub mod cost;
pub mod defining;
pub mod lengths;
pub mod line;
pub mod quarantine;
pub mod want;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustc_hash::FxHashMap;
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use self::defining::{Defined, Definitions};
use self::lengths::Lengths;
use self::line::{Lines, Missed};
use self::quarantine::Quarantine;
pub use self::want::Want;
use super::{Doubt, Groups, Guests, Hypervisor, HypervisorError, KeySet, Record, Request};
use crate::clock::{Clock, Moment};

/// Guests that are worth two calls at once. More than two gain little, and each may be lost to a frozen guest.
const WORTH_TWO: usize = 8;
/// A guest is looked for among so many behind the one before it, and then among all.
const NEARBY: usize = 8;
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
    clock: Arc<dyn Clock>,
    quarantine: Quarantine,
    /// Whether all have been looked at since calls may have been lost to somebody unseen.
    looked: bool,
    /// Guests that were last seen to be stuck, whoever's call it is.
    occupied: usize,
    /// Whether a call about guests that are off does not come back.
    stopped_hang: bool,
    definitions: Definitions,
    /// `None` for a host whose files are elsewhere.
    lengths: Option<Lengths>,
}

/// What one slot's reading gave.
#[derive(Debug)]
pub struct Reading {
    /// The time before it began.
    pub at: Moment,
    /// Groups that were read.
    pub groups: Groups,
    /// Statistics of every guest that there is.
    pub records: Vec<Record>,
    /// Guests that gave only what needs no monitor.
    pub stuck: BTreeSet<Uuid>,
    /// Why statistics that need a monitor are missing altogether, if they are.
    pub missing: Option<String>,
    /// Groups that stood in for others, and for whom.
    pub stood_in: BTreeMap<Groups, Vec<Uuid>>,
}

// === impl Reader ===

impl Reader {
    /// A reader that gives each call so much time, and lets so many calls be stuck.
    pub fn new(hypervisor: Arc<dyn Hypervisor>, clock: Arc<dyn Clock>, watchdog: Duration, max_stuck: usize) -> Self {
        Self {
            lengths: hypervisor.has_files_here().then(Lengths::default),
            lines: Lines::new(hypervisor, watchdog, most(max_stuck)),
            max_stuck,
            clock,
            quarantine: Quarantine::default(),
            looked: false,
            occupied: 0,
            stopped_hang: false,
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

    /// Reads what is wanted of every guest. When somebody is found to be frozen, it begins again without them: all of
    /// a slot is of one time.
    pub async fn read(&mut self, want: &Want) -> Result<Reading, HypervisorError> {
        loop {
            if let Some(reading) = self.attempt(want).await? {
                return Ok(reading);
            }
        }
    }

    /// A read was given up halfway. Before any guest's process is asked again, all are looked at: nobody told who held it
    /// up.
    pub fn look_again(&mut self) {
        self.looked = false;
    }

    /// One reading; `None` if somebody was found to be frozen meanwhile, who is in quarantine now.
    async fn attempt(&mut self, want: &Want) -> Result<Option<Reading>, HypervisorError> {
        // Before the read: nothing is younger than it says.
        let at = self.clock.now();
        let free = want.groups().without_monitor() | Groups::STATE;
        let keys = want.to_read();
        let records = match self.request(free, &keys, Guests::All).await {
            Ok(records) => records,
            Err(Missed::Refused(error)) => return Err(error),
            Err(Missed::Late) => return Err(late(self.lines.watchdog())),
        };
        let mut reading =
            Reading { at, groups: free, records, stuck: BTreeSet::new(), missing: None, stood_in: BTreeMap::new() };
        self.look(&reading.records, !want.all_groups().with_monitor().is_empty()).await;
        self.definitions.forget_others(&reading.records);
        let asked = want.groups().with_monitor();
        if !asked.is_empty() {
            let guests = want.running(&reading.records);
            if !self.monitored((asked, &keys), guests, &mut reading).await {
                return Ok(None);
            }
        }
        for (groups, guests) in want.of_some(&reading.records) {
            if reading.missing.is_none() && !self.monitored((groups, &keys), guests, &mut reading).await {
                return Ok(None);
            }
        }
        for (groups, guests) in want.instead(&reading.records) {
            if reading.missing.is_none() && !self.monitored((groups, &keys), guests.clone(), &mut reading).await {
                return Ok(None);
            }
            reading.stood_in.insert(groups, guests);
        }
        self.stopped((asked, &keys), want.stopped(&reading.records), &mut reading).await;
        // Only where block devices were read are there paths.
        if let Some(lengths) = &mut self.lengths {
            lengths.add(&mut reading.records, self.lines.watchdog()).await;
        }
        reading.stuck = self.quarantine.guests();
        Ok(Some(reading))
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
    /// and the answer is no.
    async fn monitored(
        &mut self,
        (groups, keys): (Groups, &KeySet),
        mut guests: Vec<Uuid>,
        reading: &mut Reading,
    ) -> bool {
        guests.retain(|guest| !self.quarantine.holds(guest));
        // Calls that others lost to a frozen guest are lost to the host as ours are.
        let stuck = self.lines.stuck().max(self.occupied);
        if stuck > self.max_stuck {
            reading.missing = Some(format!("calls are stuck in {stuck} guests, and no more are risked"));
            return true;
        }
        let calls = if guests.len() >= WORTH_TWO { 2 } else { 1 };
        let (answers, frozen) = self.at_once((groups, keys), &guests, calls).await;
        let (mut read, mut late) = (Vec::new(), Vec::new());
        for (some, answer) in answers {
            match answer {
                Ok(more) => read.extend(more),
                // What was read without is not lost with it.
                Err(Missed::Refused(error)) => reading.missing = Some(error.to_string()),
                Err(Missed::Late) => late.extend(some),
            }
        }
        reading.merge(read);
        let known = self.quarantine.len();
        self.hold(frozen);
        if !late.is_empty() {
            let stuck = self.occupied_of(late.clone(), STUCK).await.unwrap_or_default();
            self.hold(stuck);
        }
        if self.quarantine.len() > known && reading.missing.is_none() {
            return false;
        }
        if !late.is_empty() && reading.missing.is_none() {
            // Nobody is known to be stuck: the host as a whole is slow.
            let most = self.lines.watchdog().as_millis();
            reading.missing = Some(format!("the hypervisor took more than {most} ms"));
        }
        if reading.missing.is_none() {
            reading.groups = reading.groups | groups;
        }
        true
    }

    /// Reads guests that are off, whose disks libvirt looks at where they are: a call of their own, which storage that
    /// hangs may keep, and no second one before it is back.
    async fn stopped(&mut self, (groups, keys): (Groups, &KeySet), guests: Vec<Uuid>, reading: &mut Reading) {
        self.stopped_hang &= self.lines.stuck() > 0;
        if guests.is_empty() || groups.is_empty() || self.stopped_hang {
            return;
        }
        match self.request(groups, keys, Guests::Only(guests)).await {
            Ok(more) => reading.merge(more),
            Err(Missed::Refused(error)) => tracing::warn!(%error, "Guests that are off could not be read."),
            Err(Missed::Late) => {
                self.stopped_hang = true;
                tracing::warn!("Guests that are off take too long to read, and are left out until that call is back.");
            }
        }
    }

    /// Reads guests by so many calls at once; each gives its guests and its answer. None waits for a guest whose
    /// process the scout has found not to answer; those guests are told, too.
    async fn at_once(
        &self,
        (groups, keys): (Groups, &KeySet),
        guests: &[Uuid],
        calls: usize,
    ) -> (Vec<(Vec<Uuid>, Result<Vec<Record>, Missed>)>, BTreeSet<Uuid>) {
        let (tell, told) = watch::channel(BTreeSet::new());
        let read = guests.chunks(guests.len().div_ceil(calls).max(1)).map(|some| {
            let mut told = told.clone();
            let request = Request { groups, keys: keys.clone(), guests: Guests::Only(some.to_vec()) };
            async move {
                let frozen = async {
                    let mine = |frozen: &BTreeSet<Uuid>| some.iter().any(|guest| frozen.contains(guest));
                    drop(told.wait_for(mine).await);
                };
                let answer = self.lines.call_unless(frozen, move |connection| connection.read(&request)).await;
                (some.to_vec(), answer)
            }
        });
        let answers = tokio::select! {
            answers = join_all(read) => answers,
            () = self.scout(guests, &tell) => Vec::new(),
        };
        (answers, tell.borrow().clone())
    }

    /// Looks from time to time whose process does not answer, and tells. Ends never.
    async fn scout(&self, guests: &[Uuid], tell: &watch::Sender<BTreeSet<Uuid>>) {
        loop {
            sleep(SCOUT).await;
            match self.occupied_of(guests.to_vec(), FROZEN).await {
                Ok(frozen) => tell.send_modify(|told| told.extend(frozen)),
                Err(_) => pending().await,
            }
        }
    }

    fn hold(&mut self, guests: BTreeSet<Uuid>) {
        let now = Instant::now();
        guests.into_iter().for_each(|guest| self.quarantine.hold(guest, now));
    }

    /// Looks who is stuck: before any guest's process is asked all of them, in which others may have lost calls
    /// already; later those in quarantine, some of whom may go.
    async fn look(&mut self, records: &[Record], asks_processes: bool) {
        let present: BTreeSet<Uuid> = records.iter().map(|record| record.guest).collect();
        if !self.looked && asks_processes {
            self.looked = true;
            let frozen = self.occupied_of(present.iter().copied().collect(), FROZEN).await.unwrap_or_default();
            self.occupied = frozen.len();
            self.hold(frozen);
        } else if !self.quarantine.is_empty() {
            let held = self.quarantine.guests();
            let asked = held.intersection(&present).copied().collect();
            let stuck = self.occupied_of(asked, STUCK).await.unwrap_or(held);
            self.occupied = stuck.len();
            self.quarantine.release(&present, &stuck, Instant::now());
        }
    }

    /// Those of some guests whose process has not answered for so long.
    async fn occupied_of(&self, guests: Vec<Uuid>, least: Duration) -> Result<BTreeSet<Uuid>, Missed> {
        let occupied = self.lines.call(move |connection| connection.occupied(&guests)).await?;
        Ok(occupied.into_iter().filter(|(_, since)| *since >= least).map(|(guest, _)| guest).collect())
    }

    async fn request(&self, groups: Groups, keys: &KeySet, guests: Guests) -> Result<Vec<Record>, Missed> {
        let request = Request { groups, keys: keys.clone(), guests };
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
        let (mut place, mut places): (usize, Option<FxHashMap<Uuid, usize>>) = (0, None);
        for mut record in more {
            // Hosts mostly give guests in the order in which they gave them before.
            let next = self.records.iter().enumerate().skip(place).take(NEARBY);
            let nearby = next.filter(|(_, known)| known.guest == record.guest).map(|(place, _)| place).next();
            let find = || self.records.iter().enumerate().map(|(place, known)| (known.guest, place)).collect();
            let anywhere = || places.get_or_insert_with(find).get(&record.guest).copied();
            let Some(found) = nearby.or_else(anywhere) else { continue };
            if let Some(known) = self.records.get_mut(found) {
                // In no order, so the few are added to the many.
                if known.stats.len() < record.stats.len() {
                    std::mem::swap(&mut known.stats, &mut record.stats);
                }
                known.stats.append(&mut record.stats);
            }
            place = found + 1;
        }
    }
}

#[cfg(test)]
mod tests;
