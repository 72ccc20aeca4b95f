//! wasmeter as a daemon.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmeter::clock::{Clock, SystemClock};
use wasmeter_peer::Processes;
use wasmeter_rig::Libvirtd;

use super::{Cost, HOST, Mark};
use crate::cycle;

/// In seconds. Short, so that there are many cycles; a cycle takes a small part of it.
const INTERVAL: u64 = 2;
/// Cycles for each round: its CPU time is told in steps that are longer than what a cycle takes.
const CYCLES: usize = 3;

/// Ends the daemon whatever happens.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What its cycles take: from the moment of the slot until the last sample is in the file.
pub fn measure(rig: &Libvirtd, folder: &Path, rounds: usize) -> Result<Cost, Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let file = |name: &str| folder.join(name);
    fs::write(file("polling.yaml"), format!("sources: [{{name: all, interval: {INTERVAL}, meters: ['*']}}]\n"))?;
    let configuration = format!(
        "host: {HOST}\nhypervisor: {:?}\npolling: polling.yaml\nschedule: {{offset: 0s}}\n\
         sandbox: {{cache: {:?}}}\noutputs: [{{file: samples.jsonl, max_size: 1GiB}}]\n",
        rig.uri(),
        file("cache")
    );
    fs::write(file("wasmeter.yaml"), configuration)?;
    let daemon = Command::new(cycle::daemon()?)
        .args(["run", "--config"])
        .arg(file("wasmeter.yaml"))
        .stdout(Stdio::null())
        .stderr(File::create(file("log"))?)
        .spawn()?;
    let mut daemon = Ending(daemon);
    let processes = Processes::from(daemon.0.id());
    // Modules are compiled, and the first cycle also reads all definitions.
    let samples = file("samples.jsonl");
    while fs::metadata(&samples).map_or(0, |samples| samples.len()) == 0 {
        if daemon.0.try_wait()?.is_some() {
            return Err(format!("wasmeter ended: {}", fs::read_to_string(file("log"))?).into());
        }
        sleep(Duration::from_millis(100));
    }
    until_middle(2)?;
    let begin = Mark::now(processes, rig);
    let mut walls = Vec::new();
    for _ in 0..rounds * CYCLES {
        let slot = until_middle(1)?;
        let written = fs::metadata(&samples)?.modified()?;
        let took = written.duration_since(slot).map_err(|_| "a cycle takes longer than half of its interval")?;
        walls.push(took.as_secs_f64());
    }
    Cost::between(begin, Mark::now(processes, rig), walls)
}

/// Sleeps until the middle between two slots, so many slots from now on, and gives the slot before it.
fn until_middle(slots: u64) -> Result<SystemTime, Box<dyn Error>> {
    let now = Duration::from_nanos(u64::try_from(SystemClock.now().wall)?);
    let slot = Duration::from_secs((now.as_secs() / INTERVAL + slots) * INTERVAL);
    sleep((slot + Duration::from_secs(INTERVAL) / 2).saturating_sub(now));
    Ok(UNIX_EPOCH + slot)
}
