//! The receiver's end of an epoch.

use super::chain::{ChainKey, MessageSeed};
use super::epoch_secret::{EpochSecret, SESSION_NAME_BYTES};
use super::grant::{EpochHeader, Grant, GrantRefused, OpenedGrant};
use super::sealed::{self, SealedHeader};
use super::{MAX_MESSAGES, MESSAGE_ID_BYTES};
use crate::certificate::Certificate;
use crate::error::OpenFailed;
use crate::identity::Identity;
use crate::peer_id::PeerId;
use rand_core::CryptoRng;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use zeroize::Zeroizing;

/// A message that was opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// The message's id.
    pub message_id: [u8; MESSAGE_ID_BYTES],
    /// The message's index in the epoch, from 0.
    pub index: u32,
    /// The message that the sender sealed.
    pub plaintext: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(..)")
    }
}

/// The two ends of an epoch, for its receiver.
#[derive(Debug, Clone, Copy)]
pub struct Ends<'a> {
    /// The receiver.
    pub receiver: &'a Identity,
    /// The receiver's peer id.
    pub receiver_id: PeerId,
    /// The certificate of the sender.
    pub sender: &'a Certificate,
    /// The sender's peer id.
    pub sender_id: PeerId,
}

/// The receiving end of an epoch. It exists in memory only: a message that is not committed is sealed
/// again by its sender.
pub struct ReceiveEpoch {
    header: EpochHeader,
    session: [u8; SESSION_NAME_BYTES],
    next_index: u32,
    chain: ChainKey,
    skipped: BTreeMap<u32, MessageSeed>,
    /// Steps taken beyond `next_index` for messages that did not open: each message's seed and the
    /// chain key after it. Another copy of such a message costs no further steps.
    ahead: VecDeque<(MessageSeed, ChainKey)>,
}

impl ReceiveEpoch {
    /// Accepts a sender's grant for the session of `session`: all checks of [`Grant::verify`], then
    /// one RSA-4096 private operation. The caller must first check, by [`Grant::header`], that the
    /// epoch's number is higher than all before it.
    pub fn accept(
        rng: &mut dyn CryptoRng,
        ends: &Ends<'_>,
        session: &mut EpochSecret,
        grant: &[u8],
        now_s: u64,
    ) -> Result<Self, GrantRefused> {
        let grant = Grant::parse(grant)?;
        grant.check_session(session)?;
        let own = ends.receiver.certificate();
        grant
            .verify(ends.sender, &ends.sender_id, &ends.receiver_id, own, now_s)?
            .unwrap(rng, ends.receiver, session)
            .map(Self::new)
    }

    fn new(grant: OpenedGrant) -> Self {
        Self {
            header: grant.header,
            session: grant.session,
            next_index: 0,
            chain: grant.root,
            skipped: BTreeMap::new(),
            ahead: VecDeque::new(),
        }
    }

    /// Returns how many chain steps [`Self::open`] takes for the message with this index before it
    /// can check the tag: at most [`MAX_MESSAGES`]. Returns `None` if the message is rejected without any
    /// work, as its key is gone.
    pub fn steps_to(&self, index: u32) -> Option<u32> {
        let Some(ahead) = index.checked_sub(self.next_index) else {
            return self.skipped.contains_key(&index).then_some(0);
        };
        if index >= MAX_MESSAGES {
            return None;
        }
        // At most MAX_MESSAGES, as checked above.
        let derived = self.ahead.len() as u32;
        Some((ahead + 1).saturating_sub(derived))
    }

    /// Discards the steps that [`Self::open`] took for messages that did not open.
    pub fn forget_ahead(&mut self) {
        self.ahead = VecDeque::new();
    }

    /// Opens one message. A failure leaves the state as it was, apart from the cached steps. A
    /// message that was opened before is rejected, as its key is gone.
    pub fn open(&mut self, sealed: &[u8]) -> Result<Opened, OpenFailed> {
        let header = SealedHeader::parse(sealed)?;
        if header.incarnation != self.header.incarnation || header.epoch != self.header.epoch {
            return Err(OpenFailed);
        }
        let plaintext = if header.index < self.next_index {
            self.open_skipped(header.index, sealed)?
        } else {
            self.open_ahead(header.index, sealed)?
        };
        Ok(Opened {
            message_id: header.message_id,
            index: header.index,
            plaintext,
        })
    }

    fn open_skipped(
        &mut self,
        index: u32,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
        let keys = self.skipped.get(&index).ok_or(OpenFailed)?.keys();
        let plaintext = sealed::open(&keys, &self.header, sealed)?;
        self.skipped.remove(&index);
        Ok(plaintext)
    }

    fn open_ahead(&mut self, index: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
        self.steps_to(index).ok_or(OpenFailed)?;
        let ahead = index.checked_sub(self.next_index).ok_or(OpenFailed)? as usize;
        while self.ahead.len() <= ahead {
            let last = self.ahead.back().map_or(&self.chain, |(_, chain)| chain);
            let step = last.step();
            self.ahead.push_back(step);
        }
        let (seed, _) = self.ahead.get(ahead).ok_or(OpenFailed)?;
        let plaintext = sealed::open(&seed.keys(), &self.header, sealed)?;
        for at in self.next_index..=index {
            let (seed, chain) = self.ahead.pop_front().ok_or(OpenFailed)?;
            self.chain = chain;
            if at < index {
                self.skipped.insert(at, seed);
            }
        }
        self.next_index = index + 1;
        Ok(plaintext)
    }

    /// Returns sender, receiver, incarnation and number of the epoch.
    pub const fn header(&self) -> &EpochHeader {
        &self.header
    }

    /// Returns the name of the session to which the epoch belongs.
    pub const fn session(&self) -> &[u8; SESSION_NAME_BYTES] {
        &self.session
    }

    /// Returns the epoch's number.
    pub const fn epoch(&self) -> u64 {
        self.header.epoch
    }

    /// Returns the sender's incarnation.
    pub const fn incarnation(&self) -> u64 {
        self.header.incarnation
    }

    /// Returns when the sender opened the epoch, Unix time in seconds by its clock.
    pub const fn created_s(&self) -> u64 {
        self.header.created_s
    }

    /// Returns one more than the highest index opened so far, or 0.
    pub const fn next_index(&self) -> u32 {
        self.next_index
    }

    /// Returns how many overtaken messages are outstanding.
    pub fn skipped(&self) -> usize {
        self.skipped.len()
    }
}

impl fmt::Debug for ReceiveEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceiveEpoch(..)")
    }
}
