//! One simulated guest: what reading it needs to know again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use super::flavors::{SHAPES, SMALL, Shape};
use super::frost::Spell;
use super::hash::Dice;
use super::life::{Effort, Fate, Life, Schedule};
use super::params::Params;
use crate::hypervisor::Record;

/// A guest has at most this many disks, unless the parameters say how many.
const DISKS: u64 = 4;

/// Formats of files.
const QCOW2: &str = "qcow2";
const RAW: &str = "raw";

/// How many network devices guests have, one after the other.
const NICS: [u64; 10] = [1, 1, 2, 1, 0, 1, 3, 1, 2, 4];

/// A guest.
#[derive(Debug)]
pub(super) struct Guest {
    /// Its place among the host's guests, from 0.
    pub(super) number: u64,
    pub(super) uuid: Uuid,
    /// What all its chance comes from.
    pub(super) dice: Dice,
    pub(super) shape: &'static Shape,
    pub(super) traits: Traits,
    /// Names of the disks that it always has.
    pub(super) disks: Vec<Arc<str>>,
    /// The name of a disk that it has at times.
    pub(super) spare: Option<Arc<str>>,
    /// The name of an empty CD-ROM drive.
    pub(super) drive: Option<Arc<str>>,
    /// Names of the host's ends of its network devices.
    pub(super) nics: Vec<Arc<str>>,
    schedule: Schedule,
    /// Whether a call is stuck in it.
    occupied: AtomicBool,
}

/// What only some guests have. Goes by the guest's number, so that a small host has some of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits {
    /// Numbers of its vCPUs leave one out.
    pub(super) gap: bool,
    /// Its kernel does not say how long vCPUs waited.
    pub(super) no_wait: bool,
    /// It counts hardware events.
    pub(super) perf: bool,
    /// It gave a quarter of its memory back.
    pub(super) deflated: bool,
    /// Its first network device has a filter.
    pub(super) filter: bool,
    /// It belongs to a stack.
    pub(super) stack: bool,
    /// It was booted from a volume and not from an image.
    pub(super) volume: bool,
}

/// A block device of a guest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) name: &'a Arc<str>,
    /// What was done since it was plugged in; `None` if it is an empty drive.
    pub(super) effort: Option<Effort>,
}

/// Holds a guest occupied.
#[derive(Debug)]
pub(super) struct Stuck<'a>(&'a Guest);

// === impl Guest ===

impl Guest {
    pub(super) fn new(params: &Params, number: u64, names: &[Arc<str>]) -> Self {
        let dice = Dice::new(params.seed).of("guest").number(number);
        let turn = |every: u64, of: u64| (number + params.seed % every) % every == of;
        let fate = match params.freeze {
            Some(frozen) if number < frozen => Fate::Frozen,
            _ if params.calm => Fate::Calm,
            _ => Fate::Eventful,
        };
        let shape = in_turn(&SHAPES, number).copied().unwrap_or(&SMALL);
        let disks = params.disks.unwrap_or_else(|| dice.of("disks").between(1, DISKS));
        let nics = params.nics.unwrap_or_else(|| in_turn(&NICS, number + params.seed % 10).copied().unwrap_or(1));
        let mut free = names.iter().cloned();
        Self {
            number,
            uuid: uuid::Builder::from_random_bytes(dice.of("uuid").bytes()).into_uuid(),
            dice,
            shape,
            traits: Traits {
                gap: shape.vcpus > 1 && turn(3, 0),
                no_wait: turn(7, 5),
                perf: turn(4, 2),
                deflated: turn(9, 4),
                filter: turn(6, 1),
                stack: turn(3, 2),
                volume: turn(5, 3),
            },
            disks: (0..disks).zip(free.by_ref()).map(|(_, name)| name).collect(),
            spare: free.next().filter(|_| params.disks.is_none() && disks < DISKS),
            drive: (params.disks.is_none() && turn(7, 3)).then(|| Arc::from("hdc")),
            nics: (0..nics).map(|nic| port(number, nic, dice).1.into()).collect(),
            schedule: Schedule::new(dice, fate),
            occupied: AtomicBool::new(false),
        }
    }

    /// The guest at this moment of a host where these are frozen. A frozen guest stays where it was when it froze.
    pub(super) fn life(&self, now: u64, spell: &Spell) -> Life {
        let stopped_at = spell.since(self.number).map(|since| self.schedule.at(since)).filter(Life::runs);
        stopped_at.map_or_else(|| self.schedule.at(now), |life| Life { frozen: true, ..life })
    }

    /// What was done since the spare disk was plugged in, while it is.
    pub(super) fn plugged(&self, life: &Life) -> Option<(&Arc<str>, Effort)> {
        self.spare.as_ref().zip(life.plugged)
    }

    /// Its block devices in order. Disks come before a drive on another bus, whenever they were plugged in.
    pub(super) fn blocks(&self, life: &Life) -> impl Iterator<Item = Block<'_>> {
        let disks = self.disks.iter().map(|name| (name, life.effort)).chain(self.plugged(life));
        let disks = disks.map(|(name, effort)| Block { name, effort: Some(effort) });
        disks.chain(self.drive.iter().map(|name| Block { name, effort: None }))
    }

    /// The format of the file that a medium is. Nova keeps a guest's own disks in files; a volume is none.
    pub(super) fn file_format(&self, number: u32) -> Option<&'static str> {
        match number {
            0 if self.traits.volume => None,
            0 => Some(QCOW2),
            more if (self.number + u64::from(more)).is_multiple_of(3) => Some(RAW),
            _ => Some(QCOW2),
        }
    }

    /// The numbers of its vCPUs, and the highest number that there could be plus 1.
    pub(super) fn vcpus(&self) -> (impl Iterator<Item = u32>, u32) {
        let gap = u32::from(self.traits.gap);
        ((0..self.shape.vcpus).map(move |n| if n == 0 { 0 } else { n + gap }), self.shape.vcpus + gap)
    }

    /// Differs for different definitions of this guest.
    pub(super) fn revision(&self, life: &Life) -> u64 {
        self.dice.of("revision").number(u64::from(self.plugged(life).is_some())).roll()
    }

    /// A record without statistics.
    pub(super) fn record(&self, life: &Life) -> Record {
        Record { guest: self.uuid, revision: self.revision(life), stats: Vec::new() }
    }

    pub(super) fn is_occupied(&self) -> bool {
        self.occupied.load(Ordering::SeqCst)
    }

    /// Occupies the guest; `None` if another call already does.
    pub(super) fn occupy(&self) -> Option<Stuck<'_>> {
        let free = self.occupied.compare_exchange(false, true, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        free.then(|| Stuck(self))
    }
}

fn in_turn<T>(of: &[T], number: u64) -> Option<&T> {
    of.get(usize::try_from(number).ok()?.checked_rem(of.len())?)
}

/// The port of a network device, and the name that Nova gives the host's end of it: `tap` and the port's first digits.
/// No two guests share one.
pub(super) fn port(guest: u64, nic: u64, dice: Dice) -> (Uuid, String) {
    let [_, _, _, _, a, b, c, d] = (guest + 1).wrapping_mul(0x9e37_79b1).to_be_bytes();
    let [.., nic_byte] = nic.to_be_bytes();
    let mut bytes = dice.of("port").number(nic).bytes();
    bytes.iter_mut().zip([a, b, c, d, nic_byte]).for_each(|(byte, unique)| *byte = unique);
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    (id, format!("tap{}", id.to_string().chars().take(11).collect::<String>()))
}

// === impl Stuck ===

impl Drop for Stuck<'_> {
    fn drop(&mut self) {
        self.0.occupied.store(false, Ordering::SeqCst);
    }
}
