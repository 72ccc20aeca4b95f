//! Which guests changed, as the host tells of its own accord.
//!
//! One thread for each host keeps a connection for that, and opens it again for ever. What may have been missed while
//! there was none counts as changed.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use super::ffi::{self, Listener, Watching};

/// How long the first connection may take before reading begins without it.
const FIRST: Duration = Duration::from_secs(2);
/// How soon a connection that was lost is opened again, at first and in the end.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// How often it is looked whether a connection that nothing is heard of is still there.
const LOOK: Duration = Duration::from_secs(30);
/// Guests of which it is remembered how often they changed; beyond, all of them count as changed.
const REMEMBERED: usize = 100_000;

/// How often guests changed.
#[derive(Debug)]
pub(super) struct Changes {
    heard: Mutex<Heard>,
    tried: Condvar,
    ear: Arc<Ear>,
}

#[derive(Debug, Default)]
struct Heard {
    of: HashMap<Uuid, u16>,
    /// How often all of them may have changed.
    of_all: u16,
    /// Whether a connection was tried.
    tried: bool,
    /// Whether there is one.
    listening: bool,
}

/// What libvirt tells, and what the thread that listens waits for.
#[derive(Debug)]
struct Ear {
    changes: Weak<Changes>,
    connection: Mutex<Line>,
    news: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    Closed,
    /// Nobody is interested any more.
    Over,
}

// === impl Changes ===

impl Changes {
    /// Starts to listen to a host, and waits a little for the first connection.
    pub(super) fn of(uri: &CStr) -> Arc<Self> {
        let changes = Self::unheard();
        let (uri, ear) = (uri.to_owned(), Arc::clone(&changes.ear));
        let started = thread::Builder::new().name("libvirt watch".to_owned()).spawn(move || ear.listen_to(&uri));
        if started.is_ok() {
            let heard = changes.heard();
            drop(changes.tried.wait_timeout_while(heard, FIRST, |heard| !heard.tried));
        }
        changes
    }

    fn unheard() -> Arc<Self> {
        Arc::new_cyclic(|changes| {
            let ear = Ear { changes: changes.clone(), connection: Mutex::new(Line::Closed), news: Condvar::new() };
            Self { heard: Mutex::default(), tried: Condvar::new(), ear: Arc::new(ear) }
        })
    }

    /// Whether changes are told, and how often this guest changed.
    pub(super) fn of_guest(&self, guest: Uuid) -> (bool, u16) {
        let heard = self.heard();
        (heard.listening, heard.of_all.wrapping_add(heard.of.get(&guest).copied().unwrap_or(0)))
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, guest: Uuid) {
        let mut heard = self.heard();
        if heard.of.len() >= REMEMBERED {
            heard.of.clear();
            heard.of_all = heard.of_all.wrapping_add(1);
        }
        let times = heard.of.entry(guest).or_default();
        *times = times.wrapping_add(1);
    }

    fn listening(&self, listening: bool) {
        let mut heard = self.heard();
        // Before the first connection nothing was read that could have changed since.
        if listening && std::mem::replace(&mut heard.tried, true) {
            heard.of_all = heard.of_all.wrapping_add(1);
        }
        (heard.tried, heard.listening) = (true, listening);
        self.tried.notify_all();
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.ear.is_now(Line::Over);
    }
}

// === impl Ear ===

impl Ear {
    /// Keeps a connection to a host, for as long as anybody is interested.
    fn listen_to(self: Arc<Self>, uri: &CStr) {
        let [first, most] = BACKOFF;
        let mut backoff = first;
        let listener: Arc<dyn Listener> = Arc::clone(&self) as _;
        while self.is_now(Line::Open) {
            let connection = ffi::Connection::open_read_only(uri);
            match connection.and_then(|connection| Watching::over(connection, &listener)) {
                Ok(watching) => {
                    backoff = first;
                    self.tell(true);
                    // One that closed before anybody could be told of it would never be heard again.
                    while self.is_open() && watching.is_alive() {
                        self.wait(Line::Closed, LOOK);
                    }
                    drop(watching);
                }
                Err(error) => tracing::debug!(%error, "The hypervisor does not tell of changes; they are looked for."),
            }
            self.is_now(Line::Closed);
            self.tell(false);
            self.wait(Line::Over, backoff);
            backoff = most.min(backoff * 2);
        }
    }

    fn tell(&self, listening: bool) {
        if let Some(changes) = self.changes.upgrade() {
            changes.listening(listening);
        }
    }

    /// Notes how the connection is, unless nobody is interested any more; then it gives no.
    fn is_now(&self, line: Line) -> bool {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if *connection != Line::Over {
            *connection = line;
        }
        self.news.notify_all();
        *connection != Line::Over
    }

    fn is_open(&self) -> bool {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) == Line::Open
    }

    /// Waits for so long at most, until the connection is like this, or nobody is interested.
    fn wait(&self, line: Line, most: Duration) {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let other = |now: &mut Line| *now != line && *now != Line::Over;
        drop(self.news.wait_timeout_while(connection, most, other));
    }
}

impl Listener for Ear {
    fn changed(&self, guest: Uuid) {
        if let Some(changes) = self.changes.upgrade() {
            changes.changed(guest);
        }
    }

    fn closed(&self) {
        self.is_now(Line::Closed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_missed_counts_as_changed() {
        let (changes, guest, other) = (Changes::unheard(), Uuid::from_u128(1), Uuid::from_u128(2));
        changes.listening(true);
        assert_eq!(changes.of_guest(guest), (true, 0));
        changes.changed(guest);
        assert_eq!((changes.of_guest(guest), changes.of_guest(other)), ((true, 1), (true, 0)));
        changes.listening(false);
        assert_eq!(changes.of_guest(guest), (false, 1));
        changes.listening(true);
        assert_eq!((changes.of_guest(guest), changes.of_guest(other)), ((true, 2), (true, 1)));
    }

    #[test]
    fn many_guests_are_forgotten() {
        let changes = Changes::unheard();
        for guest in 0..=REMEMBERED as u128 {
            changes.changed(Uuid::from_u128(guest));
        }
        assert_eq!(changes.heard().of.len(), 1);
        assert_eq!(changes.of_guest(Uuid::from_u128(u128::MAX)).1, 1);
    }

    #[test]
    fn a_host_tells() {
        let changes = Changes::of(c"test:///default");
        assert!(changes.of_guest(Uuid::nil()).0);
        let changes = Changes::of(c"test:///nothing/there.xml");
        assert!(!changes.of_guest(Uuid::nil()).0);
    }
}
