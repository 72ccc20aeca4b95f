//! What can be done with a column: look, convert, join by resource, and sum by guest.
//!
//! Numbers stay what they are. Methods with `counts` in their name are exact; the plain ones see reals.

use std::borrow::Cow;

use crate::{Call, Column, Failure, Values};

/// More room than this is not reserved on the word of an iterator.
const RESERVE: usize = 1 << 16;

// === impl Column ===

impl Column {
    /// A column of these values: a vector of `u64`, `i64`, `f64`, or of `u32` for interned texts.
    pub fn new(resources: Vec<u32>, values: impl Into<Values>) -> Self {
        Self { resources, values: values.into() }
    }

    /// How many resources have a value.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether no resource has a value.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// The values as counts. A column without values is one of counts, too.
    pub fn counts(&self) -> Result<&[u64], Failure> {
        match &self.values {
            Values::Counts(values) => Ok(values),
            _ if self.is_empty() => Ok(&[]),
            other => Err(format!("a column holds {}, not counts", other.words()).into()),
        }
    }

    /// The values as indexes of texts. A column without values is one of texts, too.
    pub fn texts(&self) -> Result<&[u32], Failure> {
        match &self.values {
            Values::Interned(values) => Ok(values),
            _ if self.is_empty() => Ok(&[]),
            other => Err(format!("a column holds {}, not texts", other.words()).into()),
        }
    }

    /// The values as reals, rounded beyond 2^53. Texts are no numbers and give none.
    #[allow(clippy::cast_precision_loss, reason = "rounding is what a real is asked for")]
    pub fn as_f64(&self) -> Cow<'_, [f64]> {
        match &self.values {
            Values::Counts(values) => values.iter().map(|v| *v as f64).collect(),
            Values::Integers(values) => values.iter().map(|v| *v as f64).collect(),
            Values::Reals(values) => values.into(),
            Values::Interned(_) => Cow::default(),
        }
    }

    /// A value for each resource, where `f` gives one.
    pub fn map<T>(&self, mut f: impl FnMut(f64) -> Option<T>) -> Self
    where
        Self: FromIterator<(u32, T)>,
    {
        let values = self.as_f64();
        self.resources.iter().zip(&*values).filter_map(|(r, v)| Some((*r, f(*v)?))).collect()
    }

    /// A value for each resource, where `f` gives one. Exact.
    pub fn map_counts<T>(&self, mut f: impl FnMut(u64) -> Option<T>) -> Result<Self, Failure>
    where
        Self: FromIterator<(u32, T)>,
    {
        Ok(self.resources.iter().zip(self.counts()?).filter_map(|(r, v)| Some((*r, f(*v)?))).collect())
    }

    /// A value for each resource of both, where `f` gives one for mine and the other's.
    pub fn join_map<T>(&self, other: &Self, f: impl FnMut(f64, f64) -> Option<T>) -> Self
    where
        Values: From<Vec<T>>,
    {
        join((&self.resources, &self.as_f64()), (&other.resources, &other.as_f64()), f)
    }

    /// A value for each resource of both, where `f` gives one for mine and the other's. Exact.
    pub fn join_counts<T>(&self, other: &Self, f: impl FnMut(u64, u64) -> Option<T>) -> Result<Self, Failure>
    where
        Values: From<Vec<T>>,
    {
        Ok(join((&self.resources, self.counts()?), (&other.resources, other.counts()?), f))
    }

    /// By how much each value is above the other's, for resources of both. Counts and integers give integers, exactly;
    /// what does not fit is left out. Anything else gives reals.
    pub fn minus(&self, other: &Self) -> Self {
        let (left, right) = (&*self.resources, &*other.resources);
        match (&self.values, &other.values) {
            (Values::Counts(a), Values::Counts(b)) => join((left, a), (right, b), difference),
            (Values::Integers(a), Values::Integers(b)) => join((left, a), (right, b), i64::checked_sub),
            _ => self.join_map(other, |a, b| Some(a - b)),
        }
    }

    /// The values for which `keep` says so, unchanged.
    pub fn filter(&self, mut keep: impl FnMut(u32, f64) -> bool) -> Self {
        let numbers = self.as_f64();
        let kept: Vec<bool> = self.resources.iter().zip(&*numbers).map(|(r, v)| keep(*r, *v)).collect();
        fn pick<T: Copy>(from: &[T], kept: &[bool]) -> Vec<T> {
            from.iter().zip(kept).filter_map(|(v, kept)| kept.then_some(*v)).collect()
        }
        let values = match &self.values {
            Values::Counts(values) => Values::Counts(pick(values, &kept)),
            Values::Integers(values) => Values::Integers(pick(values, &kept)),
            Values::Reals(values) => Values::Reals(pick(values, &kept)),
            Values::Interned(values) => Values::Interned(pick(values, &kept)),
        };
        Self { resources: pick(&self.resources, &kept), values }
    }

    /// The values of these resources alone, which have to ascend.
    pub fn at(&self, resources: &[u32]) -> Self {
        fn pick<T: Copy>(left: Cells<'_, T>, right: &[u32]) -> Column
        where
            Values: From<Vec<T>>,
        {
            join(left, (right, right), |value, _| Some(value))
        }
        match &self.values {
            Values::Counts(values) => pick((&self.resources, values), resources),
            Values::Integers(values) => pick((&self.resources, values), resources),
            Values::Reals(values) => pick((&self.resources, values), resources),
            Values::Interned(values) => pick((&self.resources, values), resources),
        }
    }

    /// My values, and the other's for resources that have none of mine. Values of two types come out as reals.
    pub fn or(self, other: &Self) -> Self {
        if other.is_empty() || same(&self.resources, &other.resources) {
            return self;
        }
        if self.is_empty() {
            return other.clone();
        }
        let (left, right) = (&*self.resources, &*other.resources);
        match (&self.values, &other.values) {
            (Values::Counts(a), Values::Counts(b)) => union((left, a), (right, b)),
            (Values::Integers(a), Values::Integers(b)) => union((left, a), (right, b)),
            (Values::Interned(a), Values::Interned(b)) => union((left, a), (right, b)),
            _ => union((left, &self.as_f64()), (right, &other.as_f64())),
        }
    }

    /// The sum for each guest of the values of its parts. Exact; a sum that does not fit is left out.
    pub fn sum_by_parent<K>(&self, call: &Call<'_, K>) -> Self {
        self.sum_by(&call.parents(&self.resources))
    }

    /// The sum for each of some groups; entry i of `groups` is the group of resource i. Exact for counts and
    /// integers; a sum that does not fit is left out.
    pub fn sum_by(&self, groups: &[u32]) -> Self {
        match &self.values {
            Values::Counts(values) => sum(groups, values.iter().copied(), u64::checked_add),
            Values::Integers(values) => sum(groups, values.iter().copied(), i64::checked_add),
            Values::Reals(values) => sum(groups, values.iter().copied(), |a, b| Some(a + b)),
            Values::Interned(_) => Self::default(),
        }
    }

    /// How many values each of some groups has; entry i of `groups` is the group of resource i.
    pub fn count_by(&self, groups: &[u32]) -> Self {
        sum(groups, std::iter::repeat_n(1, self.len()), u64::checked_add)
    }
}

impl Default for Column {
    fn default() -> Self {
        Self::new(Vec::new(), Vec::<u64>::new())
    }
}

impl<T> FromIterator<(u32, T)> for Column
where
    Values: From<Vec<T>>,
{
    /// The resources have to come in ascending order.
    fn from_iter<I: IntoIterator<Item = (u32, T)>>(cells: I) -> Self {
        let cells = cells.into_iter();
        let room = cells.size_hint().1.unwrap_or(0).min(RESERVE);
        let (mut resources, mut values) = (Vec::with_capacity(room), Vec::with_capacity(room));
        for (resource, value) in cells {
            resources.push(resource);
            values.push(value);
        }
        Self::new(resources, values)
    }
}

// === impl Values ===

impl Values {
    fn words(&self) -> &'static str {
        match self {
            Self::Counts(_) => "counts",
            Self::Integers(_) => "integers",
            Self::Reals(_) => "reals",
            Self::Interned(_) => "texts",
        }
    }
}

impl From<Vec<u64>> for Values {
    fn from(values: Vec<u64>) -> Self {
        Self::Counts(values)
    }
}

impl From<Vec<i64>> for Values {
    fn from(values: Vec<i64>) -> Self {
        Self::Integers(values)
    }
}

impl From<Vec<f64>> for Values {
    fn from(values: Vec<f64>) -> Self {
        Self::Reals(values)
    }
}

impl From<Vec<u32>> for Values {
    fn from(values: Vec<u32>) -> Self {
        Self::Interned(values)
    }
}

/// Resources, and as many values.
type Cells<'a, T> = (&'a [u32], &'a [T]);

/// Walks both lists once. Columns of one read mostly have the same resources, which needs no comparing in pairs.
fn join<A: Copy, B: Copy, T>(left: Cells<'_, A>, right: Cells<'_, B>, mut f: impl FnMut(A, B) -> Option<T>) -> Column
where
    Values: From<Vec<T>>,
{
    let room = left.0.len().min(right.0.len());
    let (mut resources, mut values) = (Vec::with_capacity(room), Vec::with_capacity(room));
    if same(left.0, right.0) {
        let mut cells = left.0.iter().zip(left.1.iter().zip(right.1));
        // As long as every cell gives a value, their resources are known.
        values.extend(cells.by_ref().map_while(|(_, (a, b))| f(*a, *b)));
        resources.extend_from_slice(left.0.get(..values.len()).unwrap_or_default());
        for (resource, (a, b)) in cells {
            if let Some(value) = f(*a, *b) {
                resources.push(*resource);
                values.push(value);
            }
        }
        return Column::new(resources, values);
    }
    let mut right = right.0.iter().zip(right.1).peekable();
    for (resource, a) in left.0.iter().zip(left.1) {
        while right.next_if(|(other, _)| *other < resource).is_some() {}
        if let Some((_, b)) = right.next_if(|(other, _)| *other == resource)
            && let Some(value) = f(*a, *b)
        {
            resources.push(*resource);
            values.push(value);
        }
    }
    Column::new(resources, values)
}

/// Word by word: the comparison of slices goes byte by byte in the sandbox.
fn same(a: &[u32], b: &[u32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

fn union<T: Copy>(left: Cells<'_, T>, right: Cells<'_, T>) -> Column
where
    Values: From<Vec<T>>,
{
    let room = left.0.len() + right.0.len();
    let (mut resources, mut values) = (Vec::with_capacity(room), Vec::with_capacity(room));
    let mut push = |(resource, value): (&u32, &T)| {
        resources.push(*resource);
        values.push(*value);
    };
    let mut right = right.0.iter().zip(right.1).peekable();
    for cell in left.0.iter().zip(left.1) {
        while let Some(other) = right.next_if(|(other, _)| *other < cell.0) {
            push(other);
        }
        right.next_if(|(other, _)| *other == cell.0);
        push(cell);
    }
    right.for_each(push);
    Column::new(resources, values)
}

fn sum<T: Copy>(groups: &[u32], values: impl ExactSizeIterator<Item = T>, add: impl Fn(T, T) -> Option<T>) -> Column
where
    Values: From<Vec<T>>,
{
    let cells = groups.iter().copied().zip(values);
    if groups.is_sorted() {
        return sum_runs(cells, add);
    }
    let mut cells: Vec<(u32, T)> = cells.collect();
    cells.sort_unstable_by_key(|(group, _)| *group);
    sum_runs(cells.into_iter(), add)
}

/// Groups come in runs. Each run's total is pushed when the next begins, so that there is room from the start and
/// nothing is looked at twice.
fn sum_runs<T: Copy>(cells: impl ExactSizeIterator<Item = (u32, T)>, add: impl Fn(T, T) -> Option<T>) -> Column
where
    Values: From<Vec<T>>,
{
    let room = cells.len();
    let (mut groups, mut totals) = (Vec::with_capacity(room), Vec::with_capacity(room));
    let mut run: Option<(u32, Option<T>)> = None;
    let mut push = |run: Option<(u32, Option<T>)>| {
        if let Some((group, Some(total))) = run {
            groups.push(group);
            totals.push(total);
        }
    };
    for (group, value) in cells {
        match &mut run {
            Some((same, total)) if *same == group => *total = total.and_then(|total| add(total, value)),
            _ => push(run.replace((group, Some(value)))),
        }
    }
    push(run);
    Column::new(groups, totals)
}

fn difference(now: u64, before: u64) -> Option<i64> {
    i64::try_from(i128::from(now) - i128::from(before)).ok()
}

#[cfg(test)]
mod tests;
