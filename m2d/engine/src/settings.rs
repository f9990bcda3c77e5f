//! The engine's part of the configuration.

use crate::LineSettings;

/// The settings of the engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// The limits of the store.
    pub limits: StoreLimits,
    /// When letters are deposited.
    pub letters: LetterTimes,
    /// Which paths sessions may take.
    pub lines: LineSettings,
}

/// The limits of the store.
#[derive(Debug, Clone, Copy)]
pub struct StoreLimits {
    /// How many days events are kept.
    pub event_days: u32,
    /// The maximum number of events.
    pub max_events: u64,
    /// The maximum number of messages in the outbox for one contact.
    pub max_outbox: u32,
    /// How many days messages are kept; 0 for unlimited.
    pub keep_days: u32,
    /// The maximum bytes of content; 0 for unlimited.
    pub keep_bytes: u64,
    /// The maximum number of stored messages of one contact.
    pub contact_messages: u64,
    /// The maximum stored bytes of content of one contact.
    pub contact_bytes: u64,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            event_days: 30,
            max_events: 1_000_000,
            max_outbox: 100_000,
            keep_days: 0,
            keep_bytes: 0,
            contact_messages: 5_000_000,
            contact_bytes: 4 << 30,
        }
    }
}

/// When letters are deposited.
#[derive(Debug, Clone, Copy)]
pub struct LetterTimes {
    /// The time without a session with a contact before its messages are deposited, in milliseconds.
    pub after_ms: u64,
    /// The maximum random delay before a letter is deposited, in milliseconds.
    pub delay_ms: u64,
}

impl Default for LetterTimes {
    fn default() -> Self {
        Self {
            after_ms: 30_000,
            delay_ms: 30_000,
        }
    }
}
