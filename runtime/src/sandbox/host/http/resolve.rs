//! From names to addresses, as this machine is set up to.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::{fmt, io};

use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::limits::LOOKUPS;

/// Knows the addresses of names.
pub trait Resolver: Send + Sync + fmt::Debug {
    /// All addresses of a name. Whoever asks may stop waiting; the permit is given back when the work has ended.
    fn resolve(&self, name: &str, permit: OwnedSemaphorePermit) -> BoxFuture<'_, io::Result<Vec<IpAddr>>>;
}

/// The system's own: `/etc/hosts`, DNS, and whatever else `/etc/nsswitch.conf` names.
///
/// The system's function cannot be stopped, and takes half a minute if nobody answers. So each call has a thread of its
/// own, of which there are so many at most, and which nobody waits for in the end: a thread of the runtime would hold
/// up the end of the daemon.
pub struct System {
    look_up: Arc<LookUp>,
    threads: Arc<Semaphore>,
}

type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Plenty for what the system's function does.
const STACK_BYTES: usize = 512 << 10;

// === impl System ===

impl Default for System {
    fn default() -> Self {
        Self { look_up: Arc::new(system), threads: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("threads", &self.threads).finish_non_exhaustive()
    }
}

impl Resolver for System {
    fn resolve(&self, name: &str, permit: OwnedSemaphorePermit) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(io::Error::other)?;
            let (answer, answered) = oneshot::channel();
            let look_up = Arc::clone(&self.look_up);
            let work = move || {
                let addresses = look_up(&name);
                drop((thread, permit));
                // Nobody may be waiting any more.
                let _ = answer.send(addresses);
            };
            std::thread::Builder::new().name("resolver".to_owned()).stack_size(STACK_BYTES).spawn(work)?;
            answered.await.map_err(io::Error::other)?
        })
    }
}

fn system(name: &str) -> io::Result<Vec<IpAddr>> {
    let addresses = (name, 0).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    use futures_util::future::poll_immediate;
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    async fn permit(permits: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        timeout(LONG, Arc::clone(permits).acquire_owned()).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let permits = Arc::new(Semaphore::new(1));
        let addresses = System::default().resolve("localhost", permit(&permits).await).await.unwrap();
        assert!(!addresses.is_empty() && addresses.iter().all(|address| address.is_loopback()), "{addresses:?}");
        let no_name = format!("{}.invalid", "x".repeat(64));
        assert!(System::default().resolve(&no_name, permit(&permits).await).await.is_err());
    }

    /// Lets look-ups end, and counts them.
    #[derive(Debug, Default)]
    struct Gate {
        state: Mutex<(usize, bool)>,
        changed: Condvar,
    }

    impl Gate {
        fn pass(&self) {
            let mut state = self.state.lock().unwrap();
            state.0 += 1;
            drop(self.changed.wait_while(state, |(_, open)| !*open).unwrap());
        }

        fn entered(&self) -> usize {
            self.state.lock().unwrap().0
        }

        fn open(&self) {
            self.state.lock().unwrap().1 = true;
            self.changed.notify_all();
        }
    }

    #[tokio::test]
    async fn there_are_so_many_look_ups_at_once_even_if_nobody_waits_for_them() {
        let gate = Arc::new(Gate::default());
        let inside = Arc::clone(&gate);
        let look_up = move |_: &str| {
            inside.pass();
            Ok(vec![IpAddr::from([192, 0, 2, 1])])
        };
        let resolver = System { look_up: Arc::new(look_up), threads: Arc::new(Semaphore::new(2)) };
        let permits = Arc::new(Semaphore::new(3));
        for abandoned in 1..=2 {
            let mut waiting = resolver.resolve("a", permit(&permits).await);
            timeout(LONG, async {
                while gate.entered() < abandoned {
                    assert!(poll_immediate(&mut waiting).await.is_none());
                    tokio::task::yield_now().await;
                }
            })
            .await
            .unwrap();
        }
        // Both were given up, and still hold their places.
        let mut third = resolver.resolve("a", permit(&permits).await);
        assert!(poll_immediate(&mut third).await.is_none());
        assert_eq!((gate.entered(), permits.available_permits(), resolver.threads.available_permits()), (2, 0, 0));
        gate.open();
        assert_eq!(timeout(LONG, third).await.unwrap().unwrap(), [IpAddr::from([192, 0, 2, 1])]);
        for _ in 0..3 {
            std::mem::forget(permit(&permits).await);
        }
        assert_eq!(gate.entered(), 3);
    }
}
