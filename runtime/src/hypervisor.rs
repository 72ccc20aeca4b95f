//! The hosts that run guests: what can be asked of one, whatever runs behind it.
//!
//! A [`Hypervisor`] opens connections; a [`Connection`] answers one blocking call at a time. A call may be slow, may
//! give part of an answer, and may never return: a guest whose process is frozen keeps the call that meets it. So
//! nothing but [`reader`] makes calls, and it makes each one on a thread that it can do without.

pub mod devices;
pub mod key;
#[cfg(feature = "libvirt")]
pub mod libvirt;
pub mod plain;
pub mod reader;
pub mod recording;
pub mod sim;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use self::key::{Groups, KeyId, KeySet};
pub use self::plain::{NOVA_NAMESPACES, Note, NotePath, Plain};
use crate::clock::Clock;

/// A host that runs guests.
pub trait Hypervisor: Send + Sync + fmt::Debug {
    /// Opens a connection of its own. Blocks.
    fn connect(&self) -> Result<Box<dyn Connection>, HypervisorError>;

    /// Whether its disks' paths are paths on this machine.
    fn has_files_here(&self) -> bool {
        false
    }
}

/// Opens the host that a URI names.
pub fn open(uri: &str, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Hypervisor>, HypervisorError> {
    match uri.split(':').next() {
        // libvirt would take it for whatever host it finds.
        Some("") => Err(HypervisorError::Uri {
            uri: uri.to_owned(),
            reason: "it names no host; write sim://, recording:FILE, or a libvirt URI such as qemu:///system".into(),
        }),
        Some("sim") => Ok(Arc::new(sim::Sim::from_uri(uri, Arc::clone(clock))?)),
        Some("recording") => Ok(Arc::new(recording::Recording::from_uri(uri)?)),
        #[cfg(feature = "libvirt")]
        _ => Ok(Arc::new(libvirt::Libvirt::new(uri))),
        #[cfg(not(feature = "libvirt"))]
        _ => Err(HypervisorError::Uri {
            uri: uri.to_owned(),
            reason: "this build has no libvirt; write sim:// or recording:FILE, or build with the feature libvirt"
                .into(),
        }),
    }
}

/// One connection to a host. Every call blocks, and may block for ever.
pub trait Connection: Send {
    /// Statistics of guests. A guest that came or went meanwhile is no error; a guest that another call is stuck in
    /// gives what needs no monitor.
    fn read(&mut self, request: &Request) -> Result<Vec<Record>, HypervisorError>;

    /// What a guest is made of; `None` if it is gone.
    fn define(&mut self, guest: Uuid) -> Result<Option<Definition>, HypervisorError>;

    /// Those of these guests whose process has been asked something and has not answered yet, and for how long.
    /// Answers at once, whoever is stuck.
    fn occupied(&mut self, guests: &[Uuid]) -> Result<Vec<(Uuid, Duration)>, HypervisorError>;

    /// What stands against metering this host, however well it answers: each with what to do about it.
    fn doubts(&mut self) -> Result<Vec<Doubt>, HypervisorError> {
        Ok(Vec::new())
    }

    /// Whether the host can still be reached over it, as far as is known without asking.
    fn is_alive(&mut self) -> bool {
        true
    }
}

/// Something about a host that will make metering less than it could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What it is.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// What a read asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Groups of statistics, as libvirt divides them.
    pub groups: Groups,
    /// Which of them: others are not worth their memory.
    pub keys: KeySet,
    /// The guests to ask.
    pub guests: Guests,
}

/// Some of a host's guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guests {
    /// Every guest, also stopped ones.
    All,
    /// These, where they still exist.
    Only(Vec<Uuid>),
}

/// One guest's statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The guest.
    pub guest: Uuid,
    /// Changes whenever the guest's definition does.
    pub revision: u64,
    /// Its statistics, in no order.
    pub stats: Vec<Stat>,
}

/// One statistic of a guest.
#[derive(Debug, Clone, PartialEq)]
pub struct Stat {
    /// What it is, with `*` for the number: `block.*.rd.bytes`.
    pub key: KeyId,
    /// The number of the device or vCPU; 0 where the key has none.
    pub number: u32,
    /// Its value.
    pub value: Value,
}

/// A statistic's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An unsigned number.
    Count(u64),
    /// A signed number.
    Integer(i64),
    /// A real number.
    Real(f64),
    /// A text, such as the name of a device.
    Text(Arc<str>),
}

/// What a guest is made of.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Definition {
    /// The guest.
    pub uuid: Uuid,
    /// Its name for the hypervisor, such as `instance-0000002a`.
    pub name: String,
    /// `hvm` and the like.
    pub os_type: String,
    /// `x86_64` and the like.
    pub architecture: String,
    /// What Nova wrote into the guest's metadata; `None` for guests that Nova did not create.
    pub nova: Option<Nova>,
    /// What is known of guests that Nova did not create; empty for others.
    #[serde(default, skip_serializing_if = "Plain::is_empty")]
    pub plain: Plain,
    /// Block devices in order.
    pub disks: Vec<Disk>,
    /// Network devices in order.
    pub nics: Vec<Nic>,
}

/// Nova's metadata of a guest.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Nova {
    /// The name that its owner gave it.
    pub display_name: String,
    /// Its flavour.
    pub flavor: Flavor,
    /// Who created it.
    pub user_id: String,
    /// Whose it is.
    pub project_id: String,
    /// The image that it was booted from.
    pub image_id: Option<String>,
    /// Properties of that image that Nova wrote down, in order.
    pub image_meta: Vec<(String, serde_json::Value)>,
    /// The metadata that its owner gave it, in order.
    pub metadata: Vec<(String, String)>,
}

/// A flavour as Nova wrote it down; sizes as Nova counts them (MiB of memory and swap, GiB of disks).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Flavor {
    /// Its id; older Novas did not write it.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Virtual CPUs.
    pub vcpus: u64,
    /// Memory in MiB.
    pub ram: u64,
    /// Root and ephemeral disk in GiB.
    pub disk: u64,
    /// Of which ephemeral.
    pub ephemeral: u64,
    /// Swap in MiB.
    pub swap: u64,
    /// Extra specifications in order; `None` where the element is absent.
    pub extra_specs: Option<Vec<(String, String)>>,
}

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Disk {
    /// Its name inside the guest's definition, such as `vda`.
    pub target: String,
    /// Whether there is a medium; a CD-ROM drive may be empty.
    pub has_source: bool,
    /// The format of the file that the medium is, such as `qcow2` or `raw`; `None` if it is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_format: Option<String>,
}

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Nic {
    /// The host's end of it, such as `tap0a1b2c3d-4e`.
    pub target: String,
    /// Its address.
    pub mac: String,
    /// The filter that it refers to.
    pub filter: Option<String>,
    /// That filter's parameters in order.
    pub parameters: Vec<(String, String)>,
    /// Its port in the virtual network.
    pub interface_id: Option<String>,
    /// The bridge that it is plugged into.
    pub bridge: Option<String>,
}

/// Why a host did not answer. The text says what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HypervisorError {
    /// The URI names no host that this build can talk to.
    #[error("cannot use the hypervisor URI {uri:?}: {reason}")]
    Uri {
        /// The URI.
        uri: String,
        /// What is wrong with it and what to write.
        reason: String,
    },
    /// There is no connection.
    #[error("cannot reach the hypervisor at {uri}: {reason}")]
    Unreachable {
        /// The URI.
        uri: String,
        /// What failed, and the remedy.
        reason: String,
    },
    /// A call failed.
    #[error("the hypervisor refused {call}: {reason}")]
    Call {
        /// Which call.
        call: &'static str,
        /// Its own words.
        reason: String,
    },
    /// What a guest is made of cannot be understood.
    #[error("its definition cannot be used: {reason}")]
    Unusable {
        /// Where in it, and what is wrong.
        reason: String,
    },
    /// So many calls have not come back that no more are made.
    #[error("the hypervisor hangs: {calls} calls are stuck, and no more are made until one comes back")]
    Stuck {
        /// How many.
        calls: usize,
    },
}

// === impl Record ===

impl Record {
    /// A whole number that is not negative, of a key without a number; `None` if there is none.
    pub fn number(&self, key: Option<KeyId>) -> Option<u64> {
        let found = self.stats.iter().find(|stat| Some(stat.key) == key)?;
        match found.value {
            Value::Count(number) => Some(number),
            Value::Integer(number) => u64::try_from(number).ok(),
            Value::Real(_) | Value::Text(_) => None,
        }
    }
}
