//! Files beside `ceilometer.conf`.

use std::path::Path;

use super::Taking;
use crate::config::ceilometer::folder::{names, with_ending};
use crate::config::ceilometer::known::{Kind, KnownOption};
use crate::config::ceilometer::report::Verdict::{self, Different, Missing, Unknown};
use crate::config::file;
use crate::config::problem::Problems;
use crate::config::yaml::{self, Kind as YamlKind, Node};

/// Files and folders that are read, or told of, elsewhere.
const READ: [&str; 6] = [
    "ceilometer.conf",
    "ceilometer-polling.conf",
    "ceilometer.conf.d",
    "ceilometer-polling.conf.d",
    "polling.yaml",
    "pollsters.d",
];

/// Tells of all files but those that are `taken` or told of elsewhere.
pub(super) fn take(taking: &mut Taking<'_>, folder: &Path, taken: Option<&str>) {
    for name in &taking.folder.names {
        if taken == Some(name) || READ.contains(&name.as_str()) || name.starts_with('.') {
            continue;
        }
        let (verdict, there, here) = of(name);
        taking.tell_of(name, None, verdict, name.clone(), there, here);
    }
    pollsters(taking, folder);
}

/// What a file is there, and here.
fn of(name: &str) -> (Verdict, &'static str, &'static str) {
    match name {
        "pipeline.yaml" => (
            Different,
            "where the notification agent sends samples, and by which transformers",
            "nothing to do while that agent runs elsewhere; to have this daemon follow it, name the file as `pipeline`, \
             and move what `notifier` says from `outputs` to `broker`",
        ),
        "event_pipeline.yaml" => (
            Missing,
            "where the notification agent sends events",
            "nothing to do: that agent goes on running elsewhere",
        ),
        "event_definitions.yaml" | "meters.d" | "meters.yaml" | "gnocchi_resources.yaml" => (
            Missing,
            "definitions for the notification agent",
            "nothing to do: that agent goes on running elsewhere, with its own configuration",
        ),
        "rootwrap.conf" | "rootwrap.d" => {
            (Missing, "commands that run as root, for IPMI", "nothing to do: the daemon runs none")
        }
        "policy.yaml" | "policy.json" | "policy.d" | "api_paste.ini" => {
            (Unknown, "rules of the API, which is gone", "nothing to do")
        }
        _ => (Unknown, "nothing that Ceilometer reads by itself", "nothing to do, unless an option names it"),
    }
}

/// Pollsters that are written in YAML.
fn pollsters(taking: &mut Taking<'_>, folder: &Path) {
    let Some(option) = super::known("DEFAULT", "pollsters_definitions_dirs") else { return };
    debug_assert_eq!(option.kind, Kind::Multi);
    let Some(folders) = folders(taking, option) else { return };
    for named in folders {
        let path = taking.folder.resolve(&named);
        // As for Ceilometer, a folder that is not there has no pollsters.
        let names = names(&path).unwrap_or_default();
        for name in with_ending(&names, ".yaml") {
            let file = path.join(name);
            let shown = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
            let mut problems = Problems::of(Some(&file));
            let tree = file::read(&file).ok().and_then(|text| yaml::parse(&text, &mut problems));
            match tree.as_ref().map(|tree| &tree.kind) {
                Some(YamlKind::List(nodes)) => nodes.iter().for_each(|node| tell(taking, &shown, node)),
                _ => taking.tell_of(&shown, None, Unknown, shown.clone(), "no list of pollsters", "nothing to do"),
            }
        }
    }
}

fn folders(taking: &mut Taking<'_>, option: &KnownOption) -> Option<Vec<String>> {
    let at = taking.folder.settings.place(option);
    match (taking.folder.settings.texts(option), at) {
        (Ok(folders), Some(at)) => {
            let here = "see below for each pollster that is defined there";
            taking.missing(at, "folders of dynamic pollsters", here);
            Some(folders)
        }
        (Ok(folders), None) => Some(folders),
        (Err(error), Some(at)) => {
            taking.wrong(at, &format!("cannot be read: {error}"), "Correct it, and write `$$` for a dollar sign");
            None
        }
        (Err(_), None) => None,
    }
}

fn tell(taking: &mut Taking<'_>, file: &str, node: &Node) {
    let YamlKind::Map(entries) = &node.kind else { return };
    let get = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value.kind);
    let name = match get("name") {
        Some(YamlKind::Text(name)) => format!("pollster {name}"),
        _ => "a pollster without a name".to_owned(),
    };
    let is_compute = |kind: &YamlKind| matches!(kind, YamlKind::Text(text) if text == "compute");
    let for_compute = match get("namespaces") {
        Some(YamlKind::List(nodes)) => nodes.iter().any(|node| is_compute(&node.kind)),
        Some(other) => is_compute(other),
        None => false,
    };
    let (there, here) = match for_compute {
        true => (
            "a dynamic pollster of the namespace compute",
            "write a module that measures it (docs/write-a-pollster.md), or poll it from elsewhere",
        ),
        false => (
            "a dynamic pollster of other namespaces than compute",
            "nothing to do on a compute node: the central agent goes on running elsewhere",
        ),
    };
    taking.tell_of(file, node.place.map(|place| place.line), Missing, name, there, here);
}
