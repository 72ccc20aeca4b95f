//! `wasmeter tap`.

use std::io::ErrorKind;

use serde_json::Value;

use super::ask::{Daemon, Unanswered};
use super::{Exit, print};
use crate::control::tap::Tap;
use crate::json;

const EXAMPLES: &str = "\
Examples:
  wasmeter tap                                        all that is measured
  wasmeter tap --meter 'cpu*' --count 10
  wasmeter tap sink:cpu_sink --json | jq .counter_volume
  wasmeter tap 'output:pipeline:udp://collector:4952' --resource 3f1c --tenant acme

A point is
  measured      what outputs of wasmeter.yaml get
  sink:NAME     what comes out of a sink of pipeline.yaml
  output:NAME   what an output is handed; `wasmeter status` names them all

Nothing waits for whoever looks: what comes faster than it is read is left out, and how much is said.
Whoever may ask the daemon sees the samples of all tenants; --tenant only picks some of them.
Exit code 69: there is no daemon that answers, or it ended before --count samples came.";

/// Show samples as they pass a point in the daemon, until Ctrl-C or until it ends.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where to look.
    #[arg(value_name = "POINT", default_value = "measured")]
    point: String,
    #[command(flatten)]
    daemon: Daemon,
    /// Only meters that match, with * ? and [], or with ! those that are not shown; several with commas between them.
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    meter: Vec<String>,
    /// Only resources whose ids have this in them: a guest's id finds its disks and interfaces, too.
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    /// Only what modules of this tenant gave; `operator` for those of the operator.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// End after so many samples.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// For programs: a sample on each line, as Ceilometer has it.
    #[arg(long)]
    json: bool,
}

/// What the daemon begins a line with that is about samples it did not send.
const LEFT_OUT: &str = "{\"left_out\":";
/// The same of what is about samples that will not come.
const IN_VAIN: &str = "{\"in_vain\":";

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().unwrap_or_else(|exit| exit)
    }

    fn try_run(self) -> Result<Exit, Exit> {
        let Self { point, daemon, meter: meters, resource, tenant, .. } = &self;
        let order =
            Tap { point: point.clone(), meters: meters.clone(), resource: resource.clone(), tenant: tenant.clone() };
        let (mut seen, mut printed) = (0, Ok(()));
        let mut each = |line: &str| {
            if line.starts_with(LEFT_OUT) {
                print::note(left_out(line));
                return true;
            }
            if line.starts_with(IN_VAIN) {
                print::note(in_vain(line));
                return true;
            }
            seen += 1;
            printed = self.print(line);
            printed.is_ok() && self.count.is_none_or(|count| seen < count)
        };
        let is_over = daemon.line()?.follow("/tap", &order, &mut each).map_err(Unanswered::say)?;
        match printed {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Exit::Done),
            Err(error) => {
                print::error(format_args!("cannot print: {error}"));
                return Ok(Exit::Failed);
            }
            Ok(()) => {}
        }
        if is_over {
            print::note("The daemon ended.");
        }
        Ok(if is_over && self.count.is_some() { Exit::Unreachable } else { Exit::Done })
    }

    fn print(&self, line: &str) -> std::io::Result<()> {
        match self.json {
            true => print::try_text(&format!("{}\n", json::without_odd(line))),
            false => print::try_text(&print::plain(&text(line))),
        }
    }
}

/// A sample in a line for people: when, what, how much, of what, and from whom if that is not the operator.
fn text(line: &str) -> String {
    let sample: Value = serde_json::from_str(line).unwrap_or_default();
    let of = |key: &str| print::line(sample.get(key).and_then(Value::as_str).unwrap_or_default());
    let volume = sample.get("counter_volume").map(Value::to_string).unwrap_or_default();
    let name = sample.pointer("/resource_metadata/display_name").and_then(Value::as_str).unwrap_or_default();
    let source = match of("source") {
        source if source == "openstack" => String::new(),
        source => source,
    };
    let (volume, resource) = (format!("{volume} {}", of("counter_unit")), of("resource_id"));
    let parts =
        [of("timestamp"), of("counter_name"), volume.trim_end().to_owned(), resource, print::line(name), source];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{}\n", parts.join("  "))
}

fn left_out(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let samples = line.get("left_out").and_then(Value::as_u64).unwrap_or_default();
    format!("{samples} samples were left out: they came faster than they are read.")
}

fn in_vain(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    print::line(line.get("in_vain").and_then(Value::as_str).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_a_short_line() {
        let sample = r#"{"source": "openstack", "counter_name": "cpu", "counter_unit": "ns", "counter_volume": 5,
            "resource_id": "3f1c", "timestamp": "2026-01-02T03:04:05",
            "resource_metadata": {"display_name": "web\n1"}}"#;
        assert_eq!(text(sample), "2026-01-02T03:04:05  cpu  5 ns  3f1c  web\u{fffd}1\n");
        let sample = r#"{"source": "acme/m", "counter_name": "m.x", "counter_unit": "", "counter_volume": 0.5,
            "resource_id": "r", "timestamp": "2026-01-02T03:04:05", "resource_metadata": {}}"#;
        assert_eq!(text(sample), "2026-01-02T03:04:05  m.x  0.5  r  acme/m\n");
        assert_eq!(in_vain("{\"in_vain\":\"a\\nb\"}"), "a\u{fffd}b");
        assert_eq!(left_out("{\"left_out\": 7}"), "7 samples were left out: they came faster than they are read.");
    }
}
