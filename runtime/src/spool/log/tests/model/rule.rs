//! A toy rule, and what it has done: records hold numbers that are added up, like the deltas of meters.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::super::super::*;
use super::{Model, Written};

/// Number of the append, the value that must not get lost or counted twice, and filling.
const NONCE: usize = 8;
const VALUE: usize = 16;

/// Adds up values. Pass 0 keeps the last record's classes, pass 1 cheats, pass 2 keeps none, and drops the filling.
pub struct AddUp(pub Arc<Mutex<Vec<Merge>>>);

/// Something that the rule answered; whether the store took it is not known.
#[derive(Debug, Clone)]
pub struct Merge {
    pub into: u64,
    pub from: Vec<(u64, Vec<u8>)>,
    pub payload: Vec<u8>,
    pub counts: Counts,
}

pub fn payload(nonce: u64, size: usize) -> Vec<u8> {
    let mut payload = nonce.to_le_bytes().to_vec();
    payload.extend((nonce.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20).to_le_bytes());
    payload.extend((0..size).map(|at| (at as u64).wrapping_mul(nonce) as u8));
    payload
}

pub fn value(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload[NONCE..VALUE].try_into().unwrap())
}

impl Thin for AddUp {
    fn may_thin(&self, _: usize, _: &Counts, _: &Counts) -> bool {
        true
    }

    fn passes(&self) -> usize {
        3
    }

    fn thin(&mut self, pass: usize, records: &[Record], held: &Counts) -> Option<Thinned> {
        let last = records.last()?;
        let mut all = Counts::new();
        records.iter().for_each(|record| all.add_all(&record.counts));
        assert!(held.samples() >= all.samples() && held.of("cpu") >= all.of("cpu"));
        assert!(records.iter().zip(&records[1..]).all(|(one, next)| one.sequence < next.sequence));

        let mut payload = last.payload.clone();
        let sum: u64 = records.iter().map(|record| value(&record.payload)).sum();
        payload[NONCE..VALUE].copy_from_slice(&sum.to_le_bytes());
        let mut counts = if pass == 0 { last.counts.clone() } else { Counts::unknown(last.counts.unread()) };
        let cpu = Key::new("cpu").unwrap();
        counts.add(cpu.clone(), all.of("cpu") - counts.of("cpu"));
        if pass > 0 {
            payload.truncate(VALUE);
        }
        if pass == 1 {
            counts.add(cpu, 1);
            return Some(Thinned { counts, payload });
        }
        if records.len() == 1 && payload == last.payload {
            return None;
        }
        let from = records.iter().map(|record| (record.sequence.0, record.payload.clone())).collect();
        self.0.lock().unwrap().push(Merge {
            into: last.sequence.0,
            from,
            payload: payload.clone(),
            counts: counts.clone(),
        });
        Some(Thinned { counts, payload })
    }
}

// === impl Model ===

impl Model {
    /// The append or the answer of the rule that looks like this.
    pub fn form(&self, sequence: u64, payload: &[u8]) -> Option<(Written, bool)> {
        if let Some(written) = self.written.get(&sequence).filter(|written| written.payload == payload) {
            return Some((written.clone(), false));
        }
        let merges = self.merges.lock().unwrap();
        let merge = merges.iter().rfind(|merge| merge.into == sequence && merge.payload == payload)?;
        let (payload, counts) = (merge.payload.clone(), merge.counts.clone());
        Some((Written { payload, counts, time: self.written.get(&sequence)?.time }, true))
    }

    /// The records that were appended and that this one stands for.
    pub fn stands_for(&self, sequence: u64, payload: &[u8]) -> BTreeSet<u64> {
        if self.written.get(&sequence).is_some_and(|written| written.payload == payload) {
            return BTreeSet::from([sequence]);
        }
        let merges = self.merges.lock().unwrap();
        let merge = merges.iter().rfind(|merge| merge.into == sequence && merge.payload == payload);
        let from = merge.unwrap_or_else(|| panic!("record {sequence} comes from nowhere: {payload:?}")).from.clone();
        drop(merges);
        from.iter().flat_map(|(sequence, payload)| self.stands_for(*sequence, payload)).collect()
    }

    /// The records that may stand for this one.
    pub fn stood_for_by(&self, sequence: u64) -> BTreeSet<u64> {
        let merges = self.merges.lock().unwrap();
        let mut by = BTreeSet::from([sequence]);
        for merge in merges.iter() {
            if merge.from.iter().any(|(from, _)| by.contains(from)) {
                by.insert(merge.into);
            }
        }
        by
    }
}
