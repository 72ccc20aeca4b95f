//! Guests as an operator likes to see them: one line each, with rates from the second slot on.

use std::collections::HashMap;

use super::columns::{self, Columns, Side};
use crate::agent::report::Report;
use crate::contract::Values;
use crate::discovery::Ident;
use crate::pipeline::Slot;

/// Draws slots. Remembers the last one, for rates.
#[derive(Debug, Default)]
pub struct Table {
    last: HashMap<Ident, Line>,
    last_monotonic: u64,
}

/// One guest's numbers.
#[derive(Debug, Clone, Default)]
struct Line {
    name: String,
    project: String,
    status: &'static str,
    vcpus: Option<f64>,
    cpu: Option<f64>,
    memory_used: Option<f64>,
    memory: Option<f64>,
    read: f64,
    written: f64,
    received: f64,
    sent: f64,
}

/// A mebibyte, in which Ceilometer gives memory.
const MIB: f64 = 1_048_576.0;

// === impl Table ===

impl Table {
    /// A slot as a table, with what the cycle took above it and what the modules did below.
    pub fn draw(&mut self, report: &Report, title: &str) -> String {
        let slot = &report.slot;
        let lines = lines(slot);
        #[allow(clippy::cast_precision_loss, reason = "seconds between two slots")]
        let elapsed = slot.at.monotonic.saturating_sub(self.last_monotonic) as f64 / 1e9;
        let seconds = (!self.last.is_empty() && elapsed > 0.0).then_some(elapsed);
        let mut out = heading(report, title);
        out.push('\n');
        out.push_str(&self.guests(&lines, seconds));
        out.push('\n');
        out.push_str(&modules(report));
        self.last = lines.into_iter().collect();
        self.last_monotonic = slot.at.monotonic;
        out
    }

    fn guests(&self, lines: &[(Ident, Line)], seconds: Option<f64>) -> String {
        let per = if seconds.is_some() { "/s" } else { "" };
        let [read, write, receive, send] = ["READ", "WRITE", "IN", "OUT"].map(|title| format!("{title}{per}"));
        let cpu = if seconds.is_some() { "CPU" } else { "CPU TIME" };
        let mut table = Columns::new([
            ("GUEST", Side::Left),
            ("PROJECT", Side::Left),
            ("STATUS", Side::Left),
            ("VCPU", Side::Right),
            (cpu, Side::Right),
            ("MEMORY", Side::Right),
            (&read, Side::Right),
            (&write, Side::Right),
            (&receive, Side::Right),
            (&send, Side::Right),
        ]);
        for (ident, now) in lines {
            let before = self.last.get(ident);
            let rate = |of: fn(&Line) -> f64| rate(of(now), before.map(of), seconds);
            let cpu = now.cpu.and_then(|cpu| match seconds {
                None => Some(format!("{:.0}s", cpu / 1e9)),
                Some(_) => {
                    let grown = rate_of(cpu, before.and_then(|before| before.cpu), seconds)?;
                    Some(format!("{:.0}%", grown / 1e7))
                }
            });
            let memory = match (now.memory_used, now.memory) {
                (Some(used), Some(all)) => format!("{}/{}", columns::bytes(used * MIB), columns::bytes(all * MIB)),
                (None, Some(all)) => columns::bytes(all * MIB),
                _ => "-".into(),
            };
            table.row([
                now.name.clone(),
                now.project.chars().take(8).collect(),
                now.status.to_owned(),
                now.vcpus.map_or("-".into(), |vcpus| format!("{vcpus:.0}")),
                cpu.unwrap_or_else(|| "-".into()),
                memory,
                rate(|line| line.read),
                rate(|line| line.written),
                rate(|line| line.received),
                rate(|line| line.sent),
            ]);
        }
        table.render()
    }
}

fn rate(now: f64, before: Option<f64>, seconds: Option<f64>) -> String {
    match seconds {
        None => columns::bytes(now),
        Some(_) => rate_of(now, before, seconds).map_or("-".into(), columns::bytes),
    }
}

/// What was added each second; none where a counter began anew.
fn rate_of(now: f64, before: Option<f64>, seconds: Option<f64>) -> Option<f64> {
    let grown = now - before?;
    (grown >= 0.0).then(|| seconds.map(|seconds| grown / seconds))?
}

fn heading(report: &Report, title: &str) -> String {
    let slot = &report.slot;
    let stuck = match report.stuck.len() {
        0 => String::new(),
        stuck => format!(", {stuck} stuck"),
    };
    let missing = report.missing.as_ref().map(|why| format!(", incomplete: {why}")).unwrap_or_default();
    // These are the hypervisor's words.
    let missing = missing.replace(char::is_control, " ");
    format!(
        "{title}  {}  {} guests{stuck}, {} samples in {:.1} ms (of which reading {:.1} ms){missing}\n",
        super::encode::isoformat(slot.at.wall).split('.').next().unwrap_or_default(),
        report.guests,
        slot.len(),
        report.whole.as_secs_f64() * 1e3,
        report.read.as_secs_f64() * 1e3,
    )
}

fn modules(report: &Report) -> String {
    let mut table = Columns::new([
        ("MODULE", Side::Left),
        ("SAMPLES", Side::Right),
        ("FUEL", Side::Right),
        ("FUEL/GUEST", Side::Right),
        ("MEMORY", Side::Right),
        ("TIME", Side::Right),
        ("FAILED", Side::Left),
    ]);
    for module in &report.modules {
        let failed = module.failures.first().map(|(failure, _)| failure.cause.word()).unwrap_or_default();
        #[allow(clippy::cast_precision_loss, reason = "for people")]
        let memory = columns::bytes(module.memory as f64);
        table.row([
            module.name.to_string(),
            module.samples.to_string(),
            columns::short(module.fuel),
            columns::short(module.fuel / u64::from(report.guests.max(1))),
            memory,
            format!("{:.1}ms", module.took.as_secs_f64() * 1e3),
            failed.to_owned(),
        ]);
    }
    table.render()
}

fn lines(slot: &Slot) -> Vec<(Ident, Line)> {
    let roots = slot.resources.guests().filter_map(|number| slot.resources.get(number));
    let mut lines: Vec<(Ident, Line)> = roots
        .map(|resource| {
            let about = &resource.label.about;
            let project = resource.label.project.as_deref().unwrap_or_default().to_owned();
            let (name, status) = (about.display_name.clone(), about.status);
            (resource.ident, Line { name, project, status, ..Line::default() })
        })
        .collect();
    for samples in &slot.samples {
        for (row, number) in samples.column.resources.iter().enumerate() {
            let root = slot.resources.get(*number).map(|resource| resource.root as usize);
            let line = root.and_then(|root| lines.get_mut(root));
            if let (Some((_, line)), Some(volume)) = (line, volume(&samples.column.values, row)) {
                line.take(&samples.meter.name, volume);
            }
        }
    }
    lines
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn volume(values: &Values, row: usize) -> Option<f64> {
    match values {
        Values::Counts(values) => values.get(row).map(|value| *value as f64),
        Values::Integers(values) => values.get(row).map(|value| *value as f64),
        Values::Reals(values) => values.get(row).copied(),
        Values::Interned(_) => None,
    }
}

// === impl Line ===

impl Line {
    /// Meters that have a column; those of devices are summed.
    fn take(&mut self, meter: &str, volume: f64) {
        match meter {
            "vcpus" => self.vcpus = Some(volume),
            "cpu" => self.cpu = Some(volume),
            "memory" => self.memory = Some(volume),
            "memory.usage" => self.memory_used = Some(volume),
            "disk.device.read.bytes" => self.read += volume,
            "disk.device.write.bytes" => self.written += volume,
            "network.incoming.bytes" => self.received += volume,
            "network.outgoing.bytes" => self.sent += volume,
            _ => {}
        }
    }
}
