//! Each sample as a datagram. Nobody says whether it arrived: what the network took, and did not send back within a
//! moment, counts as delivered.
//!
//! That nobody listens is told by an error of a later datagram, and does not say which ones came back: the record is
//! sent again, from its beginning.

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
                if !fits(&socket, &datagram).await? {
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

/// Sends a datagram, if it can be sent at all.
async fn fits(socket: &UdpSocket, datagram: &[u8]) -> io::Result<bool> {
    if datagram.len() > LARGEST {
        return Ok(false);
    }
    match socket.send(datagram).await {
        Ok(_) => Ok(true),
        // Where less fits than a datagram may have, the system knows.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) => Ok(false),
        Err(error) => Err(error),
    }
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
