//! What one tenant's module loses to others that burn all that they can.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Instant;

use tokio::runtime::Builder;
use tokio::task::yield_now;
use wasmeter::clock::{Clock, SystemClock};
use wasmeter::discovery::{Directory, Rules, Snapshot, View};
use wasmeter::hypervisor::{self, Groups, Guests, KeySet, Request};
use wasmeter::modules;
use wasmeter::sandbox::host::Input;
use wasmeter::sandbox::host::debt::SLICE;
use wasmeter::sandbox::turns::Gate;
use wasmeter::sandbox::{Limits, Module, Sandbox, price};

use crate::cycle;
use crate::measure::{Bars, Outcome};

/// Guests of the tenant that is delayed, and of the one that delays it.
const GUESTS: (u32, u32) = (10, 1_000);
/// Modules that burn at once.
const GREEDY: usize = 8;
/// Calls for each round that is asked for.
const CALLS: usize = 20;
/// What others may cost a tenant's samples.
const BAR: f64 = 10.0; // ms

/// Runs it.
pub fn run(rounds: usize, bars: &mut Bars) -> Outcome {
    let threads = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (sandbox, _cache) = cycle::sandbox()?;
    let built_in = modules::built_in().find(|module| module.name == "disk").ok_or("no such module")?;
    let module = threads.block_on(async {
        let code = sandbox.load(built_in.wasm).await?;
        sandbox.configure("disk", true, code, String::new(), Limits::default()).await
    })?;
    let module = Arc::new(module);
    let (few, many) = (input(GUESTS.0)?, input(GUESTS.1)?);
    let gate = Gate::new(available_parallelism()?.get());
    let [greedy, modest]: [Arc<str>; 2] = ["greedy", "modest"].map(Into::into);
    let took = |threads: &tokio::runtime::Runtime| {
        let all = (0..rounds * CALLS).map(|_| {
            let begin = Instant::now();
            let work = call(Arc::clone(&sandbox), Arc::clone(&module), few.clone());
            threads
                .block_on(async { threads.spawn(gate.in_turns(&modest, work)).await })
                .map(|()| begin.elapsed().as_secs_f64() * 1e3)
        });
        all.collect::<Result<Vec<f64>, _>>()
    };
    let alone = took(&threads)?;
    let burning: Vec<_> = (0..GREEDY)
        .map(|_| {
            let (sandbox, module, many) = (Arc::clone(&sandbox), Arc::clone(&module), many.clone());
            let burn = async move {
                for _ in 0..u64::MAX {
                    call(Arc::clone(&sandbox), Arc::clone(&module), many.clone()).await;
                    yield_now().await;
                }
            };
            threads.spawn(gate.in_turns(&greedy, burn))
        })
        .collect();
    let beside = took(&threads)?;
    burning.iter().for_each(tokio::task::JoinHandle::abort);
    let (middle, late) = (part(&beside, 50) - part(&alone, 50), part(&beside, 99) - part(&alone, 50));
    let slice = SLICE as f64 / price::CORE_SECOND as f64 * 1e3;
    println!(
        "{} calls alone: {:.2} ms; beside {GREEDY} that burn: {:.2} ms; a slice is {slice:.1} ms",
        beside.len(),
        part(&alone, 50),
        part(&beside, 50)
    );
    bars.at_most("what others delay a tenant's call", middle, BAR, "ms");
    bars.at_most("the same, the slowest but 1 % of calls", late, BAR, "ms");
    Ok(())
}

async fn call(sandbox: Arc<Sandbox>, module: Arc<Module>, input: Input) {
    let fuel = module.limits.fuel(input.view.resources());
    drop(sandbox.poll(&module, input, Arc::default(), fuel).await);
}

/// So many per cent of figures are below this.
fn part(figures: &[f64], percent: usize) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures.get((figures.len() * percent / 100).min(figures.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

fn input(guests: u32) -> Result<Input, Box<dyn std::error::Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let host = hypervisor::open(&format!("sim://?domains={guests}&seed=1&disks=2&nics=1&calm=true"), &clock)?;
    let mut connection = host.connect()?;
    let groups = Groups::STATE | Groups::BLOCK;
    let records = connection.read(&Request { groups, keys: KeySet::All, guests: Guests::All })?;
    let mut directory = Directory::new(Rules { host: "bench".to_owned(), ..Rules::default() });
    for record in &records {
        if let Some(definition) = connection.define(record.guest)? {
            directory.learn(definition, record.revision);
        }
    }
    let snapshot = Arc::new(Snapshot::assemble(&mut directory, |_| true, groups, &records, &[], clock.now()));
    let view = Arc::new(View::of(&snapshot.resources, vec![snapshot.resources.guests()]));
    Ok(Input { snapshot, view, part: false, names: Arc::default() })
}
