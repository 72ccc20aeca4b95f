//! Samples that wait for those of other meters, from call to call.

use expression::{Value, Volume};
use scaling::{Noted, Sampled, at, clear, timestamp};
use wasmeter_sdk::{Call, Column, Converting, Failure, Values};

use crate::ages::Ages;

/// Samples of one meter that wait.
#[derive(Debug)]
pub struct Pending {
    /// The meter, and its number among those of the expression.
    meter: String,
    number: usize,
    /// The paths of the expression that ask for this meter, and what they ask for.
    slots: Vec<(usize, Vec<String>)>,
    /// For each resource of the call, what is known of its sample.
    before: Vec<Option<Waiting>>,
    /// What was remembered of what samples said themselves, by path.
    noted: Vec<Column>,
    resources: Vec<u32>,
    after: Kept,
}

/// A sample that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// Microseconds since 1970.
    time: i64,
    volume: Volume,
}

/// What is to be remembered.
#[derive(Debug, Default)]
struct Kept {
    /// Of all that wait, and of those that do not any more.
    times: Vec<(u32, i64)>,
    /// Of all that wait.
    volumes: Vec<(u32, u64)>,
    /// What they said themselves, by path.
    noted: Vec<Vec<(u32, u64)>>,
}

/// The time of a sample that does not wait any more.
const DONE: i64 = i64::MIN;

/// What stands in the place of a real number, none of which has these bits.
const NOT: u64 = u64::MAX - 2;
const TEXT: u64 = u64::MAX - 1;
const NOTHING: u64 = u64::MAX;

// === impl Pending ===

impl Pending {
    pub fn load(
        call: &Call<'_, Converting>,
        ages: &Ages,
        (number, meter): (usize, &str),
        slots: Vec<(usize, Vec<String>)>,
        resources: &[u32],
    ) -> Self {
        let times = call.load(&since(meter), resources);
        let (mut before, mut noted) = (Vec::new(), Vec::new());
        if let Values::Integers(moments) = &times.values
            && moments.iter().any(|time| *time != DONE)
        {
            let volumes = call.load(&volume(meter), resources);
            let (mut time_at, mut volume_at) = (0, 0);
            before = resources
                .iter()
                .map(|resource| {
                    let time = at(&times.resources, *resource, &mut time_at).and_then(|at| moments.get(at));
                    let bits = cell(&volumes, *resource, &mut volume_at);
                    let (time, bits) = time.copied().filter(|time| *time != DONE).zip(bits)?;
                    Some(Waiting::unpack(time, bits)).filter(|waiting| !ages.is_over(waiting.time))
                })
                .collect();
            let says = |(slot, _): &(usize, Vec<String>)| call.load(&said(*slot, meter), resources);
            noted = slots.iter().map(says).collect();
        }
        let after = Kept { noted: vec![Vec::new(); slots.len()], ..Kept::default() };
        Self { meter: meter.to_owned(), number, slots, before, noted, resources: resources.to_vec(), after }
    }

    /// Samples of a meter wait no longer, whatever resources they are of.
    pub fn forget_all(call: &Call<'_, Converting>, meter: &str) -> Result<(), Failure> {
        clear(call, &since(meter))
    }

    /// Whether any sample waits.
    pub fn is_any(&self) -> bool {
        !self.before.is_empty()
    }

    /// Whether the resource at a place has a sample that waits.
    pub fn has(&self, place: usize) -> bool {
        self.waiting(place).is_some()
    }

    fn waiting(&self, place: usize) -> Option<Waiting> {
        self.before.get(place).copied().flatten()
    }

    /// What that sample says. `known` is what its meter and the host say.
    pub fn say(&self, place: usize, known: &[Value], values: &mut [Value]) -> Result<(), String> {
        let Some(waiting) = self.waiting(place) else { return Ok(()) };
        let resource = self.resources.get(place).copied().unwrap_or(u32::MAX);
        for (((slot, names), noted), known) in self.slots.iter().zip(&self.noted).zip(known) {
            let mut from = noted.resources.partition_point(|known| *known < resource);
            let noted = cell(noted, resource, &mut from).unwrap_or(NOT);
            let says = match (names.first().map(String::as_str), noted) {
                (Some("volume"), _) => number(waiting.volume),
                (Some("timestamp"), _) => Value::text(&timestamp(waiting.time.saturating_mul(1_000))),
                (Some("monotonic_time"), NOT | NOTHING) => Value::None,
                (_, NOT) => known.clone(),
                (_, NOTHING) => Value::Missing,
                (_, TEXT) => {
                    let names = names.join(".");
                    return Err(format!(
                        "$({}).{names} was a text, and of samples that wait only numbers are kept",
                        self.meter
                    ));
                }
                (_, bits) => Value::Float(f64::from_bits(bits)),
            };
            if let Some(at) = values.get_mut(*slot) {
                *at = says;
            }
        }
        Ok(())
    }

    /// The sample of a resource does not wait any more.
    pub fn forget(&mut self, (place, resource): (usize, u32), ages: &mut Ages) {
        if let Some(before) = self.waiting(place) {
            self.after.times.push((resource, DONE));
            ages.remove(self.number, before.time);
        }
    }

    /// The sample of the resource at a place waits. Of what it says itself, numbers are remembered.
    pub fn keep(
        &mut self,
        (place, resource): (usize, u32),
        volume: Volume,
        (wall, monotonic): (i64, Option<u64>),
        sampled: &mut Sampled<'_>,
        ages: &mut Ages,
    ) {
        let waiting = Waiting { time: wall.div_euclid(1_000), volume };
        ages.add(self.number, waiting.time, self.waiting(place).map(|before| before.time));
        let (time, bits) = waiting.pack();
        self.after.times.push((resource, time));
        self.after.volumes.push((resource, bits));
        for (path, ((_, names), kept)) in self.slots.iter().zip(&mut self.after.noted).enumerate() {
            let bits = match (names.first().map(String::as_str), sampled.noted(path, resource)) {
                #[allow(clippy::cast_precision_loss, reason = "seconds are reals")]
                (Some("monotonic_time"), _) => monotonic.map_or(NOTHING, |at| (at as f64 / 1e9).to_bits()),
                (Some("resource_metadata"), Noted::Number(number)) => number.to_bits(),
                (Some("resource_metadata"), Noted::Text) => TEXT,
                (Some("resource_metadata"), Noted::Nothing) => NOTHING,
                (Some("resource_metadata"), Noted::Not) => NOT,
                _ => continue,
            };
            kept.push((resource, bits));
        }
    }

    pub fn save(self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        let Self { meter, slots, after, .. } = self;
        if after.times.is_empty() {
            return Ok(());
        }
        call.save(&since(&meter), &after.times.into_iter().collect())?;
        if !after.volumes.is_empty() {
            call.save(&volume(&meter), &after.volumes.into_iter().collect())?;
        }
        for ((slot, _), kept) in slots.iter().zip(after.noted).filter(|(_, kept)| !kept.is_empty()) {
            call.save(&said(*slot, &meter), &kept.into_iter().collect())?;
        }
        Ok(())
    }
}

// === impl Waiting ===

impl Waiting {
    /// As two cells whose types never change: numbers of another type would replace those of all resources.
    fn pack(self) -> (i64, u64) {
        let (kind, bits) = match self.volume {
            Volume::Count(volume) => (0, volume),
            Volume::Integer(volume) => (1, volume.cast_unsigned()),
            Volume::Real(volume) => (2, volume.to_bits()),
        };
        (self.time.saturating_mul(4) + kind, bits)
    }

    fn unpack(time: i64, bits: u64) -> Self {
        let volume = match time.rem_euclid(4) {
            0 => Volume::Count(bits),
            1 => Volume::Integer(bits.cast_signed()),
            _ => Volume::Real(f64::from_bits(bits)),
        };
        Self { time: time.div_euclid(4), volume }
    }
}

/// The cell of a resource, from a place on that only advances.
fn cell(column: &Column, resource: u32, from: &mut usize) -> Option<u64> {
    let Values::Counts(cells) = &column.values else { return None };
    at(&column.resources, resource, from).and_then(|at| cells.get(at).copied())
}

fn number(volume: Volume) -> Value {
    match volume {
        Volume::Count(volume) => Value::from(volume),
        Volume::Integer(volume) => Value::Int(volume),
        Volume::Real(volume) => Value::Float(volume),
    }
}

fn since(meter: &str) -> String {
    format!("since {meter}")
}

fn volume(meter: &str) -> String {
    format!("volume {meter}")
}

fn said(slot: usize, meter: &str) -> String {
    format!("said {slot} {meter}")
}
