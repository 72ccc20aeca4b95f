//! Printing to standard output, whose reader may go away at any time.

use std::io::{self, Write};

use super::Exit;

/// Prints a text. Whoever reads may have seen enough, which is no failure.
pub fn text(text: &str) -> Result<(), Exit> {
    match try_text(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("error: cannot print: {error}");
            Err(Exit::Failed)
        }
        _ => Ok(()),
    }
}

/// Prints a text, and says so if that is not possible.
pub fn try_text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
