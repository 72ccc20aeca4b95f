//! A module that is tried, with what it may do.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::agent::OPERATOR;
use crate::cli::{Exit, print};
use crate::contract::Meter;
use crate::modules::deploying::written::Written;
use crate::modules::deploying::{Fault, Refused};
use crate::modules::deployment::Grants;
use crate::modules::granting;
use crate::modules::refusal::{Reader, refusal};
use crate::sandbox::host::http::Requests;
use crate::sandbox::module::Code;
use crate::sandbox::{Cause, Failure, Granted, Limits, Module, Names, Sandbox};

/// A module that can be called.
pub struct Candidate {
    /// The module.
    pub module: Arc<Module>,
    /// Names that are others', if it is a deployment's.
    pub names: Option<Arc<Names>>,
    /// Where its grants are written, if it has any.
    written: Written,
}

/// A module that is not configured yet.
pub struct Draft<'a> {
    /// Where it is to run.
    pub sandbox: &'a Sandbox,
    /// What it is called.
    pub name: &'a str,
    /// Its code.
    pub code: Code,
    /// What it is told.
    pub config: String,
    /// What a call may use.
    pub limits: Limits,
}

/// Why a module is not tried.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is refused, or fails.
    #[error("{0}")]
    Failed(Failure),
    /// What it was granted is wrong, or too little.
    #[error("{0}")]
    Refused(String, Exit),
    /// There is nothing that it can be tried on, as was said already.
    #[error("it cannot be tried")]
    Said(Exit),
}

/// Whose it is here. No tenant's: what depends on that is another tenant's somewhere else.
const TENANT: &str = "local";

// === impl Draft ===

impl Draft<'_> {
    /// As one of the operator's modules, by a file that could grant it what it asks for and does not.
    pub async fn of_the_operator(self) -> Result<Candidate, Unfit> {
        let Self { sandbox, name, code, config, limits } = self;
        let asking = code.manifest.asks().then_some(limits.memory as u64);
        granting::granted((&sandbox.requests, &BTreeSet::new()), name, &Grants::default(), Written::File, asking)
            .map_err(|refused| Unfit::of(&refused, Written::File))?;
        let module = sandbox.configure(name, false, code, config, limits).await?;
        Ok(Candidate::of_the_operator(module))
    }

    /// As one of the operator's modules, but that requests are refused when they are made: so whoever tries it out is
    /// told what each would take.
    pub async fn that_may_ask_nobody(self) -> Result<Candidate, Unfit> {
        let Self { sandbox, name, code, config, limits } = self;
        let granted = match code.manifest.asks() {
            true => Granted::to_try_out(
                sandbox.requests.client(false).map_err(|error| Failure::new(Cause::Host, error.to_string()))?,
            ),
            false => Granted::default(),
        };
        let module = sandbox.configure_of((OPERATOR, name), code, config, limits, granted).await?;
        Ok(Candidate::of_the_operator(module))
    }

    /// As that of a deployment, which is held against what it was granted as a daemon does.
    pub async fn granted(self, requests: &Requests, grants: &Grants, written: Written) -> Result<Candidate, Unfit> {
        let Self { sandbox, name, code, config, limits } = self;
        grants.check().map_err(|invalid| Unfit::Refused(invalid.words(written), Exit::Usage))?;
        let unfit = |refused| Unfit::of(&refused, written);
        let asking = code.manifest.asks().then_some(limits.memory as u64);
        let granted = granting::granted((requests, &BTreeSet::new()), name, grants, written, asking).map_err(unfit)?;
        let module = sandbox.configure_of((TENANT, name), code, config, limits, granted).await?;
        // What the operator's modules are somewhere is not known here, but for those that are built in.
        let names = Names::beside(&Names::default());
        granting::may_give(&names, &module.granted, written, &module.description.meters).map_err(unfit)?;
        Ok(Candidate { module: Arc::new(module), names: Some(Arc::new(names)), written })
    }
}

// === impl Candidate ===

impl Candidate {
    fn of_the_operator(module: Module) -> Self {
        Self { module: Arc::new(module), names: None, written: Written::Order }
    }

    /// Holds what a transformer makes of these inputs against its grants, as a daemon does when it is deployed.
    pub async fn may_convert(&self, sandbox: &Sandbox, inputs: &[Meter]) -> Result<(), Unfit> {
        let Some(names) = self.names.as_ref().filter(|_| !inputs.is_empty()) else { return Ok(()) };
        let gives = sandbox.outputs(&self.module, inputs, self.module.limits.describing(inputs.len())).await.result?;
        granting::may_give(names, &self.module.granted, self.written, &gives.meters)
            .map_err(|refused| Unfit::of(&refused, self.written))
    }
}

// === impl Unfit ===

impl Unfit {
    fn of(refused: &Refused, written: Written) -> Self {
        let exit = match refused.fault {
            Fault::Order => Exit::Usage,
            Fault::Module | Fault::Missing => Exit::Module,
            Fault::Room => Exit::Failed,
        };
        Self::Refused(refused.words(written), exit)
    }

    /// Says so of what was tried.
    pub fn say(self, what: impl std::fmt::Display) -> Exit {
        match self {
            Self::Failed(failure) => {
                let (why, remedy) = refusal(&failure, Reader::Author);
                if failure.cause == Cause::Unreadable {
                    print::error(format_args!("{why}. {remedy}"));
                    return Exit::Usage;
                }
                print::error(format_args!("{what} was refused: {why}. {remedy}"));
                Exit::Module
            }
            Self::Refused(words, exit) => {
                print::error(format_args!("{what} was refused: {words}"));
                exit
            }
            Self::Said(exit) => exit,
        }
    }
}

impl From<Exit> for Unfit {
    fn from(said: Exit) -> Self {
        Self::Said(said)
    }
}

impl From<Failure> for Unfit {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
