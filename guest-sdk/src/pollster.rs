//! What a pollster implements, and how it becomes a module.

use crate::bindings::pollster::exports::wasmeter::plugin::poller;
use crate::host::Host;
use crate::{Call, Declared, Description, Failure, Samples, Series, Wanted};

/// A module that turns statistics into meters.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a pollster",
    label = "`wasmeter_sdk::Pollster` is not implemented for `{Self}`",
    note = "write `impl wasmeter_sdk::Pollster for {Self} {{ const METERS: ..; const READS: ..; fn poll(..) .. }}`",
    note = "a module that turns meters into meters is registered with `register_transformer!`"
)]
pub trait Pollster {
    /// The meters known when the module is written. [`Samples::emit`] names them by position.
    const METERS: &'static [Declared];
    /// Patterns of the names that it declares during a call (`*` and `?`).
    const DECLARES: &'static [&'static str] = &[];
    /// The statistics that it reads.
    const READS: &'static [Wanted];
    /// The attributes that it reads.
    const ATTRIBUTES: &'static [&'static str] = &[];
    /// Which resources it is for where a source does not say.
    const DISCOVERY: &'static [&'static str] = &["local_instances"];

    /// What it gives and needs: the constants, unless that depends on the configuration. An error text is shown to
    /// whoever wrote the configuration.
    fn describe(_config: &str) -> Result<Description, String> {
        Ok(Self::constants())
    }

    /// What the constants say: the answer of a [`describe`](Self::describe) that only looks whether a configuration can
    /// be used.
    fn constants() -> Description {
        constants::<Self>()
    }

    /// One slot. Nothing that was emitted, declared or saved stays if it fails.
    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure>;
}

/// The description that the constants of a pollster make.
fn constants<P: Pollster + ?Sized>() -> Description {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let wanted = |w: &Wanted| poller::Wanted { key: w.key.to_owned(), instead_of: owned(w.instead_of) };
    Description {
        meters: P::METERS.iter().map(Into::into).collect(),
        declares: owned(P::DECLARES),
        reads: P::READS.iter().map(wanted).collect(),
        attributes: owned(P::ATTRIBUTES),
        discovery: owned(P::DISCOVERY),
    }
}

/// One call of a pollster on a host.
pub fn run<P: Pollster>(host: &Host, config: &str) -> Result<Vec<Series>, Failure> {
    let mut out = Samples::default();
    P::poll(&Call::new(host, config), &mut out)?;
    Ok(out.into_series())
}

/// Makes a type that implements [`Pollster`] the pollster of this crate.
#[macro_export]
macro_rules! register_pollster {
    ($pollster:ty) => {
        const _: () = {
            use $crate::declared::{names_are_plain, names_differ};
            const fn check<P: $crate::Pollster>() {
                assert!(
                    !P::METERS.is_empty() || !P::DECLARES.is_empty(),
                    "METERS is empty: a pollster gives at least one meter, or says in DECLARES what it may declare"
                );
                assert!(names_are_plain(P::METERS), "METERS: a name is lower-case words joined by dots");
                assert!(names_differ(P::METERS), "METERS has two meters of the same name");
            }
            check::<$pollster>();
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::pollster::exports::wasmeter::plugin::poller::Guest;
            // A name that no module has: what is registered may well be called `Module`.
            struct __Registered;
            impl Guest for __Registered {
                fn describe(config: String) -> Result<$crate::Description, String> {
                    <$pollster as $crate::Pollster>::describe(&config)
                }
                fn poll(config: String) -> Result<Vec<$crate::Series>, $crate::Failure> {
                    $crate::run_pollster::<$pollster>(&$crate::Host, &config)
                }
            }
    $crate::bindings::pollster::__export_pollster!(__Registered with_types_in $crate::bindings::pollster);
        };
    };
}
