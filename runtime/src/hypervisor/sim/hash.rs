//! Chance that falls the same way every time: a number depends on nothing but what it is drawn for.

/// Dice that were thrown for one purpose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dice(u64);

// === impl Dice ===

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// Other dice, for this purpose.
    pub(super) fn of(self, purpose: &str) -> Self {
        purpose.bytes().fold(self, |dice, byte| dice.number(u64::from(byte)))
    }

    /// Other dice, for this one of several.
    pub(super) fn number(self, number: u64) -> Self {
        Self(mix(self.0.rotate_left(17) ^ number))
    }

    /// Any number.
    pub(super) fn roll(self) -> u64 {
        self.0
    }

    /// A number below this one; 0 below 0.
    pub(super) fn below(self, end: u64) -> u64 {
        self.0.checked_rem(end).unwrap_or(0)
    }

    /// A number from the first to the last.
    pub(super) fn between(self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// One of these, and the fallback if there are none.
    pub(super) fn pick<T: Copy>(self, from: &[T], fallback: T) -> T {
        usize::try_from(self.0 >> 1).ok().and_then(|n| from.get(n % from.len().max(1))).copied().unwrap_or(fallback)
    }

    /// Sixteen bytes, as for a UUID.
    pub(super) fn bytes(self) -> [u8; 16] {
        ((u128::from(self.0) << 64) | u128::from(mix(self.0))).to_be_bytes()
    }
}

/// The step of the splitmix64 generator.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first numbers that the published generator gives from 0.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn purposes_and_numbers_differ() {
        let dice = Dice::new(1);
        assert_eq!(dice.of("disk").number(3).roll(), Dice::new(1).of("disk").number(3).roll());
        assert_ne!(dice.of("disk").roll(), dice.of("nic").roll());
        assert_ne!(dice.number(0).roll(), dice.number(1).roll());
        assert!((0..1000).all(|n| (5..=9).contains(&dice.number(n).between(5, 9))));
        assert_eq!(dice.below(0), 0);
        assert_eq!(dice.pick(&[], 7), 7);
    }
}
