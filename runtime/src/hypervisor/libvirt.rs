//! Hosts with libvirt.
//!
//! Everything is read over connections that can change nothing. Statistics come in bulk and never wait for a call of
//! somebody else's. What tells whether a guest's definition must be read again comes with them, or is told by the host
//! when it happens, so that a steady host costs a few calls a slot, whatever its size.

mod failure;
mod ffi;
mod keys;
mod revision;
#[cfg(test)]
mod tests;
mod watch;
mod xml;

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use uuid::Uuid;

use self::ffi::{Control, Domain, Kind, Scalar, Stats};
use self::keys::Keys;
use self::revision::Revisions;
use self::watch::Changes;
use super::{
    Connection, Definition, Doubt, Groups, Guests, Hypervisor, HypervisorError, KeySet, Record, Request, Stat, Value,
};

/// The oldest libvirt that gives all that Ceilometer's meters are made of: 7.2.0.
const OLDEST: u64 = 7_002_000;
/// Guests that are looked up one by one; for more, all of the host's are listed at once.
const ONE_BY_ONE: usize = 4;

/// A host, by libvirt's URI for it.
#[derive(Debug)]
pub struct Libvirt {
    uri: Arc<str>,
    revisions: OnceLock<Revisions>,
}

#[derive(Debug)]
struct Session {
    uri: Arc<str>,
    revisions: Revisions,
    connection: ffi::Connection,
    /// Guests that were asked for one by one.
    domains: HashMap<Uuid, Domain>,
    keys: Keys,
}

// === impl Libvirt ===

impl Libvirt {
    /// The host of a URI such as `qemu:///system`. Nothing is opened yet.
    pub fn new(uri: &str) -> Self {
        Self { uri: uri.into(), revisions: OnceLock::new() }
    }
}

impl Hypervisor for Libvirt {
    fn has_files_here(&self) -> bool {
        is_here(&self.uri)
    }

    fn connect(&self) -> Result<Box<dyn Connection>, HypervisorError> {
        let uri = CString::new(&*self.uri).map_err(|_| HypervisorError::Uri {
            uri: self.uri.to_string(),
            reason: "there is a zero byte in it; write one such as qemu:///system".to_owned(),
        })?;
        let connection =
            ffi::Connection::open_read_only(&uri).map_err(|error| failure::connecting(&self.uri, &error))?;
        connection.keep_alive();
        // Listening begins before anything is read: what changes afterwards is told.
        let revisions = self.revisions.get_or_init(|| Revisions::by(Changes::of(&uri))).clone();
        Ok(Box::new(Session {
            uri: Arc::clone(&self.uri),
            revisions,
            connection,
            domains: HashMap::new(),
            keys: Keys::default(),
        }))
    }
}

/// Whether a URI is one of this machine: without the name of a host, and reached by nothing but a socket.
fn is_here(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once("://") else { return false };
    let transport = scheme.split_once('+').map(|(_, transport)| transport);
    rest.starts_with('/') && matches!(transport, None | Some("unix"))
}

// === impl Session ===

impl Session {
    fn refused(&self, call: &'static str, error: &ffi::Error) -> HypervisorError {
        if self.connection.is_alive() { failure::calling(call, error) } else { failure::lost(&self.uri, error) }
    }

    /// Looks guests up that are not known yet. Those that there are none of stay unknown.
    fn find(&mut self, guests: &[Uuid]) -> Result<(), ffi::Error> {
        let unknown: Vec<Uuid> = guests.iter().filter(|guest| !self.domains.contains_key(guest)).copied().collect();
        if unknown.len() > ONE_BY_ONE {
            let all = self.connection.guests()?;
            self.domains.extend(all.into_iter().filter_map(|domain| Some((domain.uuid()?, domain))));
            return Ok(());
        }
        for guest in unknown {
            if let Some(domain) = self.connection.find(guest)? {
                self.domains.insert(guest, domain);
            }
        }
        Ok(())
    }

    fn stats_of(&mut self, guests: &[Uuid], groups: Groups) -> Result<Stats, ffi::Error> {
        self.find(guests)?;
        let found: Vec<&Domain> = guests.iter().filter_map(|guest| self.domains.get(guest)).collect();
        self.connection.list_stats(&found, groups.bits())
    }

    fn stats(&mut self, guests: &Guests, groups: Groups) -> Result<Stats, ffi::Error> {
        match guests {
            Guests::All => self.connection.all_stats(groups.bits()),
            Guests::Only(guests) => self.stats_of(guests, groups).or_else(|error| match error.kind() {
                // Most drivers leave out who is gone; for the others, find out who that is.
                Kind::Gone => {
                    guests.iter().for_each(|guest| drop(self.domains.remove(guest)));
                    self.stats_of(guests, groups)
                }
                _ => Err(error),
            }),
        }
    }

    fn record(&mut self, answer: &ffi::Record<'_>, request: &Request) -> Option<Record> {
        let guest = answer.guest()?;
        let is_empty = request.groups.is_empty();
        let stats = if is_empty { Vec::new() } else { stats_of(answer, &mut self.keys, &request.keys) };
        Some(Record { guest, revision: self.revisions.now(guest, answer.run()), stats })
    }
}

/// The statistics in an answer, as far as they are wanted and can be used.
fn stats_of(answer: &ffi::Record<'_>, keys: &mut Keys, wanted: &KeySet) -> Vec<Stat> {
    let parameters = answer.parameters();
    let stats = parameters.filter_map(|parameter| {
        let key = keys.get(parameter.key()).filter(|key| wanted.has(key.id))?;
        Some(Stat { key: key.id, number: key.number, value: parameter.value()?.into() })
    });
    stats.collect()
}

/// What these bytes describe, as statistics of an answer that libvirt never gave.
#[doc(hidden)]
pub fn forged(bytes: &[u8]) -> Vec<Stat> {
    ffi::forged(bytes, |answer| stats_of(answer, &mut Keys::default(), &KeySet::All))
}

/// A definition as it is read from a guest's XML; nothing if it cannot be used.
#[doc(hidden)]
pub fn definition(guest: Uuid, text: &str) -> Option<Definition> {
    xml::definition(guest, text).ok()
}

impl Connection for Session {
    fn read(&mut self, request: &Request) -> Result<Vec<Record>, HypervisorError> {
        // To libvirt, no group means every group.
        let groups = if request.groups.is_empty() { Groups::STATE } else { request.groups };
        let stats = self.stats(&request.guests, groups).map_err(|error| self.refused("read", &error))?;
        let records: Vec<Record> = stats.records().filter_map(|answer| self.record(&answer, request)).collect();
        if request.guests == Guests::All && !self.domains.is_empty() {
            let present: HashSet<Uuid> = records.iter().map(|record| record.guest).collect();
            self.domains.retain(|guest, _| present.contains(guest));
        }
        Ok(records)
    }

    fn define(&mut self, guest: Uuid) -> Result<Option<Definition>, HypervisorError> {
        self.find(&[guest]).map_err(|error| self.refused("define", &error))?;
        let Some(domain) = self.domains.get(&guest) else { return Ok(None) };
        match domain.xml() {
            Ok(text) => match xml::definition(guest, &text) {
                Ok(definition) => Ok(Some(definition)),
                Err(error) => Err(HypervisorError::Unusable { reason: error.to_string() }),
            },
            Err(error) if error.kind() == Kind::Gone => {
                self.domains.remove(&guest);
                Ok(None)
            }
            Err(error) => Err(self.refused("define", &error)),
        }
    }

    fn doubts(&mut self) -> Result<Vec<Doubt>, HypervisorError> {
        let version = self.connection.version().map_err(|error| self.refused("version", &error))?;
        Ok(if version < OLDEST { vec![failure::too_old(version)] } else { Vec::new() })
    }

    fn is_alive(&mut self) -> bool {
        self.connection.is_alive()
    }

    fn occupied(&mut self, guests: &[Uuid]) -> Result<Vec<(Uuid, Duration)>, HypervisorError> {
        self.find(guests).map_err(|error| self.refused("occupied", &error))?;
        let mut occupied = Vec::new();
        for guest in guests {
            let Some(domain) = self.domains.get(guest) else { continue };
            match domain.control() {
                Ok(Control::Occupied(since)) => occupied.push((*guest, since)),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    // No guest's process, nobody who could be stuck in it.
                    Kind::Stopped | Kind::Unsupported => {}
                    Kind::Gone => drop(self.domains.remove(guest)),
                    _ => return Err(self.refused("occupied", &error)),
                },
            }
        }
        Ok(occupied)
    }
}

// === impl Value ===

impl From<Scalar<'_>> for Value {
    fn from(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Signed(number) => Self::Integer(number),
            Scalar::Unsigned(number) => Self::Count(number),
            Scalar::Real(number) => Self::Real(number),
            Scalar::Text(text) => Self::Text(text.to_string_lossy().into()),
        }
    }
}
