//! Requests over the network.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::exchange::Watch;
use super::refused::{Refused, Stage};
use super::request::Outgoing;
use super::resolve::Resolver;
use super::tls;
use super::transport::{Stream, Transport};
use super::url::Host;

/// Keeps nothing of one request for the next: no connections, no sessions, no addresses. Proxies that the environment
/// names are not used.
pub struct Network {
    resolver: Arc<dyn Resolver>,
    tls: Arc<ClientConfig>,
}

// === impl Network ===

impl Network {
    /// Looks up names and trusts servers like this.
    pub fn new(resolver: Arc<dyn Resolver>, tls: Arc<ClientConfig>) -> Self {
        Self { resolver, tls }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("resolver", &self.resolver).finish_non_exhaustive()
    }
}

impl Resolver for Network {
    fn resolve(&self, name: &str, permit: OwnedSemaphorePermit) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
        self.resolver.resolve(name, permit)
    }
}

impl Transport for Network {
    fn connect<'a>(
        &'a self,
        outgoing: &'a Outgoing,
        addresses: &'a [IpAddr],
        watch: &'a Watch,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, Refused>> {
        Box::pin(async move {
            let stream = connect(addresses, outgoing.url.origin().port(), watch).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn secure<'a>(
        &'a self,
        stream: Box<dyn Stream>,
        host: &'a Host,
        watch: &'a Watch,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, Refused>> {
        Box::pin(async move {
            let refused = |problem| Refused::Tls { host: watch.host.clone(), problem };
            let name = match host {
                Host::Name(name) => {
                    ServerName::try_from(name.clone()).map_err(|_| refused("no certificate can be for this name"))?
                }
                Host::Address(address) => ServerName::from(*address),
            };
            let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream);
            let stream = watch.within(Stage::Handshake, handshake).await?;
            let stream = stream.map_err(|error| watch.unpayable().unwrap_or_else(|| refused(tls::problem(&error))))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn takes_time(&self) -> bool {
        true
    }
}

/// Connects to the first of these addresses that can be connected to. Each has its share of the time that is left.
async fn connect(addresses: &[IpAddr], port: u16, watch: &Watch) -> Result<TcpStream, Refused> {
    let mut problem = "it does not answer";
    for (tried, address) in addresses.iter().enumerate() {
        let left = watch.until.saturating_duration_since(Instant::now());
        let share = u32::try_from(addresses.len() - tried).map_or(Duration::ZERO, |shares| left / shares);
        let attempt = timeout(share, TcpStream::connect(SocketAddr::new(*address, port)));
        match watch.within(Stage::Connect, attempt).await? {
            Ok(Ok(stream)) => {
                // A request is written as a whole; waiting for more would only delay it.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => problem = NOBODY,
            Ok(Err(_)) => problem = "there is no way to it",
            Err(_) => problem = "it does not answer",
        }
    }
    if watch.until <= Instant::now() {
        return Err(watch.late(Stage::Connect));
    }
    Err(Refused::Unreachable { host: watch.host.clone(), port, problem })
}

/// Why a connection is refused.
pub(super) const NOBODY: &str = "nobody listens there";
