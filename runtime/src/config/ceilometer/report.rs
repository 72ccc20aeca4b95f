//! What becomes of everything that is set.

/// Something that Ceilometer's configuration says, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Item {
    /// What becomes of it.
    pub verdict: Verdict,
    /// The file, from the folder that was read.
    pub file: String,
    /// The line, from 1; `None` if it is about the file.
    pub line: Option<u64>,
    /// The section of an option.
    pub section: Option<String>,
    /// The option, the source of `polling.yaml` or the file.
    pub name: String,
    /// What it did there; empty where it is taken over.
    pub there: String,
    /// The key that it is here, or what to do.
    pub here: String,
}

/// What becomes of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is in our configuration.
    Taken,
    /// It is not the same here.
    Different,
    /// There is nothing like it here.
    Missing,
    /// Ceilometer 27 does not know it either.
    Unknown,
}

// === impl Verdict ===

impl Verdict {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Taken, Self::Different, Self::Missing, Self::Unknown];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Taken => "Taken over",
            Self::Different => "Different here",
            Self::Missing => "Without counterpart",
            Self::Unknown => "Unknown to Ceilometer 27",
        }
    }
}
