//! The activity of a relay, in totals without names or addresses (`docs/threat-model.md`).

use crate::table::Table;
use m2_net::wire::line::JoinOutcome;
use std::sync::atomic::{AtomicU64, Ordering};

/// The activity of a relay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelayTotals {
    /// Current sessions of parties.
    pub sessions: usize,
    /// Current open lines.
    pub lines: usize,
    /// Current callers on lines.
    pub splices: usize,
    /// Current sessions that are forwarded to another relay.
    pub extended: u64,
    /// Callers that joined a line, since the start.
    pub joined: u64,
    /// Bytes of forwarded packets, since the start.
    pub bytes: u64,
    /// Packets that were dropped, since the start.
    pub dropped: u64,
    /// Refused and ended sessions, lines and channels, by reason, since the start.
    pub refused: [(&'static str, u64); 8],
}

/// Why something was refused or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// A session was refused, because its prefix holds its share.
    Sessions,
    /// A line was refused, because its prefix or its session holds its share.
    Lines,
    /// A session ended, because another prefix needed a session or a line.
    SessionTaken,
    /// A caller lost its channel to a caller of another prefix.
    ChannelTaken,
    ProtocolViolation,
    NoLine,
    Full,
    NotExtended,
}

impl Refused {
    const ALL: [Self; 8] = [
        Self::Sessions,
        Self::Lines,
        Self::SessionTaken,
        Self::ChannelTaken,
        Self::ProtocolViolation,
        Self::NoLine,
        Self::Full,
        Self::NotExtended,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "SESSIONS_FULL",
            Self::Lines => "LINES_FULL",
            Self::SessionTaken => "SESSION_TAKEN_FOR_OTHERS",
            Self::ChannelTaken => "CHANNEL_TAKEN_FOR_OTHERS",
            Self::ProtocolViolation => "MISBEHAVED",
            Self::NoLine => "NO_LINE",
            Self::Full => "LINE_FULL",
            Self::NotExtended => "NOT_EXTENDED",
        }
    }
}

/// The counters behind [`RelayTotals`].
#[derive(Debug, Default)]
pub(super) struct Counts {
    joined: AtomicU64,
    extended: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
    refused: [AtomicU64; Refused::ALL.len()],
}

impl Counts {
    pub(super) fn joined(&self, outcome: JoinOutcome) {
        match outcome {
            JoinOutcome::Joined => add(&self.joined, 1),
            JoinOutcome::NoLine => self.refused(Refused::NoLine),
            JoinOutcome::Full => self.refused(Refused::Full),
        }
    }

    pub(super) fn refused(&self, reason: Refused) {
        self.refused_times(reason, 1);
    }

    pub(super) fn refused_times(&self, reason: Refused, times: usize) {
        if let Some(count) = self.refused.get(reason as usize) {
            add(count, u64::try_from(times).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn extended(&self) {
        add(&self.extended, 1);
    }

    pub(super) fn extension_ended(&self) {
        self.extended.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn passed(&self, passed: bool, bytes: u64) {
        if passed {
            add(&self.bytes, bytes);
        } else {
            add(&self.dropped, 1);
        }
    }

    pub(super) fn totals(&self, table: &Table) -> RelayTotals {
        let refused = Refused::ALL.map(|reason| {
            let count = self.refused.get(reason as usize).map_or(0, get);
            (reason.name(), count)
        });
        RelayTotals {
            sessions: table.sessions(),
            lines: table.lines(),
            splices: table.splices(),
            extended: get(&self.extended),
            joined: get(&self.joined),
            bytes: get(&self.bytes),
            dropped: get(&self.dropped),
            refused,
        }
    }
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
