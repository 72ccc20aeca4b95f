//! The processes of the rig, as seen from outside of its namespaces.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::Pid;

/// CPU time, of users and system together, in steps of 10 ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cpu {
    /// What libvirtd used since it was last started.
    pub libvirtd: Duration,
    /// What all guests that run now have used.
    pub qemus: Duration,
}

/// The processes in the rig's namespaces.
#[derive(Debug)]
pub(crate) struct Processes {
    /// How `/proc` names the process namespace.
    namespace: PathBuf,
}

// === impl Processes ===

impl Processes {
    /// Those whose first one is the child of `unshare`.
    pub(crate) fn below(unshare: &Child) -> io::Result<Self> {
        Ok(Self { namespace: fs::read_link(format!("/proc/{}/ns/pid_for_children", unshare.id()))? })
    }

    /// The process with an id as seen from inside.
    pub(crate) fn outside(&self, inside: i32) -> Option<Pid> {
        self.by_inside().remove(&inside)
    }

    /// All of them, by their ids as seen from inside.
    pub(crate) fn by_inside(&self) -> BTreeMap<i32, Pid> {
        let Ok(all) = fs::read_dir("/proc") else { return BTreeMap::new() };
        all.filter_map(|process| self.ids(&process.ok()?.path())).collect()
    }

    /// A process's ids from inside and outside, if it is one of ours. It may end at any time.
    fn ids(&self, process: &Path) -> Option<(i32, Pid)> {
        let outside = process.file_name()?.to_str()?.parse().ok()?;
        if fs::read_link(process.join("ns/pid")).ok()? != self.namespace {
            return None;
        }
        let status = fs::read_to_string(process.join("status")).ok()?;
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        Some((ids.split_whitespace().next_back()?.parse().ok()?, Pid::from_raw(outside)?))
    }
}

/// Whether there is still something of a process. One that waits to be reaped may have threads that still end, which
/// hold its files.
pub(crate) fn is_alive(pid: Pid) -> bool {
    state(pid).is_some()
}

/// Whether signals stopped a process.
pub(crate) fn is_stopped(pid: Pid) -> bool {
    state(pid) == Some('T')
}

/// The CPU time that a process used, with its threads that ended; zero if it ended itself.
pub(crate) fn cpu_time(pid: Pid) -> Duration {
    let fields = stat(pid).unwrap_or_default();
    // From the state on, which is the third: the 14th and 15th.
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / clock_ticks_per_second())
}

fn state(pid: Pid) -> Option<char> {
    stat(pid)?.chars().next()
}

/// `/proc/<pid>/stat` after the process's name, which may hold anything.
fn stat(pid: Pid) -> Option<String> {
    let all = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    Some(all.rsplit_once(") ")?.1.to_owned())
}
