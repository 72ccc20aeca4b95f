//! `wasmeter module deploy`.

pub mod text;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::FromArgMatches;

use super::candidate::Unfit;
use super::trial::pattern;
use super::{Terms, amount, named, usage};
use crate::cli::ask::{Daemon, Unanswered};
use crate::cli::{Exit, print};
use crate::config::{ByteSize, MeterFilter, duration};
use crate::control::deployments::{Deploy, Deployed};
use crate::files;
use crate::modules;
use crate::modules::deployment::{Key, Name, Overrides, Tenant};

const EXAMPLES: &str = "\
Examples:
  wasmeter module deploy pressure.wasm --tenant acme --grant name=acme. --dry-run
  wasmeter module deploy pressure.wasm --tenant acme --grant name=acme. --config pressure.yaml
  wasmeter module deploy exporter.wasm --tenant acme --name shop --grant name=acme.shop. \\
      --grant http=https://metrics.example:9100/path --secret token=@token.txt \\
      --config '{series: [orders]}'

It is run once before, on what is read for the tenant now, and what came of that is shown. If that
fails, it is not deployed. The next version of a deployment is on trial beside the one that runs.
All is said anew each time: what is left out is not taken over from the version before.

Exit codes: 64: the command line or what is granted is wrong; 69: the daemon or the host does not
answer; 70: the module is refused, or fails in the dry run; 1: there is no room for it, or it is
written in a file. It is not deployed then.";

/// Have a module run for a tenant.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The module, a .wasm file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose guests it meters: a tenant of the daemon's configuration, or the id of a project.
    #[arg(long, value_name = "TENANT")]
    tenant: Tenant,
    /// The deployment's name; otherwise that of the file.
    #[arg(long, value_name = "NAME")]
    name: Option<Name>,
    /// Seconds from slot to slot.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = amount::seconds)]
    interval: u64,
    /// Meters that are wanted of it, with * ? and [], or with ! those that are not; with commas between them. Without
    /// this, all.
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',', value_parser = pattern)]
    meters: Vec<String>,
    /// Fuel that every call has, such as 50M.
    #[arg(long, value_name = "FUEL", value_parser = amount::fuel)]
    fuel: Option<u64>,
    /// Fuel for each resource that a call is handed, on top.
    #[arg(long, value_name = "FUEL", value_parser = amount::fuel)]
    fuel_per_resource: Option<u64>,
    /// Memory of an instance, such as 16MiB.
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,
    /// How long a call may take, such as 500ms.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    deadline: Option<Duration>,
    #[command(flatten)]
    terms: Terms,
    /// The file's signature, as minisign -S writes it; otherwise FILE.minisig if that is there.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Hand in no signature, even if FILE.minisig is there.
    #[arg(long, conflicts_with = "signature")]
    unsigned: bool,
    /// Only say what would come of it.
    #[arg(long)]
    dry_run: bool,
    /// Deploy it even if it fails in the dry run.
    #[arg(long, conflicts_with = "dry_run")]
    anyway: bool,
    /// Configuration file of the daemon, which names its control socket.
    #[arg(short = 'c', long = "daemon-config", value_name = "FILE")]
    daemon_config: Option<PathBuf>,
    /// The daemon's control socket, if it is not the one that its configuration names.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// For programs: an object with all of it.
    #[arg(long)]
    json: bool,
}

/// A signature's file has four lines.
const SIGNATURE_BYTES: u64 = 4 << 10;
/// A large module is compiled, and run on all guests of its tenant, each call of which may take a minute.
pub const WITHIN: Duration = Duration::from_secs(600);

/// Says what came of an order that has another version run.
pub fn answered(deployed: &Deployed, json: bool, words: impl Fn(&Deployed) -> String) -> Result<Exit, Exit> {
    print::asked(deployed, json, words)?;
    let is_well = deployed.version.is_some() || deployed.failed().is_none();
    Ok(if is_well { Exit::Done } else { Exit::Module })
}

impl Args {
    /// Of this file, with these options. What is wrong with them is said.
    pub fn of(file: &Path, options: &[OsString]) -> Result<Self, Exit> {
        let command = <Self as clap::Args>::augment_args(clap::Command::new("deploy").no_binary_name(true));
        let all = options.iter().cloned().chain([file.as_os_str().to_owned()]);
        let read = command.try_get_matches_from(all).and_then(|matches| Self::from_arg_matches(&matches));
        read.map_err(|error| {
            // Where nobody reads it, nothing can be said.
            let _ = error.print();
            Exit::Usage
        })
    }

    /// The same at the daemon with this configuration, unless they name one.
    #[must_use]
    pub fn or_asking(mut self, daemon_config: Option<&Path>) -> Self {
        if self.daemon_config.is_none() && self.socket.is_none() {
            self.daemon_config = daemon_config.map(Path::to_owned);
        }
        self
    }

    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().unwrap_or_else(|exit| exit)
    }

    fn try_run(&self) -> Result<Exit, Exit> {
        let key = self.key()?;
        let module = modules::read(&self.file).map_err(|failure| Unfit::from(failure).say(self.file.display()))?;
        let mut order = serde_json::to_vec(&self.order()?).unwrap_or_default();
        order.push(b'\n');
        order.extend(module);
        let daemon = Daemon { config: self.daemon_config.clone(), socket: self.socket.clone() };
        let line = daemon.patient_line(WITHIN)?;
        let deployed: Deployed = line.send(&named::path(&key, "/deploy"), order).map_err(Unanswered::say)?;
        answered(&deployed, self.json, |deployed| text::deployed(deployed, self.dry_run))
    }

    fn key(&self) -> Result<Key, Exit> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => {
                let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
                stem.parse().map_err(|error| usage(format_args!("{error}. Name it with --name")))?
            }
        };
        Ok(Key::new(self.tenant.clone(), name))
    }

    fn order(&self) -> Result<Deploy, Exit> {
        if !self.meters.is_empty() {
            MeterFilter::new(self.meters.clone())
                .map_err(|refused| usage(format_args!("--meters: {refused}. {}", refused.remedy())))?;
        }
        let milliseconds = |deadline: Duration| match u64::try_from(deadline.as_millis()) {
            Ok(milliseconds) if deadline.subsec_nanos().is_multiple_of(1_000_000) => Ok(milliseconds),
            _ => Err(usage("--deadline: write whole milliseconds, such as 500ms")),
        };
        Ok(Deploy {
            config: self.terms.told.text()?,
            meters: self.meters.clone(),
            interval: self.interval,
            grants: self.terms.granting.grants(),
            secrets: self.terms.granting.secrets()?,
            limits: Overrides {
                fuel_base: self.fuel,
                fuel_per_resource: self.fuel_per_resource,
                memory: self.memory.map(ByteSize::bytes),
                deadline: self.deadline.map(milliseconds).transpose()?,
            },
            signature: self.signature()?,
            dry_run: self.dry_run,
            anyway: self.anyway,
        })
    }

    fn signature(&self) -> Result<Option<String>, Exit> {
        if self.unsigned {
            return Ok(None);
        }
        let beside = || {
            let mut path = self.file.clone().into_os_string();
            path.push(".minisig");
            PathBuf::from(path)
        };
        let path = self.signature.clone().unwrap_or_else(beside);
        let text = files::read(&path, SIGNATURE_BYTES)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| ErrorKind::InvalidData.into()));
        match text {
            Ok(text) => {
                if self.signature.is_none() {
                    print::note(format_args!("the signature in {} is handed in, too", path.display()));
                }
                Ok(Some(text))
            }
            Err(error) if self.signature.is_none() && error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let remedy = "Give the file that minisign -S wrote";
                Err(usage(format_args!("the signature {} cannot be read: {error}. {remedy}", path.display())))
            }
        }
    }
}
