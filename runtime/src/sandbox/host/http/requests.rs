//! What all modules that make requests have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::answers::Answers;
use super::client::Client;
use super::network::Network;
use super::rate::{Bucket, Rate};
use super::resolve::{Resolver, System};
use super::tls::{self, NoTls};
use crate::clock::{Clock, SystemClock};
use crate::sandbox::engine::ASKING_DEPLOYMENTS;
use crate::sandbox::limits::ASKING_MEMORY;

/// The client of all modules, which is there from the first that needs it on, and how often each may ask.
#[derive(Debug, Default)]
pub struct Requests {
    client: Mutex<Option<Ready>>,
    /// Whichever client asks, names are looked up by so many threads at most.
    names: Arc<System>,
    /// By the name of the deployment: whoever is deployed again goes on where the version before it was.
    places: Mutex<BTreeMap<String, Place>>,
}

/// What a deployment that makes requests has for itself, so that it waits for nobody else's servers.
#[derive(Debug, Default)]
struct Place {
    bucket: Arc<Bucket>,
    /// Its versions that somebody has, those that are only tried out too, with what each may take while it waits: none
    /// if it makes no requests.
    versions: Vec<(Weak<Rate>, Option<u64>)>,
}

/// Why there is no place for another deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// There are as many as may be.
    #[error("{ASKING_DEPLOYMENTS} deployments make requests already, which is as many as may")]
    Deployments,
    /// They would take too much.
    #[error(
        "with its memory and twice its longest answer, deployments that make requests would have {} MiB together, and \
         may have {}", .0.div_ceil(1 << 20), ASKING_MEMORY >> 20
    )]
    Memory(u64),
}

#[derive(Debug)]
struct Ready {
    client: Arc<Client>,
    /// Whether anybody can be asked over TLS.
    tls: bool,
}

// === impl Requests ===

impl Requests {
    /// Requests to nobody: what they are answered was written, and the time is that of this clock.
    pub fn answered_by(answers: &Arc<Answers>, clock: Arc<dyn Clock>) -> Self {
        let client = Arc::new(Client::answered_by(answers, clock));
        Self { client: Mutex::new(Some(Ready { client, tls: true })), ..Self::default() }
    }

    /// The client; for requests over TLS there has to be somebody whom this machine trusts. If there is nobody, that is
    /// looked at again the next time.
    pub fn client(&self, tls: bool) -> Result<Arc<Client>, NoTls> {
        self.client_of(tls, tls::system)
    }

    fn client_of(
        &self,
        tls: bool,
        trusted: impl FnOnce() -> Result<Arc<ClientConfig>, NoTls>,
    ) -> Result<Arc<Client>, NoTls> {
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = kept.as_ref().filter(|ready| ready.tls || !tls) {
            return Ok(Arc::clone(&ready.client));
        }
        let (config, has_tls) = match trusted() {
            Err(NoTls::NoRoots) if !tls => (tls::trusting(RootCertStore::empty())?, false),
            config => (config?, true),
        };
        let names: Arc<dyn Resolver> = Arc::<System>::clone(&self.names);
        let client = Arc::new(Client::new(Network::new(names, config), Arc::new(SystemClock)));
        *kept = Some(Ready { client: Arc::clone(&client), tls: has_tls });
        Ok(client)
    }

    /// A place for a version of a deployment that may ask so often, with so much memory if it makes requests at all. The
    /// deployment has one as long as somebody has what is returned, of any version. All of them take from one bucket.
    /// Those that are `leaving` end before this one begins.
    pub fn place(
        &self,
        deployment: &str,
        per_minute: u32,
        memory: Option<u64>,
        leaving: &BTreeSet<String>,
    ) -> Result<Arc<Rate>, Full> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemClock.now().monotonic;
        places.retain(|_, place| {
            place.versions.retain(|(rate, _)| rate.strong_count() > 0);
            !place.versions.is_empty() || !place.bucket.is_full(now)
        });
        let others = places.iter().filter(|(name, _)| *name != deployment && !leaving.contains(*name));
        let taken: Vec<u64> = others.filter_map(|(_, place)| place.memory()).collect();
        // Its versions run one after the other.
        let most = memory.max(places.get(deployment).and_then(Place::memory));
        if let Some(memory) = most {
            if taken.len() >= ASKING_DEPLOYMENTS {
                return Err(Full::Deployments);
            }
            let all = taken.into_iter().fold(memory, u64::saturating_add);
            if all > ASKING_MEMORY {
                return Err(Full::Memory(all));
            }
        }
        let place = places.entry(deployment.to_owned()).or_default();
        let rate = Arc::new(Rate::new(per_minute, Arc::clone(&place.bucket)));
        place.versions.push((Arc::downgrade(&rate), memory));
        Ok(rate)
    }
}

// === impl Place ===

impl Place {
    /// The most that one of its versions may take.
    fn memory(&self) -> Option<u64> {
        self.versions.iter().filter_map(|(_, memory)| *memory).max()
    }
}

// === impl Full ===

impl Full {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Deployments => "Remove one of them",
            Self::Memory(_) => "Lower `memory` or `grants.requests.body` of some of them, such as `memory: 4MiB`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_had_as_long_as_somebody_has_them() {
        let requests = Requests::default();
        let (nobody, first_goes) = (BTreeSet::new(), BTreeSet::from(["a".to_owned()]));
        let place = |name: &str, memory| requests.place(name, 60, memory, &nobody);
        let most = ASKING_MEMORY;
        let first = place("a", Some(most - 1)).unwrap();
        assert_eq!(place("b", Some(2)).err(), Some(Full::Memory(most + 1)));
        assert!(Full::Memory(most + 1).to_string().contains("would have 513 MiB together, and may have 512"));
        assert!(requests.place("b", 60, Some(2), &first_goes).is_ok(), "what goes has none");
        // What makes no requests takes none; another version of the same one takes no other place, and no less.
        let idle = place("idle", None).unwrap();
        assert!(place("a", Some(1)).is_ok());
        assert_eq!(place("b", Some(2)).err(), Some(Full::Memory(most + 1)));
        let second = place("b", Some(1)).unwrap();
        // Its rate is remembered until it is full again.
        let now = SystemClock.now().monotonic;
        second.take(now).unwrap();
        drop((first, second, idle));
        assert!(!place("b", Some(1)).unwrap().bucket.is_full(now));
        let all: Vec<_> = (0..ASKING_DEPLOYMENTS).map(|number| place(&number.to_string(), Some(1)).unwrap()).collect();
        assert_eq!(place("more", Some(1)).err(), Some(Full::Deployments));
        assert!(place("idle", None).is_ok() && place("7", Some(1)).is_ok());
        drop(all);
        assert!(place("more", Some(1)).is_ok());
    }

    /// What is tried out at another rate and left again gives nobody a place, and no deployment a bucket.
    #[test]
    fn versions_of_different_rates_have_one_place_and_one_bucket() {
        let (requests, nobody) = (Requests::default(), BTreeSet::new());
        let place = |name: &str, rate, memory| requests.place(name, rate, Some(memory), &nobody);
        let runs = place("a", 2, ASKING_MEMORY).unwrap();
        let now = SystemClock.now().monotonic;
        let tried = place("a", 3, 1).unwrap();
        assert_eq!((runs.limit(), tried.limit()), (2, 3));
        drop(tried);
        assert_eq!(place("b", 60, 1).err(), Some(Full::Memory(ASKING_MEMORY + 1)));
        assert!((0..2).all(|_| runs.take(now).is_ok()) && runs.take(now).is_err());
        for rate in [3, 2, 60, 2] {
            assert!(place("a", rate, 1).unwrap().take(now).is_err(), "{rate}");
        }
        // What was only tried out takes nothing any more.
        drop(runs);
        let small = place("a", 2, 1).unwrap();
        drop(place("a", 3, ASKING_MEMORY).unwrap());
        assert!(place("b", 60, 1).is_ok());
        drop(small);
    }

    /// Certificates that are installed later are found, and nobody has to start the daemon again.
    #[test]
    fn who_is_trusted_is_asked_again_as_long_as_nobody_is() {
        let requests = Requests::default();
        let nobody = || Err(NoTls::NoRoots);
        let somebody = || tls::trusting(RootCertStore::empty());
        assert!(matches!(requests.client_of(true, nobody), Err(NoTls::NoRoots)));
        let plain = requests.client_of(false, nobody).unwrap();
        assert!(matches!(requests.client_of(true, nobody), Err(NoTls::NoRoots)));
        assert!(Arc::ptr_eq(&requests.client_of(false, nobody).unwrap(), &plain));
        let client = requests.client_of(true, somebody).unwrap();
        assert!(Arc::ptr_eq(&requests.client_of(true, nobody).unwrap(), &client));
        assert!(Arc::ptr_eq(&requests.client_of(false, nobody).unwrap(), &client));
    }
}
