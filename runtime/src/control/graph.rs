//! Pipelines as a graph: what is configured, and how many samples go through it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::status::Publisher;
use super::time::Time;
use crate::config::Config;
use crate::pipeline::flow::{Count, Flow, Link};

/// Who hands samples to whom. Nodes and edges are of what is configured; who knows what runs may say more about each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// Since when samples are counted, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Who takes or gives samples.
    pub nodes: Vec<Node>,
    /// Who hands them to whom.
    pub edges: Vec<Edge>,
}

/// Somebody who takes or gives samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// What that is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The sink that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Which of the sink's transformers, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// What a source takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<String>,
    /// The output that a publisher is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// What a source takes, or what comes out of a sink or of a transformer, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flowed>,
    /// What became of what a publisher or an output was handed, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub books: Option<Handed>,
}

/// How many samples there were since the configuration is in force.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Flowed {
    /// In all.
    pub samples: u64,
    /// In the last slot.
    pub last_slot: u64,
    /// In a second, once there were two slots.
    pub per_second: Option<f64>,
    /// Samples that a transformer failed for.
    pub failed: u64,
}

/// What became of samples, by the books, which outlive the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// They were delivered.
    pub delivered: u64,
    /// They wait.
    pub waiting: u64,
    /// They are lost.
    pub lost: u64,
}

/// What somebody is.
#[derive(Debug, PartialEq, Eq, Clone, Copy, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Who hands on.
    pub from: usize,
    /// To whom.
    pub to: usize,
    /// The pipeline that it is, between a source and a sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
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
                    let output = publisher.output.clone();
                    let node = || graph.node(Node { output, ..Node::of(Kind::Publisher, &publisher.to_string()) });
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
    pub fn behind(&self, from: usize) -> impl Iterator<Item = (usize, &Node)> {
        let to = self.edges.iter().filter(move |edge| edge.from == from).map(|edge| edge.to);
        to.filter_map(|to| Some((to, self.nodes.get(to)?)))
    }

    /// Says how many samples went through what, of a configuration that this is of.
    pub fn fill(&mut self, flow: &Flow, books: &[Publisher]) {
        self.since = flow.since().map(Time);
        let flowed = |count: Count, failed: Count| Flowed {
            samples: count.in_all,
            last_slot: count.last,
            per_second: flow.per_second(count),
            failed: failed.in_all,
        };
        let took: Vec<(usize, Flowed)> = self
            .edges
            .iter()
            .filter(|edge| edge.pipeline.is_some())
            .zip(flow.pipelines())
            .map(|(edge, count)| (edge.from, flowed(*count, Count::default())))
            .collect();
        // Each pipeline of a source takes the same.
        for (source, flowed) in took {
            self.nodes.get_mut(source).into_iter().for_each(|node| node.flow = Some(flowed));
        }
        let mut sinks = flow.sinks();
        let mut links: &[Link] = &[];
        for node in &mut self.nodes {
            match node.kind {
                Kind::Sink => {
                    let Some((gave, of_sink)) = sinks.next() else { continue };
                    links = of_sink;
                    node.flow = Some(flowed(gave, Count::default()));
                }
                Kind::Transformer => {
                    let link = node.step.and_then(|step| links.get(step.checked_sub(1)?));
                    node.flow = link.map(|link| flowed(link.gave, link.failed));
                }
                Kind::Publisher | Kind::Output => {
                    let name = node.output.as_deref().unwrap_or(&node.name);
                    node.books = books.iter().find(|book| book.name == name).map(Handed::of);
                }
                Kind::Everything | Kind::Source => {}
            }
        }
    }
}

// === impl Node ===

impl Node {
    fn of(kind: Kind, name: &str) -> Self {
        let (sink, step, meters, output) = (None, None, Vec::new(), None);
        Self { kind, name: name.to_owned(), sink, step, meters, output, flow: None, books: None }
    }
}

// === impl Handed ===

impl Handed {
    fn of(books: &Publisher) -> Self {
        Self { delivered: books.delivered, waiting: books.spooled, lost: books.lost }
    }
}
