//! `wasmeter pipeline graph`.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::setup::Where;
use crate::cli::{Exit, print};
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  wasmeter pipeline graph -c /etc/wasmeter/wasmeter.yaml
  wasmeter pipeline graph --format dot | dot -Tsvg > pipelines.svg

It shows what is configured, and asks no daemon.";

/// Show which samples go through what to whom.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Configuration file; without one, the defaults hold.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
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

/// Who hands samples to whom. Nodes and edges are of what is configured; who knows what runs may say more about each.
#[derive(Debug, Default, Serialize)]
pub struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

/// Somebody who takes or gives samples.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Serialize)]
pub struct Node {
    kind: Kind,
    name: String,
    /// The sink that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    sink: Option<String>,
    /// Which of the sink's transformers, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<usize>,
    /// What a source takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    meters: Vec<String>,
}

/// What somebody is.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// All samples, for outputs that have no pipeline.
    Everything,
    /// A source of `pipeline.yaml`.
    Source,
    /// A sink of it.
    Sink,
    /// A transformer of a sink.
    Transformer,
    /// A publisher of a sink.
    Publisher,
    /// An output of `wasmeter.yaml`.
    Output,
}

/// That one hands samples to another; both are numbers of nodes.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    from: usize,
    to: usize,
    /// The pipeline that it is, between a source and a sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline: Option<String>,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Result<(), Exit> {
        let config = Where { config: self.config, hypervisor: None }.load()?;
        let graph = Graph::of(&config);
        match self.format {
            Format::Text => print::text(&print::plain(&graph.text())),
            Format::Dot => print::text(&graph.dot()),
            Format::Json => print::json(&serde_json::to_value(&graph).unwrap_or_default()),
        }
    }
}

// === impl Graph ===

impl Graph {
    /// What a configuration says.
    pub fn of(config: &Config) -> Self {
        let mut graph = Self::default();
        if let Some(pipelines) = &config.pipeline {
            let sources: Vec<usize> = pipelines
                .sources
                .iter()
                .map(|source| {
                    let meters = source.meters.patterns().to_vec();
                    graph.node(Node { meters, ..Node::of(Kind::Source, &source.name) })
                })
                .collect();
            let mut publishers = HashMap::new();
            let mut sinks = Vec::new();
            for sink in &pipelines.sinks {
                let first = graph.node(Node::of(Kind::Sink, &sink.name));
                sinks.push(first);
                let mut last = first;
                for (step, transformer) in (1..).zip(&sink.transformers) {
                    let (sink, step) = (Some(sink.name.clone()), Some(step));
                    let next = graph.node(Node { sink, step, ..Node::of(Kind::Transformer, &transformer.name) });
                    graph.edge(last, next, None);
                    last = next;
                }
                for publisher in &sink.publishers {
                    // Two that differ in what is not shown are two.
                    let url = publisher.url().expose();
                    let node = || graph.node(Node::of(Kind::Publisher, &publisher.to_string()));
                    let node = *publishers.entry(url).or_insert_with(node);
                    graph.edge(last, node, None);
                }
            }
            for pipeline in &pipelines.pipelines {
                if let (Some(from), Some(to)) = (sources.get(pipeline.source), sinks.get(pipeline.sink)) {
                    graph.edge(*from, *to, Some(pipeline.name.clone()));
                }
            }
        }
        if !config.outputs.is_empty() {
            let everything = graph.node(Node::of(Kind::Everything, "everything"));
            for output in &config.outputs {
                let node = graph.node(Node::of(Kind::Output, output.name()));
                graph.edge(everything, node, None);
            }
        }
        graph
    }

    fn node(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, pipeline: Option<String>) {
        self.edges.push(Edge { from, to, pipeline });
    }

    /// Those whom one hands samples to.
    fn behind(&self, from: usize) -> impl Iterator<Item = (usize, &Node)> {
        let to = self.edges.iter().filter(move |edge| edge.from == from).map(|edge| edge.to);
        to.filter_map(|to| Some((to, self.nodes.get(to)?)))
    }

    /// For people: who takes samples first, and below each who gets them.
    fn text(&self) -> String {
        let mut text = String::new();
        for (number, node) in self.nodes.iter().enumerate() {
            match node.kind {
                Kind::Source => {
                    text += &format!("{}: {}\n", print::line(&node.name), print::line(&super::patterns(&node.meters)));
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
        let name = print::line(&node.name);
        match behind.as_slice() {
            [] => name,
            [(next, node)] => format!("{name} -> {}", self.chain(*next, node)),
            several => {
                let names: Vec<String> = several.iter().map(|(_, node)| print::line(&node.name)).collect();
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
            // Writing to a string does not fail.
            let _ = writeln!(dot, "  n{number} [label=\"{}\"{shape}];", escaped(&label));
        }
        for edge in &self.edges {
            let _ = writeln!(dot, "  n{} -> n{};", edge.from, edge.to);
        }
        dot + "}\n"
    }
}

// === impl Node ===

impl Node {
    fn of(kind: Kind, name: &str) -> Self {
        Self { kind, name: name.to_owned(), sink: None, step: None, meters: Vec::new() }
    }
}

/// A text between quotation marks.
fn escaped(text: &str) -> String {
    print::line(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

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
    fn without_pipelines_outputs_get_everything() {
        let all = "all outputs of wasmeter.yaml get everything\n  -> test\n";
        assert_eq!(graph("", "outputs: [{test: true}]\n").text(), all);
        assert_eq!(graph("", "").text(), "nobody gets samples: there is neither a pipeline nor an output\n");
    }
}
