//! For how long a guest has been doing nothing: in seconds, 0 for one that does something.
//!
//! What it takes to be busy is configured, and `README.md` says what that can and cannot tell.

use std::collections::BTreeMap;

use wasmeter_sdk::config::{self, Deserialize, serde};
use wasmeter_sdk::{Call, Column, Declared, Failure, Pollster, Samples, Wanted, gauge, read, register_pollster};

/// The pollster.
pub struct IdleGuest;

/// A guest that does more than one of these is busy.
#[derive(Deserialize)]
#[serde(crate = "serde", default, deny_unknown_fields)]
struct Config {
    /// Percent of one processor, all virtual CPUs together.
    cpu_percent: f64,
    /// Bytes that it sends in a second. What it receives is not its own doing.
    sent_bytes: f64,
    /// Requests to its disks in a second.
    disk_requests: f64,
}

/// What a guest did in a slot, each for a second.
struct Did {
    /// Processors.
    cpu: BTreeMap<u32, f64>,
    /// Bytes.
    sent: BTreeMap<u32, f64>,
    /// Requests.
    requests: BTreeMap<u32, f64>,
}

impl Pollster for IdleGuest {
    const METERS: &'static [Declared] = &[gauge("guest.idle", "s")];
    const READS: &'static [Wanted] =
        &[read("vcpu.*.time"), read("net.*.tx.bytes"), read("block.*.rd.reqs"), read("block.*.wr.reqs")];

    fn describe(config: &str) -> Result<wasmeter_sdk::Description, String> {
        Config::parse(config)?;
        Ok(Self::constants())
    }

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let config = Config::parse(call.config())?;
        let now = call.read_at().wall;
        let cpu = call.column_or_empty("vcpu.*.time")?.sum_by_parent(call);
        let guests = cpu.resources.clone();
        let (seen, since) = (integers(call, "seen", &guests), integers(call, "idle since", &guests));
        let did = Did::of(call, &cpu, now)?;
        // A guest that was not seen before says nothing yet; one whose counters went back was started anew.
        let known = guests.iter().filter_map(|guest| Some((*guest, *seen.get(guest)?)));
        let idle_since = known.map(|(guest, seen)| match did.is_idle(guest, &config) {
            true => (guest, since.get(&guest).copied().unwrap_or(seen)),
            false => (guest, now),
        });
        let idle_since: Column = idle_since.collect();
        call.save("idle since", &idle_since)?;
        call.save("seen", &Column::new(guests.clone(), vec![now; guests.len()]))?;
        let time = Column::new(idle_since.resources.clone(), vec![now; idle_since.len()]);
        out.emit(0, time.minus(&idle_since).map(|ns| Some((ns / 1e9).max(0.0))));
        Ok(())
    }
}

register_pollster!(IdleGuest);

// === impl Config ===

impl Config {
    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = config::parse(text)?;
        let Self { cpu_percent, sent_bytes, disk_requests } = config;
        if [cpu_percent, sent_bytes, disk_requests].iter().all(|most| *most >= 0.0) {
            return Ok(config);
        }
        Err("idle-guest: cpu_percent, sent_bytes and disk_requests are 0 or more".to_owned())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { cpu_percent: 5.0, sent_bytes: 1000.0, disk_requests: 2.0 }
    }
}

// === impl Did ===

impl Did {
    fn of(call: &Call<'_>, cpu: &Column, now: i64) -> Result<Self, Failure> {
        let sent = call.column_or_empty("net.*.tx.bytes")?.sum_by_parent(call);
        let reads = call.column_or_empty("block.*.rd.reqs")?.sum_by_parent(call);
        let writes = call.column_or_empty("block.*.wr.reqs")?.sum_by_parent(call);
        let requests = reads.join_counts(&writes, u64::checked_add)?;
        Ok(Self {
            cpu: rate(call, "cpu", cpu, now)?.into_iter().map(|(guest, ns)| (guest, ns / 1e9)).collect(),
            sent: rate(call, "sent", &sent, now)?,
            requests: rate(call, "requests", &requests, now)?,
        })
    }

    /// Whether a guest did nothing worth mentioning. What it does not have, such as a network, is not used.
    fn is_idle(&self, guest: u32, config: &Config) -> bool {
        let below = |did: &BTreeMap<u32, f64>, most: f64| did.get(&guest).is_none_or(|did| *did <= most);
        self.cpu.get(&guest).is_some_and(|cpu| cpu * 100.0 <= config.cpu_percent)
            && below(&self.sent, config.sent_bytes)
            && below(&self.requests, config.disk_requests)
    }
}

/// By how much a counter grew in a second since the slot before, where it did not go back.
fn rate(call: &Call<'_>, name: &str, now: &Column, at: i64) -> Result<BTreeMap<u32, f64>, Failure> {
    let (values, times) = (format!("{name} was"), format!("{name} at"));
    let time = Column::new(now.resources.clone(), vec![at; now.len()]);
    let grown = now.join_counts(&call.load(&values, &now.resources), u64::checked_sub)?;
    let passed = time.minus(&call.load(&times, &now.resources));
    call.save(&values, now)?;
    call.save(&times, &time)?;
    let rate = grown.join_map(&passed, |grown, ns| (ns > 0.0).then(|| grown * 1e9 / ns));
    Ok(rate.resources.iter().copied().zip(rate.as_f64().iter().copied()).collect())
}

/// What was saved of guests, whole numbers.
fn integers(call: &Call<'_>, name: &str, guests: &[u32]) -> BTreeMap<u32, i64> {
    let column = call.load(name, guests);
    match column.values {
        wasmeter_sdk::Values::Integers(values) => column.resources.into_iter().zip(values).collect(),
        _ => BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests;
