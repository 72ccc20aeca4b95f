//! A module that is tried: whatever its kind, it has a next slot.

use std::sync::Arc;

use crate::cli::module::alone::Alone;
use crate::cli::module::candidate::{Candidate, Unfit};
use crate::cli::module::given::Given;
use crate::cli::module::is_pollster;
use crate::cli::module::trial::{Trial, Tried};
use crate::cli::setup::Threads;
use crate::cli::{Exit, print};
use crate::clock::Clock;
use crate::config::{Config, MeterFilter};
use crate::sandbox::Sandbox;

/// A module and what it is tried on.
pub enum Subject {
    /// A pollster on a host.
    Pollster(Box<Alone>),
    /// A transformer behind pollsters on a host.
    Behind(Box<Trial>),
    /// A transformer that is handed samples as they were written.
    Given(Box<Given>),
}

// === impl Subject ===

impl Subject {
    /// A module on the host of a configuration; a transformer is handed the meters that match.
    pub fn open(
        sandbox: &Arc<Sandbox>,
        candidate: &Candidate,
        meters: Option<MeterFilter>,
        config: &Config,
        clock: Arc<dyn Clock>,
        threads: &Threads,
    ) -> Result<Self, Unfit> {
        let module = &candidate.module;
        match (is_pollster(module), meters) {
            (true, None) => Ok(Self::Pollster(Box::new(Alone::open(sandbox, candidate, config, clock)?))),
            (true, Some(_)) => {
                print::error(format_args!("{} is a pollster, which is handed no meters; remove them", module.name));
                Err(Exit::Usage.into())
            }
            (false, None) => {
                let remedy = "say what it is to be handed, as in --meters cpu";
                print::error(format_args!("{} is a transformer; {remedy}", module.name));
                Err(Exit::Usage.into())
            }
            (false, Some(meters)) => {
                Ok(Self::Behind(Box::new(Trial::open(sandbox, candidate, meters, config, clock, threads)?)))
            }
        }
    }

    /// Measures the next slot.
    pub fn next(&mut self, threads: &Threads) -> Result<Tried, Exit> {
        match self {
            Self::Pollster(alone) => alone.next(threads),
            Self::Behind(trial) => trial.next(threads),
            Self::Given(given) => given.next(threads),
        }
    }
}
