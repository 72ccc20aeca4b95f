//! Who the guests are: their definitions, with the metadata that Nova would have written.

use serde_json::Value;

use super::guest::{Block, Guest, port};
use super::hash::Dice;
use super::life::Life;
use crate::hypervisor::{Definition, Disk, Nic, Nova, Plain};

/// What owners call their guests; a few on purpose such as careless code stumbles over.
const NAMES: [&str; 10] = [
    "web",
    "db",
    "Büro-Server",
    "計測-node",
    "the \"quoted\" one",
    "a<b> & c",
    "it's; -- here",
    "build worker",
    "mail.example.org",
    "batch",
];

/// Images: the operating system, its least disk in GiB, its least memory in MiB.
const IMAGES: [(&str, u64, u64); 3] = [("debian", 5, 512), ("ubuntu", 10, 512), ("cirros", 0, 0)];

/// A project has about this many guests, but there are some projects on every host.
const GUESTS_PER_PROJECT: u64 = 5;
const FEWEST_PROJECTS: u64 = 3;

/// Tenants and their guests.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    dice: Dice,
    projects: u64,
}

// === impl Cast ===

impl Cast {
    pub(super) fn new(dice: Dice, guests: u64) -> Self {
        Self { dice, projects: (guests / GUESTS_PER_PROJECT).max(FEWEST_PROJECTS) }
    }

    pub(super) fn definition(&self, guest: &Guest, life: &Life) -> Definition {
        Definition {
            uuid: guest.uuid,
            name: format!("instance-{:08x}", guest.number + 1),
            os_type: "hvm".to_owned(),
            architecture: "x86_64".to_owned(),
            nova: Some(self.nova(guest)),
            plain: Plain::default(),
            disks: (0..).zip(guest.blocks(life)).map(|(number, block)| disk(guest, number, &block)).collect(),
            nics: (0..).zip(&guest.nics).map(|(number, target)| nic(guest, number, target)).collect(),
        }
    }

    fn nova(&self, guest: &Guest) -> Nova {
        let project = guest.number % self.projects;
        // Two people work on each project.
        let user = project * 2 + guest.number / self.projects % 2;
        let name = guest.dice.of("name").pick(&NAMES, "guest");
        let image = (!guest.traits.volume).then(|| guest.dice.of("image").pick(&[0, 1, 2], 0));
        let stack = [("metering.stack", format!("stack-{project}")), ("metering.tier", "front".to_owned())];
        let mut metadata = vec![("owner".to_owned(), format!("team {project}"))];
        metadata.extend(stack.into_iter().filter(|_| guest.traits.stack).map(|(key, value)| (key.to_owned(), value)));
        Nova {
            display_name: format!("{name}-{}", guest.number),
            flavor: guest.shape.flavor(),
            user_id: hex(self.dice.of("user").number(user)),
            project_id: hex(self.dice.of("project").number(project)),
            image_id: image.map(|image| self.image_id(image)),
            image_meta: image.map(|image| self.image_meta(image)).unwrap_or_default(),
            metadata,
        }
    }

    fn image_id(&self, image: u64) -> String {
        uuid::Builder::from_random_bytes(self.dice.of("image").number(image).bytes()).into_uuid().to_string()
    }

    fn image_meta(&self, image: u64) -> Vec<(String, Value)> {
        let known = usize::try_from(image).ok().and_then(|n| IMAGES.get(n));
        let Some((system, disk, ram)) = known else { return Vec::new() };
        [
            ("base_image_ref", self.image_id(image)),
            ("container_format", "bare".to_owned()),
            ("disk_format", "qcow2".to_owned()),
            ("min_disk", disk.to_string()),
            ("min_ram", ram.to_string()),
            ("os_distro", (*system).to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), Value::String(value)))
        .into()
    }
}

fn disk(guest: &Guest, number: u32, block: &Block<'_>) -> Disk {
    let format = block.effort.and_then(|_| guest.file_format(number));
    Disk {
        target: block.name.to_string(),
        has_source: block.effort.is_some(),
        file_format: format.map(ToOwned::to_owned),
    }
}

fn nic(guest: &Guest, number: u64, target: &str) -> Nic {
    let (id, _) = port(guest.number, number, guest.dice);
    let mac = mac(guest.number, number);
    let filter = (guest.traits.filter && number == 0)
        .then(|| format!("nova-instance-instance-{:08x}-{}", guest.number + 1, mac.replace(':', "")));
    let address = guest.number + 2;
    let parameters = [
        ("DHCPSERVER", "10.0.0.1".to_owned()),
        ("IP", format!("10.{}.{}.{}", number, address / 256, address % 256)),
        ("PROJNET", "10.0.0.0".to_owned()),
    ]
    .into_iter()
    .filter(|_| filter.is_some())
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let bridge = Some("br-int".to_owned());
    Nic { target: target.to_owned(), mac, filter, parameters, interface_id: Some(id.to_string()), bridge }
}

/// An address under OpenStack's prefix that no other device has.
fn mac(guest: u64, nic: u64) -> String {
    let [.., a, b, c] = (guest * 16 + nic).wrapping_mul(0x9e_37b1).to_be_bytes();
    format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}")
}

/// An id as Keystone writes them.
fn hex(dice: Dice) -> String {
    format!("{:032x}", u128::from_be_bytes(dice.bytes()))
}
