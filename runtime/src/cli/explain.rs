//! `wasmeter explain`: where a guest's value of a meter comes from, or why there is none.

mod bearing;
mod explanation;
mod guest;
mod measure;
mod owner;
mod reason;
mod sink;
mod source;
mod statistic;
mod tenant;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::bearing::Trial;
use self::explanation::{Explanation, Giver, Sample, Took};
use self::guest::{Guest, NotFound, Standing};
use self::measure::{Measured, Meters};
use self::owner::{Found, Owner};
use self::reason::{Case, Failed, Why, Word};
use self::statistic::Scene;
use self::tenant::Deployed;
use super::setup::{Threads, Where};
use super::{Exit, logging, print};
use crate::agent::report::Report;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::config::daemon::{LogFormat, WithoutNova};
use crate::contract::Description;
use crate::hypervisor::{self, Definition, HypervisorError};
use crate::sandbox::Module;

const EXAMPLES: &str = "\
Examples:
  wasmeter explain cpu instance-0000002a
  wasmeter explain memory.usage web-6 -c /etc/wasmeter/wasmeter.yaml
  wasmeter explain cpu 2ed8d4a5-c3eb-4c66-a727-c4f1a70e2409 --json | jq -r .reason

It measures the meter once, and again a second later if there was no value or if it is a delta.
Of the statistics, USED are those without which the value would be another; that is tried.
A meter of a tenant's module is not measured: which deployment may give it, and how that is, is said. Nor is one
that a sink of pipeline.yaml makes: which sink that is, and of what, is said.

Exit codes:
   0  the daemon gives a value
   1  it gives none, and why is said
  64  there is no such meter or guest
  69  the hypervisor cannot be reached
  70  a module failed

With --json, `reason` is null or one of: unknown-meter, unknown-guest, ambiguous-guest,
unreachable, module-off, no-source, source-excludes-guests, not-of-guests, guest-gone,
guest-nobodys, guest-unusable, guest-off, guest-stuck, statistics-missing, module-failed,
no-device, no-medium, no-counter, no-balloon, no-statistic, first-value, not-given, of-a-tenant,
of-a-sink.";

/// Say where a guest's value of a meter comes from, or why there is none.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The meter, as in `cpu`.
    #[arg(value_name = "METER")]
    meter: String,
    /// The guest: its UUID, its name for the hypervisor, or the name that its owner gave it.
    #[arg(value_name = "GUEST")]
    guest: String,
    #[command(flatten)]
    at: Where,
    /// For programs: an object with all of it.
    #[arg(long)]
    json: bool,
}

/// Guests that are listed where none was meant.
const GUESTS: usize = 20;
/// libvirt's number of the state in which a guest is about to be off; Nova has one word for both.
const STOPPING: i64 = 4;

/// A pollster that takes part, with the meters of it that do.
type Part = (Arc<Module>, Vec<String>);

impl Args {
    /// Does it.
    pub fn run(self) -> Exit {
        self.try_run().unwrap_or_else(|exit| exit)
    }

    fn try_run(&self) -> Result<Exit, Exit> {
        logging::start(&LogFormat::Text);
        let config = self.at.load()?;
        let threads = Threads::start()?;
        let said = self.explain(&config, &threads)?;
        threads.guests.shutdown_background();
        let exit = reason::exit(&said.reasons);
        if self.json {
            print::json(&said.json())?;
        } else if said.guest.is_none() {
            for Why { why, remedy, .. } in &said.reasons {
                print::error(format_args!("{} {remedy}", text::sentence(why)));
            }
            if !said.guests.is_empty() {
                print::problems(text::guests(&said).trim_end());
            }
        } else {
            print::text(&text::write(&said))?;
        }
        Ok(exit)
    }

    fn explain(&self, config: &Config, threads: &Threads) -> Result<Explanation, Exit> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let hypervisor = match hypervisor::open(&config.hypervisor.uri, &clock) {
            Ok(hypervisor) => hypervisor,
            Err(error @ HypervisorError::Uri { .. }) => {
                print::error(&error);
                return Err(Exit::Usage);
            }
            Err(error) => return Ok(self.unreachable(&error)),
        };
        let mut meters = Meters::open(config, hypervisor, threads)?;
        let mut owner = match self.owner(&meters) {
            Found::Owner(owner) => owner,
            Found::Sinks(sinks) => {
                let reasons = sinks.iter().map(|sink| sink.reason(&self.meter)).collect();
                return Ok(Explanation { reasons, ..self.nothing_yet() });
            }
            Found::Nobody(near) => {
                let deployed = Deployed::ask(config, threads);
                let project = meters.project_of(&self.guest);
                let reasons = deployed.reasons(&self.meter, &self.guest, project.as_deref());
                return Ok(match reasons.is_empty() {
                    true => {
                        let names = near.into_iter().chain(deployed.meters().cloned());
                        self.unknown_meter(owner::near(&self.meter, names.collect()))
                    }
                    false => Explanation { reasons, ..self.nothing_yet() },
                });
            }
        };
        if owner.is_off {
            // What it would give is worth knowing before it is turned on.
            if !meters.turn_on(&owner.module.name) {
                owner.is_off = true;
            } else if let Found::Owner(on) = self.owner(&meters) {
                owner = Owner { is_off: true, ..on };
            }
        }
        meters.narrow(&self.meter, &owner);
        let answer = meters.next().and_then(|first| {
            let guests = meters.guests(&first);
            match guest::find(&guests, &self.guest) {
                Ok(guest) => meters.again(first, &self.meter, &owner, guest).map(|measured| (measured, guest.uuid)),
                Err(not_found) => return Ok(Err(self.unknown_guest(not_found, first.undefined, guests))),
            }
            .map(Ok)
        });
        match answer {
            Err(error) => Ok(self.unreachable(&error)),
            Ok(Err(said)) => Ok(said),
            Ok(Ok((measured, uuid))) => {
                let guests = meters.guests(&measured.report);
                match guests.into_iter().find(|guest| guest.uuid == uuid) {
                    Some(guest) => Ok(self.explained(config, &meters, &owner, measured, guest)),
                    None => Ok(self.unknown_guest(NotFound::None, 0, Vec::new())),
                }
            }
        }
    }

    fn owner(&self, meters: &Meters<'_>) -> Found {
        let agent = &meters.agent;
        meters.threads.time.block_on(owner::find(&meters.sandbox, agent.config(), agent.modules(), &self.meter))
    }

    /// Nothing but a reason.
    fn nothing(&self, reason: Word, why: String, remedy: impl Into<String>) -> Explanation {
        let reasons = vec![Why::new(reason, why, remedy)];
        Explanation { meter: self.meter.clone(), asked: self.guest.clone(), reasons, ..Explanation::default() }
    }

    fn unreachable(&self, error: &HypervisorError) -> Explanation {
        let remedy = "See wasmeter check, and --hypervisor for hosts that there are";
        self.nothing(Word::Unreachable, error.to_string(), remedy)
    }

    fn unknown_meter(&self, near: Vec<String>) -> Explanation {
        let remedy = match near.as_slice() {
            [] => "See wasmeter module list for the meters that there are".to_owned(),
            near => format!("Did you mean {}? See wasmeter module list for all", near.join(", ")),
        };
        let why = format!("no module gives a meter {}", self.meter);
        Explanation { near, ..self.nothing(Word::UnknownMeter, why, remedy) }
    }

    fn unknown_guest(&self, not_found: NotFound, undefined: usize, mut guests: Vec<Guest>) -> Explanation {
        let said = match not_found {
            NotFound::Several(uuids) => {
                guests.retain(|guest| uuids.contains(&guest.uuid));
                let why = format!("{} guests are called {}", uuids.len(), self.guest);
                self.nothing(Word::AmbiguousGuest, why, "Name one by its UUID")
            }
            NotFound::None if undefined > 0 => {
                let why =
                    format!("what {undefined} guests of this host are was not told in time; it may be one of them");
                self.nothing(Word::Unreachable, why, "Ask again in a while, and see wasmeter check")
            }
            NotFound::None => {
                let why = format!("there is no guest {} on this host", self.guest);
                self.nothing(Word::UnknownGuest, why, "Name one by its UUID, its name for the hypervisor, or its own")
            }
        };
        let of_guests = guests.len();
        guests.truncate(GUESTS);
        Explanation { guests, of_guests, ..said }
    }

    fn explained(
        &self,
        config: &Config,
        meters: &Meters<'_>,
        owner: &Owner,
        measured: Measured,
        guest: Guest,
    ) -> Explanation {
        let Measured { report, slots, handed_before } = measured;
        let now = meters.clock.now();
        let root = guest::root(&report.snapshot.resources, guest.uuid);
        let of = |is_it: &dyn Fn(&str) -> bool| {
            root.map(|root| Sample::of(&report.slot, root, now, is_it)).unwrap_or_default()
        };
        let samples = of(&|name| name == self.meter);
        let inputs = owner.feed.as_ref().map(|feed| of(&|name| feed.matches(name) && name != self.meter));
        let parts = self.parts(meters, owner, &report);
        let scene = Scene {
            snapshot: &report.snapshot,
            root,
            off: false,
            stuck: report.stuck.contains(&guest.uuid),
            missing: report.missing.is_some(),
        };
        let scene = Scene { off: is_off(&scene, &guest), ..scene };
        let trial = Trial {
            sandbox: &meters.sandbox,
            config: meters.agent.config(),
            clock: &meters.clock,
            snapshot: &report.snapshot,
        };
        let goes_in = |part: &Part| meters.threads.guests.block_on(goes_in(&trial, part, root, &report));
        let statistics = parts.iter().flat_map(|part| scene.statistics(&part.0, goes_in(part).as_ref())).collect();
        let definition =
            meters.agent.directory().known().map(|(known, _)| known).find(|known| known.uuid == guest.uuid);
        let wanted: Vec<String> = parts.iter().flat_map(|(_, meters)| meters.iter().cloned()).collect();
        let discovery: Vec<String> =
            parts.iter().flat_map(|(module, _)| &module.description.discovery).cloned().collect();
        let sources = source::wanting(config, &wanted, &discovery);
        let added = wanted.first().unwrap_or(&self.meter);
        let add = source::line(config, added);
        let giver = giver(config, owner, &parts, &report);
        let empty_drives = if reads_disks(&parts) { empty_drives(definition) } else { Vec::new() };
        let mut said = Explanation { samples, statistics, sources, slots, ..self.nothing_yet() };
        let case = Case {
            meter: &self.meter,
            wanted: added,
            module: &owner.module.name,
            is_off: owner.is_off,
            guest: &guest,
            guest_off: scene.off,
            has_nics: definition.is_none_or(|definition| !definition.nics.is_empty()),
            has_media: definition.is_none_or(|definition| definition.disks.iter().any(|disk| disk.has_source)),
            empty_drives: &empty_drives,
            samples: said.samples.len(),
            sources: &said.sources,
            add: (&add.0, &add.1),
            is_of_guests: discovery.iter().any(|url| url.split(':').next() == Some("local_instances")),
            without_nova: config.guests.without_nova == WithoutNova::Meter,
            missing: report.missing.as_deref(),
            failed: &giver.failed,
            statistics: &said.statistics,
            handed: inputs.as_ref().map(|inputs| (handed_before, inputs.len())),
        };
        said.reasons = case.reasons();
        (said.guest, said.module, said.empty_drives) = (Some(guest), Some(giver), empty_drives);
        said.inputs = inputs.unwrap_or_default();
        said
    }

    fn nothing_yet(&self) -> Explanation {
        Explanation { meter: self.meter.clone(), asked: self.guest.clone(), ..Explanation::default() }
    }

    /// The pollsters that a meter is made by: its own, or those that feed the transformer.
    fn parts(&self, meters: &Meters<'_>, owner: &Owner, report: &Report) -> Vec<Part> {
        let Some(feed) = &owner.feed else {
            return vec![(Arc::clone(&owner.module), vec![self.meter.clone()])];
        };
        let takes = |module: &Arc<Module>| {
            let Description { meters, .. } = &*module.description;
            let described = meters.iter().map(|meter| &meter.name);
            let declared = report.slot.samples.iter().filter(|samples| samples.module == module.name);
            let declared = declared.map(|samples| &samples.meter.name);
            let names: BTreeSet<String> =
                described.chain(declared).filter(|name| feed.matches(name)).cloned().collect();
            (!names.is_empty()).then(|| (Arc::clone(module), names.into_iter().collect()))
        };
        meters.agent.modules().pollsters.iter().filter_map(takes).collect()
    }
}

/// Whether a guest is shut off. What is known of it then has no state, unless the configuration wants some of it.
fn is_off(scene: &Scene<'_>, guest: &Guest) -> bool {
    let stopping = scene.values("state.state").iter().any(|raw| raw.value == STOPPING);
    guest.standing == Standing::Metered && guest.status == "stopped" && !stopping
}

/// Statistics that the meters of a pollster are made of: tried with this guest, or else with one that has the meter.
async fn goes_in(trial: &Trial<'_>, part: &Part, root: Option<u32>, report: &Report) -> Option<BTreeMap<String, bool>> {
    let (module, meters) = part;
    let mut keys: Option<BTreeMap<String, bool>> = None;
    for meter in meters {
        let first = report.slot.samples.iter().find(|samples| samples.meter.name == *meter);
        let other = first.and_then(|samples| samples.column.resources.first());
        let other = other.and_then(|number| report.slot.resources.get(*number)).map(|resource| resource.root);
        for root in root.into_iter().chain(other) {
            if let Some(found) = trial.keys(module, meter, root).await {
                for (key, goes_in) in found {
                    *keys.get_or_insert_default().entry(key).or_default() |= goes_in;
                }
                break;
            }
        }
    }
    keys
}

fn giver(config: &Config, owner: &Owner, parts: &[Part], report: &Report) -> Giver {
    let module = &owner.module;
    let took = report.modules.iter().find(|report| report.name == module.name).map(Took::of);
    // The second transformer of a name is told apart by what no name has.
    let name = module.name.split('#').next().unwrap_or_default();
    let file = config.modules.iter().find(|entry| entry.name == name).and_then(|entry| entry.file.as_ref());
    let takes_part = |name: &Arc<str>| *name == module.name || parts.iter().any(|(part, _)| part.name == *name);
    let mut failed = Vec::new();
    for report in report.modules.iter().filter(|report| takes_part(&report.name)) {
        failed.extend(report.failures.iter().map(|(failure, count)| Failed {
            module: report.name.to_string(),
            cause: failure.cause.word(),
            failure: failure.on_one_line(),
            count: *count,
        }));
    }
    let world = module.code.manifest.world;
    Giver { name: Arc::clone(&module.name), file: file.map(|file| file.display().to_string()), world, took, failed }
}

fn reads_disks(parts: &[Part]) -> bool {
    parts.iter().flat_map(|(module, _)| &module.description.reads).any(|wanted| wanted.key.starts_with("block."))
}

fn empty_drives(definition: Option<&Definition>) -> Vec<String> {
    let disks = definition.into_iter().flat_map(|definition| &definition.disks);
    disks.filter(|disk| !disk.has_source).map(|disk| disk.target.clone()).collect()
}
