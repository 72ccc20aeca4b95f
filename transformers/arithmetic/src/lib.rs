//! One meter calculated of several: Ceilometer's transformer `arithmetic`.
//!
//! ```json
//! {"target": {"name": "memory_util", "unit": "%", "type": "gauge",
//!             "expr": "100 * $(memory.usage) / $(memory)"}}
//! ```
//!
//! The latest samples of the meters are kept for each resource until it has one of each. Then the expression is
//! evaluated, and they are forgotten.

mod ages;
mod known;
mod latest;
mod pending;

use expression::{Expression, Root, Volume};
use scaling::{ByName, Keys, LATE, Losses, Volumes, check, check_number, merged};
use wasmeter_sdk::{Batch, Call, Converting, Failure, Kind, Meter, Outputs, Transformer, Values, register_transformer};

use self::ages::Ages;
use self::known::Known;
use self::latest::Latest;
use self::pending::Pending;

/// The transformer.
#[derive(Debug)]
pub struct Arithmetic;

#[derive(Debug)]
struct Config {
    expression: Expression,
    /// The meters that it needs, in the order in which they stand there. The first lends what `target` lacks.
    meters: Vec<String>,
    name: Option<String>,
    unit: Option<String>,
    kind: Option<Kind>,
}

impl Transformer for Arithmetic {
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        let config = Config::of(config)?;
        let meters: Vec<Meter> = config.meter(config.reference(inputs)).into_iter().collect();
        // What `target` lacks may be that of a sample which waits.
        let declares = if meters.is_empty() { vec![config.name().to_owned()] } else { Vec::new() };
        Ok(Outputs { meters, declares })
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let config = Config::of(call.config())?;
        let at = batches.last().map_or_else(|| call.read_at(), |last| last.at);
        let batches = merged(batches);
        let mut losses = Losses::default();
        let mut ages = Ages::load(call);
        if ages.is_set_back() {
            config.meters.iter().try_for_each(|meter| Pending::forget_all(call, meter))?;
        }
        config.give_up(&mut ages, &mut losses);
        let known = Known::learn(call, &config, inputs)?;
        let mut latest = Latest::of(call, &config, (inputs, &known), &ages, &batches)?;
        let mut volumes = Volumes::like(&Values::Reals(Vec::new()), latest.resources().len());
        let output = config.meter(config.meters.first().and_then(|first| known.get(first)));
        if let Some(meter) = &output {
            for place in 0..latest.resources().len() {
                let Some((resource, values)) = latest.complete(place) else { continue };
                let values = match values {
                    Ok(values) => values,
                    Err(error) => {
                        losses.count(&meter.name, || format!("target.expr: {error}"));
                        continue;
                    }
                };
                match config.expression.evaluate(values).map(|value| (value.float(), value.word())) {
                    Ok((Some(volume), _)) if volume.is_finite() => volumes.push(resource, Volume::Real(volume)),
                    Ok((Some(_), _)) => losses.count(&meter.name, || "target.expr: it gives no finite number".into()),
                    Ok((None, word)) => {
                        losses.count(&meter.name, || format!("target.expr: it gives {word}, not a number"))
                    }
                    Err(error) => losses.count(&meter.name, || format!("target.expr: {error}")),
                }
            }
        }
        let notes = latest.notes();
        latest.save(call, &mut ages)?;
        ages.save(call)?;
        losses.tell(call);
        let Some(output) = output.filter(|_| !volumes.is_empty()) else { return Ok(Vec::new()) };
        let described: Vec<Meter> = config.meter(config.reference(inputs)).into_iter().collect();
        let position = ByName::of(&described).position(call, &output)?;
        let batch = position.map(|meter| Batch { meter, at, column: volumes.into_column(), notes });
        Ok(batch.into_iter().collect())
    }
}

// === impl Config ===

impl Config {
    fn of(config: &str) -> Result<Self, String> {
        let mut keys = Keys::of(config)?;
        let mut target = keys.keys("target")?;
        let (name, unit, kind) = (target.text("name")?, target.text("unit")?, target.kind("type")?);
        let place = target.place("expr");
        let text = target.text("expr")?;
        target.end()?;
        keys.end()?;
        let text = text.ok_or_else(|| format!("{place} is missing; write what to calculate"))?;
        let expression = Expression::parse(&text).map_err(|error| format!("{place}: {error}"))?;
        let mut meters: Vec<String> = Vec::new();
        for path in expression.paths() {
            let refused = |what: String| format!("{place}: {}", expression.refuse(path, what));
            match &path.root {
                Root::Meter(meter) if !meters.contains(meter) => meters.push(meter.clone()),
                Root::Meter(_) => {}
                Root::Name(_) => {
                    let what = "say of which meter: `$(cpu)` is the volume of cpu, `$(cpu).unit` its unit";
                    return Err(refused(what.to_owned()));
                }
            }
            check(&path.names()).map_err(refused)?;
        }
        check_number(&expression).map_err(|error| format!("{place}: {error}"))?;
        if meters.is_empty() {
            return Err(format!("{place}: it names no meter; write one as $(cpu)"));
        }
        if name.as_deref() == Some("") {
            return Err("target.name is empty; write a name, or leave it out".into());
        }
        Ok(Self { expression, meters, name, unit, kind })
    }

    /// The first meter of the expression, if it comes in.
    fn reference<'a>(&self, inputs: &'a [Meter]) -> Option<&'a Meter> {
        let first = self.meters.first()?;
        inputs.iter().find(|input| input.name == *first)
    }

    /// What comes out, if that is known yet: what `target` lacks is the first meter's.
    fn meter(&self, reference: Option<&Meter>) -> Option<Meter> {
        let unit = self.unit.clone().or_else(|| reference.map(|known| known.unit.clone()))?;
        let kind = self.kind.or_else(|| reference.map(|known| known.kind))?;
        Some(Meter { name: self.name().to_owned(), kind, unit })
    }

    /// Counts samples that waited for too long, and names the meters that did not come to them.
    fn give_up(&self, ages: &mut Ages, losses: &mut Losses) {
        let given_up = ages.give_up();
        let of_meter = |number: usize| given_up.get(number).copied().unwrap_or(0);
        let lacked = (0..).zip(&self.meters).filter(|(number, _)| of_meter(*number) == 0 && !ages.has(*number));
        let lacked: Vec<&str> = lacked.map(|(_, meter)| meter.as_str()).collect();
        let lacked = if lacked.is_empty() { "another of its resource".to_owned() } else { lacked.join(", ") };
        for (number, meter) in (0..).zip(&self.meters) {
            losses.count_many(of_meter(number), meter, || format!("{LATE}, and {lacked} did not come"));
        }
    }

    fn name(&self) -> &str {
        let first = || self.meters.first().map(String::as_str);
        self.name.as_deref().or_else(first).unwrap_or_default()
    }
}

register_transformer!(Arithmetic);

#[cfg(test)]
mod tests;
