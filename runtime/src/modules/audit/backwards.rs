//! A file's lines from the last to the first, without reading more of it than that.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Read at once.
const BLOCK: usize = 64 << 10;

/// Lines from the last to the first. One that is longer than it should be is left out.
#[derive(Debug)]
pub struct Backwards {
    file: File,
    longest: usize,
    /// Where what was read begins.
    start: u64,
    /// What was read and not handed out.
    bytes: Vec<u8>,
    /// Whether the end of this line was thrown away.
    too_long: bool,
}

// === impl Backwards ===

impl Backwards {
    /// The lines of a file as it is now.
    pub fn new(file: File, longest: usize) -> io::Result<Self> {
        let start = file.metadata()?.len();
        Ok(Self { file, longest, start, bytes: Vec::new(), too_long: false })
    }

    /// The line before the last one; `None` at the beginning.
    pub fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.bytes.iter().rposition(|byte| *byte == b'\n') {
                let line = self.bytes.split_off(end + 1);
                self.bytes.truncate(end);
                if self.fits(&line) {
                    return Ok(Some(line));
                }
            } else if self.start > 0 {
                if self.bytes.len() > self.longest {
                    self.too_long = true;
                    self.bytes.clear();
                }
                self.fill()?;
            } else {
                let line = std::mem::take(&mut self.bytes);
                return Ok((self.fits(&line) && !line.is_empty()).then_some(line));
            }
        }
    }

    fn fits(&mut self, line: &[u8]) -> bool {
        !std::mem::take(&mut self.too_long) && line.len() <= self.longest
    }

    fn fill(&mut self) -> io::Result<()> {
        let length = usize::try_from(self.start).unwrap_or(BLOCK).min(BLOCK);
        self.start -= length as u64;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, self.start)?;
        bytes.append(&mut self.bytes);
        self.bytes = bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_same_lines_in_reverse(lines in proptest::collection::vec(0..200_000_usize, 0..6), ended: bool) {
            const LONGEST: usize = 100_000;
            let lines: Vec<Vec<u8>> = (b'a'..).zip(lines).map(|(letter, length)| vec![letter; length]).collect();
            let mut text = lines.join(&b'\n');
            if ended {
                text.push(b'\n');
            }
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&text).unwrap();
            let mut backwards = Backwards::new(file, LONGEST).unwrap();
            let mut read = Vec::new();
            while let Some(line) = backwards.line().unwrap() {
                prop_assert!(backwards.bytes.len() <= LONGEST + 2 * BLOCK);
                read.push(line);
            }
            read.reverse();
            read.retain(|line| !line.is_empty());
            let expected = lines.into_iter().filter(|line| !line.is_empty() && line.len() <= LONGEST);
            prop_assert_eq!(read, expected.collect::<Vec<_>>());
        }
    }
}
