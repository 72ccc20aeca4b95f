//! Samples as OpenTelemetry's metrics, in its protocol (OTLP 1).
//!
//! - [`metrics`]: samples as data points of resources.
//! - [`protobuf`]: the little of protobuf's wire format that this takes.
//! - [`over_http`]: requests of HTTP, and what answers to them say.
//! - [`over_grpc`]: calls of gRPC, and what becomes of them.
//! - [`starts`]: since when sums count.

pub mod metrics;
pub mod over_grpc;
pub mod over_http;
pub mod protobuf;
pub mod starts;

pub use self::over_grpc::OverGrpc;
pub use self::over_http::OverHttp;
