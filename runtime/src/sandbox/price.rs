//! What the host's work costs a module, in fuel. One unit is one WebAssembly instruction, about a tenth of a
//! nanosecond; the prices make fuel a measure of time whoever spends it.

/// Fuel that a core burns in a second, about.
pub const CORE_SECOND: u64 = 10_000_000_000;

/// Calling the host: 230 ns measured, most of it in crossing over and back.
pub const HOST_CALL: u64 = 3_000;
/// One byte copied in or out, lists and texts alike.
pub const BYTE: u64 = 1;
/// Interning or resolving one text, beside its bytes: a hash look-up and an allocation.
pub const TEXT: u64 = 500;
/// Comparing one name with one pattern.
pub const PATTERN: u64 = 2_000;
/// Comparing one byte of a pattern again, which a star may ask for at each byte of a name: 2 ns.
pub const PATTERN_BYTE: u64 = 20;
/// Loading or saving one cell of state, beside its bytes.
pub const CELL: u64 = 30;
/// One random byte: a hash of 32 of them takes half a microsecond.
pub const RANDOM_BYTE: u64 = 200;
/// Looking at a request before anything else is done with it: it is taken apart and compared with all grants.
pub const LOOK: u64 = 100_000;
/// One KiB of memory that an instance grows by: zeroed pages cost 0.5 ms a MiB.
pub const MEMORY_KIB: u64 = 5_000;

/// The price of bytes.
pub fn bytes(count: usize) -> u64 {
    BYTE.saturating_mul(count as u64)
}

/// The price of growing memory.
pub fn memory(bytes: usize) -> u64 {
    MEMORY_KIB.saturating_mul(bytes as u64 / 1024)
}
