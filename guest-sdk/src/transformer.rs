//! What a transformer implements, and how it becomes a module.

use crate::host::Host;
use crate::{Batch, Call, Converting, Failure, Meter, Outputs};

/// A module that turns meters into other meters.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transformer",
    label = "`wasmeter_sdk::Transformer` is not implemented for `{Self}`",
    note = "write `impl wasmeter_sdk::Transformer for {Self} {{ fn describe(..) .. fn convert(..) .. }}`",
    note = "a module that turns statistics into meters is registered with `register_pollster!`"
)]
pub trait Transformer {
    /// What comes out for these inputs: meters, which batches name by position, and perhaps patterns of meters that
    /// it declares during a call. An error text is shown to whoever wrote the configuration.
    fn describe(config: &str, inputs: &[Meter]) -> Result<Outputs, String>;

    /// The samples of one slot, in order of time where a meter comes several times. Nothing that was saved stays if
    /// it fails; then it is called again for some resources at a time, of which [`Call::is_part`] tells. Where samples
    /// wait ([`Call::save_waiting`]) and none come, it is called without any.
    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure>;
}

// === impl Outputs ===

impl From<Vec<Meter>> for Outputs {
    /// These meters and no others.
    fn from(meters: Vec<Meter>) -> Self {
        Self { meters, declares: Vec::new() }
    }
}

/// One call of a transformer on a host.
pub fn convert<T: Transformer>(
    host: &Host,
    config: &str,
    inputs: &[Meter],
    batches: Vec<Batch>,
) -> Result<Vec<Batch>, Failure> {
    T::convert(&Call::new(host, config), inputs, batches)
}

/// Makes a type that implements [`Transformer`] the transformer of this crate.
#[macro_export]
macro_rules! register_transformer {
    ($transformer:ty) => {
        const _: () = {
            const fn check<T: $crate::Transformer>() {}
            check::<$transformer>();
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::transformer::exports::wasmeter::plugin::converter::Guest;
            use $crate::{Batch, Failure, Meter, Outputs};
            // A name that no module has: what is registered may well be called `Module`.
            struct __Registered;
            impl Guest for __Registered {
                fn describe(config: String, inputs: Vec<Meter>) -> Result<Outputs, String> {
                    <$transformer as $crate::Transformer>::describe(&config, &inputs)
                }
                fn convert(config: String, inputs: Vec<Meter>, batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
                    $crate::run_transformer::<$transformer>(&$crate::Host, &config, &inputs, batches)
                }
            }
    $crate::bindings::transformer::__export_transformer!(__Registered with_types_in $crate::bindings::transformer);
        };
    };
}
