//! What Nova says of its guests.

use super::Guest;
use super::xml::escape;

/// What Nova says of a guest. Start from the default and change what matters.
#[derive(Debug, Clone)]
pub struct Nova {
    /// Which of Nova's namespaces.
    pub version: NovaVersion,
    /// The name that the guest's owner gave it; `vm-<number>` if there is none.
    pub display_name: Option<String>,
    /// The project's id.
    pub project: String,
    /// The user's id.
    pub user: String,
    /// The flavour.
    pub flavor: Flavor,
    /// The id of the image that it was started from; without one, it was started from a volume.
    pub image: Option<String>,
    /// The image's properties, which newer Novas tell.
    pub image_properties: Vec<(String, String)>,
}

/// Which of Nova's namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NovaVersion {
    /// Until Victoria.
    V1_0,
    /// Since Wallaby.
    V1_1,
}

/// A flavour.
#[derive(Debug, Clone)]
pub struct Flavor {
    /// Its name.
    pub name: String,
    /// Its id, which newer Novas tell.
    pub id: Option<String>,
    /// The size of the root disk in GiB.
    pub disk: u32,
    /// The size of the ephemeral disk in GiB.
    pub ephemeral: u32,
    /// The size of the swap disk in MiB.
    pub swap: u32,
    /// Extra specs, which newer Novas tell.
    pub extra_specs: Vec<(String, String)>,
}

// === impl Nova ===

impl Default for Nova {
    fn default() -> Self {
        Self {
            version: NovaVersion::V1_1,
            display_name: None,
            project: "6d7b1a4c2f0e4b8d9a3c5e7f10213243".into(),
            user: "0f1e2d3c4b5a69788796a5b4c3d2e1f0".into(),
            flavor: Flavor::default(),
            image: Some("155d900f-4e14-4e4c-a73d-069cbf4541e6".into()),
            image_properties: Vec::new(),
        }
    }
}

impl Default for Flavor {
    fn default() -> Self {
        Self { name: "m1.tiny".into(), id: Some("1".into()), disk: 1, ephemeral: 0, swap: 0, extra_specs: Vec::new() }
    }
}

// === impl NovaVersion ===

impl NovaVersion {
    fn number(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
        }
    }
}

/// The element inside of `<metadata>`.
pub(super) fn element(nova: &Nova, guest: &Guest) -> String {
    let name = nova.display_name.clone().unwrap_or_else(|| format!("vm-{}", guest.number));
    let root =
        nova.image.as_ref().map(|image| format!("\n      <nova:root type=\"image\" uuid=\"{}\"/>", escape(image)));
    format!(
        "
    <nova:instance xmlns:nova=\"http://openstack.org/xmlns/libvirt/nova/{version}\">
      <nova:package version=\"32.0.0\"/>
      <nova:name>{name}</nova:name>
      <nova:creationTime>2026-01-02 03:04:05</nova:creationTime>{flavor}{image}
      <nova:owner>
        <nova:user uuid=\"{user}\">user</nova:user>
        <nova:project uuid=\"{project}\">project</nova:project>
      </nova:owner>{root}
    </nova:instance>
  ",
        version = nova.version.number(),
        name = escape(&name),
        flavor = flavor(&nova.flavor, guest),
        image = image(nova),
        user = escape(&nova.user),
        project = escape(&nova.project),
        root = root.unwrap_or_default(),
    )
}

fn flavor(flavor: &Flavor, guest: &Guest) -> String {
    let id = flavor.id.as_ref().map(|id| format!(" id=\"{}\"", escape(id))).unwrap_or_default();
    format!(
        "
      <nova:flavor name=\"{name}\"{id}>
        <nova:memory>{memory}</nova:memory>
        <nova:disk>{disk}</nova:disk>
        <nova:swap>{swap}</nova:swap>
        <nova:ephemeral>{ephemeral}</nova:ephemeral>
        <nova:vcpus>{vcpus}</nova:vcpus>{specs}
      </nova:flavor>",
        name = escape(&flavor.name),
        memory = guest.memory,
        disk = flavor.disk,
        swap = flavor.swap,
        ephemeral = flavor.ephemeral,
        vcpus = guest.vcpus.len(),
        specs = named("extraSpecs", "extraSpec", &flavor.extra_specs),
    )
}

fn image(nova: &Nova) -> String {
    let properties = named("properties", "property", &nova.image_properties);
    match &nova.image {
        Some(image) if !properties.is_empty() => {
            format!("\n      <nova:image uuid=\"{}\">{properties}</nova:image>", escape(image))
        }
        _ => String::new(),
    }
}

/// A list of named texts, left out if it is empty.
fn named(list: &str, item: &str, all: &[(String, String)]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let each = |(name, text): &(String, String)| {
        format!("<nova:{item} name=\"{}\">{}</nova:{item}>", escape(name), escape(text)) //
    };
    format!("<nova:{list}>{}</nova:{list}>", all.iter().map(each).collect::<String>())
}
