//! Housekeeping of a mailbox: expired letters and spent marks are deleted, and deleted data is erased.

use crate::store::MailboxStore;
use m2_limits::counters::Counters;
use m2_net::clock::Clock;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// The interval at which the engine's traces of deleted data are erased.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// The pause before a retry when a reader blocks the erasure.
const SWEEP_AGAIN: Duration = Duration::from_millis(100);
const SWEEP_TRIES: u32 = 5;
/// The interval at which due letters and marks are searched for, in addition to the beginning of every hour.
const PURGE_EVERY: Duration = Duration::from_secs(60);
const HOUR_MS: u64 = 3_600_000;
/// The number of letters and marks deleted per step. The pause between steps lets deposits proceed.
const PURGE_BUDGET: usize = 512;
const PURGE_PAUSE: Duration = Duration::from_millis(5);

/// Runs housekeeping. Never returns.
pub(super) async fn run(store: &dyn MailboxStore, clock: &Clock, counters: &Counters) {
    let mut ticks = interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut purge_at, mut purged_in) = (Instant::now(), 0);
    loop {
        ticks.tick().await;
        if !store.is_reached() {
            continue;
        }
        // The hour also changes when the clock is set.
        let hour = clock.unix_ms() / HOUR_MS;
        let is_due = Instant::now() >= purge_at || hour != purged_in;
        if is_due && purge(store, clock, counters).await {
            (purge_at, purged_in) = (Instant::now() + PURGE_EVERY, hour);
        }
        sweep(store, counters).await;
    }
}

/// Purges until the next sweep is due. Returns whether nothing is left.
async fn purge(store: &dyn MailboxStore, clock: &Clock, counters: &Counters) -> bool {
    let start = Instant::now();
    while start.elapsed() < SWEEP_EVERY {
        match store.purge(clock.unix_ms(), PURGE_BUDGET).await {
            Ok(purged) if purged < PURGE_BUDGET => return true,
            Ok(_) => sleep(PURGE_PAUSE).await,
            Err(error) => {
                tracing::debug!(%error, "letters can't be purged");
                counters.count("MAILBOX_STORE_FAILED");
                return true;
            }
        }
    }
    false
}

async fn sweep(store: &dyn MailboxStore, counters: &Counters) {
    for _ in 0..SWEEP_TRIES {
        match store.sweep().await {
            Ok(true) => return,
            Ok(false) => sleep(SWEEP_AGAIN).await,
            Err(error) => {
                tracing::debug!(%error, "deleted data can't be erased");
                counters.count("MAILBOX_STORE_FAILED");
                return;
            }
        }
    }
}
