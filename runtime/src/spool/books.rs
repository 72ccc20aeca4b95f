//! What became of every sample, for each publisher: measured and replayed are delivered, spooled or lost.

use std::collections::BTreeMap;

use super::log::{Account, Counts, Limits, Total};
use super::missed::{Missed, Why};
use super::record::Kind;
use crate::pipeline::Route;

/// A spool at one moment.
#[derive(Debug, Clone)]
pub struct View {
    /// When that was, in nanoseconds since 1970.
    pub at: i64,
    /// Bytes in use.
    pub bytes: u64,
    /// Its bounds.
    pub limits: Limits,
    /// Records that are there.
    pub records: usize,
    /// The time of the oldest of them.
    pub oldest: Option<i64>,
    /// Each publisher's books.
    pub books: Vec<Books>,
    /// What those lost that are no publishers any more, when they went.
    pub former: BTreeMap<String, Vec<Loss>>,
}

/// What became of a publisher's samples since it was configured first.
#[derive(Debug, Clone)]
pub struct Books {
    /// Whose they are.
    pub publisher: String,
    /// What was measured.
    pub measured: u64,
    /// What was handed in to be delivered again.
    pub replayed: u64,
    /// What it delivered.
    pub delivered: u64,
    /// What it still has to deliver.
    pub spooled: u64,
    /// What it will not deliver.
    pub lost: Vec<Loss>,
    /// Since when the oldest of what is spooled waits.
    pub oldest: Option<i64>,
    /// The number of the first record that it has not delivered.
    pub position: u64,
}

/// Samples that are lost for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub cause: &'static str,
    /// What they were; unknown where the disk did not keep it.
    pub kind: Option<Kind>,
    /// How many they are.
    pub samples: u64,
}

// === impl Books ===

impl Books {
    /// What an account and the samples that never came into it say together.
    pub fn of(account: &Account, missed: &Missed, oldest: Option<i64>) -> Self {
        let publisher = account.cursor.clone();
        let (mut appended, mut replayed) = split(&account.appended.counts, &publisher);
        let both = |counts: &Counts| {
            let (measured, replayed) = split(counts, &publisher);
            measured.saturating_add(replayed)
        };
        let mut lost: BTreeMap<(&'static str, Option<Kind>), u64> = BTreeMap::new();
        let mut lose = |cause: &'static str, kind: Option<Kind>, samples: u64| {
            // Who else would have got them is nothing to this one.
            let kind = kind.map(|kind| Kind { route: Route::default(), ..kind });
            let all = lost.entry((cause, kind)).or_default();
            *all = all.saturating_add(samples);
        };
        for (cause, total) in &account.dropped {
            let cause = cause.as_str();
            for (key, samples) in total.counts.iter() {
                let kind = Kind::of(key);
                if kind.is_for(&publisher) {
                    lose(cause, Some(kind), *samples);
                }
            }
            if total.counts.unread() > 0 {
                lose(cause, None, total.counts.unread());
            }
        }
        for (why, key, samples) in missed.of(&publisher) {
            let kind = Kind::of_text(key);
            if kind.is_for(&publisher) {
                let came = if kind.is_replayed() { &mut replayed } else { &mut appended };
                *came = came.saturating_add(samples);
                lose(why.as_str(), Some(kind), samples);
            }
        }
        let lost = lost.into_iter().map(|((cause, kind), samples)| Loss { cause, kind, samples }).collect();
        Self {
            measured: appended,
            replayed,
            delivered: both(&account.acknowledged.counts),
            spooled: both(&account.held.counts),
            lost,
            oldest,
            position: account.position.0,
            publisher,
        }
    }

    /// Samples lost, by cause.
    pub fn lost_by_cause(&self) -> BTreeMap<&'static str, u64> {
        let mut causes = BTreeMap::new();
        for loss in &self.lost {
            let samples: &mut u64 = causes.entry(loss.cause).or_default();
            *samples = samples.saturating_add(loss.samples);
        }
        causes
    }
}

/// What those lost that are none of these publishers.
pub(super) fn former(missed: &Missed, books: &[Books]) -> BTreeMap<String, Vec<Loss>> {
    let publishers: Vec<&str> = books.iter().map(|books| &*books.publisher).collect();
    let lost = |name: &str| {
        let of_cause = missed.of(name).filter(|(why, _, _)| *why == Why::Removed);
        let mut by_kind: BTreeMap<Kind, u64> = BTreeMap::new();
        for (_, key, samples) in of_cause {
            let all = by_kind.entry(Kind { route: Route::default(), ..Kind::of_text(key) }).or_default();
            *all = all.saturating_add(samples);
        }
        let loss = |(kind, samples)| Loss { cause: Why::Removed.as_str(), kind: Some(kind), samples };
        by_kind.into_iter().map(loss).collect()
    };
    missed.former(&publishers).map(|name| (name.to_owned(), lost(name))).collect()
}

/// How many samples these are.
pub fn in_all(lost: &[Loss]) -> u64 {
    lost.iter().fold(0, |sum, loss| sum.saturating_add(loss.samples))
}

/// Samples of a publisher's.
pub(super) fn of_publisher(total: &Total, publisher: &str) -> u64 {
    let (measured, replayed) = split(&total.counts, publisher);
    measured.saturating_add(replayed)
}

/// Measured and replayed samples of those that are this publisher's at all.
fn split(counts: &Counts, publisher: &str) -> (u64, u64) {
    let (mut measured, mut replayed) = (counts.unread(), 0_u64);
    for (key, samples) in counts.iter() {
        let kind = Kind::of(key);
        match kind.is_for(publisher) {
            true if kind.is_replayed() => replayed = replayed.saturating_add(*samples),
            true => measured = measured.saturating_add(*samples),
            false => {}
        }
    }
    (measured, replayed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::spool::log::{Cause, Sequence};
    use crate::spool::record;

    #[test]
    fn what_is_replayed_for_another_is_in_nobody_elses_books() {
        let route = Route::default();
        let cpu = Kind { module: "cpu".into(), tenant: "operator".into(), route, meter: "cpu".into() };
        let measured: Counts = [(cpu.key(), 5)].into_iter().collect();
        let total = |records, lists: &[&Counts]| {
            let mut counts = Counts::new();
            lists.iter().for_each(|list| counts.add_all(list));
            Total { records, counts }
        };
        let (for_a, for_all) = (record::replayed(Some("a"), ["cpu"; 3]), record::replayed(None, ["cpu"; 2]));
        let account = |cursor: &str| Account {
            cursor: cursor.into(),
            position: Sequence(4),
            appended: total(3, &[&measured, &for_a, &for_all]),
            acknowledged: total(1, &[&measured]),
            held: total(1, &[&for_all]),
            dropped: BTreeMap::from([(Cause::Operator, total(1, &[&for_a]))]),
        };
        let mut missed = Missed::default();
        missed.add("a", Why::DiskFull, &measured);
        let of = |cursor: &str| {
            let books = Books::of(&account(cursor), &missed, None);
            let lost = books.lost_by_cause();
            assert_eq!(
                books.measured + books.replayed,
                books.delivered + books.spooled + lost.values().sum::<u64>(),
                "{books:?}"
            );
            (books.measured, books.replayed, books.delivered, books.spooled, lost)
        };
        assert_eq!(of("a"), (10, 5, 5, 2, BTreeMap::from([("operator", 3), ("disk-full", 5)])));
        assert_eq!(of("b"), (5, 2, 5, 2, BTreeMap::new()));
    }
}
