//! An explanation for people.

use std::collections::BTreeMap;

use super::explanation::{Explanation, Giver, Sample};
use super::source::Wanting;
use super::statistic::{Raw, Statistic};
use crate::publish::columns::{Columns, Side};
use crate::sandbox::World;

/// What is printed of a guest that was found.
pub fn write(said: &Explanation) -> String {
    let mut out = head(said);
    for why in &said.reasons {
        out.push_str(&format!("\nNo value: {}.\n  {}.\n", sentence(&why.why), sentence(&why.remedy)));
    }
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            out.push_str(&format!("\n{title}\n{}", indent(&body)));
        }
    };
    let of_daemon = if said.reasons.is_empty() { "samples" } else { "samples, if it were not for that" };
    section(of_daemon, samples(&said.samples));
    section("is made by the transformer of", samples(&said.inputs));
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
            let called = if guest.display_name.is_empty() { asked } else { &guest.display_name };
            format!("{meter} of {called}\nguest    {} {}{state}\n", guest.name, guest.uuid)
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
    let Wanting { name, interval, of_guests, line } = source;
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    let not = if *of_guests { "" } else { ", not of guests" };
    format!("{name}, every {interval} s{line}{not}")
}

fn samples(samples: &[Sample]) -> String {
    let mut table = Columns::new([
        ("METER", Side::Left),
        ("RESOURCE", Side::Left),
        ("VOLUME", Side::Right),
        ("UNIT", Side::Left),
        ("TYPE", Side::Left),
        ("TIMESTAMP", Side::Left),
        ("AGE", Side::Right),
        ("MODULE", Side::Left),
    ]);
    for sample in samples {
        table.row([
            sample.meter.clone(),
            sample.resource.clone(),
            sample.volume.to_string(),
            sample.unit.clone(),
            sample.r#type.to_owned(),
            sample.timestamp.clone(),
            format!("{:.3} s", sample.age),
            sample.module.to_string(),
        ]);
    }
    if table.is_empty() { String::new() } else { table.render() }
}

/// A line for each value, and below a line for each reason for which there is none.
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
    for one in all {
        let used = one.goes_in.map_or("", |goes_in| if goes_in { "yes" } else { "no" });
        let asks = if one.needs_process { "guest" } else { "host" };
        let mut row = |key: &str, device: &str, value: String| {
            let group = one.group.unwrap_or("definition").to_owned();
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
    if table.is_empty() {
        return String::new();
    }
    let reasons = absent.into_values().map(|(words, keys)| format!("- {}: {words}\n", keys.join(" ")));
    table.render() + &reasons.collect::<String>()
}

/// A text that stands in front of a full stop.
fn sentence(text: &str) -> &str {
    text.trim_end().trim_end_matches('.')
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
        let text = statistics(&[statistic("a", Absent::NotRead), statistic("b", Absent::NotRead)]);
        assert!(text.ends_with("\n- a b: it was not read in this slot\n"), "{text}");
        assert!(text.contains("\na    balloon  guest  yes"), "{text}");
        assert_eq!(statistics(&[]), "");
        assert_eq!(sentence("It is. "), "It is");
    }

    #[test]
    fn sources_say_where_they_stand() {
        let source = Wanting { name: "a".into(), interval: 10, of_guests: false, line: Some(3) };
        assert_eq!(wanting(&source), "a, every 10 s, line 3, not of guests");
        assert_eq!(wanting(&Wanting { of_guests: true, line: None, ..source }), "a, every 10 s");
    }
}
