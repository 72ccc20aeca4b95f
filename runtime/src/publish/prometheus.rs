//! A slot's samples as Prometheus reads them, for a look from the command line.

use std::collections::BTreeMap;

use super::encode;
use crate::contract::Kind;
use crate::discovery::Label;
use crate::json;
use crate::pipeline::{Samples, Slot};

/// Writes each meter as a metric, with one series for each resource.
pub fn write(slot: &Slot) -> String {
    let mut by_name: BTreeMap<&str, Vec<&Samples>> = BTreeMap::new();
    for samples in &slot.samples {
        by_name.entry(&samples.meter.name).or_default().push(samples);
    }
    let mut out = String::new();
    for (name, all) in by_name {
        let metric = metric_name(name);
        let Some(first) = all.first() else { continue };
        let kind = if first.meter.kind == Kind::Cumulative { "counter" } else { "gauge" };
        json::append(&mut out, format_args!("# TYPE {metric} {kind}\n"));
        for samples in all {
            for (row, number) in samples.column.resources.iter().enumerate() {
                let Some(resource) = slot.resources.get(*number) else { continue };
                json::append(&mut out, format_args!("{metric}{{{}}} ", labels(&resource.label, &samples.meter.unit)));
                encode::volume(&mut out, &samples.column, row);
                out.push('\n');
            }
        }
    }
    out
}

fn metric_name(meter: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    format!("ceilometer_{}", meter.chars().map(plain).collect::<String>())
}

/// Labels without a value are left out, as Ceilometer's exporter does. The format has an escape for the end of a line;
/// other control characters would be passed on to the terminal, and are replaced.
fn labels(label: &Label, unit: &str) -> String {
    let about = &label.about;
    let all = [
        ("resource", label.id.as_str()),
        ("project", label.project.as_deref().unwrap_or_default()),
        ("user", label.user.as_deref().unwrap_or_default()),
        ("unit", unit),
        ("resource_name", &about.display_name),
        ("flavor_name", &about.flavor),
        ("device", &label.device),
    ];
    let written = all.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let escaped = escaped.replace(char::is_control, "\u{fffd}");
        format!("{name}=\"{escaped}\"")
    });
    written.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_command_no_terminal() {
        let label = Label { device: "\u{1b}[2J\u{9b}2J\r\u{7f}\n\"\\".to_owned(), ..Label::bare("a") };
        let odd = "\u{fffd}[2J\u{fffd}2J\u{fffd}\u{fffd}\\n\\\"\\\\";
        assert_eq!(labels(&label, ""), format!("resource=\"a\",device=\"{odd}\""));
    }
}
