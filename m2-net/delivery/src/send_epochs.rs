//! The epochs that seal: when a new one opens, and which of the old ones are still needed
//! (docs/spec/delivery.md#epochs).

use super::context::Context;
use super::error::SealFailed;
use super::id::{MessageId, Time};
use super::limits::Limits;
use super::output::{SavedPlace, SavedSendEpoch, Write};
use super::queue::Output;
use bytes::Bytes;
use m2_crypto::envelope::{EpochHeader, Grant, MAX_MESSAGES, SendEpoch, grant_hash};
use std::collections::BTreeMap;

/// How far ahead of the local clock an epoch's creation time may be, in seconds.
const AHEAD_S: u64 = 300;

/// The send epochs of a conversation. The newest one seals, if it was opened since the daemon
/// started; older ones are kept for the grants of messages under way.
pub(super) struct SendEpochs {
    place: SavedPlace,
    place_dirty: bool,
    epochs: BTreeMap<u64, Sealing>,
    /// When a refusal last made this side open an epoch.
    forced: Option<Time>,
}

struct Sealing {
    /// The chain. Absent if the epoch was read from the store: it then seals nothing more, because
    /// an earlier run of the daemon may have used the next position.
    chain: Option<SendEpoch>,
    created_s: u64,
    /// The grant to send with each message; empty once an acknowledgement has confirmed it.
    grant: Bytes,
    /// The number of messages in the outbox that are sealed under it.
    pending: usize,
    refused: bool,
    dirty: bool,
}

impl Sealing {
    fn opened(chain: SendEpoch) -> Self {
        Self {
            created_s: chain.created_s(),
            grant: Bytes::copy_from_slice(chain.grant()),
            chain: Some(chain),
            pending: 0,
            refused: false,
            dirty: false,
        }
    }

    /// Restores an epoch from its row. Returns `None` if the grant does not parse.
    fn read(row: SavedSendEpoch) -> Option<Self> {
        let created_s = match row.grant.is_empty() {
            true => 0,
            false => Grant::parse(&row.grant).ok()?.header().created_s,
        };
        Some(Self {
            chain: None,
            created_s,
            grant: row.grant,
            pending: 0,
            refused: false,
            dirty: false,
        })
    }

    /// Returns whether the receiver is expected to accept the epoch: it has not refused it, and it
    /// has the grant or would still accept it.
    fn usable(&self, now: Time, limits: &Limits) -> bool {
        let is_young = self
            .age_s(now)
            .is_some_and(|age| age < limits.grant_offer / 1_000);
        !self.refused && (self.grant.is_empty() || is_young)
    }

    /// Returns whether the epoch seals no further message: it is 24 hours old, has sealed 10,000
    /// messages, or was opened before the daemon started.
    fn spent(&self, now: Time, limits: &Limits) -> bool {
        let next = self.chain.as_ref().map(SendEpoch::next_index);
        self.age_s(now)
            .is_none_or(|age| age >= limits.epoch_age / 1_000)
            || next.is_none_or(|next| next >= limits.epoch_messages)
            || !self.has_room()
    }

    /// Returns the epoch's age in seconds, or `None` if it was created by a clock that was ahead:
    /// receivers may refuse its grant, and its age would stay too low.
    fn age_s(&self, now: Time) -> Option<u64> {
        let created = self.created_s;
        (created <= now.seconds().saturating_add(AHEAD_S))
            .then(|| now.seconds().saturating_sub(created))
    }

    fn has_room(&self) -> bool {
        self.chain
            .as_ref()
            .is_some_and(|chain| chain.next_index() < MAX_MESSAGES)
    }
}

impl SendEpochs {
    /// Restores the epochs from their rows. `in_use` yields the epoch of every message in the
    /// outbox, one item per message.
    pub(super) fn new(
        mut place: SavedPlace,
        saved: Vec<SavedSendEpoch>,
        in_use: impl Iterator<Item = u64>,
    ) -> Self {
        let mut epochs: BTreeMap<u64, Sealing> = saved
            .into_iter()
            .filter_map(|row| Some((row.epoch, Sealing::read(row)?)))
            .collect();
        let signed = epochs.values().map(|sealing| sealing.created_s).max();
        place.signed = place.signed.max(signed.unwrap_or(0));
        let known = epochs.last_key_value().map_or(0, |(number, _)| *number);
        place.epoch = place.epoch.max(known);
        for number in in_use {
            // An epoch number must never be reused, or stored bytes of the earlier epoch would be
            // taken for the later one's.
            place.epoch = place.epoch.max(number);
            if let Some(sealing) = epochs.get_mut(&number) {
                sealing.pending += 1;
            }
        }
        Self {
            place,
            place_dirty: false,
            epochs,
            forced: None,
        }
    }

    /// Returns the local side of the conversation.
    pub(super) const fn place(&self) -> &SavedPlace {
        &self.place
    }

    /// Begins the first incarnation if there is none.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>, out: &mut Output) {
        if self.place.incarnation == 0 {
            self.renew(cx, out);
        }
    }

    /// Takes a new incarnation. Everything sealed before must be sealed again.
    ///
    /// Grants are dated in seconds. The incarnation begins in a later second than its predecessor, and than
    /// every known grant. So a grant of another incarnation that is not older was signed by a daemon that
    /// runs from a copy of the store.
    pub(super) fn renew(&mut self, cx: &mut Context<'_>, out: &mut Output) {
        let newest_s = self.place.signed.max(self.place.begun.seconds());
        let after = match newest_s {
            0 => Time(0),
            newest_s => Time(newest_s.saturating_add(1).saturating_mul(1_000)),
        };
        self.place = SavedPlace {
            incarnation: cx.rng.next_u64().max(1),
            begun: cx.now.max(after),
            grant_hash: [0; 32],
            ..self.place
        };
        self.place_dirty = true;
        for (epoch, _) in std::mem::take(&mut self.epochs) {
            out.write(Write::SendEpochRemove { epoch });
        }
    }

    /// Records the time of a renewal caused by a place that did not fit.
    pub(super) const fn note_renewed(&mut self, now: Time) {
        self.place.renewed = now;
        self.place_dirty = true;
    }

    /// Returns the epoch to seal under now, opening one if it is due. Returns `None` if that must
    /// wait because refused epochs follow each other too soon: see
    /// [`next_opening`](Self::next_opening).
    pub(super) fn acquire(
        &mut self,
        cx: &mut Context<'_>,
        limits: &Limits,
        out: &mut Output,
    ) -> Result<Option<u64>, SealFailed> {
        let Some(current) = self.epochs.get(&self.place.epoch) else {
            return self.open(cx, out).map(Some);
        };
        if current.usable(cx.now, limits) && !current.spent(cx.now, limits) {
            return Ok(Some(self.place.epoch));
        }
        if current.refused {
            if self.next_opening(limits).is_some_and(|at| cx.now < at) {
                return Ok(None);
            }
            self.forced = Some(cx.now);
        }
        self.open(cx, out).map(Some)
    }

    /// Like [`acquire`](Self::acquire), for a caller that can't wait: instead of `None` it gets the
    /// refused epoch, and its message is sealed again later.
    pub(super) fn acquire_now(
        &mut self,
        cx: &mut Context<'_>,
        limits: &Limits,
        out: &mut Output,
    ) -> Result<u64, SealFailed> {
        match self.acquire(cx, limits, out)? {
            Some(number) => Ok(number),
            None if self.current_has_room() => Ok(self.place.epoch),
            None => self.open(cx, out),
        }
    }

    fn current_has_room(&self) -> bool {
        let current = self.epochs.get(&self.place.epoch);
        current.is_some_and(Sealing::has_room)
    }

    fn open(&mut self, cx: &mut Context<'_>, out: &mut Output) -> Result<u64, SealFailed> {
        self.begin(cx, out);
        let number = self.place.epoch.saturating_add(1);
        let header = EpochHeader {
            sender: cx.own_id,
            receiver: cx.peer_id,
            incarnation: self.place.incarnation,
            epoch: number,
            created_s: self.creation_s(cx.now),
        };
        let epoch = SendEpoch::open(cx.rng, cx.own, cx.peer, header).map_err(SealFailed::Grant)?;
        self.place.grant_hash = grant_hash(epoch.grant());
        self.place.signed = self.place.signed.max(header.created_s);
        self.place_dirty = true;
        let before = std::mem::replace(&mut self.place.epoch, number);
        let sealing = Sealing::opened(epoch);
        out.write(Write::SendEpoch(SavedSendEpoch {
            epoch: number,
            grant: sealing.grant.clone(),
        }));
        self.epochs.insert(number, sealing);
        self.remove_unused(before, out);
        Ok(number)
    }

    /// Returns the creation time of a grant that is signed now: not before its incarnation began, unless that
    /// time was set by a clock that was ahead.
    fn creation_s(&self, now: Time) -> u64 {
        let begun_s = self.place.begun.seconds();
        let is_near = begun_s <= now.seconds().saturating_add(AHEAD_S / 2);
        if is_near {
            now.seconds().max(begun_s)
        } else {
            now.seconds()
        }
    }

    /// Returns when a refusal may open an epoch again.
    pub(super) fn next_opening(&self, limits: &Limits) -> Option<Time> {
        self.forced.map(|at| at.plus(limits.refusal_interval))
    }

    /// Seals under `number`, which [`acquire`](Self::acquire) returned.
    pub(super) fn seal(
        &mut self,
        number: u64,
        id: &MessageId,
        payload: &[u8],
    ) -> Result<Vec<u8>, SealFailed> {
        let spent = SealFailed::Message(m2_crypto::envelope::SealError::EpochSpent);
        let sealing = self.epochs.get_mut(&number).ok_or(spent)?;
        let chain = sealing.chain.as_mut().ok_or(spent)?;
        let sealed = chain.seal(&id.0, payload).map_err(SealFailed::Message)?;
        sealing.pending += 1;
        Ok(sealed)
    }

    /// Records that a message sealed under `number` was removed or sealed under another epoch.
    pub(super) fn release(&mut self, number: u64, out: &mut Output) {
        if let Some(sealing) = self.epochs.get_mut(&number) {
            sealing.pending = sealing.pending.saturating_sub(1);
        }
        self.remove_unused(number, out);
    }

    fn remove_unused(&mut self, number: u64, out: &mut Output) {
        let unused = self.epochs.get(&number).is_some_and(|s| s.pending == 0);
        if unused && number != self.place.epoch {
            self.epochs.remove(&number);
            out.write(Write::SendEpochRemove { epoch: number });
        }
    }

    /// Records that a message of the epoch was acknowledged: its grant is no longer sent along.
    pub(super) fn confirm(&mut self, number: u64) {
        let Some(sealing) = self.epochs.get_mut(&number) else {
            return;
        };
        if !sealing.grant.is_empty() {
            if let Some(chain) = &mut sealing.chain {
                chain.confirm();
            }
            sealing.grant = Bytes::new();
            sealing.dirty = true;
        }
    }

    /// Marks the epoch as refused by the peer. Returns false if it is unknown or was refused
    /// before.
    pub(super) fn refuse(&mut self, number: u64) -> bool {
        match self.epochs.get_mut(&number) {
            Some(sealing) if !sealing.refused => {
                sealing.refused = true;
                true
            }
            _ => false,
        }
    }

    /// Returns whether the epoch belongs to the current incarnation.
    pub(super) fn knows(&self, number: u64) -> bool {
        self.epochs.contains_key(&number)
    }

    /// Returns whether messages sealed under the epoch can be sent as they are.
    pub(super) fn usable(&self, number: u64, now: Time, limits: &Limits) -> bool {
        self.epochs
            .get(&number)
            .is_some_and(|sealing| sealing.usable(now, limits))
    }

    /// Returns the grant to send along, until the epoch is confirmed.
    pub(super) fn grant(&self, number: u64) -> Option<Bytes> {
        let grant = &self.epochs.get(&number)?.grant;
        (!grant.is_empty()).then(|| grant.clone())
    }

    /// Returns a changed row and marks it as saved.
    pub(super) fn take_dirty(&mut self) -> Option<Write> {
        if std::mem::take(&mut self.place_dirty) {
            return Some(Write::Place(self.place));
        }
        // Only the newest and recently confirmed epochs change, so the search starts with the
        // newest.
        let (number, sealing) = self.epochs.iter_mut().rev().find(|(_, s)| s.dirty)?;
        sealing.dirty = false;
        Some(Write::SendEpoch(SavedSendEpoch {
            epoch: *number,
            grant: sealing.grant.clone(),
        }))
    }

    /// Returns whether [`take_dirty`](Self::take_dirty) has a row to return.
    pub(super) fn is_dirty(&self) -> bool {
        self.place_dirty || self.epochs.values().any(|sealing| sealing.dirty)
    }
}
