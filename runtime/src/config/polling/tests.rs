use proptest::prelude::*;

use super::*;
use crate::config::cases;

fn parse(text: &str) -> Result<(Polling, Problems), Problems> {
    Polling::parse(text, Path::new("polling.yaml"), 0)
}

/// All that is said about a file, a problem a line.
fn said(text: &str) -> String {
    parse(text).map_or_else(|problems| problems.to_string(), |(_, problems)| problems.to_string())
}

#[test]
fn every_problem_is_said_at_once_with_its_line_and_remedy() {
    cases::check(include_str!("tests/problems.txt"), said);
}

#[test]
fn sizes_are_bounded() {
    let many = |number: usize, text: &str| text.repeat(number);
    let too_large = "not valid YAML: the file is too large or nests too deeply. Use fewer entries, or less nesting";
    let source = |name| format!("  - {{name: {name}, interval: 1, meters: *x}}\n");
    let sources = |number: usize| (0..number).map(source).collect::<String>();
    let tenfold = |name: char, of: &str| format!("{name}: &{name} [{}]\n", many(10, of));
    let bomb = [('a', "x,"), ('b', "*a,"), ('c', "*b,"), ('d', "*c,"), ('e', "*d,"), ('f', "*e,")];
    for (text, last) in [
        (
            format!("sources:\n{}", many(10_001, "  -\n")),
            "polling.yaml:2:3: error: `sources` is a list: too long. Write at most 10000 entries".to_owned(),
        ),
        (
            format!("sources:\n  - {{name: a, interval: 1, meters: [{}]}}\n", many(10_001, "a,")),
            "polling.yaml:2:36: error: `sources[0].meters` is a list: too long. Write at most 10000 entries".to_owned(),
        ),
        (
            format!("sources: [{{name: a, interval: 1, meters: [{}]}}]\n", many(256, "a")),
            "polling.yaml:1:43: error: source `a`: A pattern is longer than 255 characters. Write a shorter pattern"
                .to_owned(),
        ),
        (
            format!("x: &x [{}]\nsources:\n{}", many(100, "'?',"), sources(101)),
            "polling.yaml:103:6: error: with source `100` there are more than 10000 meters. Write fewer, with * \
             where meters share a beginning, or in fewer sources"
                .to_owned(),
        ),
        (many(250_000, "- a\n"), format!("polling.yaml:250000:3: error: {too_large}")),
        (many(80, "[") + &many(80, "]"), format!("polling.yaml:1:17: error: {too_large}")),
        (
            bomb.map(|(name, of)| tenfold(name, of)).concat(),
            "polling.yaml:6:8: error: not valid YAML: aliases multiply the file too much. Write it out, or use fewer \
             of them"
                .to_owned(),
        ),
    ] {
        assert_eq!(said(&text).lines().last(), Some(last.as_str()));
    }
}

#[test]
fn what_ceilometer_accepts_is_accepted() {
    let comments = "    # a comment\n".repeat(100);
    let text = format!(
        "---\ncommon: &common\n  interval: \"+6_0 \"\n  meters: &meters\n{comments}    - cpu\n    - disk.*\nsources:\n\
         {}  - {{name: octal, interval: 010, meters: *meters, resources: ~}}\n  \
         - {{name: cut, interval: 1.9, meters: ['!cpu']}}\n  - {{name: 1.5, interval: 0x10, meters: ['*']}}\n",
        (0..200).map(|number| format!("  - {{<<: *common, name: s{number}}}\n")).collect::<String>(),
    );
    let (polling, problems) = parse(&text).unwrap();
    assert_eq!(
        problems.to_string(),
        "polling.yaml:2:1: warning: unknown key `common`. Remove it; known keys are sources\npolling.yaml:309:17: \
         warning: source `cut`: `interval`: fractions of a second are cut off. Write whole seconds, such as \
         `interval: 60`"
    );
    let interval = |name: &str| polling.sources.iter().find(|source| source.name == name).unwrap().interval.as_secs();
    assert_eq!(["s0", "s199", "octal", "cut", "1.5"].map(interval), [60, 60, 8, 1, 16]);
    assert_eq!(polling.shortest_interval().unwrap().as_secs(), 1);
    assert_eq!(polling.sources.iter().map(|source| source.place.unwrap().line).max(), Some(310));
    assert!(polling.sources.iter().all(|source| source.meters.matches("disk.root.size")));
}

#[test]
fn what_is_built_in_is_the_sample() {
    let (polling, problems) = parse(BUILT_IN).unwrap();
    assert!(problems.is_empty());
    let source = serde_json::json!({
        "name": "all", "interval": 10, "meters": ["*"], "resources": [], "discovery": [],
    });
    assert_eq!(serde_json::to_value(polling).unwrap(), serde_json::json!({"sources": [source]}));
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = parse(&text);
    }

    #[test]
    fn nothing_like_yaml_panics(text in "(sources|name|interval|meters|[\\[\\]{}:,\\-\"'*&!|>%#?~<a0-9. \\n]){0,60}") {
        for problem in parse(&text).map_or_else(|problems| problems, |(_, problems)| problems).iter() {
            prop_assert!(problem.line.is_some() && problem.file.is_some());
            prop_assert!(!problem.remedy.is_empty());
            prop_assert!(!problem.to_string().contains('\n'));
        }
    }

    #[test]
    fn no_source_panics(
        key in "name|interval|meters|resources|discovery",
        value in "[\\[\\]{}:,\"'*!a0-9._+ -]{0,12}",
    ) {
        let _ = parse(&format!("sources:\n  - name: a\n    {key}: {value}\n    interval: 5\n"));
        let _ = parse(&format!("sources: [{{{key}: {value}}}]\n"));
    }
}
