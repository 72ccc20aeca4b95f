//! The sandbox's share: the same pollsters inside it and linked into this program.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

use tokio::runtime::Builder;
use wasmeter::clock::{Clock, Moment, SystemClock};
use wasmeter::discovery::{Directory, Rules, Snapshot, View};
use wasmeter::hypervisor::{self, Connection, Groups, Guests, KeySet, Request};
use wasmeter::modules;
use wasmeter::sandbox::host::Input;
use wasmeter::sandbox::host::state::State;
use wasmeter::sandbox::{Limits, Module};
use wasmeter_sdk::Pollster;

use crate::cycle;
use crate::measure::{self, Bars, Outcome, median};
use crate::native::Native;

const GUESTS: u32 = 1_000;
/// Calls that are timed together, so that the clock is read seldom.
const CALLS: usize = 10;

/// Runs it.
pub fn run(rounds: usize, bars: &mut Bars) -> Outcome {
    let (snapshot, view) = snapshot()?;
    let share = Share { snapshot, view, rounds };
    share.of::<disk::Disk>("disk", 20.0, bars)?;
    share.of::<network::Network>("network", 20.0, bars)?;
    share.of::<::cpu::Cpu>("cpu", 60.0, bars)?;
    share.of::<memory::Memory>("memory", 60.0, bars)
}

struct Share {
    snapshot: Arc<Snapshot>,
    view: View,
    rounds: usize,
}

impl Share {
    fn of<P: Pollster>(&self, name: &str, most: f64, bars: &mut Bars) -> Outcome {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (sandbox, _cache) = cycle::sandbox()?;
        let built_in = modules::built_in().find(|module| module.name == name).ok_or("no such module")?;
        let module: Module = runtime.block_on(async {
            let code = sandbox.load(built_in.wasm).await?;
            sandbox.configure(name, true, code, String::new(), Limits::default()).await
        })?;
        let view = Arc::new(self.view.clone());
        let native = Native::new(Arc::clone(&self.snapshot), self.view.clone());
        let mut state: Arc<State> = Arc::default();
        let (mut inside, mut outside, mut samples, mut fuel) = (Vec::new(), Vec::new(), 0, 0);
        for _ in 0..self.rounds {
            let begin = measure::cpu();
            for _ in 0..CALLS {
                let (snapshot, view) = (Arc::clone(&self.snapshot), Arc::clone(&view));
                let most = module.limits.fuel(view.resources());
                let input = Input { snapshot, view, part: false, names: Arc::default() };
                let called = runtime.block_on(sandbox.poll(&module, input, Arc::clone(&state), most));
                fuel = called.fuel;
                let landed = called.result?;
                samples = landed.output.iter().map(|series| series.column.len()).sum();
                Arc::make_mut(&mut state).commit(landed.writes);
                black_box(&landed.output);
            }
            inside.push(measure::cpu() - begin);
            let begin = measure::cpu();
            for _ in 0..CALLS {
                black_box(wasmeter_sdk::run_pollster::<P>(&native, "").map_err(|error| format!("{error:?}"))?);
            }
            outside.push(measure::cpu() - begin);
        }
        let per = 1e9 / (CALLS * samples.max(1)) as f64;
        let (inside, outside) = (median(inside) * per, median(outside) * per);
        let per_sample = fuel as f64 / samples.max(1) as f64;
        println!("{name}: {samples} samples, {inside:.1} ns inside, {outside:.1} ns native, {per_sample:.0} fuel each");
        bars.at_most(&format!("{name}: what the sandbox adds to a sample"), inside - outside, most, "ns");
        Ok(())
    }
}

fn snapshot() -> Result<(Arc<Snapshot>, View), Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let host = hypervisor::open(&format!("sim://?domains={GUESTS}&seed=1&disks=2&nics=1&calm=true"), &clock)?;
    let mut connection: Box<dyn Connection> = host.connect()?;
    let groups = Groups::keys().filter_map(Groups::of_key).fold(Groups::NONE, |all, group| all | group);
    let records = connection.read(&Request { groups, keys: KeySet::All, guests: Guests::All })?;
    let mut directory = Directory::new(Rules { host: "bench".to_owned(), ..Rules::default() });
    for record in &records {
        if let Some(definition) = connection.define(record.guest)? {
            directory.learn(definition, record.revision);
        }
    }
    let at: Moment = clock.now();
    let snapshot = Snapshot::assemble(&mut directory, |_| true, groups, &records, &[], at);
    let view = View::of(&snapshot.resources, vec![snapshot.resources.guests()]);
    Ok((Arc::new(snapshot), view))
}
