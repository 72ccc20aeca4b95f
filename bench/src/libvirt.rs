//! Real guests: the daemon beside one bare call of libvirt's and beside the real Ceilometer.
//!
//! The guests are paused, which answers everything and uses nothing by itself. Both daemons run as they are and measure
//! all of Ceilometer's meters; wasmeter writes its samples to a file, Ceilometer sends them to a RabbitMQ of its own.
//! One runs after the other, and each one's first cycle does not count.

mod bare;
mod ceilometer;
mod daemon;

use std::error::Error;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use wasmeter_peer::{Processes, Used};
use wasmeter_rig::{Guest, Libvirtd, Rabbit};

use crate::measure::{Bars, Outcome, median};

/// How both are told to call this host.
const HOST: &str = "bench-1";
const MIB: f64 = 1048576.0;

/// What one of them takes.
struct Cost {
    /// Seconds of each cycle.
    walls: Vec<f64>,
    /// CPU seconds of its own, of libvirtd and of all guests, a cycle. Time of processes is told in steps of 10 ms, so
    /// these are means over all cycles.
    own: f64,
    libvirtd: f64,
    qemus: f64,
    /// In MiB, of all its processes.
    resident: f64,
    anonymous: f64,
}

/// What processes have used up to a moment.
#[derive(Clone, Copy)]
struct Mark {
    own: Used,
    host: wasmeter_rig::Cpu,
}

/// Runs it.
pub fn run(guests: u32, rounds: usize, python: &Path, bars: &mut Bars) -> Outcome {
    let folder = tempfile::tempdir()?;
    let rig = Libvirtd::start()?;
    let broker = thread::spawn(Rabbit::start);
    let begin = Instant::now();
    let all: Vec<Guest> = (1..=guests).map(Guest::new).collect();
    rig.boot(&all)?;
    let broker = broker.join().map_err(|_| "the broker's start panicked")??;
    println!("{guests} paused guests and a broker, started in {:.0} s", begin.elapsed().as_secs_f64());
    bars.note("libvirtd and QEMU when nobody asks", idle(&rig), "ms CPU/s");

    let mut bare = bare::measure(&rig.uri(), rounds)?;
    let ours = daemon::measure(&rig, &folder.path().join("wasmeter"), rounds)?;
    let theirs = ceilometer::measure(&rig, &broker.vhost(), python, &folder.path().join("ceilometer"), rounds)?;
    // Once more, as the machine may be busier later than sooner.
    bare.extend(bare::measure(&rig.uri(), rounds)?);

    let bare = median(bare);
    bars.note("one bare call for the statistics of all guests", bare * 1e3, "ms");
    ours.print("wasmeter", bars);
    theirs.print("Ceilometer", bars);
    let (our_wall, their_wall) = (median(ours.walls.clone()), median(theirs.walls.clone()));
    bars.at_most("wall time of a cycle, of the bare call's", 100.0 * our_wall / bare, 70.0, "%");
    bars.at_most("wall time of a cycle, of Ceilometer's", 100.0 * our_wall / their_wall, 20.0, "%");
    bars.at_most("own CPU time of a cycle, of Ceilometer's", 100.0 * ours.own / theirs.own, 2.5, "%");
    bars.at_most("CPU time of libvirtd and QEMU, of Ceilometer's", 100.0 * ours.host() / theirs.host(), 30.0, "%");
    bars.at_most("resident memory of the daemon", ours.resident, 28.0, "MiB");
    Ok(())
}

/// Milliseconds of CPU time that libvirtd and QEMU take in a second by themselves.
fn idle(rig: &Libvirtd) -> f64 {
    const LONG: Duration = Duration::from_secs(5);
    let begin = rig.cpu_time();
    std::thread::sleep(LONG);
    let end = rig.cpu_time();
    let used = (end.libvirtd + end.qemus).saturating_sub(begin.libvirtd + begin.qemus);
    used.as_secs_f64() * 1e3 / LONG.as_secs_f64()
}

// === impl Mark ===

impl Mark {
    fn now(processes: Processes, rig: &Libvirtd) -> Self {
        Self { own: processes.used(), host: rig.cpu_time() }
    }
}

// === impl Cost ===

impl Cost {
    /// Of cycles that took so long, between two marks.
    fn between(begin: Mark, end: Mark, walls: Vec<f64>) -> Result<Self, Box<dyn Error>> {
        if walls.is_empty() {
            return Err("no cycle was measured".into());
        }
        let cycles = walls.len() as f64;
        let each = |begin: Duration, end: Duration| end.saturating_sub(begin).as_secs_f64() / cycles;
        Ok(Self {
            own: each(begin.own.cpu, end.own.cpu),
            libvirtd: each(begin.host.libvirtd, end.host.libvirtd),
            qemus: each(begin.host.qemus, end.host.qemus),
            resident: end.own.resident as f64 / MIB,
            anonymous: end.own.anonymous as f64 / MIB,
            walls,
        })
    }

    /// CPU seconds that a cycle costs the host.
    fn host(&self) -> f64 {
        self.libvirtd + self.qemus
    }

    fn print(&self, who: &str, bars: &Bars) {
        bars.note(&format!("{who}: a cycle, of {}", self.walls.len()), median(self.walls.clone()) * 1e3, "ms");
        bars.note(&format!("{who}: its own CPU time"), self.own * 1e3, "ms");
        bars.note(&format!("{who}: CPU time of libvirtd"), self.libvirtd * 1e3, "ms");
        bars.note(&format!("{who}: CPU time of QEMU"), self.qemus * 1e3, "ms");
        bars.note(&format!("{who}: resident memory"), self.resident, "MiB");
        bars.note(&format!("{who}: what of it is no file's"), self.anonymous, "MiB");
    }
}
