//! What can be told of outputs before anything is delivered.

use std::path::Path;

use rustix::fs::Access;

use super::http::client::check_encryption as check_server;
use super::notifier::amqp::check_encryption;
use super::prometheus::endpoint;
use crate::config::daemon::{FileOutput, NotifierOutput, Output, Server};
use crate::config::{Config, Place, Problems};

/// What is wrong with outputs, as far as can be told without writing.
pub fn check(config: &Config) -> Problems {
    let mut problems = endpoint::check(config);
    for (place, output) in config.outputs.iter().enumerate() {
        look_at(output, &format!("outputs[{place}]"), &mut problems);
    }
    let mut of_pipelines = Problems::of(config.pipeline_file.as_deref());
    for output in config.pipeline.iter().flat_map(|pipeline| &pipeline.outputs) {
        look_at(output, output.name(), &mut of_pipelines);
    }
    problems.extend(of_pipelines);
    problems
}

fn look_at(output: &Output, key: &str, problems: &mut Problems) {
    match output {
        Output::File(file) => unwritable(file, &format!("{key}.file"), problems),
        Output::Notifier { notifier } => {
            forgetful(notifier, &format!("{key}.notifier"), problems);
            unencrypted(notifier, &format!("{key}.notifier"), problems);
        }
        Output::Http { http } => unencryptable(&http.server, http.place, &format!("{key}.http"), problems),
        Output::OpenTelemetry { opentelemetry: output } => {
            unencryptable(&output.server, output.place, &format!("{key}.opentelemetry"), problems);
        }
        Output::Udp { .. } | Output::Tcp { .. } | Output::Test { .. } => {}
    }
}

/// Whether the file's folder is one to write in.
fn unwritable(file: &FileOutput, key: &str, problems: &mut Problems) {
    let folder = file.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let shown = folder.display();
    if !folder.is_dir() {
        let message = format!("there is no folder {shown}, and samples wait until there is");
        problems.warning(file.place, key, message, "Make it, or write another one");
    } else if rustix::fs::access(folder, Access::WRITE_OK).is_err() {
        let message = format!("this user cannot write in {shown}");
        problems.warning(file.place, key, message, "Give the daemon a folder of its own");
    }
}

/// Whether connections can be encrypted as they are meant to be.
fn unencrypted(notifier: &NotifierOutput, key: &str, problems: &mut Problems) {
    let options = &notifier.url.options;
    let files = [&options.ssl_ca_file, &options.ssl_cert_file, &options.ssl_key_file];
    if !options.ssl && files.iter().any(|file| file.is_some()) {
        let message = "files for TLS are named, and connections are not encrypted";
        problems.warning(notifier.place, key, message, "Add `ssl: true` under options, or remove them");
    }
    if let Err(error) = check_encryption(options) {
        let message = format!("no connection can be encrypted as things are: {error}");
        problems.warning(notifier.place, key, message, "Mend the file; it is read for every connection");
    }
}

/// Whether connections to a server can be encrypted as they are meant to be, and are with whom they should be.
fn unencryptable(server: &Server, place: Option<Place>, key: &str, problems: &mut Problems) {
    if let Err(error) = check_server(server) {
        let message = format!("no connection can be encrypted as things are: {error}");
        problems.warning(place, key, message, "Mend the file; it is read for every connection");
    }
    if server.url.secure && !server.tls.verify {
        let message = "`verify` is off, and whoever is in between can read and change samples";
        problems.warning(place, key, message, "Name the authority's certificate as `ca_file` instead");
    }
}

/// Whether what a broker confirmed outlives the broker.
fn forgetful(notifier: &NotifierOutput, key: &str, problems: &mut Problems) {
    if notifier.target().survives_restarts() {
        return;
    }
    let message = "the queue is not durable, as is Ceilometer's default: RabbitMQ forgets what is in it when it restarts, \
                   although it confirmed that";
    let remedy = "Set amqp_durable_queues under options, here and in [oslo_messaging_rabbit] of all that use the queue";
    problems.warning(notifier.place, key, message, remedy);
}
