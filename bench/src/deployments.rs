//! Tenants' modules: what a thousand of them take while they wait, what a call of one takes, and how soon one that is
//! deployed gives samples.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use wasmeter::agent::run::GATHERED;
use wasmeter::agent::{Agent, Parts};
use wasmeter::clock::{Clock, SystemClock};
use wasmeter::config::Config;
use wasmeter::digest::Digest;
use wasmeter::hypervisor::{self, Guests};
use wasmeter::modules;
use wasmeter::modules::registry::Registry;

use crate::cycle;
use crate::measure::{Bars, Outcome, median, took};

const DEPLOYMENTS: usize = 1_000;
/// Files that they are: each is compiled on its own.
const FILES: usize = 20;
/// So many has a project of the simulated host, about.
const GUESTS: usize = 5;
const HOST: &str = "sim://?domains=1000&seed=1&calm=true&disks=1&nics=1";
/// Seconds between two slots while they wait.
const INTERVAL: u64 = 60;
/// A day, of which this bench sees no slot.
const SELDOM: u64 = 86_400;
/// How long anything may take that does not take long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it.
pub fn run(rounds: usize, bars: &mut Bars) -> Outcome {
    calls(rounds, bars)?;
    soon(rounds, bars)?;
    idle(bars)
}

/// A folder in which the smallest built-in module is deployed, which the operator does without.
struct Folder {
    folder: TempDir,
    projects: Vec<String>,
}

// === impl Folder ===

impl Folder {
    /// With so many deployments, each for a project.
    fn new(deployments: usize, interval: u64) -> Result<Self, Box<dyn Error>> {
        let it = Self { folder: tempfile::tempdir()?, projects: projects()? };
        fs::create_dir(it.path("deployments.d"))?;
        for number in 0..FILES {
            fs::write(it.path(&format!("deployments.d/{number}.wasm")), module(number)?)?;
        }
        for (number, project) in (0..deployments).zip(it.projects.iter().cycle()) {
            let (file, digest) = (number % FILES, Digest::of(&module(number % FILES)?));
            let text = format!(
                "tenant: '{project}'\nname: n{number}\nfile: {file}.wasm\ndigest: {digest}\ninterval: {interval}\n\
                 grants: {{names: [other.]}}\n"
            );
            fs::write(it.path(&format!("deployments.d/{number}.yaml")), text)?;
        }
        // Somebody has to be asked for something.
        fs::write(it.path("polling.yaml"), format!("sources: [{{name: a, interval: {SELDOM}, meters: [vcpus]}}]\n"))?;
        let text = format!(
            "hypervisor: {HOST}\npolling: polling.yaml\nschedule: {{offset: 0s}}\ndeployments: deployments.d\n\
             spool: {{path: spool}}\nstore: {{path: store, audit: audit.log, deployments: {DEPLOYMENTS}}}\n\
             control: {{socket: control.sock}}\nsandbox: {{cache: cache}}\nmodules: {{power: {{enabled: false}}}}\n\
             budget: {{node: 6400%, tenant: 6400%}}\n\
             outputs: [{{file: samples, max_size: 1GiB}}]\n"
        );
        fs::write(it.path("wasmeter.yaml"), text)?;
        Ok(it)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn agent(&self, runtime: &Runtime) -> Result<Agent, Box<dyn Error>> {
        let (config, _) = Config::load(Some(&self.path("wasmeter.yaml"))).map_err(|problems| problems.to_string())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let hypervisor = hypervisor::open(HOST, &clock)?;
        let (sandbox, _cache) = cycle::sandbox()?;
        let (guests, registry) = (runtime.handle().clone(), Registry::none("it ends with the bench"));
        Ok(runtime.block_on(Agent::new(config, Parts { clock, hypervisor, sandbox, guests, registry }))?)
    }

    fn start(&self) -> Result<Daemon, Box<dyn Error>> {
        let child = Command::new(cycle::daemon()?)
            .args(["run", "-c", "wasmeter.yaml"])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(File::create(self.path("log"))?)
            .spawn()?;
        Ok(Daemon(child))
    }

    /// Waits for something in a file.
    fn until(&self, file: &str, found: impl Fn(&str) -> bool) -> Result<String, Box<dyn Error>> {
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(self.path(file)).unwrap_or_default();
            if found(&text) {
                return Ok(text);
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{file} does not come: {}", fs::read_to_string(self.path("log"))?).into());
            }
            sleep(Duration::from_millis(20));
        }
    }
}

/// The projects of the host's guests.
fn projects() -> Result<Vec<String>, Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut host = hypervisor::open(HOST, &clock)?.connect()?;
    let request =
        hypervisor::Request { groups: hypervisor::Groups::STATE, keys: hypervisor::KeySet::All, guests: Guests::All };
    let mut projects = BTreeSet::new();
    for record in host.read(&request)? {
        let nova = host.define(record.guest)?.and_then(|definition| definition.nova);
        projects.extend(nova.map(|nova| nova.project_id));
    }
    Ok(projects.into_iter().collect())
}

/// The smallest module, with a meter that is not the operator's, and a number in a section that nobody reads.
fn module(number: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let power = modules::built_in().find(|module| module.name == "power").ok_or("no such module")?;
    let (number, meter) = (u8::try_from(number)?, b"power.state");
    let mut file = [power.wasm, &[0, 3, 1, b'n', number]].concat();
    let at = file.windows(meter.len()).position(|bytes| bytes == meter).ok_or("the module does not name its meter")?;
    drop(file.splice(at..at + meter.len(), *b"other.state"));
    Ok(file)
}

/// A slot of a thousand deployments against one of none, which reads as much.
fn calls(rounds: usize, bars: &mut Bars) -> Outcome {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let slot = |deployments: usize| -> Result<f64, Box<dyn Error>> {
        let folder = Folder::new(deployments, 1)?;
        let mut agent = folder.agent(&runtime)?;
        let mut all = Vec::new();
        for _ in 0..rounds {
            let (cpu, samples) = took(|| {
                runtime.block_on(async {
                    agent.cycle(&[1]).await?;
                    let mut samples = 0;
                    while agent.tenants.are_busy() {
                        agent.tenants.done().await;
                        // As a daemon does it, of which one record is to have what many gave.
                        tokio::time::sleep(GATHERED).await;
                        agent.tenants.gather();
                        while let Some(landing) = agent.land() {
                            samples += landing.slot.len();
                        }
                    }
                    Ok::<_, Box<dyn Error>>(samples)
                })
            });
            let wanted = deployments * GUESTS;
            let samples = samples?;
            if samples < wanted * 9 / 10 {
                return Err(format!("{samples} samples of {deployments} deployments").into());
            }
            all.push(cpu);
        }
        Ok(median(all))
    };
    let (few, many) = (slot(DEPLOYMENTS / 10)?, slot(DEPLOYMENTS)?);
    let one = (many - few) / (DEPLOYMENTS - DEPLOYMENTS / 10) as f64;
    bars.note("a slot of 1,000 deployments, all in", many * 1e3, "ms");
    bars.at_most("a call of a small module for 5 guests, all in", one * 1e6, 40.0, "us");
    Ok(())
}

/// Modules that nobody compiled before are deployed while others run.
fn soon(rounds: usize, bars: &mut Bars) -> Outcome {
    let folder = Folder::new(20, 1)?;
    let daemon = folder.start()?;
    folder.until("samples", |text| text.contains("/n0\""))?;
    let mut slots = Vec::new();
    for (number, project) in folder.projects.iter().take(rounds.min(10)).enumerate() {
        let name = format!("new{number}");
        let order = r#"{"interval":1,"grants":{"names":["other."]}}"#;
        let body = [order.as_bytes(), b"\n", &module(100 + number)?].concat();
        let began = now();
        let answer = ask(&folder.path("control.sock"), &format!("/deployments/{project}/{name}/deploy"), &body)?;
        if !answer.starts_with("HTTP/1.1 200") {
            return Err(answer.into());
        }
        let source = format!("{project}/{name}\"");
        let text = folder.until("samples", |text| text.contains(&source))?;
        let line = text.lines().find(|line| line.contains(&source)).ok_or("no sample")?;
        slots.push(seconds(line)? - began.floor());
    }
    drop(daemon);
    let last = slots.iter().copied().fold(0.0, f64::max);
    bars.note("from deploying to the first sample", median(slots), "slots");
    bars.at_most("the same, the slowest", last, 2.0, "slots");
    Ok(())
}

/// A thousand deployments from the middle between two slots to the next.
fn idle(bars: &mut Bars) -> Outcome {
    let folder = Folder::new(DEPLOYMENTS, INTERVAL)?;
    let daemon = folder.start()?;
    folder.until("samples", |text| text.contains("/n0\""))?;
    until_middle();
    let (began, before) = (Instant::now(), daemon.cpu()?);
    until_middle();
    let share = (daemon.cpu()? - before) / began.elapsed().as_secs_f64();
    let text = fs::read_to_string(folder.path("samples"))?;
    let sources: BTreeSet<&str> = text.lines().filter_map(|line| line.split("\"source\"").nth(1)).collect();
    if sources.len() < DEPLOYMENTS {
        return Err(format!("only {} deployments give samples", sources.len()).into());
    }
    bars.at_most("1,000 deployments every 60 s", share * 100.0, 1.0, "% of a core");
    bars.at_most("resident memory of the daemon with them", daemon.memory()?, 150.0, "MiB");
    Ok(())
}

fn now() -> f64 {
    SystemClock.now().wall as f64 / 1e9
}

/// Sleeps until the middle between two slots.
fn until_middle() {
    let interval = INTERVAL as f64;
    let into = (now() - interval / 2.0).rem_euclid(interval);
    sleep(Duration::from_secs_f64(interval - into));
}

/// The second of a sample's slot since 1970.
fn seconds(line: &str) -> Result<f64, Box<dyn Error>> {
    let at = line.split("\"timestamp\": \"").nth(1).and_then(|rest| rest.split('"').next()).ok_or("no timestamp")?;
    let at: jiff::civil::DateTime = at.trim_end_matches("+00:00").parse()?;
    Ok(at.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_second() as f64)
}

fn ask(socket: &Path, path: &str, body: &[u8]) -> Result<String, Box<dyn Error>> {
    let mut stream = UnixStream::connect(socket)?;
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Ends with this, whatever happens.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl Daemon ===

impl Daemon {
    /// CPU seconds that it used.
    fn cpu(&self) -> Result<f64, Box<dyn Error>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let (_, behind_name) = stat.rsplit_once(')').ok_or("no stat")?;
        let ticks = behind_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Ok(ticks.sum::<Result<u64, _>>()? as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// MiB of the machine's memory that it has.
    fn memory(&self) -> Result<f64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the daemon ended")?;
        Ok(line.split_whitespace().next().ok_or("no number")?.parse::<f64>()? / 1024.0)
    }
}
