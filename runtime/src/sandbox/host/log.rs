//! `log`: words for the operator, few and short.

use super::Context;
use crate::contract::pollster::wasmeter::plugin::log::{Host, Level};
use crate::sandbox::limits::{LOG_LINE_BYTES, LOG_LINES};
use crate::sandbox::price;

/// What a call logged, or all calls of a cycle.
#[derive(Debug, Default)]
pub struct Lines {
    kept: Vec<(tracing::Level, String)>,
    dropped: u64,
}

// === impl Lines ===

impl Lines {
    /// Keeps a line, cut to its length, if there is room for one more.
    pub fn push(&mut self, level: tracing::Level, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        if self.kept.len() >= LOG_LINES {
            self.dropped += 1;
            return;
        }
        let cut = text.floor_char_boundary(LOG_LINE_BYTES);
        self.kept.push((level, text.get(..cut).unwrap_or_default().replace(char::is_control, " ")));
    }

    /// Adds what another call of the same cycle logged, as far as there is room.
    pub fn append(&mut self, more: Self) {
        let room = LOG_LINES.saturating_sub(self.kept.len());
        self.dropped += more.dropped + more.kept.len().saturating_sub(room) as u64;
        self.kept.extend(more.kept.into_iter().take(room));
    }

    /// Hands the lines to the log, in the name of a module and a tenant.
    pub fn emit(&self, module: &str, tenant: &str) {
        self.emit_some(module, tenant, u64::MAX, 0);
    }

    /// Hands at most so many lines to the log, after so many of earlier calls that were not.
    pub fn emit_some(&self, module: &str, tenant: &str, most: u64, unsaid: u64) {
        let all = self.kept.len() as u64 + self.dropped;
        let dropped = if most < all { unsaid } else { unsaid.saturating_add(self.dropped) };
        for (level, text) in self.kept.iter().take(usize::try_from(most).unwrap_or(usize::MAX)) {
            match *level {
                tracing::Level::ERROR => tracing::error!(target: "wasmeter::module", module, tenant, "{text}"),
                tracing::Level::WARN => tracing::warn!(target: "wasmeter::module", module, tenant, "{text}"),
                tracing::Level::INFO => tracing::info!(target: "wasmeter::module", module, tenant, "{text}"),
                _ => tracing::debug!(target: "wasmeter::module", module, tenant, "{text}"),
            }
        }
        if dropped > 0 {
            tracing::warn!(target: "wasmeter::module", module, tenant, dropped, "More lines were dropped.");
        }
    }

    /// The lines that were kept.
    pub fn kept(&self) -> &[(tracing::Level, String)] {
        &self.kept
    }

    /// How many lines were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Host for Context {
    async fn log(&mut self, level: Level, text: String) -> wasmtime::Result<()> {
        self.charge(price::bytes(text.len())).await;
        let level = match level {
            Level::Error => tracing::Level::ERROR,
            Level::Warn => tracing::Level::WARN,
            Level::Info => tracing::Level::INFO,
            Level::Debug => tracing::Level::DEBUG,
        };
        self.lines.push(level, &text);
        Ok(())
    }

    async fn dropped(&mut self, samples: u32) -> wasmtime::Result<()> {
        self.dropped = self.dropped.saturating_add(samples);
        Ok(())
    }
}
