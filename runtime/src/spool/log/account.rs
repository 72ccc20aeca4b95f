//! What became of every record, for each cursor.

use std::collections::BTreeMap;

use super::counts::Counts;
use super::record::Sequence;

/// Why a record was lost, a closed set: these are label values of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The spool reached its bound in bytes.
    Bytes,
    /// It got too old.
    Age,
    /// The disk gave back something else than was written, or nothing.
    Damaged,
    /// The disk was full, and room was needed for a newer one.
    FullDisk,
    /// The operator asked for it.
    Operator,
    /// Less was made of it, or another record stands for it, to make room: see [`Thin`](super::Thin).
    Thinned,
    /// Whoever it was sent to will never take it.
    Refused,
    /// It is larger than what it is sent in can be.
    Oversize,
}

/// A number of records and of what they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Total {
    /// Records.
    pub records: u64,
    /// Their samples.
    pub counts: Counts,
}

/// Records that a cursor will not get, or samples that were taken out of one that it will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Who will not get them; `None` if nobody was reading.
    pub cursor: Option<String>,
    /// Why.
    pub cause: Cause,
    /// The first of them.
    pub first: Sequence,
    /// The last of them. Records in between that had been dropped before are not counted again.
    pub last: Sequence,
    /// How much it is. No records, if samples were taken out of the only record that its segment still held.
    pub total: Total,
}

/// One cursor's books. All of it counts from the record at which the cursor was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The cursor.
    pub cursor: String,
    /// The first record that it has not acknowledged.
    pub position: Sequence,
    /// What was appended.
    pub appended: Total,
    /// What it acknowledged.
    pub acknowledged: Total,
    /// What it may still get.
    pub held: Total,
    /// What it will not get.
    pub dropped: BTreeMap<Cause, Total>,
}

// === impl Cause ===

impl Cause {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Bytes,
        Self::Age,
        Self::Damaged,
        Self::FullDisk,
        Self::Operator,
        Self::Thinned,
        Self::Refused,
        Self::Oversize,
    ];

    /// As a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Age => "age",
            Self::Damaged => "damaged",
            Self::FullDisk => "full-disk",
            Self::Operator => "operator",
            Self::Thinned => "thinned",
            Self::Refused => "refused",
            Self::Oversize => "oversize",
        }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Bytes => 1,
            Self::Age => 2,
            Self::Damaged => 3,
            Self::FullDisk => 4,
            Self::Operator => 5,
            Self::Thinned => 6,
            Self::Refused => 7,
            Self::Oversize => 8,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.code() == code)
    }
}

// === impl Total ===

impl Total {
    /// Adds another number of records.
    pub fn add(&mut self, records: u64, counts: &Counts) {
        self.records = self.records.saturating_add(records);
        self.counts.add_all(counts);
    }

    fn add_total(&mut self, other: &Self) {
        self.add(other.records, &other.counts);
    }
}

// === impl Account ===

impl Account {
    /// Everything that will not come, whatever the cause.
    pub fn lost(&self) -> Total {
        let mut lost = Total::default();
        self.dropped.values().for_each(|total| lost.add_total(total));
        lost
    }

    /// Whether `appended = acknowledged + held + dropped`: in records and samples always; by key as long as every
    /// lost record's keys could be read.
    pub fn balances(&self) -> bool {
        let mut sum = self.lost();
        sum.add_total(&self.acknowledged);
        sum.add_total(&self.held);
        let unread = sum.counts.unread() > 0 || self.appended.counts.unread() > 0;
        let (left, right) = (&self.appended, &sum);
        left.records == right.records
            && left.counts.samples() == right.counts.samples()
            && (unread || left.counts == right.counts)
    }
}
