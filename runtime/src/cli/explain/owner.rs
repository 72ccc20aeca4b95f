//! Whose a meter is: which module gives it, and whether that one is on.

use std::sync::Arc;

use super::sink::{self, Sink};
use crate::config::{Config, Glob, MeterFilter};
use crate::contract::{Description, Meter};
use crate::modules::{self, Modules};
use crate::sandbox::{Limits, Module, Sandbox, World};

/// The module that gives a meter.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The module.
    pub module: Arc<Module>,
    /// What a transformer is handed; `None` for a pollster.
    pub feed: Option<MeterFilter>,
    /// Whether it has to be turned on first.
    pub is_off: bool,
}

/// What was found of a meter.
#[derive(Debug)]
pub enum Found {
    /// A module gives it.
    Owner(Owner),
    /// These sinks make it.
    Sinks(Vec<Sink>),
    /// No module does; these are names that are like it, the likest first.
    Nobody(Vec<String>),
}

/// Names that are shown of those that are like another.
const NEAR: usize = 5;
/// How like a name has to be, of 100.
const LIKE: usize = 40;

/// Finds the module that gives a meter, among those that are on and then among those that are off; before the
/// latter the sinks that make it.
pub async fn find(sandbox: &Sandbox, config: &Config, modules: &Modules, meter: &str) -> Found {
    let on = |module: &Arc<Module>, feed| Found::Owner(Owner { module: Arc::clone(module), feed, is_off: false });
    let mut names: Vec<String> = Vec::new();
    let gives = |description: &Description| {
        let is_it = |pattern: &String| Glob::new(pattern).is_ok_and(|glob| glob.matches(meter));
        description.meters.iter().any(|given| given.name == meter) || description.declares.iter().any(is_it)
    };
    if let Some(module) = modules.pollsters.iter().find(|module| gives(&module.description)) {
        return on(module, None);
    }
    let described = || modules.pollsters.iter().flat_map(|module| &module.description.meters);
    let mut made: Vec<Meter> = Vec::new();
    for (feed, module) in &modules.transformers {
        let inputs: Vec<Meter> = described().filter(|meter| feed.matches(&meter.name)).cloned().collect();
        let asked = sandbox.outputs(module, &inputs, module.limits.describing(inputs.len())).await;
        let Ok(outputs) = asked.result else { continue };
        // One that may declare anything passes on what it is handed.
        let declares = outputs.declares.iter().any(|glob| glob.text() != "*" && glob.matches(meter));
        if declares || outputs.meters.iter().any(|given| given.name == meter) {
            return on(module, Some(feed.clone()));
        }
        made.extend(outputs.meters);
    }
    let measured = described().filter(|meter| config.polling.measures(&meter.name)).chain(&made).cloned().collect();
    let all = described().chain(&made).cloned().collect();
    // Some transformers are for one meter, and would refuse what does not come to them.
    for come in [measured, all] {
        let sinks = sink::all(sandbox, config, modules, come, meter).await;
        names.extend(sinks.iter().flat_map(|sink| &sink.gives).map(|meter| meter.name.clone()));
        let makes: Vec<Sink> = sinks.into_iter().filter(|sink| sink.makes(meter)).collect();
        if !makes.is_empty() {
            return Found::Sinks(makes);
        }
    }
    names.extend(described().chain(&made).map(|meter| meter.name.clone()));
    for module in off(sandbox, config, modules).await {
        if gives(&module.description) {
            return Found::Owner(Owner { module: Arc::new(module), feed: None, is_off: true });
        }
        names.extend(module.description.meters.iter().map(|meter| meter.name.clone()));
    }
    Found::Nobody(near(meter, names))
}

/// Pollsters that could run and do not.
async fn off(sandbox: &Sandbox, config: &Config, modules: &Modules) -> Vec<Module> {
    let entry = |name: &str| config.modules.iter().find(|entry| entry.name == name);
    let runs = |name: &str| modules.pollsters.iter().any(|module| &*module.name == name);
    let built_in = modules::built_in().filter(|module| !runs(module.name));
    let mut files: Vec<(String, bool, Vec<u8>)> =
        built_in.map(|module| (module.name.to_owned(), true, module.wasm.to_vec())).collect();
    for entry in config.modules.iter().filter(|entry| !entry.enabled) {
        let bytes = entry.file.as_ref().and_then(|file| modules::read(file).ok());
        files.extend(bytes.map(|bytes| (entry.name.clone(), false, bytes)));
    }
    let mut loaded = Vec::new();
    for (name, built_in, bytes) in files {
        let Ok(code) = sandbox.load(&bytes).await else { continue };
        if code.manifest.world != World::Pollster {
            continue;
        }
        let (limits, text) = match entry(&name) {
            Some(entry) => (entry.limits, entry.config.text()),
            None => (config.sandbox.limits, String::new()),
        };
        loaded.extend(sandbox.configure(&name, built_in, code, text, Limits::from(limits)).await);
    }
    loaded
}

/// Names that are like another, the likest first.
pub fn near(word: &str, names: Vec<String>) -> Vec<String> {
    let mut like: Vec<(usize, String)> = names.into_iter().map(|name| (likeness(word, &name), name)).collect();
    like.retain(|(likeness, _)| *likeness >= LIKE);
    like.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    like.dedup();
    like.into_iter().take(NEAR).map(|(_, name)| name).collect()
}

/// How many pairs of letters two words share, of 100 if all. Unlike the number of slips, it knows `cpu_util` from
/// `cpu` and a name whose parts changed places.
fn likeness(a: &str, b: &str) -> usize {
    let pairs = |word: &str| -> Vec<(char, char)> {
        let letters: Vec<char> = word.to_lowercase().chars().collect();
        letters.iter().copied().zip(letters.iter().copied().skip(1)).collect()
    };
    let (a, mut b) = (pairs(a), pairs(b));
    let all = a.len() + b.len();
    let mut shared = 0_usize;
    for pair in &a {
        if let Some(place) = b.iter().position(|other| other == pair) {
            b.swap_remove(place);
            shared += 1;
        }
    }
    (200 * shared).checked_div(all).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_have_been_meant_are_found() {
        let names = || ["cpu", "vcpus", "memory.usage", "disk.device.read.bytes", "power.state"].map(str::to_owned);
        for (word, likest) in [
            ("cpu_util", Some("cpu")),
            ("memory.usgae", Some("memory.usage")),
            ("disk.read.bytes", Some("disk.device.read.bytes")),
            ("Power.State", Some("power.state")),
            ("volume", None),
            ("", None),
        ] {
            assert_eq!(near(word, names().to_vec()).first().map(String::as_str), likest, "{word}");
        }
        assert_eq!(likeness("a.b", "a.b"), 100);
    }
}
