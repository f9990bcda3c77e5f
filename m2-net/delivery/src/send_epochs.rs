//! The epoch that seals: when a new one opens (docs/spec/delivery.md#epochs).

use super::context::Context;
use super::error::SealFailed;
use super::id::{MessageId, Time};
use super::limits::Limits;
use super::output::{SavedPlace, Write};
use bytes::Bytes;
use m2_crypto::envelope::{EpochHeader, SESSION_NAME_BYTES, SendEpoch, grant_hash};

/// How far ahead of the local clock an epoch's creation time may be, in seconds.
const AHEAD_S: u64 = 300;

/// The local incarnation, and the epoch that seals in the current session. The epoch exists in memory
/// only and ends with the session.
pub(super) struct SendEpochs {
    place: SavedPlace,
    place_dirty: bool,
    current: Option<Sealing>,
    /// When a refusal last made this side open an epoch.
    forced: Option<Time>,
}

struct Sealing {
    chain: SendEpoch,
    session: [u8; SESSION_NAME_BYTES],
    opened: Time,
    refused: bool,
}

impl Sealing {
    /// Returns whether the epoch seals no further message: it is too old, has sealed as many messages as
    /// an epoch may, or was dated by a clock that was ahead.
    fn is_spent(&self, now: Time, limits: &Limits) -> bool {
        now.since(self.opened) >= limits.epoch_age
            || self.chain.next_index() >= limits.epoch_messages
            || self.chain.created_s() > now.seconds().saturating_add(AHEAD_S)
    }
}

/// A sealed message, with what must accompany it.
pub(super) struct SealedMessage {
    /// The session in which its epoch was opened.
    pub(super) session: [u8; SESSION_NAME_BYTES],
    /// The number of its epoch.
    pub(super) epoch: u64,
    /// The grant, until the epoch is confirmed.
    pub(super) grant: Option<Bytes>,
    /// The sealed bytes.
    pub(super) sealed: Bytes,
}

impl SendEpochs {
    pub(super) const fn new(place: SavedPlace) -> Self {
        Self {
            place,
            place_dirty: false,
            current: None,
            forced: None,
        }
    }

    /// Returns the local side of the conversation.
    pub(super) const fn place(&self) -> &SavedPlace {
        &self.place
    }

    /// Begins the first incarnation if there is none.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>) {
        if self.place.incarnation == 0 {
            self.renew(cx);
        }
    }

    /// Takes a new incarnation.
    ///
    /// Grants are dated in seconds. The incarnation begins in a later second than its predecessor, and than
    /// every known grant. So a grant of another incarnation that is not older was signed by a daemon that
    /// runs from a copy of the store.
    pub(super) fn renew(&mut self, cx: &mut Context<'_>) {
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
        self.close();
    }

    /// Records the time of a renewal caused by a place that did not fit.
    pub(super) const fn note_renewed(&mut self, now: Time) {
        self.place.renewed = now;
        self.place_dirty = true;
    }

    /// Ends the epoch, because its session is not the current one any more.
    pub(super) fn close(&mut self) {
        self.current = None;
    }

    /// Makes sure that an epoch can seal now, and opens one if it is due. Returns false if that must wait:
    /// refused epochs follow each other too soon ([`next_opening`](Self::next_opening)), or no session is
    /// there to open it in.
    pub(super) fn acquire(
        &mut self,
        cx: &mut Context<'_>,
        limits: &Limits,
    ) -> Result<bool, SealFailed> {
        match &self.current {
            Some(current) if current.refused => {
                if self.next_opening(limits).is_some_and(|at| cx.now < at) {
                    return Ok(false);
                }
                self.forced = Some(cx.now);
            }
            Some(current) if !current.is_spent(cx.now, limits) => return Ok(true),
            _ => {}
        }
        self.open(cx)
    }

    fn open(&mut self, cx: &mut Context<'_>) -> Result<bool, SealFailed> {
        self.begin(cx);
        let Some(secret) = cx.session.as_deref_mut() else {
            return Ok(false);
        };
        let (session, share) = (*secret.session(), secret.next_share());
        let header = EpochHeader {
            sender: cx.own_id,
            receiver: cx.peer_id,
            incarnation: self.place.incarnation,
            epoch: self.place.epoch.saturating_add(1),
            created_s: self.creation_s(cx.now),
        };
        let chain =
            SendEpoch::open(cx.rng, cx.own, cx.peer, header, &share).map_err(SealFailed::Grant)?;
        self.place.epoch = header.epoch;
        self.place.grant_hash = grant_hash(chain.grant());
        self.place.signed = self.place.signed.max(header.created_s);
        self.place_dirty = true;
        self.current = Some(Sealing {
            chain,
            session,
            opened: cx.now,
            refused: false,
        });
        Ok(true)
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

    /// Returns whether the refusal of an earlier epoch may make this side seal its messages again.
    pub(super) fn may_seal_again(&self, now: Time, limits: &Limits) -> bool {
        self.next_opening(limits).is_none_or(|at| now >= at)
    }

    /// Records a refusal that makes this side seal messages again. That of the current epoch counts when
    /// its successor opens.
    pub(super) const fn note_refusal(&mut self, now: Time, is_current: bool) {
        if !is_current {
            self.forced = Some(now);
        }
    }

    /// Returns when a refusal may open an epoch again.
    pub(super) fn next_opening(&self, limits: &Limits) -> Option<Time> {
        self.forced.map(|at| at.plus(limits.refusal_interval))
    }

    /// Seals under the epoch that [`acquire`](Self::acquire) made sure of.
    pub(super) fn seal(
        &mut self,
        id: &MessageId,
        payload: &[u8],
    ) -> Result<SealedMessage, SealFailed> {
        let spent = SealFailed::Message(m2_crypto::envelope::SealError::EpochSpent);
        let current = self.current.as_mut().ok_or(spent)?;
        let sealed = current.chain.seal(&id.0, payload);
        let grant = current.chain.grant();
        Ok(SealedMessage {
            session: current.session,
            epoch: current.chain.epoch(),
            grant: (!grant.is_empty()).then(|| Bytes::copy_from_slice(grant)),
            sealed: sealed.map_err(SealFailed::Message)?.into(),
        })
    }

    /// Records that a message of the epoch was acknowledged: its grant is no longer sent along.
    pub(super) fn confirm(&mut self, epoch: u64) {
        if let Some(current) = self.current.as_mut().filter(|c| c.chain.epoch() == epoch) {
            current.chain.confirm();
        }
    }

    /// Marks the epoch as refused by the peer. Returns false if it does not seal any more, or was refused
    /// before.
    pub(super) fn refuse(&mut self, epoch: u64) -> bool {
        let current = self.current.as_mut();
        current
            .filter(|current| current.chain.epoch() == epoch)
            .is_some_and(|current| !std::mem::replace(&mut current.refused, true))
    }

    /// Returns a changed row and marks it as saved.
    pub(super) fn take_dirty(&mut self) -> Option<Write> {
        std::mem::take(&mut self.place_dirty).then_some(Write::Place(self.place))
    }

    /// Returns whether [`take_dirty`](Self::take_dirty) has a row to return.
    pub(super) const fn is_dirty(&self) -> bool {
        self.place_dirty
    }
}
