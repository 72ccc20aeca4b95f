//! libvirt's C library, as safe Rust: the only unsafe code around hypervisors.
//!
//! Whatever libvirt hands out is owned by a value whose drop gives it back, and what it lends is borrowed from that
//! value. A domain and a list of statistics hold their connection by libvirt's own counting, so nothing here has to
//! be dropped in order. Nothing panics, and no error is printed: each is an [`Error`].

#![allow(unsafe_code, reason = "libvirt is a C library")]
#![deny(clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

mod connection;
mod domain;
mod error;
mod events;
mod library;
mod stats;

pub(super) use self::connection::Connection;
pub(super) use self::domain::{Control, Domain};
pub(super) use self::error::{Error, Kind};
pub(super) use self::events::{Listener, Watching};
pub(super) use self::stats::forged::forged;
pub(super) use self::stats::{Record, Scalar, Stats};
