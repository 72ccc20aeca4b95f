//! What a transformer is handed that is tried out: the operator's pollsters measure for it, unheard.

use std::sync::Arc;

use crate::agent::OPERATOR;
use crate::agent::polling::Poll;
use crate::agent::tenants::Convert;
use crate::clock::Moment;
use crate::contract::Series;
use crate::discovery::{Directory, Ident, Resources, Rules};
use crate::pipeline::Samples;
use crate::pipeline::stamp::Stamper;
use crate::publish::id::Ids;
use crate::sandbox::{Landed, Names};
use crate::schedule::plan::Work;

/// A transformer with those who measure for it.
pub(super) struct Handing {
    /// The operator's pollsters.
    pub(super) feeders: Vec<Feeder>,
    /// The names of their meters.
    pub(super) operators: Arc<Names>,
    /// How they call devices, and who is metered.
    pub(super) rules: Rules,
    /// The transformer, with nothing to convert yet.
    pub(super) convert: Convert,
}

/// A pollster of the operator's.
pub(super) struct Feeder {
    /// What is wanted of it.
    work: Work,
    poll: Poll,
}

// === impl Feeder ===

impl Feeder {
    /// One that measures what `like` would, and begins with nothing.
    pub(super) fn of(work: Work, like: &Poll, operators: &Arc<Names>) -> Self {
        let poll = Poll {
            tenant: OPERATOR.into(),
            module: Arc::clone(&work.module),
            names: Arc::clone(operators),
            state: Arc::default(),
            ..like.clone()
        };
        Self { work, poll }
    }
}

// === impl Handing ===

impl Handing {
    /// The transformer with all that is measured, and how many samples of that it takes.
    pub(super) async fn hand_over(self) -> (Convert, u32) {
        let Self { feeders, operators, rules, mut convert } = self;
        let mut measured = Vec::with_capacity(feeders.len());
        for Feeder { work, poll } in feeders {
            measured.push((work, poll.run().await.landed));
        }
        let (samples, resources) = stamp(measured, &operators, rules, &convert.resources, convert.at);
        let taken = samples.iter().filter(|samples| convert.meters.matches(&samples.meter.name));
        let handed = taken.map(|samples| samples.column.len()).sum::<usize>();
        (convert.samples, convert.resources) = (Arc::new(samples), resources);
        (convert, u32::try_from(handed).unwrap_or(u32::MAX))
    }
}

/// Samples of what was measured, and the resources with the parts that were declared.
fn stamp(
    measured: Vec<(Work, Vec<Landed<Vec<Series>>>)>,
    operators: &Names,
    rules: Rules,
    resources: &Arc<Resources>,
    at: Moment,
) -> (Vec<Samples>, Arc<Resources>) {
    // Nobody is told of these ids, names and parts.
    let (mut directory, mut names) = (Directory::new(rules), operators.clone());
    let first_id = Ids::new("", at).take(at, 0);
    let mut stamper = Stamper::new(resources, &[], OPERATOR.into(), at, first_id);
    for (work, landed) in measured {
        for mut landed in landed {
            let of = |series: &Series| (series.meter, series.column.len());
            names.land(work.module.giver(), &work.module.description.meters, &mut landed, of);
            stamper.stamp(&mut directory, &work, landed);
        }
    }
    let (samples, mut declared) = stamper.finish();
    if declared.is_empty() {
        return (samples, Arc::clone(resources));
    }
    // This directory knows no others. Counted from the other end, parts have the identities of nobody else.
    declared.iter_mut().for_each(|part| part.ident = Ident(u32::MAX - part.ident.0));
    (samples, Arc::new(resources.with_declared(declared)))
}
