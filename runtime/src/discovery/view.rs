//! The part of a slot's resources that one call may see.
//!
//! A call has numbers of its own for them, from 0 on and in the same order: those of the slot would tell it how many
//! there are of others'.

use std::ops::Range;
use std::sync::Arc;

use super::resource::{Resources, among};
use crate::contract::{Column, Values};

/// Some roots with their parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    roots: Vec<Range<u32>>,
    visible: Vec<Range<u32>>,
    /// The call's number of the first resource of each visible range.
    firsts: Vec<u32>,
}

// === impl View ===

impl View {
    /// A view of these roots, given as ascending ranges.
    pub fn of(resources: &Resources, roots: Vec<Range<u32>>) -> Self {
        let roots: Vec<_> = roots.into_iter().filter(|range| !range.is_empty()).collect();
        let visible = resources.with_parts(&roots);
        let firsts = visible.iter().scan(0, |next, range| {
            let first = *next;
            *next += range.end - range.start;
            Some(first)
        });
        Self { firsts: firsts.collect(), visible, roots }
    }

    /// A view of all other roots.
    pub fn others(&self, resources: &Resources) -> Self {
        let (mut others, mut start) = (Vec::with_capacity(self.roots.len() + 1), resources.roots().start);
        for root in &self.roots {
            others.push(start..root.start);
            start = root.end;
        }
        others.push(start..resources.roots().end);
        Self::of(resources, others)
    }

    /// How many roots there are.
    pub fn roots(&self) -> u32 {
        self.roots.iter().map(|range| range.end - range.start).sum()
    }

    /// How many resources there are, parts included.
    pub fn resources(&self) -> u32 {
        self.visible.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether the call's numbers are those of the slot.
    pub fn is_numbered_as_the_slot(&self) -> bool {
        self.visible.iter().zip(&self.firsts).all(|(range, first)| range.start == *first)
    }

    /// The slot's numbers of all resources, in the order of the call's.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.visible.iter().cloned().flatten()
    }

    /// Whether a number of the slot's may be seen.
    pub fn contains(&self, number: u32) -> bool {
        among(&self.visible, number)
    }

    /// The call's number of a resource.
    pub fn own(&self, number: u32) -> Option<u32> {
        let at = self.visible.partition_point(|range| range.end <= number);
        let range = self.visible.get(at).filter(|range| range.contains(&number))?;
        Some(self.firsts.get(at)? + (number - range.start))
    }

    /// The slot's number of a resource.
    pub fn of_slot(&self, own: u32) -> Option<u32> {
        let at = self.firsts.partition_point(|first| *first <= own).checked_sub(1)?;
        let (first, range) = (self.firsts.get(at)?, self.visible.get(at)?);
        Some(range.start + (own - first)).filter(|number| range.contains(number))
    }

    /// Whether all of these numbers of the call's ascend and were handed to it.
    pub fn admits(&self, numbers: &[u32]) -> Result<(), Forged> {
        let (mut least, end) = (0, self.resources());
        for number in numbers {
            if *number < least {
                return Err(Forged::Order(*number));
            }
            if *number >= end {
                return Err(Forged::Unseen(*number));
            }
            least = number.saturating_add(1);
        }
        Ok(())
    }

    /// Views of at most so many roots each.
    pub fn chunks(self: &Arc<Self>, resources: &Resources, most: u32) -> Vec<Arc<Self>> {
        // Most have few, and would find what they are part of once more.
        if (1..=most).contains(&self.roots()) {
            return vec![Arc::clone(self)];
        }
        let (mut views, mut chunk, mut room) = (Vec::new(), Vec::new(), most.max(1));
        for range in &self.roots {
            let mut start = range.start;
            while start < range.end {
                let end = range.end.min(start.saturating_add(room));
                chunk.push(start..end);
                room -= end - start;
                start = end;
                if room == 0 {
                    views.push(Arc::new(Self::of(resources, std::mem::take(&mut chunk))));
                    room = most.max(1);
                }
            }
        }
        if !chunk.is_empty() {
            views.push(Arc::new(Self::of(resources, chunk)));
        }
        views
    }

    /// Two views of half the roots each; `None` if there is but one root.
    pub fn halves(self: &Arc<Self>, resources: &Resources) -> Option<(Arc<Self>, Arc<Self>)> {
        let roots = self.roots();
        let mut halves = (roots > 1).then(|| self.chunks(resources, roots.div_ceil(2)))?.into_iter();
        halves.next().zip(halves.next())
    }

    /// How many entries of a column may be seen.
    pub fn count(&self, column: &Column) -> usize {
        self.spans(column).map(|span| span.len()).sum()
    }

    /// The entries of a column that may be seen.
    pub fn slice(&self, column: &Column) -> Column {
        let mut spans = Vec::with_capacity(self.visible.len());
        spans.extend(self.spans(column));
        let values = match &column.values {
            Values::Counts(values) => Values::Counts(pick(values, &spans)),
            Values::Integers(values) => Values::Integers(pick(values, &spans)),
            Values::Reals(values) => Values::Reals(pick(values, &spans)),
            Values::Interned(values) => Values::Interned(pick(values, &spans)),
        };
        Column { resources: pick(&column.resources, &spans), values }
    }

    /// The entries of a column that may be seen, by the call's numbers.
    pub fn hand(&self, column: &Column) -> Column {
        let mut handed = self.slice(column);
        let (mut rest, mut ranges) = (handed.resources.as_mut_slice(), self.visible.iter().zip(&self.firsts));
        while let (false, Some((range, first))) = (rest.is_empty(), ranges.next()) {
            let (these, others) = rest.split_at_mut(rest.partition_point(|number| *number < range.end));
            these.iter_mut().for_each(|number| *number = first + (*number - range.start));
            rest = others;
        }
        handed
    }

    /// Turns ascending numbers of the call's, which it was handed, into the slot's.
    pub fn take_back(&self, numbers: &mut [u32]) {
        let (mut rest, mut ranges) = (numbers, self.visible.iter().zip(&self.firsts));
        while let (false, Some((range, first))) = (rest.is_empty(), ranges.next()) {
            let end = first + (range.end - range.start);
            let (these, others) = rest.split_at_mut(rest.partition_point(|number| *number < end));
            these.iter_mut().for_each(|number| *number = range.start + (*number - first));
            rest = others;
        }
    }

    /// Where in a column the entries are that may be seen.
    fn spans(&self, column: &Column) -> impl Iterator<Item = Range<usize>> {
        let spans = self.visible.iter().map(|range| {
            let start = column.resources.partition_point(|number| *number < range.start);
            let end = column.resources.partition_point(|number| *number < range.end);
            start..end
        });
        spans.filter(|span| !span.is_empty())
    }
}

fn pick<T: Copy>(from: &[T], spans: &[Range<usize>]) -> Vec<T> {
    let mut picked = Vec::with_capacity(spans.iter().map(ExactSizeIterator::len).sum());
    for span in spans {
        picked.extend_from_slice(from.get(span.clone()).unwrap_or_default());
    }
    picked
}

/// Why a list of resources is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// The list does not ascend.
    #[error("resource {0} comes after a greater or equal one")]
    Order(u32),
    /// The call was not handed this resource.
    #[error("resource {0} was not handed to this call")]
    Unseen(u32),
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::discovery::label::Label;
    use crate::discovery::resource::{GuestResources, Ident, Resource};

    fn numbered(parts: &[[usize; 3]]) -> Resources {
        let label = Arc::new(Label::bare("x"));
        let part = |n: usize| vec![(Ident(0), Arc::clone(&label)); n];
        let guest = |[a, b, c]: &[usize; 3]| GuestResources {
            ident: Ident(0),
            label: Arc::clone(&label),
            parts: [part(*a), part(*b), part(*c)],
        };
        Resources::number(&parts.iter().map(guest).collect::<Vec<_>>(), &[(Ident(0), Arc::clone(&label))])
    }

    #[test]
    fn guests_of_projects_are_ranges() {
        let label = |project: &str| Arc::new(Label { project: Some(project.into()), ..Label::bare("x") });
        let guest = |project| GuestResources { ident: Ident(0), label: label(project), parts: Default::default() };
        let guests = ["a", "b", "a", "a", "c", "b"].map(guest);
        // What is no guest is nobody's, whatever it says.
        let resources = Resources::number(&guests, &[(Ident(0), label("a"))]);
        assert_eq!(resources.guests_of(|project| project == "a"), [0..1, 2..4]);
        assert_eq!(resources.guests_of(|project| ["a", "b"].contains(&project)), [0..4, 5..6]);
        assert!(resources.guests_of(|project| project == "d").is_empty());
        let by_project = resources.by_project();
        for projects in [&["a"][..], &["b", "a"], &["c", "d"], &[]] {
            let projects = projects.iter().map(|project| (*project).to_owned()).collect();
            let ranges = by_project.of(&projects).into_iter().flatten();
            let guests = resources.guests_of(|project| projects.contains(project)).into_iter().flatten();
            assert_eq!(ranges.collect::<Vec<_>>(), guests.collect::<Vec<_>>());
        }
    }

    /// The same with a declared part of each of these roots, as far as there are so many.
    fn with_declared(resources: &Resources, of: &[u32]) -> Resources {
        let roots = resources.roots();
        let part = |root: &u32| Resource { ident: Ident(1), root: *root, label: Arc::new(Label::bare("y")) };
        resources.with_declared(of.iter().filter(|root| roots.contains(root)).map(part).collect())
    }

    proptest! {
        /// What a view does not see, another one sees that has all other roots.
        #[test]
        fn others_are_the_rest(
            parts in prop::collection::vec([0usize..3, 0..3, 0..3], 0..40),
            declared in prop::collection::vec(0u32..41, 0..60), theirs in prop::collection::btree_set(0u32..40, 0..40),
        ) {
            let resources = with_declared(&numbered(&parts), &declared);
            let roots = theirs.into_iter().filter(|root| *root < resources.roots().end);
            let view = View::of(&resources, roots.map(|root| root..root + 1).collect());
            let others = view.others(&resources);
            prop_assert_eq!(view.roots() + others.roots(), resources.roots().end);
            prop_assert!((0..resources.len()).all(|number| view.contains(number) != others.contains(number)));
        }

        /// Chunks part the whole: every resource is in exactly one, with its root.
        #[test]
        fn chunks_part_the_whole(
            parts in prop::collection::vec([0usize..3, 0..3, 0..3], 0..40), most in 1u32..20,
            declared in prop::collection::vec(0u32..41, 0..60),
        ) {
            let resources = with_declared(&numbered(&parts), &declared);
            let whole = Arc::new(View::of(&resources, vec![resources.roots()]));
            prop_assert_eq!(whole.resources(), resources.len());
            let chunks = whole.chunks(&resources, most);
            let mut seen: Vec<u32> = Vec::new();
            for chunk in &chunks {
                prop_assert!(chunk.roots() <= most);
                for number in chunk.numbers() {
                    prop_assert!(chunk.contains(resources.get(number).unwrap().root));
                    prop_assert!(chunk.contains(number));
                    seen.push(number);
                }
                let own: Vec<u32> = (0..chunk.resources()).collect();
                prop_assert_eq!(chunk.admits(&own), Ok(()));
                let mut numbers = own.clone();
                chunk.take_back(&mut numbers);
                prop_assert!(numbers.iter().copied().eq(chunk.numbers()));
                prop_assert!(own.iter().all(|own| chunk.of_slot(*own).and_then(|number| chunk.own(number)) == Some(*own)));
                prop_assert_eq!(chunk.of_slot(chunk.resources()), None);
                prop_assert!((0..resources.len()).all(|number| chunk.own(number).is_some() == chunk.contains(number)));
                prop_assert_eq!(chunk.is_numbered_as_the_slot(), numbers == own);
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..resources.len()).collect::<Vec<_>>());
        }

        #[test]
        fn slices_hold_what_is_seen(
            parts in prop::collection::vec([0usize..3, 0..3, 0..3], 1..20),
            from in 0u32..20, length in 0u32..20, has in prop::collection::btree_set(0u32..140, 0..140),
            declared in prop::collection::vec(0u32..21, 0..30),
        ) {
            let resources = with_declared(&numbered(&parts), &declared);
            let guests = resources.guests();
            let from = from.min(guests.end);
            let view = View::of(&resources, vec![from..guests.end.min(from + length)]);
            let has: Vec<u32> = has.into_iter().filter(|n| *n < resources.len()).collect();
            let column = Column { values: Values::Counts(has.iter().map(|n| u64::from(*n)).collect()), resources: has };
            let slice = view.slice(&column);
            let expected: Vec<u32> = column.resources.iter().copied().filter(|n| view.contains(*n)).collect();
            prop_assert_eq!(&slice.resources, &expected);
            prop_assert_eq!(view.count(&column), expected.len());
            prop_assert!(matches!(&slice.values, Values::Counts(v) if v.len() == expected.len()));
            // By the call's numbers it is the same.
            let mut handed = view.hand(&column);
            prop_assert_eq!(handed.len(), expected.len());
            prop_assert_eq!(view.admits(&handed.resources), Ok(()));
            view.take_back(&mut handed.resources);
            prop_assert_eq!(handed.resources, expected);
        }
    }

    #[test]
    fn forged_numbers_are_named() {
        let resources = numbered(&[[1, 0, 0], [1, 0, 0]]);
        let view = View::of(&resources, vec![1..2]);
        assert_eq!(view.admits(&[0, 1]), Ok(()));
        assert_eq!(view.admits(&[0, 2]), Err(Forged::Unseen(2)));
        assert_eq!(view.admits(&[0, 0]), Err(Forged::Order(0)));
        assert_eq!(view.admits(&[4_000_000_000]), Err(Forged::Unseen(4_000_000_000)));
    }
}
