use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::clock::Moment;
use crate::contract::{Meter, Moment as At};
use crate::discovery::{Ident, Label};
use crate::pipeline::Route;
use crate::publish::id::Ids;
use crate::spool::log::Sequence;

/// Tenant, meter and kind of what is measured here.
const METERS: [(&str, &str, Kind); 4] = [
    (OPERATOR, "cpu", Kind::Cumulative),
    (OPERATOR, "memory", Kind::Gauge),
    (OPERATOR, "growth", Kind::Delta),
    ("tenant", "theirs", Kind::Delta),
];

/// A slot's samples: meter, resource and value, in this order.
type Values3 = BTreeMap<(usize, u32), u64>;

fn record(number: u64, values: &Values3) -> Record {
    record_of("", None, number, values)
}

/// The same with volumes in another unit, made by a sink.
fn record_of(unit: &str, sink: Option<&str>, number: u64, values: &Values3) -> Record {
    let at = Moment { wall: number.cast_signed(), monotonic: number };
    // Each of a start of its own.
    let first = Ids::new("host", Moment { wall: at.wall * 1_000_000, monotonic: 0 }).take(at, 0);
    let resource = |n| Resource { ident: Ident(n), root: n, label: Arc::new(Label::bare(&format!("r{n}"))) };
    let resources = Arc::new(Resources::listed((0..5).map(resource).collect()));
    let samples = METERS.iter().enumerate().map(|(meter, (tenant, name, kind))| {
        let of_meter = values.iter().filter(|((at, _), _)| *at == meter);
        let (resources, values) = of_meter.map(|((_, resource), value)| (*resource, *value)).unzip();
        Samples {
            module: "m".into(),
            tenant: (*tenant).into(),
            meter: Arc::new(Meter { name: (*name).to_owned(), kind: *kind, unit: unit.to_owned() }),
            at: At { wall: at.wall, monotonic: None },
            column: Column { resources, values: Values::Counts(values) },
            notes: vec![note()],
            first_id: first.from(100 * meter),
            route: Route::default(),
            sink: sink.map(Into::into),
        }
    });
    let samples = samples.filter(|samples| !samples.column.is_empty()).collect();
    let (counts, payload) = record::of_slot(&Slot { at, resources, samples }, &Memory::default());
    Record { sequence: Sequence(number), time: at.wall, counts, payload }
}

/// A number of its own for each resource, as metadata.
fn note() -> NoteColumn {
    let column = Column { resources: (0..5).collect(), values: Values::Counts((100..105).collect()) };
    NoteColumn { key: "own".into(), column, texts: [].into() }
}

/// All samples of a record: time, meter, resource, value and id.
fn samples(payload: &[u8]) -> Vec<(i64, String, String, u64, Uuid)> {
    let Content::Slot(slot) = record::read(payload).unwrap() else { panic!("a slot was written") };
    let mut all = Vec::new();
    for samples in &slot.samples {
        let Values::Counts(values) = &samples.column.values else { panic!("counts were written") };
        let on = &samples.notes[0].column;
        for (place, (number, value)) in samples.column.resources.iter().zip(values).enumerate() {
            let Values::Counts(own) = &on.values else { panic!("counts were written") };
            let own = own[on.resources.binary_search(number).unwrap()];
            assert_eq!(slot.resources.get(*number).unwrap().label.id, format!("r{}", own - 100));
            let id = slot.resources.get(*number).unwrap().label.id.clone();
            all.push((samples.at.wall, samples.meter.name.clone(), id, *value, samples.first_id.at(place)));
        }
    }
    all
}

/// The newest point of a counter, and of those before it what was greater than all after it.
fn since_resets(points: &[(i64, u64)]) -> Vec<(i64, u64)> {
    let mut kept: Vec<(i64, u64)> = Vec::new();
    for point in points.iter().rev() {
        if kept.last().is_none_or(|last| point.1 > last.1) {
            kept.push(*point);
        }
    }
    kept.reverse();
    kept
}

fn slots() -> impl Strategy<Value = Vec<Values3>> {
    let values = prop::collection::btree_map((0..METERS.len(), 0u32..5), 0u64..1000, 0..20);
    prop::collection::vec(values, 1..6)
}

proptest! {
    #[test]
    fn newest_points_stay_and_deltas_add_up(slots in slots()) {
        let records: Vec<Record> = (1..).zip(&slots).map(|(number, values)| record(number, values)).collect();
        let all: Vec<_> = records.iter().flat_map(|record| samples(&record.payload)).collect();
        for (pass, step) in PASSES.into_iter().enumerate() {
            let thinned = Rule.thin(pass, &records, &Counts::new()).unwrap();
            let left = samples(&thinned.payload);
            let Content::Slot(slot) = record::read(&thinned.payload).unwrap() else { panic!("a slot was written") };
            for samples in &slot.samples {
                let (on, of) = (&samples.notes[0].column.resources, &samples.column.resources);
                prop_assert_eq!((on.first(), on.last()), (of.first(), of.last()), "notes end where samples do");
            }
            prop_assert_eq!(thinned.counts.samples(), left.len() as u64);
            for (at, meter, resource, value, id) in &left {
                let before = all.iter().find(|sample| sample.4 == *id).unwrap();
                prop_assert_eq!((&before.1, &before.2, before.0), (meter, resource, *at), "ids are whose they were");
                let merges = ["growth", "theirs"].contains(&meter.as_str());
                prop_assert!(*value == before.3 || merges);
            }
            for (number, (tenant, meter, kind)) in METERS.into_iter().enumerate() {
                for resource in (0..5).map(|n| format!("r{n}")) {
                    let of = |all: &[(i64, String, String, u64, Uuid)]| -> Vec<(i64, u64)> {
                        let own = all.iter().filter(|sample| sample.1 == meter && sample.2 == resource);
                        own.map(|sample| (sample.0, sample.3)).collect()
                    };
                    let (before, after) = (of(&all), of(&left));
                    let sum = |points: &[(i64, u64)]| points.iter().map(|(_, value)| *value).sum::<u64>();
                    let folds = match step {
                        Pass::HandedIn | Pass::BeyondShare => false,
                        Pass::OlderOfTenants => tenant != OPERATOR,
                        Pass::Tenants => {
                            prop_assert!(tenant == OPERATOR || after.is_empty());
                            if tenant != OPERATOR { continue }
                            false
                        }
                        Pass::OlderCounters => kind != Kind::Gauge,
                        Pass::OlderGauges => true,
                    };
                    match (folds, kind) {
                        (false, _) => prop_assert_eq!(&before, &after, "{} {}", number, meter),
                        (true, Kind::Delta) => {
                            prop_assert_eq!(sum(&before), sum(&after));
                            prop_assert!(after.len() <= 1);
                        }
                        (true, Kind::Gauge) => prop_assert_eq!(before.last().into_iter().copied().collect::<Vec<_>>(), after),
                        (true, Kind::Cumulative) => prop_assert_eq!(since_resets(&before), after),
                    }
                }
            }
        }
    }
}

/// A meter that measures something else since then, or another sink's that has the same name.
#[test]
fn what_is_of_another_unit_or_sink_is_not_added() {
    let values = BTreeMap::from([((2, 0), 5)]);
    let of = |unit, sink, number| record_of(unit, sink, number, &values);
    let records = [of("ns", None, 1), of("B", None, 2), of("B", Some("s"), 3), of("B", None, 4), of("B", Some("t"), 5)];
    let left = samples(&Rule.thin(PASSES.len() - 1, &records, &Counts::new()).unwrap().payload);
    assert_eq!(left.iter().map(|sample| (sample.0, sample.3)).collect::<Vec<_>>(), [(1, 5), (3, 5), (4, 10), (5, 5)]);
}

#[test]
fn a_tenant_with_more_than_its_share_goes_first() {
    let values = BTreeMap::from([((0, 0), 1), ((3, 0), 1)]);
    let records = [record(1, &values), record(2, &values)];
    let held = |number| records[0].counts.iter().map(|(key, _)| (key.clone(), number)).collect::<Counts>();
    // As much as the operator's is more than a share.
    let thinned = Rule.thin(1, &records, &held(20)).unwrap();
    assert!(samples(&thinned.payload).iter().all(|sample| sample.1 == "cpu"));
    assert!(Rule.may_thin(1, &records[0].counts, &held(20)));
    let only_ours = record(1, &BTreeMap::from([((0, 0), 1)])).counts;
    assert!((0..4).all(|pass| !Rule.may_thin(pass, &only_ours, &held(20))));
}

#[test]
fn what_was_handed_in_goes_first() {
    let (payload, counts) = (record::of_samples(None, &["{}".to_owned()]), record::replayed(None, ["cpu"]));
    let handed_in = Record { sequence: Sequence(2), time: 0, counts, payload };
    let measured = record(1, &BTreeMap::from([((0, 0), 1)]));
    assert!(Rule.may_thin(0, &handed_in.counts, &Counts::new()));
    assert!(!Rule.may_thin(0, &measured.counts, &Counts::new()));
    let both = Rule.thin(0, &[measured.clone(), handed_in.clone()], &Counts::new()).unwrap();
    assert_eq!((samples(&both.payload), &both.counts), (samples(&measured.payload), &measured.counts));
    let alone = Rule.thin(0, std::slice::from_ref(&handed_in), &Counts::new()).unwrap();
    assert!(alone.counts.samples() == 0 && alone.payload.len() < handed_in.payload.len());
    // Nothing of it is in the way of what is measured after it.
    let nothing = Record { counts: alone.counts, payload: alone.payload, ..handed_in };
    let joined = Rule.thin(PASSES.len() - 1, &[nothing, measured.clone()], &Counts::new()).unwrap();
    assert_eq!(samples(&joined.payload), samples(&measured.payload));
}
