//! What becomes of each option and file.

mod exporter;
mod files;
mod machine;
mod notifier;
mod pipeline;
mod polling;

use std::collections::HashSet;
use std::path::Path;

use super::folder::Folder;
use super::known::{KNOWN, Kind, KnownOption};
use super::report::{Item, Verdict};
use super::settings::At;
use super::{Import, PollingFile, advice, value};
use crate::config::problem::{Place, Problems};

/// A folder that is being taken over.
struct Taking<'a> {
    folder: &'a Folder,
    import: Import,
    /// What has been told.
    told: HashSet<At>,
    /// Whether everything goes where pipelines say, and nowhere else.
    has_pipelines: bool,
}

/// A value that is not Ceilometer's default, and where it stands.
struct Set<T> {
    value: T,
    at: At,
}

/// Takes over all of a folder.
pub(super) fn all(folder: &Folder, copied: PollingFile) -> Import {
    let import = Import { problems: folder.problems.clone(), ..Import::default() };
    let mut taking = Taking { folder, import, told: HashSet::new(), has_pipelines: false };
    let pipeline = folder.path.as_ref().and_then(|path| pipeline::find(&mut taking, path));
    taking.has_pipelines = pipeline.is_some();
    machine::take(&mut taking);
    match &pipeline {
        Some(pipeline) if !pipeline.needs_broker() => notifier::off(&mut taking),
        _ => notifier::take(&mut taking),
    }
    exporter::take(&mut taking);
    taking.rest();
    if let Some(path) = &folder.path {
        // Without the folder, one problem says enough.
        if !folder.names.is_empty() {
            files::take(&mut taking, path, pipeline.as_ref().map(|pipeline| pipeline.shown.as_str()));
            match pipeline {
                Some(pipeline) => pipeline.take(&mut taking, copied),
                None => polling::take(&mut taking, path, copied),
            }
        }
        if !taking.import.problems.has_errors()
            && !["pipeline", "outputs", "metrics"].iter().any(|key| taking.import.draft.has(key))
        {
            let message = "Ceilometer's agent sends nothing with these files, and so would wasmeter";
            let mut problems = Problems::of(None);
            problems.warning(None, "outputs", message, "Add an output, such as `outputs: [{file: samples.jsonl}]`");
            taking.import.problems.extend(problems);
        }
    }
    let Taking { mut import, .. } = taking;
    import
        .items
        .sort_by(|one, other| (one.verdict, &one.file, one.line).cmp(&(other.verdict, &other.file, other.line)));
    import
}

/// An option of Ceilometer's by its name.
fn known(section: &str, name: &str) -> Option<&'static KnownOption> {
    let option = KNOWN.get(section, name);
    debug_assert!(option.is_some(), "{section}.{name}");
    option
}

// === impl Taking ===

impl Taking<'_> {
    /// Our key below which stands where RabbitMQ is, and how it is used.
    fn sender(&self) -> &'static str {
        if self.has_pipelines { "broker" } else { "notifier" }
    }

    /// What an option is set to, if that is not the default. A value that cannot be used is an error.
    fn set<T>(&mut self, option: &KnownOption, expected: &str, read: impl Fn(&str) -> Option<T>) -> Option<Set<T>> {
        let at = self.folder.settings.place(option)?;
        self.told.insert(at);
        match self.folder.settings.text(option) {
            Ok(text) => {
                let text = text?;
                if option.default.is_some_and(|default| is_same(option.kind, &text, default)) {
                    return None;
                }
                let value = read(&text);
                if value.is_none() {
                    self.wrong(at, &format!("is not {expected}"), &format!("Write {expected}"));
                }
                Some(Set { value: value?, at })
            }
            Err(error) => {
                self.wrong(at, &format!("cannot be read: {error}"), "Correct it, and write `$$` for a dollar sign");
                None
            }
        }
    }

    fn text(&mut self, section: &str, name: &str) -> Option<Set<String>> {
        self.set(known(section, name)?, "a text", |text| Some(text.to_owned()))
    }

    fn boolean(&mut self, section: &str, name: &str) -> Option<Set<bool>> {
        self.set(known(section, name)?, "true or false", value::boolean)
    }

    fn integer(&mut self, section: &str, name: &str) -> Option<Set<i64>> {
        self.set(known(section, name)?, "a whole number", value::integer)
    }

    fn list(&mut self, section: &str, name: &str) -> Option<Set<Vec<String>>> {
        self.set(known(section, name)?, "a list", |text| Some(value::list(text)))
    }

    /// Where something stands, for a remark.
    fn remark(&self, at: At) -> String {
        let found = self.folder.settings.at(at);
        found.map(|(file, assignment)| format!("{file}:{}", assignment.line)).unwrap_or_default()
    }

    /// Sets a key of the draft, and says so.
    fn take(&mut self, at: At, path: &[&str], value: impl Into<serde_json::Value>) {
        let remark = self.remark(at);
        self.import.draft.set(path, value, remark);
        self.tell(at, Verdict::Taken, "", &path.join("."));
    }

    fn different(&mut self, at: At, there: &str, here: &str) {
        self.tell(at, Verdict::Different, there, here);
    }

    fn missing(&mut self, at: At, there: &str, here: &str) {
        self.tell(at, Verdict::Missing, there, here);
    }

    fn tell(&mut self, at: At, verdict: Verdict, there: &str, here: &str) {
        let Some((file, assignment)) = self.folder.settings.at(at) else { return };
        self.import.items.push(Item {
            verdict,
            file: file.to_owned(),
            line: Some(assignment.line),
            section: Some(assignment.section.clone()),
            name: assignment.key.clone(),
            there: there.to_owned(),
            here: here.to_owned(),
        });
    }

    /// Says of a file what becomes of it, or of something in it.
    fn tell_of(&mut self, file: &str, line: Option<u64>, verdict: Verdict, name: String, there: &str, here: &str) {
        let (file, there, here) = (file.to_owned(), there.to_owned(), here.to_owned());
        self.import.items.push(Item { verdict, file, line, section: None, name, there, here });
    }

    /// An error at an option. What `message` goes on with is the option.
    fn wrong(&mut self, at: At, message: &str, remedy: &str) {
        let Some((file, assignment)) = self.folder.settings.at(at) else { return };
        let folder = self.folder.path.as_deref().unwrap_or(Path::new(""));
        let mut problems = Problems::of(Some(&folder.join(file)));
        let (section, key) = (&assignment.section, &assignment.key);
        let place = Some(Place { line: assignment.line, column: 1 });
        problems.error(place, &format!("{section}.{key}"), format!("`{key}` in [{section}] {message}"), remedy);
        self.import.problems.extend(problems);
    }

    /// Says of every other option what becomes of it. What is Ceilometer's default anyway needs no mention.
    fn rest(&mut self) {
        for (at, option) in self.folder.settings.places() {
            let Some((_, assignment)) = self.folder.settings.at(at).filter(|_| !self.told.contains(&at)) else {
                continue;
            };
            let text = assignment.value.expose();
            let is_default =
                |option: &KnownOption| option.default.is_some_and(|default| is_same(option.kind, text, default));
            let advice = match option {
                Some(option) if is_default(option) => continue,
                Some(option) => advice::of(option.fate),
                None => Some(advice::of_unknown(&assignment.section, &assignment.key)),
            };
            if let Some(advice) = advice {
                self.tell(at, advice.verdict, advice.there, advice.here);
            }
        }
    }
}

/// Whether two texts are the same value.
fn is_same(kind: Kind, one: &str, other: &str) -> bool {
    match kind {
        Kind::Text => one == other,
        Kind::Boolean => value::boolean(one).is_some_and(|one| value::boolean(other) == Some(one)),
        Kind::Integer => value::integer(one).is_some_and(|one| value::integer(other) == Some(one)),
        Kind::Real => value::real(one).is_some_and(|one| value::real(other) == Some(one)),
        Kind::List | Kind::Multi => value::list(one) == value::list(other),
    }
}
