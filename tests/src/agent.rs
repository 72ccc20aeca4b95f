//! The agent's promises, seen from inside: when samples say they were measured, and that what is lost is counted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use uuid::Uuid;
use wasmeter::agent::errands::{Errand, Unread};
use wasmeter::agent::{Agent, Parts};
use wasmeter::clock::{Clock, ManualClock, SECOND};
use wasmeter::config::{Config, Secret};
use wasmeter::contract::{Column, Values};
use wasmeter::digest::Digest;
use wasmeter::hypervisor::{self, Connection, Definition, Hypervisor, HypervisorError, Record, Request};
use wasmeter::modules::deploying::{Loader, Ready};
use wasmeter::modules::deployment::{Grants, Key, Overrides, Version};
use wasmeter::modules::registry::Registry;
use wasmeter::sandbox::Sandbox;
use wasmeter::sandbox::compile::Compiler;

use crate::support::{daemon, hostile};

const START: i64 = 1_763_632_800 * SECOND;

/// A host that takes its time, which the clock shows.
#[derive(Debug)]
struct Slow {
    host: Arc<dyn Hypervisor>,
    clock: Arc<ManualClock>,
    refuses: Option<HypervisorError>,
}

struct SlowConnection {
    connection: Box<dyn Connection>,
    clock: Arc<ManualClock>,
}

impl Hypervisor for Slow {
    fn connect(&self) -> Result<Box<dyn Connection>, HypervisorError> {
        if let Some(error) = &self.refuses {
            return Err(error.clone());
        }
        Ok(Box::new(SlowConnection { connection: self.host.connect()?, clock: Arc::clone(&self.clock) }))
    }
}

impl Connection for SlowConnection {
    fn read(&mut self, request: &Request) -> Result<Vec<Record>, HypervisorError> {
        self.clock.pass(SECOND.unsigned_abs());
        self.connection.read(request)
    }

    fn define(&mut self, guest: Uuid) -> Result<Option<Definition>, HypervisorError> {
        self.connection.define(guest)
    }

    fn occupied(&mut self, guests: &[Uuid]) -> Result<Vec<(Uuid, Duration)>, HypervisorError> {
        self.connection.occupied(guests)
    }
}

/// What it takes to have a module of a tenant's read what needs guests' processes.
async fn prepared(agent: &mut Agent, key: &Key) -> Arc<Ready> {
    let (sender, around) = oneshot::channel();
    let tell = agent.run_errand(Errand::Surroundings(sender), Duration::MAX).await.unwrap();
    tell();
    let around = around.await.unwrap();
    let file = hostile();
    let version = Version {
        number: 1,
        digest: Digest::of(&file),
        size: file.len() as u64,
        config: Secret::new(String::new()),
        meters: Vec::new(),
        interval: 60,
        grants: Grants { names: vec!["hostile.".to_owned()], ..Grants::default() },
        limits: Overrides::default(),
        signature: None,
        deployed_at: 0,
        by: "me".to_owned(),
        file: None,
    };
    let (mut loader, _) = Loader::of(&around.sandbox, &around.config, &around.names, around.operators.clone());
    loader.prepare(key.clone(), version, file.into()).await.unwrap().ready
}

/// Somebody's frozen guest delays no slot: what is read for an order is given up before, and without that guest it is
/// read then.
#[tokio::test]
async fn what_is_read_for_an_order_waits_for_no_frozen_guest() {
    let host = "sim://?domains=7&calm=true&disks=1&nics=1&freeze=1";
    let Measuring { mut agent, _folder, .. } = measuring_on(host, "", None).await;
    let key = Key::new("acme".parse().unwrap(), "reads".parse().unwrap());
    let ready = prepared(&mut agent, &key).await;
    for (until, is_read) in [(Duration::from_millis(200), false), (Duration::MAX, true)] {
        let (sender, read) = oneshot::channel();
        let tell = agent.run_errand(Errand::Read(key.clone(), Arc::clone(&ready), sender), until).await.unwrap();
        tell();
        match read.await.unwrap() {
            Ok(read) => assert!(is_read && read.missing.is_none(), "{:?}", read.missing),
            Err(unread) => assert!(!is_read && matches!(unread, Unread::Slot), "{unread}"),
        }
    }
}

struct Measuring {
    agent: Agent,
    clock: Arc<ManualClock>,
    _folder: TempDir,
}

async fn measuring(config: &str, refuses: Option<HypervisorError>) -> Measuring {
    measuring_on("sim://?domains=7&calm=true&disks=1&nics=1", config, refuses).await
}

async fn measuring_on(host: &str, config: &str, refuses: Option<HypervisorError>) -> Measuring {
    let folder = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let shared: Arc<dyn Clock> = clock.clone();
    let (config, _) = Config::parse(config, None).unwrap();
    let host = hypervisor::open(host, &shared).unwrap();
    let hypervisor = Arc::new(Slow { host, clock: Arc::clone(&clock), refuses });
    let sandbox = Arc::new(Sandbox::new(&folder.path().join("cache"), Compiler::at(daemon())).unwrap());
    let parts = Parts {
        clock: shared,
        hypervisor,
        sandbox,
        guests: tokio::runtime::Handle::current(),
        registry: Registry::none("it ends with the test"),
    };
    Measuring { agent: Agent::new(config, parts).await.unwrap(), clock, _folder: folder }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_carries_the_time_before_its_read() {
    let mut measuring = measuring("", None).await;
    for _ in 0..2 {
        let before = measuring.clock.now();
        let report = measuring.agent.cycle(&[10]).await.unwrap();
        assert!(measuring.clock.now().wall >= before.wall + SECOND, "the read took time");
        let times: BTreeSet<i64> = report.slot.samples.iter().map(|samples| samples.at.wall).collect();
        assert_eq!(times, BTreeSet::from([before.wall]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_module_loses_is_counted_by_cause() {
    let hostile = env!("HOSTILE_WASM");
    let mut measuring =
        measuring(&format!("modules: {{broken: {{file: {hostile:?}, config: 'run: panic'}}}}"), None).await;
    let report = measuring.agent.cycle(&[10]).await.unwrap();
    let tally = &measuring.agent.tally;
    assert_eq!(tally.samples, report.slot.len() as u64, "what was measured is counted");
    assert!(tally.samples > 100, "the others go on");
    let name: Arc<str> = "broken".into();
    assert_eq!(tally.failures[&name].values().sum::<u64>(), 7, "one for each guest, found by halves");
    assert_eq!(tally.failures[&name]["trap"], 7);
    let handed: u64 = report.modules.iter().find(|m| m.name == name).map(|m| m.resources.into()).unwrap();
    assert_eq!(tally.resources_lost[&name], handed, "all that it was handed");
    assert!(tally.failures.keys().all(|module| *module == name));
}

/// What a transformer says of its inputs costs fuel like everything else.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_transformer_does_is_in_its_account() {
    let config = "transform: [{meters: [cpu], module: delta, config: {target: {name: cpu.growth}}}]";
    let mut measuring = measuring(config, None).await;
    let account = (Arc::from("delta"), Arc::from("operator"));
    let mut all = 0;
    for calls in [2, 3] {
        let report = measuring.agent.cycle(&[10]).await.unwrap();
        let fuel = report.modules.iter().find(|module| &*module.name == "delta").unwrap().fuel;
        all += fuel;
        let accounts = measuring.agent.ledger().accounts();
        let kept = &accounts[&account];
        assert_eq!((kept.calls, kept.used, kept.used_in_all), (calls, fuel, all));
        assert!(kept.used <= kept.granted);
    }
}

/// What waits under `transform` is let go of when that is due, whatever the slot measures.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_comes_out_in_a_slot_that_measures_nothing() {
    let config = "transform: [{meters: [cpu], module: aggregator, config: {size: 0, retention_time: 60, target: {name: \
                  cpu.last}}}]";
    let mut measuring = measuring(config, None).await;
    let mut of = async |interval: u64, pause: u64| {
        measuring.clock.pass(pause * SECOND.unsigned_abs());
        let report = measuring.agent.cycle(&[interval]).await.unwrap();
        let called = report.modules.iter().any(|module| &*module.name == "aggregator");
        let volumes = |Column { resources, values }: &Column| -> Vec<(u32, u64)> {
            let Values::Counts(counts) = values else { panic!("counters count: {values:?}") };
            resources.iter().copied().zip(counts.iter().copied()).collect()
        };
        let of_meter = |name: &str| -> Vec<(u32, u64)> {
            let of = report.slot.samples.iter().filter(|samples| samples.meter.name == name);
            of.flat_map(|samples| volumes(&samples.column)).collect()
        };
        (called, of_meter("cpu"), of_meter("cpu.last"))
    };
    let (_, measured, given) = of(10, 0).await;
    assert_eq!((measured.len(), given), (7, vec![]));
    // Of no source.
    assert_eq!(of(7, 10).await, (true, vec![], vec![]));
    assert_eq!(of(7, 60).await, (true, vec![], measured));
    // Nothing waits any more.
    assert_eq!(of(7, 60).await, (false, vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there_costs_the_slot_and_is_counted() {
    let error = HypervisorError::Unreachable { uri: "x".into(), reason: "gone".into() };
    let mut measuring = measuring("", Some(error)).await;
    for slot in 1..=3 {
        measuring.agent.cycle(&[10]).await.unwrap_err();
        assert_eq!(measuring.agent.tally.failed_reads, slot);
    }
    assert_eq!(measuring.agent.tally.samples, 0);
}
