//! The private RabbitMQ: started, stopped, killed, started again.

mod settings;
mod vhost;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::certificates::{Certificates, Identity};
use crate::commands::{self, Ended};
use crate::namespaces::{self, Namespaces, PAUSE, Setup, lock};
use crate::{CannotRun, Failed, cannot, logs};
use settings::Settings;

pub use vhost::{Delivery, Vhost};

/// The last line of its log before it serves.
const SERVES: &str = "Server startup complete";
/// It takes five to ten seconds, and longer on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(180);
/// Asked to, it ends within two seconds.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// rabbitmqctl takes a second.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// The account that every new RabbitMQ has, and its password.
const GUEST: &str = "guest";
/// What RabbitMQ takes of the machine's memory before it takes no more messages, by default.
const WATERMARK: &str = "0.4";
/// So little that every RabbitMQ has more.
const NO_MEMORY: &str = "0.0000001";

/// How to start a [`Rabbit`].
#[derive(Debug, Default)]
pub struct RabbitOptions<'a> {
    /// Lines for `rabbitmq.conf`.
    lines: Vec<String>,
    tls: Option<&'a Certificates>,
    clients_need_certificates: bool,
}

/// A private RabbitMQ. Dropping it ends it and removes all traces.
#[derive(Debug)]
pub struct Rabbit {
    namespaces: Namespaces,
    settings: Settings,
    /// How many virtual hosts were made.
    vhosts: AtomicU32,
}

// === impl RabbitOptions ===

impl<'a> RabbitOptions<'a> {
    /// Another line for `rabbitmq.conf`, such as `heartbeat = 1`.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Serves TLS on a [port](Rabbit::tls_port) of its own, with the certificate for servers.
    #[must_use]
    pub fn tls(mut self, certificates: &'a Certificates) -> Self {
        self.tls = Some(certificates);
        self
    }

    /// Serves TLS only for clients with a certificate of the same authority.
    #[must_use]
    pub fn clients_need_certificates(mut self) -> Self {
        self.clients_need_certificates = true;
        self
    }

    /// Starts it, and waits until it serves.
    ///
    /// # Errors
    ///
    /// What is missing here, and the remedy.
    pub fn start(self) -> Result<Rabbit, CannotRun> {
        cannot::check_rabbit_installed()?;
        let settings = Settings::new(&self)?;
        let namespaces = Namespaces::new(&Setup {
            more: &[],
            users: &["--user", "--map-root-user"],
            script: "server=$2\n",
            folder: settings.folder(),
            argument: Settings::program("rabbitmq-server").as_os_str(),
            environment: &settings.environment(),
        })?;
        let rabbit = Rabbit { namespaces, settings, vhosts: AtomicU32::new(0) };
        rabbit.start_again().map_err(|failed| match failed {
            Failed::NoRabbit(log) => CannotRun::Rabbit(log),
            other => CannotRun::Rabbit(other.to_string()),
        })?;
        Ok(rabbit)
    }
}

// === impl Rabbit ===

impl Rabbit {
    /// Starts it with the default options, and waits until it serves.
    ///
    /// # Errors
    ///
    /// What is missing here, and the remedy.
    pub fn start() -> Result<Self, CannotRun> {
        Self::options().start()
    }

    /// How to start it otherwise.
    #[must_use]
    pub fn options<'a>() -> RabbitOptions<'a> {
        RabbitOptions::default()
    }

    /// A virtual host of one RabbitMQ that all tests of a process share, and that ends with the process. Whoever wants
    /// to stop, kill or block it starts one alone.
    ///
    /// # Errors
    ///
    /// What is missing here, and the remedy.
    pub fn shared() -> Result<Vhost<'static>, CannotRun> {
        // Nothing drops it: when the process ends its pipes do, and with them all that it started.
        static SHARED: Mutex<Option<&'static Rabbit>> = Mutex::new(None);
        let mut shared = lock(&SHARED);
        let rabbit = match *shared {
            Some(rabbit) => rabbit,
            None => shared.insert(Box::leak(Box::new(Self::start()?))),
        };
        drop(shared);
        rabbit.new_vhost().map_err(|failed| CannotRun::Rabbit(failed.to_string()))
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.settings.port()
    }

    /// Where it serves TLS, if it was started so.
    #[must_use]
    pub fn tls_port(&self) -> Option<u16> {
        self.settings.tls_port()
    }

    /// Its folder, which goes away with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.settings.folder()
    }

    /// Where a user of a virtual host reaches it, as OpenStack writes it.
    #[must_use]
    pub fn url(&self, user: &str, password: &str, vhost: &str) -> String {
        vhost::url("rabbit", [user, password], self.port(), vhost)
    }

    /// Its process id, if it was started and neither stopped nor killed.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.namespaces.server().map(|pid| pid.as_raw_nonzero().get())
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Errors
    ///
    /// If it does not end.
    pub fn stop(&self) -> Result<(), Failed> {
        self.namespaces.end("RabbitMQ", Signal::TERM, ENDS_WITHIN)
    }

    /// Kills it, and waits for its end. Nothing of what it has in memory only is written.
    ///
    /// # Errors
    ///
    /// If it does not end.
    pub fn kill(&self) -> Result<(), Failed> {
        self.namespaces.end("RabbitMQ", Signal::KILL, ENDS_WITHIN)
    }

    /// Starts it after it was stopped or killed, with what it has on disk, and waits until it serves.
    ///
    /// # Errors
    ///
    /// If it does not start, or still runs.
    pub fn start_again(&self) -> Result<(), Failed> {
        if self.namespaces.is_alive() {
            return Err(Failed::Runs);
        }
        let log = namespaces::log(self.folder());
        let begin = fs::metadata(&log).map(|log| log.len()).unwrap_or_default();
        let no_rabbit = || Failed::NoRabbit(logs::tail(&log));
        self.namespaces.start().ok_or_else(no_rabbit)?;
        let until = Instant::now() + STARTS_WITHIN;
        while !logs::read(&log, begin).contains(SERVES) {
            if !self.namespaces.is_alive() || Instant::now() > until {
                return Err(no_rabbit());
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Runs rabbitmqctl with these arguments, and gives what it prints.
    ///
    /// # Errors
    ///
    /// If it fails, or RabbitMQ does not run.
    pub fn ctl(&self, arguments: &[&str]) -> Result<String, Failed> {
        let command = arguments.first().copied().unwrap_or_default().to_owned();
        let mut ctl = Command::new(Settings::program("rabbitmqctl"));
        ctl.args(["--quiet", "--node", self.settings.node()]).args(arguments);
        ctl.env_clear().env("PATH", cannot::search_path()).envs(self.settings.environment());
        match commands::run(&mut ctl, ANSWERS_WITHIN).map_err(Failed::io("rabbitmqctl cannot be run"))? {
            Some(Ended { status, printed, .. }) if status.success() => Ok(printed),
            Some(Ended { printed, complained, .. }) => Err(Failed::Ctl { command, said: printed + &complained }),
            None => Err(Failed::TooLong { what: format!("rabbitmqctl {command}"), limit: ANSWERS_WITHIN }),
        }
    }

    /// Lets it believe that it has no memory left, upon which it takes no more messages, or that it has enough.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn memory_alarm(&self, on: bool) -> Result<(), Failed> {
        self.ctl(&["set_vm_memory_high_watermark", if on { NO_MEMORY } else { WATERMARK }]).map(drop)
    }

    /// Lets it show another certificate from the next connection on.
    ///
    /// # Errors
    ///
    /// If it does not run, or does not serve TLS.
    pub fn show_certificate(&self, identity: &Identity) -> Result<(), Failed> {
        self.settings.show(identity).map_err(Failed::io("a certificate cannot be put in place"))?;
        // Files that it has read it does not look at again for minutes.
        self.ctl(&["eval", "ssl:clear_pem_cache()."]).map(drop)
    }

    /// The virtual host that every new RabbitMQ has.
    #[must_use]
    pub fn vhost(&self) -> Vhost<'_> {
        Vhost::new(self, "/".into())
    }

    /// A new virtual host, in which the user `guest` may do everything.
    ///
    /// # Errors
    ///
    /// If RabbitMQ does not run.
    pub fn new_vhost(&self) -> Result<Vhost<'_>, Failed> {
        let name = format!("rig-{}", self.vhosts.fetch_add(1, Ordering::Relaxed));
        // In one go, as rabbitmqctl takes a second to start.
        let all = "<<\".*\">>";
        self.ctl(&[
            "eval",
            &format!(
                "ok = rabbit_vhost:add(<<\"{name}\">>, <<\"rig\">>), \
                 rabbit_auth_backend_internal:set_permissions(<<\"{GUEST}\">>, <<\"{name}\">>, {all}, {all}, {all}, \
                 <<\"rig\">>)."
            ),
        ])?;
        Ok(Vhost::new(self, name))
    }
}
