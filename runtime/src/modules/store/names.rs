//! What files are called.

use crate::digest::Digest;
use crate::modules::deployment::Key;

const MODULE: &str = ".wasm";
const DEPLOYMENT: &str = ".json";
/// Between tenant and name; neither can hold it, so no two deployments share a file.
const BETWEEN: char = '@';
/// While it is written.
const NEW: &str = ".new";
/// Set aside because it cannot be used. A number follows if one of the name was set aside before.
const DAMAGED: &str = ".damaged";

/// A module's file.
pub fn module(digest: &Digest) -> String {
    format!("{digest}{MODULE}")
}

/// A deployment's file.
pub fn deployment(key: &Key) -> String {
    format!("{}{BETWEEN}{}{DEPLOYMENT}", key.tenant, key.name)
}

/// The file while it is written.
pub fn new(name: &str) -> String {
    format!("{name}{NEW}")
}

/// The file when it is set aside, beside those of all these names.
pub fn damaged(name: &str, others: &[String]) -> String {
    let first = format!("{name}{DAMAGED}");
    let more = (2_u32..).map(|number| format!("{first}.{number}"));
    std::iter::once(first.clone()).chain(more).find(|free| !others.contains(free)).unwrap_or(first)
}

/// The module whose file this is.
pub fn as_module(name: &str) -> Option<Digest> {
    name.strip_suffix(MODULE)?.parse().ok()
}

/// The deployment whose file this is.
pub fn as_deployment(name: &str) -> Option<Key> {
    let (tenant, name) = name.strip_suffix(DEPLOYMENT)?.split_once(BETWEEN)?;
    Some(Key::new(tenant.parse().ok()?, name.parse().ok()?))
}

/// The file that this was to become when it was written.
pub fn as_new(name: &str) -> Option<&str> {
    name.strip_suffix(NEW)
}

/// The file that this was before it was set aside.
pub fn as_damaged(name: &str) -> Option<&str> {
    let (set_aside, number) = name.rsplit_once(DAMAGED)?;
    let is_number = |number: &str| number.parse().is_ok_and(|number: u32| number > 1);
    (number.is_empty() || number.strip_prefix('.').is_some_and(is_number)).then_some(set_aside)
}
