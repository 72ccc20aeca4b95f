//! `declare`: meters and resources that are known only at run time.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Context, Gives, forged};
use crate::config::Glob;
use crate::contract::pollster::wasmeter::plugin::declare::Host;
use crate::contract::{LimitReached, Meter};
use crate::sandbox::check;
use crate::sandbox::failure::{Cause, Stop};
use crate::sandbox::limits::{DECLARED_METERS, DECLARED_PARTS_PER_ROOT};
use crate::sandbox::price;

/// What a call declared.
#[derive(Debug, Default)]
pub struct Declared {
    /// What the description lists; declared meters go on from there.
    gives: Arc<Gives>,
    /// Declared meters.
    pub meters: Vec<Meter>,
    /// Declared parts: the guest, and the text after the hyphen.
    pub parts: Vec<(u32, u32)>,
    numbers: HashMap<(u32, u32), u32>,
    /// How many parts of each guest there are.
    of_guests: HashMap<u32, usize>,
    /// Positions by name, once anything is declared.
    positions: HashMap<String, usize>,
}

// === impl Declared ===

impl Declared {
    /// Nothing yet.
    pub fn after(gives: Arc<Gives>) -> Self {
        Self { gives, ..Self::default() }
    }

    /// How many meters there are, described and declared.
    pub fn all_meters(&self) -> usize {
        self.gives.meters.len() + self.meters.len()
    }

    /// The guest of a declared part, which is named by its place among them.
    pub fn guest(&self, place: u32) -> Option<u32> {
        self.parts.get(place as usize).map(|(guest, _)| *guest)
    }

    /// The position of a meter, which may be new; `None` if there is no room for another.
    fn position(&mut self, meter: Meter) -> Option<usize> {
        if self.positions.is_empty() {
            let described = self.gives.meters.iter().enumerate();
            self.positions = described.map(|(position, meter)| (meter.name.clone(), position)).collect();
        }
        if let Some(position) = self.positions.get(&meter.name) {
            return Some(*position);
        }
        let next = (self.meters.len() < DECLARED_METERS).then(|| self.all_meters())?;
        self.positions.insert(meter.name.clone(), next);
        self.meters.push(meter);
        Some(next)
    }

    /// The place of a part, which may be new; `None` if there is no room for another of its guest.
    fn place(&mut self, part: (u32, u32)) -> Option<u32> {
        if let Some(place) = self.numbers.get(&part) {
            return Some(*place);
        }
        let of_guest = self.of_guests.entry(part.0).or_default();
        if *of_guest >= DECLARED_PARTS_PER_ROOT {
            return None;
        }
        *of_guest += 1;
        let place = u32::try_from(self.parts.len()).ok()?;
        self.parts.push(part);
        self.numbers.insert(part, place);
        Some(place)
    }

    /// Forgets the last meters: those of a list that was refused.
    fn keep_meters(&mut self, first: usize) {
        for meter in self.meters.drain(first..) {
            self.positions.remove(&meter.name);
        }
    }

    /// Forgets the last parts: those of a list that was refused.
    fn keep_parts(&mut self, first: usize) {
        for part in self.parts.drain(first..) {
            self.numbers.remove(&part);
            if let Some(of_guest) = self.of_guests.get_mut(&part.0) {
                *of_guest = of_guest.saturating_sub(1);
            }
        }
    }
}

impl Host for Context {
    async fn meters(&mut self, meters: Vec<Meter>) -> wasmtime::Result<Result<Vec<u32>, LimitReached>> {
        let limit = || LimitReached { what: format!("{DECLARED_METERS} declared meters in a call") };
        let bytes: usize = meters.iter().map(|meter| meter.name.len() + meter.unit.len()).sum();
        let declares = &self.declared.gives.declares;
        let each = price::TEXT + price::PATTERN * declares.len() as u64;
        let width: usize = declares.iter().map(Glob::width).sum();
        let again = price::PATTERN_BYTE.saturating_mul(width.saturating_mul(bytes) as u64);
        self.charge(again.saturating_add(price::bytes(bytes) + each * meters.len() as u64)).await;
        if meters.len() > DECLARED_METERS {
            return Ok(Err(limit()));
        }
        let before = self.declared.meters.len();
        let mut numbers = Vec::with_capacity(meters.len());
        for meter in meters {
            let check = if self.reads.metadata { check::named } else { check::meter };
            if let Err(detail) = check(&meter) {
                return Err(Stop::new(Cause::BadData, detail).into());
            }
            if !self.declared.gives.declares.iter().any(|pattern| pattern.matches(&meter.name)) {
                return forged(format!("it declared the meter {:?}, which matches no pattern of its own", meter.name));
            }
            if let Err(detail) = self.input.names.refuse((&self.module, &self.granted), &meter.name) {
                return forged(detail);
            }
            let Some(position) = self.declared.position(meter) else {
                self.declared.keep_meters(before);
                return Ok(Err(limit()));
            };
            numbers.push(u32::try_from(position).unwrap_or(u32::MAX));
        }
        Ok(Ok(numbers))
    }

    async fn parts(
        &mut self,
        guests: Vec<u32>,
        suffixes: Vec<u32>,
    ) -> wasmtime::Result<Result<Vec<u32>, LimitReached>> {
        self.charge(price::TEXT * guests.len() as u64).await;
        if guests.len() != suffixes.len() {
            let detail = format!("it declared parts of {} guests with {} suffixes", guests.len(), suffixes.len());
            return Err(Stop::new(Cause::BadData, detail).into());
        }
        let view = Arc::clone(&self.input.view);
        let before = self.declared.parts.len();
        let (mut numbers, mut bytes) = (Vec::with_capacity(guests.len()), 0);
        for part in guests.into_iter().zip(suffixes) {
            let (guest, suffix) = part;
            if guest >= view.roots() {
                return forged(format!("it declared a part of resource {guest}, which it was not handed as a guest"));
            }
            let Some(text) = self.texts.get(suffix).map(|text| Arc::clone(&text.text)) else {
                return forged(format!("it declared a part with text {suffix}, which it was not handed"));
            };
            if let Err(detail) = check::short_text("the suffix of a part", &text) {
                return Err(Stop::new(Cause::BadData, detail).into());
            }
            bytes += text.len();
            let Some(place) = self.declared.place(part) else {
                self.declared.keep_parts(before);
                let what = format!("{DECLARED_PARTS_PER_ROOT} declared parts of a guest in a call");
                return Ok(Err(LimitReached { what }));
            };
            numbers.push(view.resources().saturating_add(place));
        }
        self.charge(price::bytes(bytes)).await;
        Ok(Ok(numbers))
    }
}
