//! What guests that work run: a kernel, busybox, and a script.

mod initramfs;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::CannotRun;

/// Where it is below cargo's target folder.
pub const FOLDER: &str = "guest";
/// The kernel, in that folder.
const KERNEL: &str = "vmlinuz";
/// All that is in the guest besides, statically linked.
const BUSYBOX: &str = "busybox";
/// What the kernel needs for virtio disks and NICs, in any order; those that are built into it are not there.
const MODULES: &str = "modules";
/// The first process.
const INIT: &str = include_str!("system/init.sh");

/// A small Linux for guests, which `cargo xtask setup` takes out of Debian's packages without installing them.
#[derive(Debug, Clone)]
pub struct System {
    folder: PathBuf,
}

// === impl System ===

impl System {
    /// The one below cargo's target folder.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn below(target: &Path) -> Result<Self, CannotRun> {
        let folder = target.join(FOLDER);
        for part in [KERNEL, BUSYBOX, MODULES] {
            let part = folder.join(part);
            if !part.exists() {
                return Err(CannotRun::System(part));
            }
        }
        Ok(Self { folder })
    }

    /// Linux, as QEMU starts it.
    pub(crate) fn kernel(&self) -> PathBuf {
        self.folder.join(KERNEL)
    }

    /// What the kernel unpacks and runs.
    pub(crate) fn initramfs(&self) -> io::Result<Vec<u8>> {
        let mut archive = initramfs::Archive::default();
        for folder in ["bin", "dev", MODULES, "proc", "sys"] {
            archive.folder(folder);
        }
        archive.program("init", INIT.as_bytes());
        archive.program("bin/busybox", &fs::read(self.folder.join(BUSYBOX))?);
        for module in fs::read_dir(self.folder.join(MODULES))? {
            let module = module?;
            let name = format!("{MODULES}/{}", module.file_name().to_string_lossy());
            archive.program(&name, &fs::read(module.path())?);
        }
        Ok(archive.end())
    }
}
