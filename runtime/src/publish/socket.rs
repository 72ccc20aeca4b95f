//! Samples one by one, as Ceilometer's publishers `udp` and `tcp` send them: signed, in MessagePack.
//!
//! - [`msgpack`]: a sample in MessagePack.
//! - [`udp`]: each as a datagram.
//! - [`tcp`]: one after the other into a connection.
//! - `tries`: what is said while that fails.

pub mod msgpack;
pub mod tcp;
mod tries;
pub mod udp;

pub use self::tcp::Tcp;
pub use self::udp::Udp;
