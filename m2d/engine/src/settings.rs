//! The engine's part of the configuration.

use m2_core::{IpMode, StoreLimits};

/// The settings of the engine.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The limits of the store.
    pub limits: StoreLimits,
    /// When and where letters are deposited.
    pub letters: LetterSettings,
    /// Which paths sessions may take.
    pub lines: LineSettings,
}

/// The settings that can change while the engine runs.
#[derive(Debug, Clone, Default)]
pub struct Tunable {
    /// The limits of the store. A change of `max_outbox` is ignored: conversations are loaded with it.
    pub limits: StoreLimits,
    /// When and where letters are deposited.
    pub letters: LetterSettings,
}

/// When and where letters are deposited.
#[derive(Debug, Clone, Copy)]
pub struct LetterSettings {
    /// The time without a session with a contact before its messages are deposited, in milliseconds.
    pub after_ms: u64,
    /// The maximum random delay before a letter is deposited, in milliseconds.
    pub delay_ms: u64,
    /// True if letters are also deposited at providers that keep a box of this daemon.
    pub at_own_provider: bool,
}

impl Default for LetterSettings {
    fn default() -> Self {
        Self {
            after_ms: 30_000,
            delay_ms: 30_000,
            at_own_provider: false,
        }
    }
}

/// The configuration of lines.
#[derive(Debug, Clone, Copy)]
pub struct LineSettings {
    /// Which paths sessions may take.
    pub ip: IpMode,
    /// True if contacts may dial at this daemon's relays.
    pub open: bool,
    /// True if the daemon is bound to loopback only, so that its peers can use loopback addresses.
    pub loopback_only: bool,
}

impl Default for LineSettings {
    fn default() -> Self {
        Self {
            ip: IpMode::Direct,
            open: true,
            loopback_only: false,
        }
    }
}
