//! One publisher: the URL of who gets samples.

use std::fmt;

use crate::config::daemon::Output;
use crate::config::problem::Place;
use crate::config::secret::Secret;
use crate::config::yaml::{Node, Refusal};

/// The longest URL in bytes.
const LONGEST: usize = 4096;

/// What stands between a URL's scheme and the rest.
const BEHIND_SCHEME: &str = "://";

/// Who gets samples. What of its URL may be secret is shown nowhere.
#[derive(Clone)]
pub struct Publisher {
    url: Secret,
    /// The output that it names; `None` where there is none of its kind.
    pub output: Option<String>,
    /// Where it stands.
    pub place: Option<Place>,
}

// === impl Publisher ===

impl Publisher {
    pub(super) fn read(node: &Node) -> Result<Self, Refusal> {
        let text = node.text()?;
        if text.len() > LONGEST {
            // Its beginning is not repeated: that is where a login is.
            let (value, reason) = ("is a URL".to_owned(), "too long".to_owned());
            return Err(Refusal {
                place: node.place,
                value,
                reason,
                remedy: format!("Write at most {LONGEST} letters"),
            });
        }
        // The name of a kind alone is how publishers were written before 2013, and still may be.
        let behind = if text.contains(BEHIND_SCHEME) { "" } else { BEHIND_SCHEME };
        Ok(Self { url: Secret::new(format!("{text}{behind}")), output: None, place: node.place })
    }

    /// Its URL.
    pub fn url(&self) -> &Secret {
        &self.url
    }

    /// What kind of publisher it is: what stands before `://`.
    pub fn scheme(&self) -> &str {
        self.url.expose().split_once(BEHIND_SCHEME).map_or("", |(scheme, _)| scheme)
    }
}

/// The URL without what may be secret.
impl fmt::Display for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Output::shown(self.url.expose()))
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Publisher {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
