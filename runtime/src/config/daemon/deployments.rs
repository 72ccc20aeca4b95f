//! What the operator deployed for tenants: a file for each deployment, in a folder that is never written to.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::grants::{self, SecretsIn};
use super::modules::ModuleConfig;
use super::read::Reading;
use super::sandbox::{self, LIMIT_KEYS};
use crate::config::file;
use crate::config::matching::{MOST_PATTERNS, MeterFilter};
use crate::config::problem::{Place, Problems, Severity};
use crate::config::yaml::{self, Node, Section};
use crate::digest::Digest;
use crate::modules::deployment::bounds::INTERVAL;
use crate::modules::deployment::{Grants, Key, Overrides};

/// A deployment as it is written.
#[derive(Debug, Clone, serde::Serialize)]
pub struct DeploymentFile {
    /// Whose it is, and its name.
    #[serde(flatten)]
    pub key: Key,
    /// The module.
    #[serde(serialize_with = "file::show")]
    pub file: PathBuf,
    /// What the module is pinned to.
    pub digest: Digest,
    /// The signature of the module, by minisign.
    #[serde(serialize_with = "file::show_optional")]
    pub signature: Option<PathBuf>,
    /// What it is told.
    pub config: ModuleConfig,
    /// The meters that are wanted of it.
    pub meters: MeterFilter,
    /// Seconds from slot to slot.
    pub interval: u64,
    /// What it may do.
    pub grants: Grants,
    /// What one call of it may use, where that is said.
    #[serde(flatten)]
    pub limits: Overrides,
    /// The file that this is written in.
    #[serde(serialize_with = "file::show")]
    pub written: PathBuf,
    /// Where its name stands there.
    #[serde(skip)]
    pub place: Option<Place>,
}

/// All that are written.
#[derive(Debug, Clone, Default, serde::Serialize)]
#[serde(transparent)]
pub struct Deployments {
    /// Those that can be understood, by what they deploy; more than one may be about the same.
    pub files: Vec<DeploymentFile>,
    /// Files that cannot, each of which costs itself alone, and whose they are as far as that can be read.
    #[serde(skip)]
    pub unread: BTreeMap<PathBuf, Option<Key>>,
    /// What is wrong with them.
    #[serde(skip)]
    pub problems: Problems,
}

/// Another file that is about the same deployment, for which one is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rival<'a> {
    /// The deployment runs from that one.
    Runs(&'a Path),
    /// It runs from neither, so neither is followed.
    Equal(&'a Path),
}

const MOST_FILES: usize = 10_000;
const KEYS: [&str; 9] = ["tenant", "name", "file", "digest", "signature", "config", "meters", "interval", "grants"];

/// Reads the folder that the configuration names, or none.
pub(super) fn read(reading: &mut Reading<'_, '_>) -> Deployments {
    let root = reading.root();
    let Some(folder) = root.read("deployments", reading.problems, Node::text).map(|path| reading.path(path)) else {
        return Deployments::default();
    };
    let paths = match listed(&folder) {
        Ok(paths) => paths,
        Err(error) => {
            let place = root.get("deployments").and_then(|node| node.place);
            let message = format!("the folder {} cannot be read: {error}", folder.display());
            let remedy = match error.kind() {
                ErrorKind::PermissionDenied => "Let the user that wasmeter runs as read it",
                _ => "Create it or correct its path",
            };
            reading.problems.error(place, "deployments", message, remedy);
            return Deployments::default();
        }
    };
    let mut found = Deployments::default();
    for path in paths {
        let mut problems = Problems::of(Some(&path));
        let deployment = one(&path, &mut problems);
        if problems.has_errors() {
            found.unread.insert(path, deployment.map(|deployment| deployment.key));
        } else {
            found.files.extend(deployment);
        }
        found.problems.extend(problems);
    }
    found.files.sort_by(|one, other| one.key.cmp(&other.key));
    found
}

// === impl Deployments ===

impl Deployments {
    /// Why a file of these is not followed: another one is there from which its deployment runs, or that may as well be
    /// meant.
    pub fn rival(&self, file: &DeploymentFile, runs_from: Option<&Path>) -> Option<Rival<'_>> {
        let runs = |path: &Path| runs_from.is_some_and(|runs| from_anywhere(path) == runs);
        if runs(&file.written) {
            return None;
        }
        let first = self.files.partition_point(|other| other.key < file.key);
        let of_key =
            || self.files.iter().skip(first).take_while(|other| other.key == file.key).map(|other| &*other.written);
        let unread = self.unread.keys().map(PathBuf::as_path);
        let other = of_key().chain(unread).find(|other| runs(other));
        other.map(Rival::Runs).or_else(|| of_key().find(|other| *other != file.written).map(Rival::Equal))
    }
}

/// The path of a file as it is from any folder: a daemon remembers it, and others ask from elsewhere.
pub fn from_anywhere(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The files of a folder that end in `.yaml` or `.yml`, in the order of their names.
fn listed(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
            paths.push(path);
        }
        if paths.len() > MOST_FILES {
            return Err(std::io::Error::other(format!("it has more than {MOST_FILES} files")));
        }
    }
    paths.sort();
    Ok(paths)
}

fn one(path: &Path, problems: &mut Problems) -> Option<DeploymentFile> {
    let text = file::read(path).map_err(|error| problems.error(None, "", format!("the file {error}"), error.remedy()));
    of_text(&text.ok()?, path, problems)
}

/// What the text of a file says, for fuzzing.
pub(crate) fn try_read_deployment(text: &str, path: &Path) -> Option<DeploymentFile> {
    of_text(text, path, &mut Problems::of(Some(path)))
}

fn of_text(text: &str, path: &Path, problems: &mut Problems) -> Option<DeploymentFile> {
    let tree = yaml::parse(text, problems)?;
    let known = [&KEYS[..], &LIMIT_KEYS].concat();
    let section = Section::of(&tree, "", &known, Severity::Error, problems)?;
    let tenant = section.required("tenant", problems, "Name the tenant, or write the id of a project", |node| {
        node.text()?.parse().map_err(|_| node.refuse("no tenant", "Write letters, digits, -, _ and ., at most 64"))
    });
    let name = section.required("name", problems, "Give the deployment a name", |node| {
        let remedy = "Write small letters, digits, - and _, at most 64, beginning with a letter";
        node.text()?.parse().map_err(|_| node.refuse("no name for a deployment", remedy))
    });
    let module = section.required("file", problems, "Name the module's .wasm", Node::text);
    let beside = |name: &str| path.parent().unwrap_or(Path::new("")).join(name);
    let module = module.map(beside);
    let signature = section.read("signature", problems, Node::text).map(beside);
    let remedy = || match module.as_deref().map(crate::modules::read) {
        Some(Ok(bytes)) => format!("Add `digest: {}`, if that file is the right one", Digest::of(&bytes)),
        _ => "Add `digest: ` with what sha256sum says of the file".to_owned(),
    };
    let remedy = if section.get("digest").is_some() { String::new() } else { remedy() };
    let digest = section.required("digest", problems, &remedy, |node| {
        let text = node.text()?;
        // As we show digests.
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        digits.parse().map_err(|_| node.refuse("no digest", "Write what sha256sum says of the file, in small letters"))
    });
    let interval =
        section.required("interval", problems, "Write seconds, such as `interval: 60`", |node| node.integer(&INTERVAL));
    let meters = match section.get("meters") {
        Some(_) => section.meters("meters", "the deployment", MOST_PATTERNS, problems),
        None => MeterFilter::new(vec!["*".to_owned()]).ok(),
    };
    let place = section.entry("name").map_or(section.place, |entry| entry.place);
    let folder = path.parent().unwrap_or(Path::new(""));
    let grants = grants::read(&section, SecretsIn::Files(folder), problems).unwrap_or_default();
    let limits = sandbox::set(&section, problems);
    let config = ModuleConfig::of(&section, problems);
    Some(DeploymentFile {
        key: Key::new(tenant?, name?),
        file: module?,
        digest: digest?,
        signature,
        config,
        meters: meters?,
        interval: interval?,
        grants,
        limits,
        written: path.to_owned(),
        place,
    })
}
