//! Listeners and the callers connected to them. No IO; nothing is kept of sessions and channels
//! that have ended.

use crate::RelayLimits;
use m2_crypto::line::JoinToken;
use m2_limits::prefix::Prefix;
use m2_limits::shares::{Claim, FairShares, WhenEven};
use m2_net::wire::line::{Channel, JoinOutcome};
use std::collections::{HashMap, HashSet};

/// The number of a party's session, unique since the relay started.
pub(super) type PartyId = u64;

/// The party broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProtocolViolation;

/// A channel that has ended: its party must be notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) party: PartyId,
    pub(super) channel: Channel,
}

/// The sessions and channels that others lose when a party takes its share of a full table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Parties whose sessions end.
    pub(super) parties: Vec<PartyId>,
    /// Channels that have ended: both ends of evicted channels, and the other ends of the channels
    /// of evicted parties.
    pub(super) channels: Vec<Ended>,
}

/// The lines and channels of all parties. Sessions, lines and callers are shared out among source
/// prefixes (`docs/spec/line.md#shares`).
#[derive(Debug)]
pub(super) struct Table {
    max_lines_per_session: usize,
    max_joins: usize,
    parties: HashMap<PartyId, PartyState>,
    lines: HashMap<JoinToken, OpenLine>,
    sessions: FairShares<PartyId>,
    /// Open lines, by listener.
    open: FairShares<PartyId>,
    /// Callers, by party.
    splices: FairShares<PartyId>,
    next_id: PartyId,
}

#[derive(Debug)]
struct PartyState {
    prefix: Prefix,
    lines: HashSet<JoinToken>,
    channels: HashMap<Channel, Splice>,
    /// The last number assigned by the relay. These are even; 0 is never assigned.
    last_channel: u32,
}

#[derive(Debug)]
struct OpenLine {
    listener: PartyId,
    /// Callers on the line, by party and channel.
    joins: FairShares<(PartyId, Channel)>,
}

/// The other end of a channel.
#[derive(Debug, Clone, Copy)]
struct Splice {
    party: PartyId,
    channel: Channel,
    /// The line that the caller joined, and its listener at that time.
    line: JoinToken,
    listener: PartyId,
}

/// The result of a join: the listener, its channel, and the losses of others.
pub(super) type Joined = (PartyId, Channel, Lost);

impl Table {
    pub(super) fn new(limits: &RelayLimits) -> Self {
        Self {
            max_lines_per_session: limits.lines_per_session,
            max_joins: limits.joins_per_line,
            parties: HashMap::new(),
            lines: HashMap::new(),
            sessions: FairShares::new(limits.sessions, WhenEven::Replace),
            open: FairShares::new(limits.lines, WhenEven::Replace),
            splices: FairShares::new(limits.splices, WhenEven::Refuse),
            next_id: 1,
        }
    }

    /// Admits a new party and returns its number, unless its prefix holds its share of all
    /// sessions.
    pub(super) fn admit(&mut self, prefix: Prefix) -> Option<(PartyId, Lost)> {
        let (id, mut lost) = (self.next_id, Lost::default());
        loop {
            match self.sessions.claim(id, prefix) {
                Claim::Granted => break,
                Claim::TakeFrom(other) => self.end(other, &mut lost),
                Claim::Refused => return None,
            }
        }
        self.next_id += 1;
        let party = PartyState {
            prefix,
            lines: HashSet::new(),
            channels: HashMap::new(),
            last_channel: 0,
        };
        self.parties.insert(id, party);
        Some((id, lost))
    }

    /// Opens lines while there is room. Returns how many of them are open, and the losses
    /// of others. A party that knows a line's secret takes the line over from any other session, which
    /// may be dead.
    pub(super) fn open(
        &mut self,
        id: PartyId,
        tokens: impl Iterator<Item = JoinToken>,
    ) -> (u32, Lost) {
        let (mut count, mut lost) = (0, Lost::default());
        for token in tokens {
            if !self.open_one(id, token, &mut lost) {
                break;
            }
            count += 1;
        }
        (count, lost)
    }

    fn open_one(&mut self, id: PartyId, token: JoinToken, lost: &mut Lost) -> bool {
        let before = self.lines.get(&token).map(|line| line.listener);
        if before == Some(id) {
            return true;
        }
        let Some(party) = self.parties.get(&id) else {
            return false;
        };
        if party.lines.len() >= self.max_lines_per_session {
            return false;
        }
        let prefix = party.prefix;
        if let Some(before) = before {
            self.close(before, &[token]);
        }
        loop {
            match self.open.claim(id, prefix) {
                Claim::Granted => break,
                Claim::TakeFrom(other) => self.end(other, lost),
                Claim::Refused => return false,
            }
        }
        if let Some(party) = self.parties.get_mut(&id) {
            party.lines.insert(token);
        }
        let line = OpenLine {
            listener: id,
            joins: FairShares::new(self.max_joins, WhenEven::Refuse),
        };
        self.lines.insert(token, line);
        true
    }

    /// Evicts a party, because others are due its share.
    fn end(&mut self, id: PartyId, lost: &mut Lost) {
        let channels = self.remove(id);
        lost.channels.extend(channels);
        lost.parties.push(id);
    }

    /// Closes lines of the party. Channels that were joined over them continue.
    pub(super) fn close(&mut self, id: PartyId, tokens: &[JoinToken]) {
        let Some(party) = self.parties.get_mut(&id) else {
            return;
        };
        for token in tokens {
            if party.lines.remove(token) {
                self.lines.remove(token);
                self.open.release(id);
            }
        }
    }

    /// Joins a caller to a line.
    pub(super) fn join(
        &mut self,
        id: PartyId,
        channel: Channel,
        token: &JoinToken,
    ) -> Result<Result<Joined, JoinOutcome>, ProtocolViolation> {
        let caller = self.parties.get(&id).ok_or(ProtocolViolation)?;
        if !channel.is_of_party() || caller.channels.contains_key(&channel) {
            return Err(ProtocolViolation);
        }
        let (prefix, channels) = (caller.prefix, caller.channels.len());
        let Some(listener) = self.lines.get(token).map(|line| line.listener) else {
            return Ok(Err(JoinOutcome::NoLine));
        };
        // A party that joined its own line would hold both ends of the channel.
        if channels >= self.max_lines_per_session || listener == id {
            return Ok(Err(JoinOutcome::Full));
        }
        let mut lost = Lost::default();
        if !self.claim_join((id, channel), prefix, token, &mut lost) {
            return Ok(Err(JoinOutcome::Full));
        }
        let Some(theirs) = self.parties.get_mut(&listener).and_then(next_channel) else {
            self.give_up_join((id, channel), token);
            return Ok(Err(JoinOutcome::Full));
        };
        self.connect((id, channel), (listener, theirs), *token, listener);
        self.connect((listener, theirs), (id, channel), *token, listener);
        // Marks both sessions as used: idle sessions are evicted first.
        self.sessions.touch(id);
        self.sessions.touch(listener);
        self.open.touch(listener);
        Ok(Ok((listener, theirs, lost)))
    }

    /// Claims room for a caller on the line and among all callers.
    fn claim_join(
        &mut self,
        caller: (PartyId, Channel),
        prefix: Prefix,
        token: &JoinToken,
        lost: &mut Lost,
    ) -> bool {
        loop {
            let Some(line) = self.lines.get_mut(token) else {
                return false;
            };
            match line.joins.claim(caller, prefix) {
                Claim::Granted => break,
                Claim::TakeFrom((party, channel)) => self.cut(party, channel, lost),
                Claim::Refused => return false,
            }
        }
        loop {
            match self.splices.claim(caller.0, prefix) {
                Claim::Granted => return true,
                Claim::TakeFrom(other) => match self.call_of(other) {
                    Some(channel) => self.cut(other, channel, lost),
                    None => break,
                },
                Claim::Refused => break,
            }
        }
        if let Some(line) = self.lines.get_mut(token) {
            line.joins.remove(caller);
        }
        false
    }

    fn give_up_join(&mut self, caller: (PartyId, Channel), token: &JoinToken) {
        self.splices.release(caller.0);
        if let Some(line) = self.lines.get_mut(token) {
            line.joins.remove(caller);
        }
    }

    /// Returns the caller's oldest channel: parties number their channels in ascending order.
    fn call_of(&self, id: PartyId) -> Option<Channel> {
        let channels = self.parties.get(&id)?.channels.keys();
        channels
            .filter(|channel| channel.is_of_party())
            .min()
            .copied()
    }

    /// Evicts a channel to make room for others. Both ends must be notified.
    fn cut(&mut self, party: PartyId, channel: Channel, lost: &mut Lost) {
        let other = self.leave(party, channel);
        lost.channels.push(Ended { party, channel });
        lost.channels.extend(other);
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
        let caller = match channel.is_of_party() {
            true => (id, channel),
            false => (splice.party, splice.channel),
        };
        self.splices.release(caller.0);
        if let Some(line) = self.lines.get_mut(&splice.line)
            && line.listener == splice.listener
        {
            line.joins.remove(caller);
        }
        Some(Ended {
            party: splice.party,
            channel: splice.channel,
        })
    }

    /// Removes a party. Returns the other ends of its channels.
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
        self.sessions.remove(id);
        self.open.remove(id);
        ended
    }

    /// Returns whether the party has lines or channels.
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
        self.splices.total()
    }
}

/// Returns the next free even number.
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
mod tests;
