//! Whose module is compiled and tried out when. That is work of the daemon which no budget of fuel knows, so each tenant
//! has one module at it at a time, and half of the time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::{Answer, No, PATIENCE};
use crate::http::StatusCode;
use crate::modules::deployment::Tenant;

/// What is saved up of the time that a tenant's modules may be at it: some of the largest, one after the other.
const SAVED: Duration = Duration::from_secs(120);
/// One second comes back in so many.
const SECONDS_FOR_ONE: u32 = 2;

/// Who is at it, and for how long everybody has been.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeMap<Tenant, Account>>);

/// A tenant's.
#[derive(Debug, Clone)]
struct Account {
    one: Arc<Semaphore>,
    /// What was used and has not come back, as of then.
    used: Duration,
    at: Instant,
}

/// A tenant's module is at it until this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    tenant: Tenant,
    began: Instant,
    _one: OwnedSemaphorePermit,
}

// === impl Turns ===

impl Turns {
    /// Waits until no other module of the tenant is at it. Refused is whoever had its time.
    pub(super) async fn take(&self, tenant: &Tenant) -> Answer<Turn<'_>> {
        let one = self.with(tenant, |account| Arc::clone(&account.one));
        let busy =
            || No::of(StatusCode::SERVICE_UNAVAILABLE, format!("Others deploy for {tenant} just now. Ask again."));
        let one = timeout(PATIENCE, one.acquire_owned()).await.ok().and_then(Result::ok).ok_or_else(busy)?;
        let began = Instant::now();
        let used = self.with(tenant, |account| account.used_at(began));
        if used >= SAVED {
            let back = (used.saturating_sub(SAVED) * SECONDS_FOR_ONE).as_secs() + 1;
            let why = format!(
                "Modules of {tenant} were compiled and tried out for too long lately: a second of it comes back in \
                 {SECONDS_FOR_ONE} s. Ask again in {back} s."
            );
            return Err(No::of(StatusCode::TOO_MANY_REQUESTS, why));
        }
        Ok(Turn { turns: self, tenant: tenant.clone(), began, _one: one })
    }

    fn with<T>(&self, tenant: &Tenant, what: impl FnOnce(&mut Account) -> T) -> T {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Nothing is known of those who have all of their time and are not at it.
        accounts.retain(|other, account| {
            other == tenant || !account.used_at(now).is_zero() || Arc::strong_count(&account.one) > 1
        });
        let new = || Account { one: Arc::new(Semaphore::new(1)), used: Duration::ZERO, at: now };
        what(accounts.entry(tenant.clone()).or_insert_with(new))
    }
}

// === impl Account ===

impl Account {
    fn used_at(&self, now: Instant) -> Duration {
        self.used.saturating_sub(now.saturating_duration_since(self.at) / SECONDS_FOR_ONE)
    }
}

// === impl Turn ===

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let (now, began) = (Instant::now(), self.began);
        self.turns.with(&self.tenant, |account| {
            account.used = account.used_at(began).saturating_add(now.saturating_duration_since(began));
            account.at = now;
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    fn tenant(name: &str) -> Tenant {
        name.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_has_one_at_a_time_and_half_of_the_time() {
        let turns = Turns::default();
        let first = turns.take(&tenant("a")).await.unwrap();
        assert!(timeout(Duration::from_secs(5), turns.take(&tenant("a"))).await.is_err());
        drop(turns.take(&tenant("b")).await.unwrap());
        sleep(Duration::from_secs(125)).await;
        drop(first);
        // 130 s of 120 are used.
        let no = turns.take(&tenant("a")).await.unwrap_err();
        assert_eq!(no.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(no.why.ends_with("Ask again in 21 s."), "{}", no.why);
        drop(turns.take(&tenant("b")).await.unwrap());
        sleep(Duration::from_secs(21)).await;
        drop(turns.take(&tenant("a")).await.unwrap());
        // Whoever has all of it back is forgotten.
        sleep(Duration::from_secs(600)).await;
        drop(turns.take(&tenant("c")).await.unwrap());
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}
