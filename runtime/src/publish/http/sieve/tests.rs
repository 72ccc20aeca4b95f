use std::collections::BTreeSet;

use super::*;

/// A record at a server.
struct Tried {
    sieve: Sieve,
    taken: BTreeSet<usize>,
    requests: usize,
}

impl Tried {
    fn new(samples: usize, batch: usize) -> Self {
        Self { sieve: Sieve::new(samples, batch), taken: BTreeSet::new(), requests: 0 }
    }

    /// Asks a server that takes what it says to, until it seems to take nothing or all is known. Returns whether it is.
    fn asks(&mut self, mut takes: impl FnMut(Range<usize>) -> bool) -> bool {
        loop {
            match self.sieve.step() {
                Step::Nothing => return false,
                Step::Done => return true,
                Step::Ask(places) => {
                    self.requests += 1;
                    match takes(places.clone()) {
                        true => {
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
}

fn all(samples: usize) -> BTreeSet<usize> {
    (0..samples).collect()
}

/// Two of five, without a pattern that halves could follow.
fn is_odd(place: usize) -> bool {
    place * 618_034 % 1_000_000 < 400_000
}

#[test]
fn what_is_not_refused_is_taken_at_the_first_try_wherever_it_is() {
    for (samples, batch) in [(7, 1), (3000, 1000), (3000, 20), (516, 1000)] {
        let mut tried = Tried::new(samples, batch);
        assert!(tried.asks(|places| !places.into_iter().any(is_odd)));
        let (odd, taken): (Vec<usize>, Vec<usize>) = (0..samples).partition(|place| is_odd(*place));
        assert_eq!((tried.lost(), Vec::from_iter(tried.taken)), (odd, taken), "{samples} in batches of {batch}");
        assert!(tried.requests < 3 * samples + 100, "{} requests", tried.requests);
    }
}

#[test]
fn no_order_of_guests_hides_those_that_are_taken() {
    for (period, odd, batch) in [(20, 8, 20), (60, 24, 1000), (1000, 400, 1000), (1000, 600, 100), (2, 1, 50)] {
        let mut tried = Tried::new(3000, batch);
        assert!(tried.asks(|places| places.into_iter().all(|place| place % period >= odd)), "{odd} of {period}");
        assert_eq!(tried.taken.len(), 3000 - 3000 / period * odd, "{odd} of {period}");
    }
}

#[test]
fn a_single_sample_that_can_be_taken_is_found_by_and_by() {
    let mut tried = Tried::new(1000, 1000);
    let mut tries = 1;
    while !tried.asks(|places| places == (617..618)) {
        assert!(tried.taken.is_empty() && tried.lost().is_empty());
        tries += 1;
    }
    assert!((2..40).contains(&tries), "{tries}");
    assert_eq!((Vec::from_iter(tried.taken), tried.sieve.lost().len()), (vec![617], 999));
}

#[test]
fn a_server_that_refuses_everything_and_recovers_costs_nothing_whenever_it_does() {
    for refused in 0..400 {
        let (mut tried, mut requests) = (Tried::new(516, 100), 0);
        let mut recovers = |_: Range<usize>| {
            requests += 1;
            requests > refused
        };
        while !tried.asks(&mut recovers) {
            assert!(tried.lost().is_empty());
        }
        assert_eq!((tried.taken, tried.sieve.lost().len()), (all(516), 0), "after {refused}");
        assert!(tried.requests <= refused + 10, "{} requests after {refused}", tried.requests);
    }
}

#[test]
fn it_may_begin_to_refuse_everything_in_the_middle() {
    for before in 1..8 {
        let (mut tried, mut requests) = (Tried::new(1000, 100), 0);
        let done = tried.asks(|_| {
            requests += 1;
            requests <= before
        });
        assert!(!done && tried.lost().is_empty() && tried.requests <= before + ENOUGH + 1);
        assert!(!tried.asks(|_| false) && tried.lost().is_empty());
        assert!(tried.asks(|_| true));
        assert_eq!((tried.taken, tried.sieve.lost().len()), (all(1000), 0));
    }
}

/// Such a moment may be over before it is noticed, or begin at the end.
#[test]
fn a_moment_in_which_everything_is_refused_costs_nothing() {
    for (samples, batch) in [(3000, 1000), (1030, 1000), (300, 20)] {
        for (before, moment) in (1..4).flat_map(|before| (1..ENOUGH).map(move |moment| (before, moment))) {
            let (mut tried, mut requests) = (Tried::new(samples, batch), 0);
            let mut takes = |_: Range<usize>| {
                requests += 1;
                requests <= before || requests > before + moment
            };
            while !tried.asks(&mut takes) {}
            assert_eq!((tried.taken, tried.sieve.lost().len()), (all(samples), 0), "{moment} after {before}");
        }
        let (mut tried, mut requests) = (Tried::new(samples, batch), 0);
        let done = tried.asks(|_| {
            requests += 1;
            requests == 1
        });
        assert!(!done && tried.lost().is_empty(), "{samples} in batches of {batch}");
    }
}

#[test]
fn many_refusals_in_a_row_are_believed_of_a_server_that_takes_others() {
    let mut tried = Tried::new(2000, 1000);
    assert!(tried.asks(|places| places.start >= 1000));
    assert_eq!(tried.lost(), Vec::from_iter(0..1000));
}

#[test]
fn what_is_refused_as_a_whole_is_given_up_once_others_are_taken() {
    let mut tried = Tried::new(516, 1000);
    assert!(!tried.asks(|_| false) && tried.requests == ENOUGH);
    tried.sieve.trust();
    assert!(tried.asks(|_| true), "it was not the record");
    assert_eq!((tried.taken, tried.requests), (all(516), ENOUGH + 1));

    let mut tried = Tried::new(516, 1000);
    assert!(!tried.asks(|_| false));
    tried.sieve.trust();
    assert!(tried.asks(|_| false), "it was");
    assert_eq!(tried.lost(), Vec::from_iter(0..516));
}

#[test]
fn an_odd_server_is_asked_so_often_and_no_more() {
    let mut tried = Tried::new(100_000, 1000);
    assert!(tried.asks(|places| places.end % 2 == 1 && places.len() == 1));
    assert!(tried.requests < 3 * MOST, "{} requests", tried.requests);
    assert!(!tried.taken.is_empty());
    let lost = tried.lost();
    assert_eq!(lost.len() + tried.taken.len(), 100_000);
    assert!(lost.iter().all(|place| !tried.taken.contains(place)));
}

#[test]
fn a_part_may_be_taken() {
    let mut sieve = Sieve::new(20, 10);
    assert_eq!(sieve.step(), Step::Ask(0..10));
    sieve.taken(0..10, 2);
    assert_eq!(sieve.step(), Step::Ask(10..20));
    sieve.taken(10..20, 0);
    assert_eq!((sieve.step(), sieve.lost()), (Step::Done, &[0, 5][..]));
    assert_eq!(Sieve::new(0, 10).step(), Step::Done);
}

#[test]
fn what_is_lost_of_a_part_is_spread_over_it() {
    assert_eq!(spread(10..20, 5).collect::<Vec<_>>(), [10, 12, 14, 16, 18]);
    assert_eq!(spread(10..13, 99).collect::<Vec<_>>(), [10, 11, 12]);
    assert_eq!(spread(3..4, 0).count(), 0);
}
