//! The epochs that seal: when a new one opens, which of the old are still needed (spec §5).

use super::context::Context;
use super::error::SealFailed;
use super::id::{MessageId, Time};
use super::limits::Limits;
use super::output::{SavedSendEpoch, Write};
use super::queue::Output;
use bytes::Bytes;
use m2_crypto::envelope::{EpochHeader, MAX_MESSAGES, SendEpoch};
use std::collections::BTreeMap;

/// How far ahead of the present clock an epoch may have been made, in seconds.
const AHEAD_S: u64 = 300;

/// The newest epoch seals; older ones are kept for the grants of messages under way.
pub(super) struct SendEpochs {
    epochs: BTreeMap<u64, Sealing>,
    /// The highest number ever used in this incarnation.
    newest: u64,
    /// When a refusal last made us open an epoch.
    forced: Option<Time>,
}

struct Sealing {
    epoch: SendEpoch,
    /// The grant as it rides along; empty once confirmed.
    grant: Bytes,
    /// Messages in the outbox that are sealed under it.
    pending: usize,
    refused: bool,
    dirty: bool,
}

impl Sealing {
    fn new(epoch: SendEpoch, dirty: bool) -> Self {
        Self {
            grant: Bytes::copy_from_slice(epoch.grant()),
            epoch,
            pending: 0,
            refused: false,
            dirty,
        }
    }

    /// The receiver accepts it, as far as we know: it has not said otherwise, and it has the
    /// grant or would still take it.
    fn usable(&self, now: Time, limits: &Limits) -> bool {
        let is_young = self
            .age_s(now)
            .is_some_and(|age| age < limits.grant_offer / 1_000);
        !self.refused && (self.grant.is_empty() || is_young)
    }

    /// spec §5: 24 hours, 10,000 messages.
    fn spent(&self, now: Time, limits: &Limits) -> bool {
        self.age_s(now)
            .is_none_or(|age| age >= limits.epoch_age / 1_000)
            || self.epoch.next_index() >= limits.epoch_messages
            || !self.has_room()
    }

    /// Its age in seconds. None if it was made by a clock that was ahead: receivers may refuse its
    /// grant, and its age would not end.
    fn age_s(&self, now: Time) -> Option<u64> {
        let created = self.epoch.created_s();
        (created <= now.seconds().saturating_add(AHEAD_S))
            .then(|| now.seconds().saturating_sub(created))
    }

    fn has_room(&self) -> bool {
        self.epoch.next_index() < MAX_MESSAGES
    }
}

impl SendEpochs {
    /// `in_use` are the epochs of the outbox's messages, one entry a message.
    pub(super) fn new(saved: Vec<SavedSendEpoch>, in_use: impl Iterator<Item = u64>) -> Self {
        let newest = saved.iter().map(|row| row.epoch).max().unwrap_or(0);
        let mut epochs: BTreeMap<u64, Sealing> = saved
            .iter()
            .filter_map(|row| Some((row.epoch, SendEpoch::from_bytes(&row.bytes).ok()?)))
            .map(|(number, epoch)| (number, Sealing::new(epoch, false)))
            .collect();
        for number in in_use {
            if let Some(sealing) = epochs.get_mut(&number) {
                sealing.pending += 1;
            }
        }
        Self {
            epochs,
            newest,
            forced: None,
        }
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
        let Some(current) = self.epochs.get(&self.newest) else {
            return self.open(cx, out).map(Some);
        };
        if current.usable(cx.now, limits) && !current.spent(cx.now, limits) {
            return Ok(Some(self.newest));
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
            None if self.current_has_room() => Ok(self.newest),
            None => self.open(cx, out),
        }
    }

    fn current_has_room(&self) -> bool {
        self.epochs.get(&self.newest).is_some_and(Sealing::has_room)
    }

    fn open(&mut self, cx: &mut Context<'_>, out: &mut Output) -> Result<u64, SealFailed> {
        let number = self.newest.saturating_add(1);
        let header = EpochHeader {
            sender: cx.own_id,
            receiver: cx.peer_id,
            incarnation: cx.incarnation,
            epoch: number,
            created_s: cx.now.seconds(),
        };
        let epoch = SendEpoch::open(cx.rng, cx.own, cx.peer, header).map_err(SealFailed::Grant)?;
        let before = std::mem::replace(&mut self.newest, number);
        self.epochs.insert(number, Sealing::new(epoch, true));
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
        let sealed = sealing
            .epoch
            .seal(&id.0, payload)
            .map_err(SealFailed::Message)?;
        sealing.dirty = true;
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
        if unused && number != self.newest {
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
            sealing.epoch.confirm();
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
        // Only the newest and lately confirmed ones change: look from the newest back.
        let (number, sealing) = self.epochs.iter_mut().rev().find(|(_, s)| s.dirty)?;
        sealing.dirty = false;
        Some(Write::SendEpoch(SavedSendEpoch {
            epoch: *number,
            bytes: sealing.epoch.to_bytes(),
        }))
    }

    /// Whether [`take_dirty`](Self::take_dirty) has something.
    pub(super) fn is_dirty(&self) -> bool {
        self.epochs.values().any(|sealing| sealing.dirty)
    }
}
