//! An import for people.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::cli::print;
use crate::config::ceilometer::{Draft, Item, Verdict};

/// The whole file.
pub(super) fn yaml(draft: &Draft, folder: &Path) -> String {
    let folder = print::line(&folder.display().to_string());
    format!("# Made of {folder} by wasmeter import; docs/configuration.md has every key.\n\n{}", draft.yaml())
}

/// What becomes of every setting.
pub(super) fn items(items: &[Item]) -> String {
    let mut out = String::new();
    for verdict in Verdict::ALL {
        let items: Vec<&Item> = items.iter().filter(|item| item.verdict == verdict).collect();
        if items.is_empty() {
            continue;
        }
        line(&mut out, format_args!("{} ({})", verdict.title(), items.len()));
        // Settings of which the same is to be said stand together.
        for group in items.chunk_by(|one, other| is_alike(one, other)) {
            let Some(first) = group.first() else { continue };
            let place = place(first, group.last().and_then(|last| last.line));
            let section = first.section.as_ref().map(|section| format!("[{section}] ")).unwrap_or_default();
            let names: Vec<&str> = group.iter().map(|item| item.name.as_str()).collect();
            // What is about a file as a whole is called what the file is called.
            let names = names.join(", ");
            let names = if names == place { String::new() } else { format!("  {section}{names}") };
            match verdict {
                Verdict::Taken => line(&mut out, format_args!("  {place}{names} -> {}", first.here)),
                _ => {
                    line(&mut out, format_args!("  {place}{names}"));
                    line(&mut out, format_args!("      there: {}", first.there));
                    line(&mut out, format_args!("      here:  {}", first.here));
                }
            }
        }
        out.push('\n');
    }
    out
}

/// What would be written.
pub(super) fn not_written(draft: &Draft) -> String {
    let names: Vec<&str> = draft.secrets.iter().map(|file| file.name).collect();
    let beside = if names.is_empty() { String::new() } else { format!(", and {} beside it", names.join(" and ")) };
    format!("Nothing is written: --output FILE writes this configuration{beside}.\n")
}

/// What was written, and what comes next.
pub(super) fn written(draft: &Draft, files: &[PathBuf]) -> String {
    let is_secret = |path: &&PathBuf| draft.secrets.iter().any(|file| path.ends_with(file.name));
    let mut out = String::new();
    for file in files {
        line(&mut out, format_args!("written: {}", file.display()));
    }
    let secrets: Vec<String> = files.iter().filter(is_secret).map(|file| file.display().to_string()).collect();
    if !secrets.is_empty() {
        let user = "(or the user that the daemon runs as)";
        line(&mut out, format_args!("next:    chown wasmeter {}  {user}", secrets.join(" ")));
    }
    if let Some(config) = files.last() {
        line(&mut out, format_args!("next:    wasmeter check -c {}", config.display()));
    }
    out
}

fn is_alike(one: &Item, other: &Item) -> bool {
    (&one.file, &one.section, &one.there, &one.here) == (&other.file, &other.section, &other.there, &other.here)
}

fn place(first: &Item, last: Option<u64>) -> String {
    match (first.line, last) {
        (Some(line), Some(last)) if last > line => format!("{}:{line}-{last}", first.file),
        (Some(line), _) => format!("{}:{line}", first.file),
        (None, _) => first.file.clone(),
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}
