//! Samples as data points. A guest is a resource, described by OpenTelemetry's conventions; a point says of which
//! resource of Ceilometer's it is, a disk for example, so that points stay apart where resources are not looked at.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::protobuf::{bytes, fixed64, message, number, text};
use super::starts::Starts;
use crate::publish::sample::Sample;
use crate::spool::Delivery;
use crate::spool::log::Sequence;

/// Writes requests of `ExportMetricsService`.
#[derive(Debug, Default)]
pub struct Metrics {
    starts: Starts,
    /// The record whose labels are known.
    record: Option<(Sequence, u32)>,
    /// What was made of its labels, by where they are in memory.
    known: FxHashMap<usize, Known>,
}

/// A label in protobuf.
#[derive(Debug, Clone)]
struct Known {
    /// The resource's attributes.
    resource: Arc<[u8]>,
    /// Those of its points.
    point: Arc<[u8]>,
}

/// The metrics of a resource.
#[derive(Debug, Default)]
struct Group {
    metrics: Vec<u8>,
    open: Option<Open>,
}

/// A metric to which points are added.
#[derive(Debug)]
struct Open {
    name: String,
    unit: String,
    kind: Kind,
    points: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Sum,
    Delta,
}

/// Who measured.
const SCOPE: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");

// === impl Metrics ===

impl Metrics {
    /// Appends samples of a record as a request.
    pub fn write(&mut self, out: &mut Vec<u8>, record: &Delivery, places: Range<usize>) {
        let this = (record.sequence, record.checksum);
        if self.record.replace(this) != Some(this) {
            self.known.clear();
        }
        let mut groups: Vec<(Arc<[u8]>, Group)> = Vec::new();
        let mut numbers: FxHashMap<Arc<[u8]>, usize> = FxHashMap::default();
        Sample::each(record, places, |sample| {
            let Known { resource, point } = self.known(sample);
            let number = *numbers.entry(Arc::clone(&resource)).or_insert_with(|| {
                groups.push((resource, Group::default()));
                groups.len() - 1
            });
            if let Some((_, group)) = groups.get_mut(number) {
                group.add(sample, &point, &mut self.starts);
            }
        });
        for (resource, group) in groups {
            message(out, 1, |out| {
                bytes(out, 1, &resource);
                message(out, 2, |out| {
                    message(out, 1, |out| {
                        text(out, 1, SCOPE);
                        text(out, 2, VERSION);
                    });
                    out.extend(group.finish());
                });
            });
        }
    }

    fn known(&mut self, sample: &Sample<'_>) -> Known {
        let Some(label) = sample.label else { return Known::of(sample) };
        self.known.entry(Arc::as_ptr(label).addr()).or_insert_with(|| Known::of(sample)).clone()
    }
}

// === impl Known ===

impl Known {
    fn of(sample: &Sample<'_>) -> Self {
        let mut metadata = String::new();
        sample.metadata.write(&mut metadata);
        let metadata: Value = serde_json::from_str(&metadata).unwrap_or_default();
        let said = |path: &str| metadata.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
        let mut resource = Vec::new();
        // Receivers tell services apart by this, and some accept nothing without it.
        attribute(&mut resource, 1, "service.name", Some(SCOPE));
        attribute(&mut resource, 1, "cloud.provider", Some("openstack"));
        attribute(&mut resource, 1, "cloud.account.id", sample.project_id);
        attribute(&mut resource, 1, "cloud.availability_zone", said("/OS-EXT-AZ:availability_zone"));
        if let Some(id) = said("/instance_id") {
            attribute(&mut resource, 1, "service.instance.id", Some(id));
            attribute(&mut resource, 1, "host.id", Some(id));
            attribute(&mut resource, 1, "host.name", said("/display_name"));
            attribute(&mut resource, 1, "host.type", said("/flavor/name").or(said("/instance_type")));
            attribute(&mut resource, 1, "host.image.id", said("/image/id"));
            attribute(&mut resource, 1, "host.arch", said("/architecture").map(architecture));
        }
        let mut point = Vec::new();
        attribute(&mut point, 7, "resource_id", Some(sample.resource_id));
        attribute(&mut point, 7, "project_id", sample.project_id);
        attribute(&mut point, 7, "user_id", sample.user_id);
        Self { resource: resource.into(), point: point.into() }
    }
}

/// Appends a key with a text.
fn attribute(out: &mut Vec<u8>, field: u64, key: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    message(out, field, |out| {
        text(out, 1, key);
        message(out, 2, |out| text(out, 1, value));
    });
}

/// A processor's architecture by OpenTelemetry's names, which are Go's.
fn architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "i386" | "i486" | "i586" | "i686" => "x86",
        "aarch64" => "arm64",
        "armv6l" | "armv7l" => "arm32",
        "ppc" | "ppcle" => "ppc32",
        "ppc64" | "ppc64le" => "ppc64",
        other => other,
    }
}

/// A unit by UCUM, as OpenTelemetry wants it. What counts things stands in braces.
fn unit(unit: &str) -> Cow<'_, str> {
    if let Some((over, under)) = unit.split_once('/') {
        return format!("{}/{}", self::unit(over), self::unit(under)).into();
    }
    match unit {
        "B" => "By".into(),
        "KB" | "kB" => "kBy".into(),
        "MB" | "GB" | "TB" | "KiB" | "MiB" | "GiB" | "TiB" => format!("{unit}y").into(),
        "sec" => "s".into(),
        "C" => "Cel".into(),
        "" | "%" | "ns" | "us" | "ms" | "s" | "min" | "h" | "d" | "W" | "V" | "A" | "J" | "Hz" => unit.into(),
        other => format!("{{{other}}}").into(),
    }
}

// === impl Group ===

impl Group {
    fn add(&mut self, sample: &Sample<'_>, attributes: &[u8], starts: &mut Starts) {
        let kind = match sample.kind {
            "cumulative" => Kind::Sum,
            "delta" => Kind::Delta,
            _ => Kind::Gauge,
        };
        let same = |open: &Open| open.name == sample.name && open.unit == sample.unit && open.kind == kind;
        if !self.open.as_ref().is_some_and(same) {
            self.close();
        }
        let open = self.open.get_or_insert_with(|| Open {
            name: sample.name.to_owned(),
            unit: sample.unit.to_owned(),
            kind,
            points: Vec::new(),
        });
        let volume = sample.volume.parse::<f64>().ok();
        let start = match (kind, volume) {
            (Kind::Sum, Some(volume)) => starts.of_sum(sample, volume),
            (Kind::Delta, _) => starts.of_delta(sample),
            _ => 0,
        };
        message(&mut open.points, 1, |out| {
            if start > 0 {
                fixed64(out, 2, start.unsigned_abs());
            }
            fixed64(out, 3, sample.at.max(0).unsigned_abs());
            match (sample.volume.parse::<i64>(), volume) {
                (Ok(volume), _) => fixed64(out, 6, u64::from_le_bytes(volume.to_le_bytes())),
                (_, Some(volume)) => fixed64(out, 4, volume.to_bits()),
                // No recorded value.
                (_, None) => number(out, 8, 1),
            }
            out.extend(attributes);
        });
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        message(&mut self.metrics, 2, |out| {
            text(out, 1, &open.name);
            text(out, 3, &unit(&open.unit));
            let field = if open.kind == Kind::Gauge { 5 } else { 7 };
            message(out, field, |out| {
                out.extend(&open.points);
                match open.kind {
                    Kind::Gauge => {}
                    // A difference may be negative.
                    Kind::Delta => number(out, 2, 1),
                    Kind::Sum => {
                        number(out, 2, 2);
                        number(out, 3, 1);
                    }
                }
            });
        });
    }

    fn finish(mut self) -> Vec<u8> {
        self.close();
        self.metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_by_ucum() {
        for (ours, theirs) in [
            ("B", "By"),
            ("B/s", "By/s"),
            ("ns", "ns"),
            ("%", "%"),
            ("", ""),
            ("MB", "MBy"),
            ("GiB", "GiBy"),
            ("packet", "{packet}"),
            ("request/s", "{request}/s"),
            ("C", "Cel"),
        ] {
            assert_eq!(unit(ours), theirs);
        }
    }
}
