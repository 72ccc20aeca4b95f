//! The host, its hypervisor and its guests, and the daemon's own log.

use super::{Taking, known};
use crate::config::ceilometer::report::{Item, Verdict};
use crate::config::problem::Problems;

/// The longest name of a host: what POSIX allows.
const LONGEST_HOST: usize = 255;
/// The most entries of a list, and the longest value, that our configuration takes.
const MOST_KEYS: usize = 1000;
const LONGEST_VALUE: i64 = 65_536;
const OTHER_DISCOVERY: &str = "guests are found in libvirt, and what is known of them is in its metadata: samples lack \
                               what only Nova says, such as `user_metadata`";

pub(super) fn take(taking: &mut Taking<'_>) {
    host(taking);
    hypervisor(taking);
    guests(taking);
    metadata(taking);
    namespaces(taking);
    if let Some(json) = taking.boolean("DEFAULT", "use_json") {
        taking.take(json.at, &["log", "format"], "json");
    }
}

fn host(taking: &mut Taking<'_>) {
    let Some(host) = taking.text("DEFAULT", "host") else { return };
    let is_odd = |c: char| c.is_control() || c.is_whitespace();
    if host.value.is_empty() || host.value.len() > LONGEST_HOST || host.value.contains(is_odd) {
        return taking.wrong(host.at, "is not a host's name", "Write it as Nova does, such as compute-1.example.org");
    }
    taking.take(host.at, &["host"], host.value);
}

fn hypervisor(taking: &mut Taking<'_>) {
    if let Some(inspector) = taking.text("DEFAULT", "hypervisor_inspector") {
        let remedy = "Leave Ceilometer's agent on this node: wasmeter reads libvirt alone";
        taking.wrong(inspector.at, "is not libvirt", remedy);
    }
    let kind = taking.text("DEFAULT", "libvirt_type");
    if let Some(uri) = taking.text("DEFAULT", "libvirt_uri") {
        if let Some(kind) = kind {
            taking.missing(kind.at, "nothing: `libvirt_uri` is set", "nothing to do");
        }
        return taking.take(uri.at, &["hypervisor"], uri.value);
    }
    let Some(kind) = kind else {
        return taking.import.draft.set(&["hypervisor"], "qemu:///system", "Ceilometer's default");
    };
    match kind.value.as_str() {
        "qemu" => taking.take(kind.at, &["hypervisor"], "qemu:///system"),
        "lxc" => taking.take(kind.at, &["hypervisor"], "lxc:///"),
        "parallels" => taking.take(kind.at, &["hypervisor"], "parallels:///system"),
        _ => {
            let remedy = "Write one of kvm, qemu, lxc and parallels, or set `libvirt_uri`";
            taking.wrong(kind.at, "is none of libvirt's drivers that Ceilometer 27 knows", remedy);
        }
    }
}

fn guests(taking: &mut Taking<'_>) {
    if let Some(stopped) = taking.boolean("compute", "report_stopped_instance_metrics") {
        taking.take(stopped.at, &["guests", "report_stopped"], stopped.value);
    }
    let Some(method) = taking.text("compute", "instance_discovery_method") else { return };
    match method.value.as_str() {
        "naive" | "workload_partitioning" => taking.different(method.at, "asks Nova for guests", OTHER_DISCOVERY),
        _ => taking.wrong(method.at, "is no way to find guests", "Write libvirt_metadata"),
    }
}

fn metadata(taking: &mut Taking<'_>) {
    for (option, key) in
        [("reserved_metadata_namespace", "reserved_namespaces"), ("reserved_metadata_keys", "reserved_keys")]
    {
        let Some(mut list) = taking.list("DEFAULT", option) else { continue };
        let entries = list.value.len();
        list.value.retain(|entry| !entry.is_empty());
        if list.value.len() > MOST_KEYS {
            taking.wrong(list.at, "has more than 1000 entries", "Shorten it");
        } else if list.value.len() < entries {
            let here = format!("an empty entry is left out of `metadata.{key}`");
            let remark = taking.remark(list.at);
            taking.import.draft.set(&["metadata", key], list.value, remark);
            taking.different(list.at, "an empty entry means every key", &here);
        } else {
            taking.take(list.at, &["metadata", key], list.value);
        }
    }
    let Some(length) = taking.integer("DEFAULT", "reserved_metadata_length") else { return };
    if (1..=LONGEST_VALUE).contains(&length.value) {
        return taking.take(length.at, &["metadata", "reserved_length"], length.value);
    }
    let (bound, there) = match length.value {
        ..1 => (1, "cuts values to nothing, or cuts off their ends"),
        _ => (LONGEST_VALUE, "leaves values of any length"),
    };
    let remark = taking.remark(length.at);
    taking.import.draft.set(&["metadata", "reserved_length"], bound, remark);
    taking.different(length.at, there, &format!("`metadata.reserved_length` is {bound}"));
}

fn namespaces(taking: &mut Taking<'_>) {
    let Some(namespaces) = taking.list("DEFAULT", "polling_namespaces") else { return by_default(taking) };
    let (compute, others): (Vec<_>, Vec<_>) = namespaces.value.iter().partition(|name| *name == "compute");
    if compute.is_empty() {
        let mut problems = Problems::of(None);
        let message = "this agent does not poll the namespace compute, which is the one that wasmeter replaces";
        problems.warning(None, "", message, "Import the configuration of the agent of a compute node");
        taking.import.problems.extend(problems);
    }
    match others.is_empty() {
        true => taking.tell(namespaces.at, Verdict::Taken, "", "compute is the only one there is"),
        false => {
            let here = "keep an agent for the others: `ceilometer-polling --polling-namespaces ...` without compute";
            taking.missing(namespaces.at, "polls other namespaces, too", here);
        }
    }
}

/// What the agent polls, if nothing is said: more than this daemon does.
fn by_default(taking: &mut Taking<'_>) {
    let Some(option) = known("DEFAULT", "polling_namespaces") else { return };
    let settings = &taking.folder.settings;
    let (Some(file), Ok(_)) = (settings.first_file(), settings.text(option)) else { return };
    // What could not be read may say it.
    if taking.folder.problems.has_errors() {
        return;
    }
    let set = settings.place(option).and_then(|at| settings.at(at));
    let (file, line) = set.map_or((file, None), |(file, assignment)| (file, Some(assignment.line)));
    let here = "nothing to do if the agent is started with `--polling-namespaces compute`; else the central agent has \
                to go on elsewhere, or here: `ceilometer-polling --polling-namespaces central`";
    taking.import.items.push(Item {
        verdict: Verdict::Missing,
        file: file.to_owned(),
        line,
        section: Some(option.section.to_owned()),
        name: option.name.to_owned(),
        there: "polls the namespaces compute and central, unless its command line says otherwise".to_owned(),
        here: here.to_owned(),
    });
}
