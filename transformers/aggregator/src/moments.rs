//! Moments, as they are kept: by the clock on the wall, and by the other one where it is known.

use wasmeter_sdk::Moment;

/// From a word.
pub fn read(word: &str) -> Option<Moment> {
    let (wall, monotonic) = word.split_once('/').unwrap_or((word, ""));
    Some(Moment { wall: wall.parse().ok()?, monotonic: monotonic.parse().ok() })
}

/// As a word.
pub fn write(Moment { wall, monotonic }: Moment) -> String {
    match monotonic {
        Some(monotonic) => format!("{wall}/{monotonic}"),
        None => wall.to_string(),
    }
}
