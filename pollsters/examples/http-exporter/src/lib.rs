//! Makes meters of what applications on guests say of themselves to Prometheus: chosen series of an endpoint become
//! meters of the guest.

mod config;
mod exposition;

use wasmeter_sdk::http::Request;
use wasmeter_sdk::{
    Call, Column, Declared, Description, Failure, Level, Meter, Pollster, Samples, Wanted, register_pollster,
};

use self::config::{Config, Series, Target};
use self::exposition::Exposition;

/// The pollster.
pub struct HttpExporter;

impl Pollster for HttpExporter {
    /// The configuration names them.
    const METERS: &'static [Declared] = &[];
    /// None after all: `describe` knows the configuration.
    const DECLARES: &'static [&'static str] = &["*"];
    const READS: &'static [Wanted] = &[];
    const ATTRIBUTES: &'static [&'static str] = &["id", "display_name"];

    fn describe(config: &str) -> Result<Description, String> {
        let config = Config::read(config)?;
        Ok(Description {
            meters: config.series.iter().map(Meter::from).collect(),
            declares: Vec::new(),
            reads: Vec::new(),
            attributes: Self::ATTRIBUTES.iter().map(ToString::to_string).collect(),
            discovery: vec!["local_instances".to_owned()],
        })
    }

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        let config = Config::read(call.config())?;
        let guests = guests(call)?;
        let (mut scraped, mut failed) = (Vec::new(), None);
        for target in &config.targets {
            // A guest that is elsewhere, or is handed over in another call, is nothing to worry about.
            let Some(guest) = guests.iter().find(|guest| guest.is(&target.guest)) else { continue };
            match scrape(call, &config, target) {
                Ok(said) => scraped.push((guest.resource, said)),
                Err(failure) => {
                    call.log(Level::Warn, &format!("{}: {}", target.guest, words(&failure)));
                    failed.get_or_insert(failure);
                }
            }
        }
        // One that does not answer costs itself, as long as another one does.
        if let Some(failure) = failed.filter(|_| scraped.is_empty()) {
            return Err(failure);
        }
        scraped.sort_unstable_by_key(|(guest, _)| *guest);
        for (position, series) in config.series.iter().enumerate() {
            let values = scraped.iter().filter_map(|(guest, said)| Some((*guest, said.sum(series)?)));
            out.emit(position, column(values.collect()));
        }
        Ok(())
    }
}

register_pollster!(HttpExporter);

/// A guest by what the configuration may call it.
struct Guest {
    resource: u32,
    id: String,
    name: Option<String>,
}

impl Guest {
    fn is(&self, named: &str) -> bool {
        self.id == named || self.name.as_deref() == Some(named)
    }
}

fn guests(call: &Call<'_>) -> Result<Vec<Guest>, Failure> {
    let (ids, names) = (call.attribute("id")?, call.attribute("display_name")?);
    let named: Vec<(u32, String)> = names.resources.iter().copied().zip(call.resolve(names.texts()?)).collect();
    let name_of = |resource: u32| named.iter().find(|(of, _)| *of == resource).map(|(_, name)| name.clone());
    let all = ids.resources.iter().copied().zip(call.resolve(ids.texts()?));
    let parents = call.parents(&ids.resources);
    let guests = all.zip(parents).filter(|((resource, _), parent)| resource == parent);
    Ok(guests.map(|((resource, id), _)| Guest { resource, id, name: name_of(resource) }).collect())
}

fn scrape(call: &Call<'_>, config: &Config, target: &Target) -> Result<Exposition, Failure> {
    let request = Request::get(&target.url).header("accept", "text/plain");
    let request = config.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let answer = call.send(&request)?.good()?;
    Ok(Exposition::read(answer.text()?, &config.series))
}

fn words(failure: &Failure) -> &str {
    match failure {
        Failure::Unsupported(text) | Failure::Unavailable(text) | Failure::Failed(text) => text,
    }
}

/// Whole numbers stay exact as long as all are.
fn column(values: Vec<(u32, f64)>) -> Column {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and below 2^53")]
    let count = |value: f64| ((0.0..=EXACT).contains(&value) && value.fract() == 0.0).then_some(value as u64);
    let counts: Option<Vec<(u32, u64)>> = values.iter().map(|(guest, value)| Some((*guest, count(*value)?))).collect();
    match counts {
        Some(counts) => counts.into_iter().collect(),
        None => values.into_iter().collect(),
    }
}

/// Up to here each whole number is one.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl From<&Series> for Meter {
    fn from(series: &Series) -> Self {
        Self { name: series.meter.clone(), kind: series.kind.into(), unit: series.unit.clone() }
    }
}

#[cfg(test)]
mod tests;
