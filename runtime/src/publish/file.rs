//! Samples as JSON lines in a file that is put aside when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::encode::Encoder;
use super::publisher::{Health, Publisher};
use crate::pipeline::Slot;
use crate::spool::Feed;
use crate::spool::record::Content;

/// Before another try.
const PAUSE: Duration = Duration::from_millis(500);
/// Lines are gathered up to this size before they are written.
const BUFFER: usize = 64 << 10;

/// A file of samples. Full, it becomes `file.1`, what was `file.1` becomes `file.2`, and so on.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    max_size: u64,
    keep: usize,
    open: Option<Open>,
    /// Samples of the record at hand that are written: another try goes on behind them.
    written: usize,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
}

/// Lines on their way into the file.
struct Lines<'a> {
    file: &'a mut JsonLines,
    /// How many bytes may wait.
    most: usize,
    waiting: usize,
    /// Where those that wait end.
    end: usize,
    /// Lines of this record that are in the file already.
    skip: usize,
}

// === impl Lines ===

impl Lines<'_> {
    /// Ends a line behind those that wait, and writes these if it is too much with it.
    fn end_line(&mut self, out: &mut String) -> io::Result<()> {
        if self.skip > 0 {
            self.skip -= 1;
            out.truncate(self.end);
            return Ok(());
        }
        out.push('\n');
        if out.len() > self.most {
            self.file.append(out.get(..self.end).unwrap_or_default())?;
            self.file.written += std::mem::take(&mut self.waiting);
            out.drain(..self.end);
        }
        self.waiting += 1;
        self.end = out.len();
        Ok(())
    }
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

    /// Whether this is still the file of that path.
    fn is_at(&self, path: &Path) -> bool {
        let same = || {
            let (ours, there) = (self.file.metadata().ok()?, fs::metadata(path).ok()?);
            Some((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
        };
        same().unwrap_or(false)
    }
}

// === impl JsonLines ===

impl JsonLines {
    /// A file that grows to `max_size` bytes, of which `keep` older ones are kept.
    pub fn new(path: &Path, max_size: u64, keep: usize) -> Self {
        Self { path: path.to_owned(), max_size, keep, open: None, written: 0 }
    }

    /// Writes a record's samples. A try that fails left whole lines only, and the next one goes on behind them.
    fn write(&mut self, content: &Content) -> io::Result<()> {
        let result = match content {
            Content::Slot(slot) => self.write_slot(slot),
            Content::Replayed { samples, .. } => self.write_lines(|lines, out| {
                samples.iter().try_for_each(|sample| {
                    out.push_str(sample);
                    lines.end_line(out)
                })
            }),
        };
        match result {
            Ok(()) => self.written = 0,
            Err(_) => self.open = None,
        }
        result
    }

    fn write_slot(&mut self, slot: &Slot) -> io::Result<()> {
        let mut encoder = Encoder::new(slot);
        self.write_lines(|lines, out| {
            slot.samples.iter().try_for_each(|samples| encoder.write(samples, out, |out| lines.end_line(out)))
        })
    }

    fn write_lines(&mut self, each: impl FnOnce(&mut Lines<'_>, &mut String) -> io::Result<()>) -> io::Result<()> {
        let most = usize::try_from(self.max_size).map_or(BUFFER, |max_size| max_size.min(BUFFER));
        let mut out = String::with_capacity(most + 4096);
        let mut lines = Lines { skip: self.written, file: self, most, waiting: 0, end: 0 };
        each(&mut lines, &mut out)?;
        let waiting = lines.waiting;
        self.append(&out)?;
        self.written += waiting;
        Ok(())
    }

    fn append(&mut self, lines: &str) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        // Moved or removed by somebody who rotates files, it is another one from now on.
        let still = self.open.take().filter(|open| open.is_at(&self.path));
        let mut open = still.map_or_else(|| Open::at(&self.path), Ok)?;
        if open.size > 0 && open.size + lines.len() as u64 > self.max_size {
            drop(open);
            self.rotate()?;
            open = Open::at(&self.path)?;
        }
        let open = self.open.insert(open);
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

impl Publisher for JsonLines {
    fn run(self: Box<Self>, mut feed: Feed, health: Health) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let (mut lines, mut failing) = (*self, false);
            while let Some(delivery) = feed.next().await {
                loop {
                    let content = delivery.content.clone();
                    // A pipe that nobody reads blocks this output and no other.
                    let written = spawn_blocking(move || {
                        let result = lines.write(&content);
                        (lines, result)
                    });
                    let Ok((back, result)) = written.await else {
                        health.fails("the thread that writes was lost");
                        return;
                    };
                    lines = back;
                    match result {
                        Ok(()) => break,
                        Err(error) => {
                            let path = lines.path.display();
                            health.fails(format!("{path}: {error}"));
                            if !std::mem::replace(&mut failing, true) {
                                tracing::error!(%path, %error, "Samples cannot be written; they wait in the spool.");
                            }
                            if feed.pause(PAUSE).await.is_none() {
                                return;
                            }
                        }
                    }
                }
                if std::mem::take(&mut failing) {
                    health.works();
                    tracing::info!(path = %lines.path.display(), "Samples are written again.");
                }
                feed.delivered(delivery.sequence);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A file of so many bytes, of which two are kept, in a folder in which others read and rename.
    fn lines(max_size: u64) -> (TempDir, JsonLines) {
        let folder = TempDir::new().unwrap();
        let lines = JsonLines::new(&folder.path().join("file"), max_size, 2);
        (folder, lines)
    }

    /// What the file and the kept ones hold, as far as they are there.
    fn held(folder: &TempDir) -> Vec<String> {
        let names = ["file", "file.1", "file.2", "file.3", "theirs"].iter();
        names.map(|name| fs::read_to_string(folder.path().join(name)).unwrap_or_default()).collect()
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_one_goes() {
        let (folder, mut lines) = lines(4);
        for line in ["a\n", "b\n", "c\n", "d\n", "e\n", "f\n", "g\n"] {
            lines.append(line).unwrap();
        }
        assert_eq!(held(&folder), ["g\n", "e\nf\n", "c\nd\n", "", ""]);
        lines.open = None;
        lines.append("h\n").unwrap();
        lines.append("i\n").unwrap();
        assert_eq!(held(&folder), ["i\n", "g\nh\n", "e\nf\n", "", ""]);
    }

    /// Those that are kept stay: nothing is put aside, as it was already.
    #[test]
    fn a_full_file_that_somebody_else_moved_is_begun_anew() {
        let (folder, mut lines) = lines(2);
        for line in ["a\n", "b\n", "c\n"] {
            lines.append(line).unwrap();
        }
        fs::rename(folder.path().join("file"), folder.path().join("theirs")).unwrap();
        lines.append("d\n").unwrap();
        assert_eq!(held(&folder), ["d\n", "b\n", "a\n", "", "c\n"]);

        // Somebody else may have begun another one, and filled it.
        fs::write(folder.path().join("theirs"), "x\n").unwrap();
        fs::rename(folder.path().join("theirs"), folder.path().join("file")).unwrap();
        lines.append("e\n").unwrap();
        assert_eq!(held(&folder), ["e\n", "x\n", "b\n", "", ""]);
    }
}
