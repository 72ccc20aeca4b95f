//! What is said of a module that is refused: what is wrong, and what whoever is told can do about it.

use super::deploying::written::Written;
use crate::sandbox::{Cause, Failure};

/// Who is told, and so what can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Who named the module in `wasmeter.yaml`, or in a file that it names, and what is written for it there.
    Operator(Settings),
    /// Who wrote a deployment.
    Deployer(Written),
    /// Who looks at a module or tries it out on a command line.
    Author,
}

/// What is written for a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The key that it stands under.
    pub key: &'static str,
    /// Whether it is for a transformer that is part of the program.
    pub is_built_in: bool,
}

/// Why a module is not used, on one line, and what can be done.
pub fn refusal(failure: &Failure, reader: Reader) -> (String, String) {
    let remedy = match failure.cause {
        Cause::Unreadable => unreadable(reader).to_owned(),
        Cause::NotAComponent => {
            "Take the whole file of a component, as cargo makes it with --target wasm32-wasip2".into()
        }
        Cause::AbiMismatch => {
            "Register one pollster or transformer with the macro of an SDK for this wasmeter, or upgrade that".into()
        }
        Cause::NotGranted => "Have the module do without".into(),
        Cause::TooLarge => "Make it smaller".into(),
        Cause::Compile => "Make it smaller if it takes too much, or else make it with another version of Rust".into(),
        // What it was told is all that it knows when it is asked what it gives.
        Cause::ModuleError => format!("Give it the {} that {} asks for", config(reader), documentation(reader)),
        Cause::BadDescription => {
            format!("Correct its {} as {} says, or what it says of itself", config(reader), documentation(reader))
        }
        Cause::OutOfFuel => more("fuel_base", reader),
        Cause::Deadline => more("deadline", reader),
        Cause::Memory => more("memory", reader),
        // What the engine says that nobody has heard before may be about either.
        Cause::Host => "See whether other modules run here: if they do mend the module, or else the machine".into(),
        _ => "Correct what it does when it is asked what it gives".into(),
    };
    (failure.words().replace(char::is_control, " "), remedy)
}

fn unreadable(reader: Reader) -> &'static str {
    match reader {
        Reader::Operator(_) => "Write where the file is; a relative path begins at the configuration's folder",
        Reader::Deployer(Written::File) => {
            "Write where the file is; a relative path begins at the folder of the deployment's file"
        }
        Reader::Deployer(Written::Order) => "Deploy it again",
        Reader::Author => "Name a .wasm file that is there; wasmeter module list names what is built in",
    }
}

/// What it is told, in the words of whoever tells it.
fn config(reader: Reader) -> &'static str {
    match reader {
        Reader::Operator(Settings { key, .. }) => key,
        Reader::Deployer(Written::File) => "config",
        Reader::Deployer(Written::Order) | Reader::Author => "--config",
    }
}

/// What says how that is written.
fn documentation(reader: Reader) -> &'static str {
    match reader {
        Reader::Operator(Settings { is_built_in: true, .. }) => "docs/transformers.md",
        _ => "its documentation",
    }
}

/// To have more of what a key of the configuration limits.
fn more(key: &'static str, reader: Reader) -> String {
    let how = match reader {
        Reader::Operator(_) => format!("{key}, of the module or under sandbox"),
        Reader::Deployer(written) => written.key(key).unwrap_or(key).to_owned(),
        Reader::Author => format!("{key} under sandbox, in the configuration"),
    };
    format!("Have it take less, or raise {how}")
}

// === impl Settings ===

impl Settings {
    /// What stands under `modules`.
    pub const OF_MODULES: Self = Self { key: "config", is_built_in: false };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::admission::admit;

    const OPERATOR: Reader = Reader::Operator(Settings::OF_MODULES);
    const TRANSFORMING: Reader = Reader::Operator(Settings { key: "parameters", is_built_in: true });
    const READERS: [Reader; 5] =
        [OPERATOR, TRANSFORMING, Reader::Deployer(Written::File), Reader::Deployer(Written::Order), Reader::Author];
    const CAUSES: [Cause; 22] = [
        Cause::Unreadable,
        Cause::NotAComponent,
        Cause::AbiMismatch,
        Cause::NotGranted,
        Cause::TooLarge,
        Cause::Compile,
        Cause::BadDescription,
        Cause::OutOfFuel,
        Cause::Deadline,
        Cause::Memory,
        Cause::Table,
        Cause::StackOverflow,
        Cause::Trap,
        Cause::Exit,
        Cause::BadData,
        Cause::Undeclared,
        Cause::Forged,
        Cause::NotFinite,
        Cause::TooMuch,
        Cause::Dropped,
        Cause::ModuleError,
        Cause::Host,
    ];

    /// What files are told that parsing alone refuses.
    fn not_admitted() -> Vec<Failure> {
        let exporting = |export: &str| {
            wat::parse_str(format!("(component (instance $i) (export \"wasmeter:plugin/{export}\" (instance $i)))"))
                .unwrap()
        };
        let sockets = r#"(component (import "wasi:sockets/tcp@0.2.6" (instance))
            (instance $i) (export "wasmeter:plugin/poller@0.1.1" (instance $i)))"#;
        let whole = wat::parse_str("(component (core module (memory 1)))").unwrap();
        let files: [&[u8]; 11] = [
            b"",
            b"fn main() {}",
            b"\x7fELF\x02\x01\x01\0\0\0",
            b"\0asm\x07\0\0\0",
            &wat::parse_str("(module)").unwrap(),
            &whole[..whole.len() - 3],
            &whole,
            &exporting("poller@0.7.3"),
            &exporting("nobody@0.1.1"),
            &wat::parse_str(sockets).unwrap(),
            &vec![0; 17 << 20],
        ];
        files.iter().map(|file| admit(file).unwrap_err()).collect()
    }

    /// Details say what is wrong and remedies what to do, each once.
    #[test]
    fn no_remedy_is_said_twice() {
        let plain = CAUSES.map(|cause| Failure::new(cause, "it is wrong"));
        for failure in not_admitted().iter().chain(&plain) {
            for reader in READERS {
                let (why, remedy) = refusal(failure, reader);
                let said = format!("{reader:?}: {why}. {remedy}");
                assert!(!why.is_empty() && !remedy.is_empty() && !remedy.ends_with('.'), "{said}");
                let (why, remedy) = (why.to_lowercase(), remedy.to_lowercase());
                for word in ["build", "grant", "copy", "target", "macro", "upgrade", "smaller", "give"] {
                    assert!(!(why.contains(word) && remedy.contains(word)), "{word}: {said}");
                }
                // Whoever just built it was told so.
                assert!(!remedy.contains("module build"), "{said}");
            }
        }
    }

    #[test]
    fn what_it_is_told_is_called_what_the_reader_calls_it() {
        for (reader, word) in [
            (OPERATOR, " config "),
            (TRANSFORMING, " parameters "),
            (TRANSFORMING, " docs/transformers.md "),
            (Reader::Deployer(Written::File), " config "),
            (Reader::Deployer(Written::Order), " --config "),
            (Reader::Author, " --config "),
        ] {
            for cause in [Cause::ModuleError, Cause::BadDescription] {
                let (_, remedy) = refusal(&Failure::new(cause, "x"), reader);
                assert!(remedy.contains(word), "{remedy}");
            }
        }
    }

    #[test]
    fn limits_are_called_what_the_reader_calls_them() {
        let remedy = |cause, reader| refusal(&Failure::new(cause, "x"), reader).1;
        let order = Reader::Deployer(Written::Order);
        for (cause, reader, words) in [
            (Cause::OutOfFuel, order, "raise --fuel"),
            (Cause::Deadline, order, "raise --deadline"),
            (Cause::Memory, order, "raise --memory"),
            (Cause::Memory, Reader::Deployer(Written::File), "raise memory"),
            (Cause::OutOfFuel, OPERATOR, "raise fuel_base, of the module or under sandbox"),
            (Cause::Deadline, Reader::Author, "raise deadline under sandbox, in the configuration"),
        ] {
            let said = remedy(cause, reader);
            assert!(said.ends_with(words), "{said}");
        }
    }

    #[test]
    fn a_relative_path_begins_where_it_is_said_to() {
        let remedy = |reader| refusal(&Failure::new(Cause::Unreadable, "x"), reader).1;
        assert!(remedy(OPERATOR).ends_with("begins at the configuration's folder"));
        let file = remedy(Reader::Deployer(Written::File));
        assert!(file.ends_with("begins at the folder of the deployment's file"), "{file}");
    }
}
