//! The contract as generated code: one module for each world, with the types in common.
#![allow(missing_docs, unsafe_code, reason = "generated; the contract itself is documented")]
#![allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "generated")]
#![allow(clippy::allow_attributes_without_reason, reason = "generated")]

pub mod pollster {
    wit_bindgen::generate!({
        world: "pollster",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "__export_pollster",
        default_bindings_module: "wasmeter_sdk::bindings::pollster",
        additional_derives: [PartialEq],
    });
}

pub mod transformer {
    wit_bindgen::generate!({
        world: "transformer",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "__export_transformer",
        default_bindings_module: "wasmeter_sdk::bindings::transformer",
        additional_derives: [PartialEq],
        with: {
            "wasmeter:plugin/types@0.1.1": crate::bindings::pollster::wasmeter::plugin::types,
            "wasmeter:plugin/attributes@0.1.1": crate::bindings::pollster::wasmeter::plugin::attributes,
            "wasmeter:plugin/texts@0.1.1": crate::bindings::pollster::wasmeter::plugin::texts,
            "wasmeter:plugin/declare@0.1.1": crate::bindings::pollster::wasmeter::plugin::declare,
            "wasmeter:plugin/clock@0.1.1": crate::bindings::pollster::wasmeter::plugin::clock,
            "wasmeter:plugin/state@0.1.1": crate::bindings::pollster::wasmeter::plugin::state,
            "wasmeter:plugin/log@0.1.1": crate::bindings::pollster::wasmeter::plugin::log,
        },
    });
}
