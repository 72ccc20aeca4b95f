//! The daemon killed with SIGKILL while deployments are ordered, at any moment.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use wasmeter::control::deployments::{Shown, Standing};
use wasmeter::modules::audit::{Entry, Outcome, Who};

use super::{order, probe, try_ask};
use crate::daemon::tenants::Cloud;
use crate::support::program::until;
use crate::support::{Random, repeat};

/// How often it is killed; with WASMETER_REPEAT=10 that is 200 times.
const KILLS: u32 = 20;
const NAMES: [&str; 3] = ["one", "two", "three"];
/// Versions of a deployment before it is removed. Ten are kept, and then the oldest goes.
const VERSIONS: usize = 8;

/// All that there is of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Deployment {
    /// Numbers and configurations.
    versions: Vec<(u64, String)>,
    current: u64,
    trial: Option<u64>,
    /// What ran before, the last one last.
    earlier: Vec<u64>,
    paused: bool,
}

/// What a deployment may be; none is one that there is not.
type Possible = BTreeSet<Option<Deployment>>;

/// What is ordered.
#[derive(Debug, Clone)]
enum Do {
    Deploy(String),
    RollBack,
    Pause,
    Resume,
    Remove,
}

/// What is known of a deployment.
#[derive(Debug)]
struct Known {
    /// What it may be after the orders that were answered.
    possible: Possible,
    /// What was ordered and not answered.
    under_way: Option<Do>,
    /// What was followed.
    followed: Vec<String>,
}

// === impl Deployment ===

impl Deployment {
    fn of(config: String) -> Self {
        Self { versions: vec![(1, config)], current: 1, trial: None, earlier: Vec::new(), paused: false }
    }

    fn over(mut self, trial: u64, passed: bool) -> Self {
        self.trial = None;
        if passed {
            self.earlier.push(self.current);
            self.current = trial;
        }
        self
    }

    /// Whether it is what is shown. What is paused or waits does not say what is on trial.
    fn is(&self, shown: &Shown) -> bool {
        let config = |config: &Value| config["parts"][0].as_str().unwrap().to_owned();
        let versions: Vec<_> = shown.versions.iter().map(|one| (one.number, config(&one.config))).collect();
        let earlier: Vec<u64> = shown.earlier.iter().rev().copied().collect();
        let trial = match shown.row.state {
            Standing::Running => self.trial.is_none(),
            Standing::Trial { version, .. } => self.trial == Some(version),
            _ => true,
        };
        let paused = matches!(shown.row.state, Standing::Paused { .. });
        trial
            && (&versions, shown.row.version, &earlier, paused)
                == (&self.versions, self.current, &self.earlier, self.paused)
    }
}

/// These, and what they may have become by themselves: a trial ends, well or not.
fn later(possible: &Possible) -> Possible {
    let mut all = possible.clone();
    for deployment in possible.iter().flatten() {
        for (trial, passed) in deployment.trial.into_iter().flat_map(|trial| [(trial, true), (trial, false)]) {
            all.insert(Some(deployment.clone().over(trial, passed)));
        }
    }
    all
}

// === impl Do ===

impl Do {
    /// An order at random. Whatever a deployment may be, its versions are the same.
    fn random(random: &mut Random, count: &mut u64, possible: &Possible) -> Self {
        let versions = possible.iter().flatten().map(|deployment| deployment.versions.len()).max();
        match versions.map_or(0, |_| random.below(5)) {
            _ if versions == Some(VERSIONS) => Self::Remove,
            0 | 1 => {
                *count += 1;
                Self::Deploy(format!("c{count}"))
            }
            2 => Self::Pause,
            3 => Self::Resume,
            _ => Self::RollBack,
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Deploy(_) => "deploy",
            Self::RollBack => "rollback",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Remove => "remove",
        }
    }

    fn body(&self) -> Vec<u8> {
        match self {
            Self::Deploy(config) => order(json!({"config": format!("{{\"parts\": [\"{config}\"]}}")}), &probe()),
            _ => Vec::new(),
        }
    }

    /// What becomes of a deployment; nothing if there is nothing to go back to.
    fn done(&self, before: Option<Deployment>) -> Option<Option<Deployment>> {
        let Some(mut it) = before else {
            let Self::Deploy(config) = self else { return None };
            return Some(Some(Deployment::of(config.clone())));
        };
        match self {
            Self::Deploy(config) => {
                let number = it.versions.last().map_or(1, |(last, _)| last + 1);
                it.versions.push((number, config.clone()));
                it.trial = Some(number);
            }
            Self::RollBack if it.trial.is_some() => it.trial = None,
            Self::RollBack => it.current = it.earlier.pop()?,
            Self::Pause => it.paused = true,
            Self::Resume => it.paused = false,
            Self::Remove => return Some(None),
        }
        Some(Some(it))
    }

    /// What may be there once it was followed.
    fn after(&self, before: &Possible) -> Possible {
        later(&later(before).into_iter().filter_map(|it| self.done(it)).collect())
    }
}

// === impl Known ===

impl Known {
    fn nothing() -> Self {
        Self { possible: [None].into(), under_way: None, followed: Vec::new() }
    }

    /// Holds what there is against what there may be.
    fn look(&mut self, cloud: &Cloud, name: &str) -> Option<()> {
        let (status, body) = try_ask(&cloud.folder, "GET", &format!("/deployments/acme/{name}"), b"")?;
        let shown: Option<Shown> = (status != 404).then(|| serde_json::from_str(&body).unwrap());
        let is_broken = |shown: &Shown| matches!(shown.row.state, Standing::Broken { .. });
        assert!(!shown.as_ref().is_some_and(is_broken), "{shown:#?}");
        let is = |it: &Option<Deployment>| match (it, &shown) {
            (None, None) => true,
            (Some(it), Some(shown)) => it.is(shown),
            _ => false,
        };
        let possible: Possible = later(&self.possible).into_iter().filter(is).collect();
        assert!(!possible.is_empty(), "{name}: {shown:#?} is none of {self:#?}");
        self.possible = possible;
        Some(())
    }

    /// The same of a daemon that was started again: what was under way is done wholly, or not at all.
    fn look_again(&mut self, cloud: &Cloud, name: &str) {
        if let Some(under_way) = &self.under_way {
            let after = under_way.after(&self.possible);
            self.possible.extend(after);
        }
        self.look(cloud, name).expect("an answer");
        let followed = followed(cloud, name);
        let more = followed.strip_prefix(&*self.followed).map(|more| more.iter().map(String::as_str).collect());
        let more: Vec<&str> = more.unwrap_or_else(|| panic!("{name}: {followed:?} does not go on {self:?}"));
        let under_way = self.under_way.take().map(|order| order.action());
        assert!(more.is_empty() || more == Vec::from_iter(under_way), "{name}: {more:?} instead of {under_way:?}");
        self.followed = followed;
    }
}

/// What was done with a deployment by whoever orders, as the audit log says.
fn followed(cloud: &Cloud, name: &str) -> Vec<String> {
    let audit = cloud.folder.read("audit.log");
    let entries = audit.lines().map(|line| serde_json::from_str::<Entry>(line).unwrap());
    let done = entries.filter(|entry| entry.key.name.as_str() == name && entry.result == Outcome::Done);
    done.filter(|entry| matches!(entry.who, Who::Peer { .. })).map(|entry| entry.action).collect()
}

/// Orders until the daemon does not answer any more.
fn order_about(cloud: &Cloud, name: &str, seed: u64, known: &Mutex<Known>, stop: &AtomicBool) {
    let (mut random, mut count) = (Random(seed), seed << 32);
    while !stop.load(Ordering::Relaxed) {
        let order = Do::random(&mut random, &mut count, &known.lock().unwrap().possible);
        known.lock().unwrap().under_way = Some(order.clone());
        let path = format!("/deployments/acme/{name}/{}", order.action());
        // Otherwise it was killed, or is not there yet.
        let Some((status, said)) = try_ask(&cloud.folder, "POST", &path, &order.body()) else { return };
        let mut known = known.lock().unwrap();
        known.under_way = None;
        match status {
            200 => {
                known.possible = order.after(&known.possible);
                known.followed.push(order.action().to_owned());
            }
            // There is nothing to go back to, or it is busy.
            409 | 503 => {}
            _ => panic!("{order:?} {name}: {status} {said}"),
        }
        if known.look(cloud, name).is_none() {
            return;
        }
    }
}

/// Its versions, the one that runs, the one on trial, those that it can go back to, whether it is paused, and what was
/// done with it.
#[test]
fn killed_at_any_moment_each_is_wholly_old_or_wholly_new() {
    let cloud = Cloud::new("");
    let mut random = Random(5);
    let known = NAMES.map(|_| Mutex::new(Known::nothing()));
    let kills = u64::from(KILLS * repeat());
    for kill in 0..=kills {
        let daemon = cloud.folder.start("run");
        until("the daemon to answer", || try_ask(&cloud.folder, "GET", "/deployments", b""));
        for (name, known) in NAMES.iter().zip(&known) {
            known.lock().unwrap().look_again(&cloud, name);
        }
        if kill == kills {
            let log = daemon.end();
            assert!(!log.contains("ERROR"), "{log}");
            break;
        }
        let stop = AtomicBool::new(false);
        let (stop, cloud) = (&stop, &cloud);
        let (wait, seed) = (random.below(1500), kill * 10);
        let log = thread::scope(|scope| {
            for (at, (name, known)) in (0..).zip(NAMES.iter().zip(&known)) {
                scope.spawn(move || order_about(cloud, name, seed + at, known, stop));
            }
            thread::sleep(Duration::from_millis(wait));
            let log = daemon.kill();
            stop.store(true, Ordering::Relaxed);
            log
        });
        assert!(!log.contains("ERROR") && !log.contains("The store of deployments"), "{log}");
    }
    let followed: usize = known.iter().map(|known| known.lock().unwrap().followed.len()).sum();
    assert!(followed as u64 > kills, "{followed} orders only");
    println!("{kills} kills, {followed} orders were followed");
}
