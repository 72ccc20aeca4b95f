//! Elements that know where they are, so that an error can say so.

use roxmltree::{Document, Node};

use super::Reason;

/// An element, with its path below the root.
#[derive(Debug)]
pub(super) struct Element<'a, 'input> {
    node: Node<'a, 'input>,
    path: String,
}

// === impl Element ===

impl<'a, 'input> Element<'a, 'input> {
    /// The outermost element.
    pub(super) fn root(document: &'a Document<'input>) -> Self {
        Self { node: document.root_element(), path: String::new() }
    }

    /// The node itself.
    pub(super) fn node(&self) -> Node<'a, 'input> {
        self.node
    }

    /// The children of this name, in the same namespace as the element.
    pub(super) fn children(&self, name: &str) -> impl Iterator<Item = Self> {
        let namespace = self.node.tag_name().namespace();
        let path = self.below(name);
        self.node
            .children()
            .filter(move |child| {
                child.is_element() && child.tag_name().name() == name && child.tag_name().namespace() == namespace
            })
            .map(move |node| Self { node, path: path.clone() })
    }

    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<Self> {
        self.children(name).next()
    }

    /// The first child in this namespace, whatever its name.
    pub(super) fn child_in(&self, namespace: &str) -> Option<Self> {
        let found = |child: &Node<'a, 'input>| child.is_element() && child.tag_name().namespace() == Some(namespace);
        let node = self.node.children().find(found)?;
        Some(Self { node, path: self.below(node.tag_name().name()) })
    }

    /// The first child of this name, which there has to be.
    pub(super) fn need(&self, name: &str) -> Result<Self, Reason> {
        self.child(name).ok_or_else(|| Reason::Missing(self.below(name)))
    }

    /// The text up to the first child; empty if there is none. As it stands: blanks may belong to a name.
    pub(super) fn text(&self) -> String {
        self.node.text().unwrap_or_default().to_owned()
    }

    /// An attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        self.node.attribute(name).map(str::to_owned)
    }

    /// An attribute that there has to be.
    pub(super) fn need_attribute(&self, name: &str) -> Result<String, Reason> {
        self.attribute(name).ok_or_else(|| Reason::Missing(format!("{}/@{name}", self.path)))
    }

    /// What to say if the text is not what it should be.
    pub(super) fn unusable(&self, expected: &'static str) -> Reason {
        let text = self.text().chars().take(100).collect();
        Reason::Unusable { path: self.path.clone(), text, expected }
    }

    fn below(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}
