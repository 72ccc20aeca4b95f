//! From what the operator deployed to modules that can run.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::deployment::{Key, Overrides, Signature, Version};
use super::read;
use super::trust::{Policy, Trust};
use crate::config::daemon::DeploymentFile;
use crate::config::polling::Source;
use crate::config::{Config, Problems, Secret};
use crate::digest::Digest;
use crate::files;
use crate::sandbox::module::Code;
use crate::sandbox::{Failure, Limits, Module, Names, Sandbox, World};

/// A signature's file has four lines.
const SIGNATURE_BYTES: u64 = 64 << 10;

/// A deployment that can run.
#[derive(Debug)]
pub struct Prepared {
    /// Whose it is, and its name.
    pub key: Key,
    /// What was deployed.
    pub version: Version,
    /// The module, configured.
    pub module: Arc<Module>,
    /// The projects of its tenant.
    pub projects: Arc<BTreeSet<String>>,
    /// What is wanted of it how often.
    pub source: Source,
    /// Where it is written.
    pub written: PathBuf,
}

/// What the operator deployed, as far as it can run.
#[derive(Debug)]
pub struct Loaded {
    /// What can run.
    pub prepared: Vec<Prepared>,
    /// The files of what cannot.
    pub failed: BTreeSet<PathBuf>,
    /// Why not.
    pub problems: Problems,
}

/// Loads what the operator deployed. One that is wrong keeps no other from running; `reserved` are the operator's names.
pub async fn load(sandbox: &Sandbox, config: &Config, reserved: &Arc<Names>) -> Loaded {
    let (trust, mut problems) = config.trust.as_deref().map(Trust::load).unwrap_or_default();
    let policy = config.tenants.policy();
    for (key, name) in policy.missing(&trust) {
        let mut of_config = Problems::of(config.file.as_deref());
        let message = format!("there is no key {name} in {}", trust.folder().display());
        of_config.warning(None, &key, message, format!("Put it there as {name}.pub, or name another one"));
        problems.extend(of_config);
    }
    problems.extend(config.deployments.problems.clone());
    let (codes, mut failed) = (HashMap::new(), config.deployments.unread.clone());
    let (mut prepared, mut loading) = (Vec::new(), Loading { sandbox, config, reserved, trust, policy, codes });
    for deployment in &config.deployments.files {
        let tenant = &deployment.key.tenant;
        if !config.tenants.knows(tenant) {
            let mut of_file = Problems::of(Some(&deployment.written));
            let message = format!("{tenant} is no tenant of the configuration, and is taken for the id of a project");
            of_file.warning(deployment.place, "tenant", message, "Add it under `tenants`, or write a project's id");
            problems.extend(of_file);
        }
        match loading.prepare(deployment).await {
            Ok(one) => prepared.push(one),
            Err((key, message, remedy)) => {
                let mut of_file = Problems::of(Some(&deployment.written));
                let place = deployment.place;
                of_file.error(place, key, format!("{} does not run: {message}", deployment.key), remedy);
                problems.extend(of_file);
                failed.insert(deployment.written.clone());
            }
        }
    }
    Loaded { prepared, failed, problems }
}

/// The key that is to blame, what is wrong, and what to do.
type Refused = (&'static str, String, String);

struct Loading<'a> {
    sandbox: &'a Sandbox,
    config: &'a Config,
    reserved: &'a Arc<Names>,
    trust: Trust,
    policy: Policy,
    codes: HashMap<Digest, Code>,
}

// === impl Loading ===

impl Loading<'_> {
    async fn prepare(&mut self, deployment: &DeploymentFile) -> Result<Prepared, Refused> {
        let Self { sandbox, config, reserved, trust, policy, codes } = self;
        let failed = |failure: Failure| ("file", failure.on_one_line().to_string(), super::remedy(&failure).to_owned());
        let bytes = read(&deployment.file).map_err(failed)?;
        let digest = Digest::of(&bytes);
        if digest != deployment.digest {
            let message = format!("{} has changed: its digest is {digest}", deployment.file.display());
            let remedy = "Put the file back that the digest is of, or write the new digest if that is what you want";
            return Err(("digest", message, remedy.to_owned()));
        }
        let signed = signed(deployment)?;
        let tenant = deployment.key.tenant.as_str();
        let verified = policy.check(trust, tenant, &bytes, signed.as_deref());
        let verified = verified.map_err(|refused| ("signature", refused.to_string(), refused.remedy()))?;
        let code = match codes.get(&digest) {
            Some(code) => code.clone(),
            None => codes.entry(digest).or_insert(sandbox.load(&bytes).await.map_err(failed)?).clone(),
        };
        if code.manifest.world == World::Transformer {
            return Err(("file", "it is a transformer".to_owned(), "Name a pollster".to_owned()));
        }
        let (name, text) = (deployment.key.name.as_str(), deployment.config.text());
        let limits = Limits::from(deployment.limits);
        let module = sandbox.configure_of((tenant, name), code, text.clone(), limits).await.map_err(failed)?;
        let names = Names::granted(Arc::clone(reserved), &deployment.grants.names);
        for meter in &module.description.meters {
            names
                .allow(&meter.name)
                .map_err(|message| ("grants.names", message, "Grant it, or choose others".to_owned()))?;
        }
        let source = Source {
            name: deployment.key.to_string(),
            interval: Duration::from_secs(deployment.interval),
            meters: deployment.meters.clone(),
            resources: Vec::new(),
            // Whatever the module says: a tenant's are guests.
            discovery: vec!["local_instances".to_owned()],
            place: None,
        };
        let version = Version {
            number: 0,
            digest,
            size: bytes.len() as u64,
            config: Secret::new(text),
            meters: deployment.meters.patterns().to_vec(),
            interval: deployment.interval,
            grants: deployment.grants.clone(),
            limits: Overrides {
                fuel_base: Some(limits.fuel_base),
                fuel_per_resource: Some(limits.fuel_per_resource),
                memory: Some(limits.memory as u64),
                deadline: u64::try_from(limits.deadline.as_millis()).ok(),
            },
            signature: verified.zip(signed).map(|(verified, text)| Signature {
                key: verified.key_name.to_string(),
                text: String::from_utf8_lossy(&text).into_owned(),
            }),
            deployed_at: 0,
            by: deployment.written.display().to_string(),
        };
        let projects = Arc::new(config.tenants.projects_of(&deployment.key.tenant));
        Ok(Prepared {
            key: deployment.key.clone(),
            version,
            module: Arc::new(module),
            projects,
            source,
            written: deployment.written.clone(),
        })
    }
}

/// The text of its signature, if it has one.
fn signed(deployment: &DeploymentFile) -> Result<Option<Vec<u8>>, Refused> {
    let Some(path) = &deployment.signature else { return Ok(None) };
    let read = files::open(path).and_then(|file| {
        let mut text = Vec::new();
        file.take(SIGNATURE_BYTES).read_to_end(&mut text).map(|_| text)
    });
    read.map(Some).map_err(|error| {
        let message = format!("its signature {} cannot be read: {error}", path.display());
        ("signature", message, "Give the file that minisign -S wrote".to_owned())
    })
}
