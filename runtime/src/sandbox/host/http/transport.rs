//! What is between a request that may be made and its answer: the network, or answers that somebody wrote.

use std::net::IpAddr;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use super::exchange::Watch;
use super::refused::Refused;
use super::request::Outgoing;
use super::resolve::Resolver;
use super::url::Host;

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Carries requests that were checked and paid for. What goes over its connections is counted and bounded above it.
pub(super) trait Transport: Resolver {
    /// Connects to the first of these addresses that can be connected to. They were checked.
    fn connect<'a>(
        &'a self,
        outgoing: &'a Outgoing,
        addresses: &'a [IpAddr],
        watch: &'a Watch,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, Refused>>;

    /// The same connection, encrypted, with whoever this host has to be.
    fn secure<'a>(
        &'a self,
        stream: Box<dyn Stream>,
        host: &'a Host,
        watch: &'a Watch,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, Refused>>;

    /// Whether its answers are waited for. Otherwise no clock has a say in what comes of a request.
    fn takes_time(&self) -> bool;
}
