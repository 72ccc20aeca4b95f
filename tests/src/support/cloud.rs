//! A host with a tenant for whom modules are deployed from the command line.

use std::collections::BTreeSet;

use serde_json::Value;

use super::program::{Folder, Ran, of_meter, samples_in, samples_so_far, text, until};
use super::{hostile, resources};

const GUESTS: &str = "sim://?domains=12&seed=3&calm=true&disks=1&nics=1";
/// What `resources` needs to measure every second.
const GRANTS: &str = "--interval 1 --grant name=probe. --grant interval=1s";

/// A folder with modules, and a tenant that is one project.
pub struct Cloud {
    /// Where the daemon runs. `probe.wasm` and `hostile.wasm` are in it.
    pub folder: Folder,
    /// The guests of `acme`.
    pub guests: BTreeSet<String>,
}

// === impl Cloud ===

impl Cloud {
    /// With a configuration that says more than who the tenants are.
    pub fn new(config: &str) -> Self {
        let once = Folder::measuring(GUESTS, "").run("once --format json").is(0);
        let samples = samples_in(&once.stdout);
        let project = text(of_meter(&samples, "cpu")[0], "project_id").to_owned();
        let own = of_meter(&samples, "cpu").into_iter().filter(|sample| text(sample, "project_id") == project);
        let guests = own.map(|sample| text(sample, "resource_id").to_owned()).collect();
        let config = format!(
            "schedule: {{offset: 0s}}\ntenants: {{acme: {{projects: ['{project}']}}}}\noutputs: [{{file: samples}}]\n\
             {config}"
        );
        let folder = Folder::measuring(GUESTS, &config);
        folder.poll(&["cpu"]);
        folder.write("probe.wasm", std::fs::read(resources()).unwrap());
        folder.write("hostile.wasm", hostile());
        Self { folder, guests }
    }

    /// Deploys with arguments of which one may contain blanks.
    pub fn deploy(&self, line: &str, config: &str) -> Ran {
        let config: &[&str] = if config.is_empty() { &[] } else { &["--config", config] };
        self.folder.run_with(&format!("module deploy {line} --tenant acme {GRANTS}"), config)
    }

    /// Waits until `show` says this.
    pub fn shows(&self, name: &str, words: &str) -> String {
        until(words, || {
            let said = self.folder.run(&format!("module show acme/{name}")).is(0).stdout;
            said.contains(words).then_some(said)
        })
    }

    /// The tenant's samples so far.
    pub fn samples(&self) -> Vec<Value> {
        let mut samples = samples_so_far(&self.folder.read("samples"));
        samples.retain(|sample| sample["source"] != "openstack");
        samples
    }

    /// What is deployed, as `list` says.
    pub fn deployed(&self) -> Vec<Value> {
        let list = self.folder.run("module list --deployed --json").is(0).json();
        list.as_array().unwrap().clone()
    }
}
