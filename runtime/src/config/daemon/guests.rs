//! Which guests are metered, and whose they are where Nova does not say so.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::read::Reading;
use crate::config::duration;
use crate::config::problem::Severity;
use crate::config::yaml::{Node, Section};
use crate::hypervisor::NotePath;

/// Which guests are metered, and whose they are where Nova does not say so.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GuestRules {
    /// Whether guests that are shut off give what is known without their processes; Ceilometer's option
    /// `report_stopped_instance_metrics`.
    pub report_stopped: bool,
    /// How long what modules remember of a guest or device outlives it: it may come back.
    #[serde(serialize_with = "duration::serialize")]
    pub remember: Duration,
    /// What to do with guests that Nova did not create.
    pub without_nova: WithoutNova,
    /// Their project. Those that have none are not metered.
    pub project: Whose,
    /// Their user, if they have one.
    pub user: Whose,
}

/// What to do with guests that Nova did not create.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WithoutNova {
    /// Nothing, as Ceilometer does.
    #[default]
    Skip,
    /// Meter them.
    Meter,
}

/// Where it stands whose a guest is.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Whose {
    /// An element or attribute of its metadata.
    pub element: Option<NotePath>,
    /// What to say of guests that do not have it.
    pub default: Option<String>,
}

/// The longest id of a project or user: what Keystone's tables take.
const LONGEST_ID: usize = 255;

/// How long a guest may be remembered: longer than a live migration pauses it, and not for ever.
const REMEMBER: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(7 * 24 * 3600);

const KEYS: [&str; 5] = ["report_stopped", "remember", "without_nova", "project", "user"];

// === impl GuestRules ===

impl GuestRules {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Self {
        let section = reading.section("guests", &KEYS);
        let report_stopped = section.read("report_stopped", reading.problems, Node::boolean);
        let remember = section.read("remember", reading.problems, |node| duration::read(node, &REMEMBER));
        let without_nova = section.read("without_nova", reading.problems, |node| match node.text() {
            Ok("skip") => Ok(WithoutNova::Skip),
            Ok("meter") => Ok(WithoutNova::Meter),
            _ => Err(node.refuse("neither of the two", "Write skip or meter")),
        });
        let was_refused = section.get("without_nova").is_some() && without_nova.is_none();
        let rules = Self {
            report_stopped: report_stopped.unwrap_or_default(),
            remember: remember.unwrap_or(Self::default().remember),
            without_nova: without_nova.unwrap_or_default(),
            project: Whose::read(&section, "project", reading),
            user: Whose::read(&section, "user", reading),
        };
        if !was_refused {
            rules.contradictions(&section, reading);
        }
        rules
    }

    /// Says what does not go together.
    fn contradictions(&self, section: &Section<'_>, reading: &mut Reading<'_, '_>) {
        match self.without_nova {
            WithoutNova::Meter if section.get("project").is_none() => {
                let place = section.get("without_nova").and_then(|node| node.place);
                let message = "`guests.without_nova` is `meter`, and nothing says whose those guests are";
                let remedy = "Add `project: {default: ...}` or `project: {element: ...}`, or write skip";
                reading.problems.error(place, "guests.project", message, remedy);
            }
            WithoutNova::Meter => {}
            WithoutNova::Skip => {
                for key in ["project", "user"] {
                    let Some(entry) = section.entry(key) else { continue };
                    let message = format!("`guests.{key}` has no effect: guests that Nova did not create are skipped");
                    let remedy = "Write `without_nova: meter`, or remove it".to_owned();
                    reading.problems.add(Severity::Warning, entry.place, &section.key(key), message, remedy);
                }
            }
        }
    }
}

impl Default for GuestRules {
    fn default() -> Self {
        Self {
            report_stopped: false,
            remember: Duration::from_secs(3600),
            without_nova: WithoutNova::default(),
            project: Whose::default(),
            user: Whose::default(),
        }
    }
}

// === impl Whose ===

impl Whose {
    fn read(section: &Section<'_>, key: &str, reading: &mut Reading<'_, '_>) -> Self {
        let Some(node) = section.get(key) else { return Self::default() };
        let known = ["element", "default"];
        let inner = Section::of(node, section.key(key), &known, Severity::Error, reading.problems);
        let Some(inner) = inner else { return Self::default() };
        if known.iter().all(|key| inner.get(key).is_none()) {
            let message = format!("`{}` says neither where it stands nor what it is", section.key(key));
            let remedy = "Add `element: ` with a place in metadata, or `default: ` with an id";
            reading.problems.error(node.place, &section.key(key), message, remedy);
        }
        Self {
            element: inner.read("element", reading.problems, |node| {
                let path = NotePath::parse(node.text()?).ok_or_else(|| {
                    let remedy = "Write '{namespace}element', with /child or /@attribute behind it if it is in there";
                    node.refuse("no place in a guest's metadata", remedy)
                })?;
                if path.is_novas() {
                    return Err(node.refuse("Nova's, and guests that have it are known", "Name an element of your own"));
                }
                Ok(path)
            }),
            default: inner.read("default", reading.problems, |node| match node.text()? {
                id if id.len() > LONGEST_ID => Err(node.refuse("too long", "Write at most 255 letters")),
                id => Ok(id.to_owned()),
            }),
        }
    }
}
