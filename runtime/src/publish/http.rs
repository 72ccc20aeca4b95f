//! Samples to servers of HTTP: as Ceilometer's publisher `http` posts them, or in any other form.
//!
//! - [`client`]: one connection that is kept, to one server.
//! - [`form`]: how samples are written, and what answers mean.
//! - [`poster`]: a record in requests, tried again until all of it is taken or known to be refused.
//! - [`batch`]: how many samples a server takes at once.
//! - [`sieve`]: which of its samples a server takes.
//! - [`json`]: lists of samples in JSON.

mod batch;
pub mod client;
pub mod form;
pub mod json;
pub mod poster;
mod sieve;

pub use self::client::{Answer, Client, Failure};
pub use self::form::{Form, Verdict};
pub use self::json::Lists;
pub use self::poster::Poster;
