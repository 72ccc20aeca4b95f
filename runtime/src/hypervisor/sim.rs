//! A simulated host: guests that boot, work, rest, stop, move, gain and lose a disk, and freeze.
//!
//! Everything follows from the seed and the time, so two hosts of the same URI say the same at the same moment. A
//! frozen guest does what libvirt's does: the first call that asks it waits until it thaws, and others meanwhile get
//! what needs no monitor. So the defences against such guests can be tried without libvirt.

mod cast;
mod counters;
mod flavors;
mod frost;
mod guest;
mod hash;
mod keys;
mod life;
mod params;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use self::cast::Cast;
use self::counters::Sheet;
use self::frost::{Frost, Spell};
use self::guest::Guest;
use self::hash::Dice;
use self::keys::Keys;
use self::life::{Life, Phase};
use self::params::Params;
use super::{Connection, Definition, Guests, Hypervisor, HypervisorError, Record, Request};
use crate::clock::Clock;

/// How often a stuck call looks whether its guest has thawed.
const LOOK: Duration = Duration::from_millis(10);

/// The end of simulated time, in 2096: what comes after is this moment, and nothing that is counted overflows.
const END: u64 = 4_000_000_000_000_000_000;

/// A simulated host. Its clones and connections are of the same host.
#[derive(Debug, Clone)]
pub struct Sim {
    host: Arc<Host>,
    /// Lives as long as some clone does; a call that is stuck gives up after that.
    open: Arc<()>,
}

struct Host {
    params: Params,
    clock: Arc<dyn Clock>,
    keys: Keys,
    cast: Cast,
    frost: Frost,
    guests: Vec<Guest>,
    numbers: HashMap<Uuid, usize>,
}

struct Session {
    host: Arc<Host>,
    open: Weak<()>,
}

/// One moment on the host.
#[derive(Clone, Copy)]
struct Scene {
    now: u64,
    spell: Spell,
}

// === impl Sim ===

impl Sim {
    /// The host that a URI such as `sim://?domains=20&seed=1` describes.
    ///
    /// | parameter | meaning | default |
    /// |---|---|---|
    /// | `domains` | guests, up to 10,000 | 20 |
    /// | `seed` | what all chance comes from | 1 |
    /// | `disks`, `nics` | devices of every guest; no disk comes or goes, and there is no CD-ROM drive | 1 to 4, 0 to 4 |
    /// | `calm` | `true`: guests only run and work | `false` |
    /// | `freeze` | exactly this many guests, from the first, run and are frozen for ever | now and then one |
    pub fn from_uri(uri: &str, clock: Arc<dyn Clock>) -> Result<Self, HypervisorError> {
        let params = Params::from_uri(uri)?;
        let keys = Keys::resolve().ok_or_else(|| HypervisorError::Unreachable {
            uri: uri.to_owned(),
            reason: "too many names of statistics are known already; restart the process".to_owned(),
        })?;
        let dice = Dice::new(params.seed);
        let names: Vec<Arc<str>> = ('a'..='p').map(|letter| format!("vd{letter}").into()).collect();
        let guests: Vec<Guest> = (0..params.domains).map(|number| Guest::new(&params, number, &names)).collect();
        let host = Host {
            keys,
            clock,
            cast: Cast::new(dice, params.domains),
            frost: Frost::new(dice, params.domains, !params.calm && params.freeze.is_none()),
            numbers: guests.iter().enumerate().map(|(number, guest)| (guest.uuid, number)).collect(),
            guests,
            params,
        };
        Ok(Self { host: Arc::new(host), open: Arc::new(()) })
    }
}

impl Hypervisor for Sim {
    fn connect(&self) -> Result<Box<dyn Connection>, HypervisorError> {
        Ok(Box::new(Session { host: Arc::clone(&self.host), open: Arc::downgrade(&self.open) }))
    }
}

// === impl Host ===

impl Host {
    fn scene(&self) -> Scene {
        let now = u64::try_from(self.clock.now().wall).unwrap_or(0).min(END);
        Scene { now, spell: self.frost.at(now) }
    }

    fn guest(&self, uuid: Uuid) -> Option<&Guest> {
        self.guests.get(*self.numbers.get(&uuid)?)
    }

    fn wanted(&self, guests: &Guests) -> Vec<&Guest> {
        match guests {
            Guests::All => self.guests.iter().collect(),
            Guests::Only(uuids) => uuids.iter().filter_map(|uuid| self.guest(*uuid)).collect(),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("params", &self.params).finish_non_exhaustive()
    }
}

// === impl Scene ===

impl Scene {
    fn life(&self, guest: &Guest) -> Life {
        guest.life(self.now, &self.spell)
    }
}

// === impl Session ===

impl Session {
    /// Returns when the guest is no longer frozen.
    fn wait(&self, guest: &Guest) -> Result<Scene, HypervisorError> {
        loop {
            let scene = self.host.scene();
            if !scene.life(guest).frozen {
                return Ok(scene);
            }
            if self.open.strong_count() == 0 {
                let reason = "the simulated host is gone; keep it as long as its connections".to_owned();
                return Err(HypervisorError::Call { call: "read", reason });
            }
            thread::sleep(LOOK);
        }
    }
}

impl Connection for Session {
    fn read(&mut self, request: &Request) -> Result<Vec<Record>, HypervisorError> {
        let wanted = self.host.wanted(&request.guests);
        let asks_monitor = !request.groups.with_monitor().is_empty();
        let mut records = Vec::with_capacity(wanted.len());
        // Filled again and again, so that what is kept of each guest takes no more than it needs.
        let mut stats = Vec::new();
        let mut scene = self.host.scene();
        for guest in wanted {
            let mut groups = request.groups;
            let mut life = scene.life(guest);
            if asks_monitor && guest.is_occupied() {
                groups = groups.without_monitor();
            } else if asks_monitor && life.frozen {
                match guest.occupy() {
                    Some(_stuck) => scene = self.wait(guest)?,
                    None => groups = groups.without_monitor(),
                }
                life = scene.life(guest);
            }
            if life.phase != Phase::Away {
                Sheet::of(guest, &life, (&self.host.keys, &request.keys), &mut stats).write(groups);
                let mut own = Vec::with_capacity(stats.len());
                own.append(&mut stats);
                records.push(Record { stats: own, ..guest.record(&life) });
            }
        }
        Ok(records)
    }

    fn define(&mut self, guest: Uuid) -> Result<Option<Definition>, HypervisorError> {
        let Some(guest) = self.host.guest(guest) else { return Ok(None) };
        let life = self.host.scene().life(guest);
        Ok((life.phase != Phase::Away).then(|| self.host.cast.definition(guest, &life)))
    }

    fn occupied(&mut self, guests: &[Uuid]) -> Result<Vec<(Uuid, Duration)>, HypervisorError> {
        let occupied = |uuid: &&Uuid| self.host.guest(**uuid).is_some_and(Guest::is_occupied);
        // Whoever does not answer at once here is frozen.
        Ok(guests.iter().filter(occupied).map(|guest| (*guest, Duration::MAX)).collect())
    }
}
