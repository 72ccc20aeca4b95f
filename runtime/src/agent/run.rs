//! The daemon's loop: cycles in their slots, until a signal ends it.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use super::Agent;
use super::report::Report;
use crate::config::Config;
use crate::hypervisor::HypervisorError;
use crate::modules::NotLoaded;
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

/// Is shown every cycle.
pub type Watch<'a> = Box<dyn FnMut(&Report, &Agent) + 'a>;

/// Everything that the loop needs beside the agent.
pub struct Run<'a> {
    /// Where samples go.
    pub outputs: Outputs,
    /// Output that a command line added, when a configuration is read anew.
    pub outputs_of: Box<dyn Fn(&Config) -> Outputs + 'a>,
    /// Reads the configuration again.
    pub reload: Box<dyn Fn() -> Option<Config> + 'a>,
    /// Is shown every cycle.
    pub watch: Watch<'a>,
    /// Ends after so many cycles.
    pub cycles: Option<u64>,
}

// === impl Run ===

impl Run<'_> {
    /// Runs until it is wished to end, or until the cycles are over.
    pub async fn run(mut self, agent: &mut Agent, wishes: &mut Receiver<Wish>) {
        let mut slots = slots(agent.config());
        let (mut done, mut unreachable) = (0, false);
        while self.cycles.is_none_or(|cycles| done < cycles) {
            let wish = match slots.next(agent.clock.now()) {
                Next::Sleep(duration) => tokio::select! {
                    wish = wishes.recv() => wish.or(Some(Wish::Stop)),
                    () = sleep(duration) => None,
                },
                Next::Run(due) => {
                    done += 1;
                    skipped(agent, &due.skipped);
                    let (result, wish) = cycle(agent, &due, wishes).await;
                    skipped(agent, &slots.finished(agent.clock.now()));
                    self.finish(agent, result, &mut unreachable);
                    wish
                }
            };
            match wish {
                None => {}
                Some(Wish::Reload) => self.reload(agent, &mut slots).await,
                Some(Wish::Drain | Wish::Stop) => return,
            }
        }
    }

    fn finish(&mut self, agent: &mut Agent, result: Option<Result<Report, HypervisorError>>, unreachable: &mut bool) {
        match result {
            Some(Ok(report)) => {
                if std::mem::take(unreachable) {
                    tracing::info!("The hypervisor answers again.");
                }
                agent.tally.undelivered += self.outputs.write(&report.slot, agent.ids());
                (self.watch)(&report, agent);
            }
            // Said once, not every slot.
            Some(Err(error)) if !std::mem::replace(unreachable, true) => {
                tracing::error!(%error, "The hypervisor was not read; every slot tries again.");
            }
            Some(Err(_)) => {}
            None => tracing::warn!("The cycle that ran was given up, with its samples."),
        }
    }

    async fn reload(&mut self, agent: &mut Agent, slots: &mut Slots) {
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

/// Runs one cycle while listening. A cycle that is given up gives nothing.
async fn cycle(
    agent: &mut Agent,
    due: &Due,
    wishes: &mut Receiver<Wish>,
) -> (Option<Result<Report, HypervisorError>>, Option<Wish>) {
    let drain = agent.config().schedule.drain;
    let mut later = None;
    let mut running = pin!(agent.cycle(&due.intervals));
    loop {
        tokio::select! {
            report = &mut running => return (Some(report), later),
            wish = wishes.recv() => match wish.unwrap_or(Wish::Stop) {
                Wish::Reload => later = Some(Wish::Reload),
                Wish::Drain => return (within(drain, running.as_mut(), wishes).await, Some(Wish::Drain)),
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

fn intervals(config: &Config) -> Vec<u64> {
    config.polling.sources.iter().map(|source| source.interval.as_secs()).collect()
}

fn offset(config: &Config) -> i64 {
    schedule::offset(config.schedule.offset, &config.host)
}

fn slots(config: &Config) -> Slots {
    Slots::new(&intervals(config), offset(config))
}
