//! `wasmeter pipeline graph`.

use std::fmt::Write;

use crate::cli::ask::{Daemon, Unanswered};
use crate::cli::setup::{Host, Where};
use crate::cli::{Exit, print};
use crate::control::graph::{Flowed, Graph, Handed, Kind, Node};

const EXAMPLES: &str = "\
Examples:
  wasmeter pipeline graph -c /etc/wasmeter/wasmeter.yaml
  wasmeter pipeline graph --format dot | dot -Tsvg > pipelines.svg

A daemon that runs is asked what it runs, and for each source, sink and transformer how many samples
it gave: in the last slot, and in a second; and for each publisher what was delivered, waits and is lost.
Without a daemon, or with --offline, what is configured is shown.";

/// Show which samples go through what to whom.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    daemon: Daemon,
    /// Ask no daemon: show what is configured.
    #[arg(long, conflicts_with = "socket")]
    offline: bool,
    /// How it is shown: for people, for Graphviz, or for programs.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How a graph is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A tree of sources, sinks, and what they do.
    Text,
    /// What Graphviz draws.
    Dot,
    /// Nodes, and edges between their numbers.
    Json,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Result<(), Exit> {
        let asked = if self.offline { None } else { self.ask()? };
        let graph = match asked {
            Some(graph) => graph,
            None => Graph::of(&Where { config: self.daemon.config, host: Host::default() }.load()?),
        };
        match self.format {
            Format::Dot => print::text(&graph.dot()),
            Format::Text | Format::Json => print::asked(&graph, self.format == Format::Json, Graph::text),
        }
    }

    /// What the daemon runs; nothing if there is none and nobody said where it must be.
    fn ask(&self) -> Result<Option<Graph>, Exit> {
        match self.daemon.line()?.get("/pipelines") {
            Ok(graph) => Ok(Some(graph)),
            Err(Unanswered::Nobody(why)) if self.daemon.socket.is_none() => {
                print::note(format_args!("{why}: this is what is configured."));
                Ok(None)
            }
            Err(unanswered) => Err(unanswered.say()),
        }
    }
}

// === impl Graph ===

impl Graph {
    /// For people: who takes samples first, and below each who gets them.
    fn text(&self) -> String {
        let mut text = String::new();
        for (number, node) in self.nodes.iter().enumerate() {
            match node.kind {
                Kind::Source => {
                    let meters = print::line(&super::patterns(&node.meters));
                    text += &format!("{}: {meters}{}\n", print::line(&node.name), counted(node));
                }
                Kind::Everything => text += "all outputs of wasmeter.yaml get everything\n",
                _ => continue,
            }
            for (next, node) in self.behind(number) {
                text += &format!("  -> {}\n", self.chain(next, node));
            }
        }
        if text.is_empty() {
            text += "nobody gets samples: there is neither a pipeline nor an output\n";
        }
        text
    }

    /// A sink, its transformers, and who gets what comes out.
    fn chain(&self, number: usize, node: &Node) -> String {
        let behind: Vec<(usize, &Node)> = self.behind(number).collect();
        let name = shown(node);
        match behind.as_slice() {
            [] => name,
            [(next, node)] => format!("{name} -> {}", self.chain(*next, node)),
            several => {
                let names: Vec<String> = several.iter().map(|(_, node)| shown(node)).collect();
                format!("{name} -> {}", names.join(", "))
            }
        }
    }

    /// For Graphviz.
    fn dot(&self) -> String {
        let mut dot = "digraph pipelines {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        for (number, node) in self.nodes.iter().enumerate() {
            let shape = match node.kind {
                Kind::Everything | Kind::Source => ", shape=oval",
                Kind::Sink => ", shape=folder",
                Kind::Transformer => "",
                Kind::Publisher | Kind::Output => ", shape=cds",
            };
            let mut label = node.name.clone();
            if !node.meters.is_empty() {
                label = format!("{label}: {}", super::patterns(&node.meters));
            }
            label += &counted(node);
            // Writing to a string does not fail.
            let _ = writeln!(dot, "  n{number} [label=\"{}\"{shape}];", escaped(&label));
        }
        for edge in &self.edges {
            let _ = writeln!(dot, "  n{} -> n{};", edge.from, edge.to);
        }
        dot + "}\n"
    }
}

fn shown(node: &Node) -> String {
    format!("{}{}", print::line(&node.name), counted(node))
}

/// How many samples somebody gave or got, as far as it is known.
fn counted(node: &Node) -> String {
    let flow = node.flow.map(|Flowed { last_slot, per_second, failed, .. }| {
        let rate = per_second.map(|rate| format!(", {rate:.1}/s")).unwrap_or_default();
        let failed = if failed > 0 { format!(", failed for {failed}") } else { String::new() };
        format!(" ({last_slot} in the last slot{rate}{failed})")
    });
    let books = node
        .books
        .map(|Handed { delivered, waiting, lost }| format!(" ({delivered} delivered, {waiting} waiting, {lost} lost)"));
    flow.or(books).unwrap_or_default()
}

/// A text between quotation marks.
fn escaped(text: &str) -> String {
    print::line(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::clock::{Moment, SECOND};
    use crate::config::Config;
    use crate::control::status::Publisher;
    use crate::pipeline::flow::Flow;

    fn graph(pipeline: &str, config: &str) -> Graph {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wasmeter.yaml");
        fs::write(folder.path().join("pipeline.yaml"), pipeline).unwrap();
        fs::write(&path, config).unwrap();
        Graph::of(&Config::load(Some(&path)).unwrap().0)
    }

    const PIPELINE: &str = "sources:\n  - {name: 'a\"', meters: [cpu, disk.*, b, c, d], sinks: [x, z]}\nsinks:\n  \
                            - {name: x, publishers: ['http://u:p@h', 'http://u:q@h', test]}\n  - {name: z, \
                            publishers: [test], transformers: [{name: delta, parameters: }, {name: relabel, \
                            parameters: }]}\n";

    #[test]
    fn samples_go_from_sources_to_publishers() {
        let graph = graph(PIPELINE, "pipeline: pipeline.yaml\noutputs: [{test: true}]\n");
        assert_eq!(
            graph.text(),
            "a\": cpu, disk.*, b and 2 more\n  -> x -> http://***@h, http://***@h, test://\n  -> z -> delta -> relabel \
             -> test://\nall outputs of wasmeter.yaml get everything\n  -> test\n"
        );
        let dot = graph.dot();
        assert!(dot.contains("  n0 [label=\"a\\\": cpu, disk.*, b and 2 more\", shape=oval];\n"), "{dot}");
        assert_eq!(dot.matches(" -> ").count(), graph.edges.len());
        assert!(!dot.contains("u:p"), "{dot}");
        let json = serde_json::to_value(&graph).unwrap();
        assert_eq!(json["edges"][7], serde_json::json!({"from": 0, "to": 5, "pipeline": "a\":z"}));
        assert_eq!(
            json["nodes"][7],
            serde_json::json!({
                "kind": "transformer", "name": "relabel", "sink": "z", "step": 2,
            })
        );
    }

    #[test]
    fn what_is_known_of_samples_stands_beside_who_gave_them() {
        let mut graph = graph(PIPELINE, "pipeline: pipeline.yaml\noutputs: [{test: true}]\n");
        let mut flow = Flow::of(2, [0, 2].into_iter());
        for second in [10, 20] {
            flow.turn_to(Moment { wall: 0, monotonic: second * SECOND.unsigned_abs() });
            (0..2).for_each(|pipeline| flow.took(pipeline, 40));
            flow.gave(0, 40);
            flow.transformed(1, 0, 30, 2);
            flow.transformed(1, 1, 5, 0);
            flow.gave(1, 5);
        }
        let books = |name: &str| Publisher {
            name: name.to_owned(),
            url: None,
            trouble: None,
            measured: 10,
            replayed: 0,
            delivered: 7,
            spooled: 2,
            lost: 1,
            lost_by_cause: BTreeMap::new(),
            balances: true,
            oldest: None,
            position: 0,
        };
        graph.fill(&flow, &[books("test"), books("pipeline:test://")]);
        let handed = "(7 delivered, 2 waiting, 1 lost)";
        assert_eq!(
            graph.text(),
            format!(
                "a\": cpu, disk.*, b and 2 more (40 in the last slot, 4.0/s)\n  -> x (40 in the last slot, 4.0/s) -> \
                 http://***@h, http://***@h, test:// {handed}\n  -> z (5 in the last slot, 0.5/s) -> delta (30 in the \
                 last slot, 3.0/s, failed for 4) -> relabel (5 in the last slot, 0.5/s) -> test:// {handed}\nall \
                 outputs of wasmeter.yaml get everything\n  -> test {handed}\n"
            )
        );
        assert!(graph.dot().contains("label=\"relabel (5 in the last slot, 0.5/s)\""), "{}", graph.dot());
        // It comes over the socket as it is.
        let sent = serde_json::to_value(&graph).unwrap();
        assert_eq!(serde_json::from_value::<Graph>(sent).unwrap(), graph);
    }

    #[test]
    fn without_pipelines_outputs_get_everything() {
        let all = "all outputs of wasmeter.yaml get everything\n  -> test\n";
        assert_eq!(graph("", "outputs: [{test: true}]\n").text(), all);
        assert_eq!(graph("", "").text(), "nobody gets samples: there is neither a pipeline nor an output\n");
    }
}
