//! What can be wrong with the host.

use std::sync::Arc;

use crate::cli::setup::Threads;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::contract::Wanted;
use crate::discovery::{Directory, Rules};
use crate::hypervisor::reader::{Reader, Reading, Want};
use crate::hypervisor::{self, Doubt, HypervisorError, KeyId, Record};

/// What a look at a host showed.
#[derive(Debug)]
pub struct Seen {
    /// How many guests it has.
    pub guests: usize,
    /// How many of them are nobody's, and not metered.
    pub nobodys: usize,
    /// What will make metering less than it could be.
    pub doubts: Vec<Doubt>,
    /// What they are.
    pub directory: Directory,
}

/// A statistic that only a balloon driver gives that was told to.
const BALLOON: &str = "balloon.available";
/// libvirt's number of the state in which a guest runs.
const RUNS: u64 = 1;

/// Reads the host once.
pub fn look(config: &Config, threads: &Threads) -> Result<Seen, HypervisorError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let hypervisor = hypervisor::open(&config.hypervisor.uri, &clock)?;
    let mut reader = Reader::new(hypervisor, Arc::clone(&clock), config.watchdog(), config.reader.max_stuck);
    let mut directory = Directory::new(Rules::of(config));
    let mut want = Want::default();
    want.add(&[Wanted { key: BALLOON.to_owned(), instead_of: Vec::new() }]);
    threads.time.block_on(async {
        let reading = reader.read(&want).await?;
        directory.learn_from(&mut reader, &reading).await?;
        let mut doubts = reader.doubts().await?;
        doubts.extend(missing(&reading).or_else(|| without_balloon(&reading.records)));
        let records = &reading.records;
        let (guests, nobodys) = (records.len(), directory.nobodys(records.iter().map(|record| record.guest)));
        Ok(Seen { guests, nobodys, doubts, directory })
    })
}

fn missing(reading: &Reading) -> Option<Doubt> {
    let why = reading.missing.as_ref()?;
    let remedy = "See what the guests' processes and their storage are doing, and reader.watchdog";
    Some(Doubt { message: format!("what guests' processes have to answer could not be read: {why}"), remedy })
}

/// Memory that a guest uses is known only where its balloon driver says so, and somebody asks it.
fn without_balloon(records: &[Record]) -> Option<Doubt> {
    let (state, balloon) = (KeyId::of("state.state"), KeyId::of(BALLOON)?);
    let running: Vec<&Record> = records.iter().filter(|record| record.number(state) == Some(RUNS)).collect();
    let without = running.iter().filter(|record| record.stats.iter().all(|stat| stat.key != balloon)).count();
    let message = format!(
        "{without} of {} running guests give no balloon statistics, so there is no memory.usage of them",
        running.len()
    );
    let remedy = "Let Nova ask for them ([libvirt] mem_stats_period_seconds = 10, the default; without Nova: \
                  <memballoon><stats period='10'/>), and see that the guests have the virtio balloon driver";
    (without > 0).then_some(Doubt { message, remedy })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::hypervisor::{Stat, Value};

    fn record(state: i64, keys: &[&str]) -> Record {
        let stat = |key: &str, value| Stat { key: KeyId::of(key).unwrap(), number: 0, value };
        let mut stats = vec![stat("state.state", Value::Integer(state))];
        stats.extend(keys.iter().map(|key| stat(key, Value::Count(7))));
        Record { guest: Uuid::nil(), revision: 0, stats }
    }

    #[test]
    fn running_guests_without_balloon_statistics_are_counted() {
        let guests = [record(1, &[BALLOON]), record(1, &["balloon.current"]), record(5, &[])];
        let doubt = without_balloon(&guests).unwrap();
        assert!(doubt.message.starts_with("1 of 2 running guests give no balloon"), "{doubt:?}");
        assert_eq!(without_balloon(&guests[..1]), None);
        assert_eq!(without_balloon(&guests[2..]), None);
    }
}
