//! A record in requests, tried again until all of it is taken or known to be refused.
//!
//! A server that refuses what it is sent may mean a sample of it, or everything. A request that is refused is made
//! smaller until it is known which samples are meant, and these are given up only if the server takes something else: a
//! sample that it took before, which is posted once more in proof. Where there is none yet, or that is refused, too,
//! the records behind are looked at, until something of one is taken. As long as the server takes nothing at all,
//! nothing is given up: something else is wrong then.
//!
//! A request that is too much at once, or takes too long, says nothing about its samples: fewer are asked for at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::select;
use tokio::time::{Instant, sleep_until};

use super::batch::Batch;
use super::client::{Client, Failure};
use super::form::{Form, Verdict};
use super::sieve::{Sieve, Step};
use crate::config::Secret;
use crate::config::daemon::Server;
use crate::publish::pauses::Pauses;
use crate::publish::publisher::{Health, Publisher};
use crate::spool::log::{Cause, Sequence};
use crate::spool::record::{Content, counts_of};
use crate::spool::{Delivery, Feed};

/// Posts samples in a form to a server.
#[derive(Debug)]
pub struct Poster<F> {
    form: F,
    client: Client,
    batch: Batch,
    pauses: Pauses,
    health: Health,
    /// Whether it was said that samples wait.
    failing: bool,
    /// Why samples were refused, as far as that was said.
    refusals: Vec<String>,
    /// When it was kept last what the form begins with after a start.
    kept: Option<Instant>,
    /// What the server took last, to find out whether it takes anything.
    proof: Option<Proof>,
}

/// A request of which the server took something.
#[derive(Debug)]
struct Proof {
    /// The record that it is of.
    of: Sequence,
    body: Bytes,
    samples: usize,
    /// Whether the server refused it when it came again.
    is_refused: bool,
}

/// A record on its way.
struct Open {
    record: Delivery,
    sieve: Sieve,
    /// Why something of it was refused, as it was said last.
    reason: String,
    /// How often it was posted before the records in front of it were done.
    tries: usize,
    /// Requests of which something was taken.
    taken: usize,
    /// Whether something of a later record was taken, and the server is not known to take anything twice: what it
    /// refuses is meant, then, as nothing can be asked for in proof.
    is_believed: bool,
}

/// How much time may be forgotten if the daemon is killed.
const KEPT_EVERY: Duration = Duration::from_secs(60);
/// Reasons that are remembered, so that they are said once.
const MOST_REASONS: usize = 20;
/// Later records that are held until something of one is taken, and what is in all of them: samples, and resources, of
/// which a record has all of its slot. Each may be of a kilobyte or two.
const MOST_AHEAD: usize = 64;
const MOST_IN_THEM: usize = 30_000;

// === impl Poster ===

impl<F: Form> Poster<F> {
    /// Posts to this server, so many samples at once.
    pub fn new(form: F, server: &Server, batch_size: usize) -> Self {
        Self {
            form,
            client: Client::new(server, F::VERSION),
            batch: Batch::of(batch_size),
            pauses: Pauses::default(),
            health: Health::default(),
            failing: false,
            refusals: Vec::new(),
            kept: None,
            proof: None,
        }
    }

    /// Delivers until the feed ends.
    async fn deliver(&mut self, feed: &mut Feed) -> Option<()> {
        let mut ahead = VecDeque::new();
        loop {
            let mut open = match ahead.pop_front() {
                Some(open) => open,
                None => Open::of(feed.next().await?),
            };
            while !self.post(&mut open, feed).await? {
                self.waits(&open.reason);
                open.is_believed = self.look_ahead(&mut ahead, feed).await?;
                if !open.is_believed {
                    open.sieve.doubted();
                }
            }
            self.done(open, feed);
            if self.kept.is_none_or(|kept| kept.elapsed() >= KEPT_EVERY) {
                self.keep(false, feed).await;
            }
        }
    }

    /// Posts one of the records behind, in turn from the oldest on, and waits unless something of it was taken: the record
    /// before them is tried again first, as some servers take nothing that is older than what they have. Returns whether
    /// something was taken; None once the publisher is to stop.
    async fn look_ahead(&mut self, ahead: &mut VecDeque<Open>, feed: &mut Feed) -> Option<bool> {
        if let Some(later) = ahead.iter_mut().min_by_key(|open| open.tries) {
            let before = later.taken;
            later.tries += 1;
            if !self.post(later, feed).await? {
                later.sieve.doubted();
            }
            if later.taken > before {
                return Some(true);
            }
        }
        let over = Instant::now() + self.pauses.next(None);
        loop {
            let has_room = ahead.len() < MOST_AHEAD && ahead.iter().map(Open::size).sum::<usize>() < MOST_IN_THEM;
            select! {
                record = feed.next_if(has_room) => ahead.push_back(Open::of(record?)),
                () = sleep_until(over) => return Some(false),
            }
        }
    }

    /// Posts a record until all is known of it, or until the server seems to take nothing. Returns whether all is
    /// known; None once the publisher is to stop.
    async fn post(&mut self, open: &mut Open, feed: &mut Feed) -> Option<bool> {
        loop {
            match open.sieve.step(self.batch.size()) {
                Step::Done => return Some(true),
                Step::Prove => {
                    let is_proven = self.proves(feed).await?;
                    open.is_believed &= !is_proven;
                    if !is_proven && !open.is_believed {
                        return Some(false);
                    }
                    open.sieve.proven();
                }
                Step::Ask(places) => match self.ask(&open.record, places.clone()).await {
                    Verdict::Taken => open.took(places, 0),
                    Verdict::TakenBut(lost, _) => open.took(places, lost),
                    Verdict::TooMuch(_) if places.len() > 1 => open.sieve.put_back(places),
                    Verdict::Refused(why) | Verdict::TooMuch(why) => {
                        open.reason = why;
                        open.sieve.refused(places);
                    }
                    // Fewer may do at once, and nothing is wrong then.
                    Verdict::TooLong(_, after) if places.len() > 1 && self.pauses.is_reset() => {
                        feed.pause(self.pauses.next(after)).await?;
                        open.sieve.put_back(places);
                    }
                    Verdict::TooLong(why, after) | Verdict::Later(why, after) => {
                        self.waits_for(&why, after, feed).await?;
                        open.sieve.put_back(places);
                    }
                },
            }
        }
    }

    /// Makes a request, and learns from the answer how much of a record may be in one.
    async fn ask(&mut self, record: &Delivery, places: Range<usize>) -> Verdict {
        let (samples, body) = (places.len(), self.form.body(record, places.clone()));
        let began = Instant::now();
        let verdict = self.exchange(body).await;
        let lost = match &verdict {
            Verdict::Taken => 0,
            Verdict::TakenBut(lost, why) => {
                self.say_lost(*lost, why);
                *lost
            }
            Verdict::TooMuch(_) | Verdict::TooLong(..) => {
                self.batch.too_much(samples);
                return verdict;
            }
            Verdict::Refused(_) | Verdict::Later(..) => return verdict,
        };
        self.batch.taken(samples, began.elapsed(), self.client.server().timeout);
        self.took(record, places, lost);
        verdict
    }

    /// Whether the server takes again what it took. None once the publisher is to stop.
    async fn proves(&mut self, feed: &mut Feed) -> Option<bool> {
        let Some(proof) = &self.proof else { return Some(false) };
        let samples = proof.samples;
        let is_taken = match self.exchange(proof.body.clone()).await {
            Verdict::Taken => true,
            Verdict::TakenBut(lost, _) => takes_any(samples, lost),
            Verdict::Refused(_) | Verdict::TooMuch(_) => false,
            Verdict::TooLong(why, after) | Verdict::Later(why, after) => {
                // It may be away, or have a status of its own for what it has already.
                self.waits_for(&why, after, feed).await?;
                return Some(false);
            }
        };
        if is_taken {
            self.works();
        }
        if let Some(proof) = &mut self.proof {
            proof.is_refused = !is_taken;
        }
        Some(is_taken)
    }

    async fn exchange(&mut self, body: Bytes) -> Verdict {
        match self.client.post(body, &self.form.headers()).await {
            Ok(answer) => self.form.verdict(&answer),
            // Some servers end the connection when they have enough.
            Err(failure @ (Failure::Slow(_) | Failure::Broken(_) | Failure::NoGrpc(_))) => {
                Verdict::TooLong(failure.to_string(), None)
            }
            Err(failure) => Verdict::Later(failure.to_string(), None),
        }
    }

    /// These were taken, but for so many of them.
    fn took(&mut self, record: &Delivery, places: Range<usize>, lost: u64) {
        self.works();
        let is_known = self.proof.as_ref().is_some_and(|proof| proof.of == record.sequence && !proof.is_refused);
        if is_known || !takes_any(places.len(), lost) {
            return;
        }
        // One will do, unless it is not known which ones were taken.
        let places = if lost == 0 { places.start..places.start + 1 } else { places };
        let samples = places.len();
        let body = self.form.body(record, places);
        self.proof = Some(Proof { of: record.sequence, body, samples, is_refused: false });
    }

    /// All is known of a record.
    fn done(&mut self, open: Open, feed: &mut Feed) {
        let Open { record, mut sieve, reason, .. } = open;
        let lost = sieve.lost();
        let refused = match lost.len() {
            0 => Vec::new(),
            samples => {
                // Why others were left out was said with the answer.
                if !reason.is_empty() {
                    self.say_lost(samples as u64, &reason);
                }
                vec![(Cause::Refused, counts_of(&record.content, lost.iter().copied()))]
            }
        };
        feed.delivered_but(record.sequence, refused);
    }

    async fn keep(&mut self, in_the_end: bool, feed: &Feed) {
        self.kept = Some(Instant::now());
        if let Some(bytes) = self.form.to_keep(in_the_end) {
            feed.keep(bytes).await;
        }
    }

    /// Waits for a server that is to be asked later, perhaps not before so long. None once the publisher is to stop.
    async fn waits_for(&mut self, why: &str, after: Option<Duration>, feed: &mut Feed) -> Option<()> {
        self.waits(why);
        feed.pause(self.pauses.next(after)).await
    }

    fn waits(&mut self, why: &str) {
        let why = hidden(why, self.client.server());
        let server = &self.client.server().url;
        self.health.fails(format!("{server}: {why}"));
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%server, why, "Samples cannot be delivered; they wait in the spool.");
        }
    }

    fn works(&mut self) {
        self.pauses.reset();
        if std::mem::take(&mut self.failing) {
            self.health.works();
            tracing::info!(server = %self.client.server().url, "Samples are delivered again.");
        }
    }

    /// Says once why samples are lost, or what a server warns of that took all of them.
    fn say_lost(&mut self, samples: u64, why: &str) {
        if self.refusals.len() >= MOST_REASONS || self.refusals.iter().any(|known| known == why) {
            return;
        }
        self.refusals.push(why.to_owned());
        let (server, why) = (&self.client.server().url, hidden(why, self.client.server()));
        let said = match samples {
            0 => "The server takes samples, and warns.",
            _ => "The server will never take some samples: they are lost, and counted.",
        };
        tracing::warn!(%server, why, samples, "{said}");
    }
}

impl Open {
    fn of(record: Delivery) -> Self {
        let sieve = Sieve::new(record.content.len());
        Self { record, sieve, reason: String::new(), tries: 0, taken: 0, is_believed: false }
    }

    /// These were taken, but for so many of them.
    fn took(&mut self, places: Range<usize>, lost: u64) {
        self.taken += usize::from(takes_any(places.len(), lost));
        self.sieve.taken(places, lost);
    }

    /// What is in it: samples, and the resources of its slot.
    fn size(&self) -> usize {
        let resources = match &self.record.content {
            Content::Slot(slot) => slot.resources.len() as usize,
            Content::Replayed { .. } => 0,
        };
        self.record.content.len() + resources
    }
}

impl<F: Form> Publisher for Poster<F> {
    fn run(mut self: Box<Self>, mut feed: Feed, health: Health) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            self.health = health;
            self.form.begin(feed.spool(), feed.kept().await.as_deref());
            // It ends when the feed does.
            let _ = self.deliver(&mut feed).await;
            self.keep(true, &feed).await;
        })
    }
}

/// Whether some of so many samples were taken, if so many were not.
fn takes_any(samples: usize, lost: u64) -> bool {
    lost < samples as u64
}

/// What a server or the system said, on one line, and without what we would not say ourselves.
fn hidden(text: &str, server: &Server) -> String {
    const SHOWN: usize = 300;
    const SHORTEST: usize = 4;
    let login = server.url.login.iter().flat_map(|login| [&login.user, &login.password]);
    let secrets = login.chain(server.headers.iter().map(|(_, value)| value)).map(Secret::expose);
    let query = server.url.target.expose().split(['?', '&']).skip(1);
    let values = query.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let mut shown = text.to_owned();
    // What is shorter stands in words by chance.
    for secret in secrets.chain(values).filter(|secret| secret.len() >= SHORTEST) {
        shown = shown.replace(secret, "***");
    }
    shown.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}
