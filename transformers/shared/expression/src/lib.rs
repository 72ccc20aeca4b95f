//! Python's expressions over samples, as pipelines have them:
//! `100.0 / (10**9 * (resource_metadata.cpu_number or 1))`.
//!
//! An expression is read once and evaluated for each sample. It means what Python 3 says that it means: precedence,
//! whole numbers of any size (up to 1,000 bits), division, remainders and powers of negative numbers, `and` and `or`
//! that give an operand, comparisons in a chain. What is missing is falsy, and has nothing but more that is missing.
//! What Python has beside expressions of numbers and texts is refused when the expression is read.
//!
//! ```
//! use expression::{Expression, Value};
//!
//! let scale = Expression::parse("100.0 / (10**9 * (resource_metadata.cpu_number or 1))").unwrap();
//! assert_eq!(scale.paths()[0].to_string(), "resource_metadata.cpu_number");
//! let evaluated = scale.evaluate(&[Value::Int(4)]).unwrap();
//! assert!(matches!(evaluated, Value::Float(f) if f == 2.5e-8));
//!
//! let error = Expression::parse("100 * (volume +").unwrap_err();
//! assert_eq!(error.to_string(), "it ends where a value is expected, at column 16");
//! ```
//!
//! # Layout
//!
//! - [`Expression`] is read by `parser`, of what `lexer` finds, into a `tree`, which `evaluate` walks; `fault` finds what
//!   fails for every sample.
//! - [`Value`] is what it is made of; `number` calculates as Python does, and `functions` are those that may be called.
//! - [`Error`] points into the expression.

mod error;
mod evaluate;
mod expression;
mod fault;
mod functions;
mod lexer;
mod number;
mod parser;
mod tree;
mod value;

pub use self::error::Error;
pub use self::expression::{Expression, Path, Root, Says};
pub use self::value::{Value, Volume};

#[cfg(test)]
mod tests;
