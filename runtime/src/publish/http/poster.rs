//! A record in requests, tried again until all of it is taken or known to be refused.
//!
//! A server that refuses what it is sent may mean a sample of it, or everything. A request that is refused is made
//! smaller until it is known which samples are meant; these are given up once the server has taken others. As long as it
//! takes nothing at all, nothing is given up: something else is wrong then. What is refused as a whole is tried again
//! after another record was taken, and only then it is known that it was meant.

use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{self, HeaderName};
use hyper::{StatusCode, Version};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::client::{Answer, Client};
use super::sieve::{Sieve, Step};
use crate::clock::{Clock, SystemClock};
use crate::config::Secret;
use crate::config::daemon::Server;
use crate::publish::pauses::Pauses;
use crate::publish::publisher::{Health, Publisher};
use crate::spool::log::Cause;
use crate::spool::record::counts_of;
use crate::spool::{Delivery, Feed};

/// A way of writing samples, and of reading what a server says to them.
pub trait Form: Send + 'static {
    /// The version of HTTP.
    const VERSION: Version = Version::HTTP_11;

    /// Headers of each request.
    fn headers(&self) -> Vec<(HeaderName, &'static str)>;

    /// Begins, in the service of this id, with what was kept of it before.
    fn begin(&mut self, _service: Uuid, _kept: Option<&[u8]>) {}

    /// What it is to begin with after a start of the daemon, if there is anything of the kind, `in_the_end` or on its
    /// way.
    fn to_keep(&self, _in_the_end: bool) -> Option<Vec<u8>> {
        None
    }

    /// Samples of a record, by their places in it.
    fn body(&mut self, record: &Delivery, places: Range<usize>) -> Bytes;

    /// What an answer means.
    fn verdict(&self, answer: &Answer) -> Verdict {
        Verdict::of_status(answer)
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All of it was taken.
    Taken,
    /// All of it but so many samples, which will never be taken.
    TakenBut(u64, String),
    /// It will not be taken, however often it comes.
    Refused(String),
    /// It may be taken later, perhaps not before so long.
    Later(String, Option<Duration>),
}

/// Posts samples in a form to a server.
#[derive(Debug)]
pub struct Poster<F> {
    form: F,
    client: Client,
    batch_size: usize,
    pauses: Pauses,
    health: Health,
    /// Whether it was said that samples wait.
    failing: bool,
    /// Why samples were refused, as far as that was said.
    refusals: Vec<String>,
    /// When it was kept last what the form begins with after a start.
    kept: Option<Instant>,
}

/// A record on its way.
struct Open {
    record: Delivery,
    sieve: Sieve,
    /// Why something of it was refused, as it was said last.
    reason: String,
}

/// How much time may be forgotten if the daemon is killed.
const KEPT_EVERY: Duration = Duration::from_secs(60);
/// Reasons that are remembered, so that they are said once.
const MOST_REASONS: usize = 20;

// === impl Poster ===

impl<F: Form> Poster<F> {
    /// Posts to this server, so many samples at once.
    pub fn new(form: F, server: &Server, batch_size: usize) -> Self {
        Self {
            form,
            client: Client::new(server, F::VERSION),
            batch_size: batch_size.max(1),
            pauses: Pauses::default(),
            health: Health::default(),
            failing: false,
            refusals: Vec::new(),
            kept: None,
        }
    }

    /// Delivers until the feed ends.
    async fn deliver(&mut self, feed: &mut Feed) -> Option<()> {
        // The next record, which shows whether the one before is meant where all of that is refused.
        let mut next: Option<Open> = None;
        loop {
            let mut open = match next.take() {
                Some(next) => next,
                None => Open::of(feed.next().await?, self.batch_size),
            };
            while !self.post(&mut open, feed).await? {
                self.waits(&open.reason);
                let pause = self.pauses.next(None);
                match &mut next {
                    None => {
                        let paused = tokio::select! {
                            record = feed.next() => Some(record?),
                            () = sleep(pause) => None,
                        };
                        next = paused.map(|record| Open::of(record, self.batch_size));
                    }
                    Some(next) => match self.post(next, feed).await? && next.sieve.takes() {
                        true => open.sieve.trust(),
                        false => feed.pause(pause).await?,
                    },
                }
            }
            self.done(open, feed);
            if self.kept.is_none_or(|kept| kept.elapsed() >= KEPT_EVERY) {
                self.keep(false, feed).await;
            }
        }
    }

    /// Posts a record until all is known of it, or until the server seems to take nothing. Returns whether all is known;
    /// None once the publisher is to stop.
    async fn post(&mut self, open: &mut Open, feed: &mut Feed) -> Option<bool> {
        let Open { record, sieve, reason } = open;
        loop {
            let places = match sieve.step() {
                Step::Ask(places) => places,
                Step::Nothing => return Some(false),
                Step::Done => return Some(true),
            };
            match self.ask(record, places.clone(), feed).await? {
                Ok(lost) => sieve.taken(places, lost),
                Err(why) => {
                    *reason = why;
                    sieve.refused(places);
                }
            }
        }
    }

    /// Makes a request until there is an answer that another try would not change: it was taken but for so many samples,
    /// or refused. None once the publisher is to stop.
    async fn ask(&mut self, record: &Delivery, places: Range<usize>, feed: &mut Feed) -> Option<Result<u64, String>> {
        let headers = self.form.headers();
        let body = self.form.body(record, places);
        loop {
            let verdict = match self.client.post(body.clone(), &headers).await {
                Ok(answer) => self.form.verdict(&answer),
                Err(failure) => Verdict::Later(failure.to_string(), None),
            };
            let (lost, why) = match verdict {
                Verdict::Taken => (0, String::new()),
                Verdict::TakenBut(lost, why) => (lost, why),
                Verdict::Refused(why) => return Some(Err(why)),
                Verdict::Later(why, after) => {
                    self.waits(&why);
                    feed.pause(self.pauses.next(after)).await?;
                    continue;
                }
            };
            self.works();
            self.say_lost(lost, &why);
            return Some(Ok(lost));
        }
    }

    /// All is known of a record.
    fn done(&mut self, open: Open, feed: &mut Feed) {
        let Open { record, mut sieve, reason } = open;
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

    /// Says once why samples are lost.
    fn say_lost(&mut self, samples: u64, why: &str) {
        if samples == 0 || self.refusals.len() >= MOST_REASONS || self.refusals.iter().any(|known| known == why) {
            return;
        }
        self.refusals.push(why.to_owned());
        let (server, why) = (&self.client.server().url, hidden(why, self.client.server()));
        tracing::warn!(%server, why, samples, "The server will never take some samples: they are lost, and counted.");
    }
}

impl Open {
    fn of(record: Delivery, batch_size: usize) -> Self {
        let sieve = Sieve::new(record.content.len(), batch_size);
        Self { record, sieve, reason: String::new() }
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

/// What a server or the system said, on one line, and without what we would not say ourselves.
fn hidden(text: &str, server: &Server) -> String {
    const SHOWN: usize = 300;
    const SHORTEST: usize = 4;
    let login = server.url.login.iter().flat_map(|login| [&login.user, &login.password]);
    let secrets = login.chain(server.headers.iter().map(|(_, value)| value)).map(Secret::expose);
    let query = server.url.target.expose().split(['?', '&']).skip(1);
    let values = query.filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
    let mut shown = text.to_owned();
    // What is shorter stands in words by chance.
    for secret in secrets.chain(values).filter(|secret| secret.len() >= SHORTEST) {
        shown = shown.replace(secret, "***");
    }
    shown.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

// === impl Verdict ===

impl Verdict {
    /// What the status of an answer says by itself.
    pub fn of_status(answer: &Answer) -> Self {
        let status = answer.status;
        let why = format!("it answers {status}");
        match status {
            status if status.is_success() => Self::Taken,
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Self::Refused(why)
            }
            _ => Self::Later(why, retry_after(answer)),
        }
    }
}

/// When the server wants to be asked again.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let text = answer.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let now = jiff::Timestamp::from_nanosecond(SystemClock.now().wall.into()).ok()?;
    Some(Duration::try_from(then.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let (body, trailers) = Default::default();
        Answer { status: StatusCode::from_u16(status).unwrap(), headers: headers.collect(), body, trailers }
    }

    #[test]
    fn statuses_about_samples_are_told_from_those_about_the_server() {
        for (status, expected) in [(200, "taken"), (204, "taken"), (400, "refused"), (413, "refused"), (422, "refused")]
            .into_iter()
            .chain([301, 401, 403, 404, 408, 429, 500, 502, 503, 504].map(|status| (status, "later")))
        {
            let verdict = match Verdict::of_status(&answer(status, &[])) {
                Verdict::Taken => "taken",
                Verdict::Refused(_) => "refused",
                Verdict::Later(_, None) => "later",
                other => panic!("{other:?}"),
            };
            assert_eq!(verdict, expected, "{status}");
        }
    }

    #[test]
    fn who_wants_to_be_asked_later_is() {
        let after = |text: &str| retry_after(&answer(503, &[("retry-after", text)]));
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(after("Thu, 31 Dec 2099 23:59:59 GMT").unwrap() > Duration::from_secs(1 << 30));
        assert_eq!(after("soon"), None);
    }
}
