//! Each sample as a datagram. Nobody says whether it arrived: what was handed to the system counts as delivered.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::net::{UdpSocket, lookup_host};

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
            let mut oversize = Vec::new();
            let samples = record.content.len();
            for start in (0..samples).step_by(AT_ONCE) {
                for (place, datagram) in self.packed(&record, start..samples.min(start + AT_ONCE)) {
                    if !self.send(&datagram, feed).await? {
                        oversize.push(place);
                    }
                }
            }
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

    /// Sends one until the system takes it, and says whether it can. None once the publisher is to stop.
    async fn send(&mut self, datagram: &[u8], feed: &mut Feed) -> Option<bool> {
        loop {
            match self.try_send(datagram).await {
                Ok(sent) => {
                    self.tries.succeeded();
                    return Some(sent);
                }
                Err(error) => {
                    self.open = None;
                    self.tries.failed(&error, feed).await?;
                }
            }
        }
    }

    async fn try_send(&mut self, datagram: &[u8]) -> io::Result<bool> {
        if datagram.len() > LARGEST {
            return Ok(false);
        }
        let socket = match self.open.take() {
            Some(socket) => socket,
            None => open(&self.output).await?,
        };
        let sent = socket.send(datagram).await;
        self.open = Some(socket);
        match sent {
            Ok(_) => Ok(true),
            // Where less fits than a datagram may have, the system knows.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn say_oversize(&mut self, samples: usize) {
        if !std::mem::replace(&mut self.oversize, true) {
            let receiver = self.output.address();
            tracing::warn!(receiver, samples, "Samples do not fit into a datagram: they are lost, and counted.");
        }
    }
}

async fn open(output: &SocketOutput) -> io::Result<UdpSocket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((output.host.as_str(), output.port)).await? {
        let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let connected = async {
            let socket = UdpSocket::bind(any).await?;
            // A receiver that is not there is told by the next datagram's error.
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
