//! Samples as data points. A guest is a resource, described by OpenTelemetry's conventions; a point says of which
//! resource of Ceilometer's it is, a disk for example, so that points stay apart where resources are not looked at.
//!
//! A stream of points must have one writer. Samples of one name come from pollsters, from sinks that keep or give the
//! name, and from tenants' modules; these say so in attributes of the scope, so that they are metrics of their own, of
//! their own kinds and units, and of their points, for those who do not look at scopes.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;
use uuid::Uuid;

use super::protobuf::{bytes, fixed64, message, number, text};
use super::starts::Starts;
use crate::clock::{Clock, SystemClock};
use crate::pipeline::SOURCE;
use crate::publish::sample::Sample;
use crate::spool::Delivery;
use crate::spool::log::Sequence;

/// Writes requests of `ExportMetricsService`.
#[derive(Debug, Default)]
pub struct Metrics {
    starts: Starts,
    /// The instance of the service that writes: this daemon, or whoever has its spool.
    service: Uuid,
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

/// Who writes samples, if that is not the operator's pollsters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Writer {
    /// A tenant's deployment, or whoever handed them in.
    source: Option<Box<str>>,
    /// A sink whose transformers made them.
    sink: Option<Box<str>>,
    /// Whether somebody had them delivered again, which may be beside others of the same name and time.
    is_replayed: bool,
}

/// The metrics of a resource from one writer.
#[derive(Debug)]
struct Group {
    resource: Arc<[u8]>,
    scope: Vec<u8>,
    /// Attributes that all points have.
    point: Vec<u8>,
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
    /// Begins, in the service of this id, with what was kept before.
    pub fn begin(&mut self, service: Uuid, kept: Option<&[u8]>) {
        *self = Self { starts: kept.and_then(Starts::of_kept).unwrap_or_default(), service, ..Self::default() };
    }

    /// What to begin with after a start of the daemon.
    pub fn to_keep(&self, in_the_end: bool) -> Option<Vec<u8>> {
        self.starts.to_keep(in_the_end)
    }

    /// Appends samples of a record as a request.
    pub fn write(&mut self, out: &mut Vec<u8>, record: &Delivery, places: Range<usize>) {
        let this = (record.sequence, record.checksum);
        if self.record.replace(this) != Some(this) {
            self.known.clear();
        }
        self.starts.set_now(SystemClock.now().wall);
        let mut groups: Vec<Group> = Vec::new();
        let mut numbers: FxHashMap<(Arc<[u8]>, Writer), usize> = FxHashMap::default();
        Sample::each(record, places, |sample| {
            let Known { resource, point } = self.known(sample);
            let writer = Writer::of(sample);
            let number = *numbers.entry((Arc::clone(&resource), writer)).or_insert_with_key(|(_, writer)| {
                groups.push(Group::of(resource, writer));
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(number) {
                group.add(sample, &point, &mut self.starts);
            }
        });
        groups.into_iter().for_each(|group| group.finish(out));
    }

    fn known(&mut self, sample: &Sample<'_>) -> Known {
        let Self { service, known, .. } = self;
        let Some(label) = sample.label else { return Known::of(sample, *service) };
        known.entry(Arc::as_ptr(label).addr()).or_insert_with(|| Known::of(sample, *service)).clone()
    }
}

// === impl Known ===

impl Known {
    fn of(sample: &Sample<'_>, service: Uuid) -> Self {
        let mut metadata = String::new();
        sample.metadata.write(&mut metadata);
        let metadata: Value = serde_json::from_str(&metadata).unwrap_or_default();
        let said = |path: &str| metadata.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
        let mut resource = Vec::new();
        // Receivers tell services apart by this, and some accept nothing without it.
        attribute(&mut resource, 1, "service.name", Some(SCOPE));
        attribute(&mut resource, 1, "service.instance.id", Some(&service.to_string()));
        attribute(&mut resource, 1, "cloud.provider", Some("openstack"));
        attribute(&mut resource, 1, "cloud.account.id", sample.project_id);
        attribute(&mut resource, 1, "cloud.availability_zone", said("/OS-EXT-AZ:availability_zone"));
        if let Some(id) = said("/instance_id") {
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

// === impl Writer ===

impl Writer {
    fn of(sample: &Sample<'_>) -> Self {
        let source = Some(sample.source).filter(|source| !source.is_empty() && *source != SOURCE);
        Self { source: source.map(Box::from), sink: sample.sink.map(Box::from), is_replayed: sample.is_replayed() }
    }

    fn attributes(&self, out: &mut Vec<u8>, field: u64) {
        attribute(out, field, "source", self.source.as_deref());
        attribute(out, field, "sink", self.sink.as_deref());
        attribute(out, field, "replayed", self.is_replayed.then_some("true"));
    }
}

// === impl Group ===

impl Group {
    fn of(resource: Arc<[u8]>, writer: &Writer) -> Self {
        let (mut scope, mut point) = (Vec::new(), Vec::new());
        text(&mut scope, 1, SCOPE);
        text(&mut scope, 2, VERSION);
        writer.attributes(&mut scope, 3);
        writer.attributes(&mut point, 7);
        Self { resource, scope, point, metrics: Vec::new(), open: None }
    }

    fn add(&mut self, sample: &Sample<'_>, attributes: &[u8], starts: &mut Starts) {
        let volume = sample.volume.parse::<f64>().ok();
        let kind = match sample.kind {
            // Nothing that has only grown is below zero.
            "cumulative" if volume.is_none_or(|volume| volume >= 0.0) => Kind::Sum,
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
        let start = match (kind, volume) {
            // What was delivered before and after it is not known.
            _ if sample.is_replayed() => 0,
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
            out.extend(&self.point);
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

    fn finish(mut self, out: &mut Vec<u8>) {
        self.close();
        message(out, 1, |out| {
            bytes(out, 1, &self.resource);
            message(out, 2, |out| {
                bytes(out, 1, &self.scope);
                out.extend(self.metrics);
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::opentelemetry::protobuf::Fields;
    use crate::spool::record::Content;

    /// A request of samples of these types and volumes, which are delivered again.
    fn request(metrics: &mut Metrics, samples: &[(&str, &str)]) -> Vec<u8> {
        let sample = |(kind, volume): &(&str, &str)| {
            format!(
                r#"{{"source": "openstack", "counter_name": "cpu", "counter_type": "{kind}", "counter_unit": "ns",
                 "counter_volume": {volume}, "resource_id": "a", "timestamp": "2026-01-01T00:00:00"}}"#
            )
        };
        let content = Content::Replayed { only: None, samples: samples.iter().map(sample).collect() };
        let record = Delivery { sequence: Sequence(1), time: 5, checksum: 0, content };
        let mut out = Vec::new();
        metrics.write(&mut out, &record, 0..samples.len());
        out
    }

    #[test]
    fn what_falls_below_zero_is_no_sum_that_only_grows() {
        let is_sum = |volume: &str| {
            let out = request(&mut Metrics::default(), &[("cumulative", volume)]);
            let metric = Fields::of(Fields::of(Fields::of(Fields::of(&out).bytes(1)).bytes(2)).bytes(2));
            let [gauge, sum] = [5, 7].map(|field| !metric.bytes(field).is_empty());
            assert_ne!(gauge, sum);
            sum
        };
        assert_eq!(["5", "0", "-0.5", "-96"].map(is_sum), [true, true, false, false]);
    }

    #[test]
    fn what_is_delivered_again_has_a_writer_of_its_own_that_knows_no_starts() {
        let mut metrics = Metrics::default();
        let out = request(&mut metrics, &[("cumulative", "5"), ("delta", "5")]);
        // The scope has it, and each point.
        let mut said = Vec::new();
        attribute(&mut said, 7, "replayed", Some("true"));
        let said = said.get(1..).unwrap();
        assert_eq!(out.windows(said.len()).filter(|window| *window == said).count(), 3, "{out:?}");
        assert_eq!(metrics.to_keep(true), None);
    }

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
