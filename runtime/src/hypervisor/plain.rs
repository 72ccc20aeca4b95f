//! Guests that Nova did not create: what is known of them all the same.

/// What libvirt itself says of a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Plain {
    /// The title that somebody gave it.
    pub title: Option<String>,
    /// Virtual CPUs that it has when it starts.
    pub vcpus: Option<u64>,
    /// Memory in MiB.
    pub memory: Option<u64>,
    /// Texts in its metadata, in order.
    #[serde(default)]
    pub notes: Vec<Note>,
}

/// A text that somebody wrote into a guest's metadata.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Note {
    /// Where it stands.
    pub path: NotePath,
    /// What it says.
    pub text: String,
}

/// Where a text stands in a guest's metadata: `{http://example.org/tenancy}tenant/owner/@id`.
///
/// The namespace of an element is written where it is another one than that of the element around it; `{}` is none.
/// The last step may be an attribute. There is one way to write a place, so texts can be compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct NotePath(String);

/// Nova's namespaces in metadata, the newest first.
pub const NOVA_NAMESPACES: [&str; 2] =
    ["http://openstack.org/xmlns/libvirt/nova/1.1", "http://openstack.org/xmlns/libvirt/nova/1.0"];

// === impl Plain ===

impl Plain {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The first text at a place.
    pub fn note(&self, path: &NotePath) -> Option<&str> {
        self.notes.iter().find(|note| note.path == *path).map(|note| note.text.as_str())
    }
}

// === impl NotePath ===

impl NotePath {
    /// Understands what a person wrote: more namespaces may be written than have to be. `None` for what is no place
    /// in metadata, where libvirt lets every element have a namespace.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut path, mut outer, mut rest) = (Self::default(), "", Some(text));
        while let Some(step) = rest {
            let (step, is_attribute) = step.strip_prefix('@').map_or((step, false), |step| (step, true));
            let (namespace, name) = match step.strip_prefix('{') {
                Some(step) => step.split_once('}').map(|(namespace, name)| (Some(namespace), name))?,
                None => (None, step),
            };
            let name = match name.split_once('/') {
                Some((name, more)) => {
                    rest = Some(more);
                    name
                }
                None => {
                    rest = None;
                    name
                }
            };
            let is_odd = |c: char| c.is_whitespace() || c.is_control() || "{}@".contains(c);
            if name.is_empty() || name.contains(is_odd) || namespace.is_some_and(|uri| uri.contains(is_odd)) {
                return None;
            }
            let first = path.0.is_empty();
            if is_attribute {
                return (!first && rest.is_none()).then(|| path.attribute(namespace.unwrap_or_default(), name));
            }
            let namespace = namespace.unwrap_or(outer);
            if first && namespace.is_empty() {
                return None;
            }
            path = path.child(outer, namespace, name);
            outer = namespace;
        }
        Some(path)
    }

    /// The place of an element in this one, whose namespace is `outer`.
    #[must_use]
    pub fn child(&self, outer: &str, namespace: &str, name: &str) -> Self {
        let mut path = self.0.clone();
        if !path.is_empty() {
            path.push('/');
        }
        if namespace != outer {
            path.extend(["{", namespace, "}"]);
        }
        path.push_str(name);
        Self(path)
    }

    /// The place of an attribute of this element.
    #[must_use]
    pub fn attribute(&self, namespace: &str, name: &str) -> Self {
        let mut path = format!("{}/@", self.0);
        if !namespace.is_empty() {
            path.extend(["{", namespace, "}"]);
        }
        path.push_str(name);
        Self(path)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it begins in a namespace of Nova's.
    pub fn is_novas(&self) -> bool {
        let namespace = self.0.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        namespace.is_some_and(|(namespace, _)| NOVA_NAMESPACES.contains(&namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_in_one_way() {
        for (text, path) in [
            ("{urn:x}tenant", "{urn:x}tenant"),
            ("{http://example.org/a}tenant/@id", "{http://example.org/a}tenant/@id"),
            ("{http://a/b}t/{http://a/b}u/{urn:y}v/w", "{http://a/b}t/u/{urn:y}v/w"),
            ("{urn:x}t/{}u/v", "{urn:x}t/{}u/v"),
            ("{urn:x}t/{}u/{}v", "{urn:x}t/{}u/v"),
            ("{urn:x}t/@{urn:x}id", "{urn:x}t/@{urn:x}id"),
            ("{urn:x}t/@{}id", "{urn:x}t/@id"),
        ] {
            assert_eq!(NotePath::parse(text).unwrap().as_str(), path);
            assert_eq!(NotePath::parse(path).unwrap().as_str(), path);
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "",
            "tenant",
            "{}tenant",
            "{urn:x}",
            "{urn:x",
            "{urn:x}t/",
            "/{urn:x}t",
            "{urn:x}t//u",
            "@id",
            "{urn:x}t/@",
            "{urn:x}t/@id/u",
            "{urn:x}t u",
            "{urn: x}t",
            "{urn:x}t/@@id",
            "@{urn:x}id",
            "{{urn:x}}t",
        ] {
            assert_eq!(NotePath::parse(text), None, "{text}");
        }
    }

    #[test]
    fn novas_namespaces_are_known() {
        for (text, is_novas) in [
            ("{http://openstack.org/xmlns/libvirt/nova/1.1}instance/owner/project/@uuid", true),
            ("{http://openstack.org/xmlns/libvirt/nova/1.0}instance", true),
            ("{urn:x}instance", false),
        ] {
            assert_eq!(NotePath::parse(text).unwrap().is_novas(), is_novas);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_place_or_not(text in "([{}@/ :a-z]|.){0,40}") {
            if let Some(path) = NotePath::parse(&text) {
                proptest::prop_assert_eq!(NotePath::parse(path.as_str()), Some(path));
            }
        }
    }
}
