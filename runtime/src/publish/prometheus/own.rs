//! What the daemon says about itself. All its own families are written here, one after the other.

use super::escape;
use crate::control::status::{Deployment, Share, Status};
use crate::control::time::Time;
use crate::json;
use crate::spool::log::Cause;
use crate::spool::missed::Why;

/// Families as text.
struct Families(String);

/// Labels of a series, in order.
type Labels<'a, const N: usize> = [(&'a str, &'a str); N];

/// The daemon's own families; before it knows how it is, only its version.
pub fn text(status: Option<&Status>) -> String {
    let mut out = Families(String::new());
    out.family("build_info", "gauge", "The version of wasmeter that runs; the value is always 1.");
    out.series("build_info", [("version", env!("CARGO_PKG_VERSION"))], 1);
    if let Some(status) = status {
        out.cycles(status);
        out.modules(status);
        out.tenants(status);
        out.publishers(status);
        out.spool(status);
    }
    out.0
}

// === impl Families ===

impl Families {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        json::append(&mut self.0, format_args!("# HELP wasmeter_{name} {help}\n# TYPE wasmeter_{name} {kind}\n"));
    }

    fn series<const N: usize>(&mut self, name: &str, labels: Labels<'_, N>, value: impl std::fmt::Display) {
        self.0.push_str("wasmeter_");
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            json::append(&mut self.0, format_args!("{}{label}=\"", if place == 0 { '{' } else { ',' }));
            escape(&mut self.0, text);
            self.0.push('"');
        }
        json::append(&mut self.0, format_args!("{} {value}\n", if N > 0 { "}" } else { "" }));
    }

    /// A family of one series.
    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.series(name, [], value);
    }

    fn cycles(&mut self, status: &Status) {
        let counters = &status.counters;
        self.one("start_time_seconds", "gauge", "When the daemon was started, since 1970.", status.started.seconds());
        self.one("cycles_total", "counter", "Cycles in which the host was read.", counters.cycles);
        let reads = counters.cycles.saturating_add(counters.failed_reads);
        self.one("reads_total", "counter", "Cycles in which the host was asked.", reads);
        self.one("reads_failed_total", "counter", "Cycles in which it could not be read.", counters.failed_reads);
        self.one("cycles_given_up_total", "counter", "Cycles that were given up on the way.", counters.given_up);
        self.one("samples_measured_total", "counter", "Samples that were measured.", counters.samples);
        self.family("slots_skipped_total", "counter", "Slots that were left out, by their interval in seconds.");
        for task in &status.tasks {
            self.series("slots_skipped_total", [("interval", &task.interval_seconds.to_string())], task.skipped);
        }
        if let Some(shortest) = status.shortest_interval() {
            let help = "The shortest interval at which there are cycles.";
            self.one("shortest_interval_seconds", "gauge", help, shortest);
        }
        let name = "samples_forgotten_total";
        self.family(name, "counter", "Samples that a module held back, forgotten with what it remembered.");
        for (module, samples) in &counters.forgotten {
            self.series(name, [("module", module)], samples);
        }
        let Some(last) = &status.last else { return };
        self.one("last_cycle_timestamp_seconds", "gauge", "When the last cycle was, since 1970.", last.at.seconds());
        self.one("last_cycle_duration_seconds", "gauge", "What the last cycle took.", last.took_seconds);
        self.one("last_read_duration_seconds", "gauge", "What reading the host took in it.", last.read_seconds);
        self.one("last_cycle_samples", "gauge", "Samples of the last cycle.", last.samples);
        self.one("guests", "gauge", "Guests of this host.", last.guests);
        let stuck = "Guests that gave only what does not need their process.";
        self.one("guests_stuck", "gauge", stuck, last.stuck.len());
        let undefined = "Guests of which it could not be read what they are.";
        self.one("guests_undefined", "gauge", undefined, last.undefined);
        self.one("guests_not_metered", "gauge", "Guests that are nobody's.", last.nobodys);
    }

    fn modules(&mut self, status: &Status) {
        /// A number of a module.
        type Number = fn(&crate::control::status::Module) -> u64;
        let families: [(&str, &str, &str, Number); 8] = [
            ("module_samples", "gauge", "Samples that a module gave in the last slot.", |module| module.samples),
            ("module_fuel_granted", "gauge", "Fuel that it was granted for its last slot.", |module| {
                module.fuel_granted
            }),
            ("module_fuel_total", "counter", "Fuel that it used.", |module| module.fuel_used_in_all),
            ("module_reads_fuel_total", "counter", "The price of what was read for it, as fuel.", |module| {
                module.reads_in_all
            }),
            ("module_samples_total", "counter", "Samples that it gave.", |module| module.samples_in_all),
            ("module_memory_peak_bytes", "gauge", "The most memory that it had.", |module| module.memory_peak),
            ("module_calls_total", "counter", "Calls of it.", |module| module.calls),
            ("module_resources_lost_total", "counter", "Resources left out because its calls failed.", |module| {
                module.resources_lost
            }),
        ];
        for (name, kind, help, number) in families {
            self.family(name, kind, help);
            for module in &status.modules {
                self.series(name, [("module", &module.name), ("tenant", &module.tenant)], number(module));
            }
        }
        let name = "module_seconds_total";
        self.family(name, "counter", "How long its calls took, without waiting for others.");
        for module in &status.modules {
            self.series(name, [("module", &module.name), ("tenant", &module.tenant)], module.seconds_in_all);
        }
        self.family("module_calls_failed_total", "counter", "Calls of a module that came to nothing, by cause.");
        for module in &status.modules {
            for (cause, calls) in &module.failures {
                let labels = [("module", &*module.name), ("tenant", &module.tenant), ("cause", cause)];
                self.series("module_calls_failed_total", labels, calls);
            }
        }
    }

    /// What is said of tenants' deployments, where there are any.
    fn tenants(&mut self, status: &Status) {
        let Some(budgets) = &status.budgets else { return };
        /// A number of a deployment.
        type Number = fn(&Deployment, Time) -> f64;
        let families: [(&str, &str, Number); 4] = [
            ("deployment_version", "The version of a tenant's deployment that is current.", |deployment, _| {
                real(deployment.version)
            }),
            ("deployment_on_trial", "Whether another version of it is on trial.", |deployment, _| {
                real(u64::from(deployment.trial.is_some()))
            }),
            ("deployment_paused", "Whether it does not run now.", |deployment, _| {
                real(u64::from(deployment.pause.is_some()))
            }),
            (
                "deployment_pause_seconds",
                "How long it will not run; 0 if it runs, or somebody paused it.",
                |of, now| of.pause.as_ref().and_then(|pause| pause.until).map_or(0.0, |until| until.since(now)),
            ),
        ];
        let all = || status.modules.iter().filter_map(|module| Some((module, module.deployment.as_ref()?)));
        for (name, help, number) in families {
            self.family(name, "gauge", help);
            for (module, deployment) in all() {
                let labels = [("module", &*module.name), ("tenant", &module.tenant)];
                self.series(name, labels, number(deployment, status.at));
            }
        }
        let name = "module_fuel_admitted";
        self.family(name, "gauge", "Fuel in a second that a tenant's module was admitted with.");
        for (module, deployment) in all() {
            self.series(name, [("module", &*module.name), ("tenant", &module.tenant)], deployment.fuel_per_second);
        }
        /// A number of a share.
        type Part = fn(&Share) -> u64;
        let families: [(&str, &str, Part); 4] = [
            ("budget_fuel", "Fuel in a second that modules may have: of a tenant, or of all.", |share| share.limit),
            ("budget_fuel_admitted", "Fuel in a second that they were admitted with.", |share| share.admitted),
            ("budget_fuel_free", "Fuel in a second that one more can have.", |share| share.free),
            ("budget_fuel_saved", "Fuel that is saved up for what they need beyond that.", |share| share.saved),
        ];
        for (name, help, part) in families {
            self.family(name, "gauge", help);
            self.series(name, [], part(&budgets.node));
            let name = format!("tenant_{name}");
            self.family(&name, "gauge", help);
            for (tenant, share) in &budgets.tenants {
                self.series(&name, [("tenant", tenant)], part(share));
            }
        }
    }

    fn publishers(&mut self, status: &Status) {
        /// A number of a publisher.
        type Number = fn(&crate::control::status::Publisher) -> u64;
        let families: [(&str, &str, &str, Number); 5] = [
            ("publisher_up", "gauge", "Whether a publisher delivers.", |publisher| {
                u64::from(publisher.trouble.is_none())
            }),
            ("publisher_samples_measured_total", "counter", "Samples measured for it.", |publisher| publisher.measured),
            ("publisher_samples_replayed_total", "counter", "Samples handed in for it again.", |publisher| {
                publisher.replayed
            }),
            ("publisher_samples_delivered_total", "counter", "Samples that it delivered.", |publisher| {
                publisher.delivered
            }),
            ("publisher_samples_spooled", "gauge", "Samples that wait for it.", |publisher| publisher.spooled),
        ];
        for (name, kind, help, number) in families {
            self.family(name, kind, help);
            for publisher in &status.publishers {
                self.series(name, [("publisher", &publisher.name)], number(publisher));
            }
        }
        let name = "publisher_spooled_age_seconds";
        self.family(name, "gauge", "Age of the oldest sample that waits for it; 0 if none does.");
        for publisher in &status.publishers {
            let age = publisher.oldest.map_or(0.0, |oldest| status.at.since(oldest));
            self.series(name, [("publisher", &publisher.name)], age);
        }
        let name = "publisher_samples_lost_total";
        self.family(name, "counter", "Samples that it will not deliver, by cause.");
        let causes = Cause::ALL.map(Cause::as_str).into_iter().chain(Why::ALL.map(Why::as_str));
        let causes: Vec<&str> = causes.collect();
        for publisher in &status.publishers {
            for cause in &causes {
                let lost = publisher.lost_by_cause.get(*cause).copied().unwrap_or_default();
                self.series(name, [("publisher", &publisher.name), ("cause", cause)], lost);
            }
        }
        for (output, lost) in &status.former {
            self.series(name, [("publisher", output), ("cause", Why::Removed.as_str())], lost);
        }
    }

    fn spool(&mut self, status: &Status) {
        let spool = &status.spool;
        self.one("spool_bytes", "gauge", "Bytes that the spool uses.", spool.bytes);
        self.one("spool_limit_bytes", "gauge", "Bytes that it may use.", spool.max_bytes);
        self.one("spool_records", "gauge", "Records in it, one for each slot.", spool.records);
        let age = spool.oldest.map_or(0.0, |oldest| status.at.since(oldest));
        self.one("spool_age_seconds", "gauge", "Age of the oldest record in it; 0 if there is none.", age);
        let failing = u8::from(spool.failing.is_some());
        self.one("spool_failing", "gauge", "Whether it could not keep the last slot.", failing);
        let seen = spool.seen.seconds();
        self.one("spool_seen_timestamp_seconds", "gauge", "When its disk was last heard of, since 1970.", seen);
    }
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn real(number: u64) -> f64 {
    number as f64
}
