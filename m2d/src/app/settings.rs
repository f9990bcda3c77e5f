//! The engine's part of the configuration.

use crate::config::Config;
use crate::driver::EngineHandle;
use m2_engine::{Input, LetterSettings, LineSettings, Settings, Tunable};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The pause before settings are passed to an engine again whose store can't be written.
const AGAIN: Duration = Duration::from_secs(5);

/// Returns the settings of the engine.
pub(super) fn of(config: &Config, tunable: Tunable) -> Settings {
    Settings {
        limits: tunable.limits,
        letters: tunable.letters,
        lines: LineSettings {
            ip: config.privacy.ip,
            open: config.line.open,
            loopback_only: config.is_loopback_only(),
        },
    }
}

/// Returns the settings of the engine that can change while it runs.
pub(super) fn tunable(config: &Config) -> Tunable {
    let mailbox = &config.mailbox;
    Tunable {
        limits: config.store.clone(),
        letters: LetterSettings {
            after_ms: u64::from(mailbox.after_s) * 1_000,
            delay_ms: u64::from(mailbox.delay_s) * 1_000,
            at_own_provider: mailbox.deposit_at_own_provider,
        },
    }
}

/// Passes each change of the settings to the engine.
pub(super) async fn follow(
    engine: EngineHandle,
    mut wanted: watch::Receiver<Tunable>,
    stop: CancellationToken,
) {
    while let Some(Ok(())) = stop.run_until_cancelled(wanted.changed()).await {
        let new = Box::new(wanted.borrow_and_update().clone());
        let told = engine.call(|reply| Input::Tune(new, reply)).await;
        if told.is_err() {
            wanted.mark_changed();
            tokio::time::sleep(AGAIN).await;
        }
    }
    // The sender lives as long as the daemon.
    stop.cancelled().await;
}
