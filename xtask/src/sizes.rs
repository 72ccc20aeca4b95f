//! The sizes of what was built.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::exit::Error;
use crate::step;
use crate::workspace::Workspace;

/// Where the build of the daemon leaves the modules that it embeds, below the target folder.
const GUESTS: &str = "guests/wasm32-wasip2/guest";

/// Folders of built-in modules.
const KINDS: [&str; 2] = ["pollsters", "transformers"];

/// Prints the sizes of the built-in modules and of the daemon.
pub fn print(workspace: &Workspace, daemon: &Path) -> Result<(), Error> {
    step::announce("Sizes");
    let folder = workspace.target().join(GUESTS);
    let mut rows = Vec::new();
    for name in built_in(workspace.root())? {
        rows.push(row(&folder.join(name).with_extension("wasm"))?);
    }
    rows.sort();
    rows.push(row(daemon)?);
    eprint!("{}", table(&rows));
    Ok(())
}

/// Names of the built-in modules, which are those of their folders. The build leaves test guests beside them.
fn built_in(root: &Path) -> Result<Vec<OsString>, Error> {
    let mut names = Vec::new();
    for kind in KINDS {
        let folder = root.join(kind);
        let unreadable = |source| Error::File { what: folder.display().to_string(), source };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if entry.path().join("Cargo.toml").is_file() {
                names.push(entry.file_name());
            }
        }
    }
    Ok(names)
}

/// Name and bytes of one file.
fn row(path: &Path) -> Result<(String, u64), Error> {
    let unreadable = |source| Error::File { what: path.display().to_string(), source };
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), bytes))
}

/// Lines of name and KiB, rounded up.
fn table(rows: &[(String, u64)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, bytes)| format!("    {name:<width$}  {:>7} KiB\n", bytes.div_ceil(1 << 10))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_built_in_modules() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let names = built_in(&root).unwrap();
        assert!(names.contains(&"cpu".into()) && names.contains(&"delta".into()), "{names:?}");
        assert!(!names.contains(&"hostile".into()), "{names:?}");
    }

    #[test]
    fn a_table() {
        let rows =
            [("cpu.wasm".to_owned(), 1), ("memory.wasm".to_owned(), 64 << 10), ("wasmeter".to_owned(), 20 << 20)];
        let expected = "    cpu.wasm           1 KiB\n    memory.wasm       64 KiB\n    wasmeter       20480 KiB\n";
        assert_eq!(table(&rows), expected);
    }
}
