//! The status and the losses as people read them.

use super::status::{Counters, Losses, Pause, Publisher, Spool, Status};
use super::time::Time;
use crate::config::share::Share;
use crate::pipeline::route::OF_PIPELINES;
use crate::publish::columns::{Columns, Side, bytes, short};

/// Stuck guests that are named.
const NAMED: usize = 10;

/// How everything is: first what is wrong.
pub fn status(status: &Status) -> String {
    let mut out = format!("wasmeter {} on {}, process {}", status.version, status.host, status.pid);
    out += &format!(", for {}: ", age(status.at.since(status.started)));
    match &*status.troubles {
        [] => out += "all is well\n",
        [_] => out += "something is wrong\n",
        troubles => out += &format!("{} things are wrong\n", troubles.len()),
    }
    for trouble in &status.troubles {
        out += &format!("  {trouble}\n");
    }
    out += &format!("\nhypervisor  {}\n", status.hypervisor);
    if let Some(last) = &status.last {
        let (took, read) = (last.took_seconds * 1e3, last.read_seconds * 1e3);
        let mut guests = guests(last.guests);
        for (number, what) in
            [(last.stuck.len() as u64, "stuck"), (last.undefined, "not understood"), (last.nobodys, "not metered")]
        {
            if number > 0 {
                guests += &format!(", {number} {what}");
            }
        }
        let ago = age(status.at.since(last.at));
        out += &format!("guests      {guests}\n");
        if !last.stuck.is_empty() {
            let mut names: Vec<&str> = last.stuck.iter().take(NAMED).map(String::as_str).collect();
            names.extend((last.stuck.len() > NAMED).then_some("..."));
            out += &format!("stuck       {}\n", names.join(" "));
        }
        out += &format!(
            "last cycle  {ago} ago: {} samples in {took:.1} ms (of which reading {read:.1} ms)\n",
            last.samples
        );
    } else {
        out += "last cycle  none yet\n";
    }
    out += &format!("since start {}\n", counters(&status.counters));
    let mut table = Columns::new([("TASK", Side::Left), ("NEXT", Side::Right), ("SKIPPED", Side::Right)]);
    for task in &status.tasks {
        let next = format!("in {}", age(task.next.since(status.at)));
        table.row([format!("every {}s", task.interval_seconds), next, task.skipped.to_string()]);
    }
    add(&mut out, &table);
    let mut table = Columns::new([
        ("MODULE", Side::Left),
        ("TENANT", Side::Left),
        ("SAMPLES", Side::Right),
        ("FUEL", Side::Right),
        ("OF", Side::Right),
        ("IN ALL", Side::Right),
        ("CALLS", Side::Right),
        ("FAILED", Side::Right),
        ("LEFT OUT", Side::Right),
    ]);
    for module in &status.modules {
        table.row([
            module.name.clone(),
            module.tenant.clone(),
            module.samples.to_string(),
            short(module.fuel_used),
            short(module.fuel_granted),
            short(module.fuel_used_in_all),
            module.calls.to_string(),
            module.failures.values().sum::<u64>().to_string(),
            module.resources_lost.to_string(),
        ]);
    }
    add(&mut out, &table);
    add(&mut out, &deployments(status));
    add(&mut out, &budgets(status));
    out += &publishers(&status.publishers, true, status.at);
    out += &spool(&status.spool, status.at);
    out
}

/// What tenants' modules use.
fn deployments(status: &Status) -> Columns {
    let mut table = Columns::new([
        ("DEPLOYMENT", Side::Left),
        ("RUNS", Side::Left),
        ("OF A CORE", Side::Right),
        ("READS", Side::Right),
        ("TIME", Side::Right),
        ("MEMORY", Side::Right),
        ("SAMPLES IN ALL", Side::Right),
    ]);
    for module in &status.modules {
        let Some(deployment) = &module.deployment else { continue };
        let runs = match (&deployment.pause, deployment.trial) {
            (Some(Pause { until: Some(until), .. }), _) => format!("in {}", age(until.since(status.at))),
            (Some(_), _) => "paused".to_owned(),
            (None, Some(trial)) => format!("version {trial} on trial"),
            (None, None) => match deployment.tried_out {
                Some(tried) => format!("version {}, tries out {tried}", deployment.version),
                None => format!("version {}", deployment.version),
            },
        };
        table.row([
            format!("{}/{}", module.tenant, module.name),
            runs,
            Share::of_fuel(deployment.fuel_per_second).to_string(),
            short(module.reads_in_all),
            age(module.seconds_in_all),
            size(module.memory_peak),
            module.samples_in_all.to_string(),
        ]);
    }
    table
}

/// What tenants may have.
fn budgets(status: &Status) -> Columns {
    let mut table = Columns::new([
        ("BUDGET", Side::Left),
        ("OF A CORE", Side::Right),
        ("ADMITTED", Side::Right),
        ("FREE", Side::Right),
        ("SAVED", Side::Right),
    ]);
    let Some(budgets) = &status.budgets else { return table };
    let all = std::iter::once(("all tenants", &budgets.node));
    for (name, share) in all.chain(budgets.tenants.iter().map(|(tenant, share)| (&**tenant, share))) {
        let [limit, admitted, free] = [share.limit, share.admitted, share.free].map(Share::of_fuel);
        table.row([name.to_owned(), limit.to_string(), admitted.to_string(), free.to_string(), short(share.saved)]);
    }
    table
}

/// Everybody's books. Whether they deliver is known while they run.
pub fn publishers(publishers: &[Publisher], running: bool, now: Time) -> String {
    let mut table = Columns::new([
        ("PUBLISHER", Side::Name),
        ("STATE", Side::Left),
        ("MEASURED", Side::Right),
        ("REPLAYED", Side::Right),
        ("DELIVERED", Side::Right),
        ("SPOOLED", Side::Right),
        ("LOST", Side::Right),
        ("OLDEST", Side::Right),
    ]);
    for publisher in publishers {
        table.row([
            publisher.name.clone(),
            match &publisher.trouble {
                _ if !running => "-",
                Some(_) => "failing",
                None => "works",
            }
            .to_owned(),
            publisher.measured.to_string(),
            publisher.replayed.to_string(),
            publisher.delivered.to_string(),
            publisher.spooled.to_string(),
            publisher.lost.to_string(),
            publisher.oldest.map_or_else(|| "-".to_owned(), |oldest| age(now.since(oldest))),
        ]);
    }
    let mut out = String::new();
    add(&mut out, &table);
    add(&mut out, &urls(publishers));
    out
}

/// The URLs of those whose names are not all of them.
fn urls(publishers: &[Publisher]) -> Columns {
    let mut table = Columns::new([("PUBLISHER", Side::Name), ("URL", Side::Name)]);
    for Publisher { name, url, .. } in publishers {
        let Some(url) = url else { continue };
        if name.strip_prefix(OF_PIPELINES) != Some(url) {
            table.row([name.clone(), url.clone()]);
        }
    }
    table
}

/// The spool.
pub fn spool(spool: &Spool, now: Time) -> String {
    let oldest =
        spool.oldest.map_or_else(String::new, |oldest| format!(", the oldest of {} ago", age(now.since(oldest))));
    format!(
        "\nspool       {}: {} of {}, {} records{oldest}\n",
        spool.path,
        size(spool.bytes),
        size(spool.max_bytes),
        spool.records
    )
}

/// What was lost.
pub fn losses(losses: &Losses) -> String {
    let mut out = publishers(&losses.publishers, true, losses.at).trim_start().to_owned();
    let mut table = Columns::new([
        ("PUBLISHER", Side::Name),
        ("CAUSE", Side::Left),
        ("MODULE", Side::Left),
        ("TENANT", Side::Left),
        ("METER", Side::Left),
        ("LOST", Side::Right),
    ]);
    for loss in &losses.lost {
        let (publisher, cause, module) = (loss.publisher.clone(), loss.cause.clone(), loss.module.clone());
        table.row([publisher, cause, module, loss.tenant.clone(), loss.meter.clone(), loss.samples.to_string()]);
    }
    add(&mut out, &table);
    if out.is_empty() {
        out += "no publishers\n";
    } else if table.is_empty() {
        out += "\nno sample was lost on its way to a publisher\n";
    }
    let unmeasured = &losses.unmeasured;
    out += &format!("\nsince {}: {}\n", losses.started, counters(unmeasured));
    if !unmeasured.failures.is_empty() || !unmeasured.forgotten.is_empty() {
        out += "what failed left out resources, and of transformers samples:\n";
    }
    let mut table = Columns::new([
        ("MODULE", Side::Left),
        ("CAUSE", Side::Left),
        ("CALLS", Side::Right),
        ("LEFT OUT", Side::Right),
    ]);
    for (module, causes) in &unmeasured.failures {
        let left_out = unmeasured.resources_lost.get(module).copied().unwrap_or_default();
        for (place, (cause, calls)) in causes.iter().enumerate() {
            let left_out = if place == 0 { left_out.to_string() } else { String::new() };
            table.row([module.clone(), cause.clone(), calls.to_string(), left_out]);
        }
    }
    for (module, samples) in &unmeasured.forgotten {
        table.row([module.clone(), "forgotten".to_owned(), "-".to_owned(), samples.to_string()]);
    }
    add(&mut out, &table);
    out
}

fn counters(counters: &Counters) -> String {
    let failed: u64 = counters.failures.values().flat_map(|causes| causes.values()).sum();
    let skipped: u64 = counters.skipped_slots.values().sum();
    format!(
        "{} cycles, {} samples, {skipped} slots skipped, {} reads failed, {} cycles given up, {failed} calls failed",
        counters.cycles, counters.samples, counters.failed_reads, counters.given_up
    )
}

fn add(out: &mut String, table: &Columns) {
    if !table.is_empty() {
        out.push('\n');
        out.push_str(&table.render());
    }
}

/// So many guests.
pub(super) fn guests(number: u64) -> String {
    if number == 1 { "1 guest".to_owned() } else { format!("{number} guests") }
}

/// So many samples wait.
pub(super) fn samples(number: u64) -> String {
    if number == 1 { "1 sample waits".to_owned() } else { format!("{number} samples wait") }
}

/// A time span in few letters.
pub fn age(seconds: f64) -> String {
    match seconds {
        ..10.0 => format!("{seconds:.1}s"),
        ..120.0 => format!("{seconds:.0}s"),
        ..7_200.0 => format!("{:.0}m", seconds / 60.0),
        ..172_800.0 => format!("{:.1}h", seconds / 3600.0),
        _ => format!("{:.1}d", seconds / 86_400.0),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a size in few digits")]
fn size(count: u64) -> String {
    bytes(count as f64)
}
