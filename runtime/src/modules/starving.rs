//! Transformers of sinks that do nothing, because what they are for does not come to them.

use expression::{Expression, Root};
use serde_json::Value;

use crate::config::Place;
use crate::config::closest;
use crate::config::in_vain::listed;
use crate::config::pipeline::{Sink, TRANSFORMERS, Transformer};
use crate::contract::Meter;

/// What a transformer is for and does not come to it, as far as is known of the operator's modules.
#[derive(Debug, Clone)]
pub struct Starving {
    /// Where it is named.
    pub place: Option<Place>,
    /// The key under which it is named.
    pub key: String,
    /// The meter by whose name alone it would do something; `None` where meters may have had any name before.
    pub meter: Option<String>,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do, without a full stop.
    pub remedy: String,
}

/// The transformer that is for samples in one unit.
const CONVERTS: &str = "unit_conversion";
/// The transformer that calculates with meters by their names.
const CALCULATES: &str = "arithmetic";
/// Where it is told what to calculate.
const EXPRESSION: &str = "target.expr";

/// What of a transformer's needs is not among what comes to it. Where nothing comes, it is said of the source.
pub fn needs(sink: &Sink, transformer: &Transformer, key: &str, is_first: bool, comes: &[&str]) -> Vec<Starving> {
    let parameters = &transformer.parameters;
    let text = parameters.config.value().pointer("/target/expr").and_then(Value::as_str);
    let text = text.filter(|_| transformer.name == CALCULATES && !comes.is_empty());
    let Some(Ok(expression)) = text.map(Expression::parse) else { return Vec::new() };
    let mut missing: Vec<&str> = Vec::new();
    for path in expression.paths() {
        match &path.root {
            Root::Meter(meter) if !comes.contains(&&**meter) && !missing.contains(&&**meter) => missing.push(meter),
            _ => {}
        }
    }
    let place = parameters.named(EXPRESSION).map_or(transformer.place, |key| key.place);
    let said = missing.into_iter().map(|meter| {
        let message = format!(
            "the transformer {CALCULATES} of the sink {} gives nothing: {meter} does not come to it, but {}",
            sink.name,
            listed(comes),
        );
        let meant = closest(meter, comes).map(|meant| format!("Did you mean `{meant}`? ")).unwrap_or_default();
        let remedy = format!("{meant}Name meters that come to it, or have a source of the sink take {meter}");
        let key = format!("{key}.parameters.{EXPRESSION}");
        Starving { place, key, meter: is_first.then(|| meter.to_owned()), message, remedy }
    });
    said.collect()
}

/// What is said of units and names that nothing of what comes has. `gives` is what is made of that.
pub fn fits_nothing(
    sink: &Sink,
    transformer: &Transformer,
    key: &str,
    comes: &[Meter],
    gives: &[Meter],
) -> Option<Starving> {
    let parameters = &transformer.parameters;
    let told = |pointer: &str| {
        let text = parameters.config.value().pointer(pointer).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    let units = || distinct(comes.iter().map(|meter| &*meter.unit));
    let names = || distinct(comes.iter().map(|meter| &*meter.name));
    let unit = told("/source/unit").filter(|_| transformer.name == CONVERTS);
    let is_mapped = |what: &str| {
        let both = [format!("/source/map_from/{what}"), format!("/target/map_to/{what}")];
        TRANSFORMERS.contains(&&*transformer.name) && both.iter().all(|pointer| told(pointer).is_some())
    };
    let stays = |of: fn(&Meter) -> &str| comes.iter().all(|meter| gives.iter().any(|given| of(given) == of(meter)));
    let (path, missing, there) = match unit {
        _ if comes.is_empty() => return None,
        Some(unit) if !units().contains(&unit) => ("source.unit", format!("is in {unit:?}"), units()),
        _ if is_mapped("name") && stays(|meter| &meter.name) => {
            ("source.map_from.name", "has a name that fits `source.map_from.name`".to_owned(), names())
        }
        _ if is_mapped("unit") && stays(|meter| &meter.unit) => {
            ("source.map_from.unit", "has a unit that fits `source.map_from.unit`".to_owned(), units())
        }
        _ => return None,
    };
    let place = parameters.named(path).map_or(transformer.place, |key| key.place);
    let message = format!(
        "the transformer {} of the sink {}: nothing that comes to it {missing}, but {}",
        transformer.name,
        sink.name,
        listed(&there),
    );
    let remedy = "Write what comes, or take it out".to_owned();
    Some(Starving { place, key: format!("{key}.parameters.{path}"), meter: None, message, remedy })
}

/// Each once; one that is empty is shown.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all: Vec<&str> = texts.map(|text| if text.is_empty() { "\"\"" } else { text }).collect();
    all.sort_unstable();
    all.dedup();
    all
}
