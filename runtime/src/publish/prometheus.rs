//! Samples as Prometheus reads them: Ceilometer's series, for a look from the command line and for Prometheus itself.
//!
//! - [`meter`]: what a meter's series have in common.
//! - [`resource`]: what a resource's series have in common.
//! - [`plan`]: how often what is measured, and what is made of it.
//! - [`fed`]: of what something is made.
//! - [`latest`]: the latest value of every series.
//! - [`page`]: all of it as text, piece by piece.
//! - [`exporter`]: the latest values, kept from slot to slot.
//! - [`endpoint`]: where Prometheus finds them.
//! - [`own`]: what the daemon says about itself.

pub mod endpoint;
pub mod exporter;
pub mod fed;
pub mod latest;
pub mod meter;
pub mod own;
pub mod page;
pub mod plan;
pub mod resource;

pub use self::endpoint::Endpoint;
pub use self::exporter::{Exporter, Intake};
pub use self::page::Page;

use self::fed::Fed;
use self::latest::Latest;
use self::plan::Plan;
use self::resource::Known;
use crate::pipeline::Slot;

/// Writes a slot's series for a terminal. Control characters, which Prometheus would be told, are replaced there.
pub fn write(slot: &Slot) -> String {
    let texts = Known::default().of(&slot.resources);
    let latest = Latest::default().after(slot, &texts, &Plan::default(), &Fed::default());
    let mut text = String::new();
    for piece in Page::new(latest.into(), slot.at.monotonic) {
        text.push_str(&piece);
    }
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

/// Appends a label's value as the format writes it.
fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

/// Appends a label behind others, unless it has no value: Ceilometer leaves those out, too.
fn label(out: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        out.push(',');
        out.push_str(name);
        out.push_str("=\"");
        escape(out, value);
        out.push('"');
    }
}

#[cfg(test)]
mod tests;
