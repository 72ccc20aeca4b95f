//! The process's own memory: what only starting needed is given back, and what cycles free is kept for the next.

#![allow(unsafe_code, reason = "mappings and the allocator are the system's")]

use std::fs;

use rustix::mm::{Advice, madvise};

/// Bytes that are free and kept, rather than given back and asked for again in each cycle: that would cost a cycle of
/// 10,000 guests half of its time.
#[cfg(target_env = "gnu")]
const KEPT: i32 = 64 << 20;
/// Pieces that are taken from these, at most as large as the allocator allows.
#[cfg(target_env = "gnu")]
const LARGEST: i32 = 32 << 20;

/// A part of the process's memory.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mapping {
    start: usize,
    length: usize,
    /// Whether it is a file's, is not written to, and never was.
    is_of_file: bool,
}

/// Has what is freed be kept for what is needed next.
pub fn keep_what_is_freed() {
    #[cfg(target_env = "gnu")]
    // SAFETY: both set a number of the allocator.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
    }
}

/// Lets go of what is in memory of the program's and its libraries' files. Where files are cached in large pieces, a
/// program that runs a few instructions of each has most of itself in memory: this one brings a compiler that runs in
/// other processes, if at all, and modules that are read once. What is needed is had back from the files' cache, piece
/// by piece.
pub fn give_back_files() {
    let Ok(smaps) = fs::read_to_string("/proc/self/smaps") else { return };
    for Mapping { start, length, .. } in mappings(&smaps).into_iter().filter(|mapping| mapping.is_of_file) {
        // SAFETY: of a file, and without a page that differs from it: what is dropped is read again, unchanged.
        let advised = unsafe { madvise(start as *mut _, length, Advice::LinuxDontNeed) };
        if let Err(error) = advised {
            tracing::debug!(%error, "What is of files stays in memory.");
        }
    }
}

/// What a text of `/proc/self/smaps` lists.
fn mappings(smaps: &str) -> Vec<Mapping> {
    let mut all: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            // Pages of its own, such as addresses that were put in when it started.
            Some("Anonymous:") => {
                let is_clean = words.next() == Some("0");
                all.iter_mut().next_back().into_iter().for_each(|last| last.is_of_file &= is_clean);
            }
            Some(range) if !range.ends_with(':') => all.push(mapping(range, words)),
            _ => {}
        }
    }
    all
}

fn mapping<'a>(range: &str, mut words: impl Iterator<Item = &'a str>) -> Mapping {
    let rights = words.next().unwrap_or_default();
    let is_of_file = rights.starts_with("r-") && words.nth(3).is_some_and(|file| file.starts_with('/'));
    let ends = range.split_once('-').map(|(start, end)| [start, end].map(|end| usize::from_str_radix(end, 16)));
    let Some([Ok(start), Ok(end)]) = ends else { return Mapping::default() };
    Mapping { start, length: end.saturating_sub(start), is_of_file }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_its_file_is_given_back() {
        let is_of_file = |header: &str, anonymous: u32| {
            let text = format!("{header}\nSize: 8 kB\nRss: 4 kB\nAnonymous: {anonymous} kB\nVmFlags: rd mr mw me\n");
            let [mapping] = &mappings(&text)[..] else { panic!("{text}") };
            assert_eq!((mapping.start, mapping.length), (0x1000, 0x2000), "{text}");
            mapping.is_of_file
        };
        assert!(is_of_file("1000-3000 r-xp 00000000 fe:00 17 /usr/bin/wasmeter", 0));
        assert!(is_of_file("1000-3000 r--p 00000000 fe:00 17 /usr/bin/wasmeter", 0));
        for (header, anonymous) in [
            ("1000-3000 r--p 00000000 fe:00 17 /usr/bin/wasmeter", 4),
            ("1000-3000 rw-p 00000000 fe:00 17 /usr/bin/wasmeter", 0),
            ("1000-3000 rwxp 00000000 fe:00 17 /usr/bin/wasmeter", 0),
            ("1000-3000 ---p 00000000 fe:00 17 /usr/bin/wasmeter", 0),
            ("1000-3000 r-xp 00000000 00:00 0 [vdso]", 0),
            ("1000-3000 r-xp 00000000 00:00 0", 0),
        ] {
            assert!(!is_of_file(header, anonymous), "{header}");
        }
        assert!(mappings("odd\n\nAnonymous: 0 kB\n").iter().all(|mapping| !mapping.is_of_file));
    }

    #[test]
    fn what_was_given_back_is_still_there() {
        static TEXT: &str = "as it is written";
        let before = TEXT.to_owned();
        give_back_files();
        assert_eq!(TEXT, before);
        assert!(mappings(&fs::read_to_string("/proc/self/smaps").unwrap()).iter().any(|mapping| mapping.is_of_file));
    }
}
