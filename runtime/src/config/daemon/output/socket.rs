//! Receivers of MessagePack, such as Ceilometer's collector was.

use super::notifier::{self, DEFAULT_SECRET};
use super::{endpoint, named_of};
use crate::config::Secret;
use crate::config::daemon::read::Reading;
use crate::config::problem::{Place, Severity};
use crate::config::yaml::{Node, Section};

/// Where samples go that are sent one by one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SocketOutput {
    /// What it is called.
    pub name: String,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What samples are signed with; nothing leaves them unsigned.
    #[serde(serialize_with = "notifier::hidden")]
    pub secret: Secret,
    /// This host, which samples in a connection name as their sender.
    #[serde(skip)]
    pub publisher: String,
    /// Where it is configured.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// Where Ceilometer's collector listened.
pub(super) const PORT: u16 = 4952;
const KEYS: [&str; 4] = ["host", "port", "secret", "secret_file"];
const LONGEST: usize = 255;

// === impl SocketOutput ===

impl SocketOutput {
    /// Reads what stands under `udp` or `tcp`.
    pub(super) fn read(
        output: &Section<'_>,
        kind: &str,
        name: Option<String>,
        us: &str,
        reading: &mut Reading<'_, '_>,
    ) -> Option<Self> {
        let node = output.get(kind).unwrap_or(&Node::NULL);
        let section = Section::of(node, output.key(kind), &KEYS, Severity::Error, reading.problems)?;
        let remedy = "Name the host that samples go to";
        let host = section.required("host", reading.problems, remedy, |node| match node.text()? {
            host if host.len() <= LONGEST && endpoint::address_of(host, PORT).is_ok_and(|(name, _)| name == host) => {
                Ok(host.to_owned())
            }
            _ => Err(node.refuse("not a host", "Write a name or an address, and the port under `port`")),
        });
        let port = section.read("port", reading.problems, |node| node.integer(&(1..=65_535)));
        let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(PORT);
        let secret = notifier::secret(&section, reading).unwrap_or_else(|| DEFAULT_SECRET.to_owned());
        let host = host?;
        Some(Self {
            name: name.unwrap_or_else(|| named_of(kind, &endpoint::authority(&host, port))),
            host,
            port,
            secret: Secret::new(secret),
            publisher: us.to_owned(),
            place: section.place,
        })
    }

    /// Whether samples are signed with what Ceilometer signs with if nobody says anything.
    pub fn is_signed_as_by_all(&self) -> bool {
        self.secret.expose() == DEFAULT_SECRET
    }

    /// Host and port, to be shown.
    pub fn address(&self) -> String {
        endpoint::authority(&self.host, self.port)
    }
}
