//! HTTP/1.1 for those who ask this daemon something: over any connection, with bounds on all that comes from outside.
//!
//! - [`connection`]: one connection, from its first request to its last.
//! - [`listener`]: connections as they come in.
//! - [`tls`]: the certificate that is shown, read again when it changes.
//! - [`auth`]: who may ask.
//! - [`client`]: asking over a Unix socket.

pub mod auth;
pub mod client;
pub mod connection;
pub mod listener;
mod stalling;
pub mod tls;

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Response};
pub use hyper::{Method, StatusCode, header};

pub use self::connection::{Limits, Room, last, serve, serve_in};

/// What is asked, with all of its body.
pub type Request = hyper::Request<Bytes>;

/// What is answered. A body that is made while it is sent takes no more memory than a piece of it.
pub type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// An answer of this type.
pub fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()).boxed_unsync());
    *reply.status_mut() = status;
    typed(reply.headers_mut(), content_type);
    reply
}

/// An answer that is a line for people.
pub fn line(status: StatusCode, line: &str) -> Reply {
    reply(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

/// An answer whose body is made while it is sent.
pub fn stream<B>(content_type: &'static str, body: B) -> Reply
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let mut reply = Response::new(body.boxed_unsync());
    typed(reply.headers_mut(), content_type);
    reply
}

fn typed(headers: &mut HeaderMap, content_type: &'static str) {
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
}
