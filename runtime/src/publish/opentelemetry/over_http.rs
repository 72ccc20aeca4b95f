//! OTLP in requests of HTTP.

use std::ops::Range;

use bytes::Bytes;
use hyper::header::{self, HeaderName};
use uuid::Uuid;

use super::metrics::Metrics;
use super::protobuf::Fields;
use crate::publish::http::{Answer, Form, Verdict};
use crate::spool::Delivery;

/// Metrics as protobuf.
#[derive(Debug, Default)]
pub struct OverHttp(Metrics);

const PROTOBUF: &str = "application/x-protobuf";

impl Form for OverHttp {
    fn headers(&self) -> Vec<(HeaderName, &'static str)> {
        vec![(header::CONTENT_TYPE, PROTOBUF)]
    }

    fn begin(&mut self, service: Uuid, kept: Option<&[u8]>) {
        self.0.begin(service, kept);
    }

    fn to_keep(&self, in_the_end: bool) -> Option<Vec<u8>> {
        self.0.to_keep(in_the_end)
    }

    fn body(&mut self, record: &Delivery, places: Range<usize>) -> Bytes {
        let mut out = Vec::new();
        self.0.write(&mut out, record, places);
        out.into()
    }

    fn verdict(&self, answer: &Answer) -> Verdict {
        let kind = answer.headers.get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
        let readable = kind.is_some_and(|kind| kind.starts_with(PROTOBUF.as_bytes()));
        // The body of a refusal is a status with a message, if it is anything.
        let explained = |why: String| match Fields::of(&answer.body).text(2) {
            message if message.is_empty() => why,
            message => format!("{why}: {message}"),
        };
        match Verdict::of_status(answer) {
            Verdict::Taken if readable => of_response(&answer.body),
            Verdict::Refused(why) if readable => Verdict::Refused(explained(why)),
            Verdict::TooMuch(why) if readable => Verdict::TooMuch(explained(why)),
            other => other,
        }
    }
}

/// What a response says: that all was taken, perhaps with a warning, or all but some points.
pub(super) fn of_response(response: &[u8]) -> Verdict {
    let partial = Fields::of(Fields::of(response).bytes(1));
    // A number below 0 would be none.
    let rejected = Some(partial.number(1)).filter(|rejected| *rejected <= i64::MAX as u64).unwrap_or(0);
    match (rejected, partial.text(2)) {
        (0, message) if message.is_empty() => Verdict::Taken,
        (_, message) if message.is_empty() => Verdict::TakenBut(rejected, "it does not say why".to_owned()),
        (_, message) => Verdict::TakenBut(rejected, message),
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn answer(status: u16, content_type: &str, body: &'static [u8]) -> Answer {
        let headers = [(header::CONTENT_TYPE, content_type.parse().unwrap())].into_iter().collect();
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers, body: Bytes::from_static(body), trailers: Default::default() }
    }

    #[test]
    fn answers_are_read() {
        let verdict = |status, content_type, body| OverHttp::default().verdict(&answer(status, content_type, body));
        assert_eq!(verdict(200, PROTOBUF, b""), Verdict::Taken);
        assert_eq!(verdict(200, PROTOBUF, b"\x0a\x00"), Verdict::Taken);
        assert_eq!(verdict(200, PROTOBUF, b"\x0a\x06\x08\x07\x12\x02no"), Verdict::TakenBut(7, "no".into()));
        assert_eq!(verdict(200, PROTOBUF, b"\x0a\x02\x08\x07"), Verdict::TakenBut(7, "it does not say why".into()));
        assert_eq!(verdict(200, PROTOBUF, b"\x0a\x04\x12\x02no"), Verdict::TakenBut(0, "no".into()), "it warns");
        assert_eq!(verdict(200, PROTOBUF, b"\xff\xff\xff"), Verdict::Taken);
        assert_eq!(verdict(200, "text/html", b"\x0a\x06\x08\x07\x12\x02no"), Verdict::Taken);
        let refused = "it answers 400 Bad Request: no";
        assert_eq!(verdict(400, PROTOBUF, b"\x08\x03\x12\x02no"), Verdict::Refused(refused.into()));
        let too_much = "it answers 413 Payload Too Large: no";
        assert_eq!(verdict(413, PROTOBUF, b"\x08\x03\x12\x02no"), Verdict::TooMuch(too_much.into()));
        assert!(matches!(verdict(503, PROTOBUF, b""), Verdict::Later(..)));
    }
}
