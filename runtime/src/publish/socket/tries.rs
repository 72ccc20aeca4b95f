//! Tries to reach a receiver, again and again: that it fails is said once, and so is that it works again.

use std::io;

use crate::config::daemon::SocketOutput;
use crate::publish::pauses::Pauses;
use crate::publish::publisher::Health;
use crate::spool::Feed;

/// Tries to reach one receiver.
#[derive(Debug)]
pub(super) struct Tries {
    receiver: String,
    /// What others are told of it.
    pub health: Health,
    pauses: Pauses,
    failing: bool,
}

// === impl Tries ===

impl Tries {
    pub fn of(output: &SocketOutput) -> Self {
        let receiver = output.address().to_string();
        Self { receiver, health: Health::default(), pauses: Pauses::default(), failing: false }
    }

    pub fn succeeded(&mut self) {
        self.pauses.reset();
        if std::mem::take(&mut self.failing) {
            self.health.works();
            tracing::info!(receiver = self.receiver, "Samples are sent again.");
        }
    }

    /// Waits before another one. None once the publisher is to stop.
    pub async fn failed(&mut self, error: &io::Error, feed: &mut Feed) -> Option<()> {
        let receiver = &*self.receiver;
        self.health.fails(format!("{receiver}: {error}"));
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(receiver, %error, "Samples cannot be sent; they wait in the spool.");
        }
        feed.pause(self.pauses.next(None)).await
    }
}
