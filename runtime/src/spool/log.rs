//! The spool: a durable log in which every slot's samples wait until each publisher has delivered them.
//!
//! Records are appended to segments, files of bounded size; named cursors read them in order, at least once. What
//! the bounds push out, and what a failing disk damages, is counted: for each cursor
//! `appended = acknowledged + held + dropped` at any moment and across restarts. Before the bounds push out a segment, a
//! rule may make less of it: see [`Thin`].
//!
//! # Layout
//!
//! - [`counts`], [`limits`], [`account`], [`error`]: the words of the API.
//! - [`storage`]: the few calls that reach a disk, so that tests can put a failing one in its place.
//! - [`record`], `segment`, `scan`: the format of a segment, and reading it whatever happened to it.
//! - [`ledger`]: the small file that keeps positions and totals.
//! - [`store`]: the one writer. [`thin`]: the rule that makes less of what waits. [`look`]: any number of readers
//!   beside it.

pub mod account;
pub mod counts;
pub mod error;
#[doc(hidden)]
pub mod hostile;
mod index;
pub mod ledger;
pub mod limits;
pub mod look;
pub mod record;
mod scan;
mod segment;
pub mod storage;
pub mod store;
pub mod thin;

pub use self::account::{Account, Cause, Dropped, Total};
pub use self::counts::{Counts, InvalidKey, Key};
pub use self::error::{Error, Step};
pub use self::limits::{Limits, SyncPolicy};
pub use self::look::Look;
pub use self::record::{Record, Sequence};
pub use self::storage::{Folder, Storage, StorageFile};
pub use self::store::{Recovery, Start, Store};
pub use self::thin::{OldestFirst, Thin, Thinned};

#[cfg(test)]
mod tests;
