//! Samples that wait for those of other meters, from call to call.

use expression::{Value, Volume};
use scaling::{Numbers as _, Volumes, at};
use wasmeter_sdk::{Call, Column, Converting, Failure, Values};

/// Samples of one meter that wait.
#[derive(Debug)]
pub struct Pending {
    meter: String,
    /// The paths of the expression that ask for this meter, and what they ask for.
    slots: Vec<(usize, Vec<String>)>,
    /// For each resource of the call, when its sample was read and which volume it has.
    before: Vec<Option<(i64, Volume)>>,
    /// What was remembered of metadata, by slot.
    metadata: Vec<Column>,
    resources: Vec<u32>,
    after: Kept,
}

/// What is to be remembered.
#[derive(Debug, Default)]
struct Kept {
    /// Of all that wait, and of those that do not any more.
    times: Vec<(u32, i64)>,
    /// Of all that wait.
    volumes: Vec<(u32, Volume)>,
    /// Metadata that are numbers, by slot.
    metadata: Vec<Vec<(u32, f64)>>,
}

/// The time of a sample that does not wait any more.
const DONE: i64 = i64::MIN;

// === impl Pending ===

impl Pending {
    pub fn load(call: &Call<'_, Converting>, meter: &str, slots: Vec<(usize, Vec<String>)>, resources: &[u32]) -> Self {
        let times = call.load(&format!("time {meter}"), resources);
        let mut before = Vec::new();
        let mut metadata = Vec::new();
        if let Values::Integers(moments) = &times.values
            && moments.iter().any(|time| *time != DONE)
        {
            let volumes = call.load(&format!("value {meter}"), resources);
            let (mut time_at, mut volume_at) = (0, 0);
            before = resources
                .iter()
                .map(|resource| {
                    let time = at(&times.resources, *resource, &mut time_at).and_then(|at| moments.get(at));
                    let volume = at(&volumes.resources, *resource, &mut volume_at);
                    let volume = volume.and_then(|at| volumes.values.number(at));
                    time.copied().filter(|time| *time != DONE).zip(volume)
                })
                .collect();
            metadata =
                slots.iter().map(|(slot, _)| call.load(&format!("metadata {slot} {meter}"), resources)).collect();
        }
        let after = Kept { metadata: vec![Vec::new(); slots.len()], ..Kept::default() };
        Self { meter: meter.to_owned(), slots, before, metadata, resources: resources.to_vec(), after }
    }

    /// Whether the resource at a place has a sample that waits.
    pub fn has(&self, place: usize) -> bool {
        self.before.get(place).is_some_and(Option::is_some)
    }

    /// What that sample says.
    pub fn say(&self, place: usize, values: &mut [Value]) {
        let Some((_, volume)) = self.before.get(place).copied().flatten() else { return };
        let resource = self.resources.get(place).copied().unwrap_or(u32::MAX);
        for ((slot, names), metadata) in self.slots.iter().zip(&self.metadata) {
            let known = metadata.resources.binary_search(&resource).ok().and_then(|at| metadata.values.number(at));
            let said = match (names.first().map(String::as_str), known) {
                (Some("volume"), _) => number(volume),
                (_, Some(known)) => number(known),
                _ => Value::Missing,
            };
            if let Some(at) = values.get_mut(*slot) {
                *at = said;
            }
        }
    }

    /// The sample of a resource does not wait any more.
    pub fn forget(&mut self, place: usize, resource: u32) {
        if self.has(place) {
            self.after.times.push((resource, DONE));
        }
    }

    /// A sample waits. Of what it says, numbers are remembered.
    pub fn keep(&mut self, resource: u32, volume: Volume, time: i64, said: &[Value]) {
        self.after.times.push((resource, time));
        self.after.volumes.push((resource, volume));
        for ((_, names), (kept, value)) in self.slots.iter().zip(self.after.metadata.iter_mut().zip(said)) {
            if let (false, Some(value)) = (names.first().is_some_and(|name| name == "volume"), value.float()) {
                kept.push((resource, value));
            }
        }
    }

    pub fn save(self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        let Self { meter, slots, after, .. } = self;
        if after.times.is_empty() {
            return Ok(());
        }
        call.save(&format!("time {meter}"), &after.times.into_iter().collect())?;
        let like = match after.volumes.first() {
            Some((_, Volume::Integer(_))) => Values::Integers(Vec::new()),
            Some((_, Volume::Real(_))) => Values::Reals(Vec::new()),
            _ => Values::Counts(Vec::new()),
        };
        let mut volumes = Volumes::like(&like, after.volumes.len());
        after.volumes.into_iter().for_each(|(resource, volume)| volumes.push(resource, volume));
        if !volumes.is_empty() {
            call.save(&format!("value {meter}"), &volumes.into_column())?;
        }
        for ((slot, _), kept) in slots.iter().zip(after.metadata).filter(|(_, kept)| !kept.is_empty()) {
            call.save(&format!("metadata {slot} {meter}"), &kept.into_iter().collect())?;
        }
        Ok(())
    }
}

fn number(volume: Volume) -> Value {
    match volume {
        Volume::Count(volume) => Value::from(volume),
        Volume::Integer(volume) => Value::Int(volume),
        Volume::Real(volume) => Value::Float(volume),
    }
}
