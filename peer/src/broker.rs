//! A private RabbitMQ.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::geteuid;

use crate::Failed;
use crate::failed::tail;

/// What runs it.
const SCRIPT: &str = include_str!("broker.sh");
/// The last line of its log before it serves.
const SERVES: &str = "Server startup complete";
/// It takes about ten seconds.
const STARTS_WITHIN: Duration = Duration::from_secs(90);
/// Between two looks at its log.
const PAUSE: Duration = Duration::from_millis(50);

/// A RabbitMQ with ports, folders and processes of its own. Dropping it ends them all.
#[derive(Debug)]
pub struct Broker {
    /// `unshare`, which waits for the script. Its standard input keeps the script going.
    unshare: Child,
    port: u16,
    log: PathBuf,
}

// === impl Broker ===

impl Broker {
    /// Starts it with its files in a folder, and does not wait until it serves.
    ///
    /// # Errors
    ///
    /// If processes or files cannot be made.
    pub fn start(folder: &Path) -> Result<Self, Failed> {
        const WHAT: &str = "the broker cannot be started";
        fs::create_dir_all(folder).map_err(Failed::io(WHAT))?;
        let log = folder.join("broker.log");
        let printed = File::create(&log).map_err(Failed::io(WHAT))?;
        let ports = free_ports().map_err(Failed::io(WHAT))?;
        let user: &[_] = if geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
        let unshare = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"])
            .args(user)
            .args(["sh", "-c", SCRIPT, "broker"])
            .arg(folder)
            .args(ports.map(|port| port.to_string()))
            .stdin(Stdio::piped())
            .stdout(printed.try_clone().map_err(Failed::io(WHAT))?)
            .stderr(printed)
            .spawn()
            .map_err(Failed::io(WHAT))?;
        let [port, ..] = ports;
        Ok(Self { unshare, port, log })
    }

    /// Waits until it serves.
    ///
    /// # Errors
    ///
    /// If it ends instead, or takes too long.
    pub fn ready(&mut self) -> Result<(), Failed> {
        let until = Instant::now() + STARTS_WITHIN;
        while !fs::read(&self.log).is_ok_and(|log| String::from_utf8_lossy(&log).contains(SERVES)) {
            if !matches!(self.unshare.try_wait(), Ok(None)) {
                return Err(Failed::Ended { what: "RabbitMQ", log: tail(&self.log) });
            }
            if Instant::now() > until {
                return Err(Failed::TooLong {
                    what: "the start of RabbitMQ",
                    limit: STARTS_WITHIN,
                    log: tail(&self.log),
                });
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Where it listens, with the account that every new RabbitMQ has.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://guest:guest@127.0.0.1:{}//", self.port)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // The script ends with its input, and all else with the script.
        drop(self.unshare.stdin.take());
        let _ = self.unshare.wait();
    }
}

/// Ports that nobody listens on right now.
fn free_ports() -> std::io::Result<[u16; 3]> {
    let bound = || TcpListener::bind(("127.0.0.1", 0));
    // All at once, or else one may come twice.
    let all = [bound()?, bound()?, bound()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&all) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
