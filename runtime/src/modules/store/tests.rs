//! The store on a real folder, on a disk that fails, and in a process that is killed.

mod cases;
mod disk;
mod kill;
mod model;
mod odd;
