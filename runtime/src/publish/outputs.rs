//! What can be told of outputs before anything is delivered.

use std::path::Path;

use rustix::fs::{Access, PROC_SUPER_MAGIC};

use super::http::client::check_encryption as check_server;
use super::notifier::amqp::check_encryption;
use super::prometheus::endpoint;
use crate::config::daemon::{FileOutput, NotifierOutput, Output, Server, SocketOutput};
use crate::config::{Config, Place, Problems};

/// How an output is written, which decides what its keys are called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// As an entry of `outputs`.
    Entry,
    /// As a publisher's URL.
    Url,
}

/// What is wrong with outputs, as far as can be told without writing.
pub fn check(config: &Config) -> Problems {
    let mut problems = endpoint::check(config);
    for (place, output) in config.outputs.iter().enumerate() {
        look_at(output, Written::Entry, &format!("outputs[{place}]"), &mut problems);
    }
    let mut of_pipelines = Problems::of(config.pipeline_file.as_deref());
    for output in config.pipeline.iter().flat_map(|pipeline| &pipeline.outputs) {
        look_at(output, Written::Url, output.name(), &mut of_pipelines);
    }
    problems.extend(of_pipelines);
    problems
}

fn look_at(output: &Output, written: Written, key: &str, problems: &mut Problems) {
    match output {
        Output::File(file) => unwritable(file, &format!("{key}.file"), problems),
        Output::Notifier { notifier } => {
            forgetful(notifier, written, &format!("{key}.notifier"), problems);
            unencrypted(notifier, written, &format!("{key}.notifier"), problems);
        }
        Output::Http { http } => unencryptable(&http.server, written, http.place, &format!("{key}.http"), problems),
        Output::OpenTelemetry { opentelemetry: output } => {
            unencryptable(&output.server, written, output.place, &format!("{key}.opentelemetry"), problems);
        }
        Output::Udp { udp } => forgeable(udp, written, &format!("{key}.udp"), problems),
        Output::Tcp { tcp } => forgeable(tcp, written, &format!("{key}.tcp"), problems),
        Output::Test { .. } => {}
    }
}

/// Whether the file can be written, and others beside it.
fn unwritable(file: &FileOutput, key: &str, problems: &mut Problems) {
    let folder = file.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // `.` at the end of a sentence is none.
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let (path, shown) = (file.file.display(), whole.display());
    let is_closed = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_err();
    let (message, remedy) = if file.file.is_dir() {
        (format!("{path} is a folder"), "Write the path of a file, such as one in it")
    } else if !folder.is_dir() {
        (format!("there is no folder {shown}, and samples wait until there is"), "Make it, or write another one")
    } else if is_of_the_kernel(folder) {
        (format!("no file can be made in {shown}, which shows what the kernel does"), "Write another folder")
    } else if is_closed(folder) {
        (format!("this user cannot write in {shown}"), "Give the daemon a folder of its own")
    } else if file.file.exists() && is_closed(&file.file) {
        (format!("this user cannot write {path}"), "Give the file to the daemon's user, or write another one")
    } else {
        return;
    };
    problems.warning(file.place, key, message, remedy);
}

/// Whether a folder is one of those that have no files on any disk. Root may write in them, and yet cannot.
fn is_of_the_kernel(folder: &Path) -> bool {
    // That of /sys has no name there.
    rustix::fs::statfs(folder).is_ok_and(|of| [PROC_SUPER_MAGIC, 0x6265_6572].contains(&of.f_type))
}

/// Whether connections can be encrypted as they are meant to be.
fn unencrypted(notifier: &NotifierOutput, written: Written, key: &str, problems: &mut Problems) {
    let options = &notifier.broker.url.options;
    let files = [&options.ssl_ca_file, &options.ssl_cert_file, &options.ssl_key_file];
    if !options.ssl && files.iter().any(|file| file.is_some()) {
        let message = "files for TLS are named, and connections are not encrypted";
        let remedy = format!("Add `ssl: true` under {}, or remove them", written.options());
        problems.warning(notifier.place, key, message, remedy);
    }
    if let Err(error) = check_encryption(options) {
        let message = format!("no connection can be encrypted as things are: {error}");
        problems.warning(notifier.place, key, message, "Mend the file; it is read for every connection");
    }
}

/// Whether connections to a server can be encrypted as they are meant to be, and are with whom they should be.
fn unencryptable(server: &Server, written: Written, place: Option<Place>, key: &str, problems: &mut Problems) {
    if let Err(error) = check_server(server) {
        let message = format!("no connection can be encrypted as things are: {error}");
        problems.warning(place, key, message, "Mend the file; it is read for every connection");
    }
    if server.url.secure && !server.tls.verify {
        let (switch, remedy) = match written {
            Written::Entry => ("verify", "Name the authority's certificate as `ca_file` instead"),
            Written::Url => ("verify_ssl", "Name the authority's certificate: `verify_ssl=/path/of/it.pem`"),
        };
        let message = format!("`{switch}` is off, and whoever is in between can read and change samples");
        problems.warning(place, key, message, remedy);
    }
}

/// Whether a receiver can tell our samples from those of others: nothing but the signature says whose they are.
fn forgeable(socket: &SocketOutput, written: Written, key: &str, problems: &mut Problems) {
    if socket.is_signed_as_by_all() {
        let message = "samples are signed with Ceilometer's default secret, which everybody knows";
        let option = match written {
            Written::Entry => "`secret_file`",
            Written::Url => "`broker.secret_file` in wasmeter.yaml",
        };
        let remedy = format!("Have the receiver use another one, and name a file with it as {option}");
        problems.warning(socket.place, key, message, remedy);
    }
}

/// Whether what a broker confirmed outlives the broker.
fn forgetful(notifier: &NotifierOutput, written: Written, key: &str, problems: &mut Problems) {
    if notifier.target().survives_restarts() {
        return;
    }
    let message = "the queue is not durable, as is Ceilometer's default: RabbitMQ forgets what is in it when it restarts, \
                   although it confirmed that";
    let remedy = format!(
        "Set amqp_durable_queues under {}, and in [oslo_messaging_rabbit] of all that use the queue",
        written.options(),
    );
    problems.warning(notifier.place, key, message, remedy);
}

// === impl Written ===

impl Written {
    /// Where its options of RabbitMQ stand.
    fn options(self) -> &'static str {
        match self {
            Self::Entry => "`options`",
            Self::Url => "`broker.options` in wasmeter.yaml",
        }
    }
}
