//! Each sample as a datagram. Nobody says whether it arrived: what the network took, and did not send back within a
//! moment, counts as delivered.
//!
//! That nobody listens, or that a router has no room for as much at once, is told by an error of a later datagram, and
//! does not say which ones came back: the record is sent again, from its beginning. The system knows the room by then.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, sleep, timeout};

use super::msgpack::Packer;
use super::tries::Tries;
use crate::config::daemon::SocketOutput;
use crate::publish::publisher::{Health, Publisher};
use crate::publish::sample::Sample;
use crate::spool::log::Cause;
use crate::spool::record::counts_of;
use crate::spool::{Delivery, Feed};

/// Sends datagrams.
#[derive(Debug)]
pub struct Udp {
    output: SocketOutput,
    packer: Packer,
    open: Option<Open>,
    /// The address that was tried last.
    tried: Option<SocketAddr>,
    tries: Tries,
    /// Whether it was said that a sample is too large.
    oversize: bool,
}

/// A way to one of the receiver's addresses.
#[derive(Debug)]
struct Open {
    socket: UdpSocket,
    address: SocketAddr,
    /// When the receiver's name had this address last.
    looked_up: Instant,
}

/// What a datagram of IPv4 can hold.
const LARGEST: usize = 65_507;
/// Samples that are packed before they are sent.
const AT_ONCE: usize = 100;
/// How long it may take until a network says that nobody listens. Records come at most this often.
const MOMENT: Duration = Duration::from_millis(50);
/// A name may get another address, and nobody says so.
const LOOK_UP_EVERY: Duration = Duration::from_secs(60);
/// How long that may take while there is an address.
const LOOK_UP: Duration = Duration::from_secs(5);

// === impl Udp ===

impl Udp {
    /// Sends to this receiver.
    pub fn new(output: &SocketOutput) -> Self {
        Self {
            output: output.clone(),
            packer: Packer::new(output.secret.expose(), None),
            open: None,
            tried: None,
            tries: Tries::of(output),
            oversize: false,
        }
    }

    async fn deliver(&mut self, feed: &mut Feed) -> Option<()> {
        loop {
            let record = feed.next().await?;
            let oversize = loop {
                match self.send(&record).await {
                    Ok(oversize) => break oversize,
                    Err(error) => self.tries.failed(&error, feed).await?,
                }
            };
            self.tries.succeeded();
            let lost = match oversize.is_empty() {
                true => Vec::new(),
                false => {
                    self.say_oversize(oversize.len());
                    vec![(Cause::Oversize, counts_of(&record.content, oversize))]
                }
            };
            feed.delivered_but(record.sequence, lost);
        }
    }

    /// Sends a whole record. Returns the places of samples that do not fit.
    async fn send(&mut self, record: &Delivery) -> io::Result<Vec<usize>> {
        let open = self.way().await?;
        let (samples, mut oversize) = (record.content.len(), Vec::new());
        for start in (0..samples).step_by(AT_ONCE) {
            for (place, datagram) in self.packed(record, start..samples.min(start + AT_ONCE)) {
                if !fits(datagram.len(), || open.socket.send(&datagram)).await? {
                    oversize.push(place);
                }
            }
        }
        sleep(MOMENT).await;
        match open.socket.take_error()? {
            Some(error) => Err(error),
            None => {
                self.open = Some(open);
                Ok(oversize)
            }
        }
    }

    /// The way that there is, if the receiver's name still leads there, or else another one.
    async fn way(&mut self) -> io::Result<Open> {
        let Some(mut open) = self.open.take() else {
            let addresses = self.addresses().await?;
            return self.connect(addresses).await;
        };
        if open.looked_up.elapsed() >= LOOK_UP_EVERY {
            // Who cannot be asked just now does not say that it moved.
            if let Ok(Ok(addresses)) = timeout(LOOK_UP, self.addresses()).await
                && !addresses.contains(&open.address)
            {
                return self.connect(addresses).await;
            }
            open.looked_up = Instant::now();
        }
        Ok(open)
    }

    /// The receiver's addresses, each once.
    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for address in lookup_host((self.output.host.as_str(), self.output.port)).await? {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    /// A way to the first of these addresses that can be tried, behind the one that was tried last: whether somebody
    /// listens is not known before something was sent there.
    async fn connect(&mut self, mut addresses: Vec<SocketAddr>) -> io::Result<Open> {
        if let Some(at) = addresses.iter().position(|address| self.tried == Some(*address)) {
            addresses.rotate_left(at + 1);
        }
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            self.tried = Some(address);
            match connected(address).await {
                Ok(socket) => return Ok(Open { socket, address, looked_up: Instant::now() }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn packed(&mut self, record: &Delivery, places: std::ops::Range<usize>) -> Vec<(usize, Vec<u8>)> {
        let (mut place, mut all) = (places.start, Vec::with_capacity(places.len()));
        Sample::each(record, places, |sample| {
            let mut datagram = Vec::with_capacity(2048);
            self.packer.pack(&mut datagram, sample);
            all.push((place, datagram));
            place += 1;
        });
        all
    }

    fn say_oversize(&mut self, samples: usize) {
        if !std::mem::replace(&mut self.oversize, true) {
            let receiver = self.output.address();
            tracing::warn!(receiver, samples, "Samples do not fit into a datagram: they are lost, and counted.");
        }
    }
}

/// Sends a datagram of this length, if it can be sent at all.
async fn fits<S: Future<Output = io::Result<usize>>>(length: usize, mut send: impl FnMut() -> S) -> io::Result<bool> {
    if length > LARGEST {
        return Ok(false);
    }
    match send().await {
        // That is about this one, or about one before it. The latter is told once, and whatever follows can be sent.
        Err(error) if is_too_long(&error) => match send().await {
            Err(again) if is_too_long(&again) => Ok(false),
            sent => sent.and(Err(error)),
        },
        sent => sent.map(|_| true),
    }
}

fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

/// A socket for one address, which is told what comes back from there.
async fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    Ok(socket)
}

impl Publisher for Udp {
    fn run(mut self: Box<Self>, mut feed: Feed, health: Health) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            self.tries.health = health;
            // It ends when the feed does.
            let _ = self.deliver(&mut feed).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use rustix::io::Errno;

    use super::*;
    use crate::config::Secret;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
    }

    fn to(host: &str, port: u16) -> Udp {
        let (name, secret) = ("udp".to_owned(), Secret::new("hush"));
        let (host, publisher) = (host.to_owned(), String::new());
        Udp::new(&SocketOutput { name, host, port, secret, publisher, place: None })
    }

    /// What becomes of a datagram, and how often it was sent, where the system says this to it.
    fn sent(length: usize, says: &[Result<usize, Errno>]) -> (Result<bool, Option<i32>>, usize) {
        let mut said = says.iter().map(|said| said.map_err(io::Error::from));
        let mut times = 0;
        let sending = fits(length, || {
            times += 1;
            ready(said.next().unwrap())
        });
        let became = runtime().block_on(sending);
        (became.map_err(|error| error.raw_os_error()), times)
    }

    #[test]
    fn what_does_not_fit_is_told_from_what_came_back_of_another_one() {
        let is = |error: Errno| Err(Some(error.raw_os_error()));
        assert_eq!(sent(100, &[Ok(100)]), (Ok(true), 1));
        assert_eq!(sent(LARGEST + 1, &[]), (Ok(false), 0));
        assert_eq!(sent(100, &[Err(Errno::MSGSIZE), Err(Errno::MSGSIZE)]), (Ok(false), 2));
        assert_eq!(sent(100, &[Err(Errno::MSGSIZE), Ok(100)]), (is(Errno::MSGSIZE), 2), "it was one before");
        assert_eq!(sent(100, &[Err(Errno::MSGSIZE), Err(Errno::CONNREFUSED)]), (is(Errno::CONNREFUSED), 2));
        assert_eq!(sent(100, &[Err(Errno::CONNREFUSED)]), (is(Errno::CONNREFUSED), 1));
    }

    /// The first of a name's addresses may be one at which nobody listens, which is known once something was sent.
    #[test]
    fn an_address_that_failed_is_followed_by_the_one_behind_it() {
        runtime().block_on(async {
            let mut udp = to("h", 4952);
            let addresses: Vec<SocketAddr> = [[127, 0, 0, 1], [127, 0, 0, 2]].map(|ip| (ip, 4952).into()).into();
            let mut tried = Vec::new();
            for _ in 0..3 {
                let open = udp.connect(addresses.clone()).await.unwrap();
                assert_eq!(open.socket.peer_addr().unwrap(), open.address);
                tried.push(open.address);
            }
            assert_eq!(tried, [addresses[0], addresses[1], addresses[0]]);
            assert_eq!(udp.connect(vec![addresses[0]]).await.unwrap().address, addresses[0], "there is no other one");
            assert!(udp.connect(Vec::new()).await.unwrap_err().to_string().contains("no address"));
        });
    }

    #[test]
    fn a_name_that_moved_is_followed_within_a_minute() {
        runtime().block_on(async {
            let mut udp = to("127.0.0.1", 4952);
            let before: SocketAddr = ([127, 0, 0, 2], 4952).into();
            udp.open = Some(udp.connect(vec![before]).await.unwrap());
            let open = udp.way().await.unwrap();
            assert_eq!(open.address, before, "it is not looked up for each record");
            udp.open = Some(open);
            tokio::time::advance(LOOK_UP_EVERY).await;
            let open = udp.way().await.unwrap();
            assert_eq!(open.address, ([127, 0, 0, 1], 4952).into());

            // It stays, and is looked up a minute later again.
            let local = open.socket.local_addr().unwrap();
            udp.open = Some(open);
            tokio::time::advance(LOOK_UP_EVERY).await;
            let open = udp.way().await.unwrap();
            assert_eq!((open.socket.local_addr().unwrap(), open.looked_up), (local, Instant::now()));
        });
    }

    #[test]
    fn a_name_that_cannot_be_looked_up_just_now_is_where_it_was() {
        runtime().block_on(async {
            let mut udp = to("", 4952);
            let before: SocketAddr = ([127, 0, 0, 2], 4952).into();
            udp.open = Some(udp.connect(vec![before]).await.unwrap());
            tokio::time::advance(LOOK_UP_EVERY).await;
            assert_eq!(udp.way().await.unwrap().address, before);
        });
    }
}
