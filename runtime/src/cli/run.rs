//! `wasmeter run`: the daemon.

use std::io::{self, ErrorKind, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::logging::{self, Recent};
use super::setup::{self, Threads, Where};
use super::{Exit, print, service};
use crate::agent::Agent;
use crate::agent::report::Report;
use crate::agent::run::{End, Run, Wish};
use crate::agent::tally::Tally;
use crate::clock::{Clock, SystemClock};
use crate::config::daemon::{FileOutput, Output};
use crate::config::{Config, Problems};
use crate::control::Control;
use crate::control::desk::Desk;
use crate::control::server::{Socket, Unusable};
#[cfg(target_os = "linux")]
use crate::memory;
use crate::publish::prometheus::{Endpoint, Intake};
use crate::publish::table::Table;
use crate::publish::{Publishers, outputs};
use crate::spool::books::Books;
use crate::spool::log::Recovery;
use crate::spool::{Opened, Spool};

const EXAMPLES: &str = "\
Examples:
  wasmeter run --table                                the simulated host, live
  wasmeter run -c /etc/wasmeter/wasmeter.yaml         what the configuration says
  wasmeter run --output samples.jsonl --cycles 3      three cycles into a file
  WASMETER_LOG=debug wasmeter run ...                 with more in the log

SIGHUP reads the configuration again; in a terminal it ends the daemon, because a terminal that is closed sends it.
SIGUSR2 writes to the log what `wasmeter status` says.
SIGTERM finishes the cycle and SIGINT does not; both end with 0. Exit code 69: no cycle succeeded; 1: samples were not
written, or an address for metrics is another's.

Environment: WASMETER_LOG says how much is logged to standard error: error, warn, info (if nothing is said), debug or
trace, also by part, as in info,wasmeter::module=debug.

Compiled modules are kept in sandbox.cache: /var/cache/wasmeter for root, else $XDG_CACHE_HOME/wasmeter or
~/.cache/wasmeter.";

/// By then everything that happens in every cycle, or after one, has happened.
#[cfg(target_os = "linux")]
const GIVE_BACK_AFTER: [u32; 2] = [1, 4];

/// Measure in every slot until a signal says to stop.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    at: Where,
    /// Show guests and modules as a table that every cycle draws anew.
    #[arg(long)]
    table: bool,
    /// Append samples to this file as JSON lines, beside what the configuration says.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// End after so many cycles.
    #[arg(long, value_name = "N")]
    cycles: Option<u64>,
}

/// Clears the terminal and goes to its upper left corner.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().unwrap_or_else(|exit| exit)
    }

    fn try_run(self) -> Result<Exit, Exit> {
        let (config, warnings) = self.at.read().map_err(|problems| {
            print::problems(&problems);
            Exit::Usage
        })?;
        let recent = if self.table && io::stdout().is_terminal() {
            Some(logging::start_recent())
        } else {
            logging::start(&config.log.format);
            None
        };
        warn(&warnings);
        let problems = outputs::check(&config);
        if problems.has_errors() {
            print::problems(&problems);
            return Err(Exit::Usage);
        }
        warn(&problems);
        let endpoint = Arc::new(Endpoint::new(Arc::new(SystemClock)));
        endpoint.prepare(&config).map_err(|problems| {
            // Who has the address may be about to end.
            print::problems(&problems);
            Exit::Failed
        })?;
        // Before anything else that two daemons must not share.
        let (path, group) = (config.control.socket.as_deref(), config.control.group.as_deref());
        let socket = path.map(|path| Socket::take(path, group)).transpose().map_err(unasked)?;
        #[cfg(target_os = "linux")]
        memory::keep_what_is_freed();
        let threads = Threads::start()?;
        // From the first moment on: modules may take a while to compile, and a signal is not to be missed.
        let asked = threads.delivery.block_on(async { signal(SignalKind::user_defined2()) }).map_err(unheard)?;
        let (wish, mut wishes) = threads.time.block_on(async { wishes() }).map_err(unheard)?;
        let mut reload = false;
        let registry = setup::registry(&config);
        let (desk, errands) = Desk::new(Arc::new(SystemClock), registry.clone());
        let ready = threads.time.block_on(async {
            tokio::select! {
                agent = setup::agent(config, &threads, registry) => agent.map(Some),
                () = ended(&mut wishes, &mut reload) => Ok(None),
            }
        })?;
        if reload {
            // What is loaded was read before. There is room: these wishes were taken out.
            let _ = wish.try_send(Wish::Reload);
        }
        let Some(mut agent) = ready else { return Ok(Exit::Done) };
        let Opened { spool, memory, recovery } = setup::spool(agent.config(), SystemClock.now().wall)?;
        say_recovered(&recovery, &spool);
        agent.remember(memory);
        if self.outputs(agent.config()).is_empty() && agent.config().metrics.listen.is_empty() && !self.table {
            tracing::warn!("Samples go nowhere: name a file under outputs, or use --output or --table.");
        }
        let names: Vec<_> = agent.modules().pollsters.iter().map(|module| module.name.to_string()).collect();
        tracing::info!(host = agent.config().host, hypervisor = ?agent.config().hypervisor, "Measuring.");
        tracing::info!(modules = names.join(" "), "Modules are loaded.");
        let mut cycles: u32 = 0;
        let mut shown = self.table.then(|| Screen { table: Table::default(), recent });
        let metrics = Arc::new(Intake::new(Arc::clone(&endpoint), agent.config()));
        let publishers = Publishers::of(spool.clone(), threads.delivery.handle().clone());
        let control =
            Control::new(Arc::new(SystemClock), spool.clone(), publishers.clone(), desk, agent.taps().clone());
        // Before anybody can ask.
        control.desk().journal().turn_to(&agent.tenants);
        endpoint.exporter().tell_of(&control);
        let _server = socket.map(|socket| socket.serve(control.clone())).transpose().map_err(unasked)?;
        threads.delivery.spawn(report(asked, control.clone()));
        let run = Run {
            spool: spool.clone(),
            publishers,
            control,
            errands,
            metrics,
            endpoint: Arc::clone(&endpoint),
            outputs_of: Box::new(|config| self.outputs(config)),
            reload: Box::new(|| self.reload(&endpoint)),
            tell: service::tell,
            watch: Box::new(move |report, agent| {
                cycles = cycles.saturating_add(1);
                #[cfg(target_os = "linux")]
                if GIVE_BACK_AFTER.contains(&cycles) {
                    memory::give_back_files();
                }
                shown.as_mut().map(|screen| screen.draw(report, agent))
            }),
            show: print::try_text,
            cycles: self.cycles,
            unsure: false,
        };
        // On the thread of the loop: where that does not come round, nor does this.
        threads.time.spawn(service::feed_watchdog());
        let end = threads.time.block_on(run.run(&mut agent, &mut wishes));
        agent.tally.say();
        // Outputs that block, and modules in a loop, are not waited for.
        threads.delivery.shutdown_background();
        threads.time.shutdown_background();
        threads.guests.shutdown_background();
        Ok(self.exit(&end, &agent.tally, &spool))
    }

    fn exit(&self, end: &End, tally: &Tally, spool: &Spool) -> Exit {
        let delivered = delivered(spool);
        match end {
            // Whoever reads has seen enough.
            End::Unshown(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Done,
            End::Unshown(error) => {
                tracing::error!(%error, "The table cannot be shown any more.");
                Exit::Failed
            }
            End::Over if tally.cycles == 0 && self.cycles != Some(0) => Exit::Unreachable,
            End::Over if !delivered => Exit::Failed,
            End::Over | End::Wished => Exit::Done,
        }
    }

    fn outputs(&self, config: &Config) -> Vec<Output> {
        let mut outputs: Vec<Output> = config.all_outputs().cloned().collect();
        outputs.extend(self.output.iter().map(|path| Output::File(FileOutput::unbounded(path.clone()))));
        outputs
    }

    fn reload(&self, endpoint: &Endpoint) -> Result<Config, Problems> {
        let (config, warnings) = self.at.read()?;
        warn(&warnings);
        let problems = outputs::check(&config);
        if problems.has_errors() {
            return Err(problems);
        }
        warn(&problems);
        endpoint.prepare(&config).map(|()| config)
    }
}

/// Whether every output has every sample. What it lacks waits in the spool, or is lost.
fn delivered(spool: &Spool) -> bool {
    let mut all = true;
    for Books { publisher, spooled, lost, .. } in spool.view(SystemClock.now().wall).books {
        if spooled > 0 {
            tracing::warn!(output = publisher, waiting = spooled, "Samples that were not delivered wait in the spool.");
        }
        all &= spooled == 0 && lost.is_empty();
    }
    all
}

fn unheard(error: io::Error) -> Exit {
    print::error(format_args!("signals cannot be listened to: {error}"));
    Exit::Failed
}

fn unasked(error: Unusable) -> Exit {
    print::error(format_args!("{error}. {}", error.remedy()));
    // Another daemon may be about to end, and a folder about to be made; a place that is none stays so.
    if matches!(error, Unusable::NoSocket { .. }) { Exit::Usage } else { Exit::Failed }
}

/// Says in the log how everything is, as often as it is asked for.
async fn report(mut asked: Signal, control: Control) {
    while asked.recv().await.is_some() {
        control.log().await;
    }
}

/// What was found in a spool that was not left in good order.
fn say_recovered(recovery: &Recovery, spool: &Spool) {
    if recovery.ledger_lost {
        tracing::error!("The spool's ledger was lost: where publishers were is not known, and they begin anew.");
    }
    let (damaged, bytes) = (recovery.damaged.len(), recovery.damaged_bytes);
    if damaged == 0 && bytes > 0 {
        tracing::warn!(bytes, "The spool was damaged on the disk, where nothing waits any more: nothing is lost.");
    }
    if damaged > 0 {
        tracing::error!(damaged, bytes, "Records in the spool were damaged on the disk; they are counted as lost.");
    }
    if recovery.torn_bytes > 0 {
        let bytes = recovery.torn_bytes;
        tracing::info!(bytes, "The end of the spool was cut off: a slot that was not kept yet when the daemon ended.");
    }
    for Books { publisher: output, spooled: samples, .. } in spool.view(SystemClock.now().wall).books {
        if samples > 0 {
            tracing::info!(output, samples, "The spool has samples of an earlier run that are still to be delivered.");
        }
    }
}

/// What is wrong with a configuration that is used all the same, in the log like everything else.
fn warn(warnings: &Problems) {
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
}

/// Waits for a wish to end. A reload that is wished meanwhile is to be done later.
async fn ended(wishes: &mut Receiver<Wish>, reload: &mut bool) {
    while wishes.recv().await == Some(Wish::Reload) {
        *reload = true;
    }
}

/// Signals as wishes.
fn wishes() -> io::Result<(Sender<Wish>, Receiver<Wish>)> {
    let (sender, wishes) = mpsc::channel(8);
    // A terminal that is closed hangs up, and nobody sees any more what is measured.
    let in_terminal = io::stdin().is_terminal() || io::stdout().is_terminal();
    let hangup = if in_terminal { Wish::Stop } else { Wish::Reload };
    for (kind, wish) in
        [(SignalKind::hangup(), hangup), (SignalKind::terminate(), Wish::Drain), (SignalKind::interrupt(), Wish::Stop)]
    {
        let (mut signals, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(wish).await.is_ok() {} });
    }
    Ok((sender, wishes))
}

/// The live table.
struct Screen {
    table: Table,
    recent: Option<Recent>,
}

impl Screen {
    fn draw(&mut self, report: &Report, agent: &Agent) -> String {
        let mut page = self.table.draw(report, &format!("wasmeter on {}", agent.config().host));
        page = print::plain(&page);
        if let Some(recent) = &self.recent {
            page.insert_str(0, CLEAR);
            let lines: Vec<String> = recent.lines().iter().map(|line| print::line(line)).collect();
            if !lines.is_empty() {
                page.push('\n');
                page.push_str(&lines.join("\n"));
                page.push('\n');
            }
        } else {
            page.push('\n');
        }
        page
    }
}
