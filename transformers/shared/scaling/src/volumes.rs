//! Numbers, on their way into columns.

use expression::Volume;
use wasmeter_sdk::{Column, Values};

/// A column that is being made. Numbers stay exact while one type holds them all.
#[derive(Debug)]
pub struct Volumes {
    resources: Vec<u32>,
    values: Values,
}

/// Numbers one by one.
pub trait Numbers {
    /// The number at a place. Texts are none.
    fn number(&self, at: usize) -> Option<Volume>;
}

impl Numbers for Values {
    #[inline]
    fn number(&self, at: usize) -> Option<Volume> {
        match self {
            Values::Counts(values) => values.get(at).map(|value| Volume::Count(*value)),
            Values::Integers(values) => values.get(at).map(|value| Volume::Integer(*value)),
            Values::Reals(values) => values.get(at).map(|value| Volume::Real(*value)),
            Values::Interned(_) => None,
        }
    }
}

/// The place of a resource in an ascending list, from a place on that only advances.
#[inline]
pub fn at(resources: &[u32], resource: u32, from: &mut usize) -> Option<usize> {
    while let Some(here) = resources.get(*from) {
        if *here >= resource {
            return (*here == resource).then_some(*from);
        }
        *from += 1;
    }
    None
}

// === impl Volumes ===

impl Volumes {
    /// An empty column of the type of another, with room for so many.
    pub fn like(values: &Values, room: usize) -> Self {
        let values = match values {
            Values::Integers(_) => Values::Integers(Vec::with_capacity(room)),
            Values::Reals(_) => Values::Reals(Vec::with_capacity(room)),
            Values::Counts(_) | Values::Interned(_) => Values::Counts(Vec::with_capacity(room)),
        };
        Self { resources: Vec::with_capacity(room), values }
    }

    /// Adds a resource behind all others.
    #[inline]
    pub fn push(&mut self, resource: u32, volume: Volume) {
        self.resources.push(resource);
        match (&mut self.values, volume) {
            (Values::Counts(values), Volume::Count(volume)) => values.push(volume),
            (Values::Integers(values), Volume::Integer(volume)) => values.push(volume),
            (Values::Reals(values), volume) => values.push(volume.real()),
            _ => self.widen(volume),
        }
    }

    /// Adds a number of another type than the column has.
    #[allow(clippy::cast_precision_loss, reason = "no type but reals holds all of them")]
    fn widen(&mut self, volume: Volume) {
        let whole = match volume {
            Volume::Count(volume) => i64::try_from(volume).ok(),
            Volume::Integer(volume) => Some(volume),
            Volume::Real(_) => None,
        };
        if let (None, Volume::Count(large), Values::Integers(values)) = (whole, volume, &self.values)
            && let Ok(mut counts) = values.iter().map(|value| u64::try_from(*value)).collect::<Result<Vec<_>, _>>()
        {
            counts.push(large);
            self.values = Values::Counts(counts);
            return;
        }
        if let Some(whole) = whole {
            match &mut self.values {
                Values::Counts(values) => match u64::try_from(whole) {
                    Ok(whole) => return values.push(whole),
                    Err(_) => {
                        let integers = values.iter().map(|value| i64::try_from(*value));
                        if let Ok(mut integers) = integers.collect::<Result<Vec<_>, _>>() {
                            integers.push(whole);
                            self.values = Values::Integers(integers);
                            return;
                        }
                    }
                },
                Values::Integers(values) => return values.push(whole),
                _ => {}
            }
        }
        let mut reals: Vec<f64> = match &self.values {
            Values::Counts(values) => values.iter().map(|value| *value as f64).collect(),
            Values::Integers(values) => values.iter().map(|value| *value as f64).collect(),
            Values::Reals(values) => values.clone(),
            Values::Interned(_) => Vec::new(),
        };
        reals.push(volume.real());
        self.values = Values::Reals(reals);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// The column.
    pub fn into_column(self) -> Column {
        Column { resources: self.resources, values: self.values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(volumes: &[Volume]) -> Values {
        let mut made = Volumes::like(&Values::Counts(Vec::new()), 0);
        for (resource, volume) in (0..).zip(volumes) {
            made.push(resource, *volume);
        }
        made.into_column().values
    }

    #[test]
    fn one_type_holds_them_all() {
        use Volume::{Count, Integer, Real};
        for (volumes, expected) in [
            (&[Count(1), Count(u64::MAX)][..], Values::Counts(vec![1, u64::MAX])),
            (&[Count(1), Integer(2)], Values::Counts(vec![1, 2])),
            (&[Count(1), Integer(-2), Count(3)], Values::Integers(vec![1, -2, 3])),
            (&[Count(u64::MAX), Integer(-2)], Values::Reals(vec![1.8446744073709552e19, -2.0])),
            (&[Integer(-2), Count(u64::MAX)], Values::Reals(vec![-2.0, 1.8446744073709552e19])),
            (&[Count(1), Real(0.5), Integer(-1)], Values::Reals(vec![1.0, 0.5, -1.0])),
        ] {
            assert_eq!(column(volumes), expected);
        }
        let mut integers = Volumes::like(&Values::Integers(Vec::new()), 0);
        for (resource, volume) in [(0, Integer(5)), (1, Count(u64::MAX)), (2, Integer(6))] {
            integers.push(resource, volume);
        }
        assert_eq!(integers.into_column().values, Values::Counts(vec![5, u64::MAX, 6]));
    }
}
