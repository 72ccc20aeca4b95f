//! Guests, and their definitions.

mod nova;
#[cfg(test)]
mod tests;
mod work;
mod xml;

use std::path::{Path, PathBuf};

use crate::System;

pub use nova::{Flavor, Nova, NovaVersion};
pub use work::Work;

/// The bridge that all NICs are on.
pub const BRIDGE: &str = "br-rig";

/// A guest to start. Unless it [works](Guest::working), it has no operating system: its firmware finds nothing to boot.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Tells it from others; its name, UUID, disks and MAC addresses follow from it.
    number: u32,
    name: String,
    /// In MiB.
    memory: u32,
    disks: usize,
    cdroms: usize,
    nics: Vec<Nic>,
    /// Which vCPUs are there: others could be plugged in.
    vcpus: Vec<bool>,
    /// How often the balloon's statistics are read, in seconds.
    balloon_period: Option<u32>,
    metadata: Metadata,
    /// What it does, if it does anything, and with what.
    work: Option<(System, Work)>,
}

/// Where the files of a guest that works are.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// What its kernel unpacks.
    pub(crate) initramfs: PathBuf,
    /// What it writes to its serial console.
    pub(crate) console: PathBuf,
    /// The socket at which its QEMU answers the rig, and not libvirt.
    pub(crate) monitor: PathBuf,
}

/// A network card.
#[derive(Debug, Clone, Default)]
pub struct Nic {
    /// The network filter, if there is one, and its parameters.
    filter: Option<(String, Vec<(String, String)>)>,
}

/// What a definition says beyond what libvirt understands.
#[derive(Debug, Clone)]
pub enum Metadata {
    /// Nothing.
    None,
    /// What Nova says.
    Nova(Nova),
    /// Elements of any namespaces, as they stand inside of `<metadata>`.
    Raw(String),
}

// === impl Guest ===

impl Guest {
    /// A guest of Nova's with a disk, a NIC, a vCPU and 32 MiB, whose balloon is read every ten seconds.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self {
            number,
            name: format!("instance-{number:08x}"),
            memory: 32,
            disks: 1,
            cdroms: 0,
            nics: vec![Nic::default()],
            vcpus: vec![true],
            balloon_period: Some(10),
            metadata: Metadata::Nova(Nova::default()),
            work: None,
        }
    }

    /// The same with 128 MiB and a small Linux, which uses its CPU, its disk and its NIC all the time.
    #[must_use]
    pub fn working(number: u32, system: &System, work: Work) -> Self {
        Self { memory: 128, work: Some((system.clone(), work)), ..Self::new(number) }
    }

    /// Another name than Nova would give it.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// How much memory it has, in MiB.
    #[must_use]
    pub fn memory(mut self, mib: u32) -> Self {
        self.memory = mib;
        self
    }

    /// How many disks it has: at most 26, `vda` and so on.
    #[must_use]
    pub fn disks(mut self, disks: usize) -> Self {
        self.disks = disks;
        self
    }

    /// How many CD-ROM drives without a medium it has: at most 4, `hda` and so on.
    #[must_use]
    pub fn cdroms(mut self, cdroms: usize) -> Self {
        self.cdroms = cdroms;
        self
    }

    /// The NICs that it has.
    #[must_use]
    pub fn nics(mut self, nics: &[Nic]) -> Self {
        nics.clone_into(&mut self.nics);
        self
    }

    /// Which vCPUs there are: `&[true, false, true]` has a hole where the second could be plugged in. The first is
    /// always there.
    #[must_use]
    pub fn vcpus(mut self, vcpus: &[bool]) -> Self {
        vcpus.clone_into(&mut self.vcpus);
        self
    }

    /// How often the balloon's statistics are read, in seconds; `None` leaves that out.
    #[must_use]
    pub fn balloon_period(mut self, seconds: Option<u32>) -> Self {
        self.balloon_period = seconds;
        self
    }

    /// What its definition says beyond what libvirt understands.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Shorthand for [`metadata`](Self::metadata) of Nova.
    #[must_use]
    pub fn nova(self, nova: Nova) -> Self {
        self.metadata(Metadata::Nova(nova))
    }

    /// What tells it from others.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its name in libvirt.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its UUID, the same in each rig.
    #[must_use]
    pub fn uuid(&self) -> String {
        format!("52494700-0000-4000-8000-{:012x}", self.number)
    }

    /// The host's end of a NIC, counted from zero.
    #[must_use]
    pub fn tap(&self, nic: usize) -> String {
        format!("tap{:x}-{nic}", self.number)
    }

    /// The MAC address of a NIC, counted from zero.
    #[must_use]
    pub fn mac(&self, nic: usize) -> String {
        let [_, high, middle, low] = self.number.to_be_bytes();
        format!("fa:16:{high:02x}:{middle:02x}:{low:02x}:{nic:02x}")
    }

    /// The files of its disks.
    pub(crate) fn disk_files(&self, folder: &Path) -> Vec<PathBuf> {
        let disk = |letter| folder.join(format!("{}-vd{letter}.qcow2", self.number));
        ('a'..='z').take(self.disks).map(disk).collect()
    }

    /// What it works with, if it does.
    pub(crate) fn system(&self) -> Option<&System> {
        self.work.as_ref().map(|(system, _)| system)
    }

    /// Where the files are of one that works, in a folder.
    pub(crate) fn places(&self, folder: &Path) -> Places {
        let place = |what| folder.join(format!("{}.{what}", self.number));
        Places { initramfs: place("cpio"), console: place("console"), monitor: place("monitor") }
    }

    /// Its definition, with its disks in a folder, and whatever else it has in another.
    pub(crate) fn xml(&self, disks: &Path, folder: &Path) -> String {
        xml::definition(self, &self.disk_files(disks), &self.places(folder))
    }
}

// === impl Nic ===

impl Nic {
    /// A NIC without a filter.
    #[must_use]
    pub fn plain() -> Self {
        Self::default()
    }

    /// A NIC with a network filter of libvirt's, such as `clean-traffic` with the parameter `IP`. libvirt takes about a
    /// second to set one up, one after the other.
    #[must_use]
    pub fn filtered(filter: &str, parameters: &[(&str, &str)]) -> Self {
        let parameters = parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { filter: Some((filter.to_owned(), parameters)) }
    }
}
