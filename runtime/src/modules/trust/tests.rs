//! Signatures of minisign itself, and of those who pretend.

mod folder;
mod minisign;
mod policy;
mod signatures;
