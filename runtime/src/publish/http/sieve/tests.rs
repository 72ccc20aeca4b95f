use std::collections::BTreeSet;

use super::*;

/// A record at a server, and what its publisher knows of that.
struct Tried {
    sieve: Sieve,
    /// The most that is asked for at once.
    batch: usize,
    /// Whether there is something to prove by that the server takes anything: what it took before is asked for again.
    has_proof: bool,
    taken: BTreeSet<usize>,
    requests: usize,
}

/// What a server is asked for in proof: samples of another record, and none of this one.
const PROOF: Range<usize> = 0..0;

impl Tried {
    /// By a publisher that has something to prove by from the record before, or has just begun.
    fn new(samples: usize, batch: usize, has_proof: bool) -> Self {
        Self { sieve: Sieve::new(samples), batch, has_proof, taken: BTreeSet::new(), requests: 0 }
    }

    /// Asks a server that takes what it says to, until it seems to take nothing or all is known. Returns whether it is.
    fn asks(&mut self, mut takes: impl FnMut(Range<usize>) -> bool) -> bool {
        loop {
            match self.sieve.step(self.batch) {
                Step::Done => return true,
                Step::Prove => {
                    self.requests += usize::from(self.has_proof);
                    if !(self.has_proof && takes(PROOF)) {
                        self.sieve.doubted();
                        return false;
                    }
                    self.sieve.proven();
                }
                Step::Ask(places) => {
                    self.requests += 1;
                    match takes(places.clone()) {
                        true => {
                            self.has_proof = true;
                            self.taken.extend(places.clone());
                            self.sieve.taken(places, 0);
                        }
                        false => self.sieve.refused(places),
                    }
                }
            }
        }
    }

    fn lost(&mut self) -> Vec<usize> {
        self.sieve.lost().to_vec()
    }

    /// What is known once everything is: each sample was taken, or is lost.
    fn ends(&mut self, samples: usize, lost: &[usize], of: &str) {
        assert_eq!(self.lost(), lost, "{of}");
        assert_eq!(self.taken, (0..samples).filter(|place| !lost.contains(place)).collect(), "{of}");
    }
}

fn all(samples: usize) -> Vec<usize> {
    (0..samples).collect()
}

/// Two of five, without a pattern that halves could follow.
fn is_odd(place: usize) -> bool {
    place * 618_034 % 1_000_000 < 400_000
}

#[test]
fn what_is_not_refused_is_taken_at_the_first_try_wherever_it_is() {
    for (samples, batch) in [(7, 1), (3000, 1000), (3000, 20), (516, 1000)] {
        let mut tried = Tried::new(samples, batch, false);
        assert!(tried.asks(|mut places| !places.any(is_odd)));
        let odd: Vec<usize> = (0..samples).filter(|place| is_odd(*place)).collect();
        tried.ends(samples, &odd, &format!("{samples} in batches of {batch}"));
    }
}

#[test]
fn no_order_of_guests_hides_those_that_are_taken() {
    for (period, odd, batch) in [(20, 8, 20), (60, 24, 1000), (1000, 400, 1000), (1000, 600, 100), (2, 1, 50)] {
        let mut tried = Tried::new(3000, batch, false);
        assert!(tried.asks(|mut places| places.all(|place| place % period >= odd)), "{odd} of {period}");
        assert_eq!(tried.taken.len(), 3000 - 3000 / period * odd, "{odd} of {period}");
    }
}

#[test]
fn what_is_refused_as_a_whole_is_given_up_if_what_was_taken_before_still_is() {
    for (samples, batch) in [(1, 1), (3, 1), (2, 1000), (516, 1000), (3000, 20)] {
        let of = format!("{samples} in batches of {batch}");
        let mut tried = Tried::new(samples, batch, true);
        assert!(tried.asks(|places| places == PROOF), "{of}");
        tried.ends(samples, &all(samples), &of);

        // Nothing proves that it is meant, until somebody else finds something that is taken.
        let mut tried = Tried::new(samples, batch, false);
        for _ in 0..100 {
            assert!(!tried.asks(|_| false) && tried.lost().is_empty(), "{of}");
        }
        tried.has_proof = true;
        assert!(!tried.asks(|_| false) && tried.lost().is_empty(), "it is refused by now, {of}");
        assert!(tried.asks(|places| places == PROOF), "{of}");
        tried.ends(samples, &all(samples), &of);
    }
}

#[test]
fn a_single_sample_that_can_be_taken_is_found_by_and_by() {
    let mut tried = Tried::new(1000, 1000, false);
    let mut tries = 1;
    while !tried.asks(|places| [617..618, PROOF].contains(&places)) {
        assert!(tried.taken.is_empty() && tried.lost().is_empty());
        tries += 1;
    }
    assert!((2..40).contains(&tries), "{tries}");
    assert_eq!((Vec::from_iter(tried.taken), tried.sieve.lost().len()), (vec![617], 999));
}

/// However long it lasts, whenever it begins and whatever else is refused: what the server takes otherwise is not lost.
#[test]
fn a_moment_in_which_everything_is_refused_costs_nothing() {
    let is_never: [fn(usize) -> bool; 3] = [|_| false, is_odd, |_| true];
    for (samples, batch) in [(1, 1), (2, 1), (3, 2), (5, 1000), (40, 1000), (130, 50)] {
        for (is_refused, has_proof) in is_never.iter().flat_map(|refused| [(refused, true), (refused, false)]) {
            let lost: Vec<usize> = (0..samples).filter(|place| is_refused(*place)).collect();
            if lost.len() == samples && !has_proof {
                continue;
            }
            let step = 1 + samples / 20;
            let moments = move |before| (1..150).step_by(step).map(move |moment| (before, moment));
            for (before, moment) in (0..90).step_by(step).flat_map(moments) {
                let (mut tried, mut requests) = (Tried::new(samples, batch, has_proof), 0);
                let mut takes = |mut places: Range<usize>| {
                    requests += 1;
                    !(before..before + moment).contains(&(requests - 1)) && !places.any(is_refused)
                };
                while !tried.asks(&mut takes) {}
                tried.ends(samples, &lost, &format!("{samples} in batches of {batch}, {moment} after {before}"));
            }
        }
    }
}

/// One may be so short that it is over before it is noticed, if the others are not.
#[test]
fn moments_in_which_everything_is_refused_cost_nothing_if_they_last() {
    // Of so many samples the last ones are never taken.
    for (samples, never, batch) in [(1, 0, 1), (3, 0, 1), (40, 0, 1000), (130, 0, 50), (140, 110, 1)] {
        let lost: Vec<usize> = (samples - never..samples).collect();
        for (before, between) in
            [0, 1, 2, 5].into_iter().flat_map(|before| (1..140).map(move |between| (before, between)))
        {
            for (short, long) in [(1, ENOUGH + 1), (7, ENOUGH + 1), (30, 3 * ENOUGH)] {
                let (mut tried, mut requests) = (Tried::new(samples, batch, true), 0);
                let second = before + short + between;
                let mut takes = |mut places: Range<usize>| {
                    requests += 1;
                    let is_in = |from: usize, moment: usize| (from..from + moment).contains(&(requests - 1));
                    !is_in(before, short) && !is_in(second, long) && !places.any(|place| place >= samples - never)
                };
                while !tried.asks(&mut takes) {}
                tried.ends(
                    samples,
                    &lost,
                    &format!("{samples} in batches of {batch}, {short} after {before}, {between}"),
                );
            }
        }
    }
}

#[test]
fn it_is_soon_noticed_that_everything_is_refused_and_that_it_is_not_any_more() {
    for refused in 0..400 {
        let mut tried = Tried::new(516, 100, true);
        let mut takes = {
            let mut requests = 0;
            move |_: Range<usize>| {
                requests += 1;
                requests > refused
            }
        };
        let mut tries = 1;
        while !tried.asks(&mut takes) {
            tries += 1;
        }
        tried.ends(516, &[], &format!("after {refused}"));
        assert!(tries <= refused / ENOUGH + 1, "{tries} tries for {refused} refusals");
        let few = 2 * ENOUGH + 6;
        assert!(tried.requests <= refused + few, "{} requests for {refused} refusals", tried.requests);
    }
}

/// Behind one name there may be several servers, one of which is wrong.
#[test]
fn a_server_that_refuses_everything_half_of_the_time_gets_nearly_all() {
    for batch in [1, 100, 1000] {
        let (mut tried, mut requests) = (Tried::new(1000, batch, true), 0_u64);
        let mut takes = |_: Range<usize>| {
            requests += 1;
            requests.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 63 == 0
        };
        while !tried.asks(&mut takes) {}
        assert!(tried.lost().len() <= 4, "{:?}", tried.lost());
    }
}

/// The worst is one that refuses all, or takes single samples only: each sample is asked for in halves, and once more.
#[test]
fn a_record_costs_so_many_requests_and_no_more() {
    let servers: [fn(Range<usize>) -> bool; 4] = [
        |places| places == PROOF,
        |places| places.len() < 2,
        |places| places == PROOF || places.len() == 1 && places.end % 2 == 1,
        |mut places| !places.any(is_odd),
    ];
    for (samples, batch, takes) in servers.iter().flat_map(|takes| [(20_000, 1000, takes), (1000, 1, takes)]) {
        let mut tried = Tried::new(samples, batch, true);
        assert!(tried.asks(takes));
        let proofs = 3 * samples / ENOUGH + 2;
        assert!(tried.requests <= 3 * samples + proofs, "{} requests for {samples}", tried.requests);
        assert_eq!(tried.lost().len() + tried.taken.len(), samples);
    }

    // One that does as it likes.
    let (mut tried, mut requests) = (Tried::new(5000, 1000, true), 0_usize);
    let mut takes = |places: Range<usize>| {
        requests += 1;
        places == PROOF || requests * 618_034 % 1_000_000 < 1000
    };
    assert!(tried.asks(&mut takes));
    assert!(tried.requests <= (2 + MOST_AGAIN) * 5000 * (ENOUGH + 1) / ENOUGH + 2, "{} requests", tried.requests);
}

#[test]
fn a_part_may_be_taken() {
    let mut sieve = Sieve::new(20);
    assert_eq!(sieve.step(10), Step::Ask(0..10));
    sieve.taken(0..10, 2);
    assert_eq!(sieve.step(10), Step::Ask(10..20));
    sieve.taken(10..20, 0);
    assert_eq!((sieve.step(10), sieve.lost()), (Step::Done, &[0, 5][..]));
    assert_eq!(Sieve::new(0).step(10), Step::Done);

    // That none of it was proves nothing of what was refused before.
    let mut sieve = Sieve::new(2);
    assert_eq!(sieve.step(1), Step::Ask(0..1));
    sieve.refused(0..1);
    assert_eq!(sieve.step(1), Step::Ask(1..2));
    sieve.taken(1..2, 7);
    assert_eq!((sieve.step(1), sieve.lost()), (Step::Prove, &[1][..]));
}

#[test]
fn what_is_put_back_comes_next_and_may_come_in_smaller_parts() {
    let mut sieve = Sieve::new(20);
    assert_eq!(sieve.step(12), Step::Ask(0..12));
    sieve.put_back(0..12);
    for places in [0..6, 6..12, 12..18, 18..20] {
        assert_eq!(sieve.step(6), Step::Ask(places.clone()));
        sieve.taken(places, 0);
    }
    assert_eq!(sieve.step(6), Step::Done);
}

#[test]
fn what_is_lost_of_a_part_is_spread_over_it() {
    assert_eq!(spread(10..20, 5).collect::<Vec<_>>(), [10, 12, 14, 16, 18]);
    assert_eq!(spread(10..13, 3).collect::<Vec<_>>(), [10, 11, 12]);
    assert_eq!(spread(3..4, 0).count(), 0);
}
