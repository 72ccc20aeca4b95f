//! What is said to whoever wants more than there is.

use std::fmt;
use std::sync::Arc;

use super::Demand;
use crate::config::share::Share;

/// How many of a tenant's modules are named: those that have most.
const NAMED: usize = 10;

/// A module needs more than is free. Whoever reads it learns of other tenants only how much they have together, and
/// that only when it is the node that is full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoesNotFit {
    /// What is full.
    pub bound: Bound,
    /// How much fuel it has in a second.
    pub limit: u64,
    /// How much of that is left.
    pub free: u64,
    /// What was asked for.
    pub wanted: Demand,
    /// What other modules of the tenant have in a second.
    pub own: Vec<(Arc<str>, u64)>,
    /// What all modules of all other tenants have in a second.
    pub others: u64,
}

/// What can be full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// What the tenant may have.
    Tenant {
        /// Whether that is said of this tenant, and not of all.
        named: bool,
    },
    /// What the node has.
    Node,
}

// === impl DoesNotFit ===

impl DoesNotFit {
    /// The key of the configuration that says how much there is.
    pub fn key(&self) -> String {
        match self.bound {
            Bound::Node => "budget.node".to_owned(),
            Bound::Tenant { named: true } => format!("tenants.{}.budget", self.wanted.tenant),
            Bound::Tenant { named: false } => "budget.tenant".to_owned(),
        }
    }

    /// What to do about it, without a full stop.
    pub fn remedy(&self) -> String {
        let fits = u128::from(self.free).saturating_mul(self.wanted.interval.as_nanos()) / 1_000_000_000;
        format!(
            "Ask for at most {} fuel in {:?}, such as by a smaller fuel_base (--fuel), or for a longer interval, or \
             raise {} of the operator's configuration",
            grouped(fits.min(u64::MAX.into())),
            self.wanted.interval,
            self.key()
        )
    }
}

impl fmt::Display for DoesNotFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Demand { tenant, module, reads, interval, .. } = &self.wanted;
        let [asked, limit, free, fuel, reads] =
            [self.wanted.per_second(), self.limit, self.free, self.wanted.fuel(), *reads].map(u128::from).map(grouped);
        write!(f, "{module} of {tenant} asks for {asked} fuel a second ({fuel} in {interval:?}")?;
        if self.wanted.reads > 0 {
            write!(f, ", of which {reads} for what is read for it")?;
        }
        let whose = match self.bound {
            Bound::Node => "this node".to_owned(),
            Bound::Tenant { .. } => tenant.to_string(),
        };
        let (key, share) = (self.key(), Share::of_fuel(self.limit));
        write!(f, "), and of the {limit} of {whose} ({key}: {share} of a core) {free} are free; {tenant} has ")?;
        let mut own = self.own.clone();
        own.sort_by(|(name, fuel), (other_name, other)| other.cmp(fuel).then_with(|| name.cmp(other_name)));
        let (named, more) = own.split_at(own.len().min(NAMED));
        let sum = |modules: &[(Arc<str>, u64)]| grouped(modules.iter().map(|(_, fuel)| u128::from(*fuel)).sum());
        f.write_str(&sum(&own))?;
        if !named.is_empty() {
            let mut parts: Vec<_> =
                named.iter().map(|(name, fuel)| format!("{name} {}", grouped((*fuel).into()))).collect();
            if !more.is_empty() {
                parts.push(format!("{} more {}", more.len(), sum(more)));
            }
            write!(f, " ({})", parts.join(", "))?;
        }
        match self.bound {
            Bound::Node => write!(f, ", others have {}", grouped(self.others.into())),
            Bound::Tenant { .. } => Ok(()),
        }
    }
}

impl std::error::Error for DoesNotFit {}

/// A number that can be read: fuel has many digits.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
