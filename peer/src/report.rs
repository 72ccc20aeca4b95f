//! What a comparison says.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::compare::{Comparison, Counts};
use crate::known::RULES;

/// All of it as text.
pub fn text(comparison: &Comparison, tried: &BTreeSet<String>) -> String {
    let mut text = String::new();
    write(&mut text, comparison, tried);
    text
}

fn write(text: &mut String, comparison: &Comparison, tried: &BTreeSet<String>) {
    let mut line = |line: String| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{line}");
    };
    let row = |name: &str, counts: &Counts| {
        let Counts { equal, different, only_ours, only_theirs } = counts;
        format!("{name:<32} {equal:>6} {different:>10} {only_ours:>14} {only_theirs:>16}")
    };
    line(format!(
        "{:<32} {:>6} {:>10} {:>14} {:>16}",
        "meter", "equal", "different", "only wasmeter", "only Ceilometer"
    ));
    let mut all = Counts::default();
    for (meter, counts) in &comparison.meters {
        line(row(meter, counts));
        all.equal += counts.equal;
        all.different += counts.different;
        all.only_ours += counts.only_ours;
        all.only_theirs += counts.only_theirs;
    }
    line(row("all", &all));
    let nowhere: Vec<_> = tried.iter().filter(|meter| !comparison.meters.contains_key(*meter)).cloned().collect();
    line(format!("\nGiven by neither, as these guests have no such thing: {}", nowhere.join(" ")));
    line("\nCompared otherwise than by value:".into());
    for (meter, rule, reason) in RULES {
        line(format!("  {meter} ({rule:?}): {reason}"));
    }
    if !comparison.known.is_empty() {
        line("\nKnown differences:".into());
    }
    for (known, times) in &comparison.known {
        let stale = if *times == 0 { "  THIS NO LONGER OCCURS: take it off the list" } else { "" };
        line(format!("  {times} times: {} ({}){stale}", known.what, known.reason));
    }
    if !comparison.differences.is_empty() {
        line("\nDifferences:".into());
    }
    for difference in &comparison.differences {
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "(nothing)".into());
        let (key, path) = (&difference.key, &difference.path);
        let whole = if path.is_empty() { "the sample" } else { path };
        line(format!("  {} of {} ({:?}): {whole}", key.meter, key.resource, key.name));
        line(format!("      wasmeter    {}", side(&difference.ours)));
        line(format!("      Ceilometer  {}", side(&difference.theirs)));
    }
    let verdict = if comparison.is_fine() { "Both say the same." } else { "They DIFFER." };
    line(format!("\n{verdict}"));
}
