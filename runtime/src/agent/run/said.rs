//! What the log says when it begins and when it is over, and not in every slot.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::failure;
use crate::agent::report::Report;
use crate::hypervisor::HypervisorError;
use crate::spool::Committed;
use crate::spool::log::Error;

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Said {
    unreachable: bool,
    missing: bool,
    unkept: bool,
    pub nobodys: bool,
    stuck: BTreeSet<Uuid>,
}

// === impl Said ===

impl Said {
    /// Says what a cycle changed.
    pub fn of(&mut self, report: &Result<Report, HypervisorError>) {
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

    /// Says what keeping a slot changed.
    pub fn kept(&mut self, committed: &Result<Committed, Error>) {
        let (lost, error) = (committed.is_err(), failure(committed));
        match (std::mem::replace(&mut self.unkept, error.is_some()), error) {
            (false, Some(error)) => {
                let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(lost, %error, cause, "The spool cannot keep samples; every slot tries again.");
            }
            (true, None) => tracing::info!("The spool keeps samples again."),
            _ => {}
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
