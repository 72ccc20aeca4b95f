//! What is wrong with an expression whatever a sample says.

use crate::error::{Fault, Result};
use crate::expression::Says;
use crate::functions::Function;
use crate::number::BY_ZERO;
use crate::tree::{Binary, Node, Unary, What};
use crate::value::Value;

// === impl Node ===

impl Node {
    /// What fails in it for each sample, where samples say this under the paths: what is evaluated for each of them, and
    /// asks for nothing, or calculates with a text.
    pub fn fault(&self, slots: &[Says]) -> Result<()> {
        match &self.what {
            What::Constant(_) | What::Slot(_) => return Ok(()),
            What::Attribute(part, _) => part.fault(slots)?,
            What::Unary(operator, part) => {
                part.fault(slots)?;
                if *operator != Unary::Not && part.is_no_number(slots) {
                    return Err(Fault::new(part.at, format!("a number is wanted, and this is {}", part.word())));
                }
            }
            What::Binary(operator, parts) => {
                parts.iter().try_for_each(|part| part.fault(slots))?;
                // Two texts may become one.
                let may_join = *operator == Binary::Add && !parts.iter().any(|part| part.is_number(slots));
                if let Some(odd) = parts.iter().find(|part| part.is_no_number(slots)).filter(|_| !may_join) {
                    let what = format!("`{}` takes numbers, and this is {}", operator.sign(), odd.word());
                    return Err(Fault::new(odd.at, what));
                }
                if let (Some(reason), true) = (operator.refusal_of_reals(), parts.iter().any(Self::is_real)) {
                    return Err(Fault::new(self.at, reason));
                }
                let [_, right] = &**parts;
                if operator.divides() && right.is_constant() && right.evaluate(&[])?.float() == Some(0.0) {
                    return Err(Fault::new(self.at, BY_ZERO));
                }
            }
            What::Index(parts) => parts.iter().try_for_each(|part| part.fault(slots))?,
            What::Call(_, parts) | What::List(parts) => parts.iter().try_for_each(|part| part.fault(slots))?,
            What::And(parts) | What::Or(parts) => parts.first().map_or(Ok(()), |part| part.fault(slots))?,
            What::If(parts) => parts.first().map_or(Ok(()), |part| part.fault(slots))?,
            What::Compare(first, rest) => {
                first.fault(slots)?;
                rest.first().map_or(Ok(()), |(_, part)| part.fault(slots))?;
            }
        }
        if self.is_constant() { self.evaluate(&[]).map(drop) } else { Ok(()) }
    }

    /// The same, where a number is to come out of it.
    pub fn fault_as_number(&self, slots: &[Says]) -> Result<()> {
        self.fault(slots)?;
        match self.is_no_number(slots) {
            true => Err(Fault::new(self.at, format!("a number has to come out, and this is {}", self.word()))),
            false => Ok(()),
        }
    }

    /// Whether it is no number for any sample.
    fn is_no_number(&self, slots: &[Says]) -> bool {
        let is_none = |part: &Self| part.is_no_number(slots);
        match &self.what {
            What::Constant(value) => value.float().is_none(),
            What::Slot(slot) => slots.get(*slot) == Some(&Says::Text),
            What::List(_) => true,
            What::Binary(Binary::Add, parts) | What::And(parts) | What::Or(parts) => parts.iter().all(is_none),
            What::If(parts) => parts.iter().skip(1).all(is_none),
            _ => false,
        }
    }

    /// Whether it is a number for every sample for which it is anything.
    fn is_number(&self, slots: &[Says]) -> bool {
        match &self.what {
            What::Constant(value) => value.float().is_some(),
            What::Slot(slot) => slots.get(*slot) == Some(&Says::Number),
            What::Unary(..) | What::Compare(..) => true,
            What::Binary(operator, parts) => *operator != Binary::Add || parts.iter().any(|part| part.is_number(slots)),
            _ => false,
        }
    }

    /// Whether it is a real number for every sample for which it is a number.
    fn is_real(&self) -> bool {
        match &self.what {
            What::Constant(value) => matches!(value, Value::Float(_)),
            What::Unary(Unary::Minus | Unary::Plus, part) => part.is_real(),
            What::Binary(Binary::Divide, _) | What::Call(Function::Float, _) => true,
            What::Binary(_, parts) => parts.iter().any(Self::is_real),
            What::And(parts) | What::Or(parts) => parts.iter().all(Self::is_real),
            What::If(parts) => parts.iter().skip(1).all(Self::is_real),
            _ => false,
        }
    }

    /// What one is that is no number.
    fn word(&self) -> &'static str {
        match &self.what {
            What::Constant(value) => value.word(),
            What::List(_) => "a list",
            _ => "a text",
        }
    }

    fn is_constant(&self) -> bool {
        match &self.what {
            What::Constant(_) => true,
            What::Slot(_) => false,
            What::Unary(_, part) | What::Attribute(part, _) => part.is_constant(),
            What::Binary(_, parts) | What::Index(parts) | What::And(parts) | What::Or(parts) => {
                parts.iter().all(Self::is_constant)
            }
            What::If(parts) => parts.iter().all(Self::is_constant),
            What::Compare(first, rest) => first.is_constant() && rest.iter().all(|(_, part)| part.is_constant()),
            What::Call(_, parts) | What::List(parts) => parts.iter().all(Self::is_constant),
        }
    }
}
