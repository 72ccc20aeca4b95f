//! Samples as JSON lines in a file that is put aside when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::encode::Encoder;
use super::id::Ids;
use crate::pipeline::Slot;

/// Lines are gathered up to this size before they are written.
const BUFFER: usize = 64 << 10;

/// A file of samples. Full, it becomes `file.1`, what was `file.1` becomes `file.2`, and so on.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    max_size: u64,
    keep: usize,
    open: Option<Open>,
    /// Samples that could not be written.
    pub lost: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
}

// === impl Open ===

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut size = file.metadata()?.len();
        let mut last = [b'\n'];
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)?;
        }
        // A daemon that was killed may have left a part of a line, which must not spoil the next one.
        if last != [b'\n'] {
            file.write_all(b"\n")?;
            size += 1;
        }
        Ok(Self { file, size })
    }
}

// === impl JsonLines ===

impl JsonLines {
    /// A file that grows to `max_size` bytes, of which `keep` older ones are kept.
    pub fn new(path: &Path, max_size: u64, keep: usize) -> Self {
        Self { path: path.to_owned(), max_size, keep, open: None, lost: 0 }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a slot's samples. What cannot be written is counted; the next slot tries again.
    pub fn write(&mut self, slot: &Slot, ids: &Ids) -> io::Result<()> {
        let mut encoder = Encoder::new(slot, ids);
        let most = usize::try_from(self.max_size).map_or(BUFFER, |max_size| max_size.min(BUFFER));
        let mut out = String::with_capacity(most + 4096);
        let (mut waiting, mut written, mut end) = (0, 0, 0);
        let all = slot.len() as u64;
        let mut write = || {
            for samples in &slot.samples {
                encoder.write(samples, &mut out, |out| {
                    out.push('\n');
                    if out.len() > most {
                        // All but this line, with which it would be too much.
                        self.append(out.get(..end).unwrap_or_default())?;
                        written += std::mem::take(&mut waiting);
                        out.drain(..end);
                    }
                    waiting += 1;
                    end = out.len();
                    Ok::<(), io::Error>(())
                })?;
            }
            self.append(&out)?;
            written += std::mem::take(&mut waiting);
            Ok(())
        };
        let result = write();
        if result.is_err() {
            self.open = None;
            self.lost += all - written;
        }
        result
    }

    fn append(&mut self, lines: &str) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.open.as_ref().is_some_and(|open| open.size > 0 && open.size + lines.len() as u64 > self.max_size) {
            self.open = None;
            self.rotate()?;
        }
        if self.open.is_none() {
            self.open = Some(Open::at(&self.path)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let size = open.size + lines.len() as u64;
        if let Err(error) = open.file.write_all(lines.as_bytes()) {
            // A part of a line would spoil the line after it. A file that others changed meanwhile stays as it is.
            if open.file.metadata().is_ok_and(|now| (open.size..=size).contains(&now.len())) {
                let _ = open.file.set_len(open.size);
            }
            return Err(error);
        }
        open.size = size;
        Ok(())
    }

    fn rotate(&self) -> io::Result<()> {
        let numbered = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.keep).rev() {
            match fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, numbered(1))
    }
}
