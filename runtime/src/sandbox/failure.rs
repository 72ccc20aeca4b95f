//! What a module did wrong, as a value: one match on it drives retries, counts, words and exit codes.

use std::fmt;

use wasmtime::Trap;

use super::limits::DETAIL_BYTES;

/// Why a module, or one call of it, came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// What kind of wrong.
    pub cause: Cause,
    /// The particulars, for whoever wrote the module.
    pub detail: String,
    /// Fuel that was used up to then.
    pub fuel_used: u64,
    /// The last of what it wrote to its standard error; a panic's message is there.
    pub stderr: String,
}

/// The kinds of wrong, a closed set: they are label values of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The file cannot be read.
    Unreadable,
    /// The file is no component, or is broken.
    NotAComponent,
    /// It is a component of another world or version.
    AbiMismatch,
    /// It imports what was not granted.
    NotGranted,
    /// It needs more than it may have before it even runs.
    TooLarge,
    /// It could not be compiled within bounds.
    Compile,
    /// Its description breaks a rule, or changes from call to call.
    BadDescription,
    /// The fuel of the call, or of the interval, is used up.
    OutOfFuel,
    /// It took too long by the wall clock.
    Deadline,
    /// It wanted more memory than it may have.
    Memory,
    /// It wanted larger tables than it may have.
    Table,
    /// It called itself too deeply.
    StackOverflow,
    /// It trapped: a panic, a division by zero, an access out of bounds.
    Trap,
    /// It tried to end the process.
    Exit,
    /// What it handed over breaks the rules of components: lists out of bounds, texts that are not UTF-8.
    BadData,
    /// It read a statistic or attribute that it did not declare.
    Undeclared,
    /// It named a resource, a meter or a text that it was not handed.
    Forged,
    /// It gave a number that is none.
    NotFinite,
    /// It gave more than it may.
    TooMuch,
    /// It dropped samples that something is wrong with, and said so.
    Dropped,
    /// It said that it failed.
    ModuleError,
    /// The host itself could not run it, or read nothing of what it could not do without.
    Host,
}

/// An error that carries its cause through the engine.
#[derive(Debug)]
pub struct Stop {
    /// What kind of wrong.
    pub cause: Cause,
    /// The particulars.
    pub detail: String,
}

// === impl Cause ===

impl Cause {
    /// The word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NotAComponent => "not-a-component",
            Self::AbiMismatch => "abi-mismatch",
            Self::NotGranted => "not-granted",
            Self::TooLarge => "too-large",
            Self::Compile => "compile",
            Self::BadDescription => "bad-description",
            Self::OutOfFuel => "out-of-fuel",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Table => "table",
            Self::StackOverflow => "stack-overflow",
            Self::Trap => "trap",
            Self::Exit => "exit",
            Self::BadData => "bad-data",
            Self::Undeclared => "undeclared",
            Self::Forged => "forged",
            Self::NotFinite => "not-finite",
            Self::TooMuch => "too-much",
            Self::Dropped => "dropped",
            Self::ModuleError => "module-error",
            Self::Host => "host",
        }
    }

    /// Whether fewer resources could make the difference.
    pub fn may_be_one_resource(self) -> bool {
        !matches!(self, Self::Host | Self::Undeclared | Self::Exit)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

// === impl Failure ===

impl Failure {
    /// A failure before anything ran. What a module has a say in may be long, and is cut.
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.len() > DETAIL_BYTES {
            detail.truncate(detail.floor_char_boundary(DETAIL_BYTES));
            detail.shrink_to_fit();
        }
        Self { cause, detail, fuel_used: 0, stderr: String::new() }
    }

    /// What is wrong, for whoever is told what came to nothing: the cause is a word for counting.
    pub fn words(&self) -> String {
        let shown = |text: &str| text.replace(|c: char| c.is_control() && c != '\n', " ");
        match self.stderr.trim() {
            "" => shown(&self.detail),
            stderr => format!("{} (stderr: {})", shown(&self.detail), shown(stderr)),
        }
    }

    /// All of it on one line, for a log in which a line is an entry.
    pub fn on_one_line(&self) -> String {
        self.to_string().replace(char::is_control, " ")
    }

    /// What the engine's error means.
    pub fn from_engine(error: &wasmtime::Error) -> Self {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return Self::new(stop.cause, stop.detail.clone());
        }
        if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            return Self::new(Cause::Exit, format!("it tried to exit with {}", exit.0));
        }
        let cause = match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Cause::OutOfFuel,
            Some(Trap::StackOverflow) => Cause::StackOverflow,
            Some(
                Trap::InvalidChar
                | Trap::StringOutOfBounds
                | Trap::ListOutOfBounds
                | Trap::InvalidDiscriminant
                | Trap::UnalignedPointer,
            ) => Cause::BadData,
            Some(_) => Cause::Trap,
            None => by_words(error),
        };
        Self::new(cause, brief(error))
    }
}

/// Errors that the engine has no type for.
fn by_words(error: &wasmtime::Error) -> Cause {
    let words = format!("{error:#}");
    let has = |part: &str| words.contains(part);
    if has("fuel allocated for hostcalls") {
        Cause::TooMuch
    } else if has("failed to convert function to given type") {
        // Exports are compared with the contract when there is an instance, and not before.
        Cause::AbiMismatch
    } else if has("unknown handle") {
        Cause::Forged
    } else if has("utf-8") || has("out of bounds") || has("not aligned") || has("realloc return") || has("discriminant")
    {
        Cause::BadData
    } else if has("handle") || has("resource") {
        Cause::TooMuch
    } else {
        Cause::Host
    }
}

/// The innermost words without the stack, which is of no use to an operator and long.
fn brief(error: &wasmtime::Error) -> String {
    let root = error.root_cause().to_string();
    root.lines().next().unwrap_or_default().to_owned()
}

/// What a module wrote is in it, without what would move a terminal's cursor.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.words())
    }
}

impl std::error::Error for Failure {}

// === impl Stop ===

impl Stop {
    /// An error with its cause.
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Stop {}
