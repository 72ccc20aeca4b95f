//! Everything that a wasmeter module is written with.
//!
//! A pollster turns statistics into meters:
//!
//! ```
//! use wasmeter_sdk::*;
//!
//! /// How long each disk took to answer a read.
//! pub struct ReadTime;
//!
//! impl Pollster for ReadTime {
//!     const METERS: &'static [Declared] = &[gauge("disk.device.read.time", "ns")];
//!     const READS: &'static [Wanted] = &[read("block.*.rd.times"), read("block.*.rd.reqs")];
//!
//!     fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
//!         let (times, requests) = (call.column("block.*.rd.times")?, call.column("block.*.rd.reqs")?);
//!         out.emit(0, times.join_map(&requests, |time, n| (n > 0.0).then(|| time / n)));
//!         Ok(())
//!     }
//! }
//!
//! register_pollster!(ReadTime);
//!
//! # #[cfg(not(target_arch = "wasm32"))] {
//! // Logic is tested natively, against a host that the test makes up or that was recorded.
//! let mut host = testing::Host::new()
//!     .stat("block.*.rd.times", [(0, 900), (1, 70)])
//!     .stat("block.*.rd.reqs", [(0, 3), (1, 0)]);
//! let samples = host.poll::<ReadTime>().unwrap();
//! assert_eq!(samples.reals("disk.device.read.time"), [(0, 300.0)]);
//! # }
//! ```
//!
//! Its crate is a `cdylib` that depends on this one alone; built for `wasm32-wasip2` it is the module.
//!
//! # Layout
//!
//! - [`Pollster`] and [`Transformer`] are what a module implements, and [`register_pollster!`] and
//!   [`register_transformer!`] make it one.
//! - [`Declared`] and [`Wanted`] are what it says of itself.
//! - [`Call`] is what it asks during a call, and [`Samples`] what it answers.
//! - [`Column`] holds numbers, and joins and sums them.
//! - [`http`] is what a module asks servers, where that was granted.
//! - [`testing`] stands in for the host in native tests.
//! - `config`, with the feature `json`, reads a configuration.

#[doc(hidden)]
pub mod bindings;

mod call;
mod column;
#[cfg(feature = "json")]
pub mod config;
#[doc(hidden)]
pub mod declared;
pub mod http;
mod pollster;
mod samples;
mod transformer;

#[cfg(target_arch = "wasm32")]
#[path = "imports.rs"]
mod host;
#[cfg(not(target_arch = "wasm32"))]
mod host {
    /// Whichever host a module is linked with.
    pub type Host = dyn super::answers::Answers;
}
#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
pub mod answers;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use self::bindings::pollster::exports::wasmeter::plugin::poller::Description;
pub use self::bindings::pollster::wasmeter::plugin::log::Level;
pub use self::bindings::pollster::wasmeter::plugin::types::{
    Column, Failure, Kind, LimitReached, Meter, Moment, Note, ReadError, Series, Values,
};
pub use self::bindings::transformer::exports::wasmeter::plugin::converter::{Batch, Outputs};
pub use self::call::{Call, Converting, Polling};
pub use self::declared::{Declared, Wanted, cumulative, delta, gauge, instead_of, position, read};
pub use self::pollster::Pollster;
pub use self::samples::Samples;
pub use self::transformer::Transformer;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub use self::host::Host;
#[doc(hidden)]
pub use self::{pollster::run as run_pollster, transformer::convert as run_transformer};
