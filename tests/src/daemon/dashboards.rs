//! What operators look at and are told: dashboards and rules in `etc/`, with a real Prometheus and a daemon that has
//! something to tell.

mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use self::promql::Expression;
use super::tenants::{Cloud, PROBE, said};
use crate::exporter::prometheus::{Prometheus, installed, promtool};
use crate::exporter::{self, PASSWORD, SECURE};
use crate::support::program::{text, until};

/// Here Prometheus has its rules from.
pub const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/prometheus/wasmeter.rules.yml");
const RULES_TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/prometheus/wasmeter.test.yml");
/// What alerts mean.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operate.md");
const DASHBOARDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../etc/grafana");
/// Grafana puts those in itself.
const BUILT_IN: [(&str, &str); 2] = [("$__rate_interval", "1m"), ("${datasource}", "")];
/// How wide a dashboard is.
const WIDTH: u64 = 24;

/// Samples of the operator's, which wait until there are more than there will be.
const HOLDING: &str = r#"
sources: [{name: held, meters: [vcpus], sinks: [held]}]
sinks: [{name: held, transformers: [{name: accumulator, parameters: {size: 50000}}], publishers: [test]}]
"#;

/// The labels of every metric that is there.
type Families = BTreeMap<String, BTreeSet<String>>;

fn dashboards() -> BTreeMap<PathBuf, Value> {
    let files = fs::read_dir(DASHBOARDS).unwrap().map(|file| file.unwrap().path());
    let read = |path: &Path| {
        let file = fs::read_to_string(path).unwrap();
        serde_json::from_str(&file).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .map(|path| (path.clone(), read(&path)))
        .collect()
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().unwrap_or_else(|| panic!("no list {key} in {of}"))
}

/// The variables of a dashboard.
fn variables(dashboard: &Value) -> &[Value] {
    list(&dashboard["templating"], "list")
}

/// As Grafana asks Prometheus with everything chosen.
fn filled(expression: &str, dashboard: &Value) -> String {
    let mut filled = expression.to_owned();
    for (name, value) in BUILT_IN {
        filled = filled.replace(name, value);
    }
    for variable in variables(dashboard) {
        filled = filled.replace(&format!("${}", text(variable, "name")), ".*");
    }
    assert!(!filled.contains('$'), "an unknown variable in {expression}");
    filled
}

/// Names of labels in what stands beside a series: `{{name}}` in dashboards, `{{ $labels.name }}` in rules.
fn labels_in(text: &str) -> BTreeSet<String> {
    let all = text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim());
    let labels = all.filter(|inside| !inside.starts_with("$value")).map(|inside| inside.trim_start_matches("$labels."));
    labels.map(str::to_owned).collect()
}

/// Everything that an expression names is there, and so is what is said beside it.
fn is_there(families: &Families, expression: &str, beside: &str) {
    let Expression { selectors, grouped } = Expression::read(expression);
    assert!(!selectors.is_empty(), "nothing in {expression}");
    let mut all = BTreeSet::new();
    for (metric, matched) in &selectors {
        let labels = families.get(metric).unwrap_or_else(|| panic!("nobody exports {metric}, in {expression}"));
        assert!(matched.is_subset(labels), "{metric} has {labels:?}, in {expression}");
        all.extend(labels.iter().cloned());
    }
    assert!(grouped.is_subset(&all), "no such labels: {expression}");
    let beside = labels_in(beside);
    assert!(beside.is_subset(&all), "{beside:?} beside {expression}");
}

/// A daemon with tenants, a module that fails and one that forgets, and what Prometheus has of it.
#[test]
fn dashboards_and_rules_name_what_is_exported() {
    if !installed() {
        return;
    }
    let cloud = Cloud::new(&format!("{SECURE}pipeline: pipeline.yaml\n"));
    cloud.folder.poll(&["*"]);
    cloud.folder.pipe_samples(HOLDING);
    exporter::secure(&cloud.folder);
    cloud.deploy("acme", "probe", "resources", PROBE);
    let failing = "grants: {names: [hostile.], groups: [cpu]}\nconfig: 'run: divide by zero'";
    cloud.deploy("acme", "fails", "hostile", failing);
    let daemon = cloud.folder.start("run");
    said(&daemon, "it is in quarantine after 3 failing slots in a row");
    cloud.folder.pipe_samples(&HOLDING.replace("50000", "60000"));
    daemon.signal(Signal::HUP);
    said(&daemon, "What it remembered is forgotten");
    let prometheus = Prometheus::start(&cloud.folder, &exporter::address(&daemon), PASSWORD);
    // Rules are evaluated one after the other, and some build upon others.
    let rules = until("all rules evaluated on some scrapes", || {
        let scrapes = prometheus.query("min(count_over_time(wasmeter_module_calls_failed_total[1h]))");
        let rules = prometheus.rules();
        let last = prometheus.query("tenant:wasmeter_module_fuel:rate5m");
        let enough = scrapes.first().is_some_and(|(_, count)| *count >= 5.0) && !last.is_empty();
        (enough && rules.iter().all(|rule| rule["health"] != "unknown")).then_some(rules)
    });
    let mut families = Families::new();
    for (labels, _) in prometheus.query("{__name__=~'wasmeter_.+|up|.+:wasmeter_.+'}") {
        families.entry(labels["__name__"].clone()).or_default().extend(labels.into_keys());
    }
    assert!(rules.len() > 30 && families.len() > 50, "{} rules, {} families", rules.len(), families.len());
    for rule in &rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        is_there(&families, text(rule, "query"), &rule["annotations"].to_string());
        if rule["type"] == "alerting" {
            let about = |key: &str| rule["annotations"][key].as_str().is_some_and(|text| !text.is_empty());
            assert!(about("summary") && about("description"), "{rule}");
            assert!(["critical", "warning", "info"].contains(&text(&rule["labels"], "severity")), "{rule}");
        }
    }
    for (path, dashboard) in &dashboards() {
        let mut shown = BTreeSet::new();
        for panel in list(dashboard, "panels") {
            for target in list(panel, "targets") {
                let expression = filled(text(target, "expr"), dashboard);
                is_there(&families, &expression, text(target, "legendFormat"));
                shown.extend(Expression::read(&expression).selectors.into_iter().map(|(metric, _)| metric));
                // What is left out where nothing happened cannot be had from this daemon.
                let answer = prometheus.query(&expression);
                assert!(
                    !answer.is_empty() || expression.ends_with("> 0"),
                    "{}: no answer to {expression}",
                    path.display()
                );
            }
        }
        assert!(shown.len() > 8, "{}: {shown:?}", path.display());
    }
    // Nothing that the daemon tells of itself is left out everywhere.
    let told: String = dashboards().values().map(Value::to_string).collect();
    for family in families.keys().filter(|family| family.starts_with("wasmeter_")) {
        assert!(told.contains(family.as_str()), "no dashboard shows {family}");
    }
    drop(prometheus);
    daemon.end();
}

#[test]
fn dashboards_are_whole() {
    let all = dashboards();
    assert_eq!(all.len(), 4);
    let mut uids = BTreeSet::new();
    for (path, dashboard) in &all {
        let path = path.display();
        let uid = text(dashboard, "uid");
        assert!(uids.insert(uid.to_owned()) && path.to_string().ends_with(&format!("/{uid}.json")), "{path}: {uid}");
        assert!(!text(dashboard, "title").is_empty() && !text(dashboard, "description").is_empty(), "{path}");
        let names: BTreeSet<&str> = variables(dashboard).iter().map(|variable| text(variable, "name")).collect();
        assert!(names.contains("datasource") && names.contains("instance"), "{path}: {names:?}");
        let (mut ids, mut titles, mut covered) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for panel in list(dashboard, "panels") {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{path}: {panel}");
            assert!(titles.insert(text(panel, "title")), "{path}: {panel}");
            assert!(!text(panel, "title").is_empty() && !text(panel, "description").is_empty(), "{path}: {panel}");
            assert!(!text(&panel["fieldConfig"]["defaults"], "unit").is_empty(), "{path}: {panel}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{path}: {panel}");
            let of = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(of("x") + of("w") <= WIDTH, "{path}: {panel}");
            for x in of("x")..of("x") + of("w") {
                for y in of("y")..of("y") + of("h") {
                    assert!(covered.insert((x, y)), "{path}: panels overlap at {x}, {y}");
                }
            }
        }
    }
}

#[test]
fn rules_do_what_they_say() {
    if !installed() {
        return;
    }
    assert_eq!(promtool(&["check", "rules", RULES]), "");
    assert_eq!(promtool(&["test", "rules", RULES_TESTS]), "");
    let (rules, tests) = (fs::read_to_string(RULES).unwrap(), fs::read_to_string(RULES_TESTS).unwrap());
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let untested: Vec<&str> =
        alerts.clone().filter(|alert| !tests.contains(&format!("alertname=\"{alert}\""))).collect();
    assert_eq!(untested, ["WasmeterSamplesLost"], "that one is tested with its words");
    assert!(tests.contains("alertname: WasmeterSamplesLost"));
    let mut records = rules.lines().filter_map(|line| line.trim().strip_prefix("- record: "));
    let untested =
        records.find(|record| !tests.contains(&format!("{record}{{")) && !tests.contains(&format!("({record}")));
    assert_eq!(untested, None, "nothing says what it records");
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let unexplained: Vec<&str> = alerts.filter(|alert| !document.contains(&format!("`{alert}`"))).collect();
    assert!(unexplained.is_empty(), "docs/operate.md says nothing of {unexplained:?}");
    // Mistakes are seen.
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.yml");
    fs::write(&wrong, rules.replace("rate(", "rat(")).unwrap();
    assert_ne!(promtool(&["check", "rules", wrong.to_str().unwrap()]), "");
    let never = tests.replace("../../etc/prometheus/wasmeter.rules.yml", wrong.to_str().unwrap());
    fs::write(&wrong, rules.replace("wasmeter_guests_stuck > 0", "wasmeter_guests_stuck > 9")).unwrap();
    let tests = folder.path().join("tests.yml");
    fs::write(&tests, never).unwrap();
    assert!(promtool(&["test", "rules", tests.to_str().unwrap()]).contains("WasmeterGuestsStuck"));
}
