//! Samples one after the other into a connection: the length in eight bytes, the least significant first, and the sample.
//!
//! The receiver never answers. What the system took counts as delivered; a record during which a connection ended is
//! sent again, from its beginning, over the next one.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::msgpack::Packer;
use super::tries::Tries;
use crate::config::daemon::SocketOutput;
use crate::publish::publisher::{Health, Publisher};
use crate::publish::sample::Sample;
use crate::spool::{Delivery, Feed};

/// Sends into a connection.
#[derive(Debug)]
pub struct Tcp {
    output: SocketOutput,
    packer: Packer,
    open: Option<TcpStream>,
    tries: Tries,
}

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a receiver may take nothing.
const STALLED: Duration = Duration::from_secs(60);
/// Samples that are packed before they are sent.
const AT_ONCE: usize = 200;

// === impl Tcp ===

impl Tcp {
    /// Sends to this receiver.
    pub fn new(output: &SocketOutput) -> Self {
        Self {
            output: output.clone(),
            packer: Packer::new(output.secret.expose(), Some(&output.publisher)),
            open: None,
            tries: Tries::of(output),
        }
    }

    async fn deliver(&mut self, feed: &mut Feed) -> Option<()> {
        loop {
            let record = feed.next().await?;
            while let Err(error) = self.send(&record).await {
                // What was written of it may be gone with the connection.
                self.open = None;
                self.tries.failed(&error, feed).await?;
            }
            self.tries.succeeded();
            feed.delivered(record.sequence);
        }
    }

    /// Sends a whole record over one connection.
    async fn send(&mut self, record: &Delivery) -> io::Result<()> {
        let mut stream = match self.open.take() {
            // What was written last may not have arrived if the other side is gone by now, but nobody would say so.
            Some(stream) if !is_closed(&stream) => stream,
            _ => {
                let stream = TcpStream::connect((self.output.host.as_str(), self.output.port));
                let stream = timeout(CONNECT, stream).await.map_err(io::Error::from)??;
                stream.set_nodelay(true)?;
                stream
            }
        };
        let samples = record.content.len();
        let mut out = Vec::new();
        for start in (0..samples).step_by(AT_ONCE) {
            out.clear();
            Sample::each(record, start..samples.min(start + AT_ONCE), |sample| self.frame(&mut out, sample));
            let mut rest = out.as_slice();
            while !rest.is_empty() {
                let written = timeout(STALLED, stream.write(rest)).await.map_err(io::Error::from)??;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                rest = rest.get(written..).unwrap_or_default();
            }
        }
        // One that ended meanwhile need not have taken everything.
        if is_closed(&stream) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the receiver ended the connection"));
        }
        self.open = Some(stream);
        Ok(())
    }

    fn frame(&mut self, out: &mut Vec<u8>, sample: &Sample<'_>) {
        let begin = out.len();
        out.extend([0; 8]);
        self.packer.pack(out, sample);
        let length = (out.len() - begin - 8) as u64;
        if let Some(place) = out.get_mut(begin..begin + 8) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// Whether the other side has ended the connection. What it says otherwise is not listened to.
fn is_closed(stream: &TcpStream) -> bool {
    let mut said = [0; 64];
    loop {
        match stream.try_read(&mut said) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl Publisher for Tcp {
    fn run(mut self: Box<Self>, mut feed: Feed, health: Health) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            self.tries.health = health;
            // It ends when the feed does.
            let _ = self.deliver(&mut feed).await;
        })
    }
}
