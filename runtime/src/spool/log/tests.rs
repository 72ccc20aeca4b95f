//! The store against a disk that misbehaves, and against a real one.
#![allow(clippy::cast_possible_truncation, reason = "random numbers, and sizes of files in memory")]

mod cases;
mod disk;
mod folder;
mod hostile;
mod joining;
mod kill;
mod model;
mod mount;
mod thin;
