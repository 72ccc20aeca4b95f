//! Secrets of a deployment. A module writes `{{secret:NAME}}` into the value of a header; the host fills in the text,
//! for origins that it was granted for, and masks it in all that comes back.
//!
//! Headers only: queries and bodies are what servers log, repeat in redirects and errors, and store. In a body a secret
//! would also have to be escaped as the body's format wants, which the host does not know.
//!
//! Masking guards against servers that repeat what they are told. A server that means to hand a secret over can always
//! do so, encrypted for example; so grant a secret to no origin that is the module author's.

mod mask;

use std::collections::BTreeMap;

use hyper::header::{HeaderName, HeaderValue};

use self::mask::Mask;
use super::limits::REQUEST_HEAD_BYTES;
use super::refused::Refused;
use super::url::Origin;
use crate::config::Secret;

/// What a deployment's modules use and never hold.
#[derive(Debug, Default)]
pub struct Secrets {
    named: BTreeMap<String, Granted>,
    mask: Mask,
}

/// One secret and where it may go.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The text.
    pub secret: Secret,
    /// To whom it may be sent.
    pub origins: Vec<Origin>,
}

/// A secret that cannot be used as one. Its text is not in here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Its name.
    #[error("secret {name:?}: a name has 1 to 64 letters, digits, dots, hyphens and underscores")]
    Name {
        /// The name.
        name: String,
    },
    /// It could be guessed by what is masked, or is in every answer.
    #[error("secret {name}: it has fewer than {SHORTEST} bytes; use a longer one")]
    Short {
        /// The name.
        name: String,
    },
    /// It cannot stand in a header.
    #[error(
        "secret {name}: it is not visible ASCII from its first character to its last, as a header has to be; remove ends \
         of lines, blanks around it, and marks of an encoding"
    )]
    Characters {
        /// The name.
        name: String,
    },
    /// It can go nowhere.
    #[error("secret {name}: it is granted for no origin; name those that it may be sent to")]
    Nowhere {
        /// The name.
        name: String,
    },
    /// All of them together.
    #[error("the secrets of a deployment have {bytes} bytes together, and may have {TOGETHER}")]
    Long {
        /// How long they are.
        bytes: usize,
    },
    /// The search for them cannot be prepared.
    #[error("the secrets of a deployment cannot be searched for: {0}")]
    Unsearchable(String),
}

/// The value of a header with places for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Secret(String),
}

/// The shortest secret. A module may try texts and see which are masked, so guessing has to be hopeless.
const SHORTEST: usize = 8;
/// Bytes of all secrets of a deployment: a few long tokens.
const TOGETHER: usize = 8 << 10;
/// Bytes of an answer that are searched before others run: less than a millisecond.
const AT_ONCE: usize = 64 << 10;
/// What a place for a secret begins with.
const OPEN: &str = "{{secret:";
/// What it ends with.
const CLOSE: &str = "}}";

// === impl Secrets ===

impl Secrets {
    /// Secrets by their names.
    pub fn new(named: BTreeMap<String, Granted>) -> Result<Self, InvalidSecret> {
        let mut bytes = 0usize;
        for (name, Granted { secret, origins }) in &named {
            let name = || name.clone();
            let text = secret.expose();
            let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
            if !is_name(&name()) {
                return Err(InvalidSecret::Name { name: name() });
            } else if !text.bytes().all(plain) || text.starts_with(' ') || text.ends_with(' ') {
                return Err(InvalidSecret::Characters { name: name() });
            } else if text.len() < SHORTEST {
                return Err(InvalidSecret::Short { name: name() });
            } else if origins.is_empty() {
                return Err(InvalidSecret::Nowhere { name: name() });
            }
            bytes = bytes.saturating_add(text.len());
        }
        if bytes > TOGETHER {
            return Err(InvalidSecret::Long { bytes });
        }
        let mask = Mask::new(named.values().map(|granted| granted.secret.expose()));
        Ok(Self { mask: mask.map_err(InvalidSecret::Unsearchable)?, named })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// A header's value for an origin.
    pub(super) fn fill(&self, header: &HeaderName, template: &Template, to: &Origin) -> Result<HeaderValue, Refused> {
        let mut text = String::new();
        for part in &template.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Secret(name) => {
                    let unknown = || Refused::UnknownSecret { header: header.to_string(), name: name.clone() };
                    let granted = self.named.get(name).ok_or_else(unknown)?;
                    if !granted.origins.contains(to) {
                        return Err(Refused::SecretDenied { name: name.clone(), origin: to.to_string() });
                    }
                    text.push_str(granted.secret.expose());
                    // A short name may stand for a long text, again and again.
                    if text.len() > REQUEST_HEAD_BYTES {
                        return Err(Refused::head_too_large());
                    }
                }
            }
        }
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Refused::malformed(format!("header {header}"), "a value has no control characters, ends of lines above all")
        })?;
        value.set_sensitive(template.has_secrets());
        Ok(value)
    }

    /// A text without secrets.
    pub(super) fn mask_text(&self, text: &str) -> String {
        match self.mask.mask(text.as_bytes()) {
            Some(masked) => String::from_utf8_lossy(&masked).into_owned(),
            None => text.to_owned(),
        }
    }

    /// A body without secrets, if there are any in it. Others run in between.
    pub(super) async fn mask_body(&self, body: &[u8]) -> Option<Vec<u8>> {
        self.mask.mask_slowly(body, AT_ONCE).await
    }
}

/// Whether a secret may be called this.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

// === impl Template ===

impl Template {
    /// Reads a value. What stands for a secret is replaced once: a secret's text is never read again.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once(OPEN) {
            let Some((name, after)) = after.split_once(CLOSE) else {
                return Err(format!("{OPEN} is not closed; write {OPEN}NAME{CLOSE}"));
            };
            if !is_name(name) {
                return Err(format!(
                    "{OPEN}NAME{CLOSE} needs a name of letters, digits, dots, hyphens and underscores"
                ));
            }
            parts.extend([Part::Text(before.to_owned()), Part::Secret(name.to_owned())]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// Whether a secret is to be filled in.
    pub(super) fn has_secrets(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Secret(_)))
    }
}

#[cfg(test)]
mod tests;
