//! How many devices of a guest count.

use super::Definition;

/// Block devices that a guest may have, and network devices: more than any machine type has room for. Each is a
/// resource with metadata of its own.
pub const DEVICES: usize = 1_000;

/// Virtual CPUs that a guest may have: more than any machine type can be given.
pub const VCPUS: usize = 16_384;

// === impl Definition ===

impl Definition {
    /// How many block devices and network devices are more than count.
    pub fn surplus(&self) -> usize {
        self.disks.len().saturating_sub(DEVICES) + self.nics.len().saturating_sub(DEVICES)
    }

    /// Leaves out what does not count, which is what comes last.
    pub fn keep_what_counts(&mut self) {
        self.disks.truncate(DEVICES);
        self.nics.truncate(DEVICES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypervisor::{Disk, Nic};

    fn guest(disks: usize, nics: usize) -> Definition {
        let disk = |number| Disk { target: format!("vd{number}"), has_source: true, file_format: None };
        let nic: Nic = serde_json::from_str(
            r#"{"target":"t","mac":"m","filter":null,"parameters":[],"interface_id":null,"bridge":null}"#,
        )
        .unwrap();
        let text = concat!(
            r#"{"uuid":"00000000-0000-0000-0000-000000000001","name":"a","os_type":"hvm","architecture":"x86_64","#,
            r#""nova":null,"disks":[],"nics":[]}"#,
        );
        let empty: Definition = serde_json::from_str(text).unwrap();
        Definition { disks: (0..disks).map(disk).collect(), nics: vec![nic; nics], ..empty }
    }

    #[test]
    fn the_first_devices_count() {
        let mut usual = guest(DEVICES, DEVICES);
        let whole = usual.clone();
        usual.keep_what_counts();
        assert_eq!((usual.surplus(), &usual), (0, &whole));
        let mut odd = guest(DEVICES + 2, DEVICES + 3);
        assert_eq!(odd.surplus(), 5);
        odd.keep_what_counts();
        assert_eq!(odd, whole);
    }
}
