//! What a module remembers of a resource follows it, whatever its number is in a slot.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmeter::contract::{Series, Values};
use wasmeter::hypervisor::Record;
use wasmeter::sandbox::Module;
use wasmeter::sandbox::host::Input;
use wasmeter::sandbox::host::state::State;

use crate::support::{Host, LIMITS, hostile, module, poll_with};

/// Values of the first series by the lasting ids of their resources.
fn by_id(input: &Input, series: &[Series]) -> BTreeMap<String, u64> {
    let Some(series) = series.first() else { return BTreeMap::new() };
    let Values::Counts(values) = &series.column.values else { panic!("{series:?}") };
    let id = |number: &u32| input.snapshot.resources.get(*number).unwrap().label.id.clone();
    series.column.resources.iter().map(id).zip(values.iter().copied()).collect()
}

struct Memory {
    host: Host,
    state: Arc<State>,
    honest: Module,
    recalls: Module,
}

impl Memory {
    async fn of(guests: u32) -> Self {
        let honest = module(&hostile(), "", LIMITS).await.unwrap();
        let recalls = module(&hostile(), "give: what was remembered", LIMITS).await.unwrap();
        Self { host: Host::of(guests), state: Arc::default(), honest, recalls }
    }

    /// What was remembered before this slot, and what is true in it, which is remembered for the next.
    async fn slot(&mut self, happens: impl FnOnce(&mut Vec<Record>)) -> [BTreeMap<String, u64>; 2] {
        let input = self.host.slot_of(happens);
        let remembered = poll_with(&self.recalls, &input, &self.state).await.result.unwrap();
        let now = poll_with(&self.honest, &input, &self.state).await.result.unwrap();
        let found = [by_id(&input, &remembered.output), by_id(&input, &now.output)];
        Arc::make_mut(&mut self.state).commit(remembered.writes);
        found
    }
}

#[tokio::test]
async fn a_cell_follows_its_resource() {
    let mut memory = Memory::of(5).await;
    let [nothing, first] = memory.slot(|_| {}).await;
    assert_eq!((nothing.len(), first.len()), (0, 5));
    // The same guests in another order have other numbers.
    let [remembered, second] = memory.slot(|records| records.reverse()).await;
    assert_eq!(remembered, first);
    assert_ne!(second, first);
    let [remembered, _] = memory.slot(|records| records.rotate_left(2)).await;
    assert_eq!(remembered, second);
}

#[tokio::test]
async fn a_guest_that_was_away_goes_on_where_it_was() {
    let mut memory = Memory::of(5).await;
    let [_, first] = memory.slot(|_| {}).await;
    let [remembered, second] = memory.slot(|records| drop(records.remove(0))).await;
    assert_eq!((remembered.len(), second.len()), (4, 4));
    assert!(remembered.iter().all(|(id, value)| first[id] == *value), "{remembered:?} of {first:?}");
    let [remembered, _] = memory.slot(|_| {}).await;
    let expected = first.into_iter().chain(second).collect::<BTreeMap<_, _>>();
    assert_eq!(remembered, expected);
}
