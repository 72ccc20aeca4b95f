//! Batches that are held back from call to call: numbers in cells of their resources, the rest in bytes.

use std::ops::RangeInclusive;

use scaling::{ByName, CELL_BYTES, CHANGED, GONE, LATE, LONGEST, Losses, OLDEST, Said, at, clear, remembered, word};
use wasmeter_sdk::config::{Deserialize, serde};
use wasmeter_sdk::{Batch, Call, Column, Converting, Failure, Kind, Meter, Moment, Values};

/// Batches that are held back.
#[derive(Debug, Default, Deserialize)]
#[serde(crate = "serde", default)]
pub struct Held {
    batches: Vec<Kept>,
    /// How many batches were ever held back.
    ever: i64,
    /// How many were when others came out last: what is left of those waits for resources that were absent, and for
    /// nothing else.
    left: i64,
    /// Whether some resources have got theirs already.
    cut: bool,
    /// Numbers of batches under which there may be cells.
    used: usize,
    /// How this was saved.
    #[serde(skip)]
    before: Vec<u8>,
}

/// A batch that is held back, or the place of one that came out. Its place is its number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(crate = "serde")]
struct Kept {
    /// Its cells say that they are of this one, and not of an earlier one that had its number.
    mark: i64,
    /// The meter's name, type and unit.
    meter: (String, String, String),
    /// When it was read, by the clocks as they are now.
    wall: i64,
    monotonic: Option<u64>,
    samples: u64,
    /// Whether any sample says anything itself.
    #[serde(default)]
    says: bool,
    /// The type of the volumes.
    #[serde(default)]
    letter: u8,
}

/// Batches that can be held back: each has three names of state, and a tenant's module may have 1,024.
pub const MOST: usize = 200;
/// What a batch takes in the list, about, and what else has to be written.
const LISTED_BYTES: u64 = 512;

/// The name under which batches are listed.
const LIST: &str = "list";
/// The name under which each resource has the last batch that it was looked at for, if others waited on.
const GIVEN: &str = "given";

// === impl Held ===

impl Held {
    pub fn load(call: &Call<'_, Converting>) -> Self {
        let bytes = call.load_bytes(LIST).unwrap_or_default();
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let mut held: Self = wasmeter_sdk::config::parse(text).unwrap_or_default();
        for kept in &mut held.batches {
            Moment { wall: kept.wall, monotonic: kept.monotonic } = remembered(call, kept.at());
        }
        Self { before: bytes, ..held }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.samples() == 0
    }

    /// How many samples wait.
    pub fn samples(&self) -> u64 {
        self.batches.iter().map(|kept| kept.samples).sum()
    }

    /// How many of them came since others came out.
    pub fn fresh(&self) -> u64 {
        self.samples_of(&self.next())
    }

    fn samples_of(&self, marks: &RangeInclusive<i64>) -> u64 {
        self.batches.iter().filter(|kept| marks.contains(&kept.mark)).map(|kept| kept.samples).sum()
    }

    /// Marks of what comes out next, if not all of it is there then.
    fn next(&self) -> RangeInclusive<i64> {
        self.left + 1..=self.ever
    }

    /// When the first of these was read.
    pub fn fresh_since(&self) -> Option<i64> {
        let next = self.next();
        self.batches.iter().filter(|kept| kept.samples > 0 && next.contains(&kept.mark)).map(|kept| kept.wall).min()
    }

    /// Whether there is room for these, too. Each sample that waits, whenever it came, may take one more cell when it
    /// comes out and others do not.
    pub fn has_room(&self, call: &Call<'_, Converting>, batches: &[Batch], said: &Said) -> bool {
        // Where nothing came, nothing more has to be kept.
        if batches.is_empty() {
            return true;
        }
        let cells = |batch: &Batch| batch.column.len() * if batch.notes.is_empty() { 2 } else { 3 };
        let cells: usize = batches.iter().map(cells).sum();
        let samples: usize = batches.iter().map(|batch| batch.column.len()).sum();
        let bytes = self.bytes_with(cells + samples, batches.len()) + said.bytes();
        let wait = self.batches.iter().filter(|kept| kept.samples > 0).count();
        wait + batches.len() <= MOST && bytes <= call.room()
    }

    /// What may be written with so many more cells and batches: one cell for each sample that waits, and the list.
    fn bytes_with(&self, cells: usize, batches: usize) -> u64 {
        let listed = (self.batches.len() + batches + 1) as u64 * LISTED_BYTES;
        (cells as u64 + self.samples()) * CELL_BYTES + listed
    }

    /// Removes cells that nothing refers to any more.
    pub fn clear(&mut self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        for number in 0..std::mem::take(&mut self.used) {
            clear(call, &mark(number))?;
            clear(call, &value(number))?;
            clear(call, &saying(number))?;
        }
        clear(call, GIVEN)
    }

    /// What was left when others came out, of the resources of this call.
    pub fn give_left(
        &mut self,
        call: &Call<'_, Converting>,
        inputs: &[Meter],
        (now, said): (i64, &Said),
        losses: &mut Losses,
    ) -> Result<Vec<Batch>, Failure> {
        self.give_of(&(0..=self.left), call, inputs, (now, said), losses)
    }

    /// All that waits of the resources of this call, but what [was left](Self::give_left). What waits of others waits
    /// on, unless it is given up.
    pub fn give(
        &mut self,
        call: &Call<'_, Converting>,
        inputs: &[Meter],
        (now, said): (i64, &Said),
        gives_up: bool,
        losses: &mut Losses,
    ) -> Result<Vec<Batch>, Failure> {
        let given = self.give_of(&self.next(), call, inputs, (now, said), losses)?;
        if gives_up {
            self.give_up(losses, |_| true);
        }
        if !call.is_part() {
            self.left = self.ever;
        }
        Ok(given)
    }

    /// What was left so long ago is given up.
    pub fn give_up_old(&mut self, now: i64, losses: &mut Losses) {
        let left = self.left;
        self.give_up(losses, |kept| kept.mark <= left && now.saturating_sub(kept.wall) >= LONGEST);
    }

    fn give_of(
        &mut self,
        marks: &RangeInclusive<i64>,
        call: &Call<'_, Converting>,
        inputs: &[Meter],
        (now, said): (i64, &Said),
        losses: &mut Losses,
    ) -> Result<Vec<Batch>, Failure> {
        if self.samples_of(marks) == 0 {
            return Ok(Vec::new());
        }
        let outputs = ByName::of(inputs);
        let resources = call.attribute("id")?.resources;
        let before = if self.cut { call.load(GIVEN, &resources) } else { Column::default() };
        // Who was looked at since has nothing left.
        let mut from = 0;
        let waits = |resource: &u32| last_given(&before, *resource, &mut from).is_none_or(|given| given < *marks.end());
        let resources: Vec<u32> = resources.into_iter().filter(waits).collect();
        if resources.is_empty() {
            return Ok(Vec::new());
        }
        let (mut given, mut got) = (Vec::new(), Vec::new());
        let waits = |kept: &Kept| kept.samples > 0 && marks.contains(&kept.mark);
        let mut waiting: Vec<_> = self.batches.iter_mut().enumerate().filter(|(_, kept)| waits(kept)).collect();
        waiting.sort_by_key(|(_, kept)| kept.mark);
        for (number, kept) in waiting {
            let here = kept.resources(number, call, &resources, &before);
            let count = here.len() as u64;
            got.extend(&here);
            kept.samples = kept.samples.saturating_sub(count);
            let Some(meter) = outputs.position(call, &kept.meter())? else {
                losses.count_many(count, &kept.meter.0, || CHANGED.into());
                continue;
            };
            if now.saturating_sub(kept.wall) > OLDEST {
                losses.count_many(count, &kept.meter.0, || LATE.into());
                continue;
            }
            let column = call.load(&value(number), &here);
            if column.is_empty() {
                continue;
            }
            let sayings = if kept.says { call.load(&saying(number), &here) } else { Column::default() };
            let notes = match &sayings.values {
                Values::Counts(numbers) => {
                    let of: Vec<(u32, u64)> = sayings.resources.iter().copied().zip(numbers.iter().copied()).collect();
                    said.notes(call, &of)?
                }
                _ => Vec::new(),
            };
            given.push(Batch { meter, at: kept.at(), column, notes });
        }
        if self.samples_of(marks) > 0 {
            // Whoever was looked at need not be again; whoever got something must not be, and has its room.
            let are_all = self.bytes_with(resources.len(), 0) <= call.room();
            got.sort_unstable();
            got.dedup();
            let done = if are_all { resources } else { got };
            let last = vec![*marks.end(); done.len()];
            call.save(GIVEN, &Column::new(done, last))?;
            self.cut = true;
        }
        Ok(given)
    }

    fn give_up(&mut self, losses: &mut Losses, is_over: impl Fn(&Kept) -> bool) {
        for kept in self.batches.iter_mut().filter(|kept| is_over(kept)) {
            losses.count_many(std::mem::take(&mut kept.samples), &kept.meter.0, || GONE.into());
        }
    }

    /// Holds back more batches, with the numbers of what their samples say.
    pub fn keep(
        &mut self,
        call: &Call<'_, Converting>,
        inputs: &[Meter],
        batches: impl Iterator<Item = (Batch, Vec<u64>)>,
    ) -> Result<(), Failure> {
        let (mut from, before) = (0, self.ever);
        for (Batch { meter, at, column, .. }, sayings) in batches {
            let Some(input) = inputs.get(meter as usize) else { continue };
            let says = sayings.iter().any(|number| *number > 0);
            let new = Kept {
                mark: 0,
                meter: (input.name.clone(), word(input.kind).to_owned(), input.unit.clone()),
                wall: at.wall,
                monotonic: at.monotonic,
                samples: column.len() as u64,
                says,
                letter: letter(&column.values),
            };
            let number = self.number(call, new, (&column.resources, &mut from), before);
            let marks = vec![self.batches.get(number).map_or(0, |kept| kept.mark); column.len()];
            call.save(&mark(number), &Column::new(column.resources.clone(), marks))?;
            if says {
                call.save(&saying(number), &Column::new(column.resources.clone(), sayings))?;
            }
            call.save(&value(number), &column)?;
        }
        self.used = self.used.max(self.batches.len());
        Ok(())
    }

    /// The number of a batch: that of another part of it among those that there were `before`, or a new one. Parts have
    /// their batches in one order, so each is taken at most once. What has samples of any of its resources is no other
    /// part of it, but the same batch from another source.
    fn number(
        &mut self,
        call: &Call<'_, Converting>,
        new: Kept,
        (resources, from): (&[u32], &mut usize),
        before: i64,
    ) -> usize {
        let open = self.left + 1..=before;
        let is_open = |known: &Kept| known.samples > 0 && open.contains(&known.mark);
        let any = |name: &str, is: &dyn Fn(i64) -> bool| match call.load(name, resources).values {
            Values::Integers(marks) => marks.into_iter().any(is),
            _ => false,
        };
        // Or it was looked at for it already.
        let has_any = |place: usize, known: &Kept| {
            any(&mark(place), &|mark| mark == known.mark) || any(GIVEN, &|given| given >= known.mark)
        };
        let mut known = self.batches.iter_mut().enumerate().skip(*from).filter(|_| call.is_part());
        let other = known.find(|(place, known)| is_open(known) && known.is_cut_from(&new) && !has_any(*place, known));
        if let Some((place, known)) = other {
            known.samples = known.samples.saturating_add(new.samples);
            *from = place + 1;
            return place;
        }
        self.ever = self.ever.wrapping_add(1);
        let new = Kept { mark: self.ever, ..new };
        match self.batches.iter_mut().enumerate().find(|(_, kept)| kept.samples == 0) {
            Some((place, free)) => {
                *free = new;
                place
            }
            None => {
                self.batches.push(new);
                self.batches.len() - 1
            }
        }
    }

    pub fn save(mut self, call: &Call<'_, Converting>) -> Result<(), Failure> {
        call.save_waiting(self.samples())?;
        if self.is_empty() {
            self.batches.clear();
            self.cut = false;
        }
        let Self { batches, ever, left, cut, used, before } = self;
        if ever == 0 {
            return Ok(());
        }
        let list: Vec<serde_json::Value> = batches.into_iter().map(Kept::into_json).collect();
        let list = serde_json::json!({ "batches": list, "ever": ever, "left": left, "cut": cut, "used": used });
        let list = list.to_string();
        if list.as_bytes() == before { Ok(()) } else { call.save_bytes(LIST, list.as_bytes()) }
    }
}

// === impl Kept ===

impl Kept {
    /// Whether this is of the same meter and moment as another, and in the same words.
    fn is_cut_from(&self, other: &Self) -> bool {
        self.at() == other.at() && self.meter == other.meter && self.says == other.says && self.letter == other.letter
    }

    /// When it was read.
    fn at(&self) -> Moment {
        Moment { wall: self.wall, monotonic: self.monotonic }
    }

    fn meter(&self) -> Meter {
        let (name, kind, unit) = &self.meter;
        let kinds = [Kind::Cumulative, Kind::Delta];
        let kind = kinds.into_iter().find(|known| word(*known) == kind).unwrap_or(Kind::Gauge);
        Meter { name: name.clone(), kind, unit: unit.clone() }
    }

    /// Which of these resources have a sample of it that did not come out yet.
    fn resources(&self, number: usize, call: &Call<'_, Converting>, of: &[u32], given: &Column) -> Vec<u32> {
        let marked = call.load(&mark(number), of);
        let Values::Integers(marks) = &marked.values else { return Vec::new() };
        let mut from = 0;
        let here = marked.resources.iter().zip(marks).filter(|(resource, mark)| {
            **mark == self.mark && last_given(given, **resource, &mut from).is_none_or(|given| given < self.mark)
        });
        here.map(|(resource, _)| *resource).collect()
    }

    fn into_json(self) -> serde_json::Value {
        let Self { mark, meter, wall, monotonic, samples, says, letter } = self;
        serde_json::json!({
            "mark": mark, "meter": meter, "wall": wall, "monotonic": monotonic, "samples": samples, "says": says,
            "letter": letter
        })
    }
}

/// The last batch that a resource was looked at for, if others waited on; resources ascend from call to call.
fn last_given(given: &Column, resource: u32, from: &mut usize) -> Option<i64> {
    match (at(&given.resources, resource, from), &given.values) {
        (Some(place), Values::Integers(marks)) => marks.get(place).copied(),
        _ => None,
    }
}

/// What a type of numbers is called in the list.
fn letter(values: &Values) -> u8 {
    match values {
        Values::Counts(_) => 0,
        Values::Integers(_) => 1,
        Values::Reals(_) | Values::Interned(_) => 2,
    }
}

fn mark(number: usize) -> String {
    format!("mark {number}")
}

fn value(number: usize) -> String {
    format!("value {number}")
}

fn saying(number: usize) -> String {
    format!("said {number}")
}
