//! The interface `http` of the contract: a call's requests, their time and their price.

use std::sync::Arc;
use std::time::Duration;

use super::client::Allowance;
use super::price::Usage;
use super::refused::Refused;
use super::request::{Method, Request, Response};
use crate::contract::pollster::wasmeter::plugin::http;
use crate::sandbox::failure::{Cause, Stop};
use crate::sandbox::granted::{Access, Granted};
use crate::sandbox::host::Context;
use crate::sandbox::pauses::Pauses;
use crate::sandbox::price;

/// What a call may request, and what it requested so far.
#[derive(Debug)]
pub struct Asking {
    granted: Arc<Granted>,
    /// What its requests took.
    usage: Usage,
    /// What of that is booked, in fuel.
    booked: u64,
    /// The time that it waited for them.
    pub pauses: Arc<Pauses>,
    /// Whether one of them took all the time that they have together.
    is_late: bool,
}

// === impl Asking ===

impl Asking {
    /// Of a call that made none yet.
    pub fn new(granted: Arc<Granted>) -> Self {
        Self { granted, usage: Usage::default(), booked: 0, pauses: Arc::default(), is_late: false }
    }

    /// Whether a server may have seen anything of it.
    pub fn has_asked(&self) -> bool {
        self.usage.requests > 0
    }

    /// What its requests cost since this was asked last.
    pub fn unbooked(&mut self) -> u64 {
        let all = self.usage.fuel();
        all.saturating_sub(std::mem::replace(&mut self.booked, all))
    }

    async fn send(&mut self, request: Request, fuel: u64) -> Result<Response, Refused> {
        let Some(Access { client, permissions }) = &self.granted.http else { return Err(Refused::NotNow) };
        let time = match self.is_late {
            true => Duration::ZERO,
            false => permissions.limits.deadline.saturating_sub(self.pauses.so_far().0),
        };
        // What was booked is gone from the fuel already.
        let allowance = Allowance { time, fuel: fuel.saturating_add(self.booked) };
        let _pause = client.takes_time().then(|| self.pauses.begin());
        let sent = client.send(permissions, request, allowance, &mut self.usage).await;
        self.is_late |= !client.takes_time() && matches!(sent, Err(Refused::Timeout { .. }));
        sent
    }
}

impl http::Host for Context {
    async fn send(&mut self, request: http::Request) -> wasmtime::Result<Result<http::Response, http::Error>> {
        let headers = request.headers.iter().map(|header| header.name.len() + header.value.len()).sum::<usize>();
        let bytes = request.url.len() + headers + request.body.len();
        self.charge(price::LOOK.saturating_add(price::bytes(bytes))).await;
        let left = self.debt.left();
        let Some(asking) = &mut self.asking else { return Ok(Err(Refused::NotNow.into())) };
        let sent = asking.send(request.into(), left).await;
        let cost = asking.unbooked();
        self.charge(cost).await;
        match sent {
            Ok(response) => Ok(Ok(response.into())),
            Err(refused @ Refused::OutOfFuel { .. }) => Err(Stop::new(Cause::OutOfFuel, refused.to_string()).into()),
            Err(refused) => {
                tracing::debug!(module = &*self.module, "A request was refused: {}.", refused.for_operator());
                self.lines.push(tracing::Level::WARN, &format!("A request was refused: {refused}."));
                Ok(Err(refused.into()))
            }
        }
    }
}

// === impl Request ===

impl From<http::Request> for Request {
    fn from(request: http::Request) -> Self {
        let http::Request { method, url, headers, body, follow } = request;
        let headers = headers.into_iter().map(|header| (header.name, header.value)).collect();
        Self { method: method.into(), url, headers, body, follow }
    }
}

impl From<http::Method> for Method {
    fn from(method: http::Method) -> Self {
        match method {
            http::Method::Get => Self::Get,
            http::Method::Head => Self::Head,
            http::Method::Post => Self::Post,
            http::Method::Put => Self::Put,
            http::Method::Patch => Self::Patch,
            http::Method::Delete => Self::Delete,
            http::Method::Options => Self::Options,
        }
    }
}

// === impl Response ===

impl From<Response> for http::Response {
    fn from(response: Response) -> Self {
        let Response { status, headers, body } = response;
        let headers = headers.into_iter().map(|(name, value)| http::Header { name, value }).collect();
        Self { status, headers, body }
    }
}

// === impl Refused ===

impl From<Refused> for http::Error {
    fn from(refused: Refused) -> Self {
        let text = refused.to_string();
        match refused {
            Refused::Denied { .. } | Refused::NotPublic { .. } | Refused::SecretDenied { .. } | Refused::NotNow => {
                Self::Denied(text)
            }
            Refused::UnknownSecret { .. } => Self::UnknownSecret(text),
            Refused::Malformed { .. } => Self::Malformed(text),
            Refused::RateLimited { .. } => Self::RateLimited(text),
            Refused::Unresolved { .. } => Self::Unresolved(text),
            Refused::Unreachable { .. } => Self::Unreachable(text),
            Refused::Tls { .. } => Self::Tls(text),
            Refused::Timeout { .. } => Self::Timeout(text),
            // The second one ends the call, and gets here never.
            Refused::TooLarge { .. } | Refused::OutOfFuel { .. } => Self::TooLarge(text),
            Refused::TooManyRedirects { .. } => Self::TooManyRedirects(text),
            Refused::BadAnswer { .. } => Self::BadAnswer(text),
        }
    }
}
