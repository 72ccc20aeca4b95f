//! How samples are written for a server, and what its answers mean.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{self, HeaderName};
use hyper::{StatusCode, Version};
use uuid::Uuid;

use super::client::Answer;
use crate::clock::{Clock, SystemClock};
use crate::spool::Delivery;

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
    /// All of it but so many samples, which will never be taken. If there are none, it is a word of warning.
    TakenBut(u64, String),
    /// It will not be taken, however often it comes.
    Refused(String),
    /// It will not be taken at once, and parts of it may be.
    TooMuch(String),
    /// It may be taken later, perhaps not before so long.
    Later(String, Option<Duration>),
    /// The same, and parts of it may be taken before: nobody knows whether it was too much at once.
    TooLong(String, Option<Duration>),
}

// === impl Verdict ===

impl Verdict {
    /// What the status of an answer says by itself.
    pub fn of_status(answer: &Answer) -> Self {
        let status = answer.status;
        let why = match status.is_redirection() {
            true => format!("it answers {status}, and redirects are not followed"),
            false => format!("it answers {status}"),
        };
        match status {
            status if status.is_success() => Self::Taken,
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Self::Refused(why),
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooMuch(why),
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => Self::TooLong(why, retry_after(answer)),
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
        for (status, expected) in [(200, "taken"), (204, "taken"), (400, "refused"), (422, "refused")]
            .into_iter()
            .chain([(413, "too much"), (408, "too long"), (504, "too long")])
            .chain([301, 401, 403, 404, 429, 500, 502, 503].map(|status| (status, "later")))
        {
            let verdict = match Verdict::of_status(&answer(status, &[])) {
                Verdict::Taken => "taken",
                Verdict::Refused(_) => "refused",
                Verdict::TooMuch(_) => "too much",
                Verdict::TooLong(..) => "too long",
                Verdict::Later(_, None) => "later",
                other => panic!("{other:?}"),
            };
            assert_eq!(verdict, expected, "{status}");
        }
    }

    #[test]
    fn who_is_sent_elsewhere_is_told_that_nobody_goes() {
        let Verdict::Later(why, None) = Verdict::of_status(&answer(302, &[])) else { panic!() };
        assert_eq!(why, "it answers 302 Found, and redirects are not followed");
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
