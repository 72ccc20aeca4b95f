//! The daemon's own log: to standard error, or below a live table.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::daemon::LogFormat;
use crate::{json, terminal};

/// Lines that a live table shows.
const LINES: usize = 8;

/// The last lines of a log.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<VecDeque<String>>>);

fn filter() -> EnvFilter {
    EnvFilter::try_from_env("WASMETER_LOG").unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Logs to standard error, as much as `WASMETER_LOG` says (`info` if it does not).
pub fn start(format: &LogFormat) {
    // That standard error is gone can be said nowhere.
    let log = tracing_subscriber::fmt().with_env_filter(filter()).log_internal_errors(false);
    // A second start, in a test, changes nothing.
    let _ = match format {
        LogFormat::Text => {
            log.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).with_writer(|| Text(io::stderr())).try_init()
        }
        LogFormat::Json => log.json().with_writer(|| Json(io::stderr())).try_init(),
    };
}

/// Keeps the last lines, for a table to show.
pub fn start_recent() -> Recent {
    let recent = Recent::default();
    let log = tracing_subscriber::fmt().with_env_filter(filter()).with_ansi(false).with_target(false);
    let _ = log.with_writer(recent.clone()).try_init();
    recent
}

/// Writes lines of JSON in which nothing commands a terminal.
struct Json<W>(W);

/// Writes lines of text in which nothing is hidden from a terminal. What would command one, the log escapes itself.
struct Text<W>(W);

// === impl Json ===

impl<W: Write> Write for Json<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A line comes at once.
        self.0.write_all(json::without_odd(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

// === impl Text ===

impl<W: Write> Write for Text<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A line comes at once.
        self.0.write_all(terminal::without_unseen(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

// === impl Recent ===

impl Recent {
    /// The lines.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Write for Recent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in String::from_utf8_lossy(bytes).lines() {
            if lines.len() == LINES {
                lines.pop_front();
            }
            lines.push_back(line.to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Recent {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
