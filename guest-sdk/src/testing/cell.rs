//! Values as a test writes them.

use crate::Values;

/// One value of a column. Plain numbers and texts become one.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A whole number from zero up.
    Count(u64),
    /// A whole number of either sign.
    Integer(i64),
    /// A real number.
    Real(f64),
    /// A text.
    Text(String),
}

// === impl Cell ===

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Count(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

/// What a number without a type is: a count unless it is negative.
impl From<i32> for Cell {
    fn from(value: i32) -> Self {
        u64::try_from(value).map_or(Self::Integer(value.into()), Self::Count)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// The values of a column of the one type that holds them all.
///
/// # Panics
///
/// If there is no such type.
pub fn values(cells: Vec<Cell>, mut intern: impl FnMut(String) -> u32) -> Values {
    if cells.iter().any(|cell| matches!(cell, Cell::Text(_))) {
        let index = |cell| match cell {
            Cell::Text(text) => intern(text),
            other => panic!("{other:?} is in a column of texts"),
        };
        return Values::Interned(cells.into_iter().map(index).collect());
    }
    if cells.iter().any(|cell| matches!(cell, Cell::Real(_))) {
        return Values::Reals(cells.iter().map(Cell::real).collect());
    }
    let counts = cells.iter().map(|cell| if let Cell::Count(count) = cell { Some(*count) } else { None });
    match counts.collect() {
        Some(counts) => Values::Counts(counts),
        None => Values::Integers(cells.iter().map(Cell::integer).collect()),
    }
}

impl Cell {
    fn integer(&self) -> i64 {
        match self {
            Self::Integer(value) => *value,
            Self::Count(value) => {
                i64::try_from(*value).unwrap_or_else(|_| panic!("{value} is in a column of integers"))
            }
            other => panic!("{other:?} is in a column of integers"),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "the column has a real, so all are")]
    fn real(&self) -> f64 {
        match self {
            Self::Real(value) => *value,
            Self::Count(value) => *value as f64,
            Self::Integer(value) => *value as f64,
            Self::Text(text) => panic!("{text:?} is in a column of reals"),
        }
    }
}
