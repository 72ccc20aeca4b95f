//! What meters that come out are called.

use std::collections::BTreeMap;

use regex_lite::Regex;
use wasmeter_sdk::{Kind, Meter};

use crate::settings::Keys;

/// Name, unit and type of what comes out.
#[derive(Debug, Default)]
pub struct Naming {
    name: Field,
    unit: Field,
    kind: Option<Kind>,
}

/// One of them: made of the one that came in, or given.
#[derive(Debug, Default)]
struct Field {
    mapping: Option<Pattern>,
    fixed: Option<String>,
}

/// What matches is replaced, by what may refer to its groups.
#[derive(Debug)]
pub struct Pattern {
    from: Regex,
    to: Vec<Piece>,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Group(usize),
}

/// The meters that come out, each once.
#[derive(Debug, Default)]
pub struct Positions {
    meters: Vec<Meter>,
    /// The place of each by its name.
    places: BTreeMap<String, usize>,
    /// The name of what comes out as one, by its place.
    inputs: BTreeMap<usize, String>,
}

// === impl Naming ===

impl Naming {
    /// Reads `source.map_from` and `target.{map_to, name, unit, type}`.
    pub fn of(source: &mut Keys, target: &mut Keys) -> Result<Self, String> {
        let (mut from, mut to) = (source.keys("map_from")?, target.keys("map_to")?);
        let mut mapping = |key: &'static str| {
            let patterns = (from.text(key)?, to.text(key)?);
            // As upstream: one without the other means nothing.
            let (Some(pattern), Some(replacement)) = patterns else { return Ok(None) };
            if pattern.is_empty() || replacement.is_empty() {
                return Ok(None);
            }
            Pattern::of((&from.place(key), &pattern), (&to.place(key), &replacement)).map(Some)
        };
        let (name, unit) = (mapping("name")?, mapping("unit")?);
        from.end()?;
        to.end()?;
        let name = Field { mapping: name, fixed: target.text("name")? };
        if name.fixed.as_deref() == Some("") {
            return Err(format!("{} is empty; write a name, or leave it out", target.place("name")));
        }
        Ok(Self { name, unit: Field { mapping: unit, fixed: target.text("unit")? }, kind: target.kind("type")? })
    }

    /// Units stay, and the type is this one, whatever was read.
    pub fn keep_units(&mut self, kind: Kind) {
        (self.unit, self.kind) = (Field::default(), Some(kind));
    }

    /// Whether one name is enough for these: a name that is given is for one meter.
    pub fn suffices<'m>(&self, inputs: impl Iterator<Item = &'m Meter>) -> Result<(), String> {
        let Some(fixed) = &self.name.fixed else { return Ok(()) };
        let mut given = inputs.filter(|input| self.name.of(&input.name) == *fixed).map(|input| &input.name);
        let Some(first) = given.next() else { return Ok(()) };
        match given.find(|other| *other != first) {
            None => Ok(()),
            Some(second) => Err(format!(
                "target.name is {fixed}, but {first}, {second} and perhaps others come in; map names with \
                 source.map_from.name and target.map_to.name"
            )),
        }
    }

    /// What comes out for a meter that comes in.
    pub fn meter(&self, input: &Meter) -> Meter {
        let (name, unit) = (self.name.of(&input.name), self.unit.of(&input.unit));
        Meter { name, kind: self.kind.unwrap_or(input.kind), unit }
    }
}

// === impl Field ===

impl Field {
    fn of(&self, value: &str) -> String {
        let mapped = self.mapping.as_ref().map(|pattern| pattern.replace(value)).filter(|mapped| !mapped.is_empty());
        mapped.or_else(|| self.fixed.clone()).unwrap_or_else(|| value.to_owned())
    }
}

// === impl Pattern ===

impl Pattern {
    /// A pattern and what replaces it, as Python's `re.sub` takes them. Each comes with the key that it stands under.
    pub fn of((place, pattern): (&str, &str), (there, replacement): (&str, &str)) -> Result<Self, String> {
        let from = regex(place, pattern)?;
        let mut pattern = Self { from, to: Vec::new() };
        pattern.read(replacement).map_err(|error| format!("{there}: {error}"))?;
        Ok(pattern)
    }

    /// Replaces all that matches.
    pub fn replace(&self, text: &str) -> String {
        let mut replaced = String::new();
        let mut end = 0;
        for groups in self.from.captures_iter(text) {
            let Some(all) = groups.get(0) else { continue };
            replaced.push_str(text.get(end..all.start()).unwrap_or_default());
            for piece in &self.to {
                match piece {
                    Piece::Text(text) => replaced.push_str(text),
                    Piece::Group(group) => replaced.push_str(groups.get(*group).map_or("", |group| group.as_str())),
                }
            }
            end = all.end();
        }
        replaced.push_str(text.get(end..).unwrap_or_default());
        replaced
    }

    fn read(&mut self, replacement: &str) -> Result<(), String> {
        let mut text = String::new();
        let mut rest = replacement;
        while let Some((before, behind)) = rest.split_once('\\') {
            text.push_str(before);
            let (group, length) = if let Some(named) = behind.strip_prefix("g<") {
                let (name, _) = named.split_once('>').ok_or("\\g< has no end; write \\g<1>")?;
                (name, name.len() + 3)
            } else {
                let length = behind.bytes().take(2).take_while(u8::is_ascii_digit).count();
                (behind.get(..length).unwrap_or_default(), length)
            };
            let escaped = behind.chars().next();
            rest = match (group, escaped) {
                ("", Some('\\')) => {
                    text.push('\\');
                    behind.strip_prefix('\\').unwrap_or_default()
                }
                ("", Some(c)) if c.is_ascii_alphanumeric() => {
                    return Err(format!("\\{c} has no meaning; write \\1 for the first group, \\\\ for \\"));
                }
                ("", None) => return Err("a \\ at the end has no meaning; write \\\\".into()),
                ("", Some(_)) => {
                    text.push('\\');
                    behind
                }
                _ => {
                    let number = group.parse().ok().or_else(|| self.named(group));
                    let groups = self.from.captures_len();
                    let number = number.filter(|number| *number < groups);
                    let number =
                        number.ok_or_else(|| format!("there is no group {group}; there are {}", groups - 1))?;
                    self.to.push(Piece::Text(std::mem::take(&mut text)));
                    self.to.push(Piece::Group(number));
                    behind.get(length..).unwrap_or_default()
                }
            };
        }
        text.push_str(rest);
        self.to.push(Piece::Text(text));
        Ok(())
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.from.capture_names().position(|known| known == Some(name))
    }
}

/// Why two meters cannot come out as one.
pub fn mixed(a: &str, b: &str, name: &str) -> String {
    format!(
        "{a} and {b} would both come out as {name}, and nobody could tell their samples apart; give them other names"
    )
}

/// Type and unit, in an error.
fn manner(meter: &Meter) -> String {
    format!("{} in {:?}", word(meter.kind), meter.unit)
}

/// A type as it is written.
pub fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Gauge => "gauge",
        Kind::Cumulative => "cumulative",
        Kind::Delta => "delta",
    }
}

/// A pattern under a key.
pub fn regex(place: &str, pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| {
        format!("{place}: {pattern:?} is no pattern: {error}; look-around and references to groups are not known here")
    })
}

// === impl Positions ===

impl Positions {
    /// The position of a meter. Two of one name that differ otherwise cannot both come out.
    pub fn of(&mut self, meter: Meter) -> Result<u32, String> {
        let found = self.places.get(&meter.name).copied();
        if let Some(known) = found.and_then(|place| self.meters.get(place))
            && (known.kind, &known.unit) != (meter.kind, &meter.unit)
        {
            let (name, a, b) = (&meter.name, manner(known), manner(&meter));
            return Err(format!(
                "{name} would come out both as {a} and as {b}; give target.unit and target.type, or other names"
            ));
        }
        let place = found.unwrap_or_else(|| {
            self.places.insert(meter.name.clone(), self.meters.len());
            self.meters.push(meter);
            self.meters.len() - 1
        });
        Ok(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// The position of what a meter comes out as. Two cannot come out as one.
    pub fn of_input(&mut self, input: &Meter, meter: Meter) -> Result<u32, String> {
        let place = self.places.get(&meter.name).copied().unwrap_or(self.meters.len());
        let known = self.inputs.entry(place).or_insert_with(|| input.name.clone());
        if *known != input.name {
            return Err(mixed(known, &input.name, &meter.name));
        }
        self.of(meter)
    }

    /// The meters that a naming makes of these, and the position of each.
    pub fn named(naming: &Naming, inputs: &[Meter]) -> Result<(Self, Vec<u32>), String> {
        naming.suffices(inputs.iter())?;
        let mut positions = Self::default();
        let places =
            inputs.iter().map(|input| positions.of_input(input, naming.meter(input))).collect::<Result<_, _>>()?;
        Ok((positions, places))
    }

    /// The meters, by position.
    pub fn into_meters(self) -> Vec<Meter> {
        self.meters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(from: &str, to: &str, text: &str) -> Result<String, String> {
        Pattern::of(("from", from), ("to", to)).map(|pattern| pattern.replace(text))
    }

    #[test]
    fn patterns_replace_as_pythons_do() {
        let disk = r"(disk\.device|disk)\.(read|write)\.(bytes|requests)";
        for (from, to, text, expected) in [
            (disk, r"\1.\2.\3.rate", "disk.device.read.bytes", "disk.device.read.bytes.rate"),
            (disk, r"\1.\2.\3.rate", "disk.write.requests", "disk.write.requests.rate"),
            ("(B|request)", r"\1/s", "request", "request/s"),
            ("o", "0", "foo", "f00"),
            ("x", "y", "foo", "foo"),
            ("(?P<what>o+)", r"<\g<what>\g<1>>", "foo", "f<oooo>"),
            ("(a)|b", r"[\1]", "ab", "[a][]"),
            ("a", r"\\1\.", "a", r"\1\."),
            ("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)", r"\10", "abcdefghij", "j"),
        ] {
            assert_eq!(replaced(from, to, text).unwrap(), expected, "{from} {to} {text}");
        }
    }

    #[test]
    fn errors_name_the_key() {
        for (from, to, expected) in [
            ("(", "x", "from: \"(\" is no pattern: "),
            ("(?=a)", "x", "look-around and references to groups are not known here"),
            ("(a)", r"\2", "to: there is no group 2; there are 1"),
            ("(a)", r"\g<b>", "to: there is no group b; there are 1"),
            ("(a)", r"\g<1", "to: \\g< has no end; write \\g<1>"),
            ("(a)", r"\q", "to: \\q has no meaning; write \\1 for the first group, \\\\ for \\"),
            ("(a)", "\\", "to: a \\ at the end has no meaning; write \\\\"),
        ] {
            let error = replaced(from, to, "a").unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
