//! systemd is told how it goes.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use super::CALM;
use crate::support::program::{Daemon, Folder};

/// A service manager's ear.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn in_folder(folder: &Folder) -> Self {
        let socket = UnixDatagram::bind(folder.path("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { socket }
    }

    /// Waits until it hears this, and gives all that came with it.
    fn hears(&self, what: &str) -> BTreeSet<String> {
        let mut bytes = [0; 4096];
        loop {
            let length = self.socket.recv(&mut bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
            let states: BTreeSet<String> =
                String::from_utf8_lossy(&bytes[..length]).lines().map(str::to_owned).collect();
            if states.iter().any(|state| state.starts_with(what)) {
                return states;
            }
        }
    }
}

fn start(folder: &Folder) -> Daemon {
    let told = "NOTIFY_SOCKET=$PWD/notify WATCHDOG_USEC=300000";
    folder.start_by_shell(&format!("{told} exec $wasmeter run --output samples -c wasmeter.yaml"))
}

#[test]
fn it_is_ready_lives_reloads_and_ends() {
    let folder = Folder::measuring(CALM, "");
    let manager = Manager::in_folder(&folder);
    let daemon = start(&folder);
    manager.hears("READY=1");
    let status = manager.hears("STATUS=");
    assert!(status.iter().any(|status| status.contains(" samples of 5 guests, in ")), "{status:?}");
    manager.hears("WATCHDOG=1");
    daemon.signal(Signal::HUP);
    let reloading = manager.hears("RELOADING=1");
    assert!(reloading.iter().any(|state| state.starts_with("MONOTONIC_USEC=")), "{reloading:?}");
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    daemon.signal(Signal::TERM);
    manager.hears("STOPPING=1");
    daemon.wait(0);
}

#[cfg(feature = "libvirt")]
#[test]
fn a_host_that_is_away_is_its_status() {
    let folder = Folder::measuring("qemu+unix:///system?socket=/nowhere", "");
    let manager = Manager::in_folder(&folder);
    let daemon = start(&folder);
    let status = manager.hears("STATUS=");
    assert!(status.iter().any(|status| status.contains("cannot reach the hypervisor")), "{status:?}");
    daemon.end();
}
