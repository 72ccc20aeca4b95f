//! What may differ, and why. Whatever is listed here must also occur: a reason that no longer holds does not stay.

use crate::compare::Difference;

/// A difference that docs/compatibility.md explains.
#[derive(Debug)]
pub struct Known {
    /// In a few words.
    pub what: &'static str,
    /// Why both are right.
    pub reason: &'static str,
    /// Whether it is this one.
    pub is: fn(&Difference) -> bool,
}

/// All of them. There is none.
pub const KNOWN: &[Known] = &[];

/// How the values of a meter are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Ceilometer's lies between those that wasmeter had before and after; if these are the same it is the same, also
    /// in whether it is a whole number.
    Between,
    /// The same, give or take so much.
    Near(f64),
    /// It is there.
    Present,
}

/// The meters that are not compared by [`Rule::Between`], and why.
pub const RULES: &[(&str, Rule, &str)] = &[
    ("network.incoming.bytes.delta", Rule::Present, "what came since a cycle before belongs to that cycle alone"),
    ("network.outgoing.bytes.delta", Rule::Present, "what came since a cycle before belongs to that cycle alone"),
    ("memory.resident", Rule::Near(2.0), "QEMU takes and returns memory while it answers"),
];

/// How a meter's values are compared.
pub fn rule(meter: &str) -> Rule {
    RULES.iter().find(|(name, ..)| *name == meter).map_or(Rule::Between, |(_, rule, _)| *rule)
}
