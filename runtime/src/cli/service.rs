//! What systemd is told where it started the daemon, and nobody elsewhere.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use super::print;
use crate::agent::run::News;

/// What ending takes beside what it waits for.
const MARGIN: Duration = Duration::from_secs(2);

/// Tells how it goes.
pub fn tell(news: &News<'_>) {
    match news {
        News::Ready => notify(&[NotifyState::Ready]),
        News::Reloading => match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        },
        News::Measured(report) => {
            let (samples, guests, stuck) = (report.slot.len(), report.guests, report.stuck.len());
            let stuck = if stuck > 0 { format!(", {stuck} of them stuck") } else { String::new() };
            let took = report.whole.as_millis();
            notify(&[NotifyState::Status(&format!("{samples} samples of {guests} guests{stuck}, in {took} ms"))]);
        }
        // A line more would be something else that is told.
        News::Unreachable(error) => {
            notify(&[NotifyState::Status(&print::line(&error.to_string()))]);
        }
        News::Ending(time) => {
            // What was granted for every end may be less than the configuration allows for this one.
            let time = u32::try_from(time.saturating_add(MARGIN).as_micros()).unwrap_or(u32::MAX);
            notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(time)]);
        }
    }
}

/// Shows again and again that time passes here, as often as the watchdog wants. To be run where the daemon's loop runs.
pub async fn feed_watchdog() {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = interval((patience / 3).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told.");
    }
}
