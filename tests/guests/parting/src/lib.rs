//! A transformer that gives each volume again for parts that it declares, under a meter that it declares.

use wasmeter_sdk::config::{self, Deserialize, serde};
use wasmeter_sdk::{
    Batch, Call, Column, Converting, Failure, Kind, Meter, Outputs, Transformer, Values, register_transformer,
};

/// The transformer.
pub struct Parting;

#[derive(Deserialize)]
#[serde(crate = "serde", deny_unknown_fields)]
struct Config {
    /// The pattern of meters that it says it declares.
    pattern: String,
    /// The meter that it declares.
    meter: String,
    /// Suffixes of the parts of each guest.
    parts: Vec<String>,
    /// The guest of whom it declares parts, rather than of those that the resources belong to.
    guest: Option<u32>,
    /// The display name with which a guest makes it panic.
    odd: Option<String>,
    /// Whether its samples come without the time of a clock that is never set.
    #[serde(default)]
    timeless: bool,
}

impl Transformer for Parting {
    fn describe(config: &str, _: &[Meter]) -> Result<Outputs, String> {
        let config: Config = config::parse(config)?;
        Ok(Outputs { meters: Vec::new(), declares: vec![config.pattern] })
    }

    fn convert(call: &Call<'_, Converting>, inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let config: Config = config::parse(call.config())?;
        let unit = inputs.first().map_or("", |meter| &meter.unit).to_owned();
        let meter = Meter { name: config.meter, kind: Kind::Gauge, unit };
        let positions = call.declare_meters(std::slice::from_ref(&meter))?;
        if let Some(odd) = &config.odd {
            let names = call.resolve(call.attribute("display_name")?.texts()?);
            assert!(!names.contains(odd), "I cannot stand {odd}");
        }
        let mut out = Vec::new();
        for Batch { mut at, column, .. } in batches {
            at.monotonic = at.monotonic.filter(|_| !config.timeless);
            let Values::Counts(volumes) = column.values else { continue };
            let mut guests = call.parents(&column.resources);
            if let Some(guest) = config.guest {
                guests.fill(guest);
            }
            for suffix in call.intern(&config.parts)? {
                let parts = call.declare_parts(&guests, &vec![suffix; guests.len()])?;
                let mut cells: Vec<(u32, u64)> = parts.into_iter().zip(volumes.iter().copied()).collect();
                cells.sort_unstable();
                for meter in &positions {
                    let column: Column = cells.iter().copied().collect();
                    out.push(Batch { meter: *meter, at, column, notes: Vec::new() });
                }
            }
        }
        Ok(out)
    }
}

register_transformer!(Parting);
