//! Pseudonyms that look like what they stand for.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// So often another pseudonym is tried when one is taken. Only short ones ever are.
const TRIES: u32 = 1000;

/// The pseudonyms of one recording.
pub(super) struct Pseudonyms {
    salt: [u8; 32],
    /// What short pseudonyms stand for, as hashes, so that no two originals share one.
    given: HashMap<[u8; 32], String>,
    taken: HashSet<String>,
}

// === impl Pseudonyms ===

impl Pseudonyms {
    /// With salt that nobody knows.
    pub(super) fn random() -> io::Result<Self> {
        let mut salt = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut salt)?;
        Ok(Self::salted(salt))
    }

    pub(super) fn salted(salt: [u8; 32]) -> Self {
        Self { salt, given: HashMap::new(), taken: HashSet::new() }
    }

    /// For a text that must not be seen: of the same shape if it has one, and otherwise this word with a hash.
    pub(super) fn text(&mut self, word: &str, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        self.shaped(text).unwrap_or_else(|| {
            let [a, b, c, d, e, f, ..] = self.hash("text", text.as_bytes());
            format!("{word}-{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}{f:02x}")
        })
    }

    /// For a text that may be seen: itself, unless it has the shape of an identity.
    pub(super) fn kept(&mut self, text: &str) -> String {
        self.shaped(text).unwrap_or_else(|| text.to_owned())
    }

    /// For the name by which the hypervisor knows a guest.
    pub(super) fn instance(&mut self, name: &str) -> String {
        self.unique("instance", name.as_bytes(), |[a, b, c, d, ..]| format!("instance-{a:02x}{b:02x}{c:02x}{d:02x}"))
    }

    /// For a hardware address, under OpenStack's prefix.
    pub(super) fn mac(&mut self, mac: &str) -> String {
        let mac = mac.to_ascii_lowercase();
        self.unique("mac", mac.as_bytes(), |[a, b, c, ..]| format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}"))
    }

    /// For a UUID. Its first five bytes have a pseudonym of their own, by which interfaces are named after it.
    pub(super) fn uuid(&self, uuid: Uuid) -> Uuid {
        let [a, b, c, d, e, ..] = *uuid.as_bytes();
        let [_, _, _, _, _, rest @ ..] = self.hash("uuid", uuid.as_bytes());
        let mut bytes = [0; 16];
        let both = self.port([a, b, c, d, e]).into_iter().chain(rest);
        bytes.iter_mut().zip(both).for_each(|(to, from)| *to = from);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    pub(super) fn number(&self, number: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.hash("number", &number.to_be_bytes());
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    fn shaped(&mut self, text: &str) -> Option<String> {
        if let (32 | 36, Ok(uuid)) = (text.len(), Uuid::try_parse(text)) {
            let uuid = self.uuid(uuid);
            return Some(if text.len() == 32 { uuid.simple().to_string() } else { uuid.to_string() });
        }
        if is_mac(text) {
            return Some(self.mac(text));
        }
        if let Some((kind, id)) = interface(text) {
            let [a, b, c, d, e] = self.port(id);
            return Some(format!("{kind}{a:02x}{b:02x}{c:02x}{d:02x}-{e:02x}"));
        }
        Some(match text.parse().ok()? {
            IpAddr::V4(address) => {
                let [a, b, c, ..] = self.hash("ip", &address.octets());
                Ipv4Addr::new(10, a, b, c).to_string()
            }
            IpAddr::V6(address) => {
                let mut bytes = [0; 16];
                let hash = std::iter::once(0xfd).chain(self.hash("ip", &address.octets()));
                bytes.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
                Ipv6Addr::from(bytes).to_string()
            }
        })
    }

    fn port(&self, id: [u8; 5]) -> [u8; 5] {
        let [a, b, c, d, e, ..] = self.hash("port", &id);
        [a, b, c, d, e]
    }

    fn unique(&mut self, kind: &str, original: &[u8], shape: impl Fn([u8; 32]) -> String) -> String {
        let hash = self.hash(kind, original);
        if let Some(known) = self.given.get(&hash) {
            return known.clone();
        }
        let mut pseudonym = shape(hash);
        for again in 1..TRIES {
            if !self.taken.contains(&pseudonym) {
                break;
            }
            pseudonym = shape(self.hash(kind, &[original, b"\0", &again.to_be_bytes()].concat()));
        }
        self.taken.insert(pseudonym.clone());
        self.given.insert(hash, pseudonym.clone());
        pseudonym
    }

    fn hash(&self, kind: &str, original: &[u8]) -> [u8; 32] {
        let hash = Sha256::new().chain_update(self.salt).chain_update(kind).chain_update([0]).chain_update(original);
        hash.finalize().into()
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever knows the salt can try originals.
        f.debug_struct("Pseudonyms").finish_non_exhaustive()
    }
}

fn is_mac(text: &str) -> bool {
    let is_byte = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.len() == 17 && text.split(':').all(is_byte)
}

/// The kind and the id in an interface's name, such as `tap` and `0a1b2c3d-4e`.
fn interface(name: &str) -> Option<(&str, [u8; 5])> {
    let (kind, id) = name.split_at_checked(3).filter(|(kind, _)| kind.bytes().all(|byte| byte.is_ascii_lowercase()))?;
    let (first, last) = id.split_once('-').filter(|(first, last)| first.len() == 8 && last.len() == 2)?;
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex(first) || !is_hex(last) {
        return None;
    }
    let [a, b, c, d] = u32::from_str_radix(first, 16).ok()?.to_be_bytes();
    Some((kind, [a, b, c, d, u8::from_str_radix(last, 16).ok()?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_keep_their_shape() {
        let mut names = Pseudonyms::salted([7; 32]);
        let id = "0a1b2c3d-4e5f-4678-9abc-def012345678";
        let masked = names.text("x", id);
        assert_ne!(masked, id);
        assert_eq!(names.text("x", &id.replace('-', "")), masked.replace('-', ""));
        assert_eq!(names.text("x", "tap0a1b2c3d-4e"), format!("tap{}", &masked[..11]));
        assert_eq!(names.kept("qbr0a1b2c3d-4e"), format!("qbr{}", &masked[..11]));
        let mac = names.text("x", "52:54:00:AB:cd:ef");
        assert!(mac.starts_with("fa:16:3e:") && is_mac(&mac));
        assert_eq!(names.mac("52:54:00:ab:cd:ef"), mac);
        assert!(names.kept("192.168.0.1").starts_with("10."));
        assert!(names.kept("2001:db8::1").starts_with("fd"));
        assert!(names.instance("web.example.org").starts_with("instance-"));
        let text = names.text("path", "/var/lib/nova/disk");
        assert_eq!((text.len(), text.starts_with("path-")), (17, true));
        assert_eq!(names.text("x", ""), "");
        for kept in ["vda", "br-int", "m1.small", "vnet0", "a:b", "tapäöüß-ab", "+a1b2c3d-4e"] {
            assert_eq!(names.kept(kept), kept);
        }
    }

    #[test]
    fn no_two_originals_share_a_pseudonym() {
        let mut names = Pseudonyms::salted([7; 32]);
        let macs: HashSet<String> = (0..20_000).map(|n| names.mac(&format!("original {n}"))).collect();
        assert_eq!(macs.len(), 20_000);
    }

    #[test]
    fn another_salt_gives_other_pseudonyms() {
        let [mut one, mut other] = [Pseudonyms::random().unwrap(), Pseudonyms::random().unwrap()];
        assert_ne!(one.text("name", "web"), other.text("name", "web"));
        assert_eq!(format!("{one:?}"), "Pseudonyms { .. }");
    }
}
