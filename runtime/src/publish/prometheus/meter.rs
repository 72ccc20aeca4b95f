//! What the series of a meter have in common: their name, their type, and the labels that follow from both.

use super::{escape, label};
use crate::contract::{Kind, Meter};
use crate::json;

/// The text of a meter's series but for what is their resource's.
#[derive(Debug)]
pub struct MeterText {
    /// Its name as a metric.
    pub metric: String,
    /// The lines that stand before the first series of the metric.
    pub header: String,
    /// From the beginning of a line to the value of the first label, or to where the owner's labels begin.
    pub start: String,
    /// What follows the first label's value, where that is the resource's id.
    pub after_id: Option<String>,
    /// The label of the unit.
    pub unit: String,
}

/// Labels that stand behind the first one, whose name is a part of the meter's.
const TAKEN: [&str; 14] = [
    "publisher",
    "type",
    "counter",
    "source",
    "project",
    "project_name",
    "user",
    "user_name",
    "unit",
    "resource",
    "vm_instance",
    "resource_name",
    "server_group",
    "flavor_id",
];

// === impl MeterText ===

impl MeterText {
    /// The text of a meter, of a tenant's deployment or of the operator's.
    pub fn of(meter: &Meter, deployment: Option<&str>) -> Self {
        let metric = metric(&meter.name);
        let mut parts = meter.name.split('.');
        let (first, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let mut labels = String::from("publisher=\"ceilometer\"");
        label(&mut labels, "type", second.unwrap_or(first));
        label(&mut labels, "counter", &meter.name);
        if let Some(deployment) = deployment {
            label(&mut labels, "source", deployment);
        }
        let (mut unit, mut start, mut after_id) = (String::new(), format!("{metric}{{"), None);
        label(&mut unit, "unit", &meter.unit);
        match label_name(first) {
            Some(name) => {
                json::append(&mut start, format_args!("{name}=\""));
                match third {
                    Some(third) => {
                        escape(&mut start, third);
                        json::append(&mut start, format_args!("\",{labels}"));
                    }
                    None => after_id = Some(format!("\",{labels}")),
                }
            }
            None => start.push_str(&labels),
        }
        Self { header: header(&metric, meter), metric, start, after_id, unit }
    }
}

/// The name of a meter as a metric's. Ceilometer keeps hyphens, which Prometheus before version 3 does not take.
pub fn metric(meter: &str) -> String {
    format!("ceilometer_{}", plain(meter))
}

fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// The name of the first label, which is the first part of the meter's name. There is none where that is another
/// label's: no series may have a label twice. Names with two `_` at the beginning are Prometheus' own.
fn label_name(first: &str) -> Option<String> {
    let mut name = plain(first);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    let is_taken = TAKEN.contains(&&*name) || name == "flavor_name" || name.starts_with("__") || name.is_empty();
    (!is_taken).then_some(name)
}

fn header(metric: &str, meter: &Meter) -> String {
    let unit = if meter.unit.is_empty() { "without a unit".to_owned() } else { format!("in {}", meter.unit) };
    // The name of a meter is visible ASCII, and its unit is a text of its own module.
    let help = format!("Ceilometer's meter {}, {}, {unit}.", meter.name, meter.kind);
    let help = help.replace('\\', "\\\\").replace(|c: char| c.is_control(), " ");
    format!("# HELP {metric} {help}\n# TYPE {metric} {}\n", kind(metric, meter.kind))
}

/// The type of a metric. A counter's name ends in `_total`, says Prometheus, whose check of metrics refuses others; the
/// names are Ceilometer's, which end otherwise. That leaves `untyped`, which claims nothing: `rate` and the like look
/// at the values alone. Ceilometer says `gauge` of all, which is wrong of these.
fn kind(metric: &str, kind: Kind) -> &'static str {
    match (kind, metric.ends_with("_total")) {
        (Kind::Cumulative, true) => "counter",
        (Kind::Gauge | Kind::Delta, false) => "gauge",
        _ => "untyped",
    }
}
