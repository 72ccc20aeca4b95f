//! What comes out of a module is not believed before it has been through here.

use std::collections::HashSet;

use super::failure::{Cause, Failure};
use super::host::Input;
use super::host::declare::Declared;
use super::host::texts::{Text, Texts};
use super::limits::{
    METERS, NAME_BYTES, NOTE_BYTES, NOTES, PATTERNS, READS, RESULT_BYTES, SAMPLES_BASE, SAMPLES_PER_RESOURCE,
};
use crate::clock::SECOND;
use crate::config::{Glob, closest};
use crate::contract::{Batch, Column, Description, Meter, Moment, Note, Outputs, Series, Values};
use crate::discovery::label::OWN_KEYS;
use crate::discovery::{Label, view::Forged};
use crate::hypervisor::Groups;
use crate::hypervisor::key::FLAVOR;

/// Discoveries that there are.
pub const DISCOVERIES: [&str; 2] = ["local_instances", "local_node"];

/// Whether a meter can be published under its name.
pub fn meter(meter: &Meter) -> Result<(), String> {
    named(meter)?;
    match meter.name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Err(format!("the name of a meter is lower-case words joined by dots, and {:?} is not", meter.name)),
        false => Ok(()),
    }
}

/// The same, with capitals: an operator's file may have given the name of what comes out of a transformer.
pub fn named(meter: &Meter) -> Result<(), String> {
    name("the name of a meter", &meter.name)?;
    if !meter.name.to_ascii_lowercase().split('.').all(is_plain_word) {
        return Err(format!("the name of a meter is lower-case words joined by dots, and {:?} is not", meter.name));
    }
    if meter.unit.len() > NAME_BYTES || meter.unit.chars().any(char::is_control) {
        return Err(format!("the unit of {} is longer than {NAME_BYTES} bytes or has control characters", meter.name));
    }
    Ok(())
}

/// Whether this is a word as names of meters have them: of small letters, digits, `_` and `-`.
fn is_plain_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

fn name(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(format!("{what} has 1 to {NAME_BYTES} bytes, not {}", name.len()));
    }
    if let Some(odd) = name.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(format!("{what} is made of visible ASCII characters, and {name:?} has {odd:?}"));
    }
    Ok(())
}

/// Whether a text can be part of an id or a key of metadata: short, and without characters that command a terminal.
pub fn short_text(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > NAME_BYTES {
        return Err(format!("{what} has 1 to {NAME_BYTES} bytes, not {}", text.len()));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(odd) => Err(format!("{what} has no control characters, and {text:?} has {odd:?}")),
        None => Ok(()),
    }
}

/// Whether a list of meters can be worked with.
pub fn meters(list: &[Meter]) -> Result<(), String> {
    distinct(list, |meter| meter.name.clone())?;
    list.iter().try_for_each(meter)
}

fn distinct(list: &[Meter], by: impl Fn(&Meter) -> String) -> Result<(), String> {
    if list.len() > METERS {
        return Err(format!("it describes {} meters and may have {METERS}", list.len()));
    }
    let mut names = HashSet::new();
    for one in list {
        named(one)?;
        if !names.insert(by(one)) {
            return Err(format!("it describes the meter {} twice", one.name));
        }
    }
    Ok(())
}

/// Whether what a transformer says of itself can be worked with.
pub fn outputs(outputs: &Outputs) -> Result<(), String> {
    // What it passes on may be of one name and in several units.
    distinct(&outputs.meters, |meter| format!("{meter:?}"))?;
    patterns(&outputs.declares)
}

fn patterns(list: &[String]) -> Result<(), String> {
    if list.len() > PATTERNS {
        return Err(format!("it describes {} patterns of meters and may have {PATTERNS}", list.len()));
    }
    for pattern in list {
        name("a pattern of meters", pattern)?;
        Glob::new(pattern).map_err(|error| format!("the pattern {pattern:?} is none: {error}"))?;
    }
    Ok(())
}

/// Whether a pollster's description can be worked with.
pub fn description(described: &Description) -> Result<(), String> {
    meters(&described.meters)?;
    if described.meters.is_empty() && described.declares.is_empty() {
        return Err("it describes no meter and declares none".into());
    }
    let stand_ins = described.reads.iter().map(|wanted| wanted.instead_of.len()).max().unwrap_or(0);
    for (what, length, most) in [
        ("statistics to read", described.reads.len(), READS),
        ("attributes to read", described.attributes.len(), READS),
        ("keys that one stands in for", stand_ins, READS),
        ("discoveries", described.discovery.len(), DISCOVERIES.len()),
    ] {
        if length > most {
            return Err(format!("it describes {length} {what} and may have {most}"));
        }
    }
    for wanted in &described.reads {
        name("a statistic's key", &wanted.key)?;
        statistic(&wanted.key)?;
        for instead in &wanted.instead_of {
            name("a statistic's key", instead)?;
            let read = described.reads.iter().any(|other| other.key == *instead && other.instead_of.is_empty());
            if !read {
                return Err(format!("{} stands in for {instead}, which it does not read", wanted.key));
            }
        }
    }
    for key in &described.attributes {
        name("an attribute's key", key)?;
        if !Label::ATTRIBUTES.contains(&key.as_str()) {
            let known = Label::ATTRIBUTES.join(", ");
            return Err(format!("there is no attribute {key:?}; there are {known}"));
        }
    }
    patterns(&described.declares)?;
    for discovery in &described.discovery {
        name("a discovery", discovery)?;
        if !DISCOVERIES.contains(&discovery.as_str()) {
            return Err(format!("there is no discovery {discovery:?}; there are {}", DISCOVERIES.join(", ")));
        }
    }
    Ok(())
}

/// Whether there may be a statistic of this name. What is in a group differs between versions of the hypervisor.
fn statistic(key: &str) -> Result<(), String> {
    if Groups::of_key(key).is_some() || FLAVOR.contains(&key) {
        return Ok(());
    }
    let groups: Vec<&str> = Groups::keys().collect();
    let word = key.split('.').next().unwrap_or_default();
    let in_a_group = || closest(word, &groups).map(|group| key.replacen(word, group, 1));
    Err(match closest(key, &FLAVOR).map(str::to_owned).or_else(in_a_group) {
        Some(meant) => format!("there is no statistic {key:?}; {meant} may be meant"),
        None => {
            let (groups, flavor) = (groups.join(", "), FLAVOR.join(", "));
            format!("there is no statistic {key:?}; one begins with {groups}, or is one of {flavor}")
        }
    })
}

/// What a number takes in a sample, about.
const NUMBER_BYTES: usize = 24;
/// How far back a transformer may remember the times of readings, in nanoseconds: a day.
const OLDEST: i64 = 86_400 * SECOND;

/// Results grow when they become samples; what they grow to is bounded like what crosses.
fn within(bytes: usize) -> Result<usize, Failure> {
    if bytes > RESULT_BYTES {
        let detail = format!("its results make {bytes} bytes of samples and may make {RESULT_BYTES}");
        return Err(Failure::new(Cause::TooMuch, detail));
    }
    Ok(bytes)
}

/// What a call may refer to.
#[derive(Debug)]
pub struct Bounds<'a> {
    /// Which resources it was handed.
    pub input: &'a Input,
    /// What it declared.
    pub declared: &'a Declared,
    /// What it interned.
    pub texts: &'a Texts,
}

// === impl Bounds ===

impl Bounds<'_> {
    /// Whether series can be believed, and how many bytes they are.
    pub fn series(&self, all: &[Series]) -> Result<usize, Failure> {
        self.amount(all.iter().map(|series| series.column.len()).sum())?;
        let mut seen = vec![false; self.declared.all_meters()];
        let mut bytes = 0_usize;
        for series in all {
            self.meter(series.meter, seen.len())?;
            if seen.get_mut(series.meter as usize).is_some_and(|seen| std::mem::replace(seen, true)) {
                return Err(Failure::new(Cause::Forged, format!("it gave meter {} twice", series.meter)));
            }
            self.volumes(&series.column)?;
            bytes = bytes.saturating_add(series.column.bytes()).saturating_add(self.notes(&series.notes)?);
        }
        within(bytes)
    }

    /// Whether batches can be believed, and how many bytes they are.
    pub fn batches(&self, all: &[Batch]) -> Result<usize, Failure> {
        self.amount(all.iter().map(|batch| batch.column.len()).sum())?;
        let mut bytes = 0_usize;
        for batch in all {
            self.meter(batch.meter, self.declared.all_meters())?;
            self.moment(&batch.at)?;
            self.volumes(&batch.column)?;
            bytes = bytes.saturating_add(batch.column.bytes()).saturating_add(self.notes(&batch.notes)?);
        }
        within(bytes)
    }

    fn amount(&self, samples: usize) -> Result<(), Failure> {
        let most = SAMPLES_BASE + SAMPLES_PER_RESOURCE * self.input.view.resources() as usize;
        if samples > most {
            let detail = format!("it gave {samples} samples and may give {most} for what it was handed");
            return Err(Failure::new(Cause::TooMuch, detail));
        }
        Ok(())
    }

    fn meter(&self, number: u32, meters: usize) -> Result<(), Failure> {
        if number as usize >= meters {
            let detail = format!("it gave meter {number}, where there are {meters}");
            return Err(Failure::new(Cause::Forged, detail));
        }
        Ok(())
    }

    fn volumes(&self, column: &Column) -> Result<(), Failure> {
        self.column(column)?;
        match &column.values {
            Values::Interned(_) => Err(Failure::new(Cause::BadData, "volumes are numbers, not texts")),
            Values::Reals(values) => match values.iter().find(|value| !value.is_finite()) {
                Some(value) => Err(Failure::new(Cause::NotFinite, format!("it gave the volume {value}"))),
                None => Ok(()),
            },
            Values::Counts(_) | Values::Integers(_) => Ok(()),
        }
    }

    fn column(&self, column: &Column) -> Result<(), Failure> {
        if column.values.len() != column.len() {
            let (values, resources) = (column.values.len(), column.len());
            let detail = format!("it gave a column of {values} values for {resources} resources");
            return Err(Failure::new(Cause::BadData, detail));
        }
        let first_declared = self.input.view.resources();
        let handed = column.resources.partition_point(|number| *number < first_declared);
        let (handed, declared) = column.resources.split_at(handed);
        let checked = self.input.view.admits(handed).and_then(|()| {
            let end = first_declared.saturating_add(u32::try_from(self.declared.parts.len()).unwrap_or(0));
            let mut least = first_declared;
            for number in declared {
                if *number < least {
                    return Err(Forged::Order(*number));
                }
                if *number >= end {
                    return Err(Forged::Unseen(*number));
                }
                least = number + 1;
            }
            Ok(())
        });
        checked.map_err(|error| Failure::new(Cause::Forged, error.to_string()))
    }

    /// Whether notes can be believed, and how many bytes they make of samples.
    fn notes(&self, notes: &[Note]) -> Result<usize, Failure> {
        if notes.len() > NOTES {
            let detail = format!("it gave a series {} notes and may give {NOTES}", notes.len());
            return Err(Failure::new(Cause::TooMuch, detail));
        }
        let (mut keys, mut bytes) = (HashSet::new(), 0_usize);
        for note in notes {
            let key = self.text(note.key)?;
            short_text("the key of a note", &key.text).map_err(|detail| Failure::new(Cause::BadData, detail))?;
            if OWN_KEYS.contains(&&*key.text) || !keys.insert(&key.text) {
                let detail =
                    format!("it gave a note {:?}, which is the host's to write or was given already", key.text);
                return Err(Failure::new(Cause::Forged, detail));
            }
            self.column(&note.column)?;
            bytes = bytes.saturating_add(note.column.len() * (key.text.len() + NUMBER_BYTES));
            match &note.column.values {
                Values::Interned(texts) => {
                    for text in texts {
                        bytes = bytes.saturating_add(self.note_text(*text)?);
                    }
                }
                Values::Reals(values) if values.iter().any(|value| !value.is_finite()) => {
                    return Err(Failure::new(Cause::NotFinite, "it gave a note that is no finite number"));
                }
                _ => {}
            }
        }
        Ok(bytes)
    }

    fn note_text(&self, number: u32) -> Result<usize, Failure> {
        let length = self.text(number)?.text.len();
        if length > NOTE_BYTES {
            let detail = format!("it gave a note of {length} bytes and may give {NOTE_BYTES}");
            return Err(Failure::new(Cause::TooMuch, detail));
        }
        Ok(length)
    }

    /// Times that a transformer gives are those of readings that it has seen or can remember.
    fn moment(&self, at: &Moment) -> Result<(), Failure> {
        let now = self.input.snapshot.at;
        let past = now.wall.saturating_sub(at.wall);
        if !(0..=OLDEST).contains(&past) || at.monotonic.is_some_and(|at| at > now.monotonic) {
            let detail = format!("it gave samples of a time that was not measured, {past} ns before this slot");
            return Err(Failure::new(Cause::Forged, detail));
        }
        Ok(())
    }

    fn text(&self, number: u32) -> Result<&Text, Failure> {
        let detail = || format!("it gave text {number}, which it was not handed");
        self.texts.get(number).ok_or_else(|| Failure::new(Cause::Forged, detail()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_no_group_is_no_statistic() {
        for key in ["net.*.rx.bytes", "net.*.rx.what-came-later", "state", "flavor.swap", "block.*.qcow2"] {
            assert_eq!(statistic(key), Ok(()), "{key}");
        }
        for (key, said) in [
            ("nt.*.rx.bytes", "net.*.rx.bytes may be meant"),
            ("blocks.*.rd.bytes", "block.*.rd.bytes may be meant"),
            ("flavour.disk", "flavor.disk may be meant"),
            ("flavor.disks", "flavor.disk may be meant"),
            (
                "flavor.id",
                "one begins with state, cpu, balloon, vcpu, net, block, perf, iothread, memory, dirtyrate, vm, \
              or is one of flavor.vcpus, flavor.ram, flavor.disk, flavor.ephemeral, flavor.swap",
            ),
        ] {
            assert_eq!(statistic(key), Err(format!("there is no statistic {key:?}; {said}")));
        }
    }
}
