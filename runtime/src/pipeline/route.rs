//! Which outputs samples are for.

use std::sync::Arc;

use crate::digest::Digest;

/// Which outputs samples are for: those that get all that is measured, those of some sinks, or both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Whether the outputs that stand outside of pipelines get them.
    pub is_measured: bool,
    /// The publishers of pipelines that get them, ascending.
    pub publishers: Arc<[Tag]>,
}

/// A publisher of pipelines in few bytes: it stands in the books of the spool, beside each meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Tag(u16);

/// What the names of outputs begin with that pipelines' publishers are.
pub const OF_PIPELINES: &str = "pipeline:";
/// The most publishers that pipelines may have: as many fit into a key of the books.
pub const MOST_PUBLISHERS: usize = 15;

/// Letters of a tag as a text.
const DIGITS: usize = 4;
/// Stands before the tags if outputs outside of pipelines get the samples, too.
const MEASURED: char = '+';

// === impl Tag ===

impl Tag {
    /// Of the output of this name. The configuration sees to it that no two of its publishers have the same.
    pub fn of(name: &str) -> Self {
        let digest = Digest::of(name.as_bytes()).to_string();
        Self(digest.get(..DIGITS).and_then(|digits| u16::from_str_radix(digits, 16).ok()).unwrap_or_default())
    }
}

// === impl Route ===

impl Default for Route {
    /// What is measured, before pipelines had a look at it.
    fn default() -> Self {
        Self { is_measured: true, publishers: Arc::default() }
    }
}

impl Route {
    /// To publishers of pipelines alone.
    pub fn to(publishers: Vec<Tag>) -> Self {
        Self { is_measured: false, publishers: ascending(publishers) }
    }

    /// To these, too.
    #[must_use]
    pub fn and_to(&self, publishers: &[Tag]) -> Self {
        Self { publishers: ascending([&*self.publishers, publishers].concat()), ..*self }
    }

    /// Whether the output of this name gets them.
    pub fn has(&self, output: &str) -> bool {
        match output.starts_with(OF_PIPELINES) {
            true => self.publishers.binary_search(&Tag::of(output)).is_ok(),
            false => self.is_measured,
        }
    }

    /// As a short text.
    pub fn text(&self) -> String {
        let tags = self.publishers.iter().map(|tag| format!("{:04x}", tag.0));
        self.is_measured.then(|| MEASURED.to_string()).into_iter().chain(tags).collect()
    }

    /// What such a text says; what is odd in it is left out.
    pub fn of_text(text: &str) -> Self {
        let tags = text.trim_start_matches(MEASURED).as_bytes().chunks(DIGITS);
        let tag = |digits: &[u8]| u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().map(Tag);
        Self { is_measured: text.starts_with(MEASURED), publishers: ascending(tags.filter_map(tag).collect()) }
    }
}

fn ascending(mut tags: Vec<Tag>) -> Arc<[Tag]> {
    tags.sort_unstable();
    tags.dedup();
    tags.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn outputs_get_what_is_theirs() {
        let (udp, http) = ("pipeline:udp://a:1", "pipeline:http://b/");
        let measured = Route::default();
        assert!(measured.has("samples") && !measured.has(udp));
        let both = measured.and_to(&[Tag::of(udp)]);
        assert!(both.has("samples") && both.has(udp) && !both.has(http));
        let transformed = Route::to(vec![Tag::of(http), Tag::of(udp), Tag::of(http)]);
        assert!(!transformed.has("samples") && transformed.has(udp) && transformed.has(http));
        assert_eq!(transformed.publishers.len(), 2);
        assert!(!Route::to(Vec::new()).has(udp));
    }

    proptest! {
        #[test]
        fn texts_say_all(is_measured: bool, tags in prop::collection::vec(any::<u16>(), 0..MOST_PUBLISHERS)) {
            let route = Route { is_measured, publishers: ascending(tags.into_iter().map(Tag).collect()) };
            prop_assert_eq!(Route::of_text(&route.text()), route);
        }

        #[test]
        fn odd_texts_do_no_harm(text: String) {
            Route::of_text(&text);
        }
    }
}
