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

/// A URL without its logins, and of its query the values of those options alone that may be shown.
pub(super) fn hide_url(url: &str, is_shown: impl Fn(&str) -> bool) -> String {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let rest = hide_logins(rest);
    let Some((path, query)) = rest.split_once('?') else { return format!("{scheme}{rest}") };
    let shown = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((key, _)) if !is_shown(key) => format!("{key}={HIDDEN}"),
        // A word without a name may be what it is all about.
        None if !parameter.is_empty() && !is_shown(parameter) => HIDDEN.to_owned(),
        _ => parameter.to_owned(),
    });
    format!("{scheme}{path}?{}", shown.collect::<Vec<_>>().join("&"))
}

/// What stands behind a URL's scheme, without logins.
fn hide_logins(rest: &str) -> String {
    let (hosts, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let hide =
        |host: &str| Some(format!("{HIDDEN}@{}", host.split_once('@').filter(|(_, host)| !host.contains('@'))?.1));
    let hidden: Option<Vec<String>> = hosts.split(',').map(hide).collect();
    match hidden.filter(|_| !path.contains('@')) {
        Some(hosts) => format!("{}{path}", hosts.join(",")),
        // A password may have been written with any letters unescaped, so that what stands before the last @ may be one.
        None => rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, rest)| format!("{HIDDEN}@{rest}")),
    }
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
    fn a_url_loses_its_logins() {
        for (url, shown) in [
            ("notifier://a@h1:5672,u:p@h2:5672/v?x=1", "notifier://***@h1:5672,***@h2:5672/v?x=***"),
            ("notifier://u:p,q@h1,u:p@h2/", "notifier://***@h2/"),
            ("notifier://u:p@q,u:p@r@h2/", "notifier://***@h2/"),
            ("http://u:a/b@c@h/in", "http://***@h/in"),
            ("http://h/in?token=x&y=1", "http://h/in?token=***&y=1"),
            ("http://h/in?sig=S3CR3T&&y=1#a", "http://h/in?sig=***&&y=1#a"),
            ("http://h/in?y&S3CR3T", "http://h/in?y&***"),
            ("test://", "test://"),
        ] {
            assert_eq!(hide_url(url, |option| option == "y"), shown);
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
