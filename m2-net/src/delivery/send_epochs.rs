//! The epochs that seal: when a new one opens, which of the old are still needed (spec §5).

use super::context::Context;
use super::error::SealFailed;
use super::id::{MessageId, Time};
use super::limits::Limits;
use super::output::{SavedPlace, SavedSendEpoch, Write};
use super::queue::Output;
use bytes::Bytes;
use m2_crypto::envelope::{EpochHeader, Grant, MAX_MESSAGES, SendEpoch, grant_hash};
use std::collections::BTreeMap;

/// How far ahead of the present clock an epoch may have been made, in seconds.
const AHEAD_S: u64 = 300;

/// The newest epoch seals, if this machine opened it; older ones are kept for the grants of
/// messages under way.
pub(super) struct SendEpochs {
    place: SavedPlace,
    place_dirty: bool,
    epochs: BTreeMap<u64, Sealing>,
    /// When a refusal last made us open an epoch.
    forced: Option<Time>,
}

struct Sealing {
    /// The chain. Absent if the epoch was read from the store: then it seals nothing more, as
    /// another life of the daemon may have used its next position.
    chain: Option<SendEpoch>,
    created_s: u64,
    /// The grant as it rides along; empty once confirmed.
    grant: Bytes,
    /// Messages in the outbox that are sealed under it.
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

    /// An epoch as it was stored; None if its grant is no grant.
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

    /// The receiver accepts it, as far as we know: it has not said otherwise, and it has the
    /// grant or would still take it.
    fn usable(&self, now: Time, limits: &Limits) -> bool {
        let is_young = self
            .age_s(now)
            .is_some_and(|age| age < limits.grant_offer / 1_000);
        !self.refused && (self.grant.is_empty() || is_young)
    }

    /// It seals no further message (spec §5): it is 24 hours old, has sealed 10,000 messages, or
    /// was opened before the daemon started.
    fn spent(&self, now: Time, limits: &Limits) -> bool {
        let next = self.chain.as_ref().map(SendEpoch::next_index);
        self.age_s(now)
            .is_none_or(|age| age >= limits.epoch_age / 1_000)
            || next.is_none_or(|next| next >= limits.epoch_messages)
            || !self.has_room()
    }

    /// Its age in seconds. None if it was made by a clock that was ahead: receivers may refuse its
    /// grant, and its age would not end.
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
    /// `in_use` are the epochs of the outbox's messages, one entry a message.
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
            // No number is used twice, or bytes of the earlier epoch would pass for the later's.
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

    /// The own side of the conversation.
    pub(super) const fn place(&self) -> &SavedPlace {
        &self.place
    }

    /// Sees to it that there is an incarnation.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>, out: &mut Output) {
        if self.place.incarnation == 0 {
            self.renew(cx, out);
        }
    }

    /// Takes a new incarnation. Nothing that was sealed before is good any more.
    pub(super) fn renew(&mut self, cx: &mut Context<'_>, out: &mut Output) {
        let signed = Time(self.place.signed.saturating_mul(1_000));
        self.place = SavedPlace {
            incarnation: cx.rng.next_u64().max(1),
            // Every grant that is known belongs to the time before.
            begun: cx.now.max(signed).max(self.place.begun),
            grant_hash: [0; 32],
            ..self.place
        };
        self.place_dirty = true;
        for (epoch, _) in std::mem::take(&mut self.epochs) {
            out.write(Write::SendEpochRemove { epoch });
        }
    }

    /// Notes that a place of the peer's did not fit.
    pub(super) const fn note_renewed(&mut self, now: Time) {
        self.place.renewed = now;
        self.place_dirty = true;
    }

    /// The epoch to seal under now, opening one if it is due. `None` if that must wait, because
    /// the peer refused the last one too soon after the one before: see
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

    /// As [`acquire`](Self::acquire), for a caller that can't wait: it gets the refused epoch,
    /// and its message is sealed again later.
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
            created_s: cx.now.seconds(),
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

    /// When a refusal may open an epoch again.
    pub(super) fn next_opening(&self, limits: &Limits) -> Option<Time> {
        self.forced.map(|at| at.plus(limits.refusal_interval))
    }

    /// Seals under `number`, which [`acquire`](Self::acquire) gave.
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

    /// A message that was sealed under `number` is gone or sealed under another.
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

    /// A message of the epoch was acknowledged: its grant need not ride along any more.
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

    /// The peer can't open the epoch. False if that is no news.
    pub(super) fn refuse(&mut self, number: u64) -> bool {
        match self.epochs.get_mut(&number) {
            Some(sealing) if !sealing.refused => {
                sealing.refused = true;
                true
            }
            _ => false,
        }
    }

    /// Whether the epoch belongs to the present incarnation.
    pub(super) fn knows(&self, number: u64) -> bool {
        self.epochs.contains_key(&number)
    }

    /// Whether messages sealed under the epoch can be sent as they are.
    pub(super) fn usable(&self, number: u64, now: Time, limits: &Limits) -> bool {
        self.epochs
            .get(&number)
            .is_some_and(|sealing| sealing.usable(now, limits))
    }

    /// The grant to send along, until the epoch is confirmed.
    pub(super) fn grant(&self, number: u64) -> Option<Bytes> {
        let grant = &self.epochs.get(&number)?.grant;
        (!grant.is_empty()).then(|| grant.clone())
    }

    /// A changed epoch's row, once.
    pub(super) fn take_dirty(&mut self) -> Option<Write> {
        if std::mem::take(&mut self.place_dirty) {
            return Some(Write::Place(self.place));
        }
        // Only the newest and lately confirmed ones change: look from the newest back.
        let (number, sealing) = self.epochs.iter_mut().rev().find(|(_, s)| s.dirty)?;
        sealing.dirty = false;
        Some(Write::SendEpoch(SavedSendEpoch {
            epoch: *number,
            grant: sealing.grant.clone(),
        }))
    }

    /// Whether [`take_dirty`](Self::take_dirty) has something.
    pub(super) fn is_dirty(&self) -> bool {
        self.place_dirty || self.epochs.values().any(|sealing| sealing.dirty)
    }
}
