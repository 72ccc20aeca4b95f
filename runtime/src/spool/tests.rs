use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::*;
use crate::config::ByteSize;
use crate::spool::sight::Sight;

const A: &str = "file:a";
const B: &str = "file:b";

fn config(folder: &Path) -> daemon::Spool {
    let sync = daemon::Sync::Slots(1);
    daemon::Spool {
        path: folder.to_owned(),
        max_size: ByteSize::new(1 << 20),
        max_age: Duration::from_secs(3600),
        sync,
    }
}

fn measure(spool: &Spool, samples: usize, now: i64) {
    let counts = record::replayed(None, vec!["cpu"; samples]);
    spool.commit(counts, &record::of_samples(None, &vec!["{}".to_owned(); samples]), now).unwrap();
}

/// What those lost that are no publishers any more, and what waits for those who are, as two look at it.
fn seen(config: &daemon::Spool, spool: &Spool) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let of = |view: &View| {
        let former = view.former.iter().map(|(name, lost)| (name.clone(), books::in_all(lost))).collect();
        (former, view.books.iter().map(|books| (books.publisher.clone(), books.spooled)).collect())
    };
    let seen = of(&spool.view(0));
    assert_eq!(of(&Sight::of(config, 0).unwrap().view), seen);
    seen
}

fn numbers(all: &[(&str, u64)]) -> BTreeMap<String, u64> {
    all.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
}

fn ledgers(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = ["ledger.0", "ledger.1"].map(|name| folder.join(name));
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Whatever is on disk when it is killed: everything, or all but that the cursor is gone.
#[test]
fn what_a_removed_publisher_loses_is_counted_once_whenever_it_is_killed() {
    for has_gone in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder.path().join("spool"));
        let Opened { spool, .. } = Spool::open(&config, 0).unwrap();
        spool.follow(&[A.to_owned(), B.to_owned()], 1).unwrap();
        measure(&spool, 12, 2);
        spool.settle(3).unwrap();
        let before = ledgers(&config.path);
        assert_eq!(spool.follow(&[B.to_owned()], 4).unwrap(), [(A.to_owned(), 12)]);
        // It is killed.
        drop(spool);
        if !has_gone {
            before.into_iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        }
        let sight = Sight::of(&config, 0).unwrap().view;
        assert_eq!((sight.former.len(), sight.books.len()), (1, 1), "{sight:?}");
        let Opened { spool, .. } = Spool::open(&config, 5).unwrap();
        assert_eq!(seen(&config, &spool).0, numbers(&[(A, 12)]), "{has_gone}");
        assert_eq!(spool.follow(&[B.to_owned()], 6).unwrap(), []);
        assert_eq!(seen(&config, &spool), (numbers(&[(A, 12)]), numbers(&[(B, 12)])));

        // One that comes again is another one.
        spool.follow(&[A.to_owned(), B.to_owned()], 7).unwrap();
        measure(&spool, 5, 8);
        spool.settle(9).unwrap();
        drop(spool);
        let Opened { spool, .. } = Spool::open(&config, 10).unwrap();
        assert_eq!(seen(&config, &spool), (numbers(&[]), numbers(&[(A, 5), (B, 17)])));
        assert_eq!(spool.follow(&[B.to_owned()], 11).unwrap(), [(A.to_owned(), 5)]);
        assert_eq!(seen(&config, &spool).0, numbers(&[(A, 17)]));
    }
}
