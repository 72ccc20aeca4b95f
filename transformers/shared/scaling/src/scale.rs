//! What makes a volume of a sample.

use expression::{Expression, Root, Value, Volume};
use serde_json::Value as Json;
use wasmeter_sdk::{Batch, Failure, Meter};

use crate::sampled::{self, Facts, Sampled};
use crate::settings::Keys;
use crate::volumes::Numbers as _;

/// `target.scale` and `target.max`.
#[derive(Debug)]
pub struct Scale {
    by: By,
    most: Option<Volume>,
}

#[derive(Debug)]
enum By {
    /// Volumes stay as they are.
    Nothing,
    Whole(i64),
    Real(f64),
    Expression(Expression),
}

/// A scale, ready for the samples of a batch.
#[derive(Debug)]
pub struct Scaling<'a> {
    scale: &'a Scale,
    batch: &'a Batch,
    sampled: Option<Sampled<'a>>,
    /// Factors by the marks of samples; not a number for those that are not known yet. Numbers of vCPUs are small.
    factors: Vec<f64>,
}

/// Marks below this have factors that are remembered.
const MARKS: u64 = 256;

// === impl Scale ===

impl Scale {
    /// Reads `target.scale` and `target.max`.
    pub fn of(target: &mut Keys) -> Result<Self, String> {
        let by = match target.any("scale") {
            None => By::Nothing,
            Some(Json::String(text)) if text.trim().is_empty() => By::Nothing,
            Some(Json::String(text)) => By::Expression(read(&target.place("scale"), &text)?),
            // Python's true is 1.
            Some(Json::Bool(_)) => By::Nothing,
            Some(Json::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(0), _) => By::Nothing,
                (Some(whole), _) => By::Whole(whole),
                (None, Some(real)) if real != 0.0 => By::Real(real),
                _ => By::Nothing,
            },
            Some(other) => return Err(target.refuse("scale", &other, "a number or an expression")),
        };
        let most = match target.any("max") {
            None | Some(Json::Bool(false)) => None,
            Some(Json::String(text)) if text.is_empty() => None,
            Some(most) => match number(&most) {
                Some(most) => Some(most),
                None => return Err(target.refuse("max", &most, "a number")),
            },
        };
        // As upstream, nothing is limited to zero.
        Ok(Self { by, most: most.filter(|most| most.real() != 0.0) })
    }

    /// Whether volumes stay as they are.
    pub fn is_nothing(&self) -> bool {
        matches!(self.by, By::Nothing) && self.most.is_none()
    }

    /// Ready for the samples of a batch.
    pub fn begin<'a>(&'a self, facts: &Facts<'_>, input: &Meter, batch: &'a Batch) -> Result<Scaling<'a>, Failure> {
        let sampled = match &self.by {
            By::Expression(expression) => Some(Sampled::of(facts, input, batch, expression.paths().iter())?),
            _ => None,
        };
        Ok(Scaling { scale: self, batch, sampled, factors: Vec::new() })
    }

    /// At most as much as is allowed.
    #[inline]
    pub fn limited(&self, volume: Volume) -> Volume {
        match self.most {
            Some(most) if most.real() < volume.real() => most,
            _ => volume,
        }
    }
}

/// A number, which may be written as a text.
fn number(value: &Json) -> Option<Volume> {
    let number = match value {
        Json::Number(number) => number.clone(),
        Json::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(count), ..) => Some(Volume::Count(count)),
        (_, Some(whole), _) => Some(Volume::Integer(whole)),
        (.., real) => real.map(Volume::Real),
    }
}

/// Reads an expression over the fields of a sample.
fn read(place: &str, text: &str) -> Result<Expression, String> {
    let expression = Expression::parse(text).map_err(|error| format!("{place}: {error}"))?;
    for path in expression.paths() {
        if let Root::Meter(_) = &path.root {
            let error = expression.refuse(path, "$(...) is for the transformer arithmetic; write volume");
            return Err(format!("{place}: {error}"));
        }
        sampled::check(&path.names()).map_err(|what| format!("{place}: {}", expression.refuse(path, what)))?;
    }
    sampled::check_number(&expression).map_err(|error| format!("{place}: {error}"))?;
    Ok(expression)
}

// === impl Scaling ===

impl Scaling<'_> {
    /// The volume that comes out for the sample at a place, before `max`; places only advance.
    #[inline]
    pub fn volume(&mut self, row: usize, resource: u32) -> Result<Volume, String> {
        let volume = self.batch.column.values.number(row).ok_or("it has no volume")?;
        let scaled = match &self.scale.by {
            By::Nothing => volume,
            By::Whole(factor) => times(volume, *factor),
            By::Real(factor) => Volume::Real(volume.real() * factor),
            By::Expression(_) => {
                return self.evaluated(row, resource)?.volume().ok_or_else(|| "it gives no finite number".into());
            }
        };
        finite(scaled)
    }

    /// What a rate is multiplied with for the sample at a place: the factor, or what the expression gives.
    #[inline]
    pub fn factor(&mut self, row: usize, resource: u32) -> Result<f64, String> {
        #[allow(clippy::cast_precision_loss, reason = "rounding is what a real is asked for")]
        Ok(match &self.scale.by {
            By::Nothing => 1.0,
            By::Whole(factor) => *factor as f64,
            By::Real(factor) => *factor,
            By::Expression(_) => {
                let mark = self.sampled.as_mut().and_then(|sampled| sampled.mark(resource));
                let mark = mark.filter(|mark| *mark < MARKS).and_then(|mark| usize::try_from(mark).ok());
                let known = mark.and_then(|mark| self.factors.get(mark)).copied();
                if let Some(known) = known.filter(|known| !known.is_nan()) {
                    return Ok(known);
                }
                let value = self.evaluated(row, resource)?;
                let factor = value.float().ok_or_else(|| format!("it gives {}, not a number", value.word()))?;
                if let Some(mark) = mark {
                    self.factors.resize(self.factors.len().max(mark + 1), f64::NAN);
                    self.factors.iter_mut().skip(mark).take(1).for_each(|known| *known = factor);
                }
                factor
            }
        })
    }

    fn evaluated(&mut self, row: usize, resource: u32) -> Result<Value, String> {
        let (By::Expression(expression), Some(sampled)) = (&self.scale.by, &mut self.sampled) else {
            return Ok(Value::Missing);
        };
        expression.evaluate(sampled.at(row, resource)).map_err(|error| error.to_string())
    }
}

/// A volume times a factor, exactly where it fits.
fn times(volume: Volume, factor: i64) -> Volume {
    #[allow(clippy::cast_precision_loss, reason = "rounding is what a real is asked for")]
    volume
        .whole()
        .map_or_else(|| Volume::Real(volume.real() * factor as f64), |volume| Volume::of(volume * i128::from(factor)))
}

fn finite(volume: Volume) -> Result<Volume, String> {
    match volume {
        Volume::Real(value) if !value.is_finite() => Err("it is too large for a real number".into()),
        volume => Ok(volume),
    }
}
