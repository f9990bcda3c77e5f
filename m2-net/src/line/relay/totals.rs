//! What a relay does, in totals (spec §10: nobody is named).

use super::table::Table;
use crate::wire::line::JoinOutcome;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a relay does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RelayTotals {
    /// Sessions of parties now.
    pub sessions: usize,
    /// Open lines now.
    pub lines: usize,
    /// Callers on lines now.
    pub splices: usize,
    /// Callers that were joined to a line, since the start.
    pub joined: u64,
    /// Callers that were not.
    pub not_joined: u64,
    /// Sessions that were passed on to another relay.
    pub extended: u64,
    /// Sessions that were refused or sent away.
    pub refused: u64,
    /// Bytes of packets that were passed on.
    pub bytes: u64,
    /// Packets that were not.
    pub dropped: u64,
}

/// What is counted as it happens.
#[derive(Debug, Default)]
pub(super) struct Counts {
    joined: AtomicU64,
    not_joined: AtomicU64,
    extended: AtomicU64,
    refused: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    pub(super) fn joined(&self, outcome: JoinOutcome) {
        match outcome {
            JoinOutcome::Joined => add(&self.joined, 1),
            JoinOutcome::NoLine | JoinOutcome::Full => add(&self.not_joined, 1),
        }
    }

    pub(super) fn extended(&self) {
        add(&self.extended, 1);
    }

    pub(super) fn refused(&self) {
        add(&self.refused, 1);
    }

    pub(super) fn passed(&self, passed: bool, bytes: u64) {
        if passed {
            add(&self.bytes, bytes);
        } else {
            add(&self.dropped, 1);
        }
    }

    pub(super) fn totals(&self, table: &Table) -> RelayTotals {
        RelayTotals {
            sessions: table.sessions(),
            lines: table.lines(),
            splices: table.splices(),
            joined: get(&self.joined),
            not_joined: get(&self.not_joined),
            extended: get(&self.extended),
            refused: get(&self.refused),
            bytes: get(&self.bytes),
            dropped: get(&self.dropped),
        }
    }
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
