//! Where modules run: fresh instances, bounded in fuel, time, memory and output, that can do nothing but what they
//! import and were granted.
//!
//! A file becomes a module in steps that trust it more and more: [`admission`] parses it, [`compile`] compiles it in
//! a child process, [`cache`] keeps the result, [`loading`] links it and asks it to describe itself. A [`call`] is a
//! transaction: it lands whole or leaves nothing. What a module did wrong is a value, a [`failure::Failure`].

pub mod admission;
pub mod cache;
pub mod call;
pub mod check;
pub mod compile;
pub mod engine;
pub mod failure;
pub mod granted;
pub mod halves;
pub mod host;
pub mod ledger;
pub mod limits;
pub mod loading;
pub mod module;
pub mod names;
pub mod pauses;
pub mod price;
pub mod turns;

pub use self::call::Landed;
pub use self::failure::{Cause, Failure};
pub use self::granted::Granted;
pub use self::limits::Limits;
pub use self::loading::Sandbox;
pub use self::module::{Module, World};
pub use self::names::Names;
