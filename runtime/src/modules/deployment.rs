//! A tenant's module with all that was said about it, and how one version of it follows another.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::life::{Change, Idle, Life, Ran, Rules, Run};
use super::store::record;

pub mod bounds;
mod check;
mod key;
#[cfg(test)]
pub(super) mod tests;
mod version;

pub use self::check::Invalid;
pub use self::key::{InvalidName, InvalidTenant, Key, Name, Tenant};
pub use self::version::{Grants, Overrides, RequestLimits, SecretSource, Signature, Version};

/// Versions that are kept. Who wants to go back further has the file.
pub const VERSIONS: usize = 10;

/// A deployment: its versions, and in [`Life`] which of them run.
///
/// Its methods give it as it is next with the changes to be told, so that nothing changes before it is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// What it goes by.
    pub key: Key,
    /// Its versions, oldest first, at most [`VERSIONS`]. Their numbers rise.
    pub versions: Vec<Arc<Version>>,
    /// Which of them run, and how they have been doing.
    pub life: Life,
    /// That it does not run, because somebody wants so.
    pub paused: Option<Paused>,
    /// The operator's file that it is written in, if it is in one: it ends with that.
    #[serde(default)]
    pub file: Option<String>,
    /// The number of the version that was written there when that was last followed. Before this was kept it was the
    /// newest that came from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<u64>,
}

/// Who wants it not to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paused {
    /// Since when, in nanoseconds since 1970.
    pub at: i64,
    /// Who said so.
    pub by: String,
}

/// Why a deployment stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing ran before.
    #[error("nothing ran before version {current} of {key} that is still kept: {remedy}")]
    NothingEarlier {
        /// Which deployment.
        key: Key,
        /// What runs.
        current: u64,
        /// What to do instead.
        remedy: &'static str,
    },
    /// There is no such version.
    #[error("there is no version {wanted} of {key}: the kept ones are {kept}")]
    NoVersion {
        /// Which deployment.
        key: Key,
        /// What was wanted.
        wanted: u64,
        /// The numbers of those that there are.
        kept: String,
    },
    /// It runs already, maybe on trial.
    #[error(
        "version {version} of {key} runs already, or is on trial: name another one, or resume it if it is paused or in quarantine"
    )]
    RunsAlready {
        /// Which deployment.
        key: Key,
        /// What runs.
        version: u64,
    },
    /// Neither could stand in for the other.
    #[error("{0} is a {1}, and this module is none: remove it first, or deploy this one by another name")]
    AnotherKind(Key, &'static str),
    /// No number is left.
    #[error("{0} has used up its numbers: remove it and deploy it anew")]
    NoNumber(Key),
}

// === impl Deployment ===

impl Deployment {
    /// A deployment's first version, which gets number 1 and runs at once: there is nothing to fall back on. `at` is now,
    /// in nanoseconds since 1970.
    ///
    /// After a removal numbers begin again; the audit log tells what was what.
    pub fn new(key: Key, first: Version, host: &str, at: i64) -> Self {
        let (file, written) = (first.file.clone(), first.file.is_some().then_some(1));
        let first = Arc::new(Version { number: 1, ..first });
        Self { key, versions: vec![first], life: Life::new(1, host, at), paused: None, file, written }
    }

    /// As it is once it is this version's file's, whoever deployed it. One of its versions is like that.
    #[must_use]
    pub fn in_file_of(self, version: &Version) -> Self {
        let is_like = self.versions.iter().rev().find(|known| known.is_like(version));
        Self { written: is_like.map(|known| known.number), file: version.file.clone(), ..self }
    }

    /// The version that was written in the operator's file when that was last followed, if it is in one.
    pub fn written(&self) -> Option<&Arc<Version>> {
        self.file.as_ref()?;
        match self.written {
            Some(number) => self.version(number),
            None => self.versions.iter().rev().find(|version| version.file.is_some()),
        }
    }

    /// Whether something else runs than is written in its file, and that is not on trial either: it failed, or was
    /// left.
    pub fn differs_from_file(&self) -> bool {
        let is = |written: &Version| self.running().any(|one| one.number == written.number || one.is_like(written));
        self.written().is_some_and(|written| !is(written))
    }

    /// The version of a number, if it is kept.
    pub fn version(&self, number: u64) -> Option<&Arc<Version>> {
        self.versions.iter().find(|version| version.number == number)
    }

    /// The version that runs. [`Deployment::check`] says whether there is one.
    pub fn current(&self) -> Option<&Arc<Version>> {
        self.version(self.life.current().version)
    }

    /// The version on trial.
    pub fn on_trial(&self) -> Option<&Arc<Version>> {
        self.version(self.life.trial()?.instance.version)
    }

    /// Versions that run or may run in the next slot: the current one, and the one on trial.
    pub fn running(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.current().into_iter().chain(self.on_trial())
    }

    /// The version whose samples count as long as it does well: what is on trial and was tried out, else what is current.
    pub fn leading(&self) -> Option<&Arc<Version>> {
        let trial = self.life.trial().filter(|trial| !trial.dry);
        trial.and_then(|trial| self.version(trial.instance.version)).or(self.current())
    }

    /// With another version, on trial beside the current one. Its number is given here.
    ///
    /// What is ordered was tried out before. What is written in a file was not, so that comes first.
    ///
    /// It takes the place of one that is on trial already, and ends a quarantine; a pause goes on. When there are more
    /// than [`VERSIONS`], or they would fill more than a file, [the oldest](Self::forget_oldest) go. They do as well
    /// where their tenant has [no room](super::store::quota::fit) for them.
    pub fn deployed(&self, version: Version) -> Result<(Self, Vec<Change>), Refused> {
        let was_tried_out = version.file.is_none();
        self.with(version, was_tried_out)
    }

    /// The same where what is current cannot run: there is nothing beside which it could be tried out.
    pub fn mended(&self, version: Version) -> Result<(Self, Vec<Change>), Refused> {
        self.with(version, true)
    }

    fn with(&self, version: Version, was_tried_out: bool) -> Result<(Self, Vec<Change>), Refused> {
        let last = self.versions.iter().map(|version| version.number).max().unwrap_or_default();
        let number = last.checked_add(1).ok_or_else(|| Refused::NoNumber(self.key.clone()))?;
        let mut next = self.clone();
        next.written = version.file.is_some().then_some(number);
        next.versions.push(Arc::new(Version { number, ..version }));
        let changes = next.life.try_out(number, was_tried_out);
        while (next.versions.len() > VERSIONS || !record::has_room(&next)) && next.forget_oldest() {}
        Ok((next, changes))
    }

    /// Forgets the oldest version that neither runs nor is the next to go back to, and if there is none that one.
    /// Whether there was any.
    pub fn forget_oldest(&mut self) -> bool {
        let trial = self.life.trial().map(|trial| trial.instance.version);
        let wanted = [Some(self.life.current().version), trial, self.life.earlier().last().copied()];
        let oldest_but =
            |wanted: &[Option<u64>]| self.versions.iter().position(|version| !wanted.contains(&Some(version.number)));
        let [current, trial, _] = wanted;
        let Some(oldest) = oldest_but(&wanted).or_else(|| oldest_but(&[current, trial])) else { return false };
        let number = self.versions.remove(oldest).number;
        self.life.forget(number);
        true
    }

    /// Without the version on trial, which cannot run any more.
    pub fn without_trial(&self) -> (Self, Vec<Change>) {
        let mut next = self.clone();
        let changes = Vec::from_iter(next.life.refuse());
        (next, changes)
    }

    /// Back to what ran before, at once. Said during a trial, that is the current version, and only the trial ends.
    ///
    /// Said twice, it goes back twice: what was just left because it is bad never comes back by itself. Whoever wants
    /// it names it: [`Deployment::rolled_back_to`]. A quarantine ends, because it was about the version that is left.
    pub fn rolled_back(&self) -> Result<(Self, Vec<Change>), Refused> {
        let mut next = self.clone();
        if let Some(withdrawn) = next.life.withdraw() {
            return Ok((next, vec![withdrawn]));
        }
        let nothing = || {
            let remedy = match self.versions.len() {
                1 => "deploy the one that is wanted",
                _ => "name one of the kept ones, or deploy the one that is wanted",
            };
            Refused::NothingEarlier { key: self.key.clone(), current: self.life.current().version, remedy }
        };
        let earlier = self.life.earlier().last().ok_or_else(nothing)?;
        let changes = next.life.go_back(*earlier);
        Ok((next, changes))
    }

    /// To any version that is kept: at once to one that can be gone back to, of which those that ran before it are
    /// left to go back to after that; any other one, which has not shown that it works or was left because it does
    /// not, is on trial, after whoever orders it tried it out. One that is on trial ends.
    pub fn rolled_back_to(&self, number: u64) -> Result<(Self, Vec<Change>), Refused> {
        if self.version(number).is_none() {
            let kept: Vec<_> = self.versions.iter().map(|version| version.number.to_string()).collect();
            let (key, kept) = (self.key.clone(), kept.join(", "));
            return Err(Refused::NoVersion { key, wanted: number, kept });
        }
        let mut next = self.clone();
        let changes = if number == self.life.current().version {
            Vec::from_iter(next.life.withdraw())
        } else if self.life.trial().is_some_and(|trial| trial.instance.version == number) {
            Vec::new()
        } else if self.life.earlier().contains(&number) {
            next.life.go_back(number)
        } else {
            next.life.try_out(number, true)
        };
        if changes.is_empty() {
            return Err(Refused::RunsAlready { key: self.key.clone(), version: number });
        }
        Ok((next, changes))
    }

    /// Not running any more. Who said so first stays.
    pub fn paused(&self, at: i64, by: &str) -> (Self, Vec<Change>) {
        if self.paused.is_some() {
            return (self.clone(), Vec::new());
        }
        (Self { paused: Some(Paused { at, by: by.to_owned() }), ..self.clone() }, vec![Change::Paused])
    }

    /// Running again: a pause ends, and a quarantine.
    pub fn resumed(&self) -> (Self, Vec<Change>) {
        let mut next = self.clone();
        let mut changes = Vec::from_iter(next.paused.take().map(|_| Change::Resumed));
        changes.extend(next.life.resume());
        (next, changes)
    }

    /// With this version of the host, to be told at every start. Another one than before ends a quarantine.
    pub fn on_host(&self, host: &str) -> (Self, Vec<Change>) {
        let mut next = self.clone();
        let changes = Vec::from_iter(next.life.on_host(host));
        (next, changes)
    }

    /// What is to run now.
    pub fn plan(&self, rules: &Rules, now: i64) -> Run {
        if self.paused.is_some() { Run::Nothing(Idle::Paused) } else { self.life.plan(rules, now) }
    }

    /// Goes on as it follows from how a slot went. It need not be saved after every slot: see
    /// [`Deployment::is_worth_saving`], which is told beside the changes.
    pub fn land(&mut self, ran: &Ran, rules: &Rules, now: i64) -> (Vec<Change>, bool) {
        let before = self.life.clone();
        let changes = Vec::from_iter(self.life.outcome(ran, rules, now));
        (changes, self.life.is_worth_saving(&before))
    }

    /// Whether it has to be saved, if this is what was saved last: whether it differs in anything but how the last
    /// slots went. What comes back after a kill would otherwise run something else.
    pub fn is_worth_saving(&self, saved: &Self) -> bool {
        let Self { key, versions, life, paused, file, written } = self;
        (key, versions, paused, file, written)
            != (&saved.key, &saved.versions, &saved.paused, &saved.file, &saved.written)
            || life.is_worth_saving(&saved.life)
    }
}
