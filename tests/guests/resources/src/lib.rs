//! A pollster that gives samples of whatever it is handed, and of what its configuration names.
//!
//! `probe.up` is 1 for each guest, node or fixed resource that it is handed. The configuration adds meters and parts
//! of guests that are declared at run time, words, and a guest that it cannot stand.

use std::collections::BTreeMap;

use wasmeter_sdk::config::{self, Deserialize, serde};
use wasmeter_sdk::{
    Call, Column, Declared, Description, Failure, Kind, Level, Meter, Pollster, Samples, Wanted, gauge,
    register_pollster,
};

/// The pollster.
pub struct Resources;

#[derive(Deserialize, Default)]
#[serde(crate = "serde", default, deny_unknown_fields)]
struct Config {
    /// Meters to declare; each is 1 for each resource.
    meters: Vec<String>,
    /// Suffixes of parts to declare of each guest. Their meter grows by one every nanosecond.
    parts: Vec<String>,
    /// JSON that samples of parts carry.
    note: Option<String>,
    /// What to print and log.
    words: Option<String>,
    /// How often to log it.
    times: usize,
    /// The display name with which a guest makes it panic.
    odd: Option<String>,
    /// Whether it does without `probe.up`.
    silent: bool,
    /// Whether it logs, prints and notes all that it sees.
    echo: bool,
}

/// What it reads then.
const ECHOED: [&str; 6] = ["id", "name", "display_name", "project_id", "user_id", "status"];

impl Pollster for Resources {
    const METERS: &'static [Declared] = &[gauge("probe.up", "")];
    const DECLARES: &'static [&'static str] = &["probe.dynamic.*"];
    const READS: &'static [Wanted] = &[];
    const ATTRIBUTES: &'static [&'static str] = &["id", "display_name"];

    fn describe(config: &str) -> Result<Description, String> {
        // What is wrong with a configuration is said by `poll`, as by a pollster that does not look at it here.
        let parsed = config::parse::<Config>(config).unwrap_or_default();
        let silent = parsed.silent;
        let attributes: &[&str] = if parsed.echo { &ECHOED } else { Self::ATTRIBUTES };
        let meters = if silent { Vec::new() } else { Self::METERS.iter().map(Meter::from).collect() };
        Ok(Description {
            meters,
            declares: Self::DECLARES.iter().map(ToString::to_string).collect(),
            reads: Vec::new(),
            attributes: attributes.iter().map(ToString::to_string).collect(),
            discovery: vec!["local_instances".into()],
        })
    }

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let config: Config = config::parse(call.config())?;
        let mut roots = call.attribute("id")?.resources;
        let parents = call.parents(&roots);
        let mut parents = parents.iter();
        roots.retain(|resource| parents.next() == Some(resource));
        speak(call, &config);
        if let Some(odd) = &config.odd {
            let names = call.resolve(call.attribute("display_name")?.texts()?);
            assert!(!names.contains(odd), "I cannot stand {odd}");
        }
        let up: Column = roots.iter().map(|root| (*root, 1u64)).collect();
        let meter = |name: &String| Meter { name: name.clone(), kind: Kind::Gauge, unit: String::new() };
        for position in call.declare_meters(&config.meters.iter().map(meter).collect::<Vec<_>>())? {
            out.emit(position as usize, up.clone());
        }
        if config.echo {
            let seen = echo(call)?;
            let note = call.note("seen", seen)?;
            out.emit_with(0, up, vec![note]);
        } else if !config.silent {
            out.emit(0, up);
        }
        if config.parts.is_empty() { Ok(()) } else { parts(call, &config, &roots, out) }
    }
}

register_pollster!(Resources);

fn parts(call: &Call<'_>, config: &Config, roots: &[u32], out: &mut Samples) -> Result<(), Failure> {
    let suffixes = call.intern(&config.parts)?.repeat(roots.len());
    let guests: Vec<u32> = roots.iter().flat_map(|root| std::iter::repeat_n(*root, config.parts.len())).collect();
    let parts = call.declare_parts(&guests, &suffixes)?;
    let time = u64::try_from(call.read_at().wall).map_err(|_| "it is before 1970")?;
    let age = Meter { name: "probe.dynamic.age".into(), kind: Kind::Cumulative, unit: "ns".into() };
    let notes = match &config.note {
        Some(json) => {
            let value = call.intern_json(std::slice::from_ref(json))?.repeat(parts.len());
            vec![call.note("note", Column::new(parts.clone(), value))?]
        }
        None => Vec::new(),
    };
    for position in call.declare_meters(&[age])? {
        let times = Column::new(parts.clone(), vec![time; parts.len()]);
        out.emit_with(position as usize, times, notes.clone());
    }
    Ok(())
}

/// Says all that it sees of everything, and gives what it sees of guests.
fn echo(call: &Call<'_>) -> Result<Column, Failure> {
    let mut seen: BTreeMap<u32, String> = BTreeMap::new();
    for key in ECHOED {
        let column = call.attribute(key)?;
        for (resource, text) in column.resources.iter().zip(call.resolve(column.texts()?)) {
            seen.entry(*resource).or_default().push_str(&format!(" {text}"));
        }
    }
    let all: Vec<u32> = seen.keys().copied().collect();
    let parents = call.parents(&all);
    for ((resource, words), parent) in seen.iter().zip(&parents) {
        println!("printed {resource} of {parent}:{words}");
        call.log(Level::Info, &format!("logged {resource} of {parent}:{words}"));
    }
    let guests = seen.into_iter().zip(parents).filter(|((resource, _), parent)| resource == parent);
    let (guests, words): (Vec<u32>, Vec<String>) = guests.map(|(seen, _)| seen).unzip();
    Ok(Column::new(guests, call.intern(&words)?))
}

fn speak(call: &Call<'_>, config: &Config) {
    let Some(words) = &config.words else { return };
    println!("printed {words}");
    eprintln!("complained {words}");
    (0..config.times).for_each(|_| call.log(Level::Info, &format!("logged {words}")));
}
