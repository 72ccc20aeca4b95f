//! Connections as they come in over TCP.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::tls::Tls;
use super::{Limits, Reply, Request, serve};

/// Accepts connections, at most as many at once as there are permits; who comes then waits for one to end.
#[derive(Debug)]
pub struct Door {
    permits: Arc<Semaphore>,
    /// Whether it was said that none can be accepted.
    failing: bool,
}

/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// What stands in the way of accepting a connection, such as too many open files, does not pass at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections and has their requests answered, until it is dropped, and with it all connections.
///
/// None can put its end off for long without taking what it asked for.
pub async fn serve_tcp<H, F>(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    permits: Arc<Semaphore>,
    limits: Limits,
    handler: H,
) where
    H: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send,
{
    let (mut door, mut connections) = (Door::of(permits), JoinSet::new());
    while let Some(((stream, _), permit)) = door.next(|context| listener.poll_accept(context)).await {
        while connections.try_join_next().is_some() {}
        let (tls, handler) = (tls.clone(), handler.clone());
        connections.spawn(async move {
            if let Err(error) = one(stream, tls.as_deref(), limits, handler).await {
                tracing::debug!(%error, "A connection came to nothing.");
            }
            drop(permit);
        });
    }
}

// === impl Door ===

impl Door {
    /// A door for as many as these.
    pub fn of(permits: Arc<Semaphore>) -> Self {
        Self { permits, failing: false }
    }

    /// The next connection, with what lets another one in when it is dropped. What fails is tried again and again.
    pub async fn next<T>(
        &mut self,
        accept: impl Fn(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Option<(T, OwnedSemaphorePermit)> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        loop {
            match poll_fn(&accept).await {
                Ok(accepted) => {
                    self.failing = false;
                    return Some((accepted, permit));
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(%error, "A connection cannot be accepted; it is tried again and again.");
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn one<H, F>(stream: TcpStream, tls: Option<&Tls>, limits: Limits, handler: H) -> io::Result<()>
where
    H: Fn(Request) -> F,
    F: Future<Output = Reply>,
{
    // An answer is written in large pieces, the last of which shall not wait.
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => {
            let stream = timeout(HANDSHAKE_WITHIN, tls.acceptor().accept(stream)).await??;
            serve(stream, limits, handler).await;
        }
        None => serve(stream, limits, handler).await,
    }
    Ok(())
}
