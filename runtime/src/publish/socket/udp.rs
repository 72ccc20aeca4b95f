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
use tokio::time::sleep;

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
    open: Option<UdpSocket>,
    tries: Tries,
    /// Whether it was said that a sample is too large.
    oversize: bool,
}

/// What a datagram of IPv4 can hold.
const LARGEST: usize = 65_507;
/// Samples that are packed before they are sent.
const AT_ONCE: usize = 100;
/// How long it may take until a network says that nobody listens. Records come at most this often.
const MOMENT: Duration = Duration::from_millis(50);

// === impl Udp ===

impl Udp {
    /// Sends to this receiver.
    pub fn new(output: &SocketOutput) -> Self {
        Self {
            output: output.clone(),
            packer: Packer::new(output.secret.expose(), None),
            open: None,
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
        let socket = match self.open.take() {
            Some(socket) => socket,
            None => open(&self.output).await?,
        };
        let (samples, mut oversize) = (record.content.len(), Vec::new());
        for start in (0..samples).step_by(AT_ONCE) {
            for (place, datagram) in self.packed(record, start..samples.min(start + AT_ONCE)) {
                if !fits(datagram.len(), || socket.send(&datagram)).await? {
                    oversize.push(place);
                }
            }
        }
        sleep(MOMENT).await;
        match socket.take_error()? {
            Some(error) => Err(error),
            None => {
                self.open = Some(socket);
                Ok(oversize)
            }
        }
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

async fn open(output: &SocketOutput) -> io::Result<UdpSocket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((output.host.as_str(), output.port)).await? {
        let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let connected = async {
            let socket = UdpSocket::bind(any).await?;
            // Connected, it is told what comes back.
            socket.connect(address).await.map(|()| socket)
        };
        match connected.await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
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

    /// What becomes of a datagram, and how often it was sent, where the system says this to it.
    fn sent(length: usize, says: &[Result<usize, Errno>]) -> (Result<bool, Option<i32>>, usize) {
        let mut said = says.iter().map(|said| said.map_err(io::Error::from));
        let mut times = 0;
        let sending = fits(length, || {
            times += 1;
            ready(said.next().unwrap())
        });
        let became = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(sending);
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
}
