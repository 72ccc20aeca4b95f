//! What a transformer implements, and how it becomes a module.

use crate::host::Host;
use crate::{Batch, Call, Converting, Failure, Meter};

/// A module that turns meters into other meters.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transformer",
    label = "`wasmeter_sdk::Transformer` is not implemented for `{Self}`",
    note = "write `impl wasmeter_sdk::Transformer for {Self} {{ fn describe(..) .. fn convert(..) .. }}`",
    note = "a module that turns statistics into meters is registered with `register_pollster!`"
)]
pub trait Transformer {
    /// The meters that come out for these inputs; batches that come out name them by position. An error text is
    /// shown to whoever wrote the configuration.
    fn describe(config: &str, inputs: &[Meter]) -> Result<Vec<Meter>, String>;

    /// The samples of one slot, in order of time where a meter comes several times. Nothing that was saved stays if
    /// it fails.
    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure>;
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
            use $crate::{Batch, Failure, Meter};
            struct Module;
            impl Guest for Module {
                fn describe(config: String, inputs: Vec<Meter>) -> Result<Vec<Meter>, String> {
                    <$transformer as $crate::Transformer>::describe(&config, &inputs)
                }
                fn convert(config: String, inputs: Vec<Meter>, batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
                    $crate::run_transformer::<$transformer>(&$crate::Host, &config, &inputs, batches)
                }
            }
    $crate::bindings::transformer::__export_transformer!(Module with_types_in $crate::bindings::transformer);
        };
    };
}
