//! `http`: requests of a module, to what it was granted and to nothing else.
//!
//! - [`asking`]: the interface of the contract.
//! - [`requests`]: what all modules have in common.
//! - [`url`]: what a request is about, read strictly: what two readers could take for two things is refused.
//! - [`grant`]: which URLs, and which addresses that are not public.
//! - [`addresses`]: what an address leads to.
//! - [`resolve`]: from names to addresses.
//! - [`secrets`]: what the host adds to headers, and takes out of answers.
//! - [`request`]: what a module may ask, and where a redirect leads it.
//! - [`client`]: one request from its first check to the last byte of its answer.
//! - [`transport`]: what is between the two: [`network`], or [`answers`] that were written for a test.
//! - [`tls`]: who a server has to be.
//! - [`rate`]: how often.
//! - [`price`]: what it costs, in fuel.
//! - [`refused`]: why there is no answer.
//!
//! What was requested cannot be taken back: when a call fails after a request, the server has seen it. So such a call is
//! not tried again for fewer resources at a time.

pub mod addresses;
pub mod answers;
mod asking;
pub mod client;
mod exchange;
pub mod grant;
pub mod limits;
pub mod network;
pub mod permissions;
pub mod price;
pub mod rate;
pub mod refused;
pub mod request;
pub mod requests;
pub mod resolve;
pub mod secrets;
pub mod tls;
mod transport;
pub mod url;
mod wire;

pub use self::answers::Answers;
pub use self::asking::Asking;
pub use self::client::{Allowance, Client};
pub use self::grant::{AddressGrant, Grant};
pub use self::limits::Limits;
pub use self::network::Network;
pub use self::permissions::Permissions;
pub use self::price::Usage;
pub use self::rate::Rate;
pub use self::refused::Refused;
pub use self::request::{Method, Request, Response};
pub use self::requests::Requests;
pub use self::secrets::Secrets;

#[cfg(test)]
mod tests;
