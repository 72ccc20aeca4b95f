//! The daemon's loop: cycles in their slots, until a signal ends it.

use std::collections::BTreeSet;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::Agent;
use super::report::Report;
use crate::config::Config;
use crate::hypervisor::HypervisorError;
use crate::modules::NotLoaded;
use crate::pipeline::Slot;
use crate::publish::Outputs;
use crate::schedule::{self, Due, Next, Slots};

/// What the outside wants of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Read the configuration again.
    Reload,
    /// Finish the cycle that runs, if that does not take too long, and end.
    Drain,
    /// End now.
    Stop,
}

/// Why a run ended.
#[derive(Debug)]
pub enum End {
    /// The cycles are over.
    Over,
    /// It was wished.
    Wished,
    /// What it shows cannot be shown any more.
    Unshown(io::Error),
}

/// What the loop tells of itself as it goes.
#[derive(Debug)]
pub enum News<'a> {
    /// It runs, or runs again with what was read anew.
    Ready,
    /// The configuration is read again.
    Reloading,
    /// A cycle was measured.
    Measured(&'a Report),
    /// A cycle was not, because the host could not be read.
    Unreachable(&'a HypervisorError),
    /// It ends, and may take so long for it.
    Ending(Duration),
}

/// Draws every cycle; there may be nothing to show.
pub type Watch<'a> = Box<dyn FnMut(&Report, &Agent) -> Option<String> + 'a>;

/// Everything that the loop needs beside the agent.
pub struct Run<'a> {
    /// Where samples go.
    pub outputs: Outputs,
    /// Output that a command line added, when a configuration is read anew.
    pub outputs_of: Box<dyn Fn(&Config) -> Outputs + 'a>,
    /// Reads the configuration again.
    pub reload: Box<dyn Fn() -> Option<Config> + 'a>,
    /// Hears how it goes.
    pub tell: fn(&News<'_>),
    /// Draws every cycle.
    pub watch: Watch<'a>,
    /// Shows what was drawn, on a thread that may block.
    pub show: fn(&str) -> io::Result<()>,
    /// Ends after so many cycles.
    pub cycles: Option<u64>,
}

/// How far a cycle is: what is lost if it is given up.
#[derive(Debug, Clone, Copy)]
enum Progress {
    Measuring,
    /// So many samples are on their way.
    Writing(u64),
    Showing,
}

/// What was said last of things that are said when they begin and when they are over, and not in every slot.
#[derive(Debug, Default)]
struct Said {
    unreachable: bool,
    missing: bool,
    nobodys: bool,
    stuck: BTreeSet<Uuid>,
}

// === impl Run ===

impl Run<'_> {
    /// Runs until it is wished to end, or until the cycles are over.
    pub async fn run(mut self, agent: &mut Agent, wishes: &mut Receiver<Wish>) -> End {
        let mut slots = slots(agent.config());
        let (mut done, mut said) = (0, Said::default());
        (self.tell)(&News::Ready);
        while self.cycles.is_none_or(|cycles| done < cycles) {
            let (tell, drain) = (self.tell, agent.config().schedule.drain);
            let mut wish = match slots.next(agent.clock.now()) {
                Next::Sleep(duration) => tokio::select! {
                    wish = wishes.recv() => wish.or(Some(Wish::Stop)),
                    () = sleep(duration) => None,
                },
                Next::Run(due) => {
                    done += 1;
                    let mut progress = Progress::Measuring;
                    skipped(agent, &due.skipped);
                    let cycle = self.cycle(agent, &due, &mut said, &mut progress);
                    let (shown, wish) = listening(tell, drain, cycle, wishes).await;
                    skipped(agent, &slots.finished(agent.clock.now()));
                    match shown {
                        Some(Ok(())) => {}
                        Some(Err(error)) => return End::Unshown(error),
                        None => give_up(agent, progress),
                    }
                    wish
                }
            };
            // Files that changed while they were read are read once more.
            while wish == Some(Wish::Reload) {
                wish = listening(tell, drain, self.reload(agent, &mut slots), wishes).await.1;
                // Other rules may make other guests nobody's.
                said.nobodys = false;
            }
            if wish.is_some() {
                tell(&News::Ending(Duration::ZERO));
                return End::Wished;
            }
        }
        End::Over
    }

    /// Measures, writes and shows. Fails if nothing can be shown any more.
    async fn cycle(
        &mut self,
        agent: &mut Agent,
        due: &Due,
        said: &mut Said,
        progress: &mut Progress,
    ) -> io::Result<()> {
        let report = agent.cycle(&due.intervals).await;
        said.of(&report);
        (self.tell)(&report.as_ref().map_or_else(News::Unreachable, News::Measured));
        let Ok(report) = report else { return Ok(()) };
        let page = (self.watch)(&report, agent);
        *progress = Progress::Writing(report.slot.len() as u64);
        // Writing may take long, and needs nothing of what was read.
        drop(report.snapshot);
        self.write(agent, report.slot).await;
        *progress = Progress::Showing;
        let (Some(page), show) = (page, self.show) else { return Ok(()) };
        spawn_blocking(move || show(&page)).await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// Writes on another thread: a pipe that nobody reads or a disk that hangs must not keep signals from being heard.
    async fn write(&mut self, agent: &mut Agent, slot: Slot) {
        let (mut outputs, ids) = (std::mem::take(&mut self.outputs), agent.ids().clone());
        let samples = slot.len() as u64;
        let written = spawn_blocking(move || {
            let undelivered = outputs.write(&slot, &ids);
            (outputs, undelivered)
        });
        let (outputs, undelivered) = written.await.unwrap_or_else(|error| {
            tracing::error!(%error, "The thread that writes was lost; the next slot has another one.");
            ((self.outputs_of)(agent.config()), samples)
        });
        self.outputs = outputs;
        agent.tally.undelivered += undelivered;
    }

    async fn reload(&mut self, agent: &mut Agent, slots: &mut Slots) {
        (self.tell)(&News::Reloading);
        self.take_over(agent, slots).await;
        (self.tell)(&News::Ready);
    }

    async fn take_over(&mut self, agent: &mut Agent, slots: &mut Slots) {
        let Some(config) = (self.reload)() else {
            tracing::error!("The configuration stays as it was.");
            return;
        };
        if config.hypervisor.uri != agent.config().hypervisor.uri {
            tracing::warn!("The hypervisor cannot be changed without a restart; the rest is taken over.");
        }
        if config.sandbox.cache != agent.config().sandbox.cache || config.log != agent.config().log {
            tracing::warn!("Log format and cache folder cannot be changed without a restart; the rest is taken over.");
        }
        let outputs = (self.outputs_of)(&config);
        match agent.reconfigure(config).await {
            Ok(()) => {
                self.outputs = outputs;
                self.outputs.begin();
                *slots = slots.reconfigure(&intervals(agent.config()), offset(agent.config()));
                tracing::info!("The configuration was read again and is in force.");
            }
            Err(NotLoaded { problems, .. }) => tracing::error!("The configuration stays as it was:\n{problems}"),
        }
    }
}

/// Counts slots that were left out, and says so.
fn skipped(agent: &mut Agent, skipped: &[(u64, u64)]) {
    agent.tally.skipped(skipped);
    for (interval, slots) in skipped {
        tracing::warn!(interval, slots, "Slots were left out: a cycle took too long, or the machine slept.");
    }
}

/// Counts what is lost with a cycle that nobody waits for any more.
fn give_up(agent: &mut Agent, progress: Progress) {
    match progress {
        Progress::Measuring => {
            agent.tally.given_up += 1;
            tracing::warn!("The cycle that ran was given up, with its samples.");
        }
        Progress::Writing(samples) => {
            agent.tally.undelivered += samples;
            tracing::warn!(samples, "An output took too long; samples of the last cycle are missing in it.");
        }
        Progress::Showing => {}
    }
}

/// Does something that takes its time while listening. What is given up gives nothing.
async fn listening<T>(
    tell: fn(&News<'_>),
    drain: Duration,
    work: impl Future<Output = T>,
    wishes: &mut Receiver<Wish>,
) -> (Option<T>, Option<Wish>) {
    let (mut later, mut running) = (None, pin!(work));
    loop {
        tokio::select! {
            done = &mut running => return (Some(done), later),
            wish = wishes.recv() => match wish.unwrap_or(Wish::Stop) {
                Wish::Reload => later = Some(Wish::Reload),
                Wish::Drain => {
                    tell(&News::Ending(drain));
                    return (within(drain, running.as_mut(), wishes).await, Some(Wish::Drain));
                }
                Wish::Stop => return (None, Some(Wish::Stop)),
            },
        }
    }
}

async fn within<T>(drain: Duration, running: impl Future<Output = T>, wishes: &mut Receiver<Wish>) -> Option<T> {
    let stopped = async { while wishes.recv().await.is_some_and(|wish| wish == Wish::Reload) {} };
    tokio::select! {
        result = timeout(drain, running) => result.ok(),
        () = stopped => None,
    }
}

// === impl Said ===

impl Said {
    fn of(&mut self, report: &Result<Report, HypervisorError>) {
        match report {
            Ok(report) => {
                if std::mem::take(&mut self.unreachable) {
                    tracing::info!("The hypervisor answers again.");
                }
                self.missing(report.missing.as_deref());
                self.stuck(&report.stuck);
                self.nobodys(report.nobodys);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.unreachable, true) {
                    tracing::error!(%error, "The hypervisor was not read; every slot tries again.");
                }
            }
        }
    }

    fn missing(&mut self, why: Option<&str>) {
        match (std::mem::replace(&mut self.missing, why.is_some()), why) {
            (false, Some(why)) => tracing::warn!(why, "Statistics of all guests are missing; every slot tries again."),
            (true, None) => tracing::info!("Statistics of all guests are read again."),
            _ => {}
        }
    }

    /// Once, however many come and go.
    fn nobodys(&mut self, guests: usize) {
        if guests > 0 && !std::mem::replace(&mut self.nobodys, true) {
            tracing::warn!(
                guests,
                "Guests are not metered: Nova did not create them, and the configuration does not say whose they are."
            );
        }
    }

    fn stuck(&mut self, stuck: &BTreeSet<Uuid>) {
        let (more, free): (Vec<_>, Vec<_>) =
            (stuck.difference(&self.stuck).collect(), self.stuck.difference(stuck).collect());
        if !more.is_empty() {
            let (stuck, guests) = (stuck.len(), list(&more));
            tracing::warn!(
                stuck,
                guests,
                "Calls are stuck in guests, which give only what needs no process of theirs."
            );
        }
        if !free.is_empty() {
            let (stuck, guests) = (stuck.len(), list(&free));
            tracing::info!(stuck, guests, "No calls are stuck in these guests any more.");
        }
        if !more.is_empty() || !free.is_empty() {
            self.stuck.clone_from(stuck);
        }
    }
}

/// As many as one line of the log can bear.
fn list(guests: &[&Uuid]) -> String {
    const MOST: usize = 20;
    let mut words: Vec<String> = guests.iter().take(MOST).map(ToString::to_string).collect();
    if guests.len() > MOST {
        words.push(format!("and {} more", guests.len() - MOST));
    }
    words.join(" ")
}

fn intervals(config: &Config) -> Vec<u64> {
    config.polling.sources.iter().map(|source| source.interval.as_secs()).collect()
}

fn offset(config: &Config) -> i64 {
    schedule::offset(config.schedule.offset, &config.host)
}

fn slots(config: &Config) -> Slots {
    Slots::new(&intervals(config), offset(config))
}
