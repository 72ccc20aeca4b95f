//! What a deployment goes by: whose it is, and its name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::OPERATOR;
use crate::config::daemon::is_module_name;

/// What a deployment goes by. Both parts become parts of a file's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Whose it is.
    pub tenant: Tenant,
    /// What the tenant calls it.
    pub name: Name,
}

/// A project, or the operator's name for a group of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(Arc<str>);

/// A deployment's name within its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// A text that is no tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no tenant: write letters, digits, -, _ and ., at most 64, beginning with a letter or a digit, and not operator"
)]
pub struct InvalidTenant(String);

/// A text that is no deployment's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name for a deployment: write small letters, digits, - and _, at most 64, beginning with a letter")]
pub struct InvalidName(String);

/// What a file's name and a metric's label have room for.
const LONGEST: usize = 64;
/// What an error quotes of a text that may be anything.
const QUOTED: usize = 80; // characters

fn start(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

/// What each checked text can do: it is read as its `TryFrom` says, and written as it is.
macro_rules! checked_text {
    ($text:ident, $invalid:ident) => {
        impl $text {
            /// As a text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// As a text that others hold, too.
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl FromStr for $text {
            type Err = $invalid;

            fn from_str(text: &str) -> Result<Self, $invalid> {
                text.to_owned().try_into()
            }
        }

        impl From<$text> for String {
            fn from(text: $text) -> Self {
                text.as_str().to_owned()
            }
        }

        impl fmt::Display for $text {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(Tenant, InvalidTenant);
checked_text!(Name, InvalidName);

// === impl Key ===

impl Key {
    /// This tenant's deployment of this name.
    pub fn new(tenant: Tenant, name: Name) -> Self {
        Self { tenant, name }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.name)
    }
}

// === impl Tenant ===

impl TryFrom<String> for Tenant {
    type Error = InvalidTenant;

    fn try_from(text: String) -> Result<Self, InvalidTenant> {
        let allowed = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_' | b'.');
        match text.as_bytes() {
            // A dot in front would hide a file, and two would be a folder.
            _ if text == OPERATOR => Err(InvalidTenant(text)),
            [first, ..] if text.len() <= LONGEST && first.is_ascii_alphanumeric() && text.bytes().all(allowed) => {
                Ok(Self(text.into()))
            }
            _ => Err(InvalidTenant(start(&text))),
        }
    }
}

// === impl Name ===

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        if is_module_name(&text) { Ok(Self(text.into())) } else { Err(InvalidName(start(&text))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_and_names_are_parts_of_a_files_name() {
        for text in ["a", "0b7d-9f", "Group.of_3", &"x".repeat(64)] {
            assert_eq!(text.parse::<Tenant>().unwrap().as_str(), text);
        }
        for text in ["", ".", "..", ".a", "-a", "_a", "a/b", "a@b", "a b", "a\0", "ä", "a\n", &"x".repeat(65)] {
            assert!(text.parse::<Tenant>().is_err(), "{text:?}");
        }
        for text in ["a", "http-exporter_2", &"x".repeat(64)] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
        for text in ["", "A", "aB", "2a", "-a", "a.b", "..", "a/b", "a@b", "ä", &"x".repeat(65)] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_read_is_checked() {
        assert!(serde_json::from_str::<Key>(r#"{"tenant": "t", "name": "n"}"#).is_ok());
        assert!(serde_json::from_str::<Key>(r#"{"tenant": "../t", "name": "n"}"#).is_err());
        assert!(serde_json::from_str::<Key>(r#"{"tenant": "t", "name": "n", "more": 1}"#).is_err());
    }
}
