//! What a guest that works does all the time.

use super::Guest;

/// What a guest does all the time: about so much, as what it really did is [counted](crate::Truth).
#[derive(Debug, Clone)]
pub struct Work {
    /// How much of each vCPU it uses, in percent; its other work comes on top.
    pub cpu: u32,
    /// How many KiB it reads at once from its first disk, ten times a second.
    pub read: u32,
    /// How many KiB it writes at once to it, ten times a second.
    pub written: u32,
    /// How many bytes of data a ping to the host has, which sends as many back over its first NIC.
    pub ping: u32,
    /// How many pings it sends in a second: from 1 to 100.
    pub pings: u32,
}

// === impl Work ===

impl Default for Work {
    fn default() -> Self {
        Self { cpu: 30, read: 64, written: 32, ping: 1000, pings: 50 }
    }
}

/// The host's address on the bridge, which a script gives it.
const HOST: &str = "10.77.255.254";

/// The kernel's command line: where it writes what it says, and what the first process is told.
pub(super) fn command_line(guest: &Guest, work: &Work) -> String {
    let [.., high, low] = guest.number().to_be_bytes();
    let pause = 1000 / work.pings.clamp(1, 100);
    format!(
        "console=ttyS0 quiet loglevel=3 panic=-1 rig_address=10.77.{high}.{low} rig_peer={HOST} rig_cpu={cpu} \
         rig_read={read}k rig_written={written}k rig_ping={ping} rig_pause={whole}.{rest:03}",
        cpu = work.cpu.min(100),
        read = work.read,
        written = work.written,
        ping = work.ping,
        whole = pause / 1000,
        rest = pause % 1000,
    )
}
