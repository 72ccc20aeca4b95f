//! The socket at which the daemon is asked. Only its own user, root and the operators' group are answered, and each
//! question has a bound, so that none keeps the daemon from measuring or from answering others.

mod about_deployments;
mod beforehand;
mod place;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::StreamBody;
use rustix::fs::Mode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

pub use self::beforehand::{check, is_answered};
use self::place::{Place, Wait, Waiting};
use super::Control;
use super::desk::Desk;
use super::orders::{GiveUp, MOST_BYTES, Refused, Replay};
use super::tap::{Tap, Unseen};
use crate::config::daemon::machine::group_number;
use crate::http::listener::Door;
use crate::http::{self, Limits, Method, Reply, Request, Room, StatusCode, header, last, line};
use crate::modules::audit::Who;

/// Connections that are answered at once. People ask, and a few programs.
const CONNECTIONS: usize = 32;
/// Connections beside these that wait for what they ordered.
const ORDERS: usize = 128;
/// Connections beside all these that wait for lines that modules log.
const FOLLOWERS: usize = 96;
/// What an order to the spool may take; a disk may hang.
const WITHIN: Duration = Duration::from_secs(20);
/// Orders may be as large as their samples, escaped, or as a module with all that is said about it.
const LIMITS: Limits = Limits {
    // Whoever comes is of this machine and has something to ask, and silence takes others' places.
    head_within: Duration::from_secs(2),
    body: max(3 * MOST_BYTES, about_deployments::BODY),
    ..Limits::USUAL
};

/// What all connections together may hold of orders: a few of the longest modules, or many of the usual ones.
const BODIES: usize = 3 * LIMITS.body;

const fn max(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}

/// A socket that is listened on, by a thread of its own, until this is dropped.
#[derive(Debug)]
pub struct Server {
    runtime: Option<Runtime>,
    _name: Name,
}

/// A socket that is taken and not answered at yet.
#[derive(Debug)]
pub struct Socket {
    listener: StdListener,
    name: Name,
    /// Whose members may ask.
    group: Option<u32>,
}

/// The file of a socket of ours. It goes with us.
#[derive(Debug)]
struct Name {
    path: PathBuf,
    /// Its number on its disk: another daemon's is left alone.
    inode: u64,
}

/// Why the daemon cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Another daemon is asked there.
    #[error("another daemon answers at {}", .0.display())]
    Taken(PathBuf),
    /// Something else is there.
    #[error("{} is there already and is no socket", .0.display())]
    NoSocket(PathBuf),
    /// There is no folder for it, and none can be made.
    #[error("the folder {} of the socket cannot be made: {error}", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Only who is in a group gives it something.
    #[error("the socket cannot be given to the group {0}, as this user is not in it")]
    NoMember(String),
    /// The operating system does not let us.
    #[error("the socket {} cannot be made: {error}", path.display())]
    Failed {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

// === impl Unusable ===

impl Unusable {
    /// What the operator can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Taken(_) => "End it, or give each daemon a file of its own as control.socket",
            Self::NoSocket(_) => "Remove it, or name another file as control.socket",
            Self::NoFolder { .. } => "Make it, and give it to the daemon's user, or name another as control.socket",
            Self::NoMember(_) => "Add the daemon's user to it, as `usermod -aG` does, or name another as control.group",
            Self::Failed { .. } => "Name a file in a folder that the daemon's user can write as control.socket",
        }
    }
}

// === impl Socket ===

impl Socket {
    /// Takes this path: from nobody, or from a daemon that is gone.
    pub fn take(path: &Path, group: Option<&str>) -> Result<Self, Unusable> {
        let failed = |error| Unusable::Failed { path: path.to_owned(), error };
        let no_group = || io::Error::other("there is no such group");
        let number_of = |group| group_number(group).ok_or_else(no_group);
        let number = group.map(number_of).transpose().map_err(failed)?;
        let give = |path: &Path| {
            chown(path, None, number).map_err(|error| match (error.kind(), group) {
                (io::ErrorKind::PermissionDenied, Some(group)) => Unusable::NoMember(group.to_owned()),
                _ => failed(error),
            })
        };
        let folder = folder_of(path);
        if !folder.exists() {
            let mode = if group.is_some() { 0o750 } else { 0o700 };
            let made = DirBuilder::new().recursive(true).mode(mode).create(folder);
            made.map_err(|error| Unusable::NoFolder { folder: folder.to_owned(), error })?;
            give(folder)?;
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(Unusable::NoSocket(path.to_owned())),
            Ok(_) => match StdStream::connect(path) {
                Ok(_) => return Err(Unusable::Taken(path.to_owned())),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(failed)?;
                }
                // Its backlog is full, for one: somebody is there.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Unusable::Taken(path.to_owned()));
                }
                Err(error) => return Err(failed(error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        // From the first moment on nobody else may connect. No thread that makes files runs yet.
        let usual = rustix::process::umask(Mode::from_raw_mode(0o177));
        let listener = StdListener::bind(path);
        rustix::process::umask(usual);
        let listener = listener.map_err(failed)?;
        if group.is_some() {
            give(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed)?;
        }
        listener.set_nonblocking(true).map_err(failed)?;
        let inode = inode(path).map_err(failed)?;
        Ok(Self { listener, name: Name { path: path.to_owned(), inode }, group: number })
    }

    /// Answers there from now on.
    pub fn serve(self, control: Control) -> Result<Server, Unusable> {
        let Self { listener, name, group } = self;
        let failed = |error| Unusable::Failed { path: name.path.clone(), error };
        let built = Builder::new_multi_thread().worker_threads(2).thread_name("control").enable_all().build();
        let runtime = built.map_err(failed)?;
        let listener = {
            let _in_runtime = runtime.enter();
            UnixListener::from_std(listener).map_err(failed)?
        };
        runtime.spawn(accept(listener, control, group));
        Ok(Server { runtime: Some(runtime), _name: name })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is waited for: who asks may be slow.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn inode(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).map(|found| found.ino())
}

async fn accept(listener: UnixListener, control: Control, group: Option<u32>) {
    let (mut door, mut connections) = (Door::of(Arc::new(Semaphore::new(CONNECTIONS))), JoinSet::new());
    let (waiting, room) = (Waiting::of(ORDERS, FOLLOWERS), Room::of(BODIES));
    while let Some(((stream, _), permit)) = door.next(|context| listener.poll_accept(context)).await {
        while connections.try_join_next().is_some() {}
        let (control, who, room) = (control.clone(), who_asks(&stream, group), room.clone());
        let (place, waiting) = (Place::of(permit), waiting.clone());
        connections.spawn(async move {
            let handler = move |request: Request| {
                let (control, place, waiting) = (control.clone(), place.clone(), waiting.clone());
                async move {
                    match who {
                        Some(who) => answer_in(place, &waiting, control, who, request).await,
                        None => last(refusal()),
                    }
                }
            };
            http::serve_in(stream, LIMITS, Some(&room), handler).await;
        });
    }
}

/// Who asks, if they may: the daemon's user, root, and members of the group, in which the system let nobody else connect.
fn who_asks(stream: &UnixStream, group: Option<u32>) -> Option<Who> {
    let own = rustix::process::geteuid().as_raw();
    let peer = stream.peer_cred().ok()?;
    let may_ask = peer.uid() == own || peer.uid() == 0 || group.is_some();
    may_ask.then(|| Who::Peer { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() })
}

fn refusal() -> Reply {
    line(StatusCode::FORBIDDEN, "Only the daemon's own user, root and the group in control.group may ask.")
}

fn too_many(wait: Wait) -> Reply {
    let what = match wait {
        Wait::Order => format!("{ORDERS} orders are followed already. Ask again."),
        Wait::Lines => format!("{FOLLOWERS} others follow what modules log already. End one of them, or ask again."),
    };
    line(StatusCode::SERVICE_UNAVAILABLE, &what)
}

/// What the answer waits for, if it may take long. Samples are shown to few at once, who take no place of these.
fn waits(request: &Request) -> Option<Wait> {
    match *request.method() {
        Method::POST => (request.uri().path() != "/tap").then_some(Wait::Order),
        _ => about_deployments::asks_for_lines(request).then_some(Wait::Lines),
    }
}

/// Answers if there is a place for what is asked. What took a place of those who wait, or found none, is the last that
/// its connection asks: so nobody has such a place, or one that others need, without waiting for something.
async fn answer_in(place: Place, waiting: &Waiting, control: Control, who: Who, request: Request) -> Reply {
    let Some(wait) = waits(&request) else { return answer(&control, who, &request).await };
    if !place.wait(wait, waiting) {
        return last(too_many(wait));
    }
    last(match wait {
        Wait::Order => follow(place, control, who, request).await,
        // What was sent along says nothing, and shall not take others' room meanwhile.
        Wait::Lines => answer(&control, who, &request.map(|_| Bytes::new())).await,
    })
}

/// Follows an order, to its end even if nobody waits for it any more.
async fn follow(place: Place, control: Control, who: Who, request: Request) -> Reply {
    let patience = if request.uri().path().starts_with("/spool/") { WITHIN } else { Duration::MAX };
    let order = async move { answer(&control, who, &request).await };
    match timeout(patience, place.held_for(order)).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => line(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => {
            let what = "The disk takes too long. It is still done once the disk answers, if the daemon runs then.";
            line(StatusCode::SERVICE_UNAVAILABLE, what)
        }
    }
}

async fn answer(control: &Control, who: Who, request: &Request) -> Reply {
    let (path, method) = (request.uri().path(), request.method());
    if let Some(path) = below_deployments(path) {
        return about_deployments::answer(control.desk(), who, path, request).await;
    }
    let allowed = match path {
        "/status" | "/losses" | "/pipelines" => Method::GET,
        "/spool/replay" | "/spool/drop" | "/tap" => Method::POST,
        _ => {
            let known = "There is nothing here. There are /status, /losses, /deployments, /pipelines, /tap, \
                 /spool/replay and /spool/drop.";
            return line(StatusCode::NOT_FOUND, known);
        }
    };
    if *method != allowed {
        return not_allowed(&allowed);
    }
    match path {
        "/status" => json(&control.status_soon().await),
        "/losses" => json(&control.losses().await),
        "/pipelines" => json(&control.graph().await),
        "/tap" => match read::<Tap>(request).map(|tap| control.tap(&tap)) {
            Ok(Ok(lines)) => http::stream("application/x-ndjson", StreamBody::new(lines.pieces())),
            Ok(Err(unseen @ Unseen::Wrong(_))) => line(StatusCode::BAD_REQUEST, &format!("{unseen}.")),
            Ok(Err(unseen @ Unseen::TooMany(_))) => line(StatusCode::SERVICE_UNAVAILABLE, &format!("{unseen}.")),
            Err(error) => unreadable(&error),
        },
        "/spool/replay" => match read::<Replay>(request) {
            Ok(order) => {
                let control = control.clone();
                let lost = |error: tokio::task::JoinError| Err(Refused::Failed(error.to_string()));
                done(spawn_blocking(move || control.replay(&order)).await.unwrap_or_else(lost))
            }
            Err(error) => unreadable(&error),
        },
        _ => match read::<GiveUp>(request) {
            Ok(order) => done(control.give_up(&order).await),
            Err(error) => unreadable(&error),
        },
    }
}

/// Reads a request, and does what can be done of it without a spool: that is how it is fuzzed.
pub(crate) async fn try_read(desk: &Desk, request: &Request) -> Reply {
    match below_deployments(request.uri().path()) {
        Some(path) => about_deployments::answer(desk, Who::Daemon, path, request).await,
        None => match (read::<Replay>(request), read::<GiveUp>(request), read::<Tap>(request)) {
            (Err(error), Err(_), Err(_)) => unreadable(&error),
            _ => json(&()),
        },
    }
}

/// What of a path stands behind `/deployments`.
fn below_deployments(path: &str) -> Option<&str> {
    path.strip_prefix("/deployments").filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn not_allowed(allowed: &Method) -> Reply {
    let mut reply = line(StatusCode::METHOD_NOT_ALLOWED, &format!("Only {allowed} is understood here."));
    if let Ok(allowed) = header::HeaderValue::from_str(allowed.as_str()) {
        reply.headers_mut().insert(header::ALLOW, allowed);
    }
    reply
}

/// What came of an order to the spool.
fn done(answer: Result<impl Serialize, Refused>) -> Reply {
    match answer {
        Ok(done) => json(&done),
        Err(refused) => {
            let status = match refused {
                Refused::Wrong(_) => StatusCode::BAD_REQUEST,
                Refused::NoRoom => StatusCode::INSUFFICIENT_STORAGE,
                Refused::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            line(status, &refused.to_string())
        }
    }
}

fn read<T: DeserializeOwned>(request: &Request) -> serde_json::Result<T> {
    serde_json::from_slice(request.body())
}

fn unreadable(error: &serde_json::Error) -> Reply {
    line(StatusCode::BAD_REQUEST, &format!("This cannot be understood: {error}"))
}

fn json(value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => http::reply(StatusCode::OK, "application/json", body),
        Err(error) => line(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_orders_something_keeps_no_place_from_those_who_ask() {
        let (order, lines) = (Some(Wait::Order), Some(Wait::Lines));
        for (method, path, expected) in [
            (Method::GET, "/status", None),
            (Method::GET, "/deployments", None),
            (Method::GET, "/deployments/acme/probe", None),
            (Method::GET, "/deployments/acme/probe/log?after=1", None),
            (Method::GET, "/deployments/acme/probe/log?wait=5", lines),
            (Method::POST, "/tap", None),
            (Method::GET, "/spool/drop", None),
            (Method::POST, "/spool/replay", order),
            (Method::POST, "/spool/drop", order),
            (Method::POST, "/deployments/acme/probe/deploy", order),
            (Method::POST, "/deployments/acme/probe/rollback", order),
            (Method::POST, "/deployments/acme/probe/pause", order),
            (Method::POST, "/deployments/acme/probe/resume", order),
            (Method::POST, "/deployments/acme/probe/remove", order),
        ] {
            let request = hyper::Request::builder().method(&method).uri(path).body(Bytes::new()).unwrap();
            assert_eq!(waits(&request), expected, "{method} {path}");
        }
    }
}
