//! Where the daemon is asked, and who may ask.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::process::{Signal, geteuid};

use super::{CALM, OUTPUTS, measured};
use crate::support::program::{Folder, until};

fn mode(folder: &Folder, name: &str) -> u32 {
    fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777
}

fn ask(folder: &Folder, request: &str) -> String {
    let mut stream = UnixStream::connect(folder.path("control.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(format!("{request}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_socket_is_its_users_alone_and_goes_with_the_daemon() {
    let folder = Folder::measuring(CALM, &format!("{OUTPUTS}\ncontrol: {{socket: new/folder/control.sock}}"));
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    assert_eq!((mode(&folder, "new/folder"), mode(&folder, "new/folder/control.sock")), (0o700, 0o600));
    daemon.end();
    assert!(!folder.path("new/folder/control.sock").exists());
    let ran = folder.run("status").is(69).complains("nobody answers at new/folder/control.sock");
    ran.complains("Start the daemon");
}

/// Another user who gets hold of the socket is not answered. Tests of another user than root cannot become one.
#[test]
fn another_user_is_not_answered() {
    let folder = Folder::measuring(CALM, OUTPUTS);
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    let asked = ask(&folder, "GET /status HTTP/1.1");
    assert!(asked.starts_with("HTTP/1.1 200"), "{asked}");
    if geteuid().is_root() {
        let open = |name: &str, mode| fs::set_permissions(folder.path(name), fs::Permissions::from_mode(mode)).unwrap();
        open("", 0o755);
        open("control.sock", 0o666);
        fs::copy(crate::support::daemon(), folder.path("program")).unwrap();
        let output = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(folder.path("program"))
            .args(["status", "--socket"])
            .arg(folder.path("control.sock"))
            .output()
            .unwrap_or_else(|error| panic!("setpriv: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{said}");
        assert!(said.contains("Only the daemon's own user, root and the group in control.group may ask."), "{said}");
    }
    daemon.end();
}

/// Members of the group are answered, and nobody else gets through to the socket. Tests of another user than root cannot
/// become one.
#[test]
fn a_group_is_answered() {
    const GROUP: u32 = 54_321;
    if !geteuid().is_root() {
        let config = format!("{OUTPUTS}\ncontrol: {{socket: control.sock, group: no-such-group}}");
        Folder::measuring(CALM, &config).run("check").is(64).says("control.group: no group of this machine");
        return;
    }
    let folder = Folder::measuring(CALM, &format!("{OUTPUTS}\ncontrol: {{socket: new/control.sock, group: {GROUP}}}"));
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    assert_eq!((mode(&folder, "new"), mode(&folder, "new/control.sock")), (0o750, 0o660));
    fs::set_permissions(folder.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(crate::support::daemon(), folder.path("program")).unwrap();
    let ask = |groups: &str| {
        let asked = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", groups])
            .arg(folder.path("program"))
            .args(["status", "--socket"])
            .arg(folder.path("new/control.sock"))
            .output();
        asked.unwrap_or_else(|error| panic!("setpriv: {error}"))
    };
    let answered = ask(&format!("--groups={GROUP}"));
    assert!(answered.status.success(), "{answered:?}");
    let refused = ask("--clear-groups");
    assert_eq!(refused.status.code(), Some(69), "{refused:?}");
    daemon.end();
}

#[test]
fn a_dead_daemons_socket_is_taken_over_and_a_living_ones_is_not() {
    let folder = Folder::measuring(CALM, OUTPUTS);
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    folder.run("run --cycles 1").is(1).complains("another daemon answers at control.sock");
    daemon.signal(Signal::KILL);
    drop(daemon);
    assert!(folder.path("control.sock").exists());
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    daemon.end();

    folder.write("control.sock", "mine");
    folder.run("run --cycles 1").is(64).complains("is there already and is no socket");
    assert_eq!(folder.read("control.sock"), "mine");
    // Whoever listens there and says nothing is somebody, too.
    fs::remove_file(folder.path("control.sock")).unwrap();
    let _listener = UnixListener::bind(folder.path("control.sock")).unwrap();
    folder.run("run --cycles 1").is(1).complains("another daemon answers");
}

/// What the daemon runs on was right when it was read.
#[test]
fn a_daemon_is_asked_although_its_configuration_is_wrong_by_now() {
    let folder = Folder::measuring(CALM, OUTPUTS);
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    folder.write("wasmeter.yaml", folder.read("wasmeter.yaml") + "spol: {}\n");
    folder.run("status").is(64).complains("unknown key `spol`").complains("Name its socket as well: --socket PATH");
    folder.run("status --socket control.sock").is(0);
    folder.run("status --socket wasmeter.yaml").is(69).complains("wasmeter.yaml is no socket. Name the daemon's");
    daemon.end();
}

#[test]
fn what_is_not_there_is_said_and_what_hangs_hurts_nobody() {
    let folder = Folder::measuring(CALM, OUTPUTS);
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    let silent: Vec<UnixStream> = (0..100).map(|_| UnixStream::connect(folder.path("control.sock")).unwrap()).collect();
    for (request, status) in [
        ("GET /nothing HTTP/1.1", "404"),
        ("POST /status HTTP/1.1", "405"),
        ("GET /spool/drop HTTP/1.1", "405"),
        ("POST /spool/drop HTTP/1.1\r\ncontent-length: 0", "400"),
        ("POST /spool/replay HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", "400"),
    ] {
        let answer = ask(&folder, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    }
    drop(silent);
    until("more cycles", || {
        let status = folder.run("status --json").is(0).json();
        (status["counters"]["cycles"].as_u64().unwrap() >= 2).then_some(())
    });
    daemon.end();
}

/// Whatever becomes of an order, its place is the next one's once it is answered.
#[test]
fn who_ordered_something_keeps_no_place() {
    let folder = Folder::measuring(CALM, OUTPUTS);
    let daemon = folder.start("run");
    measured(&folder, &daemon, 1);
    let mut connections = Vec::new();
    for _ in 0..200 {
        let mut stream = UnixStream::connect(folder.path("control.sock")).unwrap();
        stream.write_all(b"POST /spool/drop HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
        connections.push(stream);
    }
    assert!(ask(&folder, "GET /status HTTP/1.1").starts_with("HTTP/1.1 200"));
    daemon.end();
}

/// It is one that is tried out, and takes nobody's place.
#[test]
fn without_a_file_there_is_no_socket() {
    let folder = Folder::new("");
    let runtime = folder.path("runtime");
    fs::create_dir(&runtime).unwrap();
    let ran = std::process::Command::new(crate::support::daemon())
        .args(["run", "--cycles", "1", "--output"])
        .arg(folder.path("samples"))
        .env("RUNTIME_DIRECTORY", &runtime)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(fs::read_dir(&runtime).unwrap().count(), 0);
}
