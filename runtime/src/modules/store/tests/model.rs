//! Random histories with faults, kills and power cuts, against a map in memory.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;
use super::disk::Disk;
use crate::modules::deployment::tests::{deployed, first, key, trial_failed, trial_passed};

#[derive(Debug, Clone)]
enum Op {
    Put(u8),
    /// Drops one that is held.
    LetGo(u8),
    Deploy(u8, u8),
    /// Something that needs no module.
    Step(u8, u8),
    Remove(u8),
    Collect,
    /// After so many calls, so many fail.
    Fault(u32, u32),
    Heal,
    Kill,
    PowerCut,
}

struct Model {
    disk: Disk,
    store: Option<Store<Disk>>,
    held: Vec<Pinned>,
    /// What the store says.
    deployments: BTreeMap<Key, Deployment>,
    /// What files may hold instead, since the disk failed.
    possible: BTreeMap<Key, Vec<Option<Deployment>>>,
}

fn bytes(module: u8) -> Vec<u8> {
    vec![module; 1 + usize::from(module) * 13]
}

fn a_key(pick: u8) -> Key {
    key(["t", "u.v"][usize::from(pick) % 2], ["a", "b", "c"][usize::from(pick / 2) % 3])
}

impl Model {
    fn new(seed: u64) -> Self {
        let disk = Disk::new(seed);
        let (store, oddities) = Store::open_on(disk.clone()).unwrap();
        assert_eq!(oddities, []);
        let (held, deployments, possible) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { disk, store: Some(store), held, deployments, possible }
    }

    fn store(&mut self) -> &mut Store<Disk> {
        self.store.as_mut().unwrap()
    }

    /// Modules that deployments name.
    fn named(&self) -> BTreeSet<Digest> {
        let all = self.deployments.values().chain(self.possible.values().flatten().flatten());
        all.flat_map(|deployment| &deployment.versions).map(|version| version.digest).collect()
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Put(module) => {
                let failed = self.disk.failed();
                match self.store().put(&bytes(module)) {
                    Ok(held) => self.held.push(held),
                    Err(error) => assert!(self.disk.failed() > failed, "{error}"),
                }
            }
            Op::LetGo(pick) if !self.held.is_empty() => {
                let place = usize::from(pick) % self.held.len();
                self.held.swap_remove(place);
            }
            Op::LetGo(_) => {}
            Op::Deploy(pick, module) => {
                let (key, module) = (a_key(pick), bytes(module));
                let next = match self.deployments.get(&key) {
                    Some(now) => deployed(now, &module),
                    None => first(key, &module),
                };
                self.save(next);
            }
            Op::Step(pick, what) => {
                let Some(now) = self.deployments.get(&a_key(pick)) else { return };
                let next = match what % 4 {
                    0 => trial_passed(now),
                    1 => trial_failed(now),
                    2 => now.rolled_back().ok().map(|(next, _)| next),
                    _ => Some(now.paused(i64::from(what), "me").0),
                };
                if let Some(next) = next {
                    self.save(next);
                }
            }
            Op::Remove(pick) => {
                let (key, failed) = (a_key(pick), self.disk.failed());
                match self.store().remove(&key) {
                    Ok(()) => {
                        self.deployments.remove(&key).unwrap();
                        self.possible.remove(&key);
                    }
                    Err(Error::NoDeployment(_)) => assert!(!self.deployments.contains_key(&key)),
                    Err(error) => {
                        assert!(self.disk.failed() > failed, "{error}");
                        if matches!(error, Error::Unsettled { .. }) {
                            self.may_be(key, None);
                        }
                    }
                }
            }
            Op::Collect => {
                let failed = self.disk.failed();
                match self.store().collect() {
                    Ok(_) => {
                        assert!(self.store().unsettled.is_empty());
                        self.possible.clear();
                        let mut needed = self.named();
                        needed.extend(self.held.iter().map(|held| held.digest));
                        let there = self.disk.names(Shelf::Modules);
                        let there: BTreeSet<_> = there.iter().filter_map(|name| names::as_module(name)).collect();
                        assert_eq!(there, needed);
                    }
                    Err(error) => assert!(self.disk.failed() > failed, "{error}"),
                }
            }
            Op::Fault(after, length) => self.disk.fail(after, length),
            Op::Heal => self.disk.heal(),
            Op::Kill => self.reopen(),
            Op::PowerCut => {
                (self.store, self.held) = (None, Vec::new());
                self.disk.crash();
                self.reopen();
            }
        }
        // Whether it is right that these are settled is seen after the next power cut.
        let unsettled = self.store().unsettled.clone();
        self.possible.retain(|key, _| unsettled.contains(key));
        assert_eq!(self.possible.len(), unsettled.len());
        self.check();
    }

    fn save(&mut self, next: Deployment) {
        let (key, failed) = (next.key.clone(), self.disk.failed());
        match self.store().save(&next) {
            Ok(()) => {
                self.possible.remove(&key);
                self.deployments.insert(key, next);
            }
            Err(Error::Missing { digest }) => {
                let named = self.deployments.values().flat_map(|deployment| &deployment.versions);
                let mut there = named.map(|version| version.digest).chain(self.held.iter().map(|held| held.digest));
                assert!(there.all(|there| there != digest), "{digest} is there");
            }
            Err(Error::Unsettled { .. }) => {
                assert!(self.disk.failed() > failed);
                self.may_be(key, Some(next));
            }
            Err(error) => assert!(self.disk.failed() > failed, "{error}"),
        }
    }

    fn may_be(&mut self, key: Key, next: Option<Deployment>) {
        let now = self.deployments.get(&key).cloned();
        self.possible.entry(key).or_insert_with(|| vec![now]).push(next);
    }

    /// Another process opens it, with a disk that may fail at first.
    fn reopen(&mut self) {
        (self.store, self.held) = (None, Vec::new());
        // Whatever this one sees, the next one sees all.
        drop(Store::open_on(self.disk.clone()));
        self.disk.heal();
        let (store, oddities) = Store::open_on(self.disk.clone()).unwrap();
        assert_eq!(oddities, []);
        let found: BTreeMap<Key, Deployment> =
            store.deployments().map(|deployment| (deployment.key.clone(), deployment.clone())).collect();
        let keys: BTreeSet<&Key> = found.keys().chain(self.deployments.keys()).chain(self.possible.keys()).collect();
        for key in keys {
            let (found, before) = (found.get(key).cloned(), self.deployments.get(key).cloned());
            let possible = self.possible.get(key).cloned().unwrap_or_else(|| vec![before]);
            assert!(possible.contains(&found), "{key}: {found:?} is none of {possible:?}");
        }
        (self.deployments, self.store, self.possible) = (found, Some(store), BTreeMap::new());
    }

    fn check(&self) {
        let store = self.store.as_ref().unwrap();
        assert!(store.deployments().eq(self.deployments.values()));
        for deployment in self.deployments.values() {
            assert!(store.serves(deployment));
        }
        for digest in self.named().into_iter().chain(self.held.iter().map(|held| held.digest)) {
            let file = self.disk.look(Shelf::Modules, &names::module(&digest)).expect("what is named is there");
            assert_eq!(Digest::of(&file), digest);
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..12_u8).prop_map(Op::Put),
        2 => any::<u8>().prop_map(Op::LetGo),
        8 => (0..6_u8, 0..12_u8).prop_map(|(pick, module)| Op::Deploy(pick, module)),
        6 => (0..6_u8, any::<u8>()).prop_map(|(pick, what)| Op::Step(pick, what)),
        2 => (0..6_u8).prop_map(Op::Remove),
        3 => Just(Op::Collect),
        3 => (0..12_u32, 1..6_u32).prop_map(|(after, length)| Op::Fault(after, length)),
        // Until the power goes.
        2 => (0..12_u32).prop_map(|after| Op::Fault(after, 1_000)),
        1 => Just(Op::Heal),
        1 => Just(Op::Kill),
        3 => Just(Op::PowerCut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history(seed: u64, ops in vec(op(), 0..120)) {
        let mut model = Model::new(seed);
        for op in &ops {
            model.apply(op);
        }
        model.apply(&Op::PowerCut);
        model.apply(&Op::Collect);
    }
}
