//! Who listens where, and who is spliced with whom. No IO; nothing is kept of what has ended.

use super::RelayLimits;
use crate::wire::line::{Channel, JoinOutcome};
use m2_crypto::line::JoinToken;
use std::collections::{HashMap, HashSet};

/// A party's session, by a number of this run.
pub(super) type PartyId = u64;

/// The party broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// A channel that is no more: its party must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) party: PartyId,
    pub(super) channel: Channel,
}

/// The lines and channels of all parties.
#[derive(Debug)]
pub(super) struct Table {
    max_sessions: usize,
    max_lines: usize,
    max_lines_per_session: usize,
    max_joins: usize,
    max_splices: usize,
    parties: HashMap<PartyId, PartyState>,
    lines: HashMap<JoinToken, OpenLine>,
    splices: usize,
    next_id: PartyId,
}

#[derive(Debug, Default)]
struct PartyState {
    lines: HashSet<JoinToken>,
    channels: HashMap<Channel, Splice>,
    /// Even numbers are given by the relay; 0 is none.
    last_channel: u32,
}

#[derive(Debug)]
struct OpenLine {
    listener: PartyId,
    joins: usize,
}

/// The other end of a channel.
#[derive(Debug, Clone, Copy)]
struct Splice {
    party: PartyId,
    channel: Channel,
    /// The line that the caller joined, and who listened on it.
    line: JoinToken,
    listener: PartyId,
}

impl Table {
    pub(super) fn new(limits: &RelayLimits) -> Self {
        Self {
            max_sessions: limits.sessions,
            max_lines: limits.lines,
            max_lines_per_session: limits.lines_per_session,
            max_joins: limits.joins_per_line,
            max_splices: limits.splices,
            parties: HashMap::new(),
            lines: HashMap::new(),
            splices: 0,
            next_id: 1,
        }
    }

    /// A number for a new party, if there is room.
    pub(super) fn admit(&mut self) -> Option<PartyId> {
        if self.parties.len() >= self.max_sessions {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.parties.insert(id, PartyState::default());
        Some(id)
    }

    /// Opens lines as long as there is room; returns how many of them are open. Who knows a
    /// line's secret has it, also from another session that is open: that may be a dead one.
    pub(super) fn open(&mut self, id: PartyId, tokens: impl Iterator<Item = JoinToken>) -> u32 {
        let mut count = 0;
        for token in tokens {
            if !self.open_one(id, token) {
                break;
            }
            count += 1;
        }
        count
    }

    fn open_one(&mut self, id: PartyId, token: JoinToken) -> bool {
        let before = self.lines.get(&token).map(|line| line.listener);
        if before == Some(id) {
            return true;
        }
        let Some(party) = self.parties.get(&id) else {
            return false;
        };
        let full = before.is_none() && self.lines.len() >= self.max_lines;
        if full || party.lines.len() >= self.max_lines_per_session {
            return false;
        }
        if let Some(before) = before.and_then(|before| self.parties.get_mut(&before)) {
            before.lines.remove(&token);
        }
        if let Some(party) = self.parties.get_mut(&id) {
            party.lines.insert(token);
        }
        let line = OpenLine {
            listener: id,
            joins: 0,
        };
        self.lines.insert(token, line);
        true
    }

    /// Closes lines of the party. What was spliced over them goes on.
    pub(super) fn close(&mut self, id: PartyId, tokens: &[JoinToken]) {
        let Some(party) = self.parties.get_mut(&id) else {
            return;
        };
        for token in tokens {
            if party.lines.remove(token) {
                self.lines.remove(token);
            }
        }
    }

    /// Joins a caller to a line. Returns the listener and its channel.
    pub(super) fn join(
        &mut self,
        id: PartyId,
        channel: Channel,
        token: &JoinToken,
    ) -> Result<Result<(PartyId, Channel), JoinOutcome>, Broken> {
        let caller = self.parties.get(&id).ok_or(Broken)?;
        if !channel.is_of_party() || caller.channels.contains_key(&channel) {
            return Err(Broken);
        }
        let caller_channels = caller.channels.len();
        let Some(line) = self.lines.get_mut(token) else {
            return Ok(Err(JoinOutcome::NoLine));
        };
        let full = line.joins >= self.max_joins
            || self.splices >= self.max_splices
            || caller_channels >= self.max_lines_per_session;
        // Who calls itself would have two ends in one place.
        if full || line.listener == id {
            return Ok(Err(JoinOutcome::Full));
        }
        let listener = line.listener;
        let Some(theirs) = self.parties.get_mut(&listener).and_then(next_channel) else {
            return Ok(Err(JoinOutcome::Full));
        };
        line.joins += 1;
        self.splices += 1;
        self.connect((id, channel), (listener, theirs), *token, listener);
        self.connect((listener, theirs), (id, channel), *token, listener);
        Ok(Ok((listener, theirs)))
    }

    fn connect(
        &mut self,
        from: (PartyId, Channel),
        to: (PartyId, Channel),
        line: JoinToken,
        listener: PartyId,
    ) {
        let splice = Splice {
            party: to.0,
            channel: to.1,
            line,
            listener,
        };
        if let Some(party) = self.parties.get_mut(&from.0) {
            party.channels.insert(from.1, splice);
        }
    }

    /// Ends a channel of the party. Returns its other end.
    pub(super) fn leave(&mut self, id: PartyId, channel: Channel) -> Option<Ended> {
        let splice = self.parties.get_mut(&id)?.channels.remove(&channel)?;
        if let Some(other) = self.parties.get_mut(&splice.party) {
            other.channels.remove(&splice.channel);
        }
        self.splices = self.splices.saturating_sub(1);
        if let Some(line) = self.lines.get_mut(&splice.line)
            && line.listener == splice.listener
        {
            line.joins = line.joins.saturating_sub(1);
        }
        Some(Ended {
            party: splice.party,
            channel: splice.channel,
        })
    }

    /// Forgets a party. Returns the other ends of its channels.
    pub(super) fn remove(&mut self, id: PartyId) -> Vec<Ended> {
        let Some(party) = self.parties.get(&id) else {
            return Vec::new();
        };
        let channels: Vec<_> = party.channels.keys().copied().collect();
        let ended = channels
            .into_iter()
            .filter_map(|channel| self.leave(id, channel))
            .collect();
        if let Some(party) = self.parties.remove(&id) {
            for token in party.lines {
                self.lines.remove(&token);
            }
        }
        ended
    }

    /// Whether the party listens or talks.
    pub(super) fn is_in_use(&self, id: PartyId) -> bool {
        let party = self.parties.get(&id);
        party.is_some_and(|party| !party.lines.is_empty() || !party.channels.is_empty())
    }

    pub(super) fn sessions(&self) -> usize {
        self.parties.len()
    }

    pub(super) fn lines(&self) -> usize {
        self.lines.len()
    }

    pub(super) const fn splices(&self) -> usize {
        self.splices
    }
}

/// The next free even number.
fn next_channel(party: &mut PartyState) -> Option<Channel> {
    for _ in 0..=party.channels.len() {
        party.last_channel = party.last_channel.wrapping_add(2);
        let channel = Channel(party.last_channel);
        if channel.0 != 0 && !party.channels.contains_key(&channel) {
            return Some(channel);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn small() -> Table {
        Table::new(&RelayLimits {
            sessions: 4,
            lines: 5,
            lines_per_session: 3,
            joins_per_line: 2,
            splices: 3,
            ..RelayLimits::default()
        })
    }

    fn tokens(numbers: impl IntoIterator<Item = u8>) -> Vec<JoinToken> {
        numbers.into_iter().map(|n| JoinToken([n; 16])).collect()
    }

    fn open(table: &mut Table, id: PartyId, numbers: impl IntoIterator<Item = u8>) -> u32 {
        table.open(id, tokens(numbers).into_iter())
    }

    fn is_empty(table: &Table) -> bool {
        table.parties.is_empty() && table.lines.is_empty() && table.splices == 0
    }

    #[test]
    fn a_caller_and_a_listener_are_spliced_and_parted() {
        let mut table = small();
        let [alice, bob] = [(); 2].map(|()| table.admit().unwrap());
        assert_eq!(open(&mut table, alice, [1]), 1);
        let joined = table.join(bob, Channel(1), &JoinToken([1; 16]));
        assert_eq!(joined, Ok(Ok((alice, Channel(2)))));
        assert_eq!(table.splices(), 1);
        let other = Ended {
            party: bob,
            channel: Channel(1),
        };
        assert_eq!(table.leave(alice, Channel(2)), Some(other));
        assert_eq!(table.leave(alice, Channel(2)), None);
        assert_eq!(table.leave(bob, Channel(1)), None);
        table.remove(alice);
        table.remove(bob);
        assert!(is_empty(&table));
    }

    #[test]
    fn the_newest_listener_has_the_line_and_the_old_one_takes_it_not_away() {
        let mut table = small();
        let [old, new, caller] = [(); 3].map(|()| table.admit().unwrap());
        open(&mut table, old, [1]);
        table
            .join(caller, Channel(1), &JoinToken([1; 16]))
            .unwrap()
            .unwrap();
        open(&mut table, new, [1]);
        assert_eq!(table.remove(old).len(), 1);
        let joined = table.join(caller, Channel(3), &JoinToken([1; 16]));
        assert_eq!(joined, Ok(Ok((new, Channel(2)))));
    }

    #[test]
    fn everything_is_bounded() {
        let mut table = small();
        let ids = [(); 4].map(|()| table.admit().unwrap());
        assert_eq!(table.admit(), None);
        let [a, b, c, d] = ids;
        assert_eq!(open(&mut table, a, 1..=9), 3, "lines of one session");
        assert_eq!(open(&mut table, b, 11..=19), 2, "lines of all");
        let call = |table: &mut Table, id, channel, line| {
            table.join(id, Channel(channel), &JoinToken([line; 16]))
        };
        assert!(call(&mut table, c, 1, 1).unwrap().is_ok());
        assert!(call(&mut table, c, 3, 1).unwrap().is_ok());
        assert_eq!(
            call(&mut table, d, 1, 1),
            Ok(Err(JoinOutcome::Full)),
            "of one line"
        );
        assert!(call(&mut table, d, 1, 2).unwrap().is_ok());
        assert_eq!(
            call(&mut table, d, 3, 3),
            Ok(Err(JoinOutcome::Full)),
            "of all"
        );
        for id in ids {
            table.remove(id);
        }
        assert!(is_empty(&table));
    }

    #[test]
    fn what_is_out_of_place_is_told_from_what_is_not_there() {
        let mut table = small();
        let [a, b] = [(); 2].map(|()| table.admit().unwrap());
        open(&mut table, a, [1]);
        let token = JoinToken([1; 16]);
        assert_eq!(table.join(b, Channel(2), &token), Err(Broken), "even");
        assert_eq!(
            table.join(b, Channel(1), &JoinToken([9; 16])),
            Ok(Err(JoinOutcome::NoLine))
        );
        assert!(table.join(b, Channel(1), &token).unwrap().is_ok());
        assert_eq!(table.join(b, Channel(1), &token), Err(Broken), "twice");
        assert_eq!(
            table.join(a, Channel(1), &token),
            Ok(Err(JoinOutcome::Full)),
            "itself"
        );
        // Only who listens can close.
        table.close(b, &[token]);
        assert!(table.join(b, Channel(3), &token).unwrap().is_ok());
        table.close(a, &[token]);
        assert_eq!(
            table.join(b, Channel(5), &token),
            Ok(Err(JoinOutcome::NoLine))
        );
        assert_eq!(table.splices(), 2);
    }
}
