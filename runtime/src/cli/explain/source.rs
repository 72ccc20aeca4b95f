//! The sources that want a meter, and the line that adds one.

use serde::Serialize;

use crate::config::pipeline::Sink;
use crate::config::polling::Source;
use crate::config::{Config, MeterFilter};
use crate::schedule::plan::Selection;

/// A source that wants a meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wanting {
    /// Its name.
    pub name: String,
    /// Seconds between two slots.
    pub interval: u64,
    /// Whether it wants it of guests.
    pub of_guests: bool,
    /// The file that it is in; `None` for what is built in.
    pub file: Option<String>,
    /// The line that it begins in.
    pub line: Option<u64>,
}

/// How often a source measures that somebody adds: as often as Ceilometer's.
const INTERVAL: u64 = 300;

/// The sources that want one of these meters of a module, whose own way to find resources is this.
pub fn wanting(config: &Config, meters: &[String], discovery: &[String]) -> Vec<Wanting> {
    let file = config.polling_file.as_ref().map(|file| file.display().to_string());
    let found = wanted_by(&config.polling.sources, meters, discovery);
    found.into_iter().map(|source| Wanting { file: file.clone(), ..source }).collect()
}

fn wanted_by(sources: &[Source], meters: &[String], discovery: &[String]) -> Vec<Wanting> {
    let wants = |source: &&Source| meters.iter().any(|meter| source.meters.matches(meter));
    let of = |source: &Source| Wanting {
        name: source.name.clone(),
        interval: source.interval.as_secs(),
        of_guests: Selection::of(source, discovery).has_guests(),
        file: None,
        line: source.place.map(|place| place.line),
    };
    sources.iter().filter(wants).map(of).collect()
}

/// A line that adds a source of a meter to the file that says what is measured, under a name that no source has, and
/// where that goes.
pub fn line(config: &Config, meter: &str) -> (String, String) {
    let file = match &config.polling_file {
        Some(file) => format!("{}, under `sources:`", file.display()),
        None => "a file under `sources:`, and name that file as `polling:` in wasmeter.yaml".to_owned(),
    };
    // Where pipeline.yaml says what is measured, a source has a sink.
    let pipelines = config.pipeline.as_ref().filter(|_| config.polling_file == config.pipeline_file);
    let Some(sinks) = pipelines.map(|pipelines| &*pipelines.sinks) else {
        return (new_line(&config.polling.sources, None, meter), file);
    };
    // Transformers are for what comes to them already, and may take nothing else.
    let (sink, more) = match sinks.iter().find(|sink| sink.transformers.is_empty()) {
        Some(Sink { name, .. }) => (name.clone(), String::new()),
        None => {
            let name = free(meter, |name| sinks.iter().any(|sink| sink.name == name));
            let more = format!(", and a sink such as `- {{name: {name:?}, publishers: [notifier://]}}` under `sinks:`");
            (name, more)
        }
    };
    (new_line(&config.polling.sources, Some(&sink), meter), file + &more)
}

fn new_line(sources: &[Source], sink: Option<&str>, meter: &str) -> String {
    let name = free(meter, |name| sources.iter().any(|source| source.name == name));
    let sinks = sink.map(|sink| format!(", sinks: [{sink:?}]")).unwrap_or_default();
    format!("  - {{name: {name:?}, interval: {INTERVAL}, meters: [{:?}]{sinks}}}", literal(meter))
}

/// A meter's name, or one like it that is not taken.
fn free(meter: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut all = std::iter::once(meter.to_owned()).chain((2_u64..).map(|n| format!("{meter}-{n}")));
    all.find(|name| !is_taken(name)).unwrap_or_default()
}

/// A filter for meters of exactly this name.
pub fn exactly(meter: &str) -> Option<MeterFilter> {
    MeterFilter::new(vec![literal(meter)]).ok()
}

/// A pattern that fits nothing but a name.
fn literal(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '*' | '?' | '[' => pattern.extend(['[', letter, ']']),
            _ => pattern.push(letter),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn source(name: &str, meters: &str, resources: &[&str], discovery: &[&str]) -> Source {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let meters = MeterFilter::new(vec![meters.to_owned()]).unwrap();
        let (resources, discovery) = (texts(resources), texts(discovery));
        Source { name: name.to_owned(), interval: Duration::from_secs(60), meters, resources, discovery, place: None }
    }

    #[test]
    fn sources_that_want_a_meter_say_of_what() {
        let sources = [
            source("all", "*", &[], &[]),
            source("disks", "disk.*", &[], &[]),
            source("node", "cpu", &[], &["local_node"]),
            source("fixed", "cpu", &["x"], &[]),
            source("both", "cpu", &["x"], &["local_instances"]),
        ];
        let found = wanted_by(&sources, &["cpu".to_owned()], &["local_instances".to_owned()]);
        let found: Vec<(&str, bool)> = found.iter().map(|source| (&*source.name, source.of_guests)).collect();
        assert_eq!(found, [("all", true), ("node", false), ("fixed", false), ("both", true)]);
        assert_eq!(wanted_by(&sources, &[], &[]), []);
    }

    #[test]
    fn a_line_names_a_new_source_and_one_meter() {
        let sources = [source("cpu", "cpu", &[], &[]), source("cpu-2", "cpu", &[], &[])];
        let line = |sources: &[Source], sink| new_line(sources, sink, "cpu");
        assert_eq!(line(&[], None), r#"  - {name: "cpu", interval: 300, meters: ["cpu"]}"#);
        assert_eq!(line(&sources, None), r#"  - {name: "cpu-3", interval: 300, meters: ["cpu"]}"#);
        assert_eq!(line(&[], Some("k")), r#"  - {name: "cpu", interval: 300, meters: ["cpu"], sinks: ["k"]}"#);
        let filter = exactly("a*[b]?").unwrap();
        assert!(filter.matches("a*[b]?") && !filter.matches("ax[b]y") && !filter.matches("a*b?"));
    }
}
