//! Fuel by module, tenant and interval: what was granted, what is used, and who was stopped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::failure::Cause;
use super::limits::Limits;

/// Calls that fail on the way to a single odd resource, by halves, in the largest chunk: 2^14 roots.
const HALVINGS: u64 = 14;

/// All accounts.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: Mutex<Accounts>,
}

/// Accounts by module and tenant.
pub type Accounts = BTreeMap<(Arc<str>, Arc<str>), Account>;

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
    /// Calls since the daemon started.
    pub calls: u64,
    /// Calls that came to nothing, by cause.
    pub failures: BTreeMap<&'static str, u64>,
}

/// The fuel of an interval for calls that together are handed so many resources in so many chunks: enough for each
/// of them, and for finding one odd resource by halves.
pub fn allowance(limits: &Limits, chunks: u64, resources: u32) -> u64 {
    let once = limits.fuel_base.saturating_mul(chunks).saturating_add(limits.fuel(resources));
    once.saturating_mul(2).saturating_add(limits.fuel_base.saturating_mul(HALVINGS))
}

// === impl Ledger ===

impl Ledger {
    /// Opens an interval for a module in a tenant.
    pub fn open(&self, module: &Arc<str>, tenant: &Arc<str>, granted: u64) {
        let mut accounts = self.lock();
        let account = accounts.entry((Arc::clone(module), Arc::clone(tenant))).or_default();
        account.granted = granted;
        account.used = 0;
        account.stopped = false;
    }

    /// Fuel for a call, at most what is wanted and at most what is left; `None` if nothing is, and the module is
    /// stopped.
    pub fn draw(&self, module: &Arc<str>, tenant: &Arc<str>, wanted: u64) -> Option<u64> {
        let mut accounts = self.lock();
        let account = accounts.get_mut(&(Arc::clone(module), Arc::clone(tenant)))?;
        let left = account.granted.saturating_sub(account.used);
        account.stopped |= left == 0;
        (left > 0).then(|| left.min(wanted))
    }

    /// Books what a call used, and how it ended.
    pub fn book(&self, module: &Arc<str>, tenant: &Arc<str>, used: u64, failure: Option<Cause>) {
        let mut accounts = self.lock();
        let Some(account) = accounts.get_mut(&(Arc::clone(module), Arc::clone(tenant))) else { return };
        account.used = account.used.saturating_add(used);
        account.used_in_all = account.used_in_all.saturating_add(used);
        account.calls += 1;
        if let Some(cause) = failure {
            *account.failures.entry(cause.word()).or_default() += 1;
        }
    }

    /// All accounts.
    pub fn accounts(&self) -> Accounts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_stays_stopped_until_the_next_interval() {
        let (ledger, module, tenant) = (Ledger::default(), Arc::from("m"), Arc::from("t"));
        assert_eq!(ledger.draw(&module, &tenant, 5), None);
        ledger.open(&module, &tenant, 10);
        assert_eq!(ledger.draw(&module, &tenant, 7), Some(7));
        ledger.book(&module, &tenant, 7, None);
        assert_eq!(ledger.draw(&module, &tenant, 7), Some(3));
        ledger.book(&module, &tenant, 3, Some(Cause::OutOfFuel));
        assert_eq!(ledger.draw(&module, &tenant, 7), None);
        let account = &ledger.accounts()[&(module.clone(), tenant.clone())];
        assert!(account.stopped);
        assert_eq!((account.used_in_all, account.calls, account.failures["out-of-fuel"]), (10, 2, 1));
        ledger.open(&module, &tenant, 10);
        assert_eq!(ledger.draw(&module, &tenant, 7), Some(7));
    }
}
