//! The latest values as text, piece by piece: a page of a large host is as large as its daemon.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};

use super::latest::{Block, Latest, Series};
use crate::publish::encode;

/// The size of a piece: few calls of the system, and little memory.
const PIECE: usize = 128 << 10;

/// What Prometheus' text format calls itself.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text of what was the latest when it was begun.
#[derive(Debug)]
pub struct Page {
    latest: Arc<Latest>,
    now: u64,
    /// The next series, block and row.
    place: (usize, usize, usize),
    /// The metric whose lines are being written.
    metric: Option<Arc<Series>>,
    /// The daemon's own families, until they are handed out.
    own: String,
}

// === impl Page ===

impl Page {
    /// A page of what was not too old at this moment.
    pub fn new(latest: Arc<Latest>, now: u64) -> Self {
        Self { latest, now, place: (0, 0, 0), metric: None, own: String::new() }
    }

    /// And what the daemon says about itself, at the end.
    #[must_use]
    pub fn and_own(mut self, own: String) -> Self {
        self.own = own;
        self
    }

    /// Writes a block from a row on, until the piece is full. Returns the row that comes next, if there is one.
    fn block(out: &mut String, series: &Series, block: &Block, first: usize) -> Option<usize> {
        let meter = &series.text;
        for (row, number) in block.column.resources.iter().enumerate().skip(first) {
            if out.len() >= PIECE {
                return Some(row);
            }
            let Some(resource) = block.texts.get(*number).filter(|resource| !resource.shadowed) else { continue };
            let text = &resource.text;
            out.push_str(&meter.start);
            if let Some(after_id) = &meter.after_id {
                out.push_str(&text.id);
                out.push_str(after_id);
            }
            out.push_str(&text.owner);
            out.push_str(&meter.unit);
            out.push_str(&text.rest);
            out.push_str("} ");
            encode::volume(out, &block.column, row);
            out.push('\n');
        }
        None
    }
}

impl Iterator for Page {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut out = String::new();
        while let Some(series) = self.latest.series.get(self.place.0) {
            let (_, at, row) = self.place;
            let Some(block) = series.blocks.get(at) else {
                self.place = (self.place.0 + 1, 0, 0);
                continue;
            };
            if !block.is_told(self.now) {
                self.place = (self.place.0, at + 1, 0);
                continue;
            }
            if out.capacity() == 0 {
                out.reserve(PIECE + 4096);
            }
            if self.metric.as_ref().is_none_or(|metric| metric.text.metric != series.text.metric) {
                out.push_str(&series.text.header);
                self.metric = Some(Arc::clone(series));
            }
            match Self::block(&mut out, series, block, row) {
                Some(row) => {
                    self.place = (self.place.0, at, row);
                    return Some(out);
                }
                None => self.place = (self.place.0, at + 1, 0),
            }
        }
        out.push_str(&std::mem::take(&mut self.own));
        (!out.is_empty()).then_some(out)
    }
}

impl Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|piece| Ok(Frame::data(piece.into()))))
    }
}
