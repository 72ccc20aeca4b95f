//! What processes cost.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

/// A process and all that descend from it.
#[derive(Debug, Clone, Copy)]
pub struct Processes {
    first: u32,
}

/// What processes have used up to now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// CPU time, of users and system together, in steps of 10 ms.
    pub cpu: Duration,
    /// Resident memory in bytes, all processes together. What they share counts in each.
    pub resident: u64,
    /// What of it is no file's: libraries and programs are shared with whoever else has them.
    pub anonymous: u64,
}

/// What `/proc` says of one process.
struct Stat {
    parent: u32,
    used: Used,
}

// === impl Processes ===

impl Processes {
    /// Those that descend from this one, and itself.
    #[must_use]
    pub fn from(first: u32) -> Self {
        Self { first }
    }

    /// What they have used up to now; those that ended do not count.
    #[must_use]
    pub fn used(self) -> Used {
        let all: BTreeMap<u32, Stat> = fs::read_dir("/proc").into_iter().flatten().filter_map(stat).collect();
        let mut used = Used::default();
        let mut these = vec![self.first];
        while let Some(process) = these.pop() {
            these.extend(all.iter().filter(|(_, stat)| stat.parent == process).map(|(child, _)| *child));
            if let Some(stat) = all.get(&process) {
                used.cpu += stat.used.cpu;
                used.resident += stat.used.resident;
                used.anonymous += stat.used.anonymous;
            }
        }
        used
    }
}

fn stat(entry: std::io::Result<fs::DirEntry>) -> Option<(u32, Stat)> {
    let process = entry.ok()?.file_name().to_str()?.parse().ok()?;
    let page = u64::try_from(page_size()).ok()?;
    let all = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may hold anything. From the state on, which is the third field.
    let fields: Vec<&str> = all.rsplit_once(") ")?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let cpu = Duration::from_millis((field(14)? + field(15)?) * 1000 / clock_ticks_per_second());
    let pages = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let mut bytes = pages.split(' ').skip(1).map(|pages| Some(pages.parse::<u64>().ok()? * page));
    let (resident, of_files) = (bytes.next()??, bytes.next()??);
    let used = Used { cpu, resident, anonymous: resident.saturating_sub(of_files) };
    Some((process, Stat { parent: fields.get(1)?.parse().ok()?, used }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_one_uses_something() {
        let used = Processes::from(std::process::id()).used();
        assert!(used.resident > used.anonymous && used.anonymous > 10 << 10, "{used:?}");
        assert_eq!(Processes::from(u32::MAX).used(), Used::default());
    }
}
