//! Lives, long and short.

use super::*;
use crate::modules::deployment::{Deployment, VERSIONS};

mod broken;
mod cases;
mod model;
mod sequences;
mod world;

/// A second of the wall clock.
const SECOND: i64 = 1_000_000_000;
