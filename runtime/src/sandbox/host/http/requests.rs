//! What all modules that make requests have in common.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_rustls::rustls::RootCertStore;

use super::client::Client;
use super::rate::Rate;
use super::resolve::System;
use super::tls::{self, NoTls};
use crate::clock::{Clock, SystemClock};
use crate::sandbox::engine::ASKING_DEPLOYMENTS;
use crate::sandbox::limits::ASKING_MEMORY;

/// The client of all modules, which is there from the first that needs it on, and how often each may ask.
#[derive(Debug, Default)]
pub struct Requests {
    client: OnceLock<Result<Ready, String>>,
    /// By the name of the deployment: whoever is deployed again goes on where the version before it was.
    places: Mutex<BTreeMap<String, Place>>,
}

/// What a deployment that makes requests has for itself, so that it waits for nobody else's servers.
#[derive(Debug)]
struct Place {
    rate: Arc<Rate>,
    /// What it may take while it waits; none if it makes no requests.
    memory: Option<u64>,
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
    /// Why nobody can be asked over TLS.
    no_tls: Option<String>,
}

// === impl Requests ===

impl Requests {
    /// The client; for requests over TLS there has to be somebody whom this machine trusts.
    pub fn client(&self, tls: bool) -> Result<Arc<Client>, String> {
        let ready = self.client.get_or_init(|| Ready::new().map_err(|error| error.to_string()));
        match ready {
            Ok(Ready { no_tls: Some(why), .. }) if tls => Err(why.clone()),
            Ok(ready) => Ok(Arc::clone(&ready.client)),
            Err(why) => Err(why.clone()),
        }
    }

    /// A place for a deployment that may ask so often, with so much memory if it makes requests at all. It has one as
    /// long as somebody has what is returned. Only another rate begins anew.
    pub fn place(&self, deployment: &str, per_minute: u32, memory: Option<u64>) -> Result<Arc<Rate>, Full> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemClock.now().monotonic;
        places.retain(|_, place| place.is_taken() || !place.rate.is_full(now));
        let others = places.iter().filter(|(name, place)| *name != deployment && place.is_taken());
        let taken: Vec<u64> = others.filter_map(|(_, place)| place.memory).collect();
        let own = places.get(deployment);
        // Its versions run one after the other.
        let memory = memory.max(own.filter(|place| place.is_taken()).and_then(|place| place.memory));
        if let Some(memory) = memory {
            if taken.len() >= ASKING_DEPLOYMENTS {
                return Err(Full::Deployments);
            }
            let all = taken.into_iter().fold(memory, u64::saturating_add);
            if all > ASKING_MEMORY {
                return Err(Full::Memory(all));
            }
        }
        let rate = match own {
            Some(place) if place.rate.limit() == per_minute => Arc::clone(&place.rate),
            _ => Arc::new(Rate::per_minute(per_minute)),
        };
        places.insert(deployment.to_owned(), Place { rate: Arc::clone(&rate), memory });
        Ok(rate)
    }
}

// === impl Place ===

impl Place {
    fn is_taken(&self) -> bool {
        Arc::strong_count(&self.rate) > 1
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

// === impl Ready ===

impl Ready {
    fn new() -> Result<Self, NoTls> {
        let (config, no_tls) = match tls::system() {
            Ok(config) => (config, None),
            Err(error @ NoTls::NoRoots) => (tls::trusting(RootCertStore::empty())?, Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let client = Arc::new(Client::new(Arc::new(System::default()), config, Arc::new(SystemClock)));
        Ok(Self { client, no_tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_had_as_long_as_somebody_has_them() {
        let requests = Requests::default();
        let place = |name: &str, memory| requests.place(name, 60, memory);
        let most = ASKING_MEMORY;
        let first = place("a", Some(most - 1)).unwrap();
        assert_eq!(place("b", Some(2)).err(), Some(Full::Memory(most + 1)));
        assert!(Full::Memory(most + 1).to_string().contains("would have 513 MiB together, and may have 512"));
        // What makes no requests takes none; another version of the same one takes no other place, and no less.
        let idle = place("idle", None).unwrap();
        assert!(Arc::ptr_eq(&place("a", Some(1)).unwrap(), &first));
        assert_eq!(place("b", Some(2)).err(), Some(Full::Memory(most + 1)));
        let second = place("b", Some(1)).unwrap();
        // Its rate is remembered until it is full again.
        let now = SystemClock.now().monotonic;
        second.take(now).unwrap();
        drop((first, second, idle));
        assert!(!place("b", Some(1)).unwrap().is_full(now));
        let all: Vec<_> = (0..ASKING_DEPLOYMENTS).map(|number| place(&number.to_string(), Some(1)).unwrap()).collect();
        assert_eq!(place("more", Some(1)).err(), Some(Full::Deployments));
        assert!(place("idle", None).is_ok() && place("7", Some(1)).is_ok());
        drop(all);
        assert!(place("more", Some(1)).is_ok());
    }
}
