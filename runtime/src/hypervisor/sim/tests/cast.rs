//! Who the guests are.

use super::*;

#[test]
fn a_small_host_shows_every_kind_of_guest() {
    for seed in 1..=20 {
        let (sim, _) = host(&format!("sim://?seed={seed}&calm=true"), START);
        let records = read(&sim, every_group());
        let mut connection = sim.connect().unwrap();
        let definitions: Vec<_> =
            records.iter().map(|record| connection.define(record.guest).unwrap().unwrap()).collect();
        let novas: Vec<_> = definitions.iter().filter_map(|definition| definition.nova.as_ref()).collect();
        let distinct = |of: &dyn Fn(&crate::hypervisor::Nova) -> String| {
            novas.iter().map(|nova| of(nova)).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(distinct(&|nova| nova.project_id.clone()), 4);
        assert_eq!(distinct(&|nova| nova.user_id.clone()), 8);
        assert_eq!(distinct(&|nova| nova.flavor.name.clone()), 4);
        assert!(novas.iter().all(|nova| nova.project_id.len() == 32));
        assert!(novas.iter().any(|nova| nova.metadata.iter().any(|(key, _)| key == "metering.stack")));
        assert!(novas.iter().any(|nova| nova.image_id.is_none()) && novas.iter().any(|nova| nova.image_id.is_some()));
        assert!(definitions.iter().flat_map(|d| &d.disks).any(|disk| disk.target == "hdc" && !disk.has_source));
        let filters = definitions.iter().flat_map(|d| &d.nics).filter(|nic| nic.filter.is_some());
        assert!(filters.clone().all(|nic| !nic.parameters.is_empty()));
        assert!(records.iter().any(|record| words(record).contains("perf")));
        assert!(records.iter().any(|record| numbers(record, "vcpu.*.time") == [0, 2, 3, 4]));
        assert!(records.iter().any(|record| numbers(record, "vcpu.*.wait").is_empty()));
        for (record, definition) in records.iter().zip(&definitions) {
            assert_eq!(numbers(record, "block.*.name").len(), definition.disks.len());
            assert_eq!(numbers(record, "net.*.name").len(), definition.nics.len());
            assert_eq!(value(record, "block.count", 0), definition.disks.len().try_into().ok());
            let kib = |key: &str| value(record, &format!("balloon.{key}"), 0).unwrap();
            assert!(kib("unused") <= kib("usable") && kib("usable") <= kib("available"));
            assert!(kib("available") <= kib("current") && kib("current") <= kib("maximum"));
            assert!(value(record, "block.*.allocation", 0) <= value(record, "block.*.capacity", 0));
        }
    }
}

#[test]
fn ten_thousand_guests_are_fine() {
    let (sim, clock) = host("sim://?domains=10000&seed=9", START);
    let records = read(&sim, every_group().without_monitor());
    let states = |state: u64| records.iter().filter(|record| value(record, "state.state", 0) == Some(state)).count();
    assert!((9_780..9_900).contains(&records.len()), "{}", records.len());
    assert!((400..600).contains(&states(5)), "{}", states(5));
    assert!((1..60).contains(&states(3)), "{}", states(3));
    assert_eq!(records.len(), states(1) + states(3) + states(5));

    let mut connection = sim.connect().unwrap();
    let definitions: Vec<_> = records.iter().filter_map(|record| connection.define(record.guest).unwrap()).collect();
    let nics: Vec<_> = definitions.iter().flat_map(|definition| &definition.nics).collect();
    let distinct = |of: fn(&crate::hypervisor::Nic) -> &str| nics.iter().map(|nic| of(nic)).collect::<BTreeSet<_>>();
    assert_eq!(distinct(|nic| &nic.target).len(), nics.len());
    assert_eq!(distinct(|nic| &nic.mac).len(), nics.len());
    assert!(nics.iter().all(|nic| nic.target.len() == 14));
    let disks =
        |n: usize| definitions.iter().filter(|d| d.disks.iter().filter(|disk| disk.has_source).count() == n).count();
    assert!((1..=4).all(|n| disks(n) > 1_500) && (1..=4).map(disks).sum::<usize>() == definitions.len());

    for wall in [i64::MIN, 0, 1_735_689_600 * SECOND, i64::MAX] {
        clock.set(wall);
        assert!(read(&sim, every_group().without_monitor()).len() > 9_000);
        let (calm, _) = host("sim://?domains=100&calm=true&disks=2&nics=16", wall);
        assert!(read(&calm, every_group()).iter().all(|record| numbers(record, "net.*.name").len() == 16));
    }
}
