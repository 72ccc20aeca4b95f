//! The flavours that simulated guests come in.

use crate::hypervisor::Flavor;

/// A flavour as a constant.
#[derive(Debug)]
pub(super) struct Shape {
    id: &'static str,
    name: &'static str,
    pub(super) vcpus: u32,
    /// MiB.
    pub(super) ram: u64,
    /// GiB.
    pub(super) root: u64,
    /// GiB.
    pub(super) ephemeral: u64,
    /// MiB.
    pub(super) swap: u64,
    specs: Option<&'static [(&'static str, &'static str)]>,
}

/// What most guests are.
pub(super) static SMALL: Shape =
    Shape { id: "2", name: "m1.small", vcpus: 1, ram: 2048, root: 20, ephemeral: 0, swap: 0, specs: Some(&[]) };

static TINY: Shape =
    Shape { id: "1", name: "m1.tiny", vcpus: 1, ram: 512, root: 1, ephemeral: 0, swap: 0, specs: None };

static LARGE: Shape = Shape {
    id: "4",
    name: "m1.large",
    vcpus: 4,
    ram: 8192,
    root: 80,
    ephemeral: 0,
    swap: 0,
    specs: Some(&[("hw:mem_page_size", "large")]),
};

static XLARGE: Shape = Shape {
    id: "7f1d6a0e-53a4-4c0e-9e51-5b0f0e6f3c11",
    name: "c5.xlarge",
    vcpus: 4,
    ram: 16384,
    root: 40,
    ephemeral: 20,
    swap: 1024,
    specs: Some(&[("hw:cpu_policy", "dedicated"), ("quota:disk_read_iops_sec", "5000")]),
};

/// One for each guest in turn.
pub(super) static SHAPES: [&Shape; 5] = [&SMALL, &LARGE, &TINY, &XLARGE, &SMALL];

// === impl Shape ===

impl Shape {
    pub(super) fn flavor(&self) -> Flavor {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Flavor {
            id: Some(self.id.to_owned()),
            name: self.name.to_owned(),
            vcpus: u64::from(self.vcpus),
            ram: self.ram,
            disk: self.root + self.ephemeral,
            ephemeral: self.ephemeral,
            swap: self.swap,
            extra_specs: self.specs.map(|specs| specs.iter().map(owned).collect()),
        }
    }
}
