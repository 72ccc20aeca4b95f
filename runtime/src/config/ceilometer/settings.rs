//! What all files together say, with references resolved.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use super::ini::Assignment;
use super::known::{KNOWN, Kind, KnownOption};
use super::value;
use crate::config::daemon::host_name;
use crate::json;

/// The section that the others fall back to. Its name alone is told apart by upper and lower case.
const DEFAULT: &str = "DEFAULT";
/// References multiply a text; nothing that is meant gets longer.
const LONGEST: usize = 1 << 16;

/// What all files together say.
pub(super) struct Settings {
    /// Files in the order in which they are read: the last one wins.
    files: Vec<(String, Vec<Assignment>)>,
    /// Assignments in that order, by section and name.
    by_name: HashMap<(String, String), Vec<At>>,
    /// What was resolved before, by the option's number. An option that is being resolved is a circle for whoever
    /// refers to it.
    resolved: RefCell<HashMap<usize, Result<Option<String>, Unresolved>>>,
}

/// Where an option is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct At {
    file: usize,
    assignment: usize,
}

/// Why a value is none. No part of it is repeated: what looks like a reference may be a piece of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("`$` in it refers to no option of Ceilometer's")]
    NoOption,
    #[error("it refers to itself")]
    Circle,
    #[error("it refers to a list")]
    List,
    #[error("it refers to an option whose value is wrong")]
    Value,
    #[error("its references make it longer than 64 KiB")]
    TooLong,
}

// === impl Settings ===

impl Settings {
    /// What these files say; each has the name that reports call it by.
    pub(super) fn of(files: Vec<(String, Vec<Assignment>)>) -> Self {
        let mut by_name: HashMap<_, Vec<At>> = HashMap::new();
        for (file, (_, assignments)) in files.iter().enumerate() {
            for (number, Assignment { section, key, .. }) in assignments.iter().enumerate() {
                let at = At { file, assignment: number };
                by_name.entry((normal(section), key.clone())).or_default().push(at);
            }
        }
        Self { files, by_name, resolved: RefCell::default() }
    }

    /// Where the value stands that counts, if the option is set.
    pub(super) fn place(&self, option: &KnownOption) -> Option<At> {
        // Of one file, the newest name counts; of all, the last file.
        let last = |name: &(&str, &str)| self.all(*name).last().copied();
        names(option).filter_map(|name| last(&name)).reduce(|best, at| if at.file > best.file { at } else { best })
    }

    /// Where each option stands that is set, in the order of the files. What Ceilometer does not know has `None`.
    pub(super) fn places(&self) -> Vec<(At, Option<&'static KnownOption>)> {
        let mut places = BTreeSet::new();
        let mut found = Vec::new();
        for ((section, name), at) in &self.by_name {
            let option = KNOWN.get(section, name);
            let at = match option {
                Some(option) => self.place(option),
                None => at.last().copied(),
            };
            found.extend(at.filter(|at| places.insert(*at)).map(|at| (at, option)));
        }
        found.sort_unstable_by_key(|(at, _)| *at);
        found
    }

    /// The name of the file that is read first, if any is.
    pub(super) fn first_file(&self) -> Option<&str> {
        self.files.first().map(|(name, _)| name.as_str())
    }

    /// The name of the file, and the assignment.
    pub(super) fn at(&self, at: At) -> Option<(&str, &Assignment)> {
        let (file, assignments) = self.files.get(at.file)?;
        Some((file, assignments.get(at.assignment)?))
    }

    /// What the option is set to, or else its default.
    pub(super) fn text(&self, option: &KnownOption) -> Result<Option<String>, Unresolved> {
        if let Some(resolved) = self.resolved.borrow().get(&option.number) {
            return resolved.clone();
        }
        self.resolved.borrow_mut().insert(option.number, Err(Unresolved::Circle));
        let raw = match self.place(option).and_then(|at| self.at(at)) {
            Some((_, assignment)) => Some(assignment.value.expose().to_owned()),
            None if (option.section, option.name) == (DEFAULT, "host") => host_name(),
            None => option.default.map(str::to_owned),
        };
        let resolved = raw.map(|text| self.substitute(&text, option.section)).transpose();
        self.resolved.borrow_mut().insert(option.number, resolved.clone());
        resolved
    }

    /// All that an option is set to that can be repeated, or else its default.
    pub(super) fn texts(&self, option: &KnownOption) -> Result<Vec<String>, Unresolved> {
        let set = self.all((option.section, option.name));
        if set.is_empty() {
            return Ok(option.default.map(value::list).unwrap_or_default());
        }
        let assignments = set.iter().filter_map(|at| self.at(*at));
        assignments.map(|(_, assignment)| self.substitute(assignment.value.expose(), option.section)).collect()
    }

    fn all(&self, (section, name): (&str, &str)) -> &[At] {
        self.by_name.get(&(section.to_owned(), name.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// Python's `string.Template` with dots in names: `$name` and `${name}` are options, `$$` and `\$` are `$`, and any
    /// other `$` is itself.
    fn substitute(&self, text: &str, section: &str) -> Result<String, Unresolved> {
        let text = text.replace("\\$", "$$");
        let (mut out, mut rest) = (String::new(), text.as_str());
        while let Some((before, behind)) = rest.split_once('$') {
            out.push_str(before);
            rest = if let Some(behind) = behind.strip_prefix('$') {
                out.push('$');
                behind
            } else if let Some((name, behind)) = reference(behind) {
                out.push_str(&self.referred(name, section)?);
                behind
            } else {
                out.push('$');
                behind
            };
            if out.len() > LONGEST {
                return Err(Unresolved::TooLong);
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The value of another option as a text: as Python's `str` gives it.
    fn referred(&self, name: &str, section: &str) -> Result<String, Unresolved> {
        let option = match name.split_once('.') {
            // No section is called DEFAULT for whoever refers to it.
            Some((DEFAULT, _)) => None,
            Some((section, name)) => KNOWN.get(section, name),
            None => KNOWN.get(section, name).or_else(|| KNOWN.get(DEFAULT, name)),
        };
        let option = option.ok_or(Unresolved::NoOption)?;
        if matches!(option.kind, Kind::List | Kind::Multi) {
            return Err(Unresolved::List);
        }
        let Some(text) = self.text(option)? else { return Ok(String::new()) };
        let printed = match option.kind {
            Kind::Boolean => value::boolean(&text).map(|value| if value { "True" } else { "False" }.to_owned()),
            Kind::Integer | Kind::Real if value::trim(&text).is_empty() => Some(String::new()),
            Kind::Integer => value::integer(&text).map(|number| number.to_string()),
            Kind::Real => value::real(&text).map(|number| {
                let mut printed = String::new();
                json::real(&mut printed, number);
                printed
            }),
            Kind::Text | Kind::List | Kind::Multi => Some(text),
        };
        printed.ok_or(Unresolved::Value)
    }
}

/// The names that an option has, the newest first.
fn names(option: &KnownOption) -> impl Iterator<Item = (&'static str, &'static str)> {
    std::iter::once((option.section, option.name)).chain(option.older.iter().copied())
}

/// A section's name as it is compared.
fn normal(section: &str) -> String {
    if section == DEFAULT { section.to_owned() } else { section.to_lowercase() }
}

/// The name at the beginning, in braces or not, and what stands behind it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let Some(braced) = text.strip_prefix('{') else { return name(text) };
    let (name, behind) = name(braced)?;
    Some((name, behind.strip_prefix('}')?))
}

fn name(text: &str) -> Option<(&str, &str)> {
    // Python compares without regard to case, and these letters differ from i, k and s in case alone.
    let begins = |c: char| c.is_ascii_alphabetic() || "_\u{130}\u{131}\u{17f}\u{212a}".contains(c);
    if !text.starts_with(begins) {
        return None;
    }
    Some(text.split_at(text.find(|c: char| !begins(c) && !c.is_ascii_digit() && c != '.').unwrap_or(text.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Problems;
    use crate::config::ceilometer::ini;

    fn settings(files: &[&str]) -> Settings {
        let mut problems = Problems::default();
        let files = files.iter().zip(1..).map(|(text, number)| (number.to_string(), ini::parse(text, &mut problems)));
        let settings = Settings::of(files.collect());
        assert!(problems.is_empty(), "{problems}");
        settings
    }

    fn get(settings: &Settings, section: &str, name: &str) -> Result<Option<String>, Unresolved> {
        settings.text(KNOWN.get(section, name).unwrap())
    }

    fn host(text: &str) -> Result<String, Unresolved> {
        get(&settings(&[text]), "DEFAULT", "host").map(Option::unwrap)
    }

    #[test]
    fn the_last_value_counts_whatever_its_name() {
        let both = settings(&[
            "[DEFAULT]\nhost=a\nhost=b\nlogfile=x\nlog_file=y\nlogfile=z\n[PUBLISHER]\ntelemetry_secret=s\n[default]\n\
             libvirt_type=lxc",
            "[DEFAULT]\nhost=c\n[compute]\nunknown=1\nunknown=2",
        ]);
        assert_eq!(get(&both, "DEFAULT", "host").unwrap().unwrap(), "c");
        assert_eq!(get(&both, "DEFAULT", "log_file").unwrap().unwrap(), "y");
        assert_eq!(get(&both, "publisher", "telemetry_secret").unwrap().unwrap(), "s");
        assert_eq!(get(&both, "DEFAULT", "libvirt_type").unwrap().unwrap(), "kvm");
        let places: Vec<_> = both.places().iter().map(|(at, option)| (both.at(*at).unwrap().1.line, *option)).collect();
        let lines: Vec<u64> = places.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [5, 8, 10, 2, 5]);
        assert_eq!(places.iter().filter(|(_, option)| option.is_none()).count(), 2);
    }

    #[test]
    fn repeated_options_keep_all_their_values() {
        let option = KNOWN.get("DEFAULT", "pollsters_definitions_dirs").unwrap();
        assert_eq!(settings(&[""]).texts(option).unwrap(), ["/etc/ceilometer/pollsters.d"]);
        let name = "[DEFAULT]\npollsters_definitions_dirs";
        let both = settings(&[
            &format!("{name}=/a,b\n{name}=$host"),
            &format!("host=x\n{name}=/c").replace("host", "[DEFAULT]\nhost"),
        ]);
        assert_eq!(both.texts(option).unwrap(), ["/a,b", "x", "/c"]);
    }

    #[test]
    fn references_are_resolved() {
        for (value, expected) in [
            ("a$libvirt_type-b", "akvm-b"),
            ("${libvirt_type}b", "kvmb"),
            ("$LIBVIRT_TYPE", ""),
            ("$$libvirt_type \\$x $ $1 ${ ${x $", "$libvirt_type $x $ $1 ${ ${x $"),
            ("${polling.cfg_file}", "polling.yaml"),
            ("$polling.batch_size $polling.enable_notifications", "50 True"),
            ("$service_credentials.password|", "|"),
            ("$oslo_messaging_rabbit.kombu_reconnect_delay", "1.0"),
            ("$publisher.telemetry_secret", "change this for valid signing"),
        ] {
            let found = host(&format!("[DEFAULT]\nhost={value}"));
            if expected.is_empty() {
                assert_eq!(found, Err(Unresolved::NoOption), "{value}");
            } else {
                assert_eq!(found.as_deref(), Ok(expected), "{value}");
            }
        }
    }

    #[test]
    fn references_prefer_the_section_that_they_stand_in() {
        let found = settings(&["[DEFAULT]\nbatch_size=7\nhost=h\n[polling]\ncfg_file=$batch_size-$host"]);
        assert_eq!(get(&found, "polling", "cfg_file").unwrap().unwrap(), "50-h");
    }

    #[test]
    fn references_that_lead_nowhere_are_told() {
        for (text, why) in [
            ("host=$nothing", Unresolved::NoOption),
            ("host=$DEFAULT.libvirt_type", Unresolved::NoOption),
            ("host=$libvirt_type.", Unresolved::NoOption),
            ("host=$polling", Unresolved::NoOption),
            ("host=$libvirt_uri\nlibvirt_uri=x$host", Unresolved::Circle),
            ("host=$host", Unresolved::Circle),
            ("host=$reserved_metadata_keys", Unresolved::List),
            ("host=$batch_size\nbatch_size=many", Unresolved::Value),
        ] {
            assert_eq!(host(&format!("[DEFAULT]\n{text}")), Err(why), "{text}");
        }
    }

    #[test]
    fn references_do_not_multiply_without_end() {
        let chain = ["host", "libvirt_uri", "libvirt_type", "sample_source", "control_exchange", "rootwrap_config"];
        let twice = |pair: &[&str]| format!("{}={}\n", pair[0], format!("${{{}}}", pair[1]).repeat(100));
        let mut text = "[DEFAULT]\nrootwrap_config=0123456789\n".to_owned();
        text.extend(chain.windows(2).map(twice));
        assert_eq!(host(&text), Err(Unresolved::TooLong));
    }
}
