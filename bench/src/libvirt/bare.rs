//! One call for all that Ceilometer's meters need, and nothing else.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use wasmeter::clock::{Clock, SystemClock};
use wasmeter::hypervisor::{self, Groups, Guests, KeySet, Request};

/// Seconds of each of so many calls.
pub fn measure(uri: &str, rounds: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut connection = hypervisor::open(uri, &clock)?.connect()?;
    let groups = Groups::STATE | Groups::CPU_TOTAL | Groups::BALLOON | Groups::VCPU | Groups::INTERFACE | Groups::BLOCK;
    let request = Request { groups, keys: KeySet::All, guests: Guests::All };
    connection.read(&request)?;
    (0..rounds)
        .map(|_| {
            let begin = Instant::now();
            connection.read(&request)?;
            Ok(begin.elapsed().as_secs_f64())
        })
        .collect()
}
