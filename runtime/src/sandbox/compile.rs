//! Compiling, in a child process of the same binary that has little memory and little time: a compiler can be made
//! to work very long on very little, and what it does then must not be done to the daemon.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::engine;
use super::failure::{Cause, Failure};
use super::limits::FILE_BYTES;

/// The hidden subcommand that makes a process of this binary a compiler.
pub const SUBCOMMAND: &str = "compile-module";

/// Seconds by the wall clock, for machines that are busy.
const WALL: Duration = Duration::from_secs(120);
/// Bytes of compiled code that are taken.
const CODE_BYTES: u64 = 128 << 20;

/// Where the compiler is.
#[derive(Debug, Clone)]
pub struct Compiler {
    program: PathBuf,
    effort: Effort,
}

/// What compiling one module may take.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Seconds of CPU time. A built-in module takes 0.1 s in a release build.
    pub cpu_seconds: u64,
    /// Bytes of address space. The compiler's peak for a module of 100 KiB is about 60 MiB.
    pub address_space: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { cpu_seconds: 30, address_space: 2 << 30 }
    }
}

// === impl Compiler ===

impl Compiler {
    /// A compiler that is this very binary, also when its file has been replaced meanwhile: another version makes
    /// code that this one does not run.
    pub fn this() -> std::io::Result<Self> {
        let running = Path::new("/proc/self/exe");
        Ok(Self::at(if running.exists() { running.to_owned() } else { std::env::current_exe()? }))
    }

    /// A compiler that is another copy of the binary.
    pub fn at(program: PathBuf) -> Self {
        Self { program, effort: Effort::default() }
    }

    /// The same, with another effort.
    pub fn with_effort(self, effort: Effort) -> Self {
        Self { effort, ..self }
    }

    /// Compiles a component that was admitted. What the module did not bring about is the host's failure: nothing that
    /// runs stops for it.
    pub async fn compile(&self, component: &[u8]) -> Result<Vec<u8>, Failure> {
        let failed = |detail: String| Failure::new(Cause::Host, detail);
        let mut child = Command::new(&self.program)
            .arg(SUBCOMMAND)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("cannot start the compiler {}: {error}", self.program.display())))?;
        // It does nothing before it is sent something.
        self.effort.bound(&child).map_err(|error| failed(format!("cannot limit the compiler: {error}")))?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed("the compiler has no pipes".into()));
        };
        let talk = async {
            let send = async {
                // A compiler that gives up closes its end; its exit status then says why.
                let _ = stdin.write_all(component).await;
                drop(stdin);
            };
            let (mut code, mut words) = (Vec::new(), Vec::new());
            let (mut stdout, mut stderr) = (stdout.take(CODE_BYTES + 1), stderr.take(4096));
            let receive = stdout.read_to_end(&mut code);
            let listen = stderr.read_to_end(&mut words);
            let ((), received, listened) = tokio::join!(send, receive, listen);
            received.and(listened).and(child.wait().await.map(|status| (status, code, words)))
        };
        let (status, code, words) = tokio::time::timeout(WALL, talk)
            .await
            .map_err(|_| failed(format!("compiling took more than {} s", WALL.as_secs())))?
            .map_err(|error| failed(format!("lost the compiler: {error}")))?;
        if !status.success() {
            // More lines are advice for whoever debugs this program.
            let words = String::from_utf8_lossy(&words).lines().next().map(|line| format!(": {line}"));
            let (cause, detail) = self.effort.describe(status);
            return Err(Failure::new(cause, detail + &words.unwrap_or_default()));
        }
        if code.len() as u64 > CODE_BYTES {
            return Err(Failure::new(Cause::Compile, format!("it compiles to more than {CODE_BYTES} bytes")));
        }
        Ok(code)
    }
}

// === impl Effort ===

impl Effort {
    fn bound(self, child: &Child) -> std::io::Result<()> {
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        // At the first of them its signal says why, which at the second is that of whoever kills a process.
        let time = Rlimit { current: Some(self.cpu_seconds), maximum: Some(self.cpu_seconds.saturating_add(1)) };
        for (resource, most) in [(Resource::Cpu, time), (Resource::As, exactly(self.address_space))] {
            prlimit(pid, resource, most)?;
        }
        Ok(())
    }

    /// What an end means. A machine that is short of memory kills compilers, too.
    fn describe(self, status: ExitStatus) -> (Cause, String) {
        let signal = status.signal();
        match signal.and_then(Signal::from_named_raw) {
            Some(Signal::XCPU) => {
                let detail = format!("it is too costly to compile: more than {} s of CPU time", self.cpu_seconds);
                (Cause::Compile, detail)
            }
            Some(Signal::ABORT | Signal::SEGV) => {
                let detail = format!("it is too costly to compile: more than {} bytes of memory", self.address_space);
                (Cause::Compile, detail)
            }
            _ => match signal {
                Some(signal) => (Cause::Host, format!("the compiler was ended by signal {signal}")),
                None => (Cause::Compile, "it cannot be compiled".to_owned()),
            },
        }
    }
}

fn exactly(most: u64) -> Rlimit {
    Rlimit { current: Some(most), maximum: Some(most) }
}

/// What the child does: reads a component, writes compiled code. Its parent bounds its effort; it gives up itself
/// what it never needs.
pub fn run() -> Result<(), String> {
    for (resource, most) in [(Resource::Fsize, 0), (Resource::Core, 0), (Resource::Nofile, 16)] {
        setrlimit(resource, exactly(most)).map_err(|error| format!("cannot limit the compiler: {error}"))?;
    }
    let mut component = Vec::new();
    let most = FILE_BYTES as u64;
    std::io::stdin().lock().take(most).read_to_end(&mut component).map_err(|error| error.to_string())?;
    let engine = engine::compiling().map_err(|error| error.to_string())?;
    let code = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
    std::io::stdout().lock().write_all(&code).map_err(|error| error.to_string())
}
