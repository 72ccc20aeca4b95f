//! What a file is, found out by parsing alone: nothing of it is compiled, let alone run, before this has said yes.

use wasmparser::{Encoding, Parser, Payload};

use super::failure::{Cause, Failure};
use super::limits::{FILE_BYTES, MEMORIES, MEMORY_CEILING, TABLE_ELEMENTS};
use crate::contract::{PACKAGE, VERSION};

/// What a module exports, and therefore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// It turns statistics into meters.
    Pollster,
    /// It turns meters into other meters.
    Transformer,
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Manifest {
    /// What it is.
    pub world: World,
    /// The version of the contract that it was built for.
    pub contract: String,
    /// Every interface that it imports: all that it can ever do.
    pub imports: Vec<String>,
    /// Bytes of memory that it starts with.
    pub memory: u64,
}

/// Interfaces of WASI that every module gets, because every program that is built on a standard library imports
/// them. They lead nowhere: no arguments, no environment, no input, output that goes to the log, clocks that stand, and
/// numbers that are random but foreseen, unless more was granted.
const WASI: [&str; 18] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/wall-clock",
    "wasi:clocks/monotonic-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
];

/// Beside these a pollster may import [`HTTP`], if that is granted.
const POLLSTER: [&str; 9] = ["types", "stats", "attributes", "texts", "declare", "clock", "state", "log", HTTP];
const TRANSFORMER: [&str; 7] = ["types", "attributes", "texts", "declare", "clock", "state", "log"];

/// What a module has only where the deployment was granted something of it.
const HTTP: &str = "http";

/// Bytes of a page of memory.
const PAGE: u64 = 65_536;

impl World {
    fn interfaces(self) -> &'static [&'static str] {
        match self {
            Self::Pollster => &POLLSTER,
            Self::Transformer => &TRANSFORMER,
        }
    }
}

impl Manifest {
    /// Whether it makes requests.
    pub fn asks(&self) -> bool {
        self.needs_grant().is_some()
    }

    /// The interface that it imports and has only where the deployment was granted something of it.
    pub fn needs_grant(&self) -> Option<&str> {
        self.imports.iter().map(String::as_str).find(|import| {
            let name = import.split_once('@').map_or(*import, |(name, _)| name);
            name.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')) == Some(HTTP)
        })
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pollster => "pollster",
            Self::Transformer => "transformer",
        })
    }
}

/// Reads what a file says of itself, and refuses what this host will not run.
pub fn admit(bytes: &[u8]) -> Result<Manifest, Failure> {
    preamble(bytes)?;
    let outline = Outline::read(bytes).map_err(|error| {
        let detail = format!("the file is damaged or cut short: {error}");
        Failure::new(Cause::NotAComponent, detail)
    })?;
    let (world, contract) = outline.world()?;
    outline.versions()?;
    outline.grants(world)?;
    outline.needs()?;
    Ok(Manifest { world, contract, imports: outline.imports, memory: outline.memory_pages.saturating_mul(PAGE) })
}

/// Whether this is a component at all. What it is instead gets its own words, because who is told looks elsewhere for each.
fn preamble(bytes: &[u8]) -> Result<(), Failure> {
    let refuse = |cause, detail: String| Err(Failure::new(cause, detail));
    if bytes.len() > FILE_BYTES {
        let detail = format!("the file has {} bytes and at most {FILE_BYTES} are looked at", bytes.len());
        return refuse(Cause::TooLarge, detail);
    }
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => refuse(Cause::NotAComponent, "this is a core module, not a component".into()),
        Some([b'\x7f', b'E', b'L', b'F', ..]) => {
            refuse(Cause::NotAComponent, "this is precompiled native code, which is never trusted".into())
        }
        Some([b'\0', b'a', b's', b'm', ..]) => {
            refuse(Cause::NotAComponent, "this is WebAssembly of an encoding that is not known".into())
        }
        Some(_) => refuse(Cause::NotAComponent, "this is not WebAssembly".into()),
        None => refuse(
            Cause::NotAComponent,
            format!("the file is cut short: {} bytes are less than a preamble", bytes.len()),
        ),
    }
}

#[derive(Debug, Default)]
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
    memories: usize,
    memory_pages: u64,
    table_elements: u64,
}

// === impl Outline ===

impl Outline {
    fn read(bytes: &[u8]) -> wasmparser::Result<Self> {
        let mut outline = Self::default();
        let mut depth = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { encoding, .. } => depth.push(encoding),
                Payload::End(_) => {
                    depth.pop();
                }
                Payload::ComponentImportSection(section) if depth.len() == 1 => {
                    for import in section {
                        outline.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth.len() == 1 => {
                    for export in section {
                        outline.exports.push(export?.name.name.to_owned());
                    }
                }
                Payload::MemorySection(section) if depth.last() == Some(&Encoding::Module) => {
                    for memory in section {
                        outline.memories += 1;
                        outline.memory_pages = outline.memory_pages.saturating_add(memory?.initial);
                    }
                }
                Payload::TableSection(section) if depth.last() == Some(&Encoding::Module) => {
                    for table in section {
                        outline.table_elements = outline.table_elements.saturating_add(table?.ty.initial);
                    }
                }
                _ => {}
            }
        }
        Ok(outline)
    }

    fn world(&self) -> Result<(World, String), Failure> {
        let version_of = |interface: &str| {
            self.exports.iter().find_map(|export| {
                let (name, version) = export.split_once('@')?;
                (name == format!("{PACKAGE}/{interface}")).then(|| version.to_owned())
            })
        };
        let found = match (version_of("poller"), version_of("converter")) {
            (Some(version), None) => (World::Pollster, version),
            (None, Some(version)) => (World::Transformer, version),
            (Some(_), Some(_)) => {
                let detail = "it exports both poller and converter; a module is a pollster or a transformer";
                return Err(Failure::new(Cause::AbiMismatch, detail));
            }
            (None, None) => {
                let exports = if self.exports.is_empty() { "nothing".to_owned() } else { self.exports.join(", ") };
                let detail = format!(
                    "it is a component of another world: it exports {exports}, where {PACKAGE}/poller or \
                     {PACKAGE}/converter is wanted"
                );
                return Err(Failure::new(Cause::AbiMismatch, detail));
            }
        };
        Ok(found)
    }

    /// Versions of one minor line go together; of others, nothing can be said.
    fn versions(&self) -> Result<(), Failure> {
        let (major, minor, patch) = VERSION;
        for name in self.imports.iter().chain(&self.exports) {
            let Some((interface, version)) = name.split_once('@') else { continue };
            if interface.starts_with(&format!("{PACKAGE}/")) && !version.starts_with(&format!("{major}.{minor}.")) {
                let detail = format!("it wants {PACKAGE}@{version} and this host serves {major}.{minor}.{patch}");
                return Err(Failure::new(Cause::AbiMismatch, detail));
            }
        }
        Ok(())
    }

    fn grants(&self, world: World) -> Result<(), Failure> {
        let granted = |import: &str| {
            let interface = import.split_once('@').map_or(import, |(interface, _)| interface);
            WASI.contains(&interface)
                || interface
                    .strip_prefix(PACKAGE)
                    .and_then(|rest| rest.strip_prefix('/'))
                    .is_some_and(|rest| world.interfaces().contains(&rest))
        };
        // Whoever uses one function of std::net imports many interfaces, all for one reason.
        let mut refused: Vec<(Option<&str>, Vec<&str>)> = Vec::new();
        for import in self.imports.iter().filter(|import| !granted(import)) {
            let reason = reason(import);
            match refused.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, imports)) => imports.push(import),
                None => refused.push((reason, vec![import])),
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        let words = refused.into_iter().map(|(reason, imports)| {
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("{}{reason}", imports.join(", "))
        });
        let detail = format!("it imports what nothing grants: {}", words.collect::<Vec<_>>().join(", "));
        Err(Failure::new(Cause::NotGranted, detail))
    }

    fn needs(&self) -> Result<(), Failure> {
        let refuse = |detail| Err(Failure::new(Cause::TooLarge, detail));
        let memory = self.memory_pages.saturating_mul(PAGE);
        if self.memories > MEMORIES {
            return refuse(format!("it has {} memories and may have {MEMORIES}", self.memories));
        }
        if memory > MEMORY_CEILING as u64 {
            return refuse(format!("it starts with {memory} bytes of memory and may have {MEMORY_CEILING}"));
        }
        if self.table_elements > TABLE_ELEMENTS as u64 {
            let elements = self.table_elements;
            return refuse(format!("its tables start with {elements} elements and may have {TABLE_ELEMENTS}"));
        }
        Ok(())
    }
}

/// Where an import comes from, for authors who never wrote it.
fn reason(import: &str) -> Option<&'static str> {
    let known = [
        ("wasi:filesystem/", "files: std::fs is used somewhere"),
        (
            "wasi:sockets/",
            "the network: std::net is used somewhere; a pollster makes requests with wasmeter:plugin/http",
        ),
        ("wasi:http/", "the network; a pollster makes requests with wasmeter:plugin/http"),
        ("wasmeter:plugin/", "an interface that this world does not have"),
    ];
    known.iter().find(|(prefix, _)| import.starts_with(prefix)).map(|(_, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Failure {
        admit(&wat::parse_str(text).unwrap()).unwrap_err()
    }

    #[test]
    fn what_is_no_component_is_told_what_it_is() {
        let cause_and_words = |bytes: &[u8]| {
            let failure = admit(bytes).unwrap_err();
            (failure.cause, failure.detail)
        };
        let (cause, words) = cause_and_words(&wat::parse_str("(module)").unwrap());
        assert_eq!(cause, Cause::NotAComponent);
        assert!(words.contains("core module"), "{words}");
        let (_, words) = cause_and_words(b"\x7fELF\x02\x01\x01\0\0\0");
        assert!(words.contains("precompiled"), "{words}");
        let (_, words) = cause_and_words(b"MZ, or what else there is");
        assert!(words.contains("not WebAssembly"), "{words}");
        let (_, words) = cause_and_words(b"\0as");
        assert!(words.contains("cut short"), "{words}");
        let whole = wat::parse_str("(component (core module (memory 1)))").unwrap();
        let (cause, words) = cause_and_words(&whole[..whole.len() - 3]);
        assert_eq!(cause, Cause::NotAComponent);
        assert!(words.contains("cut short"), "{words}");
    }

    #[test]
    fn other_worlds_and_versions_are_named() {
        let failure = refused("(component)");
        assert_eq!(failure.cause, Cause::AbiMismatch);
        assert!(failure.detail.contains("another world"), "{failure}");
        let failure = refused(r#"(component (instance $i) (export "wasmeter:plugin/poller@0.7.3" (instance $i)))"#);
        assert_eq!(failure.cause, Cause::AbiMismatch);
        assert!(failure.detail.contains("wasmeter:plugin@0.7.3"), "{failure}");
        assert!(failure.detail.contains("serves 0.1.1"), "{failure}");
        let later = r#"(component (instance $i) (export "wasmeter:plugin/poller@0.1.9" (instance $i)))"#;
        assert_eq!(admit(&wat::parse_str(later).unwrap()).unwrap().contract, "0.1.9");
    }

    #[test]
    fn imports_are_compared_with_grants() {
        let failure = refused(
            r#"(component
                (import "wasi:cli/exit@0.2.6" (instance))
                (import "wasi:sockets/tcp@0.2.6" (instance))
                (import "wasi:sockets/udp@0.2.6" (instance))
                (import "wasmeter:plugin/stats@0.1.0" (instance))
                (instance $i) (export "wasmeter:plugin/converter@0.1.0" (instance $i)))"#,
        );
        assert_eq!(failure.cause, Cause::NotGranted);
        let once = "it imports what nothing grants: wasi:sockets/tcp@0.2.6, wasi:sockets/udp@0.2.6 (the network: ";
        assert!(failure.detail.starts_with(once), "{failure}");
        assert!(failure.detail.contains("; a pollster makes requests with wasmeter:plugin/http), "), "{failure}");
        assert!(failure.detail.contains("wasmeter:plugin/stats@0.1.0 (an interface"), "{failure}");
        assert!(!failure.detail.contains("wasi:cli"), "{failure}");
    }

    #[test]
    fn needs_are_summed_before_anything_runs() {
        let poller = r#"(instance $i) (export "wasmeter:plugin/poller@0.1.0" (instance $i))"#;
        for (needs, words) in [
            ("(core module (memory 1)) (core module (memory 1)) (core module (memory 1))", "3 memories"),
            ("(core module (memory 800)) (core module (memory 800))", "bytes of memory"),
            ("(core module (table 9000 funcref) (table 9000 funcref))", "18000 elements"),
        ] {
            let failure = refused(&format!("(component {needs} {poller})"));
            assert_eq!(failure.cause, Cause::TooLarge);
            assert!(failure.detail.contains(words), "{failure}");
        }
    }

    proptest::proptest! {
        /// Whatever the bytes, the answer is an answer.
        #[test]
        fn arbitrary_bytes_do_no_harm(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..512)) {
            let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
            bytes.extend(tail);
            let _ = admit(&bytes);
        }
    }
}
