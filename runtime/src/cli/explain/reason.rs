//! Why there is no value: each reason with a word for programs, a sentence and a remedy.

#[cfg(test)]
mod tests;

use serde::Serialize;

use super::guest::{Guest, Standing};
use super::source::Wanting;
use super::statistic::{Absent, Statistic};
use crate::cli::Exit;

/// Words for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// No module gives the meter.
    UnknownMeter,
    /// There is no such guest.
    UnknownGuest,
    /// Several guests are called so.
    AmbiguousGuest,
    /// The host does not answer.
    Unreachable,
    /// The module is off.
    ModuleOff,
    /// No source wants the meter.
    NoSource,
    /// Sources want it, of something else than guests.
    SourceExcludesGuests,
    /// The module measures something else than guests.
    NotOfGuests,
    /// The guest is there no more.
    GuestGone,
    /// Nothing says whose the guest is.
    GuestNobodys,
    /// The guest's definition cannot be used.
    GuestUnusable,
    /// The guest is shut off.
    GuestOff,
    /// A call is stuck in the guest.
    GuestStuck,
    /// Nothing that needs guests' processes was had.
    StatisticsMissing,
    /// A module failed.
    ModuleFailed,
    /// The guest has no such device.
    NoDevice,
    /// None of its devices has a medium.
    NoMedium,
    /// The hardware counter is off.
    NoCounter,
    /// The balloon driver is silent.
    NoBalloon,
    /// The hypervisor gives no such statistic.
    NoStatistic,
    /// There is nothing to compare with yet.
    FirstValue,
    /// The module gave nothing of what it had.
    NotGiven,
    /// Only tenants' modules may give the meter, and those are not run here.
    OfATenant,
    /// Only transformers of sinks make the meter, and those are not run here.
    OfASink,
}

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// For programs.
    pub reason: Word,
    /// For people.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

/// A module that failed in the last slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The module.
    pub module: String,
    /// The kind of failure.
    pub cause: &'static str,
    /// The particulars, with what it wrote to its standard error.
    pub failure: String,
    /// For how many resources or samples.
    pub count: u32,
}

/// Everything that has a say in why there is no value.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The meter.
    pub meter: &'a str,
    /// What sources have to want for it: the same, or what its transformer is handed.
    pub wanted: &'a str,
    /// The module that gives it.
    pub module: &'a str,
    /// Whether that one has to be turned on first.
    pub is_off: bool,
    /// The guest.
    pub guest: &'a Guest,
    /// Whether it is shut off.
    pub guest_off: bool,
    /// Whether its devices are known, and there are network devices.
    pub has_nics: bool,
    /// Whether one of its block devices has a medium.
    pub has_media: bool,
    /// Drives without a medium.
    pub empty_drives: &'a [String],
    /// How many samples it gave.
    pub samples: usize,
    /// Sources that want it.
    pub sources: &'a [Wanting],
    /// The line that adds one, and where it goes.
    pub add: (&'a str, &'a str),
    /// Whether modules measure it of guests.
    pub is_of_guests: bool,
    /// Whether guests that Nova did not create are metered.
    pub without_nova: bool,
    /// Why statistics are missing altogether.
    pub missing: Option<&'a str>,
    /// Modules that take part and failed.
    pub failed: &'a [Failed],
    /// Statistics of the pollsters that take part.
    pub statistics: &'a [Statistic],
    /// Of a transformer: how many samples of this guest it was handed in the slot before, and in the last.
    pub handed: Option<(usize, usize)>,
}

// === impl Why ===

impl Why {
    /// A reason with its sentence and remedy.
    pub fn new(reason: Word, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason, why: why.into(), remedy: remedy.into() }
    }
}

/// How the program ends with these reasons.
pub fn exit(reasons: &[Why]) -> Exit {
    let code = |why: &Why| match why.reason {
        Word::UnknownMeter | Word::UnknownGuest | Word::AmbiguousGuest => Exit::Usage,
        Word::Unreachable => Exit::Unreachable,
        Word::ModuleFailed => Exit::Module,
        _ => Exit::Failed,
    };
    reasons.iter().map(code).max_by_key(|exit| *exit as u8).unwrap_or(Exit::Done)
}

// === impl Case ===

impl Case<'_> {
    /// All reasons; none if the daemon gives values. What the configuration says stands first, because it holds for
    /// every guest.
    pub fn reasons(&self) -> Vec<Why> {
        let mut reasons: Vec<Why> = self.of_configuration().into_iter().collect();
        if self.samples == 0 {
            reasons.push(self.of_guest().or_else(|| self.of_statistics()).unwrap_or_else(|| self.not_given()));
        }
        reasons
    }

    fn of_configuration(&self) -> Option<Why> {
        let Self { meter, wanted, module, .. } = self;
        if self.is_off {
            let why = format!("{meter} is a meter of the module {module}, which is off");
            return Some(Why::new(
                Word::ModuleOff,
                why,
                format!("Turn it on in wasmeter.yaml: `modules: {{{module}: {{enabled: true}}}}`"),
            ));
        }
        if !self.is_of_guests {
            return None;
        }
        if self.sources.is_empty() {
            let (line, file) = self.add;
            let remedy = format!("Add a line such as `{}` to {file}", line.trim());
            return Some(Why::new(Word::NoSource, format!("no source wants {wanted}"), remedy));
        }
        if self.sources.iter().all(|source| !source.of_guests) {
            let names: Vec<&str> = self.sources.iter().map(|source| source.name.as_str()).collect();
            let why = format!(
                "{} wants {wanted}, but only of what its `resources` and `discovery` name, which are no guests",
                names.join(", ")
            );
            let remedy = "Add `discovery: [local_instances]` to the source, or take both keys out";
            return Some(Why::new(Word::SourceExcludesGuests, why, remedy));
        }
        None
    }

    fn of_guest(&self) -> Option<Why> {
        let Self { meter, module, .. } = self;
        Some(match &self.guest.standing {
            _ if !self.is_of_guests => {
                let why = format!("the module {module} measures {meter} of something else than guests");
                Why::new(Word::NotOfGuests, why, "See wasmeter module inspect for what it is for")
            }
            Standing::Gone => {
                let remedy = "Ask on the host that it moved to, or again when it is back";
                Why::new(Word::GuestGone, "the guest was there and is there no more", remedy)
            }
            Standing::Nobodys if self.without_nova => {
                let why = "nothing says whose the guest is: Nova did not create it, and it has no project";
                let remedy = "Give `guests.project` a default, or the guest's metadata the element that is named there";
                Why::new(Word::GuestNobodys, why, remedy)
            }
            Standing::Nobodys => {
                let why = "nothing says whose the guest is: Nova did not create it";
                let remedy = "Meter such guests with `guests: {without_nova: meter, project: {default: PROJECT}}`";
                Why::new(Word::GuestNobodys, why, remedy)
            }
            Standing::Unusable { cause } => {
                let remedy = "See virsh dumpxml; it is read again when it changes";
                Why::new(Word::GuestUnusable, format!("the guest's definition cannot be used: {cause}"), remedy)
            }
            Standing::Metered if !self.failed.is_empty() => return self.of_failure(),
            Standing::Metered if self.guest_off => {
                let remedy = "Start it. With `guests: {report_stopped: true}` its state, number of vCPUs, memory and \
                              sizes of disks are given meanwhile";
                Why::new(Word::GuestOff, "the guest is shut off", remedy)
            }
            Standing::Metered => return None,
        })
    }

    fn of_failure(&self) -> Option<Why> {
        let Failed { module, failure, .. } = self.failed.first()?;
        let remedy = format!("See wasmeter module run {module}, and its limits under `modules` and `sandbox`");
        Some(Why::new(Word::ModuleFailed, format!("the module {module} failed: {failure}"), remedy))
    }

    /// Statistics that have to do with it: those that it is made of, where that could be tried.
    fn relevant(&self) -> Vec<&Statistic> {
        let known = self.statistics.iter().any(|statistic| statistic.goes_in == Some(true));
        self.statistics.iter().filter(|statistic| !known || statistic.goes_in == Some(true)).collect()
    }

    fn of_statistics(&self) -> Option<Why> {
        let relevant = self.relevant();
        let absent = |why| relevant.iter().any(|statistic| statistic.absent == Some(why));
        if absent(Absent::GuestStuck) {
            let why = "a call is stuck in the guest's process, so what that has to answer is not asked";
            let remedy = "See what the process waits for: its storage, or somebody who stopped it. It is asked again \
                          as soon as the call comes back";
            return Some(Why::new(Word::GuestStuck, why, remedy));
        }
        if let Some(missing) = self.missing.filter(|_| absent(Absent::Missing)) {
            let why = format!("what guests' processes have to answer could not be read: {missing}");
            let remedy = "See what the guests' processes and their storage are doing, and `reader.watchdog` and \
                          `reader.max_stuck`";
            return Some(Why::new(Word::StatisticsMissing, why, remedy));
        }
        if let Some(why) = self.of_devices(&relevant) {
            return Some(why);
        }
        if let Some((before, now)) = self.handed.filter(|(_, now)| *now > 0) {
            return Some(match before {
                0 => {
                    let why = "it was handed to the transformer for the first time, with nothing to compare with";
                    Why::new(Word::FirstValue, why, "Ask again after the next slot")
                }
                _ => {
                    let why = format!("the transformer {} was handed {now} samples and gave none", self.module);
                    Why::new(Word::NotGiven, why, "See its `config` under `transform`, and wasmeter module run")
                }
            });
        }
        self.of_absent(&relevant)
    }

    fn of_devices(&self, relevant: &[&Statistic]) -> Option<Why> {
        let all = |word: &str| !relevant.is_empty() && relevant.iter().all(|one| one.key.starts_with(word));
        if all("net.") && !self.has_nics {
            let remedy = "Attach one (openstack server add port)";
            return Some(Why::new(Word::NoDevice, "the guest has no network device", remedy));
        }
        if !all("block.") || self.has_media {
            return None;
        }
        Some(match self.empty_drives {
            [] => Why::new(Word::NoDevice, "the guest has no block device", "Attach one"),
            drives => {
                let why = format!("no drive of the guest has a medium: {}", drives.join(" "));
                Why::new(Word::NoMedium, why, "Insert one, or attach a volume")
            }
        })
    }

    fn of_absent(&self, relevant: &[&Statistic]) -> Option<Why> {
        // What stands in is not what is missing.
        let is_gone = |one: &&&Statistic| matches!(one.absent, Some(Absent::NoValue | Absent::NotRead));
        let gone: Vec<&Statistic> = relevant.iter().filter(is_gone).copied().filter(|one| !one.is_ours()).collect();
        let first = gone.first()?;
        let keys: Vec<&str> = gone.iter().map(|one| one.key.as_str()).collect();
        let keys = keys.join(" ");
        Some(if gone.iter().any(|one| one.is_of_balloon_driver()) {
            let why = format!("the guest's balloon driver says nothing: {keys}");
            let remedy = "See that the guest has the virtio balloon driver, and that it is asked: Nova's \
                          `[libvirt] mem_stats_period_seconds = 10`, without Nova <memballoon><stats period='10'/>";
            Why::new(Word::NoBalloon, why, remedy)
        } else if first.is_counter() {
            let remedy = "Turn them on where the host's processor has them: Nova's `[libvirt] enabled_perf_events`, \
                          without Nova virsh perf --enable";
            Why::new(Word::NoCounter, format!("hardware counters are off for the guest: {keys}"), remedy)
        } else {
            let remedy = "See virsh domstats; an older hypervisor may lack it, and a guest that just started too";
            Why::new(Word::NoStatistic, format!("the hypervisor gives no value of this guest: {keys}"), remedy)
        })
    }

    fn not_given(&self) -> Why {
        let why = format!("the module {} was handed all of this and gave no value", self.module);
        Why::new(Word::NotGiven, why, "See wasmeter module inspect, and its documentation")
    }
}
