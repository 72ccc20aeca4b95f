//! What the host does with columns.

use super::{Column, Values};

/// Does the same with the values of a column, whatever their type.
macro_rules! values {
    ($values:expr, $name:ident => $body:expr) => {
        match $values {
            Values::Counts($name) => $body,
            Values::Integers($name) => $body,
            Values::Reals($name) => $body,
            Values::Interned($name) => $body,
        }
    };
}

// === impl Column ===

impl Column {
    /// A column without entries.
    pub fn empty() -> Self {
        Self { resources: Vec::new(), values: Values::Counts(Vec::new()) }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// What this column takes when it crosses the boundary.
    pub fn bytes(&self) -> usize {
        self.resources.len() * 4 + self.values.bytes()
    }

    /// Keeps the entries of some resources.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let kept: Vec<bool> = self.resources.iter().map(|number| keep(*number)).collect();
        if kept.iter().all(|kept| *kept) {
            return;
        }
        only(&mut self.resources, &kept);
        values!(&mut self.values, values => only(values, &kept));
    }

    /// Puts the entries in order where they are not. Of several values of one resource the first stays.
    pub fn ascend(&mut self) {
        if self.resources.is_sorted_by(|a, b| a < b) {
            return;
        }
        values!(&mut self.values, values => sort(&mut self.resources, values));
    }
}

fn only<T>(values: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    values.retain(|_| kept.next().copied().unwrap_or(false));
}

fn sort<T: Copy>(resources: &mut Vec<u32>, values: &mut Vec<T>) {
    let mut pairs: Vec<(u32, T)> = resources.iter().copied().zip(values.iter().copied()).collect();
    pairs.sort_by_key(|(resource, _)| *resource);
    pairs.dedup_by_key(|(resource, _)| *resource);
    (*resources, *values) = pairs.into_iter().unzip();
}

// === impl Values ===

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        values!(self, values => values.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bytes(&self) -> usize {
        values!(self, values => std::mem::size_of_val(values.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(u32, u64)]) -> Column {
        let (resources, values) = pairs.iter().copied().unzip();
        Column { resources, values: Values::Counts(values) }
    }

    #[test]
    fn order_is_restored_and_the_first_value_stays() {
        let mut column = counts(&[(5, 50), (1, 10), (5, 51)]);
        column.ascend();
        assert_eq!(format!("{column:?}"), format!("{:?}", counts(&[(1, 10), (5, 50)])));
    }

    #[test]
    fn only_some_resources_are_kept() {
        let mut column = counts(&[(1, 10), (2, 20), (3, 30)]);
        column.retain(|number| number != 2);
        assert_eq!(format!("{column:?}"), format!("{:?}", counts(&[(1, 10), (3, 30)])));
        assert_eq!(column.bytes(), 24);
    }
}
