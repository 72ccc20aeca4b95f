//! What the transformers that come with wasmeter share.
//!
//! - [`Keys`] reads settings, and names the key and what to write instead.
//! - [`Naming`] makes names and units of others, by patterns; [`Positions`] numbers the meters that come out.
//! - [`merged`] puts batches together that came in pieces.
//! - [`Scale`] makes volumes of samples, which [`Sampled`] knows with the help of [`Facts`]; [`Volumes`] puts numbers into columns.
//! - [`Follow`] hands a sample the one before it, and [`Clocks`] says how long ago that was.
//! - [`is_enough`] and the like are for those that hold samples back, and [`Said`] keeps what these say themselves.
//! - `testing` is for native tests.
//! - [`Losses`] says what was dropped, and why.

mod clocks;
mod follow;
mod hold;
mod losses;
mod merge;
mod naming;
mod said;
mod sampled;
mod scale;
mod settings;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod volumes;

pub use self::clocks::{Clocks, Since};
pub use self::follow::{Follow, Step};
pub use self::hold::{ByName, CELL_BYTES, LONGEST, OLDEST, clear, is_enough, remembered};
pub use self::losses::{CHANGED, GONE, LATE, Losses};
pub use self::merge::merged;
pub use self::naming::{Naming, Pattern, Positions, mixed, regex, word};
pub use self::said::Said;
pub use self::sampled::{Facts, Noted, Sampled, check, check_number, timestamp};
pub use self::scale::Scale;
pub use self::settings::Keys;
pub use self::volumes::{Numbers, Volumes, at};
/// A pattern for texts.
pub use regex_lite::Regex as Texts;
