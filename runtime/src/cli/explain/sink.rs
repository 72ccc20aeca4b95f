//! Meters that nothing but a sink of pipelines makes: its transformers are asked what they make of what goes in.

use super::reason::{Why, Word};
use crate::config::Config;
use crate::config::in_vain::listed;
use crate::contract::Meter;
use crate::modules::{Modules, Step};
use crate::sandbox::Sandbox;

/// What a sink makes.
#[derive(Debug)]
pub struct Sink {
    /// Its name.
    name: String,
    /// Meters that go in.
    takes: Vec<String>,
    /// Meters that come out, as far as that is known without the modules of tenants.
    pub gives: Vec<Meter>,
    /// Whether one comes out for which the pattern of a name stands.
    declares: bool,
}

/// All sinks with transformers. To them come these meters; `meter` is the one that is asked for.
pub async fn all(sandbox: &Sandbox, config: &Config, modules: &Modules, come: Vec<Meter>, meter: &str) -> Vec<Sink> {
    let Some(pipelines) = &config.pipeline else { return Vec::new() };
    let mut all = Vec::new();
    for (number, (sink, steps)) in pipelines.sinks.iter().zip(&modules.sinks).enumerate() {
        let filters = pipelines.leading_to(number);
        let is_taken = |meter: &&Meter| filters.iter().any(|filter| filter.matches(&meter.name));
        let inputs: Vec<Meter> = come.iter().filter(is_taken).cloned().collect();
        let takes = inputs.iter().map(|meter| meter.name.clone()).collect();
        let (mut gives, mut declares) = (inputs, false);
        for step in steps {
            let asked = match step {
                Step::Own(module) => {
                    sandbox.outputs(module, &gives, module.limits.describing(gives.len())).await.result.ok()
                }
                Step::Deployed(_) => None,
            };
            let asked = asked.unwrap_or_default();
            // One that may declare anything passes on what it is handed.
            declares = asked.declares.iter().any(|glob| glob.text() != "*" && glob.matches(meter));
            gives = asked.meters;
        }
        if !steps.is_empty() {
            all.push(Sink { name: sink.name.clone(), takes, gives, declares });
        }
    }
    all
}

// === impl Sink ===

impl Sink {
    /// Whether it makes a meter.
    pub fn makes(&self, meter: &str) -> bool {
        self.declares || self.gives.iter().any(|given| given.name == meter)
    }

    /// Why there is no value of a meter that it makes.
    pub fn reason(&self, meter: &str) -> Why {
        let Self { name, takes, .. } = self;
        let takes: Vec<&str> = takes.iter().map(String::as_str).collect();
        let of = match takes.as_slice() {
            [] => "to which nothing comes here".to_owned(),
            takes => format!("of {}", listed(takes)),
        };
        let why = format!("{meter} is made by the transformers of the sink {name}, {of}; they run in the daemon alone");
        let remedy = format!("See wasmeter tap 'sink:{name}' --meter {meter}, and explain what goes in");
        Why::new(Word::OfASink, why, remedy)
    }
}
