//! What all subcommands that ask a daemon have in common.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::{Exit, print};
use crate::config::Config;
use crate::config::daemon::{default_socket, machine::SERVICE_SOCKET};
use crate::http::StatusCode;
use crate::http::client::{AskError, Client, Followed};

/// Which daemon to ask.
#[derive(Debug, Clone, clap::Args)]
pub struct Daemon {
    /// Configuration file of the daemon, which names its control socket and its spool.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The daemon's control socket, if it is not the one that the configuration names. Without either it is
    /// /run/wasmeter/control.sock, or for other users $XDG_RUNTIME_DIR/wasmeter/control.sock if that is there.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// A daemon that can be asked.
#[derive(Debug)]
pub struct Line {
    socket: PathBuf,
    client: Client,
    runtime: Runtime,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// Nobody is there. It has not been said yet.
    Nobody(String),
    /// The answer broke off, or is none. It has not been said yet.
    BrokenOff(String),
    /// Nobody has the time, or a place. It has not been said yet.
    Busy(String),
    /// The answer is no, which has been said.
    Refused(Exit),
}

/// A daemon runs on, on what was right when it was read.
const UNKNOWN: &str = "So it is not known where the daemon is asked. Name its socket as well: --socket PATH";
/// Longer than the daemon waits for its disk.
const WITHIN: Duration = Duration::from_secs(30);

// === impl Daemon ===

impl Daemon {
    /// The configuration, or the defaults. What is odd in it, the daemon says.
    pub fn load(&self) -> Result<Config, Exit> {
        let loaded = Config::load(self.config.as_deref()).map_err(|problems| {
            print::problems(&problems);
            Exit::Usage
        });
        loaded.map(|(config, _)| config)
    }

    /// A way to the daemon.
    pub fn line(&self) -> Result<Line, Exit> {
        self.patient_line(WITHIN)
    }

    /// A way to the daemon, for what may take so long.
    pub fn patient_line(&self, within: Duration) -> Result<Line, Exit> {
        let configured = match (&self.socket, &self.config) {
            (None, Some(_)) => self.load().inspect_err(|_| print::note(UNKNOWN))?.control.socket,
            _ => None,
        };
        let usual = || default_socket().filter(|path| path.exists()).unwrap_or_else(|| SERVICE_SOCKET.into());
        let socket = self.socket.clone().or(configured).unwrap_or_else(usual);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            print::error(format_args!("no threads can be started: {error}"));
            Exit::Failed
        })?;
        Ok(Line { client: Client::new(&socket, within), socket, runtime })
    }
}

// === impl Line ===

impl Line {
    /// Where the daemon is asked.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks for what is at a path.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Unanswered> {
        self.understood(self.runtime.block_on(self.client.get(path)))
    }

    /// Gives an order.
    pub fn post<T: DeserializeOwned>(&self, path: &str, order: &impl Serialize) -> Result<T, Unanswered> {
        let order = serde_json::to_value(order).unwrap_or_default();
        self.send(path, order.to_string().into())
    }

    /// Gives an order that is not JSON alone.
    pub fn send<T: DeserializeOwned>(&self, path: &str, order: Vec<u8>) -> Result<T, Unanswered> {
        self.understood(self.runtime.block_on(self.client.post(path, order)))
    }

    /// Gives an order whose answer goes on, line after line, until `each` says that it has seen enough. Returns whether
    /// the answer was over before.
    pub fn follow(
        &self,
        path: &str,
        order: &impl Serialize,
        each: &mut impl FnMut(&str) -> bool,
    ) -> Result<bool, Unanswered> {
        let order = serde_json::to_value(order).unwrap_or_default().to_string();
        let no = |no: Result<(StatusCode, Value), AskError>| match self.understood::<Value>(no) {
            Ok(_) => Ok(true),
            Err(unanswered) => Err(unanswered),
        };
        match self.runtime.block_on(self.client.follow(path, order, each)) {
            Ok(Followed::Enough) => Ok(false),
            Ok(Followed::Over) => Ok(true),
            Ok(Followed::No(status, answer)) => no(Ok((status, answer))),
            Err(error) => no(Err(error)),
        }
    }

    fn understood<T: DeserializeOwned>(&self, answer: Result<(StatusCode, Value), AskError>) -> Result<T, Unanswered> {
        let refused = |why: &str, exit| {
            print::error(why);
            Err(Unanswered::Refused(exit))
        };
        match answer {
            Ok((status, answer)) if says_more(status, &answer) => serde_json::from_value(answer).or_else(|error| {
                let why = format!("the daemon answers something else: {error}. Are both of the same version?");
                refused(&why, Exit::Failed)
            }),
            Ok((status, answer)) => {
                let why = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
                match status {
                    StatusCode::SERVICE_UNAVAILABLE => Err(Unanswered::Busy(why)),
                    StatusCode::BAD_REQUEST => refused(&why, Exit::Usage),
                    StatusCode::UNPROCESSABLE_ENTITY => refused(&why, Exit::Module),
                    // Whoever asks may not.
                    StatusCode::FORBIDDEN => refused(&why, Exit::Unreachable),
                    _ => refused(&why, Exit::Failed),
                }
            }
            Err(AskError::Unreachable { error, .. }) if error.kind() == ErrorKind::PermissionDenied => {
                let why = format!(
                    "{} may not be asked. Ask as root, as the daemon's user, or as a member of control.group",
                    self.socket.display()
                );
                refused(&why, Exit::Unreachable)
            }
            Err(AskError::Unreachable { .. }) if is_something_else(&self.socket) => {
                let why = format!("{} is no socket. Name the daemon's: its control.socket", self.socket.display());
                refused(&why, Exit::Unreachable)
            }
            Err(error @ AskError::Unreachable { .. }) => Err(Unanswered::Nobody(error.to_string())),
            Err(error @ AskError::Unreadable { .. }) => Err(Unanswered::BrokenOff(error.to_string())),
            Err(error @ AskError::TooLate { .. }) => refused(&error.to_string(), Exit::Unreachable),
        }
    }
}

/// Whether there is a file at which nobody can be asked.
fn is_something_else(socket: &Path) -> bool {
    fs::metadata(socket).is_ok_and(|found| !found.file_type().is_socket())
}

/// Whether an answer is more than a line: what was asked for, or what came of it although it was refused.
fn says_more(status: StatusCode, answer: &Value) -> bool {
    status == StatusCode::OK || (status == StatusCode::UNPROCESSABLE_ENTITY && answer.is_object())
}

// === impl Unanswered ===

impl Unanswered {
    /// Says what has not been said yet.
    pub fn say(self) -> Exit {
        match self {
            Self::Nobody(why) => {
                let remedy = "Start the daemon, or name its configuration (-c FILE) or its socket (--socket PATH)";
                print::error(format_args!("{why}. {remedy}"));
                Exit::Unreachable
            }
            Self::BrokenOff(why) | Self::Busy(why) => {
                print::error(why);
                Exit::Unreachable
            }
            Self::Refused(exit) => exit,
        }
    }
}
