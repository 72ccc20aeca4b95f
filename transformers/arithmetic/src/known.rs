//! The meters of an expression, whether they come in or not.

use expression::Root;
use scaling::word;
use wasmeter_sdk::{Call, Converting, Failure, Kind, Meter};

use crate::Config;

/// Meters as they came in last.
#[derive(Debug)]
pub struct Known(Vec<Meter>);

/// The name under which they are kept.
const NAME: &str = "meters";

// === impl Known ===

impl Known {
    /// Those that come in now, and of the others those that came in before. Only what is asked for is kept.
    pub fn learn(call: &Call<'_, Converting>, config: &Config, inputs: &[Meter]) -> Result<Self, Failure> {
        let is_asked = config.expression.paths().iter().any(|path| {
            let keys = path.keys.first().map(String::as_str);
            matches!(path.root, Root::Meter(_)) && matches!(keys, Some("unit" | "type"))
        });
        let is_asked = is_asked || config.unit.is_none() || config.kind.is_none();
        let of = |name: &String| inputs.iter().find(|input| input.name == *name);
        if !is_asked {
            return Ok(Self(config.meters.iter().filter_map(of).cloned().collect()));
        }
        let before = call.load_bytes(NAME).unwrap_or_default();
        let lines = std::str::from_utf8(&before).unwrap_or_default().lines();
        let known: Vec<Meter> = lines.filter_map(read).collect();
        let of = |name: &String| of(name).or_else(|| known.iter().find(|known| known.name == *name));
        let now = Self(config.meters.iter().filter_map(of).cloned().collect());
        let text: Vec<String> = now.0.iter().map(write).collect();
        let text = text.join("\n");
        if text.as_bytes() != before {
            call.save_bytes(NAME, text.as_bytes())?;
        }
        Ok(now)
    }

    /// The meter of a name, if it is known.
    pub fn get(&self, name: &str) -> Option<&Meter> {
        self.0.iter().find(|known| known.name == name)
    }

    /// The meter of a name.
    pub fn meter(&self, name: &str) -> Meter {
        self.get(name).cloned().unwrap_or_else(|| Meter {
            name: name.to_owned(),
            kind: Kind::Gauge,
            unit: String::new(),
        })
    }
}

fn read(line: &str) -> Option<Meter> {
    let mut words = line.splitn(3, ' ');
    let (name, kind, unit) = (words.next()?, words.next()?, words.next()?);
    let kind = [Kind::Gauge, Kind::Cumulative, Kind::Delta].into_iter().find(|known| word(*known) == kind)?;
    Some(Meter { name: name.to_owned(), kind, unit: unit.to_owned() })
}

fn write(Meter { name, kind, unit }: &Meter) -> String {
    format!("{name} {} {unit}", word(*kind))
}
