//! Numbers as Python calculates with them.

use std::cmp::Ordering;
use std::rc::Rc;

use num_bigint::{BigInt, Sign};

use crate::tree::{Binary, Unary};
use crate::value::Value;

/// Bits that a whole number may have: more than any meter needs, and few enough that every quotient of two is a real
/// number.
pub const BITS: u64 = 1_000;

/// A whole number grew beyond that.
pub const TOO_LARGE: &str = "a whole number of more than 1000 bits";

/// Why there is no result.
pub type Reason = &'static str;

type Result<T = Value> = std::result::Result<T, Reason>;

/// There is no quotient.
pub const BY_ZERO: Reason = "division by zero";

/// Whole numbers up to here are reals, exactly.
const EXACT: u64 = 1 << 53;

/// A number out of its value.
#[derive(Debug)]
enum Number {
    Whole(BigInt),
    Real(f64),
}

/// What an operator makes of two values; `None` if they are not both numbers.
#[inline]
pub fn binary(operator: Binary, left: &Value, right: &Value) -> Option<Result> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => {
            if let Some(quick) = small(operator, *a, *b) {
                return Some(Ok(quick));
            }
        }
        (Value::Float(a), Value::Float(b)) => return Some(reals(operator, *a, *b)),
        #[allow(clippy::cast_precision_loss, reason = "as Python rounds")]
        (Value::Float(a), Value::Int(b)) => return Some(reals(operator, *a, *b as f64)),
        #[allow(clippy::cast_precision_loss, reason = "as Python rounds")]
        (Value::Int(a), Value::Float(b)) => return Some(reals(operator, *a as f64, *b)),
        (Value::Bool(a), Value::Bool(b)) => match operator {
            Binary::And => return Some(Ok(Value::Bool(a & b))),
            Binary::Or => return Some(Ok(Value::Bool(a | b))),
            Binary::Xor => return Some(Ok(Value::Bool(a ^ b))),
            _ => {}
        },
        _ => {}
    }
    let (left, right) = (number(left)?, number(right)?);
    Some(match (left, right) {
        (Number::Whole(a), Number::Whole(b)) => wholes(operator, &a, &b),
        (a, b) => reals(operator, real(&a), real(&b)),
    })
}

/// What an operator makes of a value; `None` if it is no number.
pub fn unary(operator: Unary, value: &Value) -> Option<Result> {
    Some(Ok(match (operator, number(value)?) {
        (Unary::Minus, Number::Real(value)) => Value::Float(-value),
        (Unary::Plus, Number::Real(value)) => Value::Float(value),
        (Unary::Invert, Number::Real(_)) => return Some(Err("`~` takes whole numbers")),
        (Unary::Minus, Number::Whole(value)) => whole(-value),
        (Unary::Plus | Unary::Not, Number::Whole(value)) => whole(value),
        (Unary::Invert, Number::Whole(value)) => whole(-value - 1),
        (Unary::Not, Number::Real(value)) => Value::Bool(value == 0.0),
    }))
}

/// How two numbers compare, exactly; the outer `None` if they are not both numbers, the inner if one is not ordered.
#[inline]
pub fn compare(left: &Value, right: &Value) -> Option<Option<Ordering>> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => return Some(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => return Some(a.partial_cmp(b)),
        _ => {}
    }
    Some(match (number(left)?, number(right)?) {
        (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
        (Number::Real(a), Number::Real(b)) => a.partial_cmp(&b),
        (Number::Whole(a), Number::Real(b)) => whole_and_real(&a, b),
        (Number::Real(a), Number::Whole(b)) => whole_and_real(&b, a).map(Ordering::reverse),
    })
}

/// The distance from zero.
pub fn absolute(value: &Value) -> Option<Value> {
    Some(match number(value)? {
        Number::Real(value) => Value::Float(value.abs()),
        Number::Whole(value) => whole(BigInt::from(value.magnitude().clone())),
    })
}

/// A whole number, in the smallest form.
pub fn whole(value: BigInt) -> Value {
    i64::try_from(&value).map_or_else(|_| Value::Big(Rc::new(value)), Value::Int)
}

/// A whole number as a real, rounded to the nearest and to the even one of two.
pub fn float_of_big(value: &BigInt) -> f64 {
    let magnitude = value.magnitude();
    // 64 bits and whether anything follows decide it.
    let shift = magnitude.bits().saturating_sub(66);
    let head: num_bigint::BigUint = magnitude >> shift;
    let rest = magnitude.trailing_zeros().is_some_and(|zeros| zeros < shift);
    let float = scaled(
        u128::try_from(&head).unwrap_or(u128::MAX) << 1 | u128::from(rest),
        i64::try_from(shift).unwrap_or(0) - 1,
    );
    if value.sign() == Sign::Minus { -float } else { float }
}

/// The part of a real number before the point, as a whole number.
pub fn truncated(value: f64) -> Result {
    if value.is_nan() {
        return Err("a real number that is none (nan) has no whole part");
    }
    Ok(whole(whole_part(value).ok_or("infinity has no whole part")?))
}

/// The nearest whole number, and the even one of two.
pub fn rounded(value: &Value) -> Option<Result> {
    Some(match number(value)? {
        Number::Whole(value) => Ok(whole(value)),
        Number::Real(value) => truncated(value.round_ties_even()),
    })
}

/// Rounded to so many decimal digits behind the point, or before it if there are less than none.
pub fn rounded_to(value: &Value, digits: &Value) -> Option<Result> {
    let Number::Whole(digits) = number(digits)? else { return None };
    Some(match number(value)? {
        Number::Whole(value) if digits.sign() == Sign::Minus => match power_of_ten(&-digits) {
            Some(unit) => Ok(whole(to_multiple(&value, &unit, false))),
            None => Err(TOO_LARGE),
        },
        Number::Whole(value) => Ok(whole(value)),
        Number::Real(value) if !value.is_finite() => Ok(Value::Float(value)),
        Number::Real(value) if digits.sign() == Sign::Minus => {
            let rounded = power_of_ten(&-digits)
                .zip(whole_part(value))
                .map_or_else(BigInt::default, |(unit, part)| to_multiple(&part, &unit, value.fract() != 0.0));
            Ok(Value::Float(float_of_big(&rounded).abs().copysign(value)))
        }
        Number::Real(value) => Ok(Value::Float(
            usize::try_from(&digits)
                .ok()
                .filter(|digits| *digits < 324)
                .map_or(value, |digits| format!("{value:.digits$}").parse().unwrap_or(value)),
        )),
    })
}

fn number(value: &Value) -> Option<Number> {
    Some(match value {
        Value::Bool(value) => Number::Whole(u8::from(*value).into()),
        Value::Int(value) => Number::Whole((*value).into()),
        Value::Big(value) => Number::Whole(value.as_ref().clone()),
        Value::Float(value) => Number::Real(*value),
        _ => return None,
    })
}

fn real(number: &Number) -> f64 {
    match number {
        Number::Whole(value) => float_of_big(value),
        Number::Real(value) => *value,
    }
}

/// What is decided without large numbers.
#[inline]
fn small(operator: Binary, a: i64, b: i64) -> Option<Value> {
    let whole = match operator {
        Binary::Add => a.checked_add(b)?,
        Binary::Subtract => a.checked_sub(b)?,
        Binary::Multiply => a.checked_mul(b)?,
        #[allow(clippy::cast_precision_loss, reason = "both are exact")]
        Binary::Divide if b != 0 && a.unsigned_abs() <= EXACT && b.unsigned_abs() <= EXACT => {
            return Some(Value::Float(a as f64 / b as f64));
        }
        Binary::Divide if b != 0 => return Some(Value::Float(small_quotient(a, b))),
        Binary::FloorDivide => {
            let quotient = a.checked_div(b)?;
            if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient }
        }
        Binary::Remainder => {
            let rest = a.checked_rem(b)?;
            if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
        }
        Binary::Power => a.checked_pow(u32::try_from(b).ok()?)?,
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::Divide | Binary::Left | Binary::Right => return None,
    };
    Some(Value::Int(whole))
}

fn wholes(operator: Binary, a: &BigInt, b: &BigInt) -> Result {
    let result = match operator {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => return quotient(a, b).map(Value::Float),
        Binary::FloorDivide => floor_divided(a, b)?.0,
        Binary::Remainder => floor_divided(a, b)?.1,
        Binary::Power if b.sign() == Sign::Minus => return power(float_of_big(a), float_of_big(b)).map(Value::Float),
        Binary::Power => {
            let trivial = a.bits() <= 1;
            match u32::try_from(b) {
                Ok(exponent) if trivial || a.bits().saturating_sub(1).saturating_mul(exponent.into()) <= BITS => {
                    a.pow(exponent)
                }
                // Of zero, one and minus one only the parity of the exponent matters.
                Err(_) if trivial => a.pow(if b.bit(0) { 1 } else { 2 }),
                _ => return Err(TOO_LARGE),
            }
        }
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::Left | Binary::Right if b.sign() == Sign::Minus => return Err("a shift by less than nothing"),
        Binary::Left => match u64::try_from(b) {
            _ if a.sign() == Sign::NoSign => BigInt::ZERO,
            Ok(bits) if bits <= BITS => a << bits,
            _ => return Err(TOO_LARGE),
        },
        Binary::Right => match u64::try_from(b) {
            Ok(bits) if bits <= BITS => a >> bits,
            _ if a.sign() == Sign::Minus => BigInt::from(-1),
            _ => BigInt::ZERO,
        },
    };
    if result.bits() > BITS { Err(TOO_LARGE) } else { Ok(whole(result)) }
}

/// Quotient and remainder, which has the divisor's sign.
fn floor_divided(a: &BigInt, b: &BigInt) -> Result<(BigInt, BigInt)> {
    if b.sign() == Sign::NoSign {
        return Err(BY_ZERO);
    }
    let (quotient, rest) = (a / b, a % b);
    let other_side = rest.sign() != Sign::NoSign && rest.sign() != b.sign();
    Ok(if other_side { (quotient - 1, rest + b) } else { (quotient, rest) })
}

/// The real number nearest to a quotient of numbers that are no reals.
fn small_quotient(a: i64, b: i64) -> f64 {
    let (above, below) = (u128::from(a.unsigned_abs()), u128::from(b.unsigned_abs()));
    // 56 or 57 bits and whether anything follows decide it.
    let shift = (56 + above.leading_zeros()).saturating_sub(below.leading_zeros());
    let (head, rest) = ((above << shift) / below, (above << shift) % below);
    let float = scaled(head << 1 | u128::from(rest != 0), -i64::from(shift) - 1);
    if (a < 0) == (b < 0) { float } else { -float }
}

/// The real number nearest to a quotient.
fn quotient(a: &BigInt, b: &BigInt) -> Result<f64> {
    if b.sign() == Sign::NoSign {
        return Err(BY_ZERO);
    }
    // 66 or 67 bits and whether anything follows decide it.
    let shift = 66 + i64::try_from(b.bits()).unwrap_or(0) - i64::try_from(a.bits()).unwrap_or(0);
    let (mut above, mut below) = (a.magnitude().clone(), b.magnitude().clone());
    if shift >= 0 {
        above <<= shift
    } else {
        below <<= -shift
    }
    let head = u128::try_from(&above / &below).unwrap_or(u128::MAX);
    let rest = (&above % &below) != num_bigint::BigUint::ZERO;
    let float = scaled(head << 1 | u128::from(rest), -shift - 1);
    Ok(if (a.sign() == Sign::Minus) == (b.sign() == Sign::Minus) { float } else { -float })
}

/// A number times a power of two, which both are within the range of reals.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "rounds to the nearest; powers are small"
)]
fn scaled(number: u128, power: i64) -> f64 {
    let half = (power / 2) as i32;
    number as f64 * 2f64.powi(half) * 2f64.powi(power as i32 - half)
}

fn reals(operator: Binary, a: f64, b: f64) -> Result {
    Ok(Value::Float(match operator {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide | Binary::FloorDivide | Binary::Remainder if b == 0.0 => return Err(BY_ZERO),
        Binary::Divide => a / b,
        Binary::FloorDivide => real_divided(a, b).0,
        Binary::Remainder => real_divided(a, b).1,
        Binary::Power => power(a, b)?,
        Binary::And | Binary::Or | Binary::Xor | Binary::Left | Binary::Right => {
            return Err(operator.refusal_of_reals().unwrap_or_default());
        }
    }))
}

/// Quotient and remainder of reals, rounded where Python rounds.
fn real_divided(a: f64, b: f64) -> (f64, f64) {
    let mut rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest == 0.0 {
        rest = 0f64.copysign(b);
    } else if (b < 0.0) != (rest < 0.0) {
        rest += b;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0f64.copysign(a / b), rest);
    }
    let floor = quotient.floor();
    (if quotient - floor > 0.5 { floor + 1.0 } else { floor }, rest)
}

fn power(base: f64, exponent: f64) -> Result<f64> {
    if base == 0.0 && exponent < 0.0 {
        return Err("zero to a negative power");
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err("a negative number to a power that is not whole");
    }
    let result = base.powf(exponent);
    if result.is_infinite() && base.is_finite() && exponent.is_finite() {
        return Err("a real number that is too large");
    }
    Ok(result)
}

fn whole_part(value: f64) -> Option<BigInt> {
    use num_bigint::ToBigInt as _;
    value.to_bigint()
}

fn whole_and_real(whole: &BigInt, real: f64) -> Option<Ordering> {
    let Some(part) = whole_part(real) else { return 0f64.partial_cmp(&real) };
    let behind_the_point = if real.fract() > 0.0 {
        Ordering::Less
    } else if real.fract() < 0.0 {
        Ordering::Greater
    } else {
        Ordering::Equal
    };
    Some(whole.cmp(&part).then(behind_the_point))
}

fn power_of_ten(exponent: &BigInt) -> Option<BigInt> {
    let exponent = u32::try_from(exponent).ok().filter(|exponent| *exponent <= 310)?;
    Some(BigInt::from(10).pow(exponent))
}

/// The nearest multiple of a unit, and the even one of two. `more` if there is something behind the point.
fn to_multiple(value: &BigInt, unit: &BigInt, more: bool) -> BigInt {
    let magnitude = BigInt::from(value.magnitude().clone());
    let (quotient, rest): (BigInt, BigInt) = (&magnitude / unit, &magnitude % unit);
    let up = match (rest * 2_u8).cmp(unit) {
        Ordering::Less => false,
        Ordering::Equal => more || quotient.bit(0),
        Ordering::Greater => true,
    };
    let multiple = (if up { quotient + 1 } else { quotient }) * unit;
    if value.sign() == Sign::Minus { -multiple } else { multiple }
}
