//! Turns for tenants' modules. Modules run in slices; whoever's tenant has run least in this slot has the next one, and
//! the operator's own modules come before all of them. What counts is the processor's time: that a machine is busy with
//! something else is nobody's slice.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;
use tokio::time::{Instant as TimerInstant, sleep};

use super::pauses::Pauses;

thread_local! {
    /// How long the task that is polled just now has waited for its turns in all.
    static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    /// Whether this thread starts what is called just now.
    static STARTS: Cell<bool> = const { Cell::new(false) };
}

/// Gives turns.
#[derive(Debug)]
pub struct Gate {
    turns: Mutex<Turns>,
}

#[derive(Debug)]
struct Turns {
    /// How many slices may run at once.
    most: usize,
    running: usize,
    /// Who holds it closed; nobody has a turn as long as anybody does.
    closed: usize,
    /// How long the slices of each tenant took in this slot.
    used: BTreeMap<Arc<str>, Duration>,
    /// Who waits, in order, and who of them has been given a turn.
    waiting: BTreeMap<Arc<str>, VecDeque<Waiting>>,
    /// Tenants of whom anybody waits, who used least first: with many, nobody has to look at all of them.
    order: BTreeSet<(Duration, Arc<str>)>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    called: Called,
}

/// What is done when somebody is called.
enum Called {
    /// Its task is woken.
    Wake(Waker),
    /// There is no task yet.
    Start(Start),
    /// The task that was made has yet to come.
    Started,
}

/// Has a task begin with work.
type Start = Box<dyn FnOnce() + Send>;

/// As long as this is there, its thread starts what is called.
struct Starting;

/// Work of a tenant that takes turns.
pub struct InTurns<F> {
    gate: Arc<Gate>,
    tenant: Arc<str>,
    turn: Turn,
    waited: Duration,
    work: Pin<Box<F>>,
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    No,
    Waits { ticket: u64, since: Instant },
}

/// A gate that is closed as long as this is there.
#[derive(Debug)]
pub struct Closed(Arc<Gate>);

/// While work waits for others, whether it is late is looked at so often at most.
const PAUSED: Duration = Duration::from_millis(10);

/// How long the task at hand has waited for its turns in all; nothing for one that takes none.
pub fn waited() -> Duration {
    WAITED.get()
}

/// Bounds how long work may take, its waiting for turns and its pauses left out: who shares a machine with others, or
/// waits for a server, is not slower for it. `None` if it took longer.
pub async fn within<T>(limit: Duration, pauses: Arc<Pauses>, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, began, before) = (pin!(work), Instant::now(), WAITED.get());
    let mut alarm = pin!(sleep(limit));
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        while alarm.as_mut().poll(cx).is_ready() {
            let waited = WAITED.get().saturating_sub(before);
            let (paused, pauses) = pauses.so_far();
            let left = limit.saturating_add(waited).saturating_add(paused).saturating_sub(began.elapsed());
            if left.is_zero() {
                return Poll::Ready(None);
            }
            alarm.as_mut().reset(TimerInstant::now() + if pauses { left.max(PAUSED) } else { left });
        }
        Poll::Pending
    })
    .await
}

// === impl Gate ===

impl Gate {
    /// A gate that lets so many slices run at once.
    pub fn new(most: usize) -> Arc<Self> {
        let turns = Turns {
            most: most.max(1),
            running: 0,
            closed: 0,
            used: BTreeMap::new(),
            waiting: BTreeMap::new(),
            order: BTreeSet::new(),
            next_ticket: 0,
        };
        Arc::new(Self { turns: Mutex::new(turns) })
    }

    /// Has this work of a tenant take turns.
    pub fn in_turns<F: Future>(self: &Arc<Self>, tenant: &Arc<str>, work: F) -> InTurns<F> {
        InTurns::of(self, tenant, Turn::No, work)
    }

    /// Has this work of a tenant begin on these threads when it is first called, and take turns from then on. Until then
    /// it has no task: where a thousand begin at once, all but a few would come and find that it is not their turn.
    pub fn start<F: Future<Output: Send> + Send + 'static>(
        self: &Arc<Self>,
        tenant: &Arc<str>,
        threads: &Handle,
        work: impl FnOnce() -> F + Send + 'static,
    ) {
        let (gate, theirs, threads) = (Arc::clone(self), Arc::clone(tenant), threads.clone());
        let since = Instant::now();
        let start = |ticket| {
            let turn = Turn::Waits { ticket, since };
            Called::Start(Box::new(move || {
                // If it panics, that is its task's. It is large: it is made in its place, so that it is never moved.
                let work = async move { Box::pin(work()).await };
                drop(threads.spawn(InTurns::of(&gate, &theirs, turn, work)));
            }))
        };
        self.lock().wait(tenant, start);
        self.call();
    }

    /// Begins another slot, in which everybody is equal again, and gives no turns until what is returned is dropped.
    pub fn close(self: &Arc<Self>) -> Closed {
        let mut turns = self.lock();
        turns.closed += 1;
        turns.used.clear();
        turns.order = turns.waiting.keys().map(|tenant| (Duration::ZERO, Arc::clone(tenant))).collect();
        Closed(Arc::clone(self))
    }

    /// Calls those who have a turn now.
    fn call(&self) {
        // Threads that end drop what is started at once, by which others are called: whoever starts looks again.
        let Some(_starting) = Starting::begin() else { return };
        loop {
            let starts = self.lock().call();
            if starts.is_empty() {
                break;
            }
            starts.into_iter().for_each(|start| start());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.lock().closed -= 1;
        self.0.call();
    }
}

// === impl Starting ===

impl Starting {
    /// `None` if this thread does it already.
    fn begin() -> Option<Self> {
        (!STARTS.replace(true)).then(|| Self)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        STARTS.set(false);
    }
}

// === impl Called ===

impl fmt::Debug for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wake(_) => "Wake",
            Self::Start(_) => "Start",
            Self::Started => "Started",
        })
    }
}

// === impl Turns ===

impl Turns {
    /// Whether whoever has this ticket is called: nobody waits whose tenant ran less, or longer in its own tenant.
    fn is_called(&self, tenant: &Arc<str>, ticket: Option<u64>) -> bool {
        let place = ticket.map_or(usize::MAX, |ticket| {
            let mine = self.waiting.get(tenant).into_iter().flatten();
            mine.into_iter().position(|waiting| waiting.ticket == ticket).unwrap_or(usize::MAX)
        });
        let free = self.most.saturating_sub(self.running);
        if self.closed > 0 || free == 0 {
            return false;
        }
        // Those before it: all that wait in its own tenant before it, and all of tenants that ran less.
        let used = self.used_by(tenant);
        let mut before = self.waiting.get(tenant).map_or(0, VecDeque::len).min(place);
        let mut others = self.order.iter().take_while(|(theirs, _)| *theirs < used);
        while before < free {
            let Some((_, other)) = others.next() else { return true };
            before += self.waiting.get(other).map_or(0, VecDeque::len);
        }
        false
    }

    fn used_by(&self, tenant: &Arc<str>) -> Duration {
        self.used.get(tenant).copied().unwrap_or_default()
    }

    fn use_up(&mut self, tenant: &Arc<str>, took: Duration) {
        let before = self.used_by(tenant);
        self.used.insert(Arc::clone(tenant), before + took);
        if self.order.remove(&(before, Arc::clone(tenant))) {
            self.order.insert((before + took, Arc::clone(tenant)));
        }
    }

    /// Has somebody of a tenant wait, who is called so.
    fn wait(&mut self, tenant: &Arc<str>, called: impl FnOnce(u64) -> Called) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let waiting = Waiting { ticket, called: called(ticket) };
        self.waiting.entry(Arc::clone(tenant)).or_default().push_back(waiting);
        let used = self.used_by(tenant);
        self.order.insert((used, Arc::clone(tenant)));
        ticket
    }

    fn leave(&mut self, tenant: &Arc<str>, ticket: u64) {
        if let Some(queue) = self.waiting.get_mut(tenant) {
            let place = queue.iter().position(|waiting| waiting.ticket == ticket);
            place.and_then(|place| queue.remove(place));
            if queue.is_empty() {
                self.waiting.remove(tenant);
                self.order.remove(&(self.used_by(tenant), Arc::clone(tenant)));
            }
        }
    }

    /// Calls those who have a turn now: wakes their tasks, and gives back what makes one for those who have none yet.
    fn call(&mut self) -> Vec<Start> {
        let mut free = if self.closed > 0 { 0 } else { self.most.saturating_sub(self.running) };
        let (mut starts, mut tenants) = (Vec::new(), self.order.iter());
        while let (1.., Some((_, tenant))) = (free, tenants.next()) {
            for waiting in self.waiting.get_mut(tenant).into_iter().flatten().take(free) {
                free -= 1;
                match std::mem::replace(&mut waiting.called, Called::Started) {
                    Called::Start(start) => starts.push(start),
                    Called::Started => {}
                    Called::Wake(waker) => {
                        waker.wake_by_ref();
                        waiting.called = Called::Wake(waker);
                    }
                }
            }
        }
        starts
    }
}

// === impl InTurns ===

impl<F> InTurns<F> {
    fn of(gate: &Arc<Gate>, tenant: &Arc<str>, turn: Turn, work: F) -> Self {
        let (gate, tenant) = (Arc::clone(gate), Arc::clone(tenant));
        Self { gate, tenant, turn, waited: Duration::ZERO, work: Box::pin(work) }
    }

    /// Whether it has a turn; if not, it is woken when it has.
    fn enters(&mut self, waker: &Waker) -> bool {
        let Self { gate, tenant, turn, waited, .. } = self;
        let mut turns = gate.lock();
        let ticket = match turn {
            Turn::No => None,
            Turn::Waits { ticket, .. } => Some(*ticket),
        };
        if turns.is_called(tenant, ticket) {
            if let Turn::Waits { ticket, since } = *turn {
                turns.leave(tenant, ticket);
                *waited += since.elapsed();
                *turn = Turn::No;
            }
            turns.running += 1;
            return true;
        }
        match ticket {
            None => {
                let ticket = turns.wait(tenant, |_| Called::Wake(waker.clone()));
                *turn = Turn::Waits { ticket, since: Instant::now() };
            }
            Some(ticket) => {
                let mut queue = turns.waiting.get_mut(tenant).into_iter().flatten();
                if let Some(waiting) = queue.find(|waiting| waiting.ticket == ticket) {
                    waiting.called = Called::Wake(waker.clone());
                }
            }
        }
        false
    }
}

impl<F: Future> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if !self.enters(cx.waker()) {
            return Poll::Pending;
        }
        let ends = Slice { gate: Arc::clone(&self.gate), tenant: Arc::clone(&self.tenant), began: of_this_thread() };
        let before = WAITED.replace(self.waited);
        let polled = self.work.as_mut().poll(cx);
        WAITED.set(before);
        drop(ends);
        polled
    }
}

impl<F> Drop for InTurns<F> {
    fn drop(&mut self) {
        if let Turn::Waits { ticket, .. } = self.turn {
            self.gate.lock().leave(&self.tenant, ticket);
            // It may have been called, and somebody else is now.
            self.gate.call();
        }
    }
}

/// A slice that runs. It ends also if the work panics.
struct Slice {
    gate: Arc<Gate>,
    tenant: Arc<str>,
    /// What its thread had run before.
    began: Duration,
}

/// How long this thread has run.
fn of_this_thread() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

impl Drop for Slice {
    fn drop(&mut self) {
        let took = of_this_thread().saturating_sub(self.began);
        let mut turns = self.gate.lock();
        turns.running -= 1;
        turns.use_up(&self.tenant, took);
        drop(turns);
        self.gate.call();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::channel;
    use std::task::Wake;

    use tokio::runtime::{Builder, Runtime};
    use tokio::task::yield_now;

    use super::*;

    fn threads() -> Runtime {
        Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    }

    /// Burns so many slices of about a tenth of a millisecond.
    async fn burn(slices: u32) {
        for _ in 0..slices {
            let began = Instant::now();
            while began.elapsed() < Duration::from_micros(100) {
                std::hint::spin_loop();
            }
            yield_now().await;
        }
    }

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Woken(AtomicU64);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A slice that somebody runs.
    fn slice(gate: &Arc<Gate>, tenant: &Arc<str>) -> Slice {
        gate.lock().running += 1;
        Slice { gate: Arc::clone(gate), tenant: Arc::clone(tenant), began: of_this_thread() }
    }

    #[test]
    fn who_used_least_goes_first_and_in_order() {
        let gate = Gate::new(1);
        let [greedy, modest, new]: [Arc<str>; 3] = ["greedy", "modest", "new"].map(Into::into);
        gate.lock().used.insert(Arc::clone(&greedy), Duration::from_secs(1));
        gate.lock().used.insert(Arc::clone(&modest), Duration::from_millis(1));
        let tenants = [&greedy, &greedy, &modest, &new];
        let mut all: Vec<_> = tenants.iter().map(|tenant| Box::pin(gate.in_turns(tenant, async {}))).collect();
        let woken: [Arc<Woken>; 4] = Default::default();
        let mut poll = |number: usize| {
            let waker = Waker::from(Arc::clone(&woken[number]));
            all[number].as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        };
        let times = || woken.each_ref().map(|woken| woken.0.load(Ordering::SeqCst));
        let runs = slice(&gate, &greedy);
        assert!((0..4).all(|number| !poll(number)), "somebody runs");
        drop(runs);
        assert_eq!(times(), [0, 0, 0, 1]);
        assert!(!poll(0) && !poll(1) && !poll(2), "they were not called");
        assert!(poll(3));
        assert_eq!(times(), [0, 0, 1, 1]);
        assert!(!poll(0) && !poll(1) && poll(2));
        assert_eq!(times(), [1, 0, 1, 1]);
        assert!(!poll(1) && poll(0) && poll(1));
        let turns = gate.lock();
        assert!(turns.waiting.is_empty() && turns.running == 0);
    }

    #[test]
    fn a_closed_gate_lets_nobody_through() {
        let (threads, gate) = (threads(), Gate::new(1));
        let tenant: Arc<str> = "t".into();
        let done = Arc::new(AtomicU64::new(0));
        let closed = gate.close();
        drop(gate.close());
        assert!(!gate.lock().is_called(&tenant, None), "somebody holds it closed still");
        let (counted, waits) = (Arc::clone(&done), gate.in_turns(&tenant, async {}));
        let task = threads.spawn(async move {
            waits.await;
            counted.fetch_add(1, Ordering::Relaxed);
        });
        // Somebody who gives up does not take a turn with them.
        let dropped = threads.spawn(gate.in_turns(&tenant, async {}));
        threads.block_on(async {
            while gate.lock().waiting.values().flatten().count() < 2 {
                yield_now().await
            }
        });
        assert_eq!(done.load(Ordering::Relaxed), 0);
        dropped.abort();
        assert!(threads.block_on(dropped).unwrap_err().is_cancelled());
        drop(closed);
        threads.block_on(task).unwrap();
        let turns = gate.lock();
        assert!(turns.waiting.is_empty() && turns.running == 0);
    }

    #[test]
    fn work_has_a_task_only_once_it_is_called() {
        let (threads, gate) = (threads(), Gate::new(1));
        let [greedy, modest]: [Arc<str>; 2] = ["greedy", "modest"].map(Into::into);
        let (ends, ended) = channel();
        let closed = gate.close();
        gate.lock().used.insert(Arc::clone(&greedy), Duration::from_secs(1));
        for (number, tenant) in [&greedy, &modest, &greedy, &modest].into_iter().enumerate() {
            let ends = ends.clone();
            gate.start(tenant, threads.handle(), move || {
                ends.send((number, "begins")).unwrap();
                async move { ends.send((number, "is done")).unwrap() }
            });
        }
        assert!(ended.try_recv().is_err(), "the gate is closed");
        drop((closed, ends));
        let order: Vec<_> = ended.iter().collect();
        let expected = [1, 3, 0, 2].into_iter().flat_map(|number| [(number, "begins"), (number, "is done")]);
        assert_eq!(order, expected.collect::<Vec<_>>());
        assert!(gate.lock().waiting.is_empty());
    }

    #[test]
    fn threads_that_end_end_all_that_waits() {
        let (threads, gate) = (threads(), Gate::new(1));
        let tenant: Arc<str> = "t".into();
        let (dropped, handle) = (Arc::new(()), threads.handle().clone());
        let closed = gate.close();
        for _ in 0..20_000 {
            let held = Arc::clone(&dropped);
            gate.start(&tenant, &handle, move || async move {
                std::future::pending::<()>().await;
                drop(held);
            });
        }
        // Waits for them.
        drop(threads);
        // Each is dropped as soon as it has a task, which calls the next one.
        drop(closed);
        assert_eq!(Arc::strong_count(&dropped), 1);
        assert!(gate.lock().waiting.is_empty());
    }

    #[test]
    fn a_panic_ends_a_turn() {
        let (threads, gate) = (threads(), Gate::new(1));
        let tenant: Arc<str> = "t".into();
        assert!(threads.block_on(threads.spawn(gate.in_turns(&tenant, async { panic!("as it should") }))).is_err());
        threads.block_on(threads.spawn(gate.in_turns(&tenant, async {}))).unwrap();
    }

    #[test]
    fn waiting_for_turns_takes_no_time() {
        let (threads, gate) = (threads(), Gate::new(1));
        let tenant: Arc<str> = "t".into();
        let (limit, longer) = (Duration::from_millis(500), Duration::from_millis(700));
        let (runs, closed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (seen, wait) = (Arc::clone(&runs), Arc::clone(&closed));
        let work = within(limit, Arc::default(), async move {
            seen.store(1, Ordering::SeqCst);
            while wait.load(Ordering::SeqCst) == 0 {
                yield_now().await;
            }
        });
        let task = threads.spawn(gate.in_turns(&tenant, work));
        while runs.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let no_turns = gate.close();
        closed.store(1, Ordering::SeqCst);
        std::thread::sleep(longer);
        drop(no_turns);
        assert_eq!(threads.block_on(task).unwrap(), Some(()));
        // A pause takes none either, and time runs on when it is over.
        let pauses = Arc::new(Pauses::default());
        let paused = Arc::clone(&pauses);
        let work = within(Duration::from_millis(50), pauses, async move {
            let pause = paused.begin();
            sleep(Duration::from_millis(200)).await;
            drop(pause);
            let (waited, goes_on) = paused.so_far();
            assert!(waited >= Duration::from_millis(200) && !goes_on, "{waited:?}");
        });
        assert_eq!(threads.block_on(threads.spawn(gate.in_turns(&tenant, work))).unwrap(), Some(()));
        let pauses = Arc::new(Pauses::default());
        let paused = Arc::clone(&pauses);
        let work = within(Duration::from_millis(20), pauses, async move {
            drop(paused.begin());
            std::future::pending::<()>().await;
        });
        assert_eq!(threads.block_on(work), None);
        // Whoever burns, and whoever waits for something else, is late all the same.
        let burns =
            threads.spawn(gate.in_turns(&tenant, within(Duration::from_millis(20), Arc::default(), burn(u32::MAX))));
        assert_eq!(threads.block_on(burns).unwrap(), None);
        assert_eq!(
            threads.block_on(within(Duration::from_millis(1), Arc::default(), std::future::pending::<()>())),
            None
        );
    }
}
