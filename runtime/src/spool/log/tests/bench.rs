//! Figures, printed: `cargo test --release figures -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::time::{ClockId, clock_gettime};

use super::super::*;

const RECORD: usize = 64 << 10;

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn timed<T>(what: &str, mebibytes: f64, work: impl FnOnce() -> T) -> T {
    let (wall, before) = (Instant::now(), cpu());
    let done = work();
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), cpu() - before);
    println!("{what}: {:.1} ms, {:.0} us of CPU a MiB", wall * 1e3, cpu * 1e6 / mebibytes);
    done
}

#[test]
#[ignore = "prints figures; asserts nothing"]
fn figures() {
    let folder = tempfile::tempdir().unwrap();
    let dir = || Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
    let limits =
        Limits { bytes: 256 << 20, age: Duration::from_secs(86_400), segment_bytes: 4 << 20, sync: SyncPolicy::OnSync };
    let payload: Vec<u8> = (0..RECORD).map(|at| ((at * at) >> 3) as u8).collect();
    let counts: Counts = (0..30).map(|meter| (Key::new(&format!("operator/meter{meter}")).unwrap(), 100)).collect();
    let (mut store, _) = Store::open(dir(), limits, 0).unwrap();
    store.add_cursor("a", Start::Beginning).unwrap();
    store.settle(0).unwrap();

    timed("1024 records appended, one sync at the end", 64.0, || {
        for _ in 0..1024 {
            store.append(&payload, counts.clone(), 0).unwrap();
        }
        store.sync().unwrap();
    });
    drop(store);
    let (mut store, recovery) = timed("opened with 64 MiB", 64.0, || Store::open(dir(), limits, 0).unwrap());
    assert_eq!(recovery.records, 1024);
    timed("64 MiB read back and checked", 64.0, || while store.next("a").unwrap().is_some() {});
    timed("looked at", 64.0, || Store::look(dir()).unwrap());
    let wall = Instant::now();
    timed("256 records appended, each synced", 16.0, || {
        for _ in 0..256 {
            store.append(&payload, counts.clone(), 0).unwrap();
            store.sync().unwrap();
        }
    });
    println!("{:.0} records a second, each synced", 256.0 / wall.elapsed().as_secs_f64());
    let wall = Instant::now();
    for sequence in 1..=100 {
        store.acknowledge("a", Sequence(sequence)).unwrap();
        store.settle(0).unwrap();
    }
    println!("{:.0} positions a second, each settled", 100.0 / wall.elapsed().as_secs_f64());
}
