//! Starting, freezing and ending guests.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::namespaces::PAUSE;
use crate::{Failed, Guest, Libvirtd, processes};

/// How many commands one virsh gets: its command line is one argument, of which Linux takes 128 KiB.
const BATCH: usize = 200;
/// A signal is acted on in microseconds.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

// === impl Libvirtd ===

impl Libvirtd {
    /// Starts guests and leaves them paused, which costs no CPU. They answer everything that a running one does.
    ///
    /// # Errors
    ///
    /// If libvirt refuses one; others may run by then.
    pub fn boot(&self, guests: &[Guest]) -> Result<(), Failed> {
        self.start_all(guests, " --paused")
    }

    /// Starts guests and lets them run. Without anything to boot, each takes about a hundredth of a core.
    ///
    /// # Errors
    ///
    /// If libvirt refuses one; others may run by then.
    pub fn boot_running(&self, guests: &[Guest]) -> Result<(), Failed> {
        self.start_all(guests, "")
    }

    /// Makes a guest known without starting it. One that is known already gets another definition, which counts from
    /// its next start; its disks are left alone.
    ///
    /// # Errors
    ///
    /// If libvirt refuses it.
    pub fn define(&self, guest: &Guest) -> Result<(), Failed> {
        let define = self.prepare(guest)?;
        self.virsh(&[&define]).map(drop)
    }

    /// A guest's definition in libvirt's XML.
    #[must_use]
    pub fn definition(&self, guest: &Guest) -> String {
        guest.xml(&self.folder.disks(), &self.folder.guests())
    }

    /// Ends a guest as if its plug was pulled. It stays defined.
    ///
    /// # Errors
    ///
    /// If there is none of that name that runs.
    pub fn destroy(&self, name: &str) -> Result<(), Failed> {
        self.virsh(&["destroy", name]).map(drop)
    }

    /// The QEMU processes of guests that run, by the guests' names.
    #[must_use]
    pub fn qemu_pids(&self) -> BTreeMap<String, i32> {
        self.qemus().into_iter().map(|(name, pid)| (name, pid.as_raw_nonzero().get())).collect()
    }

    /// Stops a guest's QEMU as a hanging storage would: it answers nothing until it is [thawed](Self::thaw).
    ///
    /// # Errors
    ///
    /// If the guest does not run.
    pub fn freeze(&self, name: &str) -> Result<(), Failed> {
        stop(self.qemu(name)?)
    }

    /// Lets a frozen guest go on.
    ///
    /// # Errors
    ///
    /// If the guest does not run.
    pub fn thaw(&self, name: &str) -> Result<(), Failed> {
        go_on(self.qemu(name)?)
    }

    /// [Freezes](Self::freeze) all guests that run.
    ///
    /// # Errors
    ///
    /// If one of them ends meanwhile.
    pub fn freeze_all(&self) -> Result<(), Failed> {
        self.qemus().into_values().try_for_each(stop)
    }

    /// [Thaws](Self::thaw) all guests.
    ///
    /// # Errors
    ///
    /// If one of them ends meanwhile.
    pub fn thaw_all(&self) -> Result<(), Failed> {
        self.qemus().into_values().try_for_each(go_on)
    }

    /// The QEMU processes of guests that run. libvirt keeps a file for each, which also serves it after a restart.
    pub(crate) fn qemus(&self) -> BTreeMap<String, Pid> {
        let Ok(files) = fs::read_dir(self.folder.statuses()) else { return BTreeMap::new() };
        let by_inside = self.namespaces.processes.by_inside();
        let qemu = |file: fs::DirEntry| {
            let name = file.file_name().to_str()?.strip_suffix(".xml")?.to_owned();
            let inside = pid_in(&fs::read_to_string(file.path()).ok()?)?;
            Some((name, *by_inside.get(&inside)?))
        };
        files.filter_map(|file| qemu(file.ok()?)).collect()
    }

    fn qemu(&self, name: &str) -> Result<Pid, Failed> {
        self.qemus().remove(name).ok_or_else(|| Failed::NoGuest(name.to_owned()))
    }

    /// Starts guests, shared among as many connections as there are cores.
    fn start_all(&self, guests: &[Guest], how: &str) -> Result<(), Failed> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let share = guests.len().div_ceil(cores).clamp(1, BATCH);
        let start = |guests: &[Guest]| {
            let commands: Result<Vec<_>, _> = guests
                .iter()
                .map(|guest| Ok(format!("{}; start {}{how}", self.prepare(guest)?, quoted(guest.name()))))
                .collect();
            self.virsh(&[&commands?.join("; ")]).map(drop)
        };
        for shares in guests.chunks(share * cores) {
            thread::scope(|scope| {
                let all: Vec<_> = shares.chunks(share).map(|share| scope.spawn(move || start(share))).collect();
                all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            })?;
        }
        Ok(())
    }

    /// Writes a guest's files, and gives virsh's command that makes the guest known.
    fn prepare(&self, guest: &Guest) -> Result<String, Failed> {
        const WHAT: &str = "a guest's files cannot be written";
        let disks = self.folder.disks();
        for disk in guest.disk_files(&disks) {
            if !disk.exists() {
                fs::copy(self.folder.empty_disk(), disk).map_err(Failed::io(WHAT))?;
            }
        }
        let folder = self.folder.guests();
        if let Some(system) = guest.system() {
            let initramfs = system.initramfs().map_err(Failed::io("the kernel's modules cannot be read"))?;
            fs::write(guest.places(&folder).initramfs, initramfs).map_err(Failed::io(WHAT))?;
        }
        let definition = folder.join(format!("{}.xml", guest.number()));
        fs::write(&definition, guest.xml(&disks, &folder)).map_err(Failed::io(WHAT))?;
        Ok(format!("define {}", quoted(&definition.to_string_lossy())))
    }
}

/// One word for virsh, which reads quotes as a shell does.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The process id that a status of libvirt tells, as seen from inside.
fn pid_in(status: &str) -> Option<i32> {
    let (_, attributes) = status.split_once("<domstatus ")?;
    let (_, pid) = attributes.split_once(" pid='")?;
    pid.split_once('\'')?.0.parse().ok()
}

fn stop(pid: Pid) -> Result<(), Failed> {
    kill_process(pid, Signal::STOP).map_err(Failed::io("a guest cannot be frozen"))?;
    // Each of its threads stops by itself, so a little later.
    let until = Instant::now() + STOPS_WITHIN;
    while !processes::is_stopped(pid) {
        if Instant::now() > until {
            return Err(Failed::TooLong { what: "freezing a guest".into(), limit: STOPS_WITHIN });
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn go_on(pid: Pid) -> Result<(), Failed> {
    kill_process(pid, Signal::CONT).map_err(Failed::io("a guest cannot be thawed"))
}
