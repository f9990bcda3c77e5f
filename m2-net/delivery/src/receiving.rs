//! The receiving half: from a sealed message to a committed one, in order and exactly once
//! (docs/spec/delivery.md#holding-and-gaps).

mod following;

use super::context::Context;
use super::error::Misdeed;
use super::id::{Ack, ContentHash, MessageId, Time};
use super::limits::Limits;
use super::notice::{Notice, taking_rate};
use super::output::{Action, Saved, SavedHeld, Write};
use super::payload::{Body, Payload};
use super::peer_incarnation::{Held, Place};
use super::plaintext::Plaintext;
use super::receive_epochs::{AcceptedGrant, ReceiveEpochs};
use super::recent::Recent;
use super::tools::Tools;
use bytes::Bytes;
use m2_crypto::envelope::{EpochHeader, SESSION_NAME_BYTES, SealedHeader};
use m2_limits::token_bucket::TokenBucket;
use std::collections::BTreeSet;
use std::ops::Range;
use zeroize::Zeroizing;

/// The number of remembered ids of messages that were taken and whose commit may be under way.
const RECENT: usize = 2_048;
/// The number of remembered ids of messages that opened and were refused.
const REFUSED: usize = 256;
/// The number of epoch refusals within one interval, over all epochs.
const REFUSALS: usize = 8;

/// A message of the peer that was opened outside the machine, because it came in a letter.
#[derive(Debug)]
pub struct OpenedMessage {
    /// The sender's incarnation.
    pub incarnation: u64,
    /// The message id.
    pub id: MessageId,
    /// The oldest place that the sender still offered when it sealed the letter.
    pub oldest: u64,
    /// The encoded payload.
    pub plaintext: Zeroizing<Vec<u8>>,
}

/// The state of the receiving half.
pub(super) struct Receiving {
    epochs: ReceiveEpochs,
    /// The peer's incarnation whose order is kept; 0 if no incarnation is followed.
    following: u64,
    /// Set once lost messages were reported in this session.
    reported: bool,
    /// Held places by time of arrival, over all incarnations.
    waiting: BTreeSet<(Time, u64, u64)>,
    recent: Recent<MessageId, (u64, ContentHash)>,
    refused_ids: Recent<MessageId, Misdeed>,
    refusals: Recent<(u64, u64), Time>,
    notices: TokenBucket,
}

impl Receiving {
    pub(super) fn new(saved: &mut Saved) -> Self {
        let mut epochs = ReceiveEpochs::new(
            std::mem::take(&mut saved.incarnations),
            std::mem::take(&mut saved.peer_grants),
        );
        let mut waiting = BTreeSet::new();
        for row in std::mem::take(&mut saved.held) {
            if let Some(peer) = epochs.incarnation(row.incarnation) {
                peer.restore_held(&row);
                waiting.insert((row.received, row.incarnation, row.sequence));
            }
        }
        Self {
            epochs,
            following: saved.following,
            reported: false,
            waiting,
            recent: Recent::new(RECENT),
            refused_ids: Recent::new(REFUSED),
            refusals: Recent::new(REFUSALS),
            notices: taking_rate(),
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.epochs.close_epochs(|_| true);
    }

    pub(super) fn session_over(&mut self, session: &[u8; SESSION_NAME_BYTES]) {
        self.epochs.close_epochs(|epoch| epoch.session() == session);
    }

    pub(super) fn wants_grant(&mut self, now: Time, limits: &Limits, grant: &EpochHeader) -> bool {
        self.epochs.wants(now, limits, grant)
    }

    pub(super) fn on_envelope(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        accepted: Option<AcceptedGrant>,
        sealed: &[u8],
        own_outbox: &dyn Fn(&MessageId) -> bool,
    ) -> Result<(), Misdeed> {
        let header = SealedHeader::parse(sealed).map_err(|_| Misdeed::Envelope)?;
        if let Some(accepted) = accepted {
            self.epochs.install(cx, tools, accepted)?;
            self.bound_incarnations(tools, header.incarnation);
        }
        let opened = self.epochs.open(cx.now, tools, &header, sealed)?;
        let Some(opened) = opened else {
            return self.on_unopened(cx, tools, &header);
        };
        let id = MessageId(header.message_id);
        let result = parse(opened.plaintext).and_then(|plaintext| match plaintext {
            Plaintext::Message(payload) => {
                self.take(cx, tools, header.incarnation, id, payload, own_outbox)
            }
            Plaintext::Notice(notice) => {
                self.take_notice(cx.now, tools, notice);
                Ok(())
            }
        });
        if let Err(misdeed) = result {
            self.refused_ids.insert(id, misdeed);
        }
        result
    }

    /// Passes a notice on, unless it is of a later version or there are too many.
    fn take_notice(&mut self, now: Time, tools: &mut Tools<'_>, notice: Notice) {
        if notice == Notice::Unknown {
            tools.counters.unknown_notices += 1;
        } else if self.notices.take(1, now.0) {
            tools.out.act(Action::Notice(notice));
        } else {
            tools.counters.dropped_notices += 1;
        }
    }

    /// Acknowledges the message if it was committed from this incarnation before (its key is gone
    /// because it was used). Otherwise refuses the epoch: nothing that can't be decrypted is
    /// acknowledged.
    fn on_unopened(
        &mut self,
        cx: &Context<'_>,
        tools: &mut Tools<'_>,
        header: &SealedHeader,
    ) -> Result<(), Misdeed> {
        let id = MessageId(header.message_id);
        if let Some((incarnation, hash)) = self.known(cx, &id)?
            && incarnation == header.incarnation
        {
            tools.counters.duplicates += 1;
            tools.out.acknowledge(Ack { id, hash });
            return Ok(());
        }
        // Another epoch would not help a message that opened and was refused.
        if let Some(misdeed) = self.refused_ids.get(&id) {
            return Err(*misdeed);
        }
        tools.counters.unopened += 1;
        self.refuse_epoch(cx.now, tools, (header.incarnation, header.epoch));
        Ok(())
    }

    fn refuse_epoch(&mut self, now: Time, tools: &mut Tools<'_>, key: (u64, u64)) {
        let interval = tools.limits.refusal_interval;
        let lately = |at: &Time| now.since(*at) < interval;
        let full = self.refusals.oldest().is_some_and(lately) && self.refusals.is_full();
        if full || self.refusals.get(&key).is_some_and(lately) {
            return;
        }
        self.refusals.remove(&key);
        self.refusals.insert(key, now);
        tools.out.act(Action::RefuseEpoch {
            incarnation: key.0,
            epoch: key.1,
        });
    }

    /// Takes an opened message, from an envelope or a letter.
    fn take(
        &mut self,
        cx: &Context<'_>,
        tools: &mut Tools<'_>,
        incarnation: u64,
        id: MessageId,
        payload: Payload,
        own_outbox: &dyn Fn(&MessageId) -> bool,
    ) -> Result<(), Misdeed> {
        if own_outbox(&id) {
            return Err(Misdeed::IdReused);
        }
        let hash = payload.hash(&id);
        let (hash, payload) = match self.known(cx, &id)? {
            Some((_, committed)) => {
                check_same(&id, &payload, hash, committed)?;
                tools.counters.duplicates += 1;
                (committed, Known::Before(payload.sequence))
            }
            None => (hash, Known::New(payload)),
        };
        let filled = self.place(cx.now, tools, incarnation, id, payload, hash);
        self.recent.insert(id, (filled, hash));
        // A message that fills no place is offered again, and that offer fills it: after an
        // acknowledgement there would be no such offer, and later places would wait for this one.
        if filled != 0 {
            tools.out.acknowledge(Ack { id, hash });
        }
        Ok(())
    }

    /// Returns the committed entry of an id, or the one about to be committed.
    ///
    /// Errors: [`Misdeed::IdReused`] if the id does not belong to a message received from this
    /// peer.
    fn known(
        &self,
        cx: &Context<'_>,
        id: &MessageId,
    ) -> Result<Option<(u64, ContentHash)>, Misdeed> {
        if let Some(recent) = self.recent.get(id) {
            return Ok(Some(*recent));
        }
        match cx.history.committed(id) {
            None => Ok(None),
            Some(known) if known.received && known.peer == cx.peer_id => {
                Ok(Some((known.incarnation, known.hash)))
            }
            Some(_) => Err(Misdeed::IdReused),
        }
    }

    /// Puts the message in its place: delivers it if it is next in order, and holds it otherwise.
    /// Returns the incarnation in which the message fills its place; 0 if it fills no place.
    fn place(
        &mut self,
        now: Time,
        tools: &mut Tools<'_>,
        incarnation: u64,
        id: MessageId,
        known: Known,
        hash: ContentHash,
    ) -> u64 {
        let Some(peer) = self.epochs.incarnation(incarnation) else {
            return 0;
        };
        let sequence = known.sequence();
        let followed = incarnation == self.following;
        match peer.place(sequence) {
            Place::Next => {
                known.deliver(tools, id, incarnation, hash, true);
                peer.advance();
                let waiting = &mut self.waiting;
                peer.release_run(|held| {
                    waiting.remove(&(held.received, incarnation, held.sequence));
                    release(tools, incarnation, &held);
                });
            }
            Place::Taken => known.deliver(tools, id, incarnation, hash, false),
            // The peer has moved on to another incarnation, or will state that it continues in this
            // one. Then it offers the message again, and that offer fills the place.
            Place::Ahead if !followed => {
                known.deliver(tools, id, 0, hash, false);
                return 0;
            }
            Place::Ahead => {
                let held = SavedHeld {
                    id,
                    incarnation,
                    sequence,
                    received: now,
                    show: known.shows(),
                };
                peer.hold(&held);
                self.waiting.insert((now, incarnation, sequence));
                let payload = known.into_payload();
                tools.out.write(Write::Hold {
                    held,
                    payload,
                    hash,
                });
                self.make_room(tools);
            }
        }
        incarnation
    }

    fn make_room(&mut self, tools: &mut Tools<'_>) {
        while self.waiting.len() > tools.limits.max_held {
            let Some(oldest) = self.waiting.pop_first() else {
                return;
            };
            tools.counters.released_early += 1;
            self.release_until(tools, oldest.1, oldest.2);
        }
    }

    /// Releases the places up to this one and reports the gaps before them.
    fn release_until(&mut self, tools: &mut Tools<'_>, incarnation: u64, sequence: u64) {
        let Some(peer) = self.epochs.incarnation(incarnation) else {
            return;
        };
        while let Some(gap) = peer.skip_gap(sequence) {
            if gap.missing > 0 {
                tools.out.write(Write::Gap {
                    incarnation,
                    first: gap.first,
                    missing: gap.missing,
                });
            }
            let waiting = &mut self.waiting;
            peer.release_run(|held| {
                waiting.remove(&(held.received, incarnation, held.sequence));
                release(tools, incarnation, &held);
            });
        }
    }

    /// Continues at `oldest` in an incarnation, and returns how many places before it are missing.
    fn continue_at(&mut self, tools: &mut Tools<'_>, incarnation: u64, oldest: u64) -> u64 {
        let Some(peer) = self.epochs.incarnation(incarnation) else {
            return 0;
        };
        let waiting = &mut self.waiting;
        peer.continue_at(oldest, |held| {
            waiting.remove(&(held.received, incarnation, held.sequence));
            release(tools, incarnation, &held);
        })
    }

    /// Records places that the sender will not fill any more, and returns how many of them are
    /// missing.
    fn settle(&mut self, tools: &mut Tools<'_>, incarnation: u64, settled: &[Range<u64>]) -> u64 {
        let Some(peer) = self.epochs.incarnation(incarnation) else {
            return 0;
        };
        let waiting = &mut self.waiting;
        peer.settle(settled, |held| {
            waiting.remove(&(held.received, incarnation, held.sequence));
            release(tools, incarnation, &held);
        })
    }

    /// Releases all held messages of an incarnation.
    fn release_all(&mut self, tools: &mut Tools<'_>, incarnation: u64) {
        let Some(peer) = self.epochs.incarnation(incarnation) else {
            return;
        };
        let waiting = &mut self.waiting;
        peer.release_all(|held| {
            waiting.remove(&(held.received, incarnation, held.sequence));
            release(tools, incarnation, &held);
        });
    }

    pub(super) fn on_timeout(&mut self, now: Time, tools: &mut Tools<'_>) {
        while let Some((received, incarnation, sequence)) = self.waiting.first().copied() {
            if received.plus(tools.limits.hold) > now {
                return;
            }
            self.waiting.pop_first();
            self.release_until(tools, incarnation, sequence);
        }
    }

    pub(super) fn next_timeout(&self, limits: &Limits) -> Option<Time> {
        self.waiting
            .first()
            .map(|(received, ..)| received.plus(limits.hold))
    }

    pub(super) fn take_dirty(&mut self) -> Option<Write> {
        self.epochs.take_dirty()
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.epochs.is_dirty()
    }
}

fn parse(mut plaintext: Zeroizing<Vec<u8>>) -> Result<Plaintext, Misdeed> {
    let plaintext = Bytes::from(std::mem::take(&mut *plaintext));
    Plaintext::parse(plaintext).map_err(Misdeed::Payload)
}

/// A message with a new id, or one that is already committed and only fills its place.
enum Known {
    New(Payload),
    Before(u64),
}

impl Known {
    const fn sequence(&self) -> u64 {
        match self {
            Self::New(payload) => payload.sequence,
            Self::Before(sequence) => *sequence,
        }
    }

    fn shows(&self) -> bool {
        matches!(self, Self::New(payload) if payload.body != Body::Skip)
    }

    fn into_payload(self) -> Option<Payload> {
        match self {
            Self::New(payload) => Some(payload),
            Self::Before(_) => None,
        }
    }

    fn deliver(
        self,
        tools: &mut Tools<'_>,
        id: MessageId,
        incarnation: u64,
        hash: ContentHash,
        in_order: bool,
    ) {
        let write = match self {
            Self::Before(_) => return,
            Self::New(payload) if payload.body == Body::Skip => Write::Skip {
                id,
                incarnation,
                sequence: payload.sequence,
                hash,
            },
            Self::New(payload) => Write::Deliver {
                id,
                incarnation,
                payload,
                hash,
                in_order,
            },
        };
        tools.out.write(write);
    }
}

/// Checks a repeated id: it must have the same content, or one of the two must be the SKIP that
/// took the message's place.
fn check_same(
    id: &MessageId,
    payload: &Payload,
    hash: ContentHash,
    committed: ContentHash,
) -> Result<(), Misdeed> {
    if hash == committed || payload.body == Body::Skip || committed == Payload::skip_hash(id) {
        return Ok(());
    }
    Err(Misdeed::IdReused)
}

fn release(tools: &mut Tools<'_>, incarnation: u64, held: &Held) {
    tools.out.write(Write::Release {
        id: held.id,
        incarnation,
        sequence: held.sequence,
        show: held.show,
    });
}
