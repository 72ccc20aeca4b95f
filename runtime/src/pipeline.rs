//! Samples on their way from modules to outputs: stamped with what the host knows, transformed by chains.

pub mod chain;
pub mod flow;
pub mod parts;
pub mod route;
pub mod samples;
pub mod sinks;
pub mod stamp;
pub mod tap;

pub use self::chain::Chain;
pub use self::route::Route;
pub use self::samples::{NoteColumn, SOURCE, Samples, Slot};
pub use self::sinks::Sinks;
