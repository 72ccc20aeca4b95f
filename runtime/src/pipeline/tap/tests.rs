use super::*;
use crate::agent::OPERATOR;
use crate::clock::Moment;
use crate::contract::{Column, Kind, Meter, Values};
use crate::discovery::Label;
use crate::discovery::resource::{GuestResources, Ident, Resources};
use crate::pipeline::Route;
use crate::pipeline::route::Tag;
use crate::publish::id::Ids;

const AT: Moment = Moment { wall: 0, monotonic: 1 };

/// Samples of this meter of a tenant's module, so many of them.
pub(crate) fn samples(meter: &str, tenant: &str, rows: u32, route: Route) -> Samples {
    Samples {
        module: "m".into(),
        tenant: tenant.into(),
        meter: Arc::new(Meter { name: meter.to_owned(), kind: Kind::Gauge, unit: String::new() }),
        at: AT.into(),
        column: Column { resources: (0..rows).collect(), values: Values::Counts((0..u64::from(rows)).collect()) },
        notes: Vec::new(),
        first_id: Ids::new("host", AT).take(AT, 0),
        route,
        sink: None,
    }
}

/// A slot with one guest `a`, whose samples these are.
pub(crate) fn slot(samples: Vec<Samples>) -> Slot {
    let guest = GuestResources { ident: Ident(1), label: Arc::new(Label::bare("a")), parts: Default::default() };
    Slot { at: AT, resources: Arc::new(Resources::number(&[guest], &[])), samples }
}

fn wanted(point: Point, meters: &str, tenant: Option<&str>) -> Wanted {
    let meters = MeterFilter::new(vec![meters.to_owned()]).unwrap();
    Wanted { point, meters, tenant: tenant.map(str::to_owned) }
}

/// What waits in a tap.
fn waiting(tapped: &mut Tapped) -> Vec<(String, usize)> {
    let slot = tapped.receiver.try_recv().ok();
    let samples = slot.into_iter().flat_map(|slot| {
        tapped.state.waiting.fetch_sub(slot.len(), Ordering::AcqRel);
        slot.samples
    });
    samples.map(|samples| (samples.meter.name.clone(), samples.column.len())).collect()
}

#[test]
fn taps_see_what_passes_their_point() {
    let taps = Taps::default();
    let udp = "pipeline:udp://h:1";
    let mut all = taps.open(wanted(Point::Measured, "*", None)).unwrap();
    let mut of_meter = taps.open(wanted(Point::Measured, "cpu", None)).unwrap();
    let mut of_tenant = taps.open(wanted(Point::Measured, "*", Some("acme"))).unwrap();
    let mut of_output = taps.open(wanted(Point::Output(udp.to_owned()), "*", None)).unwrap();
    let slot = slot(vec![
        samples("cpu", OPERATOR, 3, Route::default()),
        samples("acme.x", "acme", 2, Route::default().and_to(&[Tag::of(udp)])),
        samples("cpu_util", OPERATOR, 1, Route::to(vec![Tag::of(udp)])),
        samples("none", OPERATOR, 0, Route::default()),
    ]);
    taps.show(&mut Sinks::default(), &slot);
    let named = |name: &str, rows| (name.to_owned(), rows);
    assert_eq!(waiting(&mut all), [named("cpu", 3), named("acme.x", 2)]);
    assert_eq!(waiting(&mut of_meter), [named("cpu", 3)]);
    assert_eq!(waiting(&mut of_tenant), [named("acme.x", 2)]);
    assert_eq!(waiting(&mut of_output), [named("acme.x", 2), named("cpu_util", 1)]);
    assert_eq!(all.left_out(), 0);
}

#[test]
fn points_have_names() {
    assert_eq!("measured".parse(), Ok(Point::Measured));
    assert_eq!("sink:a:b".parse(), Ok(Point::Sink("a:b".to_owned())));
    assert_eq!("output:pipeline:udp://h:1".parse(), Ok(Point::Output("pipeline:udp://h:1".to_owned())));
    let no = "there is no point sink; write measured, sink:NAME or output:NAME";
    assert_eq!("sink".parse::<Point>(), Err(no.to_owned()));
}

#[test]
fn there_are_a_few_at_most_and_those_that_end_make_room() {
    let taps = Taps::default();
    let mut open: Vec<Tapped> =
        (0..MOST_TAPS).map(|_| taps.open(wanted(Point::Measured, "*", None)).unwrap()).collect();
    assert!(taps.open(wanted(Point::Measured, "*", None)).is_none());
    open.pop();
    open.extend(taps.open(wanted(Point::Measured, "*", None)));
    assert_eq!(open.len(), MOST_TAPS);
    drop(open);
    taps.show(&mut Sinks::default(), &slot(Vec::new()));
    assert!(!taps.0.is_open.load(Ordering::Acquire), "nothing is looked at any more");
}

#[test]
fn what_does_not_fit_is_left_out_and_counted() {
    let taps = Taps::default();
    let mut tapped = taps.open(wanted(Point::Measured, "*", None)).unwrap();
    let most = u32::try_from(MOST_WAITING).unwrap();
    let large = slot(vec![
        samples("a", OPERATOR, most - 5, Route::default()),
        samples("b", OPERATOR, 6, Route::default()),
        samples("c", OPERATOR, 1, Route::default()),
    ]);
    taps.show(&mut Sinks::default(), &large);
    assert_eq!((tapped.left_out(), tapped.left_out()), (7, 0), "what follows in the slot is left out, too");
    assert_eq!(waiting(&mut tapped), [("a".to_owned(), MOST_WAITING - 5)]);
    // There is room again, until the slots are too many.
    let small = slot(vec![samples("d", OPERATOR, 1, Route::default())]);
    for _ in 0..MOST_SLOTS + 2 {
        taps.show(&mut Sinks::default(), &small);
    }
    assert_eq!(tapped.left_out(), 2);
    assert_eq!((0..MOST_SLOTS).map(|_| waiting(&mut tapped).len()).sum::<usize>(), MOST_SLOTS);
}
