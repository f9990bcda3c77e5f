//! The engine's part of the configuration.

use crate::config::Config;
use m2_engine::{LetterTimes, LineSettings, Settings, StoreLimits};

/// Returns the settings of the engine.
pub(super) fn of(config: &Config) -> Settings {
    let (store, mailbox) = (&config.store, &config.mailbox);
    Settings {
        limits: StoreLimits {
            event_days: store.event_days,
            max_events: store.max_events,
            max_outbox: store.max_outbox,
            keep_days: store.keep_days,
            keep_bytes: store.keep_bytes,
            contact_messages: store.contact_messages,
            contact_bytes: store.contact_bytes,
        },
        letters: LetterTimes {
            after_ms: u64::from(mailbox.after_s) * 1_000,
            delay_ms: u64::from(mailbox.delay_s) * 1_000,
        },
        lines: LineSettings {
            ip: config.privacy.ip,
            open: config.line.open,
            loopback_only: config.is_loopback_only(),
        },
    }
}
