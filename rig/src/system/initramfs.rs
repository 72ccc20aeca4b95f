//! Archives that Linux unpacks into its memory when it starts: cpio's format "newc", without compression.

/// What an entry begins with.
const MAGIC: &str = "070701";
/// Modes of folders and of files that may be run.
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
/// What comes last.
const TRAILER: &str = "TRAILER!!!";

/// An archive in the making.
#[derive(Debug, Default)]
pub(super) struct Archive(Vec<u8>);

// === impl Archive ===

impl Archive {
    /// Adds a folder.
    pub(super) fn folder(&mut self, path: &str) {
        self.entry(path, FOLDER, &[]);
    }

    /// Adds a file that may be run.
    pub(super) fn program(&mut self, path: &str, content: &[u8]) {
        self.entry(path, PROGRAM, content);
    }

    /// The whole of it.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, &[]);
        self.0
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        // Inode, owner and group, links, time, then the devices that it is on and that it is.
        let numbers = [0, mode as usize, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, path.len() + 1, 0];
        self.0.extend_from_slice(MAGIC.as_bytes());
        for number in numbers {
            self.0.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.0.extend_from_slice(path.as_bytes());
        self.0.push(0);
        self.pad();
        self.0.extend_from_slice(content);
        self.pad();
    }

    /// Everything begins at a multiple of four.
    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}
