//! Looking at samples as they pass: an answer that goes on until whoever asked has seen enough.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
use std::vec;

use bytes::Bytes;
use futures_util::{Stream, stream};
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Control, lock};
use crate::config::MeterFilter;
use crate::config::in_vain::{InVain, listed};
use crate::pipeline::route::OF_PIPELINES;
use crate::pipeline::tap::{Point, Tapped, Wanted};
use crate::pipeline::{Samples, Slot};
use crate::publish::encode::{Encoder, Shared};

/// Look at samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tap {
    /// Where: `measured`, `sink:NAME` or `output:NAME`.
    pub point: String,
    /// Patterns of meters; none for all.
    #[serde(default)]
    pub meters: Vec<String>,
    /// Only resources whose ids have this in them.
    pub resource: Option<String>,
    /// Only what modules of this tenant gave.
    pub tenant: Option<String>,
}

/// Why nothing is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// There is no such point, or no such meter.
    #[error("{0}")]
    Wrong(String),
    /// Others look already.
    #[error("{0} others look at samples already. End one of them")]
    TooMany(usize),
}

/// What is seen, as JSON: first what is wanted in vain, as `{"in_vain": "nothing gives cpuu. ..."}`, then samples in
/// Ceilometer's form, a line each, and between slots how many were left out, as `{"left_out": 3}`.
#[derive(Debug)]
pub struct Lines {
    /// What is wanted in vain and was not said yet.
    in_vain: vec::IntoIter<String>,
    tapped: Tapped,
    resource: Option<String>,
    slot: Option<Pieces>,
}

/// A slot that is being written.
#[derive(Debug)]
struct Pieces {
    encoder: Encoder,
    rest: vec::IntoIter<Samples>,
    /// What is written now, and which of its samples are still to be.
    now: Option<(Samples, Range<usize>)>,
}

/// Samples that are written at once, so that who looks at many takes no thread from others for long.
const PIECE: usize = 500;
/// Names that are given where there is no such one.
const SHOWN: usize = 5;

// === impl Control ===

impl Control {
    /// Shows samples from now on.
    pub fn tap(&self, tap: &Tap) -> Result<Lines, Unseen> {
        let point: Point = tap.point.parse().map_err(Unseen::Wrong)?;
        let known = match &point {
            Point::Measured => None,
            Point::Sink(sink) => Some(("sink", sink, self.sinks())),
            Point::Output(output) => {
                let outputs = self.status().publishers.into_iter().map(|publisher| publisher.name);
                Some(("output", output, outputs.collect()))
            }
        };
        if let Some((what, name, known)) = known.filter(|(_, name, known)| !known.contains(name)) {
            let others = match known.as_slice() {
                [] => "there is none at all".to_owned(),
                names => format!("there are {}", names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ")),
            };
            return Err(Unseen::Wrong(format!("there is no {what} {name}; {others}")));
        }
        let patterns = if tap.meters.is_empty() { vec!["*".to_owned()] } else { tap.meters.clone() };
        let meters = MeterFilter::new(patterns);
        let meters = meters.map_err(|refused| Unseen::Wrong(format!("{refused}. {}", refused.remedy())))?;
        let wanted = Wanted { point, meters, tenant: tap.tenant.clone() };
        let in_vain = self.in_vain(&wanted).into_iter();
        let tapped = self.0.taps.open(wanted).ok_or(Unseen::TooMany(crate::pipeline::tap::MOST_TAPS))?;
        Ok(Lines { in_vain, tapped, resource: tap.resource.clone(), slot: None })
    }

    /// What will not come as everything is now, each in a sentence with a remedy. What transformers of sinks make is
    /// not known.
    fn in_vain(&self, Wanted { point, meters, tenant }: &Wanted) -> Vec<String> {
        let seen = Arc::clone(&lock(&self.0.seen));
        let all_comes_there = match point {
            Point::Measured => true,
            Point::Sink(_) => false,
            Point::Output(output) => !output.starts_with(OF_PIPELINES),
        };
        let mut in_vain = Vec::new();
        if let Some(given) = seen.given().filter(|_| all_comes_there) {
            let at_sinks = if seen.sinks.is_empty() { "" } else { " What sinks make is seen at sink:NAME." };
            let said = |InVain { message, remedy }| format!("{message}. {remedy}.{at_sinks}");
            in_vain.extend(given.in_vain("the tap", "of any module that is on", meters).into_iter().map(said));
        }
        let tenants = seen.tenants();
        // Before all is ready nothing runs.
        let unknown = tenant.as_deref().filter(|tenant| !tenants.is_empty() && !tenants.contains(tenant));
        if let Some(tenant) = unknown {
            let others: Vec<&str> = tenants.into_iter().collect();
            in_vain.push(format!("No module of {tenant} runs; there are such of {}.", listed(&others)));
        }
        in_vain
    }
}

// === impl Lines ===

impl Lines {
    /// The same as pieces of an answer.
    pub fn pieces(self) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
        stream::unfold(self, async |mut lines| {
            let text = lines.next().await?;
            Some((Ok(Frame::data(text.into())), lines))
        })
    }

    /// The next lines; `None` once there will be none.
    pub async fn next(&mut self) -> Option<String> {
        if let Some(in_vain) = self.in_vain.next() {
            return Some(format!("{}\n", json!({ "in_vain": in_vain })));
        }
        loop {
            let Some(slot) = &mut self.slot else {
                self.slot = Some(Pieces::of(self.tapped.next().await?));
                continue;
            };
            match slot.next(self.resource.as_deref()) {
                Some(text) if text.is_empty() => {}
                Some(text) => return Some(text),
                None => {
                    self.slot = None;
                    let left_out = self.tapped.left_out();
                    if left_out > 0 {
                        return Some(format!("{{\"left_out\": {left_out}}}\n"));
                    }
                }
            }
        }
    }
}

// === impl Pieces ===

impl Pieces {
    fn of(slot: Slot) -> Self {
        Self { encoder: Encoder::new(&slot), rest: slot.samples.into_iter(), now: None }
    }

    /// Some lines, perhaps none; `None` once all are written.
    fn next(&mut self, resource: Option<&str>) -> Option<String> {
        let (samples, mut left) = match self.now.take() {
            Some(now) => now,
            None => {
                let samples = self.rest.next()?;
                let rows = 0..samples.column.len();
                (samples, rows)
            }
        };
        let end = left.end.min(left.start + PIECE);
        let (shared, mut out) = (Shared::of(&samples), String::new());
        let written = self.encoder.rows(&samples, left.start..end, |row| {
            if resource.is_none_or(|id| row.resource.label.id.contains(id)) {
                shared.write_head(&mut out, row);
                row.resource.label.metadata.write(&mut out, row.notes);
                shared.write_tail(&mut out, row);
                out.push_str("}\n");
            }
            Ok::<(), Infallible>(())
        });
        match written {
            Ok(()) => {}
            Err(never) => match never {},
        }
        left.start = end;
        self.now = (!left.is_empty()).then_some((samples, left));
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::agent::OPERATOR;
    use crate::pipeline::tap::Taps;
    use crate::pipeline::tap::tests::{samples, slot};
    use crate::pipeline::{Route, Sinks};

    fn lines(taps: &Taps, resource: Option<&str>) -> Lines {
        let meters = MeterFilter::new(vec!["*".to_owned()]).unwrap();
        let tapped = taps.open(Wanted { point: Point::Measured, meters, tenant: None }).unwrap();
        Lines { in_vain: Vec::new().into_iter(), tapped, resource: resource.map(str::to_owned), slot: None }
    }

    #[tokio::test]
    async fn each_sample_is_a_line_and_what_was_left_out_is_said() {
        let taps = Taps::default();
        let (mut all, mut of_other) = (lines(&taps, None), lines(&taps, Some("b")));
        let one = || samples("cpu", OPERATOR, 1, Route::default());
        // More than waits.
        let slots = 20;
        (0..slots).for_each(|_| taps.show(&mut Sinks::default(), &slot(vec![one(), one()])));
        drop(taps);
        let (mut seen, mut left_out) = (0, 0);
        while let Some(text) = all.next().await {
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                match line["left_out"].as_u64() {
                    Some(more) => left_out += more,
                    None => {
                        assert_eq!((&line["counter_name"], &line["resource_id"]), (&"cpu".into(), &"a".into()));
                        seen += 1;
                    }
                }
            }
        }
        assert_eq!(seen + left_out, 2 * slots);
        assert!(left_out > 0 && seen > 0);
        let other = of_other.next().await;
        assert!(other.as_deref().is_none_or(|line| line.starts_with("{\"left_out\"")), "{other:?}");
    }

    #[test]
    fn many_samples_are_written_in_pieces() {
        let many = u32::try_from(2 * PIECE + 1).unwrap();
        let mut pieces = Pieces::of(slot(vec![samples("cpu", OPERATOR, many, Route::default())]));
        // All but the first are of resources that there are not.
        let written: Vec<usize> = std::iter::from_fn(|| pieces.next(None)).map(|text| text.lines().count()).collect();
        assert_eq!(written, [1, 0, 0]);
    }
}
