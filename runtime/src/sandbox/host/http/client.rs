//! One request from its first check to the last byte of its answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header;
use hyper::http::response::Parts;
use tokio::time::Instant;

use super::addresses;
use super::answers::Answers;
use super::exchange::{Watch, exchange};
use super::limits::{ADDRESSES_TRIED, DEADLINE_CEILING, REDIRECTS, REQUEST_HEAD_BYTES};
use super::network::Network;
use super::permissions::Permissions;
use super::price::{BYTE_IN, Usage};
use super::refused::{Refused, Stage};
use super::request::{Outgoing, Request, Response};
use super::transport::{Stream, Transport};
use super::url::{Host, Origin, Scheme};
use super::wire::{Counted, Tally};
use crate::clock::Clock;

/// Asks on behalf of all deployments, and keeps nothing of one request for the next, such as cookies.
#[derive(Debug)]
pub struct Client {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
}

/// What a request may take of what its call has left.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// Time.
    pub time: Duration,
    /// Fuel, with what it used before.
    pub fuel: u64,
}

/// Books what went over a connection, however its use ends.
struct Bill<'a> {
    usage: &'a mut Usage,
    tally: Arc<Tally>,
}

// === impl Client ===

impl Client {
    /// A client that asks servers. By this clock it knows how often it asked.
    pub fn new(network: Network, clock: Arc<dyn Clock>) -> Self {
        Self { transport: Arc::new(network), clock }
    }

    /// A client that asks nobody: what it is answered was written.
    pub fn answered_by(answers: &Arc<Answers>, clock: Arc<dyn Clock>) -> Self {
        Self { transport: Arc::<Answers>::clone(answers), clock }
    }

    /// Whether answers are waited for.
    pub(super) fn takes_time(&self) -> bool {
        self.transport.takes_time()
    }

    /// Makes a request and follows redirects, each of which is checked like a request of its own. What a request costs
    /// has to be there before it is made, and no more comes than can be paid for.
    ///
    /// What it took is added to `usage` as it goes, so it is there even if this is dropped on the way.
    pub async fn send(
        &self,
        permissions: &Permissions,
        request: Request,
        allowance: Allowance,
        usage: &mut Usage,
    ) -> Result<Response, Refused> {
        let secrets = &permissions.secrets;
        let time = allowance.time.min(permissions.limits.deadline);
        // Where nothing takes time, none is left only if there was none: a slow machine has no say in that.
        let until = Instant::now() + if self.takes_time() || time.is_zero() { time } else { DEADLINE_CEILING };
        let mut outgoing = Outgoing::new(request, secrets)?;
        let mut host = String::new();
        for _ in 0..=REDIRECTS {
            let (head, body) = self.ask(permissions, &outgoing, (until, allowance.fuel), usage).await?;
            host = outgoing.url.origin().host().to_string();
            if let Some(location) = outgoing.location(&head) {
                let location = location.clone();
                outgoing = outgoing.redirect(head.status, &location)?;
                continue;
            }
            let encoded = head.headers.get_all(header::CONTENT_ENCODING).iter();
            if !secrets.is_empty() && encoded.into_iter().any(|coding| coding != "identity") {
                let problem = "it is compressed though nobody asked for that, and cannot be searched for secrets";
                return Err(Refused::BadAnswer { host, problem: problem.to_owned() });
            }
            let mut headers = Response::headers(&head.headers, secrets);
            let body = match secrets.mask_body(&body).await {
                Some(masked) => {
                    headers.retain(|(name, _)| name != header::CONTENT_LENGTH.as_str());
                    masked
                }
                None => body,
            };
            return Ok(Response { status: head.status.as_u16(), headers, body });
        }
        Err(Refused::TooManyRedirects { host })
    }

    /// One request without what it is redirected to.
    async fn ask(
        &self,
        permissions: &Permissions,
        outgoing: &Outgoing,
        (until, fuel): (Instant, u64),
        usage: &mut Usage,
    ) -> Result<(Parts, Vec<u8>), Refused> {
        permissions.admit(outgoing.method, &outgoing.url, outgoing.redirected)?;
        let request = outgoing.to_http(&permissions.secrets)?;
        let (limits, origin) = (&permissions.limits, outgoing.url.origin());
        if until <= Instant::now() {
            let (host, within) = (origin.host().to_string(), limits.deadline);
            return Err(Refused::Timeout { host, within, stage: Stage::Lookup });
        }
        let payable = bytes_payable(outgoing, fuel, usage)?;
        let rate = &permissions.rate;
        rate.take(self.clock.now().monotonic)
            .map_err(|again_in| Refused::RateLimited { per_minute: rate.limit(), again_in })?;
        usage.requests += 1;

        let tally = Tally::new(limits.wire().min(payable));
        let watch = Watch {
            host: origin.host().to_string(),
            until,
            within: limits.deadline,
            payable,
            tally: Arc::clone(&tally),
        };
        let bill = Bill { usage, tally: Arc::clone(&tally) };
        let addresses = self.addresses(permissions, origin, bill.usage, &watch).await?;
        let stream = self.transport.connect(outgoing, &addresses, &watch).await?;
        let mut stream: Box<dyn Stream> = Box::new(Counted::new(stream, tally));
        if origin.scheme() == Scheme::Https {
            bill.usage.handshakes += 1;
            stream = self.transport.secure(stream, origin.host(), &watch).await?;
        }
        let wanted = |head: &Parts| outgoing.location(head).is_none();
        exchange(stream, request, limits.body, wanted, &watch).await
    }

    /// The addresses that a connection may go to, looked up once.
    ///
    /// If one of them may not be connected to, none is: a public name that also has a private address is a mistake at
    /// best, and an attack's usual form. Trying the others would be as safe, as connections go to addresses that were
    /// checked and never to a name, but whether a request works would then depend on the order of an answer.
    async fn addresses(
        &self,
        permissions: &Permissions,
        origin: &Origin,
        usage: &mut Usage,
        watch: &Watch,
    ) -> Result<Vec<IpAddr>, Refused> {
        let addresses = match origin.host() {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let unresolved = || Refused::Unresolved { host: name.clone() };
                let lookup = async {
                    let permit =
                        Arc::clone(&permissions.rate.bucket.lookups).acquire_owned().await.map_err(|_| unresolved())?;
                    usage.lookups += 1;
                    self.transport.resolve(name, permit).await.map_err(|error| {
                        tracing::debug!(%name, %error, "A module's host cannot be looked up.");
                        unresolved()
                    })
                };
                let addresses = watch.within(Stage::Lookup, lookup).await??;
                if addresses.is_empty() {
                    return Err(unresolved());
                }
                addresses
            }
        };
        for address in &addresses {
            permissions.vet(*address).map_err(|kind| Refused::NotPublic {
                host: watch.host.clone(),
                address: *address,
                kind,
            })?;
        }
        Ok(addresses.into_iter().map(addresses::canonical).take(ADDRESSES_TRIED).collect())
    }
}

/// How much may come before it costs more than is left, if the request itself can be paid for.
fn bytes_payable(outgoing: &Outgoing, fuel: u64, usage: &Usage) -> Result<u64, Refused> {
    let origin = outgoing.url.origin();
    let next = Usage {
        requests: 1,
        lookups: u64::from(matches!(origin.host(), Host::Name(_))),
        handshakes: u64::from(origin.scheme() == Scheme::Https),
        bytes_out: (REQUEST_HEAD_BYTES + outgoing.body_bytes()) as u64,
        bytes_in: 0,
    };
    let left = fuel.checked_sub(usage.fuel().saturating_add(next.fuel()));
    left.map(|left| left / BYTE_IN).ok_or_else(|| Refused::OutOfFuel { host: origin.host().to_string() })
}

// === impl Bill ===

impl Drop for Bill<'_> {
    fn drop(&mut self) {
        self.usage.bytes_out += self.tally.sent();
        self.usage.bytes_in += self.tally.came();
    }
}
