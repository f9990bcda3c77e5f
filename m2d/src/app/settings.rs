//! The engine's part of the configuration.

use crate::config::Config;
use m2_engine::{LetterSettings, LineSettings, Settings};

/// Returns the settings of the engine.
pub(super) fn of(config: &Config) -> Settings {
    let mailbox = &config.mailbox;
    Settings {
        limits: config.store.clone(),
        letters: LetterSettings {
            after_ms: u64::from(mailbox.after_s) * 1_000,
            delay_ms: u64::from(mailbox.delay_s) * 1_000,
            at_own_provider: mailbox.deposit_at_own_provider,
        },
        lines: LineSettings {
            ip: config.privacy.ip,
            open: config.line.open,
            loopback_only: config.is_loopback_only(),
        },
    }
}
