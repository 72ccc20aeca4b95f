//! Giving back the code that only starting needed.
//!
//! Where files are cached in large pieces, a program that runs a few instructions of each has most of itself in
//! memory: this one brings a compiler that runs in other processes, if at all.

#![allow(unsafe_code, reason = "mappings are the system's")]

use std::fs;

use rustix::mm::{Advice, madvise};

/// Lets go of the program's and its libraries' code. What runs is had back from the files' cache, piece by piece.
pub fn give_back_code() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else { return };
    for (start, length) in maps.lines().filter_map(code) {
        // SAFETY: code of a file, which nobody may write to: what is dropped is read again from the file, unchanged.
        let advised = unsafe { madvise(start as *mut _, length, Advice::LinuxDontNeed) };
        if let Err(error) = advised {
            tracing::debug!(%error, "Code stays in memory.");
        }
    }
}

/// Where code of a file is, and how long it is.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights, file) = (words.next()?, words.next()?, words.nth(3)?);
    let (start, end) = range.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    (rights == "r-xp" && file.starts_with('/')).then(|| (start, end.saturating_sub(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_given_back() {
        assert_eq!(code("1000-3000 r-xp 00000000 fe:00 17 /usr/bin/wasmeter"), Some((0x1000, 0x2000)));
        for other in [
            "1000-3000 r--p 00000000 fe:00 17 /usr/bin/wasmeter",
            "1000-3000 rwxp 00000000 fe:00 17 /usr/bin/wasmeter",
            "1000-3000 r-xp 00000000 00:00 0 [vdso]",
            "1000-3000 r-xp 00000000 00:00 0",
            "odd",
            "",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
    }

    #[test]
    fn what_was_given_back_still_runs() {
        give_back_code();
        assert_eq!(code("0-1 r-xp 0 0 0 /"), Some((0, 1)));
    }
}
