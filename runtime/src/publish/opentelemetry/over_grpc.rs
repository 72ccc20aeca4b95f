//! OTLP in calls of gRPC: a request of HTTP/2 with a message of a known length in it, and a status behind the answer.

use std::ops::Range;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use hyper::header::{self, HeaderName};
use hyper::{StatusCode, Version};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::metrics::Metrics;
use super::over_http::of_response;
use super::protobuf::{Field, Fields};
use crate::publish::http::{Answer, Form, Verdict};
use crate::spool::Delivery;

/// Metrics as messages of gRPC.
#[derive(Debug, Default)]
pub struct OverGrpc(Metrics);

/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

const OK: u32 = 0;
const INVALID_ARGUMENT: u32 = 3;
const RESOURCE_EXHAUSTED: u32 = 8;

impl Form for OverGrpc {
    const VERSION: Version = Version::HTTP_2;

    fn headers(&self) -> Vec<(HeaderName, &'static str)> {
        vec![(header::CONTENT_TYPE, "application/grpc"), (header::TE, "trailers")]
    }

    fn begin(&mut self, service: Uuid, kept: Option<&[u8]>) {
        self.0.begin(service, kept);
    }

    fn to_keep(&self, in_the_end: bool) -> Option<Vec<u8>> {
        self.0.to_keep(in_the_end)
    }

    fn body(&mut self, record: &Delivery, places: Range<usize>) -> Bytes {
        let mut out = vec![0; PREFIX];
        self.0.write(&mut out, record, places);
        let length = u32::try_from(out.len() - PREFIX).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(1..PREFIX) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        out.into()
    }

    fn verdict(&self, answer: &Answer) -> Verdict {
        // Without a body, the status is among the headers.
        let header = |name: &str| {
            let value = answer.trailers.get(name).or_else(|| answer.headers.get(name))?;
            value.to_str().ok()
        };
        let code = header("grpc-status").and_then(|code| code.trim().parse::<u32>().ok());
        let Some(code) = code else {
            return match answer.status {
                StatusCode::OK => Verdict::Later("its answer has no status of gRPC".to_owned(), None),
                // What is in between does not speak gRPC, and says nothing about what was sent.
                status => Verdict::Later(format!("it answers {status}"), None),
            };
        };
        let message = header("grpc-message").unwrap_or_default();
        let message = percent_decode_str(message).decode_utf8_lossy();
        let why = format!("it answers with status {code} of gRPC: {message}");
        let delay = header("grpc-status-details-bin").and_then(retry_delay);
        match code {
            OK => of_response(answer.body.get(PREFIX..).unwrap_or_default()),
            INVALID_ARGUMENT => Verdict::Refused(why),
            // Without a time at which there is room again, what was sent is too large.
            RESOURCE_EXHAUSTED if delay.is_none() => Verdict::TooMuch(why),
            // Others say that something is not as it should be, and not that of what was sent.
            _ => Verdict::Later(why, delay),
        }
    }
}

/// When the server wants to be asked again, out of the details of its status.
fn retry_delay(details: &str) -> Option<Duration> {
    let status = STANDARD_NO_PAD.decode(details.trim_end_matches('=')).ok()?;
    let details = Fields::of(&status).filter(|(number, _)| *number == 3);
    let mut infos = details.filter_map(|(_, field)| match field {
        Field::Bytes(any) if Fields::of(any).text(1).ends_with("/google.rpc.RetryInfo") => {
            Some(Fields::of(any).bytes(2))
        }
        _ => None,
    });
    let delay = Fields::of(Fields::of(infos.next()?).bytes(1));
    let (seconds, nanoseconds) = (i64::try_from(delay.number(1)).ok()?, u32::try_from(delay.number(2)).ok()?);
    Some(Duration::from_secs(seconds.unsigned_abs()).saturating_add(Duration::from_nanos(nanoseconds.into())))
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::super::protobuf::{message, number, text};
    use super::*;

    fn verdict(trailers: &[(&'static str, &str)], body: &'static [u8]) -> Verdict {
        let trailers: HeaderMap =
            trailers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        let (headers, body) = (HeaderMap::new(), Bytes::from_static(body));
        OverGrpc::default().verdict(&Answer { status: StatusCode::OK, headers, body, trailers })
    }

    #[test]
    fn statuses_are_told_apart() {
        assert_eq!(verdict(&[("grpc-status", "0")], b""), Verdict::Taken);
        let partial = b"\0\0\0\0\x08\x0a\x06\x08\x07\x12\x02no";
        assert_eq!(verdict(&[("grpc-status", "0")], partial), Verdict::TakenBut(7, "no".into()));
        let said = [("grpc-status", "3"), ("grpc-message", "a%20b")];
        assert_eq!(verdict(&said, b""), Verdict::Refused("it answers with status 3 of gRPC: a b".into()));
        assert!(matches!(verdict(&[("grpc-status", "8")], b""), Verdict::TooMuch(_)));
        for code in ["1", "2", "4", "5", "7", "9", "10", "11", "12", "13", "14", "15", "16", "99"] {
            assert!(matches!(verdict(&[("grpc-status", code)], b""), Verdict::Later(_, None)), "{code}");
        }
        assert!(matches!(verdict(&[], b""), Verdict::Later(_, None)));
    }

    #[test]
    fn who_has_no_room_says_when_there_is() {
        let mut status = Vec::new();
        number(&mut status, 1, 8);
        message(&mut status, 3, |out| {
            text(out, 1, "type.googleapis.com/google.rpc.RetryInfo");
            message(out, 2, |out| {
                message(out, 1, |out| {
                    number(out, 1, 3);
                    number(out, 2, 500_000_000);
                });
            });
        });
        let details = STANDARD_NO_PAD.encode(status);
        for code in ["8", "14"] {
            let said = [("grpc-status", code), ("grpc-status-details-bin", details.as_str())];
            let Verdict::Later(_, Some(delay)) = verdict(&said, b"") else { panic!("{code}") };
            assert_eq!(delay, Duration::from_millis(3500));
        }
        let said = [("grpc-status", "8"), ("grpc-status-details-bin", "nonsense")];
        assert!(matches!(verdict(&said, b""), Verdict::TooMuch(_)));
    }
}
