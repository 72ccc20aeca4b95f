//! What RabbitMQ is told: files and environment.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::RabbitOptions;
use crate::cannot;
use crate::certificates::Identity;
use crate::port::Port;

/// Where Debian and others have RabbitMQ's programs. Commands of the same names in the `PATH` change the user first.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";
/// What processes of Erlang are told: distribution on this machine only, and no core kept busy by waiting for work.
const ERLANG: &str = "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none";
/// rabbitmqctl finds RabbitMQ's port mapper or fails: one that it started would stay.
const ERLANG_OF_CTL: &str = "-start_epmd false";

/// RabbitMQ's folder, which is removed with it, its name and its ports.
#[derive(Debug)]
pub(super) struct Settings {
    folder: TempDir,
    node: String,
    port: Port,
    tls_port: Option<Port>,
    /// For Erlang's own protocol, by which rabbitmqctl reaches it.
    distribution: Port,
    /// For Erlang's port mapper.
    mapper: Port,
}

// === impl Settings ===

impl Settings {
    /// Chooses them, and writes the files.
    pub(super) fn new(options: &RabbitOptions<'_>) -> io::Result<Self> {
        let port = Port::reserve()?;
        let settings = Self {
            folder: tempfile::Builder::new().prefix("rig-").tempdir()?,
            node: format!("rig-{}@localhost", port.number()),
            port,
            tls_port: options.tls.map(|_| Port::reserve()).transpose()?,
            distribution: Port::reserve()?,
            mapper: Port::reserve()?,
        };
        settings.write_configuration(options)?;
        Ok(settings)
    }

    /// Where one of RabbitMQ's programs is.
    pub(super) fn program(name: &str) -> PathBuf {
        let behind = Path::new(PROGRAMS).join(name);
        if behind.is_file() { behind } else { cannot::find(name).unwrap_or_else(|| name.into()) }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn node(&self) -> &str {
        &self.node
    }

    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }

    pub(super) fn tls_port(&self) -> Option<u16> {
        self.tls_port.as_ref().map(Port::number)
    }

    /// What both server and rabbitmqctl find in their environment.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let file = |name: &str| self.folder().join(name).into_os_string();
        let number = |port: &Port| port.number().to_string().into();
        vec![
            ("HOME", file("")),
            ("LC_ALL", "C.UTF-8".into()),
            ("RABBITMQ_BASE", file("")),
            ("RABBITMQ_MNESIA_BASE", file("mnesia")),
            ("RABBITMQ_LOG_BASE", file("log")),
            ("RABBITMQ_LOGS", "-".into()),
            ("RABBITMQ_PID_FILE", file("pid")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", file("plugins")),
            ("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf")),
            // Nothing of what an administrator configured for a broker of this machine.
            ("RABBITMQ_ADVANCED_CONFIG_FILE", file("none")),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".into()),
            ("RABBITMQ_NODENAME", self.node().into()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".into()),
            ("RABBITMQ_NODE_PORT", number(&self.port)),
            ("RABBITMQ_DIST_PORT", number(&self.distribution)),
            ("ERL_EPMD_PORT", number(&self.mapper)),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG.into()),
            // Any that is free.
            ("RABBITMQ_CTL_DIST_PORT_MIN", "0".into()),
            ("RABBITMQ_CTL_DIST_PORT_MAX", "0".into()),
            ("RABBITMQ_CTL_ERL_ARGS", ERLANG_OF_CTL.into()),
            // Otherwise a shell stands between the rig and the server.
            ("RUNNING_UNDER_SYSTEMD", "true".into()),
        ]
    }

    /// Puts a certificate where the configuration says that it is.
    pub(super) fn show(&self, identity: &Identity) -> io::Result<()> {
        fs::copy(&identity.certificate, self.folder().join("server.pem"))?;
        fs::copy(&identity.key, self.folder().join("server.key")).map(drop)
    }

    fn write_configuration(&self, options: &RabbitOptions<'_>) -> io::Result<()> {
        let mut all = options.lines.join("\n") + "\n";
        if let (Some(certificates), Some(port)) = (options.tls, self.tls_port()) {
            let folder = self.folder().display();
            let verify = if options.clients_need_certificates { "verify_peer" } else { "verify_none" };
            all += &format!(
                "listeners.ssl.1 = 127.0.0.1:{port}\n\
                 ssl_options.cacertfile = {folder}/ca.pem\n\
                 ssl_options.certfile = {folder}/server.pem\n\
                 ssl_options.keyfile = {folder}/server.key\n\
                 ssl_options.verify = {verify}\n\
                 ssl_options.fail_if_no_peer_cert = {}\n",
                options.clients_need_certificates,
            );
            fs::copy(certificates.authority(), self.folder().join("ca.pem"))?;
            self.show(certificates.server())?;
        }
        fs::write(self.folder().join("rabbitmq.conf"), all)
    }
}
