//! What is wrong now, in sentences.

use std::collections::BTreeMap;

use super::deployments::{Row, Standing};
use super::seen::Seen;
use super::status::Status;
use super::text::{age, guests, samples};
use crate::agent::OPERATOR;
use crate::modules::deployment::Key;

/// Cycles may be late by so many of their intervals before somebody is told.
const LATE: f64 = 2.0;
/// A disk that does not answer for so many seconds is said to hang.
const HANGS: f64 = 1.0;
/// The part of the spool's room in use from which on somebody is told, as a fraction.
const NEARLY_FULL: (u64, u64) = (9, 10);

/// What is known of deployments.
#[derive(Debug)]
pub(super) struct Deployments {
    /// Why they are not kept, if they are not.
    pub missing: Option<String>,
    /// Those that were ordered and are not there, and why.
    pub lacking: BTreeMap<Key, String>,
    pub rows: Vec<Row>,
}

/// All of it, the worst first.
pub(super) fn of(status: &Status, seen: &Seen, deployments: Deployments) -> Vec<String> {
    let (mut troubles, unread) = (Vec::new(), seen.unread.as_deref().map(bare));
    let mut say = |trouble: String| troubles.push(ended(trouble));
    if let Some(why) = unread {
        say(format!("The hypervisor is not read: {why}."));
    }
    if let Some((why, more)) = seen.unloaded.split_first() {
        let more = if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
        say(format!("The configuration stays as it was before the last reload{more}: {}.", bare(why)));
    }
    if let Some(why) = seen.unserved.as_deref().map(bare) {
        say(format!("Outputs may not be served as configured: {why}. Mend the disk; every slot tries again."));
    }
    let shortest = status.shortest_interval().unwrap_or(u64::MAX);
    let since = status.at.since(status.last.as_ref().map_or(status.started, |last| last.at));
    if unread.is_none() && since > LATE * as_seconds(shortest) + LATE {
        say(format!("Nothing was measured for {}, though the shortest interval is {shortest}s.", age(since)));
    }
    let spool = &status.spool;
    let silent = status.at.since(spool.seen);
    if silent > HANGS {
        say(format!("The spool's disk has not answered for {}; what is said of it is as old.", age(silent)));
    }
    if let Some(why) = spool.failing.as_deref().map(bare) {
        say(format!("The spool cannot keep samples: {why}."));
    }
    for publisher in &status.publishers {
        if let Some(why) = publisher.trouble.as_deref().map(bare) {
            let (name, waiting) = (&publisher.name, samples(publisher.spooled));
            say(format!("{name} cannot deliver, and {waiting}: {why}."));
        }
        if !publisher.balances {
            say(format!("The books of {} do not balance. Please report this as a bug.", publisher.name));
        }
    }
    let waiting = status.publishers.iter().any(|publisher| publisher.spooled > 0);
    if waiting && spool.bytes > spool.max_bytes / NEARLY_FULL.1 * NEARLY_FULL.0 {
        say("The spool is nearly full; soon samples go, older points first.".to_owned());
    }
    if let Some(last) = &status.last {
        if let Some(why) = last.missing.as_deref().map(bare) {
            say(format!("Statistics of all guests are missing: {why}."));
        }
        if !last.stuck.is_empty() {
            let stuck = guests(last.stuck.len() as u64);
            say(format!("Calls are stuck in {stuck}, which give only what needs no process of theirs."));
        }
        if last.undefined > 0 {
            say(format!("Of {} it could not be read what they are.", guests(last.undefined)));
        }
    }
    if let Some(why) = deployments.missing {
        say(format!("Deployments are not kept: {}.", bare(&why)));
    }
    for (key, why) in deployments.lacking {
        if deployments.rows.iter().all(|row| row.key != key) {
            say(format!("{key} is not deployed any more: {}.", bare(&why)));
        }
    }
    for why in &seen.refused {
        say(format!("{}.", bare(why)));
    }
    for row in deployments.rows {
        if let Some(why) = &row.lacks {
            let (key, why) = (&row.key, bare(why));
            say(format!("{key} would not run after a restart: {why}. Send SIGHUP once that is mended."));
        }
        match row.state {
            Standing::Broken { why } => say(format!("{} cannot run: {}.", row.key, bare(&why))),
            Standing::Quarantined { until, cause } if row.last.is_none() => {
                let left = age(until.since(status.at));
                say(format!("{} is in quarantine for another {left}: it failed with {cause}.", row.key));
            }
            _ => {}
        }
    }
    for module in status.modules.iter().filter(|module| !module.failing.is_empty()) {
        let name = match &*module.tenant {
            OPERATOR => module.name.clone(),
            tenant => format!("{tenant}/{}", module.name),
        };
        let pause = module.deployment.as_ref().and_then(|deployment| deployment.pause.as_ref());
        match pause.and_then(|pause| Some((pause.until?, &pause.why))) {
            Some((until, why)) => {
                let left = age(until.since(status.at));
                say(format!("{name} is in quarantine for another {left}: it failed with {why}."));
            }
            None => say(format!("{name} failed in the last slot: {}.", module.failing.join(", "))),
        }
    }
    troubles
}

/// A sentence has one end: a remedy may be a question.
fn ended(mut sentence: String) -> String {
    if sentence.ends_with("?.") {
        sentence.pop();
    }
    sentence
}

/// Without a full stop, which brokers and libvirt put behind some of what they say.
fn bare(why: &str) -> &str {
    why.trim_end_matches('.')
}

#[allow(clippy::cast_precision_loss, reason = "an interval, which is at most some years")]
fn as_seconds(interval: u64) -> f64 {
    interval as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_once() {
        let said = "Login was refused. For details see the broker logfile";
        assert_eq!([bare(&format!("{said}.")), bare(said)], [said; 2]);
        let ended = |sentence: &str| ended(sentence.to_owned());
        assert_eq!([ended("Did you mean `a`?."), ended("It is so.")], ["Did you mean `a`?", "It is so."]);
    }
}
