//! What tests share: a sandbox, a simulated host's slots, modules, the program itself.

pub mod cloud;
pub mod disk;
pub mod forge;
pub mod kinds;
pub mod program;
pub mod slots;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tempfile::TempDir;
use wasmeter::contract::Series;
use wasmeter::sandbox::call::Called;
use wasmeter::sandbox::compile::Compiler;
use wasmeter::sandbox::host::Input;
use wasmeter::sandbox::host::state::State;
use wasmeter::sandbox::{Failure, Limits, Module, Sandbox};

pub use self::forge::Forge;
pub use self::slots::Host;

/// Limits under which nothing takes long, and only the fuel or the memory can run out.
pub const LIMITS: Limits =
    Limits { fuel_base: 200_000_000, fuel_per_resource: 20_000, memory: 32 << 20, deadline: Duration::from_secs(60) };

/// Chance that can be repeated.
pub struct Random(pub u64);

impl Random {
    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The daemon's binary, which is also the compiler.
pub fn daemon() -> PathBuf {
    // <target>/<profile>/deps/<this>
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("wasmeter");
    assert!(path.exists(), "{} is missing: run cargo build -p wasmeter first (cargo xtask test does)", path.display());
    path
}

/// Cargo's target folder, below which `cargo xtask setup` puts things, too.
#[cfg(feature = "libvirt")]
pub fn target() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

/// A sandbox with a cache of its own.
pub fn fresh_sandbox() -> (TempDir, Sandbox) {
    let folder = TempDir::new().unwrap();
    let sandbox = Sandbox::new(&folder.path().join("cache"), Compiler::at(daemon())).unwrap();
    (folder, sandbox)
}

/// A sandbox for all who do not mind sharing one.
pub fn sandbox() -> &'static Sandbox {
    static SHARED: OnceLock<(TempDir, Sandbox)> = OnceLock::new();
    &SHARED.get_or_init(fresh_sandbox).1
}

/// The pollster that does what its configuration says.
pub fn hostile() -> Vec<u8> {
    std::fs::read(env!("HOSTILE_WASM")).unwrap()
}

/// An honest pollster.
pub fn disk() -> Vec<u8> {
    std::fs::read(env!("DISK_WASM")).unwrap()
}

/// The pollster that gives samples of whatever it is handed.
pub fn resources() -> &'static str {
    env!("RESOURCES_WASM")
}

/// The pollster that makes requests.
pub fn asking() -> &'static str {
    env!("ASKING_WASM")
}

/// The example that asks what applications tell Prometheus.
pub fn http_exporter() -> &'static str {
    env!("HTTP_EXPORTER_WASM")
}

/// The transformer that declares meters and parts.
pub fn parting() -> &'static str {
    env!("PARTING_WASM")
}

/// The pollsters that are examples, by their folders.
pub const EXAMPLES: [(&str, &str); 3] = [
    ("guest-pressure", env!("GUEST_PRESSURE_WASM")),
    ("idle-guest", env!("IDLE_GUEST_WASM")),
    ("http-exporter", env!("HTTP_EXPORTER_WASM")),
];

/// Loads and configures.
pub async fn module(bytes: &[u8], config: &str, limits: Limits) -> Result<Module, Failure> {
    let code = sandbox().load(bytes).await?;
    sandbox().configure("module", false, code, config.to_owned(), limits).await
}

/// Polls with all the fuel that its limits give.
pub async fn poll(module: &Module, input: &Input) -> Called<Vec<Series>> {
    poll_with(module, input, &Arc::default()).await
}

/// Polls with something remembered.
pub async fn poll_with(module: &Module, input: &Input, state: &Arc<State>) -> Called<Vec<Series>> {
    let fuel = module.limits.fuel(input.view.resources());
    sandbox().poll(module, input.clone(), Arc::clone(state), fuel).await
}

/// How much longer than usual to go on, for soaking.
pub fn repeat() -> u32 {
    std::env::var("WASMETER_REPEAT").map_or(1, |times| times.parse().expect("WASMETER_REPEAT is a whole number"))
}
