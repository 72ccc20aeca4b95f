//! What a guest that works really did, found out without libvirt.

mod monitor;

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::namespaces::PAUSE;
use crate::{Failed, Guest, Libvirtd, processes};
use monitor::Monitor;

/// Where the processor helps, a guest works after a second; emulated, after five, if the machine has nothing else to do.
const WORKS_WITHIN: Duration = Duration::from_secs(180);
/// What begins a guest's line with its own counters.
const COUNTED: &str = "counted ";
/// What Linux counts the bytes of disks in, whatever their own sectors are.
const SECTOR: u64 = 512;

/// What a guest did since its start, as Linux and QEMU count it.
#[derive(Debug, Clone)]
pub struct Truth {
    /// When the first of it was read.
    pub from: SystemTime,
    /// When the last of it was.
    pub to: SystemTime,
    /// The time of its virtual CPUs.
    pub vcpus: Vcpus,
    /// The CPU time of its QEMU as a whole, in steps of 10 ms.
    pub process: Duration,
    /// What its first disk and its first NIC did: by QEMU's counters and by those of the host's end.
    pub devices: Devices,
}

/// The time of the threads that are virtual CPUs, all together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vcpus {
    /// How long they ran.
    pub ran: Duration,
    /// How long they could have run, but others did.
    pub delayed: Duration,
    /// The same as libvirt calls it, which Linux counts only if it is told to (`kernel.sched_schedstats`).
    pub waited: Duration,
}

/// What a disk and a NIC did, as the guest sees it: incoming is what the guest received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Devices {
    pub read_requests: u64,
    pub read_bytes: u64,
    pub write_requests: u64,
    pub written_bytes: u64,
    pub incoming_packets: u64,
    pub incoming_bytes: u64,
    pub outgoing_packets: u64,
    pub outgoing_bytes: u64,
}

// === impl Libvirtd ===

impl Libvirtd {
    /// Starts guests that work, and waits until each uses its disk and its NIC.
    ///
    /// # Errors
    ///
    /// If libvirt refuses one, or if one does not begin.
    pub fn boot_working(&self, guests: &[Guest]) -> Result<(), Failed> {
        self.boot_running(guests)?;
        let until = Instant::now() + WORKS_WITHIN;
        for guest in guests {
            while !self.counted(guest).is_some_and(|counted| counted.all_move()) {
                if Instant::now() > until {
                    return Err(Failed::Idle { guest: guest.name().to_owned(), said: self.console(guest) });
                }
                thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// What a guest that works wrote to its serial console.
    #[must_use]
    pub fn console(&self, guest: &Guest) -> String {
        let console = fs::read(guest.places(&self.folder.guests()).console).unwrap_or_default();
        String::from_utf8_lossy(&console).replace('\r', "")
    }

    /// What a guest that works counted itself, a second ago or less: its own kernel's numbers, which it tells on its
    /// console.
    #[must_use]
    pub fn counted(&self, guest: &Guest) -> Option<Devices> {
        let console = self.console(guest);
        // The last line may not be whole yet.
        let (whole, _) = console.rsplit_once('\n')?;
        Devices::told(whole.lines().rev().find_map(|line| line.strip_prefix(COUNTED))?)
    }

    /// What a guest that works did until now.
    ///
    /// # Errors
    ///
    /// If it does not run, or does not [work](Guest::working).
    #[allow(clippy::disallowed_methods, reason = "it is compared with what others measured at this time of day")]
    pub fn truth(&self, guest: &Guest) -> Result<Truth, Failed> {
        let no_guest = || Failed::NoGuest(guest.name().to_owned());
        let pid = self.qemus().remove(guest.name()).ok_or_else(no_guest)?;
        let mut monitor = Monitor::connect(&guest.places(&self.folder.guests()).monitor)?;
        let process = pid.as_raw_nonzero().get();
        let from = SystemTime::now();
        let vcpus = Vcpus::of(process).ok_or_else(no_guest)?;
        let cpu_time = processes::cpu_time(pid);
        let nics = fs::read_to_string(format!("/proc/{process}/net/dev")).map_err(Failed::io("a tap"))?;
        let disk = monitor.first_disk()?;
        let to = SystemTime::now();
        let devices = disk.and_nic(&nics, &guest.tap(0)).ok_or_else(no_guest)?;
        Ok(Truth { from, to, vcpus, process: cpu_time, devices })
    }
}

// === impl Devices ===

impl Devices {
    /// Reads what a guest tells: requests and sectors read, the same written, packets and bytes received and sent.
    fn told(line: &str) -> Option<Self> {
        let numbers: Result<Vec<u64>, _> = line.split_whitespace().map(str::parse).collect();
        let [read_requests, read, write_requests, written, packets_in, bytes_in, packets_out, bytes_out] =
            numbers.ok()?[..]
        else {
            return None;
        };
        Some(Self {
            read_requests,
            read_bytes: read * SECTOR,
            write_requests,
            written_bytes: written * SECTOR,
            incoming_packets: packets_in,
            incoming_bytes: bytes_in,
            outgoing_packets: packets_out,
            outgoing_bytes: bytes_out,
        })
    }

    /// With the counters of a NIC, by those of the host's end, for which in is out.
    fn and_nic(self, all: &str, tap: &str) -> Option<Self> {
        let (_, counters) = all.lines().find_map(|line| line.split_once(':').filter(|(name, _)| name.trim() == tap))?;
        let counters: Vec<u64> = counters.split_whitespace().map_while(|counter| counter.parse().ok()).collect();
        Some(Self {
            outgoing_bytes: *counters.first()?,
            outgoing_packets: *counters.get(1)?,
            incoming_bytes: *counters.get(8)?,
            incoming_packets: *counters.get(9)?,
            ..self
        })
    }

    fn all_move(&self) -> bool {
        [self.read_requests, self.write_requests, self.incoming_packets, self.outgoing_packets]
            .iter()
            .all(|&all| all > 0)
    }
}

// === impl Vcpus ===

impl Vcpus {
    /// Those of a QEMU, which names its threads.
    fn of(pid: i32) -> Option<Self> {
        let mut all = Self::default();
        for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
            let thread = thread.ok()?.path();
            // Others may end meanwhile.
            if !fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.starts_with("CPU ")) {
                continue;
            }
            let times = fs::read_to_string(thread.join("schedstat")).ok()?;
            let mut times = times.split_whitespace().map_while(|time| time.parse().ok().map(Duration::from_nanos));
            all.ran += times.next()?;
            all.delayed += times.next()?;
            all.waited += waited(&fs::read_to_string(thread.join("sched")).unwrap_or_default());
        }
        Some(all)
    }
}

/// What a thread's `sched` says of waiting, in milliseconds, under the names that libvirt knows.
fn waited(sched: &str) -> Duration {
    let time =
        sched.lines().find_map(|line| line.split_once(':').filter(|(name, _)| name.trim().ends_with(".wait_sum")));
    let milliseconds = time.and_then(|(_, time)| time.trim().parse::<f64>().ok()).unwrap_or_default();
    Duration::from_secs_f64(milliseconds / 1000.0)
}
