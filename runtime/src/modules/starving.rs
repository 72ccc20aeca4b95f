//! Transformers of sinks that give nothing, because a meter that they need does not come to them.

use expression::{Expression, Root};
use serde_json::Value;

use crate::config::Place;
use crate::config::closest;
use crate::config::in_vain::listed;
use crate::config::pipeline::{Sink, Transformer};

/// A meter that a transformer needs and that does not come to it, as far as is known of the operator's modules.
#[derive(Debug, Clone)]
pub struct Starving {
    /// Where it is named.
    pub place: Option<Place>,
    /// The key under which it is named.
    pub key: String,
    /// The meter.
    pub meter: String,
    /// Whether the transformer is the first of its sink, so that meters keep their names on their way to it.
    pub is_first: bool,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do, without a full stop.
    pub remedy: String,
}

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
        Starving { place, key, meter: meter.to_owned(), is_first, message, remedy }
    });
    said.collect()
}
