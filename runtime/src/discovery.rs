//! Which resources exist, whose they are, and what is known of them.
//!
//! The [`directory`] remembers guests from slot to slot, so that a guest's definition is read once. Each slot it turns
//! what was read into a [`snapshot`]: numbered [`resource`]s and columns of statistics. A [`view`] is the part of a
//! snapshot that one call may see.

pub mod directory;
pub mod guest;
pub mod holdings;
pub mod identity;
pub mod label;
pub mod moved;
pub mod owner;
pub mod resource;
pub mod snapshot;
pub mod view;

pub use self::directory::Directory;
pub use self::identity::Identity;
pub use self::label::Label;
pub use self::owner::{Owner, Rules};
pub use self::resource::{Ident, Resources};
pub use self::snapshot::Snapshot;
pub use self::view::View;
