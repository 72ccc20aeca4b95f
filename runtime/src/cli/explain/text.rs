//! An explanation for people.

use std::collections::BTreeMap;

use super::explanation::{Explanation, Giver, Sample};
use super::source::Wanting;
use super::statistic::{Raw, Statistic};
use crate::cli::print;
use crate::publish::columns::{Columns, Side};
use crate::sandbox::World;

/// What is printed of a guest that was found.
pub fn write(said: &Explanation) -> String {
    let mut out = head(said);
    for why in &said.reasons {
        out.push_str(&format!("\nNo value: {}\n  {}\n", sentence(&why.why), sentence(&why.remedy)));
    }
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            out.push_str(&format!("\n{title}\n{}", indent(&body)));
        }
    };
    let of_daemon = if said.reasons.is_empty() { "samples" } else { "samples, if it were not for that" };
    section(of_daemon, samples(&said.samples));
    section("handed to the transformer", inputs(&said.inputs));
    section("statistics", statistics(&said.statistics));
    section("no medium, so nothing is measured of them", lines(&said.empty_drives));
    out
}

/// The guests that may have been meant.
pub fn guests(said: &Explanation) -> String {
    let mut table = Columns::new([("GUEST", Side::Left), ("NAME", Side::Left), ("UUID", Side::Left)]);
    for guest in &said.guests {
        table.row([guest.display_name.clone(), guest.name.clone(), guest.uuid.to_string()]);
    }
    let more = said.of_guests.saturating_sub(said.guests.len());
    let more = if more == 0 { String::new() } else { format!("and {more} more\n") };
    if table.is_empty() { String::new() } else { indent(&(table.render() + &more)) }
}

fn head(said: &Explanation) -> String {
    let Explanation { meter, asked, guest, module, sources, slots, .. } = said;
    let mut out = match guest {
        None => format!("{meter} of {asked}\n"),
        Some(guest) => {
            let state = match (guest.status, guest.state) {
                ("", "") => String::new(),
                (status, state) => format!(", {status} ({state})"),
            };
            let called: &str = if guest.display_name.is_empty() { asked } else { &guest.display_name };
            format!("{meter} of {}\nguest    {} {}{state}\n", name(called), name(&guest.name), guest.uuid)
        }
    };
    if let Some(module) = module {
        out.push_str(&format!("module   {}\n", giver(module, *slots)));
    }
    for (place, source) in sources.iter().enumerate() {
        let title = if place == 0 { "sources" } else { "" };
        out.push_str(&format!("{title:<7}  {}\n", wanting(source)));
    }
    out
}

fn giver(giver: &Giver, slots: u32) -> String {
    let Giver { name, file, world, took, .. } = giver;
    let from = match file {
        Some(file) => format!("a {world} from {file}"),
        None => format!("a built-in {world}"),
    };
    let what = if *world == World::Pollster { "resources" } else { "input samples" };
    match took {
        None => format!("{name}, {from}; it was not called"),
        Some(took) => format!(
            "{name}, {from}; in {}: {} fuel for {} {what} ({} each), {:.1} ms",
            if slots == 1 { "the slot" } else { "the second slot" },
            took.fuel,
            took.handed,
            took.fuel_each,
            took.milliseconds,
        ),
    }
}

fn wanting(source: &Wanting) -> String {
    let Wanting { name, interval, of_guests, file, line } = source;
    let place = match (file, line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        (None, _) => "built in".to_owned(),
    };
    let not = if *of_guests { "" } else { ", not of guests" };
    format!("{name}, every {interval} s, {place}{not}")
}

fn samples(samples: &[Sample]) -> String {
    let mut table = Columns::new([
        ("RESOURCE", Side::Left),
        ("DEVICE", Side::Left),
        ("VOLUME", Side::Right),
        ("UNIT", Side::Left),
        ("TYPE", Side::Left),
        ("TIMESTAMP", Side::Left),
        ("AGE", Side::Right),
    ]);
    for sample in samples {
        table.row([
            sample.resource.clone(),
            sample.device.clone(),
            sample.volume.to_string(),
            sample.unit.clone(),
            sample.r#type.to_owned(),
            sample.timestamp.clone(),
            age(sample),
        ]);
    }
    if table.is_empty() { String::new() } else { table.render() }
}

/// What a transformer was handed, with the pollster that it comes from.
fn inputs(samples: &[Sample]) -> String {
    let mut table = Columns::new([
        ("METER", Side::Left),
        ("POLLSTER", Side::Left),
        ("DEVICE", Side::Left),
        ("VOLUME", Side::Right),
        ("UNIT", Side::Left),
        ("TYPE", Side::Left),
        ("AGE", Side::Right),
    ]);
    for sample in samples {
        table.row([
            sample.meter.clone(),
            sample.module.to_string(),
            sample.device.clone(),
            sample.volume.to_string(),
            sample.unit.clone(),
            sample.r#type.to_owned(),
            age(sample),
        ]);
    }
    if table.is_empty() { String::new() } else { table.render() }
}

fn age(sample: &Sample) -> String {
    format!("{:.3} s", sample.age)
}

/// A line for each value, and below a line for each reason for which there is none. What was tried and is not used
/// is only named.
fn statistics(all: &[Statistic]) -> String {
    let mut table = Columns::new([
        ("KEY", Side::Left),
        ("GROUP", Side::Left),
        ("ASKS", Side::Left),
        ("USED", Side::Left),
        ("DEVICE", Side::Left),
        ("VALUE", Side::Right),
    ]);
    let mut absent: BTreeMap<_, (String, Vec<&str>)> = BTreeMap::new();
    let (unused, shown): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.goes_in == Some(false));
    for one in shown {
        let used = if one.goes_in.is_some() { "yes" } else { "" };
        let asks = if one.needs_process { "guest" } else { "host" };
        let mut row = |key: &str, device: &str, value: String| {
            let group = one.group.unwrap_or(if one.is_of_file() { "file" } else { "definition" }).to_owned();
            table.row([key.to_owned(), group, asks.to_owned(), used.to_owned(), device.to_owned(), value]);
        };
        for Raw { device, value, .. } in &one.values {
            row(&one.key, device, value.to_string());
        }
        if let (Some(why), Some(words)) = (one.absent, one.words()) {
            row(&one.key, "", "-".to_owned());
            absent.entry((why, words.clone())).or_insert((words, Vec::new())).1.push(&one.key);
        }
    }
    let mut out = if table.is_empty() { String::new() } else { table.render() };
    for (words, keys) in absent.into_values() {
        out.push_str(&format!("{}: {words}\n", keys.join(" ")));
    }
    if !unused.is_empty() {
        let keys: Vec<&str> = unused.iter().map(|one| one.key.as_str()).collect();
        out.push_str(&format!("read, and not used for it: {}\n", keys.join(" ")));
    }
    out
}

/// A text with a full stop, if nothing else ends it.
pub fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '?', '!']) { text.to_owned() } else { format!("{text}.") }
}

/// A name that its owner chose, which makes no lines.
fn name(text: &str) -> String {
    print::line(text)
}

fn lines(all: &[String]) -> String {
    all.iter().map(|line| format!("{line}\n")).collect()
}

fn indent(body: &str) -> String {
    body.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cli::explain::statistic::Absent;

    #[test]
    fn statistics_without_a_value_say_why_below() {
        let statistic = |key: &str, absent| Statistic {
            key: key.to_owned(),
            module: Arc::from("m"),
            group: Some("balloon"),
            needs_process: true,
            instead_of: Vec::new(),
            goes_in: Some(true),
            values: Vec::new(),
            absent: Some(absent),
        };
        let unused = Statistic { goes_in: Some(false), ..statistic("c", Absent::NoValue) };
        let text = statistics(&[statistic("a", Absent::NotRead), statistic("b", Absent::NotRead), unused]);
        assert!(text.ends_with("\na b: it was not read in this slot\nread, and not used for it: c\n"), "{text}");
        assert!(text.contains("\na    balloon  guest  yes"), "{text}");
        assert_eq!(statistics(&[]), "");
        for (text, whole) in [("It is ", "It is."), ("It is.", "It is."), ("Is it?", "Is it?")] {
            assert_eq!(sentence(text), whole);
        }
    }

    #[test]
    fn sources_say_where_they_stand() {
        let file = Some("p.yaml".to_owned());
        let source = Wanting { name: "a".into(), interval: 10, of_guests: false, file, line: Some(3) };
        assert_eq!(wanting(&source), "a, every 10 s, p.yaml:3, not of guests");
        assert_eq!(wanting(&Wanting { of_guests: true, file: None, ..source }), "a, every 10 s, built in");
    }
}
