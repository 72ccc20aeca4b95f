//! What an expression is for one sample.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::error::{Fault, Result, Span};
use crate::functions::same_list;
use crate::number;
use crate::tree::{Binary, Comparison, Node, Unary, What};
use crate::value::Value;

/// Bytes of a text that an expression makes.
const TEXT_BYTES: usize = 4_096;

// === impl Node ===

impl Node {
    /// What it is, where these values stand under the paths.
    pub fn evaluate(&self, slots: &[Value]) -> Result<Value> {
        match &self.what {
            What::Constant(value) => Ok(value.clone()),
            What::Slot(slot) => Ok(slots.get(*slot).cloned().unwrap_or(Value::Missing)),
            What::Unary(operator, operand) => {
                let value = operand.evaluate(slots)?;
                unary(*operator, &value, operand.at)
            }
            What::Binary(operator, operands) => {
                let [left, right] = &**operands;
                let (a, b) = (left.evaluate(slots)?, right.evaluate(slots)?);
                match number::binary(*operator, &a, &b) {
                    Some(Ok(value)) => Ok(value),
                    Some(Err(reason)) => Err(Fault::new(self.at, reason)),
                    None => joined(*operator, (left.at, &a), (right.at, &b)),
                }
            }
            What::Compare(first, rest) => {
                let mut left = first.evaluate(slots)?;
                for (comparison, operand) in rest {
                    let right = operand.evaluate(slots)?;
                    let at = first.at.to(operand.at);
                    if !comparison.holds(&left, &right).map_err(|what| Fault::new(at, what))? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Ok(Value::Bool(true))
            }
            What::And(operands) => {
                let [left, right] = &**operands;
                let value = left.evaluate(slots)?;
                if value.truthy() { right.evaluate(slots) } else { Ok(value) }
            }
            What::Or(operands) => {
                let [left, right] = &**operands;
                let value = left.evaluate(slots)?;
                if value.truthy() { Ok(value) } else { right.evaluate(slots) }
            }
            What::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.evaluate(slots)?.truthy() { then.evaluate(slots) } else { otherwise.evaluate(slots) }
            }
            What::Attribute(of, key) => {
                let value = of.evaluate(slots)?;
                let entry = value.entry(key);
                entry.ok_or_else(|| Fault::new(of.at, format!("this is {}, which has no {key}", value.word())))
            }
            What::Index(operands) => {
                let [of, index] = &**operands;
                let (value, index) = (of.evaluate(slots)?, index.evaluate(slots)?);
                entry(&value, &index).map_err(|what| Fault::new(self.at, what))
            }
            What::Call(function, arguments) => {
                let values = arguments.iter().map(|argument| argument.evaluate(slots)).collect::<Result<Vec<_>>>()?;
                function.call(&values).map_err(|what| Fault::new(self.at, what))
            }
            What::List(values) => {
                let values = values.iter().map(|value| value.evaluate(slots)).collect::<Result<Rc<[_]>>>()?;
                Ok(Value::List(values))
            }
        }
    }
}

fn unary(operator: Unary, value: &Value, at: Span) -> Result<Value> {
    if operator == Unary::Not {
        return Ok(Value::Bool(!value.truthy()));
    }
    match number::unary(operator, value) {
        Some(Ok(value)) => Ok(value),
        Some(Err(reason)) => Err(Fault::new(at, reason)),
        None => Err(Fault::new(at, format!("a number is wanted, and this is {}", value.word()))),
    }
}

/// Two texts as one, or why these two cannot be calculated with.
fn joined(operator: Binary, (left, a): (Span, &Value), (right, b): (Span, &Value)) -> Result<Value> {
    if let (Binary::Add, Value::Text(a), Value::Text(b)) = (operator, a, b) {
        if a.len() + b.len() > TEXT_BYTES {
            return Err(Fault::new(left.to(right), format!("a text of more than {TEXT_BYTES} bytes")));
        }
        return Ok(Value::Text([&**a, &**b].concat().into()));
    }
    let (at, odd) = if a.float().is_none() { (left, a) } else { (right, b) };
    Err(Fault::new(at, format!("`{}` takes numbers, and this is {}", operator.sign(), odd.word())))
}

/// What stands at an index, or under a name.
fn entry(value: &Value, index: &Value) -> std::result::Result<Value, String> {
    let at = |length: usize| match *index {
        Value::Int(at) if at < 0 => usize::try_from(at.unsigned_abs()).ok().and_then(|back| length.checked_sub(back)),
        Value::Int(at) => usize::try_from(at).ok(),
        Value::Bool(at) => Some(at.into()),
        _ => None,
    };
    match (value, index) {
        (Value::Missing | Value::Map(_), Value::Text(key)) => value.entry(key).ok_or_else(String::new),
        (Value::Missing, _) => Ok(Value::Missing),
        (Value::List(list), Value::Int(_) | Value::Bool(_)) => {
            let found = at(list.len()).and_then(|at| list.get(at)).cloned();
            found.ok_or_else(|| format!("the list has {} values", list.len()))
        }
        (Value::Text(text), Value::Int(_) | Value::Bool(_)) => {
            let found = at(text.chars().count()).and_then(|at| text.chars().nth(at));
            let found = found.map(|found| Value::text(found.encode_utf8(&mut [0; 4])));
            found.ok_or_else(|| format!("the text has {} characters", text.chars().count()))
        }
        _ => Err(format!("there is nothing at {} in {}", index.word(), value.word())),
    }
}

/// Whether two values are equal.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::List(a), Value::List(b)) => same_list(a, b),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(&**b).all(|((key, a), (other, b))| key == other && equal(a, b))
        }
        _ => number::compare(a, b) == Some(Some(Ordering::Equal)),
    }
}

/// Whether the first is on this side of the second.
pub fn less(a: &Value, b: &Value, side: Ordering) -> std::result::Result<bool, String> {
    match ordering(a, b)? {
        Some(ordering) => Ok(ordering == side),
        None => Ok(false),
    }
}

fn ordering(a: &Value, b: &Value) -> std::result::Result<Option<Ordering>, String> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        _ => number::compare(a, b).ok_or_else(|| format!("{} and {} have no order", a.word(), b.word())),
    }
}

// === impl Comparison ===

impl Comparison {
    fn holds(self, a: &Value, b: &Value) -> std::result::Result<bool, String> {
        let ordered = |wanted: fn(Ordering) -> bool| Ok(ordering(a, b)?.is_some_and(wanted));
        match self {
            Self::Less => ordered(Ordering::is_lt),
            Self::LessOrEqual => ordered(Ordering::is_le),
            Self::GreaterOrEqual => ordered(Ordering::is_ge),
            Self::Greater => ordered(Ordering::is_gt),
            Self::Equal => Ok(equal(a, b)),
            Self::NotEqual => Ok(!equal(a, b)),
            Self::In => contains(b, a),
            Self::NotIn => contains(b, a).map(|contains| !contains),
            Self::Is => Ok(same(a, b)),
            Self::IsNot => Ok(!same(a, b)),
        }
    }
}

/// Whether they are the same one of None, True and False.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        _ => false,
    }
}

fn contains(all: &Value, one: &Value) -> std::result::Result<bool, String> {
    match (all, one) {
        (Value::Missing, _) => Ok(false),
        (Value::List(list), _) => Ok(list.iter().any(|value| equal(value, one))),
        (Value::Text(all), Value::Text(one)) => Ok(all.contains(&**one)),
        (Value::Map(entries), Value::Text(key)) => Ok(entries.contains_key(&**key)),
        (Value::Map(_), _) => Ok(false),
        _ => Err(format!("`in` takes a text or a list, and {} is not in {}", one.word(), all.word())),
    }
}
