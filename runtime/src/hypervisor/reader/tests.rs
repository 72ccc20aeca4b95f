use std::sync::Mutex;

use super::*;
use crate::clock::{Clock, ManualClock, SECOND, SystemClock};
use crate::contract::Wanted;
use crate::hypervisor::sim::Sim;
use crate::hypervisor::{Connection, Definition, KeyId, Stat};

/// Short, because nothing in a simulated host takes time but what is stuck.
const WATCHDOG: Duration = Duration::from_millis(300);

fn host(uri: &str) -> (Arc<dyn Hypervisor>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(1_763_632_800 * SECOND));
    (Arc::new(Sim::from_uri(uri, clock.clone()).unwrap()), clock)
}

fn want(keys: &[&str], instead: Option<(&str, &[&str])>) -> Want {
    let mut want = Want::default();
    let wanted = |key: &str, instead_of: &[&str]| Wanted {
        key: key.to_owned(),
        instead_of: instead_of.iter().map(|key| (*key).to_owned()).collect(),
    };
    let mut all: Vec<_> = keys.iter().map(|key| wanted(key, &[])).collect();
    all.extend(instead.map(|(key, instead_of)| wanted(key, instead_of)));
    want.add(&all);
    want
}

fn with(reading: &Reading, key: &str) -> Vec<Uuid> {
    let key = KeyId::of(key).unwrap();
    let has = |record: &&Record| record.stats.iter().any(|stat: &Stat| stat.key == key);
    reading.records.iter().filter(has).map(|record| record.guest).collect()
}

#[tokio::test]
async fn only_what_is_wanted_is_read() {
    let (host, _) = host("sim://?domains=10&calm=true");
    let mut reader = Reader::new(host, Arc::new(SystemClock), WATCHDOG, 5);
    let reading = reader.read(&want(&["net.*.rx.bytes", "net.count"], None)).await.unwrap();
    assert_eq!(with(&reading, "state.state").len(), 10);
    assert_eq!(with(&reading, "net.count").len(), 10);
    assert!(with(&reading, "balloon.current").is_empty());
    let reading = reader.read(&want(&["balloon.current"], None)).await.unwrap();
    assert_eq!(with(&reading, "balloon.current").len(), 10);
    assert!(with(&reading, "net.count").is_empty());
}

fn names(reading: &Reading) -> BTreeSet<String> {
    reading.records.iter().flat_map(|record| &record.stats).map(|stat| stat.key.name()).collect()
}

/// Of a group that is read, statistics that nobody asks for are left out, but for those that tell whose the others are.
#[tokio::test]
async fn of_groups_only_what_is_wanted_is_kept() {
    let (host, _) = host("sim://?domains=60&calm=true&nics=2");
    let mut reader = Reader::new(host, Arc::new(SystemClock), WATCHDOG, 5);
    for (wanted, instead, kept) in [
        (&["net.*.rx.bytes"][..], None, &["net.*.rx.bytes", "net.*.name"][..]),
        (&["vcpu.current"], None, &["vcpu.current", "vcpu.*.state"]),
        (&["block.*.rd.bytes"], None, &["block.*.rd.bytes", "block.*.name"]),
        (&["balloon.rss", "state.reason"], None, &["balloon.rss", "state.reason"]),
        // What some have tells who needs something else.
        (
            &["vcpu.*.time"],
            Some(("cpu.time", &["vcpu.*.wait"][..])),
            &["vcpu.current", "vcpu.*.state", "vcpu.*.time", "vcpu.*.wait", "cpu.time"],
        ),
    ] {
        let reading = reader.read(&want(wanted, instead)).await.unwrap();
        let kept: BTreeSet<String> = kept.iter().chain(&["state.state"]).map(|key| (*key).to_owned()).collect();
        assert_eq!(names(&reading), kept, "{wanted:?}");
    }
    let everything = names(&reader.read(&Want::everything()).await.unwrap());
    assert!(
        ["cpu.user", "state.reason", "block.*.fl.times", "net.*.tx.drop"].iter().all(|key| everything.contains(*key))
    );
}

/// What a tenant's module reads is read of its guests; where everybody's are read anyway, of all.
#[tokio::test]
async fn what_is_for_some_is_read_of_those() {
    let (host, _) = host("sim://?domains=10&calm=true");
    let mut reader = Reader::new(host, Arc::new(SystemClock), WATCHDOG, 5);
    let all = reader.read(&Want::default()).await.unwrap();
    let guests: Vec<Uuid> = all.records.iter().map(|record| record.guest).collect();
    let some: BTreeSet<Uuid> = guests[..3].iter().copied().collect();
    let wanted = |key: &str| Wanted { key: key.to_owned(), instead_of: Vec::new() };
    let mut both = want(&["net.count"], None);
    both.add_of([wanted("balloon.current"), wanted("state.state")].iter(), &some);
    both.know(guests[..8].iter().copied().collect());
    let reading = reader.read(&both).await.unwrap();
    let read: BTreeSet<Uuid> = with(&reading, "balloon.current").into_iter().collect();
    let unknown = guests[8..].iter().copied();
    assert_eq!(read, some.iter().copied().chain(unknown).collect(), "theirs, and whoever's it may be");
    assert_eq!(with(&reading, "net.count").len(), 10);
    let state = KeyId::of("state.state").unwrap();
    let states = |record: &Record| record.stats.iter().filter(|stat| stat.key == state).count();
    assert!(reading.records.iter().all(|record| states(record) == 1), "it is read anyway");
    both.add(&[wanted("balloon.current")]);
    assert_eq!(with(&reader.read(&both).await.unwrap(), "balloon.current").len(), 10);
}

/// What stands in for another statistic is read of those of a tenant's guests that lack that one, and of nobody else.
#[tokio::test]
async fn a_fall_back_for_some_is_read_of_those_of_them_that_need_it() {
    let (host, _) = host("sim://?domains=60&calm=true");
    let mut reader = Reader::new(host, Arc::new(SystemClock), WATCHDOG, 5);
    let all = reader.read(&Want::default()).await.unwrap();
    let guests: BTreeSet<Uuid> = all.records.iter().map(|record| record.guest).collect();
    let some: BTreeSet<Uuid> = guests.iter().take(30).copied().collect();
    let waits = vec!["vcpu.*.time".to_owned(), "vcpu.*.wait".to_owned()];
    let reads = ["vcpu.current", "vcpu.*.time", "vcpu.*.wait"].map(|key| (key, Vec::new()));
    let reads = reads.into_iter().chain([("cpu.time", waits)]);
    let reads: Vec<Wanted> = reads.map(|(key, instead_of)| Wanted { key: key.to_owned(), instead_of }).collect();
    let mut want = Want::default();
    want.add_of(reads.iter(), &some);
    want.know(guests.clone());
    let reading = reader.read(&want).await.unwrap();
    let (waits, total) = (with(&reading, "vcpu.*.wait"), with(&reading, "cpu.time"));
    assert!(!total.is_empty() && total.len() < 15, "{} of 30 guests lack waits", total.len());
    assert!(total.iter().all(|guest| some.contains(guest) && !waits.contains(guest)));
    assert_eq!(waits.len() + total.len(), 30);
    assert_eq!(reading.stood_in, BTreeMap::from([(Groups::CPU_TOTAL, total)]));
    // Who has both read has neither twice.
    want.add_of([Wanted { key: "cpu.time".to_owned(), instead_of: Vec::new() }].iter(), &some);
    want.add(&reads);
    let reading = reader.read(&want).await.unwrap();
    let time = KeyId::of("cpu.time").unwrap();
    let times = |record: &Record| record.stats.iter().filter(|stat| stat.key == time).count();
    let (theirs, others): (Vec<_>, Vec<_>) = reading.records.iter().partition(|record| some.contains(&record.guest));
    assert!(theirs.into_iter().all(|record| times(record) == 1));
    assert!(others.iter().all(|record| times(record) <= 1) && others.iter().any(|record| times(record) == 1));
}

#[tokio::test]
async fn a_fall_back_is_read_of_those_that_need_it() {
    let (host, _) = host("sim://?domains=60&calm=true");
    let mut reader = Reader::new(host, Arc::new(SystemClock), WATCHDOG, 5);
    let keys = ["vcpu.current", "vcpu.*.time", "vcpu.*.wait"];
    let reading = reader.read(&want(&keys, Some(("cpu.time", &["vcpu.*.time", "vcpu.*.wait"])))).await.unwrap();
    let (waits, total) = (with(&reading, "vcpu.*.wait"), with(&reading, "cpu.time"));
    assert!(!total.is_empty() && total.len() < 30, "{} of 60 guests lack waits", total.len());
    assert!(total.iter().all(|guest| !waits.contains(guest)));
    assert_eq!(waits.len() + total.len(), 60);
}

/// Whoever is frozen gives what needs no process, everybody else gives everything, and that in the very slot in
/// which the frozen one is met.
#[tokio::test]
async fn a_stuck_guest_costs_only_itself() {
    let (host, _) = host("sim://?domains=10&calm=true&freeze=1");
    let mut reader = Reader::new(host, Arc::new(SystemClock), WATCHDOG, 5);
    let want = want(&["block.*.rd.bytes", "net.*.rx.bytes"], None);
    for slot in 0..3 {
        let reading = reader.read(&want).await.unwrap();
        assert_eq!(reading.missing, None);
        assert_eq!(reading.records.len(), 10);
        assert_eq!(reading.stuck.len(), 1, "slot {slot}");
        let read = with(&reading, "block.*.rd.bytes");
        assert_eq!(read.len(), 9);
        assert!(reading.stuck.iter().all(|guest| !read.contains(guest)));
        assert_eq!(reader.stuck_calls(), 1, "one call met it, and no second one does");
    }
}

#[tokio::test]
async fn beyond_the_bound_nothing_that_can_block_is_asked() {
    let (host, _) = host("sim://?domains=10&calm=true&freeze=4");
    let mut reader = Reader::new(host, Arc::new(SystemClock), WATCHDOG, 2);
    let want = want(&["block.*.rd.bytes", "net.count"], None);
    assert!(reader.read(&want).await.unwrap().missing.is_some());
    let reading = reader.read(&want).await.unwrap();
    assert!(reading.missing.is_some());
    assert!(with(&reading, "block.*.rd.bytes").is_empty());
    assert_eq!(with(&reading, "net.count").len(), 10);
    assert_eq!(reader.stuck_calls(), 3, "as many as are allowed, and one that was too many");
}

#[tokio::test]
async fn what_thaws_is_back_in_the_next_slot() {
    let (host, clock) = host("sim://?domains=12&seed=3");
    let mut reader = Reader::new(host, Arc::new(SystemClock), WATCHDOG, 5);
    let want = want(&["block.*.rd.bytes"], None);
    // Some guest freezes every few minutes, for less than one.
    let mut frozen = BTreeSet::new();
    for _ in 0..200 {
        frozen = reader.read(&want).await.unwrap().stuck;
        if !frozen.is_empty() {
            break;
        }
        clock.pass(5 * SECOND.unsigned_abs());
    }
    assert!(!frozen.is_empty(), "nobody froze");
    clock.pass(60 * SECOND.unsigned_abs());
    while reader.stuck_calls() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let reading = reader.read(&want).await.unwrap();
    assert!(reading.stuck.is_disjoint(&frozen));
}

/// As many stuck calls as are allowed cost no other guest anything, and the scout is faster than any watchdog.
#[tokio::test]
async fn up_to_the_bound_everybody_else_is_read() {
    let (host, _) = host("sim://?domains=50&calm=true&freeze=5");
    let mut reader = Reader::new(host, Arc::new(SystemClock), Duration::from_secs(60), 5);
    let want = want(&["block.*.rd.bytes", "net.*.rx.bytes"], None);
    for _ in 0..2 {
        let reading = reader.read(&want).await.unwrap();
        assert_eq!((reading.missing.as_deref(), reading.stuck.len()), (None, 5));
        let read = with(&reading, "block.*.rd.bytes");
        assert_eq!(read.len(), 45);
        assert!(reading.stuck.iter().all(|guest| !read.contains(guest)));
        assert_eq!(reader.stuck_calls(), 5);
    }
}

/// All of a slot is of one time, also when it had to be read again.
#[tokio::test]
async fn what_is_read_again_is_of_the_time_at_which_it_is() {
    let (host, _) = host("sim://?domains=20&calm=true&freeze=1");
    let mut reader = Reader::new(host, Arc::new(SystemClock), WATCHDOG, 5);
    let want = want(&["block.*.rd.bytes"], None);
    let began = SystemClock.now().monotonic;
    let reading = reader.read(&want).await.unwrap();
    assert_eq!(with(&reading, "block.*.rd.bytes").len(), 19);
    let waited = u64::try_from(WATCHDOG.as_nanos()).unwrap();
    assert!(reading.at.monotonic >= began + waited, "{} after {began}", reading.at.monotonic);
}

/// Calls that another process lost are not lost once more.
#[tokio::test]
async fn who_is_stuck_already_is_left_alone_from_the_first_slot_on() {
    for (frozen, read) in [(4, 16), (6, 0)] {
        let (host, _) = host(&format!("sim://?domains=20&calm=true&freeze={frozen}"));
        let want = want(&["block.*.rd.bytes", "net.count"], None);
        let mut first = Reader::new(Arc::clone(&host), Arc::new(SystemClock), WATCHDOG, 5);
        first.read(&want).await.unwrap();
        assert_eq!(first.stuck_calls(), frozen);
        let mut second = Reader::new(host, Arc::new(SystemClock), WATCHDOG, 5);
        let reading = second.read(&want).await.unwrap();
        assert_eq!((with(&reading, "block.*.rd.bytes").len(), reading.missing.is_some()), (read, read == 0));
        assert_eq!(with(&reading, "net.count").len(), 20);
        assert_eq!(second.stuck_calls(), 0, "of {frozen}");
    }
}

/// Whoever gave a read up halfway does not know who held it up.
#[tokio::test]
async fn who_held_up_a_read_that_was_given_up_is_left_alone_in_the_next() {
    let (host, _) = host("sim://?domains=20&calm=true&freeze=1");
    let (free, want) = (want(&["net.count"], None), want(&["block.*.rd.bytes", "net.count"], None));
    let mut reader = Reader::new(Arc::clone(&host), Arc::new(SystemClock), WATCHDOG, 5);
    let guests: Vec<Uuid> = reader.read(&free).await.unwrap().records.iter().map(|record| record.guest).collect();
    // Nobody was stuck when that was looked at.
    reader.looked = true;
    let mut connection = host.connect().unwrap();
    let held_up = async {
        while connection.occupied(&guests).unwrap().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        () = held_up => {}
        reading = reader.read(&want) => panic!("{reading:?}"),
    }
    reader.look_again();
    let reading = reader.read(&want).await.unwrap();
    assert_eq!((reading.stuck.len(), with(&reading, "block.*.rd.bytes").len()), (1, 19));
    assert_eq!(reader.stuck_calls(), 0);
}

/// What a host does instead of what it is asked.
#[derive(Debug, Default)]
struct Moods {
    hangs: bool,
    refuses_monitors: bool,
    hangs_to_define: Option<Uuid>,
}

/// A host with moods. What hangs does so for as long as this test runs.
#[derive(Debug)]
struct Moody {
    host: Arc<dyn Hypervisor>,
    moods: Arc<Mutex<Moods>>,
}

struct MoodyConnection {
    connection: Box<dyn Connection>,
    moods: Arc<Mutex<Moods>>,
}

impl Hypervisor for Moody {
    fn connect(&self) -> Result<Box<dyn Connection>, HypervisorError> {
        Ok(Box::new(MoodyConnection { connection: self.host.connect()?, moods: Arc::clone(&self.moods) }))
    }
}

impl MoodyConnection {
    fn hang_if(&self, hangs: impl Fn(&Moods) -> bool) {
        while hangs(&self.moods.lock().unwrap()) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Connection for MoodyConnection {
    fn read(&mut self, request: &Request) -> Result<Vec<Record>, HypervisorError> {
        self.hang_if(|moods| moods.hangs);
        if self.moods.lock().unwrap().refuses_monitors && !request.groups.with_monitor().is_empty() {
            return Err(HypervisorError::Call { call: "read", reason: "in no mood".into() });
        }
        self.connection.read(request)
    }

    fn define(&mut self, guest: Uuid) -> Result<Option<Definition>, HypervisorError> {
        self.hang_if(|moods| moods.hangs_to_define == Some(guest));
        self.connection.define(guest)
    }

    fn occupied(&mut self, guests: &[Uuid]) -> Result<Vec<(Uuid, Duration)>, HypervisorError> {
        self.hang_if(|moods| moods.hangs);
        self.connection.occupied(guests)
    }
}

fn moody(uri: &str, moods: Moods) -> (Reader, Arc<Mutex<Moods>>) {
    let moods = Arc::new(Mutex::new(moods));
    let host = Moody { host: host(uri).0, moods: Arc::clone(&moods) };
    (Reader::new(Arc::new(host), Arc::new(SystemClock), Duration::from_millis(50), 2), moods)
}

#[tokio::test]
async fn a_host_that_hangs_costs_so_many_threads_and_no_more() {
    let (mut reader, moods) = moody("sim://?domains=3&calm=true", Moods { hangs: true, ..Moods::default() });
    let want = want(&["block.*.rd.bytes"], None);
    let mut last = String::new();
    for _ in 0..10 {
        last = reader.read(&want).await.unwrap_err().to_string();
    }
    assert_eq!(reader.stuck_calls(), 4);
    assert!(last.contains("4 calls are stuck"), "{last}");
    moods.lock().unwrap().hangs = false;
    while reader.stuck_calls() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(with(&reader.read(&want).await.unwrap(), "block.*.rd.bytes").len(), 3);
}

#[tokio::test]
async fn what_is_refused_costs_nothing_else() {
    let refuses = Moods { refuses_monitors: true, ..Moods::default() };
    let (mut reader, _) = moody("sim://?domains=3&calm=true", refuses);
    let reading = reader.read(&want(&["block.*.rd.bytes", "net.*.rx.bytes"], None)).await.unwrap();
    assert!(reading.missing.is_some_and(|why| why.contains("in no mood")));
    assert!(!reading.groups.contains(Groups::of_key("block.*.rd.bytes").unwrap()));
    assert!(reading.groups.contains(Groups::of_key("net.*.rx.bytes").unwrap()));
    assert_eq!(reading.records.len(), 3);
}

#[tokio::test]
async fn a_guest_that_cannot_be_defined_costs_itself() {
    let (mut reader, moods) = moody("sim://?domains=60&calm=true", Moods::default());
    let reading = reader.read(&want(&["net.*.rx.bytes"], None)).await.unwrap();
    let mut guests: Vec<Uuid> = reading.records.iter().map(|record| record.guest).collect();
    let odd = guests[20];
    moods.lock().unwrap().hangs_to_define = Some(odd);
    for _ in 0..5 {
        let defined = reader.define(guests.clone()).await.unwrap();
        guests.retain(|guest| defined.iter().all(|(known, _)| known != guest));
    }
    assert_eq!(guests, [odd]);
    assert_eq!(reader.stuck_calls(), 2, "its call among others, and its own");
    moods.lock().unwrap().hangs_to_define = None;
    while reader.stuck_calls() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(reader.define(guests).await.unwrap().len(), 1);
}

/// A host with one guest, whose definition cannot be used for this reason.
#[derive(Debug, Clone, Default)]
struct Odd(Arc<Mutex<Option<&'static str>>>);

const ODD: Uuid = Uuid::from_u128(7);

impl Hypervisor for Odd {
    fn connect(&self) -> Result<Box<dyn Connection>, HypervisorError> {
        Ok(Box::new(self.clone()))
    }
}

impl Connection for Odd {
    fn read(&mut self, _request: &Request) -> Result<Vec<Record>, HypervisorError> {
        Ok(vec![Record { guest: ODD, revision: 0, stats: vec![] }])
    }

    fn define(&mut self, _guest: Uuid) -> Result<Option<Definition>, HypervisorError> {
        let reason = *self.0.lock().unwrap();
        reason.map_or(Ok(None), |reason| Err(HypervisorError::Unusable { reason: reason.to_owned() }))
    }

    fn occupied(&mut self, _guests: &[Uuid]) -> Result<Vec<(Uuid, Duration)>, HypervisorError> {
        Ok(vec![])
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_definition_is_said_once() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt().with_writer(Mutex::new(log.reopen().unwrap())).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let host = Odd::default();
    let mut reader = Reader::new(Arc::new(host.clone()), Arc::new(SystemClock), WATCHDOG * 10, 5);
    for reason in [Some("no owner"), Some("no owner"), Some("no name"), None, Some("no name"), Some("no name")] {
        *host.0.lock().unwrap() = reason;
        reader.read(&want(&[], None)).await.unwrap();
        assert_eq!(reader.define(vec![ODD]).await.unwrap(), [(ODD, None)]);
    }
    let log = std::fs::read_to_string(log.path()).unwrap();
    let said = |reason: &str| log.matches(reason).count();
    assert_eq!((said("no owner"), said("no name"), log.lines().count()), (1, 2, 3), "{log}");
}
