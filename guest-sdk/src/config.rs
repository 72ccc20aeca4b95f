//! A configuration that is JSON, read into the module's own types.
//!
//! ```
//! use wasmeter_sdk::config::{self, Deserialize, serde};
//!
//! #[derive(Deserialize)]
//! #[serde(crate = "serde", deny_unknown_fields)]
//! struct Settings {
//!     #[serde(default)]
//!     growth_only: bool,
//! }
//!
//! let settings: Settings = config::parse(r#"{"growth_only": true}"#)?;
//! assert!(settings.growth_only);
//! # Ok::<(), String>(())
//! ```

pub use serde::{self, Deserialize};

/// Reads a configuration. An empty one is that of a module for which nothing was written: `{}`.
pub fn parse<'a, T: Deserialize<'a>>(config: &'a str) -> Result<T, String> {
    let config = if config.trim().is_empty() { "{}" } else { config };
    serde_json::from_str(config).map_err(|error| format!("the configuration cannot be used: {error}"))
}
