//! How many samples went through what, since a configuration is in force.

use crate::clock::{Moment, SECOND};

/// Counts of samples, by what they went through.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// When the first slot was handed over, and the last.
    span: Option<(Moment, Moment)>,
    /// What each pipeline took, in the order of the configuration.
    pipelines: Vec<Count>,
    /// What came out of each sink.
    sinks: Vec<Count>,
    /// What each transformer of each sink did.
    links: Vec<Vec<Link>>,
}

/// How many samples there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// In all.
    pub in_all: u64,
    /// In the last slot.
    pub last: u64,
    /// In the first slot, which no time passed before that is known.
    first: u64,
}

/// What a transformer did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Samples that it gave.
    pub gave: Count,
    /// Samples that it was handed and failed for.
    pub failed: Count,
}

// === impl Flow ===

impl Flow {
    /// Of so many pipelines, and of sinks with so many transformers.
    pub fn of(pipelines: usize, sinks: impl Iterator<Item = usize>) -> Self {
        let links: Vec<Vec<Link>> = sinks.map(|links| vec![Link::default(); links]).collect();
        let sinks = vec![Count::default(); links.len()];
        Self { span: None, pipelines: vec![Count::default(); pipelines], sinks, links }
    }

    /// What follows is of this slot. What modules of tenants give later is of the same.
    pub fn turn_to(&mut self, at: Moment) {
        match &mut self.span {
            Some((_, last)) if last.monotonic >= at.monotonic => return,
            Some((_, last)) => *last = at,
            None => self.span = Some((at, at)),
        }
        let links = self.links.iter_mut().flatten().flat_map(|link| [&mut link.gave, &mut link.failed]);
        self.pipelines.iter_mut().chain(&mut self.sinks).chain(links).for_each(|count| count.last = 0);
    }

    /// A pipeline took samples.
    pub fn took(&mut self, pipeline: usize, samples: usize) {
        let is_first = self.is_first();
        self.pipelines.get_mut(pipeline).into_iter().for_each(|count| count.add(samples, is_first));
    }

    /// Samples came out of a sink.
    pub fn gave(&mut self, sink: usize, samples: usize) {
        let is_first = self.is_first();
        self.sinks.get_mut(sink).into_iter().for_each(|count| count.add(samples, is_first));
    }

    /// A transformer of a sink gave samples, and failed for some that it was handed.
    pub fn transformed(&mut self, sink: usize, link: usize, gave: usize, failed: u32) {
        let is_first = self.is_first();
        if let Some(link) = self.links.get_mut(sink).and_then(|links| links.get_mut(link)) {
            link.gave.add(gave, is_first);
            link.failed.add(failed as usize, is_first);
        }
    }

    /// When the first slot was handed over, in nanoseconds since 1970.
    pub fn since(&self) -> Option<i64> {
        self.span.map(|(first, _)| first.wall)
    }

    /// What each pipeline took.
    pub fn pipelines(&self) -> &[Count] {
        &self.pipelines
    }

    /// What came out of each sink, and what each of its transformers did.
    pub fn sinks(&self) -> impl Iterator<Item = (Count, &[Link])> {
        self.sinks.iter().copied().zip(self.links.iter().map(Vec::as_slice))
    }

    /// How many there were in a second, once there were two slots.
    #[allow(clippy::cast_precision_loss, reason = "a rate that people look at")]
    pub fn per_second(&self, count: Count) -> Option<f64> {
        let (first, last) = self.span?;
        let passed = last.monotonic.saturating_sub(first.monotonic);
        let seconds = passed as f64 / SECOND.unsigned_abs() as f64;
        (passed > 0).then(|| count.in_all.saturating_sub(count.first) as f64 / seconds)
    }

    fn is_first(&self) -> bool {
        self.span.is_none_or(|(first, last)| first.monotonic == last.monotonic)
    }
}

// === impl Count ===

impl Count {
    fn add(&mut self, samples: usize, is_first: bool) {
        let samples = samples as u64;
        self.in_all += samples;
        self.last += samples;
        if is_first {
            self.first += samples;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Moment {
        Moment { wall: 0, monotonic: second * SECOND.unsigned_abs() }
    }

    #[test]
    fn rates_are_of_the_time_that_passed() {
        let mut flow = Flow::of(1, [1].into_iter());
        flow.turn_to(at(100));
        flow.took(0, 50);
        let count = |flow: &Flow| flow.pipelines()[0];
        assert_eq!((count(&flow).last, flow.per_second(count(&flow))), (50, None));
        flow.turn_to(at(110));
        flow.took(0, 30);
        // What comes later in the same slot.
        flow.turn_to(at(110));
        flow.took(0, 10);
        assert_eq!((count(&flow).in_all, count(&flow).last), (90, 40));
        assert_eq!(flow.per_second(count(&flow)), Some(4.0));
        flow.turn_to(at(120));
        assert_eq!((count(&flow).last, flow.per_second(count(&flow))), (0, Some(2.0)));
        // What there is not, is not counted, and harms nobody.
        flow.took(7, 1);
        flow.gave(7, 1);
    }
}
