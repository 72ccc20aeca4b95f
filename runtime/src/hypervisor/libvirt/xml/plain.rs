//! What libvirt's XML says of a guest that Nova did not create.

use roxmltree::Node;

use super::element::Element;
use crate::hypervisor::{Note, NotePath, Plain};

/// Texts in the metadata of one guest that are kept: whose guest it is stands in one of them.
const NOTES: usize = 500;

/// Longer texts name nobody.
const NOTE_BYTES: usize = 255;

/// Elements within elements. Deeper ones would make long paths, and there are none.
const DEPTH: usize = 8;

/// Reads what there is; what is not as libvirt writes it is as good as absent.
pub(super) fn read(domain: &Element<'_, '_>) -> Plain {
    let number = |text: String| text.trim().parse::<u64>().ok();
    let vcpu = domain.child("vcpu");
    let memory = domain.child("memory");
    let in_kib = |memory: &Element<'_, '_>| memory.attribute("unit").is_none_or(|unit| unit == "KiB");
    let mut notes = Vec::new();
    if let Some(metadata) = domain.child("metadata") {
        collect(&metadata.node(), &NotePath::default(), "", 0, &mut notes);
    }
    Plain {
        title: domain.child("title").map(|title| title.text().trim().to_owned()).filter(|title| !title.is_empty()),
        vcpus: vcpu.and_then(|vcpu| number(vcpu.attribute("current").unwrap_or_else(|| vcpu.text()))),
        memory: memory.filter(in_kib).and_then(|memory| number(memory.text())).map(|kib| kib / 1024),
        notes,
    }
}

/// Adds what stands in an element's children, their attributes first.
fn collect(parent: &Node<'_, '_>, above: &NotePath, outer: &str, depth: usize, notes: &mut Vec<Note>) {
    if depth == DEPTH {
        return;
    }
    for node in parent.children().filter(Node::is_element) {
        let namespace = node.tag_name().namespace().unwrap_or_default();
        let path = above.child(outer, namespace, node.tag_name().name());
        for attribute in node.attributes() {
            let path = path.attribute(attribute.namespace().unwrap_or_default(), attribute.name());
            add(path, attribute.value(), notes);
        }
        add(path.clone(), node.text().unwrap_or_default(), notes);
        collect(&node, &path, namespace, depth + 1, notes);
    }
}

fn add(path: NotePath, text: &str, notes: &mut Vec<Note>) {
    let text = text.trim();
    if notes.len() < NOTES && !text.is_empty() && text.len() <= NOTE_BYTES {
        notes.push(Note { path, text: text.to_owned() });
    }
}
