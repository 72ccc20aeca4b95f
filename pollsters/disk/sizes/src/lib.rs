//! What guests' disks take, as libvirt says it when it is asked for one disk (`virDomainGetBlockInfo`), which is what
//! Ceilometer does. The bulk statistics have the same numbers in other places:
//!
//! | a running guest's disk | allocation | usage |
//! |---|---|---|
//! | a qcow2 file, or another that was never written to | the room that it takes | its length |
//! | another file | how far it was written | the room that it takes; its length if both are the same |
//! | a block device, a volume on the network | how far it was written | as in bulk |
//!
//! The room that a file takes stands in for a length that is not known. Of a guest that is off, both say the same, and
//! the host says neither formats nor lengths.

use wasmeter_sdk::{Call, Column, Failure};

/// What disks take.
#[derive(Debug)]
pub struct Sizes {
    /// `allocation` in libvirt's structure.
    pub allocation: Column,
    /// `physical` in libvirt's structure.
    pub usage: Column,
}

// === impl Sizes ===

impl Sizes {
    /// Reads them. The pollster declares `block.*.allocation`, `block.*.physical`, `block.*.length`, `block.*.taken`
    /// and `block.*.qcow2`.
    pub fn read(call: &Call<'_>) -> Result<Self, Failure> {
        let written = call.column_or_empty("block.*.allocation")?;
        let physical = call.column_or_empty("block.*.physical")?;
        let length = call.column_or_empty("block.*.length")?;
        let qcow2 = call.column_or_empty("block.*.qcow2")?;

        // A file that takes no room is given its length instead.
        let empty = call.column_or_empty("block.*.taken")?.map_counts(|taken| (taken == 0).then_some(0_u64))?;
        let taken = empty.or(&physical);

        let known = written.clone().or(&qcow2.map_counts(|_| Some(0_u64))?);
        let is_whole = |written, qcow2| (written == 0 || qcow2 == 1).then_some(());
        let whole = resources(&known, &qcow2, is_whole)?;
        let allocation = taken.at(&whole).or(&written);

        let is_measured = |allocation, taken| (allocation == taken || taken == 0).then_some(());
        let measured = resources(&allocation, &taken, is_measured)?;
        Ok(Self { usage: length.at(&measured).or(&physical), allocation })
    }
}

/// The resources of both for whose values `f` says so.
fn resources(a: &Column, b: &Column, mut f: impl FnMut(u64, u64) -> Option<()>) -> Result<Vec<u32>, Failure> {
    Ok(a.join_counts(b, |a, b| f(a, b).map(|()| 0_u64))?.resources)
}
