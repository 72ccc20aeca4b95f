//! What the daemon says about itself. All its own families are written here, one after the other.

use crate::json;

/// Appends the daemon's own families.
pub fn write(out: &mut String) {
    let help = "The version of wasmeter that runs; the value is always 1.";
    json::append(out, format_args!("# HELP wasmeter_build_info {help}\n# TYPE wasmeter_build_info gauge\n"));
    json::append(out, format_args!("wasmeter_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION")));
}
