//! What happens to guests and to their counters.

use super::*;

/// Everything that only grows, with the name of its device, as numbers of devices shift when one goes.
fn counters(record: &Record) -> BTreeMap<String, u64> {
    let names: BTreeMap<(bool, u32), &str> = record
        .stats
        .iter()
        .filter_map(|stat| match &stat.value {
            Value::Text(name) => Some(((stat.key.name().starts_with("net"), stat.number), &**name)),
            _ => None,
        })
        .collect();
    record
        .stats
        .iter()
        .filter_map(|stat| {
            let (key, Value::Count(count)) = (stat.key.name(), &stat.value) else { return None };
            let grows =
                [".rd.", ".wr.", ".fl.", ".rx.", ".tx.", "cpu.time", "cpu.user", "cpu.system", "_fault", "swap_"]
                    .iter()
                    .any(|part| key.contains(part))
                    || key.starts_with("perf.")
                    || matches!(key.as_str(), "vcpu.*.time" | "vcpu.*.wait" | "vcpu.*.delay");
            let name = names.get(&(key.starts_with("net"), stat.number)).filter(|_| !key.starts_with("vcpu"));
            grows.then(|| (format!("{key} {}{}", stat.number, name.unwrap_or(&"")), *count))
        })
        .collect()
}

#[test]
fn the_same_seed_and_time_say_the_same() {
    let (one, clock) = host("sim://?domains=50&seed=3", START);
    let (other, _) = host("sim://?domains=50&seed=3", START);
    assert_eq!(read(&one, every_group().without_monitor()), read(&other, every_group().without_monitor()));
    let (calm, _) = host("sim://?domains=50&seed=3&calm=true", START);
    let (calmer, _) = host("sim://?domains=50&seed=3&calm=true", START);
    assert_eq!(read(&calm, every_group()), read(&calmer, every_group()));
    clock.pass(60_000_000_000);
    assert_ne!(read(&one, Groups::INTERFACE), read(&other, Groups::INTERFACE));
    let (stranger, _) = host("sim://?domains=50&seed=4", START);
    assert_ne!(read(&stranger, Groups::STATE)[0].guest, read(&other, Groups::STATE)[0].guest);
}

#[test]
fn counters_of_calm_guests_never_fall() {
    let (sim, clock) = host("sim://?domains=40&calm=true", START);
    let mut before: BTreeMap<Uuid, BTreeMap<String, u64>> = BTreeMap::new();
    for _ in 0..100 {
        for record in read(&sim, every_group()) {
            let now = counters(&record);
            let then = before.insert(record.guest, now.clone()).unwrap_or_default();
            assert!(then.iter().all(|(key, count)| now.get(key) >= Some(count)), "{then:?} {now:?}");
        }
        clock.pass(7_000_000_000);
    }
}

#[test]
fn eventful_guests_lose_counters_with_their_process_alone() {
    // Frozen guests stand still instead of blocking when nothing asks their monitor; so look at lives themselves.
    let (sim, _) = host("sim://?domains=40", START);
    let (mut restarts, mut stops, mut departures, mut arrivals, mut plugs, mut freezes) = (0, 0, 0, 0, 0, 0);
    for guest in &sim.host.guests {
        let at = |second: i64| {
            let now = START.unsigned_abs() + second.unsigned_abs() * SECOND.unsigned_abs();
            guest.life(now, &sim.host.frost.at(now))
        };
        let mut before = at(0);
        let mut last = BTreeMap::new();
        for second in 1..4 * HOUR {
            let life = at(second);
            let restarted = life.effort.up < before.effort.up;
            restarts += usize::from(restarted && life.runs());
            stops += usize::from(life.phase == Phase::Stopped && before.phase != Phase::Stopped);
            departures += usize::from(life.phase == Phase::Away && before.phase != Phase::Away);
            arrivals += usize::from(life.phase == Phase::Arriving && before.phase != Phase::Arriving);
            freezes += usize::from(life.frozen && !before.frozen);
            let plugged = guest.plugged(&life).is_some();
            plugs += usize::from(plugged && guest.plugged(&before).is_none());
            assert_eq!(guest.revision(&life) == guest.revision(&before), plugged == guest.plugged(&before).is_some());
            if second % 37 == 0 {
                let mut stats = Vec::new();
                Sheet::of(guest, &life, (&sim.host.keys, &KeySet::All), &mut stats).write(every_group());
                let now = counters(&Record { stats, ..guest.record(&life) });
                let same = life.effort.up >= at(second - 37).effort.up;
                let fell = |(key, count): (&String, &u64)| now.get(key).is_some_and(|now| now < count);
                assert!(!same || !last.iter().any(fell), "{last:?} {now:?}");
                last = now;
            }
            before = life;
        }
    }
    // 40 guests in 4 hours: 320 rounds of half an hour, and 60 freezes.
    assert!((40..120).contains(&restarts), "{restarts}");
    assert!((120..200).contains(&stops), "{stops}");
    assert!((50..110).contains(&departures), "{departures}");
    assert!((50..110).contains(&arrivals), "{arrivals}");
    assert!((50..200).contains(&plugs), "{plugs}");
    assert!((45..90).contains(&freezes), "{freezes}");
}

#[test]
fn a_disk_that_comes_or_goes_changes_definition_and_revision() {
    let (sim, clock) = host("sim://?domains=20", START);
    let mut connection = sim.connect().unwrap();
    let mut known: BTreeMap<Uuid, (u64, Definition)> = BTreeMap::new();
    let mut changes = 0;
    for _ in 0..HOUR / 10 {
        for record in connection.read(&all(Groups::STATE)).unwrap() {
            let definition = connection.define(record.guest).unwrap().unwrap();
            if let Some((revision, known)) = known.get(&record.guest) {
                assert_eq!(*revision == record.revision, *known == definition);
                changes += usize::from(*revision != record.revision);
            }
            known.insert(record.guest, (record.revision, definition));
        }
        clock.pass(10_000_000_000);
    }
    assert!(changes > 10, "{changes}");
    assert_eq!(known.len(), 20);
}
