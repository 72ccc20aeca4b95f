//! Fuel by module, tenant and interval: what was granted, what is used, and who was stopped.
//!
//! A tenant's module has its account for an interval, and beside that there is what its tenant and all tenants together
//! may have: pools into which fuel comes at the rate of a budget. What was admitted of the budget is a module's for sure
//! in each interval, so nobody can take it away; what it needs beyond that, to look for an odd guest, for guests that
//! came later, or because it is called more often than once in its interval, it has as far as both pools have some. All
//! that is used comes out of both. The operator's modules have no pools.

mod pool;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;

use self::pool::Pool;
pub use self::pool::{Flow, SAVED};
use super::failure::Cause;
use super::host::log::Lines;
use super::limits::{LOG_LINES, Limits};
use crate::clock::SECOND;

/// Calls that fail on the way to a single odd resource, by halves, in the largest chunk: 2^14 roots.
const HALVINGS: u64 = 14;

/// All accounts.
#[derive(Debug, Default)]
pub struct Ledger {
    books: Mutex<Books>,
    /// Whether what modules log stays out of the daemon's log: they are only tried out.
    silent: bool,
}

#[derive(Debug, Default)]
struct Books {
    accounts: Accounts,
    /// Of each tenant's modules.
    tenants: FxHashMap<Arc<str>, Pool>,
    /// Of tenants that have no module any more, until they have what new ones would: nobody has more by going and coming
    /// again.
    gone: FxHashMap<Arc<str>, Pool>,
    /// Of all tenants' modules.
    node: Pool,
    /// When fuel came last.
    now: u64,
}

/// Accounts by module and tenant.
pub type Accounts = FxHashMap<(Arc<str>, Arc<str>), Account>;

/// One module's fuel in one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Account {
    /// What it was granted for this interval.
    pub granted: u64,
    /// What it used of that.
    pub used: u64,
    /// Whether it is stopped until the next interval.
    pub stopped: bool,
    /// What it has used since the daemon started.
    pub used_in_all: u64,
    /// The price of what was read for it since then, as fuel.
    pub reads_in_all: u64,
    /// Samples that it gave since then.
    pub samples_in_all: u64,
    /// How long its calls took since then, without waiting for others, in nanoseconds.
    pub time_in_all: u64,
    /// The most memory that an instance of it had.
    pub memory_peak: u64,
    /// Calls since the daemon started.
    pub calls: u64,
    /// Calls that came to nothing, by cause.
    pub failures: BTreeMap<&'static str, u64>,
    /// What it may log.
    #[serde(skip)]
    words: Words,
    /// What it has for sure of what is left of this interval.
    #[serde(skip)]
    sure: u64,
    /// When that was last all that it has for sure, and when it is again.
    #[serde(skip)]
    turn: Turn,
    /// What the call that runs was given: in all, and of what is for sure.
    #[serde(skip)]
    drawn: (u64, u64),
}

/// What a module has for sure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sure {
    /// So much fuel,
    pub fuel: u64,
    /// once in so long a time.
    pub interval: Duration,
}

/// The interval that a module has what is for sure of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Turn {
    /// How long it is, in nanoseconds.
    interval: u64,
    /// The slot that it began with.
    slot: u64,
    /// When the next one begins.
    next: u64,
}

/// Lines that a tenant's module may log, which are saved up like fuel.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Words {
    lines: u64,
    /// When there was last one more.
    since: u64,
    /// Lines that were not logged, and of which that was not said.
    dropped: u64,
}

/// Nanoseconds until a tenant's module may log one more line: beyond a cycle's worth, six a minute.
const LINE: u64 = 10 * SECOND.unsigned_abs();

/// The fuel of calls that all go well, and together are handed so many resources.
pub fn once(limits: &Limits, calls: u64, resources: u32) -> u64 {
    let resources = limits.fuel_per_resource.saturating_mul(u64::from(resources));
    limits.fuel_base.saturating_mul(calls.max(1)).saturating_add(resources)
}

/// The fuel of an interval for calls that together are handed so many resources in so many chunks: enough for each
/// of them, and for finding one odd resource by halves.
pub fn allowance(limits: &Limits, chunks: u64, resources: u32) -> u64 {
    let once = limits.fuel_base.saturating_mul(chunks).saturating_add(limits.fuel(resources));
    once.saturating_mul(2).saturating_add(limits.fuel_base.saturating_mul(HALVINGS))
}

// === impl Ledger ===

impl Ledger {
    /// For a module that is tried out.
    pub fn silent() -> Self {
        Self { silent: true, ..Self::default() }
    }

    /// What flows into the pools from now on: for all tenants, and for each of them. Others have none.
    pub fn flows(&self, node: Flow, tenants: BTreeMap<Arc<str>, Flow>) {
        let Books { tenants: pools, gone, node: all, .. } = &mut *self.lock();
        all.flow(node);
        gone.extend(pools.drain());
        for (tenant, flow) in tenants {
            let mut pool = gone.remove(&tenant).unwrap_or_default();
            pool.flow(flow);
            pools.insert(tenant, pool);
        }
        gone.retain(|_, pool| !pool.is_as_new());
    }

    /// What came into the pools until now.
    pub fn fill(&self, now: u64) {
        let Books { tenants, gone, node, now: at, .. } = &mut *self.lock();
        *at = now;
        tenants.values_mut().chain(gone.values_mut()).chain([node]).for_each(|pool| pool.fill(now));
        gone.retain(|_, pool| !pool.is_as_new());
    }

    /// Opens a slot of this moment, in nanoseconds, for a module in a tenant, which has so much of it for sure as far
    /// as that was not used before in the same interval.
    pub fn open(&self, module: &Arc<str>, tenant: &Arc<str>, granted: u64, slot: u64, sure: Sure) {
        let mut books = self.lock();
        let account = books.accounts.entry((Arc::clone(module), Arc::clone(tenant))).or_default();
        account.granted = granted;
        account.used = 0;
        account.stopped = false;
        account.sure = if account.turn.is_of(slot, sure.interval) { sure.fuel } else { account.sure.min(sure.fuel) };
        account.drawn = (0, 0);
    }

    /// Fuel for a call, at most what is wanted and at most what is left; `None` if nothing is, and the module is
    /// stopped.
    pub fn draw(&self, module: &Arc<str>, tenant: &Arc<str>, wanted: u64) -> Option<u64> {
        let Books { accounts, tenants, node, .. } = &mut *self.lock();
        let account = accounts.get_mut(&(Arc::clone(module), Arc::clone(tenant)))?;
        let wanted = account.granted.saturating_sub(account.used).min(wanted);
        let (fuel, sure) = match tenants.get_mut(tenant) {
            None => (wanted, 0),
            Some(pool) => take(pool, node, wanted, account.sure),
        };
        account.sure = account.sure.saturating_sub(sure);
        account.drawn = (fuel, sure);
        account.stopped |= fuel == 0;
        (fuel > 0).then_some(fuel)
    }

    /// Books what a call used, and how it ended.
    pub fn book(&self, module: &Arc<str>, tenant: &Arc<str>, used: u64, failure: Option<Cause>) {
        let Books { accounts, tenants, node, .. } = &mut *self.lock();
        let Some(account) = accounts.get_mut(&(Arc::clone(module), Arc::clone(tenant))) else { return };
        let (drawn, sure) = std::mem::take(&mut account.drawn);
        if let Some(pool) = tenants.get_mut(tenant) {
            pool.put_back(drawn.saturating_sub(used));
            node.put_back(drawn.saturating_sub(used));
            account.sure = account.sure.saturating_add(sure.saturating_sub(used));
        }
        account.used = account.used.saturating_add(used);
        account.used_in_all = account.used_in_all.saturating_add(used);
        account.calls += 1;
        if let Some(cause) = failure {
            *account.failures.entry(cause.word()).or_default() += 1;
        }
    }

    /// Books the call that runs, which is given up for this reason. Nobody knows what it used, so it is all that it was
    /// given.
    pub fn give_up(&self, module: &Arc<str>, tenant: &Arc<str>, failure: Cause) -> u64 {
        let account = (Arc::clone(module), Arc::clone(tenant));
        let drawn = self.lock().accounts.get(&account).map_or(0, |account| account.drawn.0);
        self.book(module, tenant, drawn, Some(failure));
        drawn
    }

    /// Takes the price of what is to be read for a module, of which so much is for sure. If that is not there, nothing
    /// is taken, and nothing is to be read.
    pub fn charge(&self, module: &Arc<str>, tenant: &Arc<str>, price: u64, sure: u64) -> bool {
        let Books { accounts, tenants, node, .. } = &mut *self.lock();
        let account = accounts.entry((Arc::clone(module), Arc::clone(tenant))).or_default();
        if let Some(pool) = tenants.get_mut(tenant) {
            let (fuel, _) = take(pool, node, price, sure);
            if fuel < price {
                pool.put_back(fuel);
                node.put_back(fuel);
                *account.failures.entry(Cause::OutOfFuel.word()).or_default() += 1;
                account.stopped = true;
                return false;
            }
        }
        account.reads_in_all = account.reads_in_all.saturating_add(price);
        true
    }

    /// Books what a module gave in a slot, and what that took.
    pub fn gave(&self, module: &Arc<str>, tenant: &Arc<str>, samples: usize, took: Duration, memory: usize) {
        let mut books = self.lock();
        let Some(account) = books.accounts.get_mut(&(Arc::clone(module), Arc::clone(tenant))) else { return };
        account.samples_in_all = account.samples_in_all.saturating_add(samples as u64);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        account.time_in_all = account.time_in_all.saturating_add(took);
        account.memory_peak = account.memory_peak.max(memory as u64);
    }

    /// Has the log have what a module said, as far as it may say so much.
    pub fn say(&self, module: &Arc<str>, tenant: &Arc<str>, lines: &Lines) {
        let said = lines.kept().len() as u64 + lines.dropped();
        if said > 0 {
            let (most, unsaid) = self.log(module, tenant, said);
            lines.emit_some(module, tenant, most, unsaid);
        }
    }

    /// How many of these lines a module may log, and how many of earlier ones it may be said that they were not. The
    /// operator's modules may log all.
    fn log(&self, module: &Arc<str>, tenant: &Arc<str>, lines: u64) -> (u64, u64) {
        if self.silent {
            return (0, 0);
        }
        let Books { accounts, tenants, now, .. } = &mut *self.lock();
        let account = accounts.get_mut(&(Arc::clone(module), Arc::clone(tenant)));
        match account.filter(|_| tenants.contains_key(tenant)) {
            Some(account) => account.words.take(lines, *now),
            None => (lines, 0),
        }
    }

    /// Forgets accounts of modules and tenants that there are no more.
    pub fn retain(&self, mut is_there: impl FnMut(&(Arc<str>, Arc<str>)) -> bool) {
        self.lock().accounts.retain(|owner, _| is_there(owner));
    }

    /// All accounts.
    pub fn accounts(&self) -> Accounts {
        self.lock().accounts.clone()
    }

    /// What is saved up: for all tenants, and for each of them.
    pub fn saved(&self) -> (u64, BTreeMap<Arc<str>, u64>) {
        let books = self.lock();
        (books.node.left(), books.tenants.iter().map(|(tenant, pool)| (Arc::clone(tenant), pool.left())).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Sure ===

impl Sure {
    /// All that is granted, as often as it is.
    pub const ALL: Self = Self { fuel: u64::MAX, interval: Duration::ZERO };
}

// === impl Turn ===

impl Turn {
    /// Whether what is for sure is all there in this slot: if it is the first one of an interval, as which one counts
    /// that comes half of it early; and, as another version may run in it as well, if it is that slot once more.
    fn is_of(&mut self, slot: u64, interval: Duration) -> bool {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let early = |at: u64| at.saturating_sub(interval / 2);
        // With another interval another version runs.
        if self.interval != interval {
            *self = Self { interval, slot, next: slot.saturating_add(interval) };
        } else if slot >= early(self.next) {
            // Who was late is not early with the next one, and who is early each time has no more of them.
            *self = Self { interval, slot, next: self.next.max(early(slot)).saturating_add(interval) };
        }
        self.slot == slot
    }
}

// === impl Words ===

impl Default for Words {
    fn default() -> Self {
        Self { lines: LOG_LINES as u64, since: 0, dropped: 0 }
    }
}

impl Words {
    fn take(&mut self, wanted: u64, now: u64) -> (u64, u64) {
        let more = now.saturating_sub(self.since) / LINE;
        self.since = if self.lines.saturating_add(more) >= LOG_LINES as u64 { now } else { self.since + more * LINE };
        self.lines = self.lines.saturating_add(more).min(LOG_LINES as u64);
        let taken = wanted.min(self.lines);
        self.lines -= taken;
        let before = if taken > 0 { std::mem::take(&mut self.dropped) } else { 0 };
        self.dropped = self.dropped.saturating_add(wanted - taken);
        (taken, before)
    }
}

/// Takes what is wanted out of both pools: what is for sure, and beyond that what both have. Tells how much in all, and
/// how much of what is for sure.
fn take(pool: &mut Pool, node: &mut Pool, wanted: u64, sure: u64) -> (u64, u64) {
    let sure = sure.min(wanted);
    pool.take(sure);
    node.take(sure);
    let more = (wanted - sure).min(pool.left()).min(node.left());
    pool.take(more);
    node.take(more);
    (sure + more, sure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_stays_stopped_until_the_next_interval() {
        let (ledger, module, tenant) = (Ledger::default(), Arc::from("m"), Arc::from("t"));
        assert_eq!(ledger.draw(&module, &tenant, 5), None);
        ledger.open(&module, &tenant, 10, 0, sure(0));
        assert_eq!(ledger.draw(&module, &tenant, 7), Some(7));
        ledger.book(&module, &tenant, 7, None);
        assert_eq!(ledger.draw(&module, &tenant, 7), Some(3));
        ledger.book(&module, &tenant, 3, Some(Cause::OutOfFuel));
        assert_eq!(ledger.draw(&module, &tenant, 7), None);
        let account = &ledger.accounts()[&(module.clone(), tenant.clone())];
        assert!(account.stopped);
        assert_eq!((account.used_in_all, account.calls, account.failures["out-of-fuel"]), (10, 2, 1));
        ledger.open(&module, &tenant, 10, 0, sure(0));
        assert_eq!(ledger.draw(&module, &tenant, 7), Some(7));
    }

    #[test]
    fn a_call_that_is_given_up_used_all_that_it_was_given() {
        let (ledger, module, tenant) = (Ledger::default(), Arc::from("m"), Arc::from("t"));
        ledger.open(&module, &tenant, 10, 0, sure(0));
        assert_eq!(ledger.draw(&module, &tenant, 7), Some(7));
        assert_eq!(ledger.give_up(&module, &tenant, Cause::Deadline), 7);
        let account = &ledger.accounts()[&(module.clone(), tenant.clone())];
        assert_eq!((account.used_in_all, account.calls, account.failures["deadline"]), (7, 1, 1));
        assert_eq!(ledger.draw(&module, &tenant, 7), Some(3));
    }

    fn flow(rate: u64) -> Flow {
        Flow { rate, most: 10 * rate }
    }

    /// So much for sure in each slot.
    fn sure(fuel: u64) -> Sure {
        Sure { fuel, ..Sure::ALL }
    }

    /// Runs until nothing is left, and tells what it had.
    fn burn(ledger: &Ledger, module: &Arc<str>, tenant: &Arc<str>) -> u64 {
        let mut all = 0;
        while let Some(fuel) = ledger.draw(module, tenant, 7) {
            ledger.book(module, tenant, fuel, None);
            all += fuel;
        }
        all
    }

    #[test]
    fn what_is_for_sure_nobody_takes_away() {
        let ledger = Ledger::default();
        let [module, greedy, tenant, other]: [Arc<str>; 4] = ["m", "greedy", "t", "other"].map(Into::into);
        ledger.flows(flow(10), BTreeMap::from([(tenant.clone(), flow(5)), (other.clone(), flow(20))]));
        ledger.fill(0);
        // A tenant has what it saved up and no more, whatever its module was granted.
        ledger.open(&greedy, &tenant, 1_000, 0, sure(20));
        assert_eq!(burn(&ledger, &greedy, &tenant), 50);
        assert!(ledger.accounts()[&(greedy.clone(), tenant.clone())].stopped);
        ledger.open(&module, &tenant, 1_000, 0, sure(30));
        assert_eq!(burn(&ledger, &module, &tenant), 30, "what is for sure");
        // And so have all of them together, of which 80 are gone.
        ledger.open(&greedy, &other, 1_000, 0, sure(0));
        assert_eq!(burn(&ledger, &greedy, &other), 20);
        ledger.fill(crate::clock::SECOND.unsigned_abs() * 7);
        assert_eq!(ledger.saved(), (70, BTreeMap::from([(tenant.clone(), 5), (other.clone(), 200)])));
        // The operator's are held to nothing but their own.
        ledger.open(&module, &Arc::from("operator"), 1_000, 0, sure(0));
        assert_eq!(burn(&ledger, &module, &Arc::from("operator")), 1_000);
        assert_eq!(ledger.saved().0, 70);
    }

    /// In a chain a module is called as often as samples come to it.
    #[test]
    fn what_is_for_sure_comes_once_in_an_interval() {
        let (ledger, module, tenant): (_, Arc<str>, Arc<str>) = (Ledger::default(), "m".into(), "t".into());
        ledger.flows(flow(0), BTreeMap::from([(tenant.clone(), flow(0))]));
        let call = |at: u64, interval: u64, fuel: u64| {
            let sure = Sure { fuel, interval: Duration::from_nanos(interval) };
            ledger.open(&module, &tenant, 1_000, at, sure);
            burn(&ledger, &module, &tenant)
        };
        assert_eq!((call(1_000, 100, 30), call(1_000, 100, 30)), (30, 30), "a version, and the one before it");
        assert_eq!((1_001..1_050).map(|at| call(at, 100, 30)).sum::<u64>(), 0);
        // Slots come early and late.
        for at in [1_060, 1_240, 1_301, 1_399, 1_502, 1_590, 1_650] {
            assert_eq!(call(at, 100, 30), 30, "{at}");
        }
        let all = (1_650..11_650).map(|at| call(at, 100, 30)).sum::<u64>();
        assert!(all <= 101 * 30, "{all}");
        // What is left of it is there until then, and no more than there would be now.
        assert_eq!((call(20_000, 100, 30), call(20_060, 100, 30)), (30, 30));
        ledger.open(&module, &tenant, 10, 20_100, Sure { fuel: 30, interval: Duration::from_nanos(100) });
        assert_eq!(burn(&ledger, &module, &tenant), 10);
        assert_eq!((call(20_110, 100, 15), call(20_120, 100, 30)), (15, 0));
        assert_eq!(call(20_121, 1, 5), 5, "another version has its own");
    }

    #[test]
    fn who_goes_and_comes_again_has_no_more() {
        let ledger = Ledger::default();
        let [module, tenant]: [Arc<str>; 2] = ["m", "t"].map(Into::into);
        let [comes, goes] = [BTreeMap::from([(tenant.clone(), flow(5))]), BTreeMap::new()];
        let (left, second) = (|| ledger.saved().1.get(&tenant).copied(), SECOND.unsigned_abs());
        ledger.flows(flow(100), comes.clone());
        ledger.fill(0);
        ledger.open(&module, &tenant, 1_000, 0, sure(70));
        assert_eq!(burn(&ledger, &module, &tenant), 70, "20 of them are owed");
        for (seconds, there) in [(0, 0), (6, 10), (9, 25)] {
            ledger.flows(flow(100), goes.clone());
            assert_eq!(left(), None);
            ledger.fill(seconds * second);
            ledger.flows(flow(100), comes.clone());
            assert_eq!(left(), Some(there), "after {seconds} s");
        }
    }

    #[test]
    fn what_a_call_did_not_use_is_put_back() {
        let (ledger, module, tenant): (_, Arc<str>, Arc<str>) = (Ledger::default(), "m".into(), "t".into());
        ledger.flows(flow(1), BTreeMap::from([(tenant.clone(), flow(1))]));
        ledger.open(&module, &tenant, 100, 0, sure(5));
        assert_eq!(ledger.draw(&module, &tenant, 8), Some(8));
        assert_eq!(ledger.saved().0, 2);
        ledger.book(&module, &tenant, 1, None);
        assert_eq!(ledger.saved().0, 9);
        // Four of five are still for sure.
        assert_eq!(ledger.draw(&module, &tenant, 100), Some(9));
        ledger.book(&module, &tenant, 9, None);
        assert_eq!((ledger.saved().0, ledger.draw(&module, &tenant, 1)), (0, None));
    }

    #[test]
    fn an_account_that_is_forgotten_pays_for_nothing_more() {
        let (ledger, module, tenant): (_, Arc<str>, Arc<str>) = (Ledger::default(), "m".into(), "t".into());
        ledger.flows(flow(10), BTreeMap::from([(tenant.clone(), flow(10))]));
        ledger.open(&module, &tenant, 100, 0, sure(0));
        ledger.open(&module, &Arc::from("other"), 100, 0, sure(0));
        assert_eq!(ledger.draw(&module, &tenant, 8), Some(8));
        ledger.retain(|(_, tenant)| **tenant != *"t");
        // What runs on until it notices has no account of its own any more.
        ledger.book(&module, &tenant, 8, None);
        assert_eq!(ledger.draw(&module, &tenant, 8), None);
        let accounts = ledger.accounts();
        assert_eq!(accounts.keys().map(|(_, tenant)| &**tenant).collect::<Vec<_>>(), ["other"]);
    }

    #[test]
    fn what_cannot_be_paid_is_not_read() {
        let (ledger, module, tenant): (_, Arc<str>, Arc<str>) = (Ledger::default(), "m".into(), "t".into());
        ledger.flows(flow(100), BTreeMap::from([(tenant.clone(), flow(1))]));
        assert!(ledger.charge(&module, &tenant, 10, 0));
        assert!(!ledger.charge(&module, &tenant, 10, 9) && ledger.charge(&module, &tenant, 10, 10));
        let account = &ledger.accounts()[&(module.clone(), tenant.clone())];
        assert_eq!((account.reads_in_all, account.used_in_all, account.failures["out-of-fuel"]), (20, 0, 1));
        assert_eq!(ledger.saved().0, 980);
    }

    #[test]
    fn words_are_saved_up_too() {
        let (mut words, second) = (Words::default(), SECOND.unsigned_abs());
        assert_eq!(words.take(30, second), (30, 0));
        assert_eq!(words.take(30, 2 * second), (2, 0));
        assert_eq!(words.take(30, 3 * second), (0, 0), "nobody says every time that nothing is said");
        assert_eq!(words.take(30, 13 * second), (1, 58));
        assert_eq!(words.take(0, 14 * second), (0, 0));
        assert_eq!(words.take(3, 3_600 * second), (3, 29));
        assert_eq!(words.take(40, 3_600 * second), (29, 0));
        // A module that logs a line a minute is never cut.
        let mut words = Words::default();
        assert!((1..1_000).all(|minute| words.take(1, minute * 60 * second) == (1, 0)));
    }
}
