//! The real Ceilometer.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use wasmeter_peer::{Ceilometer, Options};
use wasmeter_rig::{Libvirtd, Vhost};

use super::{Cost, HOST, Mark};

/// In seconds: as often as wasmeter measures by default. A cycle that takes longer delays the next.
const INTERVAL: u32 = 10;
/// One cycle for so many rounds: they are long.
const ROUNDS: usize = 3;
/// For a cycle, which may well be slow on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

/// What its cycles take: from before discovery until the last message is sent. The beginning of one ends the account
/// of the one before.
pub fn measure(
    rig: &Libvirtd,
    broker: &Vhost<'_>,
    python: &Path,
    folder: &Path,
    rounds: usize,
) -> Result<Cost, Box<dyn Error>> {
    let uri = rig.uri();
    let (host, report_stopped, interval, exporter) = (HOST, false, INTERVAL, None);
    let options = Options { python, folder, libvirt: &uri, host, report_stopped, interval, exporter, rabbit: &[] };
    let mut agent = Ceilometer::start(options, broker)?;
    agent.cycles(1, WITHIN)?;
    let begin = Mark::now(agent.processes(), rig);
    let cycles = rounds.div_ceil(ROUNDS);
    for cycle in 1..=cycles {
        agent.cycles(1 + cycle, WITHIN)?;
    }
    let end = Mark::now(agent.processes(), rig);
    let walls = agent.cycles(1 + cycles, WITHIN)?.iter().skip(1).map(|cycle| cycle.took.as_secs_f64()).collect();
    Cost::between(begin, end, walls)
}
