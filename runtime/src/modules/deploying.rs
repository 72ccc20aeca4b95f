//! From what was deployed, in the operator's files or through the control socket, to modules that can run.

pub mod doubts;
pub mod room;
pub mod terms;
pub mod written;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use self::doubts::Doubt;
use self::room::Room;
use self::terms::{Fitting, Operators};
use self::written::Written;
use super::deployment::{Key, Signature, Tenant, Version};
use super::life::is_its_own;
use super::refusal::{Reader, refusal};
use super::registry::Unkept;
use super::trust::{self, Policy, Trust, Verified};
use super::{granting, read};
use crate::config::daemon::{CallLimits, DeploymentFile, Rival, Tenants, from_anywhere};
use crate::config::polling::Source;
use crate::config::{Config, MeterFilter, Problems, Secret};
use crate::contract::{Description, Meter};
use crate::digest::Digest;
use crate::files;
use crate::hypervisor::Groups;
use crate::sandbox::module::Code;
use crate::sandbox::{Failure, Limits, Module, Names, Sandbox, World};
use crate::schedule::plan::Work;

/// A signature's file has four lines.
const SIGNATURE_BYTES: u64 = 64 << 10;
/// Meters that are named where none of them is wanted.
const METERS_NAMED: usize = 20;

/// A version of a deployment that can run.
#[derive(Debug)]
pub struct Prepared {
    /// Whose it is, and its name.
    pub key: Key,
    /// What was deployed. Its signature was found good.
    pub version: Version,
    /// Its module's file.
    pub file: Bytes,
    /// What runs.
    pub ready: Arc<Ready>,
}

/// What runs of a version.
#[derive(Debug)]
pub struct Ready {
    /// The module, configured.
    pub module: Arc<Module>,
    /// What is wanted of it how often.
    pub source: Source,
    /// The same for each meter of the module.
    pub work: Work,
    /// Groups of the statistics that it reads in any case.
    pub reads: Groups,
    /// Groups of those that only stand in for others.
    pub instead: Groups,
}

/// Why a version does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The key of a deployment's file that is to blame.
    pub key: &'static str,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Whose fault it is.
    pub fault: Fault,
}

/// Whose fault it is that a version does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What is said of the module is wrong, whatever the module is.
    Order,
    /// The module is none, fails, was signed by nobody, or wants what it was not granted.
    Module,
    /// What it takes from elsewhere is not there as it has to be: its file in the store, or a secret.
    Missing,
    /// There is no room for it.
    Room,
}

/// What the operator wrote, as far as it can run.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What can run.
    pub prepared: Vec<Prepared>,
    /// Why not all can, and what is odd.
    pub problems: Problems,
}

/// Makes modules ready to run by the rules of a configuration.
pub struct Loader {
    sandbox: Arc<Sandbox>,
    limits: CallLimits,
    shortest_interval: u64,
    reserved: Arc<Names>,
    /// What the operator's modules read anyway.
    operators: Operators,
    tenants: Tenants,
    trust: Trust,
    policy: Policy,
    /// Deployments that end before anything of this begins.
    leaving: BTreeSet<String>,
    /// What was compiled already, with its file.
    codes: HashMap<Digest, (Code, Bytes)>,
}

/// What the operator wrote, file by file, made ready as far as each can be by itself.
#[derive(Debug)]
pub struct Drafts(Vec<Result<Prepared, Refused>>);

/// Makes ready what the operator wrote. One that is wrong keeps no other from it.
pub async fn prepare(loader: &mut Loader, config: &Config) -> Drafts {
    let mut drafts = Vec::with_capacity(config.deployments.files.len());
    for deployment in &config.deployments.files {
        drafts.push(loader.written(deployment).await);
    }
    Drafts(drafts)
}

// === impl Drafts ===

impl Drafts {
    /// Those that are ready.
    pub fn prepared(&self) -> impl Iterator<Item = &Prepared> {
        self.0.iter().flatten()
    }

    /// What of them may run, as far as it fits. They are those of this configuration; `runs_from` says from which file
    /// a deployment runs, if it is in one.
    pub fn admit<'a>(
        self,
        config: &Config,
        fitting: &mut Fitting,
        room: &mut Room,
        runs_from: impl Fn(&Key) -> Option<&'a str>,
    ) -> Loaded {
        let mut loaded = Loaded { problems: config.deployments.problems.clone(), ..Loaded::default() };
        // What runs comes before what is new, however they are called.
        let mut drafts: Vec<(&DeploymentFile, _)> = config.deployments.files.iter().zip(self.0).collect();
        drafts.sort_by_key(|(deployment, _)| !fitting.admitted.has(&deployment.key));
        let mut ready: HashMap<Tenant, Vec<(Key, Arc<Ready>)>> = HashMap::new();
        for Prepared { key, ready: one, .. } in drafts.iter().filter_map(|(_, prepared)| prepared.as_ref().ok()) {
            ready.entry(key.tenant.clone()).or_default().push((key.clone(), Arc::clone(one)));
        }
        for (deployment, prepared) in drafts {
            let (mut of_file, key) = (Problems::of(Some(&deployment.written)), &deployment.key);
            let mut odd = Vec::from_iter(doubts::of_tenant(&config.tenants, &fitting.holdings, &key.tenant));
            if let Some(rival) = config.deployments.rival(deployment, runs_from(key).map(Path::new)) {
                let remedy = "Remove one of both, or give each deployment of a tenant its own name";
                of_file.error(deployment.place, "name", contested(key, rival), remedy);
                loaded.problems.extend(of_file);
                continue;
            }
            let goes_on = fitting.admitted.has(key);
            let fits = |prepared: Prepared| {
                room.take(&prepared, &config.tenants.quota_of(&key.tenant))?;
                fitting.admit(key, &prepared.ready).map(|()| prepared)
            };
            match prepared.and_then(fits) {
                Ok(prepared) => {
                    let own = ready.get(&key.tenant).into_iter().flatten();
                    let own = pollsters_of(&key.tenant, own.map(|(key, ready)| (key, ready)));
                    odd.extend(doubts::of_meters(&prepared.ready, fitting.operators(), own));
                    odd.extend(doubts::of_chain(key, &prepared.ready, config, fitting.operators()));
                    loaded.prepared.push(prepared);
                }
                Err(Refused { key: place, message, remedy, .. }) => {
                    let message = match goes_on {
                        true => format!("{key} goes on as it was, as what is written now cannot run: {message}"),
                        false => format!("{key} does not run: {message}"),
                    };
                    of_file.error(deployment.place, place, message, remedy);
                }
            }
            for Doubt { key, message, remedy } in odd {
                of_file.warning(deployment.place, key, message, remedy);
            }
            loaded.problems.extend(of_file);
        }
        loaded
    }
}

/// Why a file is not followed that is about the same deployment as another one.
fn contested(key: &Key, rival: Rival<'_>) -> String {
    match rival {
        Rival::Runs(other) => format!("{key} runs from {}, so this file of it is not followed", other.display()),
        Rival::Equal(other) => format!("{key} is deployed in {}, too, and neither is followed", other.display()),
    }
}

/// What those say of themselves that are pollsters of a tenant's.
pub fn pollsters_of<'a>(
    tenant: &Tenant,
    ready: impl Iterator<Item = (&'a Key, &'a Arc<Ready>)>,
) -> impl Iterator<Item = &'a Description> {
    let pollsters = ready.filter(move |(key, ready)| key.tenant == *tenant && !ready.converts());
    pollsters.map(|(_, ready)| &*ready.module.description)
}

// === impl Loader ===

impl Loader {
    /// By the rules of this configuration; beside the operator's names and what the operator's modules read. What is odd
    /// about its keys comes beside it.
    pub fn of(
        sandbox: &Arc<Sandbox>,
        config: &Config,
        reserved: &Arc<Names>,
        operators: Operators,
    ) -> (Self, Problems) {
        let (trust, mut problems) = config.trust.as_deref().map(Trust::load).unwrap_or_default();
        let policy = config.tenants.policy();
        for (key, name) in policy.missing(&trust) {
            let mut of_config = Problems::of(config.file.as_deref());
            let message = format!("there is no key {name} in {}", trust.folder().display());
            of_config.warning(None, &key, message, format!("Put it there as {name}.pub, or name another one"));
            problems.extend(of_config);
        }
        let (sandbox, reserved) = (Arc::clone(sandbox), Arc::clone(reserved));
        let (limits, shortest_interval, codes) =
            (config.sandbox.limits, config.budget.shortest_interval, HashMap::new());
        let (tenants, leaving) = (config.tenants.clone(), BTreeSet::new());
        let loader =
            Self { sandbox, limits, shortest_interval, reserved, operators, tenants, trust, policy, leaving, codes };
        (loader, problems)
    }

    /// The same, where these end before anything of it begins.
    #[must_use]
    pub fn without(self, leaving: &[Key]) -> Self {
        Self { leaving: leaving.iter().map(ToString::to_string).collect(), ..self }
    }

    /// What is written in a file of the operator's.
    async fn written(&mut self, deployment: &DeploymentFile) -> Result<Prepared, Refused> {
        let bytes = read(&deployment.file).map_err(Refused::failed(Written::File))?;
        let digest = Digest::of(&bytes);
        if digest != deployment.digest {
            let message = format!("{} has changed: its digest is {digest}", deployment.file.display());
            let remedy = "Put the file back that the digest is of, or write the new digest if that is what you want";
            return Err(Refused::new("digest", message, remedy));
        }
        let signature = signature(deployment)?;
        let file = from_anywhere(&deployment.written).display().to_string();
        let version = Version {
            number: 0,
            digest,
            size: bytes.len() as u64,
            config: Secret::new(deployment.config.text()),
            meters: deployment.meters.patterns().to_vec(),
            interval: deployment.interval,
            grants: deployment.grants.clone(),
            limits: deployment.limits,
            signature: signature.map(|text| Signature { key: String::new(), text }),
            deployed_at: 0,
            by: file.clone(),
            file: Some(file),
        };
        // Otherwise it would run until the daemon ends, and not after that.
        version.check().map_err(|invalid| Refused::new("", format!("it cannot be kept: {invalid}"), "Shorten it"))?;
        self.prepare(deployment.key.clone(), version, bytes.into()).await
    }

    /// Who signed a module, if somebody had to or did.
    fn verify(&self, key: &Key, version: &Version, file: &[u8]) -> Result<Option<Verified>, Refused> {
        Ok(self.policy.check(&self.trust, key.tenant.as_str(), file, signed(version))?)
    }

    /// Whether what runs of a version may go on by these rules while its file, or a secret, is missing: as far as that
    /// can be told without.
    pub fn may_go_on(&self, key: &Key, version: &Version, ready: &Ready) -> Result<(), Refused> {
        whose(&self.tenants, key)?;
        self.policy.check_again(&self.trust, key.tenant.as_str(), signed(version))?;
        let covered = self.operators.in_slots_of(version.interval);
        terms::may_run(self.shortest_interval, covered, version, &ready.module)
    }

    /// Makes a version ready to run: its module is compiled, its signature verified, what it describes held against
    /// what it was granted.
    pub async fn prepare(&mut self, key: Key, mut version: Version, file: Bytes) -> Result<Prepared, Refused> {
        whose(&self.tenants, &key)?;
        // Whoever names none wants all, too.
        if version.meters == ["*"] {
            version.meters.clear();
        }
        let (tenant, name) = (key.tenant.as_str(), key.name.as_str());
        let verified = self.verify(&key, &version, &file)?;
        if let (Some(signature), Some(verified)) = (&mut version.signature, verified) {
            signature.key = verified.key_name.to_string();
        }
        let source = source(&key, &version)?;
        let written = Written::of(&version);
        let (code, file) = match self.codes.get(&version.digest) {
            Some(known) => known.clone(),
            None => {
                let code = self.sandbox.load(&file).await.map_err(Refused::failed(written))?;
                self.codes.entry(version.digest).or_insert((code, file)).clone()
            }
        };
        let text = version.config.expose().to_owned();
        let limits = Limits::from(version.limits.over(self.limits));
        let asking = code.manifest.asks().then_some(limits.memory as u64);
        let grants = &version.grants;
        let requests = (&self.sandbox.requests, &self.leaving);
        let granted = granting::granted(requests, &key.to_string(), grants, written, asking)?;
        let module = self.sandbox.configure_of((tenant, name), code, text, limits, granted);
        let module = module.await.map_err(Refused::failed(written))?;
        let gives = if module.code.manifest.world == World::Transformer {
            self.gives(&module, &source, written).await?
        } else {
            module.description.meters.clone()
        };
        granting::may_give(&Names::beside(&self.reserved), &module.granted, written, &gives)?;
        if module.code.manifest.world != World::Transformer {
            wanted(&module, &source)?;
        }
        let covered = self.operators.in_slots_of(version.interval);
        terms::may_run(self.shortest_interval, covered, &version, &module)?;
        Ok(Prepared { key, version, file, ready: Arc::new(Ready::of(module, source)) })
    }

    /// What a transformer makes of what the operator's pollsters give. What it makes of its tenant's own shows when it
    /// is handed that.
    async fn gives(&self, module: &Module, source: &Source, written: Written) -> Result<Vec<Meter>, Refused> {
        let inputs = self.operators.meters.iter().filter(|meter| source.meters.matches(&meter.name));
        let inputs: Vec<Meter> = inputs.cloned().collect();
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        let described = self.sandbox.outputs(module, &inputs, module.limits.describing(inputs.len())).await;
        described.lines.emit(&module.name, &module.tenant);
        Ok(described.result.map_err(Refused::failed(written))?.meters)
    }
}

/// A project of a tenant of the configuration is no tenant beside it: signatures, budget and quota would not hold.
fn whose(tenants: &Tenants, key: &Key) -> Result<(), Refused> {
    let Some(owner) = tenants.owner_of(&key.tenant) else { return Ok(()) };
    let message = format!("{} is a project of the tenant {owner}, whose rules hold for it", key.tenant);
    Err(Refused::new("tenant", message, format!("Write the tenant {owner}")))
}

/// The signature of a version's module, if it has one.
fn signed(version: &Version) -> Option<&[u8]> {
    version.signature.as_ref().map(|signature| signature.text.as_bytes())
}

/// Whether anything that a pollster gives is wanted. What it declares in a slot is not known before.
fn wanted(module: &Module, source: &Source) -> Result<(), Refused> {
    let given = &module.description.meters;
    let is_any =
        !module.description.declares.is_empty() || given.iter().any(|meter| source.meters.matches(&meter.name));
    if is_any || given.is_empty() {
        return Ok(());
    }
    let message = format!("no meter is wanted that it gives: {}", names_of(&given.iter().collect::<Vec<_>>()));
    Err(Refused::new("meters", message, "Correct the patterns, or leave them out for all"))
}

/// The first names of meters.
fn names_of(meters: &[&Meter]) -> String {
    let mut names = meters.iter().take(METERS_NAMED).map(|meter| &*meter.name).collect::<Vec<_>>().join(", ");
    if let Some(more) = meters.len().checked_sub(METERS_NAMED).filter(|more| *more > 0) {
        names += &format!(" and {more} more");
    }
    names
}

/// What is wanted how often of a version.
fn source(key: &Key, version: &Version) -> Result<Source, Refused> {
    let patterns = if version.meters.is_empty() { vec!["*".to_owned()] } else { version.meters.clone() };
    let meters =
        MeterFilter::new(patterns).map_err(|invalid| Refused::new("meters", invalid.to_string(), invalid.remedy()))?;
    Ok(Source {
        name: key.to_string(),
        interval: Duration::from_secs(version.interval),
        meters,
        resources: Vec::new(),
        // Whatever the module says: a tenant's are guests.
        discovery: vec!["local_instances".to_owned()],
        place: None,
    })
}

// === impl Refused ===

impl Refused {
    /// What is wrong, where it is written, and what to do.
    pub fn words(&self, written: Written) -> String {
        let key = written.key(self.key).map(|key| format!("{key}: ")).unwrap_or_default();
        format!("{key}{}. {}", self.message, self.remedy)
    }

    pub(super) fn new(key: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let fault = match key {
            "file" | "signature" | "grants.names" | "grants.groups" => Fault::Module,
            _ => Fault::Order,
        };
        Self { key, message: message.into(), remedy: remedy.into(), fault }
    }

    /// There is no room.
    pub(super) fn no_room(key: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { fault: Fault::Room, ..Self::new(key, message, remedy) }
    }

    /// What it takes is not there as it has to be.
    pub(super) fn missing(key: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { fault: Fault::Missing, ..Self::new(key, message, remedy) }
    }

    /// The module of a deployment that is written there failed.
    fn failed(written: Written) -> impl Fn(Failure) -> Self {
        move |failure| {
            let (message, remedy) = refusal(&failure, Reader::Deployer(written));
            // The host's doing stops nothing that runs.
            match is_its_own(failure.cause) {
                true => Self::new("file", message, remedy),
                false => Self::missing("file", message, remedy),
            }
        }
    }
}

impl From<Unkept> for Refused {
    fn from(unkept: Unkept) -> Self {
        let remedy = "Send SIGHUP to the daemon once that is mended, or deploy it once more";
        Self::missing("file", unkept.to_string(), remedy)
    }
}

impl From<trust::Refused> for Refused {
    fn from(refused: trust::Refused) -> Self {
        Self::new("signature", refused.to_string(), refused.remedy())
    }
}

/// The text of its signature, if it has one.
fn signature(deployment: &DeploymentFile) -> Result<Option<String>, Refused> {
    let Some(path) = &deployment.signature else { return Ok(None) };
    let read = files::read(path, SIGNATURE_BYTES).map(|text| String::from_utf8_lossy(&text).into_owned());
    read.map(Some).map_err(|error| {
        let message = format!("its signature {} cannot be read: {error}", path.display());
        Refused::new("signature", message, "Give the file that minisign -S wrote")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_no_tenant_beside_its_tenant() {
        let text = "tenants: {acme: {projects: [p, q], signatures: required}, q: {projects: [q]}, r: {projects: [r]}}";
        let (config, _) = Config::parse(text, None).unwrap();
        let of = |tenant: &str| whose(&config.tenants, &Key::new(tenant.parse().unwrap(), "n".parse().unwrap()));
        let refused = of("p").unwrap_err();
        assert_eq!(
            (refused.key, &*refused.message, &*refused.remedy),
            ("tenant", "p is a project of the tenant acme, whose rules hold for it", "Write the tenant acme")
        );
        // What the configuration says of q itself holds for q.
        for tenant in ["acme", "q", "r", "elsewhere"] {
            assert_eq!(of(tenant), Ok(()), "{tenant}");
        }
    }
}
