//! `wasmeter module new`.

mod scaffold;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::{Exit, print};
use crate::config::daemon::is_module_name;

const EXAMPLES: &str = "\
Examples:
  wasmeter module new traffic
  wasmeter module new rates --kind transformer --in ~/modules

The crate has the SDK inside, so it needs nothing of wasmeter but this program. cargo fetches the
few packages that the SDK itself needs, unless it has them already.";

/// Make a crate that becomes a module: it builds, tests and runs as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Its name: small letters, digits, - and _, beginning with a letter. It is also the first word of its meters.
    #[arg(value_name = "NAME")]
    name: String,
    /// What kind of module.
    #[arg(long, value_enum, default_value_t = Kind::Pollster)]
    kind: Kind,
    /// The folder that it is made in, under its name.
    #[arg(long = "in", value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

/// Kinds of modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Turns statistics of guests into meters.
    Pollster,
    /// Turns meters into other meters.
    Transformer,
}

/// What no crate can be called: words of the language, and crates of every toolchain.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().map_or_else(|exit| exit, |()| Exit::Done)
    }

    fn try_run(&self) -> Result<(), Exit> {
        check(&self.name).map_err(|reason| {
            print::error(format_args!("{:?} is no name for a module: {reason}", self.name));
            Exit::Usage
        })?;
        let folder = self.folder.join(&self.name);
        write(&folder, &self.name, self.kind).map_err(|(path, error)| {
            let remedy = match error.kind() {
                io::ErrorKind::AlreadyExists => "; choose another name, or another folder with --in",
                io::ErrorKind::NotFound => "; name a folder that exists with --in",
                _ => "",
            };
            print::error(format_args!("cannot make {}: {error}{remedy}", path.display()));
            Exit::Failed
        })?;
        let (kind, given) = match self.kind {
            Kind::Pollster => ("pollster", ""),
            Kind::Transformer => ("transformer", " --meters cpu"),
        };
        let mut out = format!("{} is the crate of a {kind} now. In it:\n\n", folder.display());
        for (command, given, what) in [
            ("cargo test", "", "tests the code alone"),
            ("wasmeter module build", "", "makes the module"),
            ("wasmeter module test", "", "compares what it gives with tests/cases"),
            ("wasmeter module bench", given, "measures what it takes"),
            ("wasmeter module watch", given, "does it again whenever a file changes"),
        ] {
            out.push_str(&format!("  {:36}{what}\n", format!("{command}{given}")));
        }
        print::text(&out)
    }
}

/// Why a crate and a module cannot have this name, with a remedy.
fn check(name: &str) -> Result<(), String> {
    if !is_module_name(name) {
        return Err("write small letters, digits, - and _, at most 64, beginning with a letter".to_owned());
    }
    let library = scaffold::library(name);
    if library == "wasmeter" || library.starts_with("wasmeter_") {
        return Err("its meters would be the daemon's own; begin with another word, such as my-".to_owned() + name);
    }
    if RESERVED.contains(&name) {
        return Err("it is a word of Rust; add another one, such as my-".to_owned() + name);
    }
    if scaffold::is_taken(name) {
        return Err("the SDK needs a crate of this name; add another word, such as my-".to_owned() + name);
    }
    Ok(())
}

/// Writes all files into a folder that must not exist.
fn write(folder: &Path, name: &str, kind: Kind) -> Result<(), (PathBuf, io::Error)> {
    fs::create_dir(folder).map_err(|error| (folder.to_owned(), error))?;
    for (path, text) in scaffold::files(name, kind) {
        let path = folder.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        made.map_err(|error| (path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::daemon::try_read_deployment;

    #[test]
    fn names_that_a_crate_and_a_module_can_have() {
        for name in ["traffic", "guest-pressure", "a1_b"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for (name, words) in
            [("", "small letters"), ("../x", "small letters"), ("Cpu", "small letters"), ("1a", "small letters")]
        {
            assert!(check(name).unwrap_err().contains(words), "{name}");
        }
        assert!(check("wasmeter").unwrap_err().contains("my-wasmeter"));
        assert!(check("wasmeter-disks").unwrap_err().contains("my-wasmeter-disks"));
        assert!(check("match").unwrap_err().contains("my-match"));
        assert!(check("wit-bindgen").unwrap_err().contains("my-wit-bindgen"));
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for kind in [Kind::Pollster, Kind::Transformer] {
            for (path, text) in scaffold::files("some-name", kind) {
                assert!(!text.contains("%name%") && !text.contains("%lib%"), "{path}");
                assert!(!path.starts_with('/') && !path.contains(".."), "{path}");
            }
        }
    }

    /// As it is, but for the tenant and the digest; its name is the one that it has if the module's file is deployed.
    #[test]
    fn each_kind_can_be_deployed() {
        for (kind, handed) in [(Kind::Pollster, "anything"), (Kind::Transformer, "network.incoming.bytes")] {
            let files = scaffold::files("some-name", kind);
            let (_, text) = files.iter().find(|(path, _)| path == "deployment.yaml").unwrap();
            let read = try_read_deployment(text, Path::new("some-name/deployment.yaml")).unwrap();
            assert_eq!(read.key.to_string(), "acme/some_name");
            assert_eq!(read.file, Path::new("some-name/some_name.wasm"));
            assert_eq!(read.grants.names, ["some-name."]);
            assert!(read.meters.matches(handed), "{text}");
            assert_eq!(read.meters.matches("disk.device.read.bytes"), kind == Kind::Pollster);
        }
    }

    #[test]
    fn a_folder_that_exists_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, error) = write(folder.path(), "x", Kind::Pollster).unwrap_err();
        assert_eq!((path.as_path(), error.kind()), (folder.path(), io::ErrorKind::AlreadyExists));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
