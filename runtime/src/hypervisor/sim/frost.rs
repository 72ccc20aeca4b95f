//! Which guests are frozen, and since when: one every few minutes, and once in a while two at a time.

use super::hash::Dice;
use crate::clock::SECOND;

const S: u64 = SECOND.unsigned_abs();

/// Each of these begins one freeze.
const SLOT: u64 = 240 * S;

/// When freezes happen on a host.
#[derive(Debug, Clone)]
pub(super) struct Frost {
    dice: Dice,
    guests: u64,
    happens: bool,
}

/// The guests that are frozen at one moment, each with the time since when.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spell([Option<(u64, u64)>; 2]);

// === impl Frost ===

impl Frost {
    pub(super) fn new(dice: Dice, guests: u64, happens: bool) -> Self {
        Self { dice: dice.of("frost"), guests, happens: happens && guests > 0 }
    }

    pub(super) fn at(&self, now: u64) -> Spell {
        if !self.happens {
            return Spell::default();
        }
        // It begins in the second minute of its slot: 3 to 5 minutes after the one before, and long before the next slot.
        let slot = now / SLOT;
        let dice = self.dice.number(slot);
        let begins = slot * SLOT + dice.of("begins").between(60, 120) * S;
        let lasts = |which: u64| dice.of("lasts").number(which).between(15, 40) * S;
        let victim = dice.of("victim").below(self.guests);
        let other = (victim + 1) % self.guests;
        let frozen = |which: u64| (begins..begins + lasts(which)).contains(&now);
        Spell([
            frozen(0).then_some((victim, begins)),
            (dice.of("both").below(4) == 0 && frozen(1)).then_some((other, begins)),
        ])
    }
}

// === impl Spell ===

impl Spell {
    /// Since when this guest is frozen.
    pub(super) fn since(&self, guest: u64) -> Option<u64> {
        self.0.iter().flatten().find(|(victim, _)| *victim == guest).map(|(_, since)| *since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_comes_every_few_minutes_and_goes() {
        let frost = Frost::new(Dice::new(1), 20, true);
        let mut begins = Vec::new();
        let mut pairs = 0;
        for second in 1_790_000_000..1_790_086_400 {
            let spell = frost.at(second * S);
            let frozen: Vec<_> = spell.0.iter().flatten().collect();
            pairs += usize::from(frozen.len() == 2);
            for (guest, since) in frozen {
                assert!(*guest < 20 && (second * S - since) < 40 * S);
                begins.push(since / S);
            }
        }
        begins.dedup();
        assert!((359..=361).contains(&begins.len()), "{}", begins.len());
        assert!(begins.windows(2).all(|pair| (180..=300).contains(&(pair[1] - pair[0]))));
        assert!(pairs > 0);
        assert_eq!(Frost::new(Dice::new(1), 0, true).at(S * 80).since(0), None);
    }
}
