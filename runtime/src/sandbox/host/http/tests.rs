//! Requests to real servers on this machine's loopback addresses, under names that a test gives them.

mod addresses;
mod answers;
mod asking;
mod lab;
mod redirects;
mod secrets;
mod tls;
mod written;
