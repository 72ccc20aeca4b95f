//! From the start of a process to its first sample, and what the daemon takes while it runs.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cycle::daemon;
use crate::measure::{Bars, Outcome, median};

/// How long the daemon runs before its memory is looked at: a few cycles.
const SETTLED: Duration = Duration::from_secs(8);

/// How often the demo is started: cargo looks at every file of the workspace each time.
const DEMOS: usize = 5;

/// Runs it; `demo` are options of the demo that say how to build.
pub fn run(rounds: usize, demo: &[&str], bars: &mut Bars) -> Outcome {
    let begun = start_demo(demo)?;
    bars.note("cargo xtask demo, which builds what is not built", begun, "s");
    let again = (0..rounds.min(DEMOS)).map(|_| start_demo(demo)).collect::<Result<Vec<_>, _>>()?;
    bars.at_most("cargo xtask demo again: process start to first samples", median(again), 2.0, "s");
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("wasmeter.yaml");
    let polling = folder.path().join("polling.yaml");
    let cache = folder.path().join("cache");
    std::fs::write(&polling, "sources: [{name: all, interval: 1, meters: ['*']}]\n")?;
    let text = format!(
        "hypervisor: sim://?domains=20&calm=true\npolling: {}\nsandbox: {{cache: {}}}\n\
         modules: {{mitaka: {{enabled: true}}, deep: {{enabled: true}}}}\n\
         transform: [{{meters: [cpu], module: delta, config: {{target: {{name: cpu.delta}}}}}}]\n\
         outputs: [{{file: {}}}]\n",
        polling.display(),
        cache.display(),
        folder.path().join("samples.jsonl").display()
    );
    std::fs::write(&config, text)?;
    let once = || -> Result<f64, Box<dyn Error>> {
        let begin = Instant::now();
        let mut child = Command::new(daemon()?)
            .args(["once", "--format", "json", "-c"])
            .arg(&config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
        let took = begin.elapsed().as_secs_f64();
        child.wait()?;
        if line.starts_with('{') { Ok(took) } else { Err("once printed no sample".into()) }
    };
    bars.note("once with a cold cache: process start to first sample", once()? * 1e3, "ms");
    let warm = (0..rounds).map(|_| once()).collect::<Result<Vec<_>, _>>()?;
    bars.at_most("once with a warm cache: process start to first sample", median(warm) * 1e3, 50.0, "ms");
    let child = Command::new(daemon()?).args(["run", "-c"]).arg(&config).stderr(Stdio::null()).spawn()?;
    let mut child = Ending(child);
    sleep(SETTLED);
    let (resident, peak) = (memory(&child.0, "VmRSS:")?, memory(&child.0, "VmHWM:")?);
    child.0.kill()?;
    bars.at_most("resident memory of the daemon, all built-in modules", resident, 28.0, "MiB");
    bars.note("its peak", peak, "MiB");
    Ok(())
}

/// Seconds until a demo of one cycle has drawn what it measured.
fn start_demo(options: &[&str]) -> Result<f64, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["xtask", "demo", "--cycles", "1"]).args(options);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).stdout(Stdio::piped()).stderr(Stdio::null());
    // What cargo says about this package is not about those that it builds there.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.to_string_lossy().starts_with(own)) {
            command.env_remove(name);
        }
    }
    let begin = Instant::now();
    let mut child = Ending(command.spawn()?);
    let mut lines = BufReader::new(child.0.stdout.take().ok_or("no pipe")?).lines();
    let heading = lines.find(|line| line.as_ref().map_or(true, |line| line.contains(" samples in ")));
    let took = begin.elapsed().as_secs_f64();
    heading.ok_or("the demo drew no table; see what cargo xtask demo says")??;
    lines.for_each(drop);
    if child.0.wait()?.success() { Ok(took) } else { Err("the demo failed; see what cargo xtask demo says".into()) }
}

/// Ends the process whatever happens.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn memory(child: &Child, what: &str) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)).ok_or("the daemon ended")?;
    let kib: f64 = line.split_whitespace().next().ok_or("no number")?.parse()?;
    Ok(kib / 1024.0)
}
