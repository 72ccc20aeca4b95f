//! Secrets are handed to whom they are meant for, and shown to nobody.

use std::fmt;

use serde_json::Value;

/// A text that is handed on and shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// What a key contains if its value is a secret.
const SECRET_KEYS: [&str; 8] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "api_key", "private_key"];

// === impl Secret ===

impl Secret {
    /// Makes a secret of a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// A copy for the operator's eyes, without the values of keys that sound secret.
pub fn hide(value: &Value) -> Value {
    match value {
        Value::Array(entries) => entries.iter().map(hide).collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), if sounds_secret(key) { HIDDEN.into() } else { hide(value) }))
            .collect(),
        other => other.clone(),
    }
}

/// A URI without its password.
pub(super) fn hide_password(uri: &str) -> String {
    let hidden = || {
        let (scheme, rest) = uri.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (login, _) = authority.rsplit_once('@')?;
        let (user, _) = login.split_once(':')?;
        Some(format!("{scheme}://{user}:{HIDDEN}{}", rest.strip_prefix(login)?))
    };
    hidden().unwrap_or_else(|| uri.to_owned())
}

/// A text that somebody wrote in a wrong place, without what may be a login: all that stands before a host.
pub(super) fn hide_login(text: &str) -> std::borrow::Cow<'_, str> {
    let hidden = || {
        let (login, host) = text.rsplit_once('@')?;
        let (scheme, login) = login.split_at(login.find("://").map_or(0, |at| at + 3));
        login.contains(':').then(|| format!("{scheme}{HIDDEN}@{host}"))
    };
    hidden().map_or(text.into(), Into::into)
}

/// A URL without its login, and without what sounds secret in its query.
pub(super) fn hide_url(url: &str) -> String {
    // A password may have been written with any letters unescaped, so that what stands before the last @ may be one.
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (login, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| (HIDDEN, rest));
    let at = if login.is_empty() { "" } else { "@" };
    let Some((path, query)) = rest.split_once('?') else { return format!("{scheme}{login}{at}{rest}") };
    let shown = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((key, _)) if sounds_secret(key) => format!("{key}={HIDDEN}"),
        _ => parameter.to_owned(),
    });
    format!("{scheme}{login}{at}{path}?{}", shown.collect::<Vec<_>>().join("&"))
}

/// Whether a key's value is probably a secret.
pub(super) fn sounds_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace('-', "_");
    SECRET_KEYS.iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_at_any_depth() {
        let value = serde_json::json!({"user": "me", "auth": [{"API-Key": "x", "Db_Password": ["x"], "n": 1}]});
        let shown = serde_json::json!({"user": "me", "auth": [{"API-Key": "***", "Db_Password": "***", "n": 1}]});
        assert_eq!(hide(&value), shown);
    }

    #[test]
    fn a_text_loses_what_may_be_a_login() {
        for (text, shown) in [
            ("rabbit://u:p@h1,u:p@h2/vhost", "rabbit://***@h2/vhost"),
            ("rabbit://u:a/b@c@h", "rabbit://***@h"),
            ("u:p@h", "***@h"),
            ("rabbit:/u:p@h", "***@h"),
            ("me@host", "me@host"),
            ("{http://example.org/1}owner/@uuid", "{http://example.org/1}owner/@uuid"),
            ("sim://?domains=20", "sim://?domains=20"),
        ] {
            assert_eq!(hide_login(text), shown);
        }
    }

    #[test]
    fn a_uri_loses_its_password_only() {
        for (uri, shown) in [
            ("sim://?domains=20&seed=1", "sim://?domains=20&seed=1"),
            ("qemu+tcp://me@host/system", "qemu+tcp://me@host/system"),
            ("qemu+tcp://me:hunter2@host/system?x=a:b@c", "qemu+tcp://me:***@host/system?x=a:b@c"),
            ("qemu+tcp://me:hunt@er2@host", "qemu+tcp://me:***@host"),
            ("qemu:///system", "qemu:///system"),
        ] {
            assert_eq!(hide_password(uri), shown);
        }
    }
}
