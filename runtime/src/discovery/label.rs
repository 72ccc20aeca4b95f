//! What samples say about a resource: whose it is, what it is called, and its metadata, written once and copied
//! into every sample.

use std::sync::Arc;

use crate::json;

/// Everything in a sample that comes from its resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The resource id.
    pub id: String,
    /// The project that it belongs to.
    pub project: Option<Arc<str>>,
    /// Who created it.
    pub user: Option<Arc<str>>,
    /// Its name among its guest's devices: `vda`, `tap0a1b2c3d-4e`; empty for others.
    pub device: String,
    /// What is known of the guest.
    pub about: Arc<About>,
    /// Its metadata.
    pub metadata: Metadata,
}

/// What is known of a guest; empty for resources that are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Its name for the hypervisor.
    pub name: String,
    /// The name that its owner gave it.
    pub display_name: String,
    /// The name of its flavour.
    pub flavor: String,
    /// The id of its flavour.
    pub flavor_id: String,
    /// What Nova calls the id of its host, which is another for each project.
    pub host_id: String,
    /// The group of servers that its owner says it is in; empty if they say none.
    pub server_group: String,
    /// The image that it was booted from.
    pub image: String,
    /// `hvm` and the like.
    pub os_type: String,
    /// `x86_64` and the like.
    pub architecture: String,
    /// Nova's word for its state, such as `active`.
    pub status: &'static str,
    /// Nova's other word for its state, such as `running`.
    pub state: &'static str,
}

/// Metadata as JSON, in pieces that guests and their devices share.
///
/// A network device's samples carry the device's name where others carry the guest's, and all devices add entries
/// at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// From the first entry to the key `name`.
    pub head: Arc<str>,
    /// The value of `name`.
    pub name: Arc<str>,
    /// What follows it.
    pub tail: Arc<str>,
    /// Entries of this resource alone.
    pub extra: Box<str>,
}

/// Keys of metadata that are the host's to write, whether a resource has them or not. What identifies a sample comes
/// from the host alone.
pub const OWN_KEYS: [&str; 31] = [
    "display_name",
    "name",
    "instance_id",
    "instance_type",
    "host",
    "instance_host",
    "flavor",
    "status",
    "state",
    "task_state",
    "image",
    "image_ref",
    "image_ref_url",
    "image_meta",
    "reservation_id",
    "architecture",
    "OS-EXT-AZ:availability_zone",
    "kernel_id",
    "os_type",
    "ramdisk_id",
    "vcpus",
    "memory_mb",
    "disk_gb",
    "ephemeral_gb",
    "root_gb",
    "user_metadata",
    "disk_name",
    "mac",
    "fref",
    "parameters",
    "vnic_name",
];

// === impl Label ===

impl Label {
    /// A resource that belongs to nobody and has no metadata.
    pub fn bare(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            project: None,
            user: None,
            device: String::new(),
            about: Arc::default(),
            metadata: Metadata::default(),
        }
    }

    /// The text of an attribute. `None` for an unknown one; an attribute that this resource lacks is empty.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        Some(match key {
            "id" => &self.id,
            "device" => &self.device,
            "project_id" => self.project.as_deref().unwrap_or_default(),
            "user_id" => self.user.as_deref().unwrap_or_default(),
            "name" => &self.about.name,
            "display_name" => &self.about.display_name,
            "flavor" => &self.about.flavor,
            "image" => &self.about.image,
            "os_type" => &self.about.os_type,
            "architecture" => &self.about.architecture,
            "status" => self.about.status,
            "state" => self.about.state,
            _ => return None,
        })
    }

    /// All attributes that there are.
    pub const ATTRIBUTES: [&'static str; 12] = [
        "id",
        "device",
        "project_id",
        "user_id",
        "name",
        "display_name",
        "flavor",
        "image",
        "os_type",
        "architecture",
        "status",
        "state",
    ];
}

fn entry<'a>(value: &'a serde_json::Value, path: &str) -> Option<&'a serde_json::Value> {
    value.get(path).or_else(|| {
        let mut dots = path.match_indices('.');
        dots.find_map(|(at, _)| entry(value.get(path.get(..at)?)?, path.get(at + 1..)?))
    })
}

// === impl Metadata ===

impl Metadata {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty() && self.extra.is_empty()
    }

    /// Bytes of the JSON object.
    pub fn len(&self) -> usize {
        2 + self.head.len() + self.name.len() + self.tail.len() + self.extra.len()
    }

    /// The value of `name` as a text.
    pub fn name(&self) -> String {
        serde_json::from_str(&self.name).unwrap_or_default()
    }

    /// The entry at a path of keys that are joined by dots, as JSON. Keys may have dots themselves.
    pub fn entry(&self, path: &str) -> Option<String> {
        let mut object = String::new();
        self.write(&mut object, "");
        let object = serde_json::from_str(&object).ok()?;
        Some(entry(&object, path)?.to_string())
    }

    /// Appends the JSON object, with these entries at its end (`"key": value`, with `, ` between them).
    pub fn write(&self, out: &mut String, notes: &str) {
        let start = out.len();
        out.push('{');
        out.push_str(&self.head);
        out.push_str(&self.name);
        out.push_str(&self.tail);
        out.push_str(&self.extra);
        if !notes.is_empty() {
            out.push_str(if out.len() > start + 1 { ", " } else { "" });
            out.push_str(notes);
        }
        out.push('}');
    }
}

/// Writes entries of a JSON object one after the other.
#[derive(Debug, Default)]
pub struct Entries {
    /// What was written.
    pub text: String,
    begun: bool,
}

impl Entries {
    /// Goes on after entries that stand elsewhere.
    pub fn more() -> Self {
        Self { text: String::new(), begun: true }
    }

    /// Writes a key, so that a value can follow.
    pub fn key(&mut self, key: &str) -> &mut String {
        if self.begun {
            self.text.push_str(", ");
        }
        self.begun = true;
        json::string(&mut self.text, key);
        self.text.push_str(": ");
        &mut self.text
    }

    /// Writes an entry that is a text.
    pub fn text(&mut self, key: &str, value: &str) {
        json::string(self.key(key), value);
    }

    /// Writes an entry that is a text, or `null`.
    pub fn optional(&mut self, key: &str, value: Option<&str>) {
        json::optional(self.key(key), value);
    }

    /// Writes an entry that is a whole number.
    pub fn number(&mut self, key: &str, value: i128) {
        json::append(self.key(key), format_args!("{value}"));
    }

    /// Writes an entry that is an object, filled by `fill`.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        let out = self.key(key);
        out.push('{');
        out.push_str(&inner.text);
        out.push('}');
    }
}
