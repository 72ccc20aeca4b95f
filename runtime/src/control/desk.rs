//! Where deployments are asked about and ordered. Nothing here keeps the loop waiting: a module is compiled and tried out
//! beside it, and the loop is asked for the short rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use self::turns::{Turn, Turns};
use super::deployments::{Deploy, Deployed, Done, Log, RollBack, Row, Shown, VersionShown};
use super::journal::{Journal, Page};
use super::time::Time;
use crate::agent::errands::{Changed, Errand, Order, Readied, Refused, Surroundings, What};
use crate::clock::Clock;
use crate::config::{Secret, closest, hide_secrets};
use crate::digest::Digest;
use crate::http::StatusCode;
use crate::modules::audit::{Entry, Outcome, Who};
use crate::modules::deploying::doubts::Doubt;
use crate::modules::deploying::written::Written;
use crate::modules::deploying::{self, Fault, Loader, Prepared};
use crate::modules::deployment::{Deployment, Key, SecretSource, Signature, Version};
use crate::modules::life::{Idle, Rules, Run};
use crate::modules::registry::{Registry, Unkept};
use crate::modules::store;

mod dry_run;
mod turns;

/// Where deployments are asked about and ordered.
#[derive(Debug, Clone)]
pub struct Desk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    registry: Registry,
    journal: Journal,
    errands: mpsc::Sender<Errand>,
    /// Whose modules are prepared and tried out.
    turns: Turns,
    /// Modules that are prepared at once: a compiler takes a core and much memory.
    preparing: Semaphore,
    /// Modules that are tried out at once. One that makes requests may wait for its servers.
    trying: Semaphore,
}

/// An order is not followed, or nothing can be said.
#[derive(Debug)]
pub struct No {
    /// What kind of no.
    pub status: StatusCode,
    /// Why, and what to do.
    pub why: String,
    /// What came of trying a module out, where that is why.
    pub tried: Option<Box<Deployed>>,
    /// Whether it was prepared by rules that are not in force any more.
    by_old_rules: bool,
}

type Answer<T> = Result<T, No>;

/// How an order is followed that has another version run.
struct How {
    /// Only to say what would come of it.
    only_try: bool,
    /// Even if the version fails when it is tried out.
    anyway: bool,
}

/// What is done with a deployment.
trait OfVersion {
    /// The version that it is about, if there is one, and its module.
    fn of(&self) -> (Option<u64>, Digest);
}

impl OfVersion for Deployed {
    fn of(&self) -> (Option<u64>, Digest) {
        (self.version, self.digest)
    }
}

impl OfVersion for Done {
    fn of(&self) -> (Option<u64>, Digest) {
        (Some(self.version), self.digest)
    }
}

/// Orders that wait for the loop.
const WAITING: usize = 64;
/// How long the loop may be busy with a slot.
const PATIENCE: Duration = Duration::from_secs(60);
/// Modules that are tried out at once.
const TRIED_AT_ONCE: usize = 8;
/// Lines of the audit log that are shown.
const HISTORY: usize = 50;

// === impl Desk ===

impl Desk {
    /// A desk, and the errands that whoever has the agent is to run.
    pub fn new(clock: Arc<dyn Clock>, registry: Registry) -> (Self, mpsc::Receiver<Errand>) {
        let (errands, waiting) = mpsc::channel(WAITING);
        let (journal, preparing, trying) = (Journal::default(), Semaphore::new(1), Semaphore::new(TRIED_AT_ONCE));
        (
            Self(Arc::new(Shared { clock, registry, journal, errands, turns: Turns::default(), preparing, trying })),
            waiting,
        )
    }

    /// What deployments have been doing.
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// Why deployments are not kept, where they should be.
    pub fn missing(&self) -> Option<String> {
        self.0.registry.failing()
    }

    /// Deployments that were ordered and are not there, and why.
    pub fn lacking(&self) -> BTreeMap<Key, String> {
        self.0.registry.lacking()
    }

    /// All deployments.
    pub fn rows(&self) -> Vec<Row> {
        self.0.journal.rows(&Rules::default(), self.now())
    }

    /// All about one.
    pub async fn show(&self, key: &Key) -> Answer<Shown> {
        let page = self.0.journal.page(key).ok_or_else(|| self.unknown(key))?;
        let history = self.0.registry.history(key.clone(), HISTORY).await;
        Ok(Shown {
            row: page.row(&Rules::default(), self.now()),
            versions: page.deployment.versions.iter().map(|version| shown(version, &page)).collect(),
            earlier: page.deployment.life.earlier().iter().rev().copied().collect(),
            share: page.share,
            used: page.used,
            failures: page.failures.into(),
            history,
        })
    }

    /// There is no such deployment, but maybe one that was meant.
    fn unknown(&self, key: &Key) -> No {
        let deployed: Vec<String> = self.rows().iter().map(|row| row.key.to_string()).collect();
        let deployed: Vec<&str> = deployed.iter().map(String::as_str).collect();
        match closest(&key.to_string(), &deployed) {
            Some(meant) => {
                No::of(StatusCode::NOT_FOUND, format!("There is no deployment {key}. Did you mean {meant}?"))
            }
            None => No::unknown(key),
        }
    }

    /// What one logged after so many lines. Where that is nothing, it is waited so long for more.
    pub async fn log(&self, key: &Key, after: u64, wait: Duration) -> Answer<Log> {
        let journal = &self.0.journal;
        let mut news = journal.news();
        journal.page(key).ok_or_else(|| self.unknown(key))?;
        let more = async {
            loop {
                let log = journal.log(key, after)?;
                if !log.lines.is_empty() || news.changed().await.is_err() {
                    return Some(log);
                }
            }
        };
        let log = match timeout(wait, more).await {
            Ok(log) => log,
            Err(_) => journal.log(key, after),
        };
        log.ok_or_else(|| No::of(StatusCode::NOT_FOUND, format!("{key} was removed, so nothing comes of it any more.")))
    }

    /// Has a module run, after it was tried out.
    pub async fn deploy(&self, who: Who, key: Key, order: Deploy, file: Bytes) -> Answer<Deployed> {
        let action = if order.dry_run { "dry-run" } else { "deploy" };
        let entry = self.entry(who, action, &key, None, Some(Digest::of(&file)));
        let work = by_rules_in_force(|| self.try_deploy(who, key.clone(), &order, file.clone()));
        self.written_down(entry, work).await
    }

    async fn try_deploy(&self, who: Who, key: Key, order: &Deploy, file: Bytes) -> Answer<Deployed> {
        let around = self.surroundings().await?;
        let version = version(order, &file, by(who), self.now());
        version.check().map_err(|invalid| {
            let why = invalid.words(Written::Order);
            No::of(StatusCode::BAD_REQUEST, format!("It cannot be deployed: {why}."))
        })?;
        let own = self.0.turns.take(&key.tenant).await?;
        let prepared = self.prepare(&around, &key, version, file).await??;
        let how = How { only_try: order.dry_run, anyway: order.anyway };
        let order = self.order(who, key, Some(around.rules), What::Deploy(Box::new(prepared)));
        self.follow(order, Some((&around, own)), how).await
    }

    /// Has a version from before run: at once if it ran before, and otherwise after it was tried out.
    pub async fn roll_back(&self, who: Who, key: Key, order: RollBack) -> Answer<Deployed> {
        let action = if order.dry_run { "dry-run" } else { "rollback" };
        let digest = |to| Some(self.0.journal.page(&key)?.deployment.version(to)?.digest);
        let entry = self.entry(who, action, &key, order.to, order.to.and_then(digest));
        let work = by_rules_in_force(|| self.try_roll_back(who, key.clone(), &order));
        self.written_down(entry, work).await
    }

    async fn try_roll_back(&self, who: Who, key: Key, order: &RollBack) -> Answer<Deployed> {
        let RollBack { to, dry_run, anyway } = *order;
        let how = How { only_try: dry_run, anyway };
        let page = self.0.journal.page(&key).ok_or_else(|| self.unknown(&key))?;
        let (next, _) = match to {
            Some(to) => page.deployment.rolled_back_to(to),
            None => page.deployment.rolled_back(),
        }?;
        let wanted = leading(&next).ok_or_else(|| No::unknown(&key))?;
        if page.deployment.running().any(|version| version.number == wanted.number) {
            return self.follow(self.order(who, key, None, What::RollBack(to, None)), None, how).await;
        }
        let around = self.surroundings().await?;
        let own = self.0.turns.take(&key.tenant).await?;
        let file = self.0.registry.read(wanted.digest).await?.into();
        let prepared = self.prepare(&around, &key, Version::clone(wanted), file).await?;
        let prepared = prepared.map_err(|refused| No::outdated(&key, wanted.number, &refused))?;
        let on_trial = next.on_trial().is_some();
        let tries = (dry_run || on_trial).then_some((&around, own));
        let readied = Readied { version: Arc::clone(wanted), ready: prepared.ready, on_trial };
        let what = What::RollBack(to, Some(readied));
        self.follow(self.order(who, key, Some(around.rules), what), tries, how).await
    }

    /// Follows an order that has another version run, which is tried out first if it is said in which surroundings.
    /// What would be refused is not tried out.
    async fn follow(&self, order: Order, tries: Option<(&Surroundings, Turn<'_>)>, how: How) -> Answer<Deployed> {
        let How { only_try, anyway } = how;
        let order = Arc::new(order);
        let mut told = Deployed::of(&order.key, self.considered(&order).await?, self.now())?;
        if let (Some((around, own)), Some((version, ready))) = (tries, order.what.tried()) {
            let trying = turn(&self.0.trying).await?;
            told.dry_run = Some(self.dry_run(around, &order.key, (version, ready), anyway).await?);
            drop((trying, own));
        }
        if only_try {
            return Ok(Deployed { version: None, ..told });
        }
        if !anyway && let Some(failed) = told.failed() {
            let why = format!("It fails when it is tried out: {failed}. Mend it, or say it with --anyway.");
            let tried = Some(Box::new(Deployed { version: None, ..told }));
            return Err(No { tried, ..No::of(StatusCode::UNPROCESSABLE_ENTITY, why) });
        }
        let held = match &order.what {
            // Written here, so that the loop finds it there.
            What::Deploy(prepared) => Some(self.0.registry.put(prepared.file.clone()).await?),
            _ => None,
        };
        let changed = self.change(&order).await;
        drop(held);
        match changed {
            Ok(changed) => {
                self.0.registry.tidy().await;
                let Deployed { dry_run, doubts, .. } = told;
                Ok(Deployed { dry_run, doubts, ..Deployed::of(&order.key, changed, self.now())? })
            }
            Err(no) => {
                self.collect().await;
                Err(no)
            }
        }
    }

    /// Has one not run.
    pub async fn pause(&self, who: Who, key: Key) -> Answer<Done> {
        let entry = self.entry_of_running(who, "pause", &key);
        self.written_down(entry, self.changed(who, key, What::Pause)).await
    }

    /// Has one run again.
    pub async fn resume(&self, who: Who, key: Key) -> Answer<Done> {
        let entry = self.entry_of_running(who, "resume", &key);
        self.written_down(entry, self.changed(who, key, What::Resume)).await
    }

    /// Has there be none.
    pub async fn remove(&self, who: Who, key: Key) -> Answer<Done> {
        let entry = self.entry_of_running(who, "remove", &key);
        let work = async {
            let done = self.changed(who, key.clone(), What::Remove).await?;
            self.0.registry.tidy().await;
            Ok(done)
        };
        self.written_down(entry, work).await
    }

    async fn collect(&self) {
        if let Err(error) = self.0.registry.collect().await {
            tracing::warn!(%error, "Modules that nobody needs stay in the store.");
        }
    }

    /// A version, ready to run, or why it cannot.
    async fn prepare(
        &self,
        around: &Surroundings,
        key: &Key,
        version: Version,
        file: Bytes,
    ) -> Answer<Result<Prepared, deploying::Refused>> {
        let _one = turn(&self.0.preparing).await?;
        let (mut loader, _) = Loader::of(&around.sandbox, &around.config, &around.names, around.operators.clone());
        Ok(loader.prepare(key.clone(), version, file).await)
    }

    async fn changed(&self, who: Who, key: Key, what: What) -> Answer<Done> {
        let order = Arc::new(self.order(who, key, None, what));
        let Changed { deployment, changes, .. } = self.change(&order).await?;
        let version = leading(&deployment).ok_or_else(|| No::unknown(&order.key))?;
        Ok(Done { key: order.key.clone(), version: version.number, digest: version.digest, changes })
    }

    fn order(&self, who: Who, key: Key, rules: Option<u64>, what: What) -> Order {
        Order { key, what, by: by(who), at: self.now(), rules }
    }

    /// Has the loop say what would come of an order.
    async fn considered(&self, order: &Arc<Order>) -> Answer<Changed> {
        self.tell(|answer| Errand::Consider(Arc::clone(order), answer)).await
    }

    /// Has the loop do what is ordered.
    async fn change(&self, order: &Arc<Order>) -> Answer<Changed> {
        self.tell(|answer| Errand::Change(Arc::clone(order), answer)).await
    }

    /// Tells the loop of an order. The answer is waited for as long as it takes: nobody is told that something was not
    /// done, and then it is.
    async fn tell(&self, errand: impl FnOnce(oneshot::Sender<Result<Changed, Refused>>) -> Errand) -> Answer<Changed> {
        Ok(self.wait_for(errand).await??)
    }

    async fn wait_for<T>(&self, errand: impl FnOnce(oneshot::Sender<T>) -> Errand) -> Answer<T> {
        let (sender, answer) = oneshot::channel();
        let ends = || No::of(StatusCode::SERVICE_UNAVAILABLE, "The daemon ends. Ask again what became of it.");
        self.0.errands.send(errand(sender)).await.map_err(|_| ends())?;
        answer.await.map_err(|_| ends())
    }

    /// What an order is prepared by, once what is read again is in force.
    async fn surroundings(&self) -> Answer<Surroundings> {
        self.wait_for(Errand::Surroundings).await
    }

    /// Asks the loop.
    async fn ask<T>(&self, errand: impl FnOnce(oneshot::Sender<T>) -> Errand) -> Answer<T> {
        let (sender, answer) = oneshot::channel();
        let busy = |_| No::of(StatusCode::SERVICE_UNAVAILABLE, "The daemon is busy with its slots. Ask again.");
        let sent = timeout(PATIENCE, self.0.errands.send(errand(sender))).await.map_err(busy)?;
        sent.map_err(|_| No::of(StatusCode::SERVICE_UNAVAILABLE, "The daemon is about to end."))?;
        let answer = timeout(PATIENCE, answer).await.map_err(busy)?;
        answer.map_err(|_| No::of(StatusCode::SERVICE_UNAVAILABLE, "The daemon had to leave that. Ask again."))
    }

    /// Does what was written down, and writes down what came of it.
    async fn written_down<T: OfVersion>(&self, entry: Entry, work: impl Future<Output = Answer<T>>) -> Answer<T> {
        let begun = self.0.registry.begin(entry).await?;
        let answer = work.await;
        let (begun, result) = match &answer {
            Ok(done) => {
                let (version, digest) = done.of();
                (begun.of(version, Some(digest)), Outcome::Done)
            }
            Err(no) => (begun.of(None, no.tried.as_ref().map(|tried| tried.digest)), Outcome::Failed(no.why.clone())),
        };
        if let Err(error) = self.0.registry.end(begun, Time(self.now()), result).await {
            tracing::error!(%error, "What came of an order is not in the audit log.");
        }
        answer
    }

    fn entry(&self, who: Who, action: &str, key: &Key, version: Option<u64>, digest: Option<Digest>) -> Entry {
        let (time, result) = (Time(self.now()), Outcome::Begun);
        Entry { time, who, action: action.to_owned(), key: key.clone(), version, digest, result, why: None }
    }

    /// About what runs now, or is on trial.
    fn entry_of_running(&self, who: Who, action: &str, key: &Key) -> Entry {
        let page = self.0.journal.page(key);
        let runs = page.iter().find_map(|page| leading(&page.deployment));
        self.entry(who, action, key, runs.map(|version| version.number), runs.map(|version| version.digest))
    }

    fn now(&self) -> i64 {
        self.0.clock.now().wall
    }
}

/// Does something that is prepared by rules, and again if others are in force by the time that it is.
async fn by_rules_in_force<T, F: Future<Output = Answer<T>>>(work: impl Fn() -> F) -> Answer<T> {
    loop {
        match work().await {
            Err(no) if no.by_old_rules => {}
            answer => return answer,
        }
    }
}

/// The version that is on trial or tried out, or else the one that is current.
fn leading(deployment: &Deployment) -> Option<&Arc<Version>> {
    deployment.on_trial().or(deployment.current())
}

/// What is odd about an order, with the option that it is about.
fn said(doubt: &Doubt) -> String {
    let option = Written::Order.key(doubt.key).map(|option| format!("{option}: ")).unwrap_or_default();
    format!("{option}{doubt}")
}

/// Waits until others are done.
async fn turn(semaphore: &Semaphore) -> Answer<SemaphorePermit<'_>> {
    let busy = || No::of(StatusCode::SERVICE_UNAVAILABLE, "Others deploy modules just now. Ask again.");
    timeout(PATIENCE, semaphore.acquire()).await.ok().and_then(Result::ok).ok_or_else(busy)
}

fn by(who: Who) -> String {
    match who {
        Who::Peer { uid, .. } => format!("uid {uid}"),
        Who::File => "a file".to_owned(),
        Who::Daemon => "the daemon".to_owned(),
    }
}

fn version(order: &Deploy, file: &[u8], by: String, now: i64) -> Version {
    let mut grants = order.grants.clone();
    let secrets = order.secrets.iter();
    grants.secrets.extend(secrets.map(|(name, text)| (name.clone(), SecretSource::Text(Secret::new(text.clone())))));
    Version {
        number: 0,
        digest: Digest::of(file),
        size: file.len() as u64,
        config: Secret::new(order.config.clone()),
        meters: order.meters.clone(),
        interval: order.interval,
        grants,
        limits: order.limits,
        signature: order.signature.clone().map(|text| Signature { key: String::new(), text }),
        deployed_at: now,
        by,
        file: None,
    }
}

/// What a module is told, without what sounds secret. What a text says, nobody but the module knows.
fn told(text: &str) -> serde_json::Value {
    match serde_json::from_str(text) {
        Ok(value @ (serde_json::Value::Object(_) | serde_json::Value::Array(_))) => hide_secrets(&value),
        _ if text.is_empty() => serde_json::Value::Null,
        _ => format!("a text of {} bytes, {}", text.len(), Digest::of(text.as_bytes())).into(),
    }
}

fn shown(version: &Version, page: &Page) -> VersionShown {
    let text = version.config.expose();
    VersionShown {
        number: version.number,
        digest: version.digest,
        size: version.size,
        deployed_at: Time(version.deployed_at),
        by: version.by.clone(),
        signed_by: version.signature.as_ref().map(|signature| signature.key.clone()),
        config: told(text),
        meters: version.meters.clone(),
        interval: version.interval,
        grants: version.grants.clone(),
        limits: version.limits,
        in_force: page.in_force.get(&version.number).copied(),
    }
}

// === impl Deployed ===

impl Deployed {
    /// What became of a deployment, or would, of whom nothing is tried out yet.
    fn of(key: &Key, changed: Changed, now: i64) -> Answer<Self> {
        let Changed { deployment, changes, doubts } = changed;
        let run = deployment.plan(&Rules::default(), now);
        let version = leading(&deployment).ok_or_else(|| No::unknown(key))?;
        Ok(Self {
            key: key.clone(),
            digest: version.digest,
            signed_by: version.signature.as_ref().map(|signature| signature.key.clone()),
            dry_run: None,
            version: Some(version.number),
            on_trial: deployment.on_trial().is_some(),
            unchanged: changes.is_empty(),
            paused: deployment.paused.is_some(),
            quarantined: matches!(run, Run::Nothing(Idle::Quarantined { .. })),
            changes,
            doubts: doubts.iter().map(said).collect(),
        })
    }
}

// === impl No ===

impl No {
    /// For this reason.
    pub fn of(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into(), tried: None, by_old_rules: false }
    }

    /// A version that was kept cannot run any more. Whoever asks for it is not to blame.
    fn outdated(key: &Key, number: u64, refused: &deploying::Refused) -> Self {
        let status = match refused.fault {
            Fault::Order | Fault::Module | Fault::Missing => StatusCode::UNPROCESSABLE_ENTITY,
            Fault::Room => StatusCode::INSUFFICIENT_STORAGE,
        };
        let remedy = "Deploy it anew with what it lacks, or go back to another one";
        Self::of(status, format!("Version {number} of {key} cannot run as things are now: {refused}. {remedy}."))
    }

    fn unknown(key: &Key) -> Self {
        Self::of(StatusCode::NOT_FOUND, format!("There is no deployment {key}. See wasmeter module list."))
    }
}

impl From<deploying::Refused> for No {
    fn from(refused: deploying::Refused) -> Self {
        let status = match refused.fault {
            Fault::Order => StatusCode::BAD_REQUEST,
            Fault::Module | Fault::Missing => StatusCode::UNPROCESSABLE_ENTITY,
            Fault::Room => StatusCode::INSUFFICIENT_STORAGE,
        };
        let key = Written::Order.key(refused.key).map(|key| format!("{key}: ")).unwrap_or_default();
        Self::of(status, format!("It cannot be deployed: {key}{}. {}.", refused.message, refused.remedy))
    }
}

impl From<crate::modules::deployment::Refused> for No {
    fn from(refused: crate::modules::deployment::Refused) -> Self {
        Self::of(StatusCode::CONFLICT, sentence(&refused.to_string()))
    }
}

impl From<Unkept> for No {
    fn from(unkept: Unkept) -> Self {
        let status = match unkept {
            Unkept::NoRoom(_) => StatusCode::INSUFFICIENT_STORAGE,
            Unkept::Store(
                store::Error::Invalid { .. } | store::Error::TooLong { .. } | store::Error::TooLarge { .. },
            ) => StatusCode::BAD_REQUEST,
            Unkept::NoStore(_) => StatusCode::SERVICE_UNAVAILABLE,
            Unkept::Store(_) | Unkept::Audit(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::of(status, sentence(&unkept.to_string()))
    }
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unknown(key) => Self::unknown(&key),
            Refused::Written(..) | Refused::Meanwhile(_) | Refused::Reloaded => {
                let by_old_rules = matches!(refused, Refused::Reloaded);
                Self { by_old_rules, ..Self::of(StatusCode::CONFLICT, sentence(&refused.to_string())) }
            }
            Refused::Unsettled(..) => Self::of(StatusCode::INTERNAL_SERVER_ERROR, sentence(&refused.to_string())),
            Refused::Never(refused) => refused.into(),
            Refused::Unkept(unkept) => unkept.into(),
            Refused::DoesNotFit(refused) => refused.into(),
        }
    }
}

/// A message as a sentence. A deployment's name stays as it is.
fn sentence(message: &str) -> String {
    if message.split(' ').next().is_some_and(|word| word.contains('/')) {
        return format!("{message}.");
    }
    let mut letters = message.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}
