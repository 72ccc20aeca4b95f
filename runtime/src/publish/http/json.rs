//! Lists of samples in JSON, as Ceilometer's publisher `http` writes them: under other keys than on the bus.

use std::ops::Range;

use bytes::Bytes;
use hyper::header::{self, HeaderName};

use super::form::Form;
use crate::json;
use crate::publish::sample::Sample;
use crate::spool::Delivery;

/// Ceilometer's form, whether a list has many samples or one.
#[derive(Debug)]
pub struct Lists {
    /// Whether each sample stands alone, without a list around it.
    alone: bool,
}

/// About how long a sample is.
const SAMPLE_BYTES: usize = 1500;

// === impl Lists ===

impl Lists {
    /// Lists of so many samples. What is one is not in a list.
    pub fn of(batch_size: usize) -> Self {
        Self { alone: batch_size <= 1 }
    }
}

impl Form for Lists {
    fn headers(&self) -> Vec<(HeaderName, &'static str)> {
        vec![(header::CONTENT_TYPE, "application/json")]
    }

    fn body(&mut self, record: &Delivery, places: Range<usize>) -> Bytes {
        let mut out = String::with_capacity(places.len().min(1000) * SAMPLE_BYTES);
        out.push_str(if self.alone { "" } else { "[" });
        let begin = out.len();
        Sample::each(record, places, |sample| {
            out.push_str(if out.len() > begin { ", " } else { "" });
            write(&mut out, sample);
        });
        out.push_str(if self.alone { "" } else { "]" });
        out.into()
    }
}

/// Appends a sample as `Sample.as_dict()` gives it.
fn write(out: &mut String, sample: &Sample<'_>) {
    json::entry(out, "{\"name\": ", Some(sample.name));
    json::entry(out, ", \"type\": ", Some(sample.kind));
    json::entry(out, ", \"unit\": ", Some(sample.unit));
    out.push_str(", \"volume\": ");
    sample.write_middle(out);
    json::entry(out, ", \"source\": ", Some(sample.source));
    json::entry(out, ", \"id\": ", Some(sample.message_id));
    out.push_str(", \"monotonic_time\": ");
    out.push_str(sample.monotonic_time);
    out.push('}');
}
