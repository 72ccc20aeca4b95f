//! What may be called.

use std::cmp::Ordering;
use std::rc::Rc;

use num_bigint::BigInt;

use crate::evaluate::{equal, less};
use crate::lexer::plain_digits;
use crate::number;
use crate::tree::Binary;
use crate::value::Value;

/// A function of Python's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Abs,
    Bool,
    Float,
    Int,
    Len,
    Max,
    Min,
    Pow,
    Round,
    Sum,
}

/// Names, functions, and how many values each takes.
const FUNCTIONS: [(&str, Function, usize, usize); 10] = [
    ("abs", Function::Abs, 1, 1),
    ("bool", Function::Bool, 1, 1),
    ("float", Function::Float, 1, 1),
    ("int", Function::Int, 1, 1),
    ("len", Function::Len, 1, 1),
    ("max", Function::Max, 1, usize::MAX),
    ("min", Function::Min, 1, usize::MAX),
    ("pow", Function::Pow, 2, 2),
    ("round", Function::Round, 1, 2),
    ("sum", Function::Sum, 1, 1),
];

// === impl Function ===

impl Function {
    /// The function of a name.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = FUNCTIONS.iter().find(|(known, ..)| *known == name);
        found.map(|(_, function, ..)| *function).ok_or_else(|| {
            let known: Vec<_> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
            format!("there is no function {name}; there are {}", known.join(", "))
        })
    }

    /// Whether it takes so many values.
    pub fn takes(self, values: usize) -> Result<(), String> {
        match FUNCTIONS.iter().find(|(_, function, ..)| *function == self) {
            Some((name, _, 1, 1)) if values != 1 => Err(format!("{name} takes one value, not {values}")),
            Some((name, _, least, most)) if !(*least..=*most).contains(&values) => {
                let takes = match *most {
                    most if most == *least => least.to_string(),
                    usize::MAX => format!("{least} or more"),
                    most => format!("{least} to {most}"),
                };
                Err(format!("{name} takes {takes} values, not {values}"))
            }
            _ => Ok(()),
        }
    }

    /// What it makes of these values.
    pub fn call(self, values: &[Value]) -> Result<Value, String> {
        let taken = |result: Option<Result<Value, number::Reason>>| match result {
            Some(result) => result.map_err(str::to_owned),
            None => Err(no_number(values)),
        };
        match (self, values) {
            (Self::Abs, [value]) => number::absolute(value).ok_or_else(|| no_number(values)),
            (Self::Bool, [value]) => Ok(Value::Bool(value.truthy())),
            (Self::Float, [Value::Text(text)]) => float(text).ok_or_else(|| format!("{text:?} is no number")),
            (Self::Float, [value]) => value.float().map(Value::Float).ok_or_else(|| no_number(values)),
            (Self::Int, [Value::Text(text)]) => int(text).ok_or_else(|| format!("{text:?} is no whole number")),
            (Self::Int, [Value::Float(value)]) => number::truncated(*value).map_err(str::to_owned),
            (Self::Int, [value]) => taken(number::unary(crate::tree::Unary::Plus, value)),
            (Self::Len, [value]) => len(value),
            (Self::Pow, [base, exponent]) => taken(number::binary(Binary::Power, base, exponent)),
            (Self::Round, [value]) => taken(number::rounded(value)),
            (Self::Round, [value, Value::None]) => taken(number::rounded(value)),
            (Self::Round, [value, digits]) => taken(number::rounded_to(value, digits)),
            (Self::Sum, [Value::List(list)]) => {
                list.iter().try_fold(Value::Int(0), |sum, value| match number::binary(Binary::Add, &sum, value) {
                    Some(sum) => sum.map_err(str::to_owned),
                    None => Err(no_number(list)),
                })
            }
            (Self::Max | Self::Min, [Value::List(list)]) => self.extreme(list),
            (Self::Max | Self::Min, [one]) => {
                Err(format!("it takes several values or a list, and this is {}", one.word()))
            }
            (Self::Max | Self::Min, several) => self.extreme(several),
            _ => Err(format!("it takes a list, and this is {}", values.first().map_or("nothing", Value::word))),
        }
    }

    /// The first of the least, or of the greatest.
    fn extreme(self, values: &[Value]) -> Result<Value, String> {
        let wanted = if self == Self::Max { Ordering::Greater } else { Ordering::Less };
        let mut values = values.iter();
        let mut best = values.next().ok_or("an empty list has no least and no greatest value")?;
        for value in values {
            if less(value, best, wanted)? {
                best = value;
            }
        }
        Ok(best.clone())
    }
}

/// Whether two lists have equal values.
pub fn same_list(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
}

fn no_number(values: &[Value]) -> String {
    let odd = values.iter().find(|value| value.float().is_none());
    format!("it takes numbers, and this is {}", odd.map_or("no whole number", Value::word))
}

fn len(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => text.chars().count(),
        Value::List(list) => list.len(),
        Value::Map(entries) => entries.len(),
        other => return Err(format!("it takes a text or a list, and this is {}", other.word())),
    };
    Ok(Value::from(length as u64))
}

fn float(text: &str) -> Option<Value> {
    plain_digits(text.trim())?.parse().ok().map(Value::Float)
}

fn int(text: &str) -> Option<Value> {
    let plain = plain_digits(text.trim())?;
    if let Ok(small) = plain.parse() {
        return Some(Value::Int(small));
    }
    let big: BigInt = plain.parse().ok()?;
    (big.bits() <= number::BITS).then(|| Value::Big(Rc::new(big)))
}
