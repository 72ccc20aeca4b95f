//! The program as its users run it: in a folder with files, from a command line, with signals.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::daemon;

/// How long anything may take that takes moments on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with a configuration, where the program is run.
pub struct Folder(TempDir);

/// What a run of the program left.
pub struct Ran {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it logged and complained of.
    pub stderr: String,
}

/// A daemon that runs. It is killed with this.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

/// The program with these arguments, which contain no blanks, and without a configuration.
pub fn run(line: &str) -> Ran {
    Ran::of(&Command::new(daemon()).args(line.split_whitespace()).env_remove("WASMETER_LOG").output().unwrap())
}

/// Waits for what is found again and again.
pub fn until<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        sleep(Duration::from_millis(20));
    }
}

/// The samples in a text of JSON lines, all of which have to be whole.
pub fn samples_in(text: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(parse).collect()
}

/// The samples in a file that is being written.
pub fn samples_so_far(text: &str) -> Vec<Value> {
    samples_in(text.rfind('\n').map_or("", |end| &text[..end]))
}

/// The samples of a meter.
pub fn of_meter<'a>(samples: &'a [Value], meter: &str) -> Vec<&'a Value> {
    samples.iter().filter(|sample| sample["counter_name"] == meter).collect()
}

/// A text in a sample.
pub fn text<'a>(sample: &'a Value, key: &str) -> &'a str {
    sample[key].as_str().unwrap_or_else(|| panic!("{key} is no text: {sample}"))
}

/// Samples slot by slot, in the order of time.
pub fn slots(samples: &[Value]) -> Vec<Vec<&Value>> {
    let mut slots: std::collections::BTreeMap<&str, Vec<&Value>> = std::collections::BTreeMap::new();
    for sample in samples {
        slots.entry(text(sample, "timestamp")).or_default().push(sample);
    }
    slots.into_values().collect()
}

/// Compiled modules are kept from one run of the tests to the next; the first makes those that are built in.
fn cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("wasmeter.yaml");
        fs::write(&config, format!("sandbox: {{cache: {}}}\n", cache.display())).unwrap();
        run(&format!("module list --built-in -c {}", config.display())).is(0);
        cache
    })
}

/// Mitaka's own pipelines. In a [`Folder`] `all` gets what is measured, `rates` and `deltas` what becomes of it.
pub const MITAKA: &str = include_str!("mitaka.yaml");

/// The same with this publisher for all sinks.
pub fn mitaka_to(publisher: &str) -> String {
    let with = |line: &str| match line.split_once("publishers: ") {
        Some((before, _)) => format!("{before}publishers: [{publisher:?}]\n"),
        None => format!("{line}\n"),
    };
    MITAKA.lines().map(with).collect()
}

// === impl Folder ===

impl Folder {
    /// With a configuration that says nothing about the sandbox.
    pub fn new(config: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.configure(config);
        folder
    }

    /// Everything of a simulated host in every second.
    pub fn measuring(hypervisor: &str, config: &str) -> Self {
        let folder = Self::new(&format!("hypervisor: {hypervisor}\npolling: polling.yaml\n{config}"));
        folder.poll(&["*"]);
        folder
    }

    /// Writes `wasmeter.yaml`. What the tests add stands at its end, so that lines count as written: the shared
    /// cache, a spool and a socket of its own, and so much time for each call that a busy machine does not matter.
    pub fn configure(&self, config: &str) {
        let cache = cache().display();
        let patient = if config.contains("reader:") { "" } else { "reader: {watchdog: 1m}\n" };
        let spool = if config.contains("spool:") { "" } else { "spool: {path: spool}\n" };
        let control = if config.contains("control:") { "" } else { "control: {socket: control.sock}\n" };
        self.write(
            "wasmeter.yaml",
            format!("{}\n{patient}{spool}{control}sandbox: {{cache: {cache}, deadline: 1m}}\n", config.trim_end()),
        );
    }

    /// Writes `polling.yaml`: these meters every second.
    pub fn poll(&self, meters: &[&str]) {
        let meters: Vec<String> = meters.iter().map(|meter| format!("{meter:?}")).collect();
        self.write("polling.yaml", format!("sources: [{{name: a, interval: 1, meters: [{}]}}]\n", meters.join(", ")));
    }

    /// Writes `pipeline.yaml`, in which FOLDER stands for this one.
    pub fn pipe_samples(&self, pipeline: &str) {
        self.write("pipeline.yaml", pipeline.replace("FOLDER", &self.0.path().display().to_string()));
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// A file's text; nothing if there is no file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The samples in a file.
    pub fn samples(&self, name: &str) -> Vec<Value> {
        samples_in(&self.read(name))
    }

    /// The program with these arguments, which contain no blanks, and the configuration.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(daemon());
        command.args(line.split_whitespace()).args(["-c", "wasmeter.yaml"]);
        self.prepare(&mut command);
        command
    }

    /// Runs it to its end.
    pub fn run(&self, line: &str) -> Ran {
        Ran::of(&self.command(line).output().unwrap())
    }

    /// The same with more arguments, which may contain blanks.
    pub fn run_with(&self, line: &str, more: &[&str]) -> Ran {
        Ran::of(&self.command(line).args(more).output().unwrap())
    }

    /// Starts the daemon, and waits until it listens to signals.
    pub fn start(&self, line: &str) -> Daemon {
        Daemon::start(self.command(line), self)
    }

    /// The same by a line for the shell, which has to become the daemon; `$wasmeter` is the program.
    pub fn start_by_shell(&self, script: &str) -> Daemon {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).env("wasmeter", daemon());
        self.prepare(&mut shell);
        Daemon::start(shell, self)
    }

    /// Makes a pipe with a name, which nobody reads or writes.
    pub fn pipe(&self, name: &str) {
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, self.path(name), FileType::Fifo, mode, 0).unwrap();
    }

    /// Opens such a pipe; what is not there to read is an error.
    pub fn read_pipe(&self, name: &str) -> File {
        File::from(rustix::fs::open(self.path(name), OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap())
    }

    /// Starts the daemon with a terminal as its standard input.
    pub fn start_in_terminal(&self, line: &str) -> Daemon {
        let mut command = self.command(line);
        command.stdin(File::options().read(true).write(true).open("/dev/ptmx").unwrap());
        Daemon::start(command, self)
    }

    /// Runs it to its end with nobody to read what it prints. Returns its exit code, and what it complained of.
    pub fn run_unread(&self, line: &str) -> (Option<i32>, String) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = self.command(line).stdout(writer).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    fn prepare(&self, command: &mut Command) {
        command.current_dir(self.0.path()).stdin(Stdio::null()).env_remove("WASMETER_LOG");
    }
}

// === impl Ran ===

impl Ran {
    /// What a run of any program left.
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// It ended with this code.
    pub fn is(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// It complained in these words.
    pub fn complains(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "not {words:?} in:\n{}", self.stderr);
        self
    }

    /// It printed these words.
    pub fn says(self, words: &str) -> Self {
        assert!(self.stdout.contains(words), "not {words:?} in:\n{}", self.stdout);
        self
    }

    /// What it printed, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

// === impl Daemon ===

impl Daemon {
    fn start(mut command: Command, folder: &Folder) -> Self {
        let log = folder.path("log");
        let file = File::create(&log).unwrap();
        let mut daemon = Self { child: command.stdout(Stdio::null()).stderr(file).spawn().unwrap(), log };
        // The last of its signals is the interrupt.
        until("it listens to signals", || {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", daemon.log());
            daemon.catches(Signal::INT).then_some(())
        });
        daemon
    }

    fn catches(&self, signal: Signal) -> bool {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
        mask & 1 << (signal.as_raw() - 1) != 0
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until its log contains these words.
    pub fn logs(&self, words: &str) {
        until(words, || self.log().contains(words).then_some(()));
    }

    /// How much of the machine's memory it has, in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        resident.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    }

    /// Kills it, whatever it is at. Returns its log.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log()
    }

    /// Terminates it, and waits for its end.
    pub fn end(self) -> String {
        self.signal(Signal::TERM);
        self.wait(0)
    }

    /// Waits until it has ended with this code. Returns its log.
    pub fn wait(mut self, code: i32) -> String {
        let status: ExitStatus = until("it ends", || self.child.try_wait().unwrap());
        let log = self.log();
        assert_eq!(status.code(), Some(code), "{status}: {log}");
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
