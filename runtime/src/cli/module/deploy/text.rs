//! A dry run and what became of a deployment, as people read it.

use crate::cli::module::amount::{bytes, count, percent};
use crate::cli::module::logs;
use crate::cli::module::show::failures;
use crate::cli::print;
use crate::control::deployments::{Deployed, DryMeter, DryRun, Reads};
use crate::publish::columns::{Columns, Side, short};

/// Groups and keys of a module fit on a few lines.
const WIDTH: usize = 100;

/// What came of it, and what can be done next.
pub fn deployed(deployed: &Deployed, only_tried: bool) -> String {
    format!("{}{}\n", tried_out(deployed), next(deployed, only_tried))
}

/// What came of trying it out, and what is odd about the order, with an empty line behind; nothing if it was not.
pub fn tried_out(deployed: &Deployed) -> String {
    let Deployed { key, digest, signed_by, dry_run, .. } = deployed;
    let Some(dry_run) = dry_run else { return String::new() };
    let signed = signed_by.as_deref().map_or_else(|| "not signed".to_owned(), |key| format!("signed by {key}"));
    let mut out = format!("{key}  sha256:{digest}, {}\n", print::line(&signed));
    out += &tried(dry_run);
    for doubt in &deployed.doubts {
        out += &format!("\nnote: {}\n", print::line(doubt));
    }
    out + "\n"
}

fn tried(run: &DryRun) -> String {
    let DryRun { fuel, fuel_granted, .. } = run;
    let mut out = format!(
        "dry run     {} of {} with {} in all\n",
        count(run.samples, "sample"),
        count(run.guests.into(), "guest"),
        count(run.resources.into(), "resource"),
    );
    if run.is_transformer {
        out += &format!("handed      {} from the operator's pollsters\n", count(run.handed, "sample"));
    }
    if let Some(doubt) = doubt(run) {
        out += &format!("            {doubt}\n");
    }
    let fuel = format!("{} of {}, {}", short(*fuel), short(*fuel_granted), percent(*fuel, *fuel_granted));
    out += &format!("fuel        {fuel}\n");
    out += &format!("memory      {}\n", bytes(run.memory));
    out += &format!("took        {:.1} ms\n", run.took_seconds * 1e3);
    out += &reads(&run.reads);
    out += &meters(&run.meters);
    if !run.log.is_empty() {
        out += "\nlog\n";
        for line in &run.log {
            out += &print::indented(&logs::line(line), 2);
        }
    }
    out += &failures("\nfailures\n", &run.failures);
    out
}

/// Why what came of it says little.
fn doubt(run: &DryRun) -> Option<&'static str> {
    let DryRun { is_transformer, guests, handed, slots, samples, .. } = run;
    if *guests == 0 {
        return Some("its tenant has no guest here now, so nothing is known of how it does");
    }
    if *is_transformer && *handed == 0 {
        return Some("so nothing is known of how it does: what its tenant's own give is handed to it in slots only");
    }
    match (slots, samples) {
        (..2, _) => None,
        (_, 0) if run.failures.is_empty() => {
            Some("it gave nothing, nor for the same an interval later, as if no counter moved: it may need more slots")
        }
        _ => Some("it gave nothing at first; this is what came of the same an interval later, as if no counter moved"),
    }
}

fn reads(reads: &Reads) -> String {
    let mut out = String::new();
    for (what, names) in [
        ("reads", &reads.statistics),
        ("no value of", &reads.absent),
        ("attributes", &reads.attributes),
        ("groups", &reads.groups),
        ("for it only", &reads.only_for_it),
    ] {
        if !names.is_empty() {
            out += &wrapped(what, names);
        }
    }
    if !reads.groups.is_empty() {
        out += &format!("host took   {:.1} ms\n", reads.took_seconds * 1e3);
    }
    out
}

/// Names behind a word, on as many lines as they need.
fn wrapped(what: &str, names: &[String]) -> String {
    let mut out = String::new();
    let mut line = format!("{what:<11}");
    for name in names {
        let name = print::line(name);
        if line.len() > 12 && line.len() + name.len() >= WIDTH {
            out += &format!("{line}\n");
            line = " ".repeat(11);
        }
        line += &format!(" {name}");
    }
    out + &line + "\n"
}

fn meters(meters: &[DryMeter]) -> String {
    let mut table = Columns::new([
        ("METER", Side::Left),
        ("TYPE", Side::Left),
        ("UNIT", Side::Left),
        ("SAMPLES", Side::Right),
        ("EXAMPLE", Side::Right),
        ("OF", Side::Left),
    ]);
    for meter in meters {
        let (of, example) = match &meter.example {
            Some((of, value)) => (of.clone(), value.to_string()),
            None => (String::new(), "-".to_owned()),
        };
        let (name, kind, unit) = (meter.name.clone(), meter.kind.clone(), meter.unit.clone());
        table.row([name, kind, unit, meter.samples.to_string(), example, of]);
    }
    if table.is_empty() { "\nit gave no meters\n".to_owned() } else { format!("\n{}", table.render()) }
}

/// What is so now.
fn next(deployed: &Deployed, only_tried: bool) -> String {
    let Deployed { key, version, on_trial, unchanged, paused, quarantined, .. } = deployed;
    let show = format!("wasmeter module show {key}");
    let resume = format!("To have it run, wasmeter module resume {key}");
    match version {
        None if deployed.failed().is_some() => {
            let is = if only_tried { "would not be" } else { "is not" };
            format!("{key} {is} deployed, because the dry run failed. Mend it, or deploy it with --anyway")
        }
        _ if *unchanged && *paused => format!("{key} is just so already, and does not run: it is paused. {resume}"),
        _ if *unchanged && *quarantined => {
            format!("{key} is just so already, and does not run: it is in quarantine. {resume}")
        }
        _ if *unchanged => format!("{key} runs just so already, and stays as it is. See {show}"),
        Some(version) if *paused => {
            format!("version {version} of {key} is kept, and does not run: {key} is paused. See {show}")
        }
        Some(version) if *on_trial => {
            format!("version {version} of {key} is on trial beside the one before. See {show}")
        }
        Some(version) => format!("version {version} of {key} runs from the next slot on. See {show}"),
        None if only_tried => format!("{key} is not deployed yet. To have that, leave out --dry-run"),
        None => format!("{key} is not deployed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::deployments::{Failed, Line};
    use crate::digest::Digest;
    use crate::modules::deployment::Key;

    fn example() -> Deployed {
        Deployed {
            key: Key::new("acme".parse().unwrap(), "probe".parse().unwrap()),
            digest: Digest::of(b"x"),
            signed_by: Some("release".into()),
            dry_run: Some(DryRun {
                is_transformer: false,
                handed: 0,
                slots: 1,
                guests: 2,
                resources: 6,
                meters: vec![DryMeter {
                    name: "acme.up".into(),
                    unit: "guest\u{1b}[2J".into(),
                    kind: "gauge".into(),
                    samples: 2,
                    example: Some(("a-guest".into(), 1.5)),
                }],
                samples: 2,
                fuel: 36_000,
                fuel_granted: 50_120_000,
                memory: 1_153_434,
                took_seconds: 0.000_7,
                reads: Reads {
                    statistics: (0..20).map(|number| format!("block.*.rd.{number}")).collect(),
                    absent: vec!["block.*.rd.7".into()],
                    groups: vec!["block".into(), "state".into()],
                    only_for_it: vec!["block".into()],
                    took_seconds: 0.002_2,
                    ..Reads::default()
                },
                failures: Vec::new(),
                log: vec![Line { at: None, version: None, level: "info".into(), text: "one\ntwo\u{7}".into() }],
            }),
            version: Some(2),
            on_trial: true,
            unchanged: false,
            paused: false,
            quarantined: false,
            changes: Vec::new(),
            doubts: Vec::new(),
        }
    }

    #[test]
    fn what_came_of_it_is_shown() {
        let said = deployed(&example(), false);
        for words in [
            "acme/probe  sha256:2d711642b726b044",
            ", signed by release\n",
            "dry run     2 samples of 2 guests with 6 resources in all\n",
            "fuel        36k of 50M, less than 0.1%\n",
            "memory      1.1M\n",
            "took        0.7 ms\n",
            "no value of block.*.rd.7\n",
            "groups      block state\n",
            "for it only block\n",
            "host took   2.2 ms\n",
            "acme.up  gauge  guest\u{fffd}[2J        2      1.5  a-guest\n",
            "log\n  info   one\n      two\u{fffd}\n",
            "version 2 of acme/probe is on trial beside the one before. See wasmeter module show acme/probe\n",
        ] {
            assert!(said.contains(words), "no {words:?} in\n{said}");
        }
        assert!(said.lines().all(|line| line.len() < 110), "{said}");
        let odd = said.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(odd, None);
    }

    #[test]
    fn a_transformer_says_what_it_was_handed() {
        for (handed, slots, samples, words) in [
            (4, 1, 2, "handed      4 samples from the operator's pollsters\nfuel"),
            (
                4,
                2,
                2,
                "pollsters\n            it gave nothing at first; this is what came of the same an interval later, as if",
            ),
            (
                4,
                2,
                0,
                "pollsters\n            it gave nothing, nor for the same an interval later, as if no counter moved: it may",
            ),
            (
                0,
                1,
                0,
                "handed      0 samples from the operator's pollsters\n            so nothing is known of how it does",
            ),
        ] {
            let mut tried = example();
            let run = tried.dry_run.take().unwrap();
            tried.dry_run = Some(DryRun { is_transformer: true, handed, slots, samples, ..run });
            let said = super::deployed(&tried, true);
            assert!(said.contains(words), "no {words:?} in\n{said}");
        }
        let mut pollster = example();
        assert!(!super::deployed(&pollster, true).contains("handed"));
        pollster.dry_run.as_mut().unwrap().slots = 2;
        let said = super::deployed(&pollster, true);
        assert!(said.contains("in all\n            it gave nothing at first; this is what came of the same"), "{said}");
    }

    #[test]
    fn each_end_has_its_words() {
        let deployed = example();
        let trial = |version, on_trial, unchanged| Deployed { version, on_trial, unchanged, ..deployed.clone() };
        let still = |paused, quarantined| Deployed { paused, quarantined, ..trial(Some(1), false, true) };
        let fails = |version, samples| {
            let mut fails = trial(version, false, false);
            let why = "the module failed\nfailures\n".to_owned();
            let run = fails.dry_run.as_mut().unwrap();
            run.failures = vec![Failed { at: None, version: None, cause: "trap".into(), why, resources: 6 }];
            run.samples = samples;
            fails
        };
        for (deployed, only_tried, words) in [
            (trial(Some(1), false, false), false, "version 1 of acme/probe runs from the next slot on."),
            (trial(Some(2), false, true), false, "acme/probe runs just so already"),
            (trial(None, false, true), true, "acme/probe runs just so already"),
            (
                still(true, false),
                false,
                "acme/probe is just so already, and does not run: it is paused. To have it run, wasmeter module resume",
            ),
            (still(false, true), false, "does not run: it is in quarantine. To have it run, wasmeter module resume"),
            (trial(None, false, false), true, "is not deployed yet. To have that, leave out --dry-run"),
            (fails(None, 0), true, "would not be deployed, because the dry run failed. Mend it"),
            (fails(None, 0), false, "is not deployed, because the dry run failed. Mend it"),
            (fails(None, 2), true, "is not deployed yet. To have that, leave out --dry-run"),
            (fails(Some(1), 0), false, "version 1 of acme/probe runs from the next slot on."),
        ] {
            let said = super::deployed(&deployed, only_tried);
            assert!(said.contains(words), "no {words:?} in\n{said}");
        }
        let said = super::deployed(&fails(None, 0), true);
        assert!(
            said.contains("failures\n  trap, 6 resources left out\n    the module failed\n    failures\n"),
            "{said}"
        );
    }
}
