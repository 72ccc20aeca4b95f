//! How much of its time a guest loses because it lacks processor, memory or disk: one number that can be alerted on.
//!
//! All three are the same thing, a share of the time since the slot before, so that the greatest of them is the answer.
//! `README.md` says how each is made and what it cannot know.

use std::collections::BTreeMap;

use wasmeter_sdk::config::{self, Deserialize, serde};
use wasmeter_sdk::{Call, Column, Declared, Failure, Pollster, Samples, Wanted, gauge, read, register_pollster};

/// The pollster.
pub struct GuestPressure;

/// From when on something is a lack.
#[derive(Deserialize)]
#[serde(crate = "serde", default, deny_unknown_fields)]
struct Config {
    /// What a request takes on a healthy disk, in milliseconds.
    disk_latency_ms: f64,
    /// Page faults are for lack of memory where less than this share of it can still be had.
    usable_percent: f64,
}

/// Shares of time by guest, each for those of whom it is known.
struct Lost {
    cpu: Column,
    memory: Column,
    disk: Column,
}

impl Pollster for GuestPressure {
    const METERS: &'static [Declared] = &[gauge("guest.pressure", "%")];
    const READS: &'static [Wanted] = &[
        read("vcpu.*.delay"),
        read("balloon.available"),
        read("balloon.usable"),
        read("balloon.major_fault"),
        read("block.*.rd.reqs"),
        read("block.*.rd.times"),
        read("block.*.wr.reqs"),
        read("block.*.wr.times"),
        read("block.*.fl.reqs"),
        read("block.*.fl.times"),
    ];

    fn describe(config: &str) -> Result<wasmeter_sdk::Description, String> {
        Config::parse(config)?;
        Ok(Self::constants())
    }

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let Lost { cpu, memory, disk } = Lost::of(call, &Config::parse(call.config())?)?;
        let (mut worst, mut causes): (BTreeMap<u32, f64>, BTreeMap<u32, usize>) = Default::default();
        for (cause, column) in [&cpu, &memory, &disk].into_iter().enumerate() {
            for (guest, share) in cells(column) {
                if worst.get(&guest).is_none_or(|most| share > *most) {
                    worst.insert(guest, share);
                    causes.insert(guest, cause);
                }
            }
        }
        // Where nothing is lost there is no cause.
        causes.retain(|guest, _| worst.get(guest).is_some_and(|share| *share > 0.0));
        let words = call.intern(&["cpu", "memory", "disk"].map(str::to_owned))?;
        let cause = |(guest, cause): (u32, usize)| Some((guest, *words.get(cause)?));
        let notes = vec![
            call.note("pressure_cpu", cpu)?,
            call.note("pressure_memory", memory)?,
            call.note("pressure_disk", disk)?,
            call.note("pressure_of", causes.into_iter().filter_map(cause).collect())?,
        ];
        out.emit_with(0, worst.into_iter().collect(), notes);
        Ok(())
    }
}

register_pollster!(GuestPressure);

// === impl Config ===

impl Config {
    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = config::parse(text)?;
        if !(config.disk_latency_ms > 0.0 && config.disk_latency_ms.is_finite()) {
            return Err("guest-pressure: disk_latency_ms is above 0".to_owned());
        }
        if !(0.0..=100.0).contains(&config.usable_percent) {
            return Err("guest-pressure: usable_percent is from 0 to 100".to_owned());
        }
        Ok(config)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { disk_latency_ms: 10.0, usable_percent: 10.0 }
    }
}

// === impl Lost ===

impl Lost {
    fn of(call: &Call<'_>, config: &Config) -> Result<Self, Failure> {
        // For how long a virtual CPU was ready and did not run; what runs on the worst one is what waits.
        let cpu = worst(call, &rate(call, "vcpu.*.delay")?);

        let (read_requests, read_time) = (rate(call, "block.*.rd.reqs")?, rate(call, "block.*.rd.times")?);
        let (write_requests, write_time) = (rate(call, "block.*.wr.reqs")?, rate(call, "block.*.wr.times")?);
        let (flushes, flush_time) = (rate(call, "block.*.fl.reqs")?, rate(call, "block.*.fl.times")?);
        let (both, both_times) = (sum(&read_requests, &write_requests), sum(&read_time, &write_time));
        // Not every hypervisor counts flushes.
        let (requests, time) = (sum(&both, &flushes).or(&both), sum(&both_times, &flush_time).or(&both_times));
        // Requests that overlap are not slower for it: more than all of the time cannot be lost.
        let healthy = config.disk_latency_ms * 1e6;
        let slow = |time: f64, requests: f64| Some(time.min(1.0) * (1.0 - healthy * requests / time).max(0.0));
        let disk = time.join_map(&requests, |time, requests| if time > 0.0 { slow(time, requests) } else { Some(0.0) });
        let disk = worst(call, &disk);

        // A major fault waits for a read. Of a guest that has memory left they are programs that start.
        let available = call.column_or_empty("balloon.available")?;
        let usable = call.column_or_empty("balloon.usable")?;
        let usable = usable.join_map(&available, |usable, all| (all > 0.0).then(|| 100.0 * usable / all));
        let faults = rate(call, "balloon.major_fault")?;
        let faults =
            faults.join_map(&usable, |faults, usable| Some(if usable < config.usable_percent { faults } else { 0.0 }));
        let latency = read_time.sum_by_parent(call).join_map(&read_requests.sum_by_parent(call), |time, requests| {
            Some(if requests > 0.0 { time / requests } else { 0.0 })
        });
        let memory = faults.join_map(&latency, |faults, latency| Some(faults * latency));
        Ok(Self { cpu: percent(&cpu), memory: percent(&memory), disk: percent(&disk) })
    }
}

/// By how much a counter grows in a nanosecond, since the slot before. One that went back was reset, and says nothing
/// about this time.
fn rate(call: &Call<'_>, key: &str) -> Result<Column, Failure> {
    let now = call.column_or_empty(key)?;
    let at = call.read_at();
    let at = at.monotonic.unwrap_or(at.wall.unsigned_abs());
    let time = Column::new(now.resources.clone(), vec![at; now.len()]);
    let clock = format!("time {key}");
    let (before, then) = (call.load(key, &now.resources), call.load(&clock, &now.resources));
    call.save(key, &now)?;
    call.save(&clock, &time)?;
    let grown = now.join_counts(&before, u64::checked_sub)?;
    let passed = time.join_counts(&then, u64::checked_sub)?;
    Ok(grown.join_map(&passed, |grown, passed| (passed > 0.0).then(|| grown / passed)))
}

/// The greatest value of each guest's parts.
fn worst(call: &Call<'_>, parts: &Column) -> Column {
    let mut worst: BTreeMap<u32, f64> = BTreeMap::new();
    for (guest, value) in call.parents(&parts.resources).into_iter().zip(parts.as_f64().iter()) {
        let most = worst.entry(guest).or_default();
        *most = most.max(*value);
    }
    worst.into_iter().collect()
}

/// The sum where both have a value.
fn sum(a: &Column, b: &Column) -> Column {
    a.join_map(b, |a, b| Some(a + b))
}

/// A share of time in percent, to a hundredth.
fn percent(share: &Column) -> Column {
    share.map(|share| Some((share.clamp(0.0, 1.0) * 10_000.0).round() / 100.0))
}

fn cells(column: &Column) -> Vec<(u32, f64)> {
    column.resources.iter().copied().zip(column.as_f64().iter().copied()).collect()
}

#[cfg(test)]
mod tests;
