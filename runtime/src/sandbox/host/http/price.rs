//! What requests cost a module, in fuel: about a tenth of a nanosecond of the host's time for each unit.

/// What a module's requests took. Every redirect counts as a request of its own.
///
/// It is written as things happen, so a request that is broken off is paid for as far as it went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Requests that passed the grants.
    pub requests: u64,
    /// Names that were looked up.
    pub lookups: u64,
    /// TLS handshakes that were begun.
    pub handshakes: u64,
    /// Bytes that were sent, TLS included.
    pub bytes_out: u64,
    /// Bytes that came, TLS included.
    pub bytes_in: u64,
}

/// A request: checks, a socket, a head each way, and what the kernel does for a connection.
pub const REQUEST: u64 = 5_000_000;
/// Looking up a name: a thread and a question to another program.
pub const LOOKUP: u64 = 2_000_000;
/// A TLS handshake: signatures are checked, keys are agreed on.
pub const HANDSHAKE: u64 = 10_000_000;
/// A byte that is sent: copied and encrypted.
pub const BYTE_OUT: u64 = 20;
/// A byte that comes: decrypted, copied, searched for secrets in five spellings, copied into the module.
pub const BYTE_IN: u64 = 100;

// === impl Usage ===

impl Usage {
    /// The price of all of it.
    pub fn fuel(&self) -> u64 {
        let Self { requests, lookups, handshakes, bytes_out, bytes_in } = *self;
        [(requests, REQUEST), (lookups, LOOKUP), (handshakes, HANDSHAKE), (bytes_out, BYTE_OUT), (bytes_in, BYTE_IN)]
            .iter()
            .fold(0, |sum: u64, (count, price)| sum.saturating_add(count.saturating_mul(*price)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_price() {
        let usage = Usage { requests: 2, lookups: 1, handshakes: 1, bytes_out: 300, bytes_in: 1_000 };
        assert_eq!(usage.fuel(), 2 * 5_000_000 + 2_000_000 + 10_000_000 + 6_000 + 100_000);
        assert_eq!(Usage { bytes_in: u64::MAX, ..usage }.fuel(), u64::MAX);
    }
}
