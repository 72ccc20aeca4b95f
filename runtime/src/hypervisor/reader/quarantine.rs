//! Guests that are left out of what needs their processes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// For how long who was stuck a second time is left out at least; with every further time it is twice as long.
const BACKOFF: Duration = Duration::from_secs(15);
/// It is never longer than this.
const LONGEST: Duration = Duration::from_secs(600);
/// How long a guest has to be well for what it did before to be forgotten.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// Guests in which a call of ours, or of another, is stuck, and what they did before.
#[derive(Debug, Default)]
pub struct Quarantine {
    /// Until when each is left out at least.
    held: BTreeMap<Uuid, Instant>,
    past: HashMap<Uuid, Past>,
}

#[derive(Debug)]
struct Past {
    times: u32,
    last: Instant,
}

// === impl Quarantine ===

impl Quarantine {
    /// Leaves a guest out.
    pub fn hold(&mut self, guest: Uuid, now: Instant) {
        if self.held.contains_key(&guest) {
            return;
        }
        let past = self.past.entry(guest).or_insert(Past { times: 0, last: now });
        (past.times, past.last) = (past.times.saturating_add(1), now);
        self.held.insert(guest, now + backoff(past.times));
    }

    /// Lets go of all but those in which a call is still stuck, of repeat offenders when their time is over, and of
    /// guests that are gone.
    pub fn release(&mut self, present: &BTreeSet<Uuid>, stuck: &BTreeSet<Uuid>, now: Instant) {
        self.held.retain(|guest, until| present.contains(guest) && (stuck.contains(guest) || *until > now));
        for guest in self.held.keys() {
            if let Some(past) = self.past.get_mut(guest) {
                past.last = now;
            }
        }
        self.past.retain(|_, past| now.saturating_duration_since(past.last) < FORGOTTEN);
    }

    /// Whether a guest is left out.
    pub fn holds(&self, guest: &Uuid) -> bool {
        self.held.contains_key(guest)
    }

    /// How many are left out.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nobody is left out.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Who is left out.
    pub fn guests(&self) -> BTreeSet<Uuid> {
        self.held.keys().copied().collect()
    }
}

/// Whoever was stuck once may come back at once.
fn backoff(times: u32) -> Duration {
    match times {
        0 | 1 => Duration::ZERO,
        more => LONGEST.min(BACKOFF.saturating_mul(1 << (more - 2).min(16))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: Uuid = Uuid::from_u128(7);

    #[test]
    fn who_offends_once_is_back_at_once() {
        let (mut quarantine, now) = (Quarantine::default(), Instant::now());
        let (present, nobody) = (BTreeSet::from([GUEST]), BTreeSet::new());
        quarantine.hold(GUEST, now);
        quarantine.release(&present, &present, now);
        assert!(quarantine.holds(&GUEST), "a call is stuck in it");
        quarantine.release(&present, &nobody, now);
        assert!(!quarantine.holds(&GUEST));
    }

    #[test]
    fn who_offends_again_waits_twice_as_long_each_time() {
        let (mut quarantine, mut now) = (Quarantine::default(), Instant::now());
        let (present, nobody) = (BTreeSet::from([GUEST]), BTreeSet::new());
        for waits in [0, 15, 30, 60, 120, 240, 480, 600, 600] {
            quarantine.hold(GUEST, now);
            if waits > 0 {
                now += Duration::from_secs(waits - 1);
                quarantine.release(&present, &nobody, now);
                assert!(quarantine.holds(&GUEST), "{waits} s");
            }
            now += Duration::from_secs(1);
            quarantine.release(&present, &nobody, now);
            assert!(!quarantine.holds(&GUEST), "{waits} s");
        }
        now += FORGOTTEN;
        quarantine.release(&present, &nobody, now);
        quarantine.hold(GUEST, now);
        quarantine.release(&present, &nobody, now);
        assert!(!quarantine.holds(&GUEST), "what it did is forgotten");
    }

    #[test]
    fn who_is_gone_is_not_held() {
        let (mut quarantine, now) = (Quarantine::default(), Instant::now());
        quarantine.hold(GUEST, now);
        quarantine.release(&BTreeSet::new(), &BTreeSet::from([GUEST]), now);
        assert_eq!(quarantine.len(), 0);
    }
}
