//! Requests to servers, for modules whose deployment grants them.
//!
//! ```
//! use wasmeter_sdk::http::Request;
//! use wasmeter_sdk::*;
//!
//! pub struct Queue;
//!
//! impl Pollster for Queue {
//!     const METERS: &'static [Declared] = &[gauge("app.queue", "job")];
//!     const READS: &'static [Wanted] = &[];
//!     const ATTRIBUTES: &'static [&'static str] = &["id"];
//!
//!     fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
//!         // The host writes the secret into the header; the module never has it.
//!         let request = Request::get("https://app.example/queue").header("authorization", "Bearer {{secret:app}}");
//!         let answer = call.send(&request)?.good()?;
//!         let length: u64 = answer.text()?.trim().parse().map_err(|_| "the queue's length is no number")?;
//!         let guests = call.attribute("id")?.resources;
//!         out.emit(0, guests.into_iter().take(1).map(|guest| (guest, length)).collect::<Column>());
//!         Ok(())
//!     }
//! }
//!
//! # #[cfg(not(target_arch = "wasm32"))] {
//! let mut host = testing::Host::new().attribute("id", [(0, "a"), (1, "b")]);
//! host = host.answer("https://app.example/queue", 200, "17\n");
//! assert_eq!(host.poll::<Queue>().unwrap().counts("app.queue"), [(0, 17)]);
//! assert_eq!(host.requests()[0].headers[0].value, "Bearer {{secret:app}}");
//! # }
//! ```

use std::fmt;

use crate::Failure;

pub use crate::bindings::pollster::wasmeter::plugin::http::{Error, Header, Method, Request, Response};

// === impl Request ===

impl Request {
    /// A request of this method that follows redirects.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: Vec::new(), follow: true }
    }

    /// Reads what is at a URL.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// Sends something to a URL.
    pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::new(Method::Post, url) }
    }

    /// With a header more. `{{secret:NAME}}` in its value stands for a secret of the deployment.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(Header { name: name.into(), value: value.into() });
        self
    }

    /// Takes redirects for answers.
    pub fn without_following(self) -> Self {
        Self { follow: false, ..self }
    }
}

// === impl Response ===

impl Response {
    /// This, if its status is one from 200 to 299.
    pub fn good(self) -> Result<Self, Failure> {
        match self.status {
            200..300 => Ok(self),
            status => Err(Failure::Unavailable(format!("the server answers with status {status}"))),
        }
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let is = |header: &&Header| header.name.eq_ignore_ascii_case(name);
        self.headers.iter().find(is).map(|header| header.value.as_str())
    }

    /// The body, which has to be UTF-8.
    pub fn text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.body).map_err(|_| Failure::Failed("the answer is not UTF-8".to_owned()))
    }
}

// === impl Failure ===

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = text_of(&error).to_owned();
        match error {
            Error::Denied(_) | Error::UnknownSecret(_) | Error::Malformed(_) => Self::Failed(text),
            _ => Self::Unavailable(text),
        }
    }
}

/// The words of the host. The generated `Display` names the case as well.
fn text_of(error: &Error) -> &str {
    match error {
        Error::Denied(text)
        | Error::UnknownSecret(text)
        | Error::Malformed(text)
        | Error::RateLimited(text)
        | Error::Unresolved(text)
        | Error::Unreachable(text)
        | Error::Tls(text)
        | Error::Timeout(text)
        | Error::TooLarge(text)
        | Error::TooManyRedirects(text)
        | Error::BadAnswer(text) => text,
    }
}

/// The method as it is written.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
        })
    }
}
