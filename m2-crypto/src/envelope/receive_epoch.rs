//! The receiver's end of an epoch.

use super::chain::{ChainKey, MessageSeed};
use super::grant::{EpochHeader, Grant, GrantKind, GrantRefused, OpenedGrant};
use super::sealed::{self, SealedHeader};
use super::{MAX_MESSAGES, MAX_SKIPPED, MESSAGE_ID_BYTES};
use crate::certificate::Certificate;
use crate::error::OpenFailed;
use crate::identity::Identity;
use crate::peer_id::PeerId;
use crate::reader::Reader;
use crate::secret::Secret;
use rand_core::CryptoRng;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use zeroize::Zeroizing;

const STATE_VERSION: u8 = 1;

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

/// The receiving end of an epoch. Store [`ReceiveEpoch::to_bytes`] in the transaction that stores
/// the opened message.
pub struct ReceiveEpoch {
    header: EpochHeader,
    next_index: u32,
    chain: ChainKey,
    skipped: BTreeMap<u32, MessageSeed>,
    /// Steps taken beyond `next_index` for messages that did not open: each message's seed and the
    /// chain key after it. Another copy of such a message costs no further steps.
    ahead: VecDeque<(MessageSeed, ChainKey)>,
}

impl ReceiveEpoch {
    /// Accepts a sender's grant: all checks of [`Grant::verify`], then one RSA-4096 private
    /// operation. The caller must first check, by [`Grant::header`], that the epoch's number is
    /// higher than all before it.
    pub fn accept(
        rng: &mut dyn CryptoRng,
        identity: &Identity,
        receiver: &PeerId,
        sender_certificate: &Certificate,
        sender: &PeerId,
        grant: &[u8],
        now_s: u64,
    ) -> Result<Self, GrantRefused> {
        let grant = Grant::parse(grant)?;
        if grant.kind() != GrantKind::Session {
            return Err(GrantRefused::Malformed);
        }
        let own = identity.certificate();
        grant
            .verify(sender_certificate, sender, receiver, own, now_s)?
            .unwrap(rng, identity)
            .and_then(Self::from_grant)
    }

    /// Starts the epoch of an unwrapped grant. Returns `Malformed` for a letter's grant.
    pub fn from_grant(grant: OpenedGrant) -> Result<Self, GrantRefused> {
        match grant.kind {
            GrantKind::Session => Ok(Self::new(grant)),
            GrantKind::Letter => Err(GrantRefused::Malformed),
        }
    }

    pub(super) fn new(grant: OpenedGrant) -> Self {
        Self {
            header: grant.header,
            next_index: 0,
            chain: grant.root,
            skipped: BTreeMap::new(),
            ahead: VecDeque::new(),
        }
    }

    /// Returns how many chain steps [`Self::open`] takes for the message with this index before it
    /// can check the tag. Returns `None` if the message is rejected without any work: its key is
    /// gone, or more than [`MAX_SKIPPED`] messages would be outstanding.
    pub fn steps_to(&self, index: u32) -> Option<u32> {
        let Some(ahead) = index.checked_sub(self.next_index) else {
            return self.skipped.contains_key(&index).then_some(0);
        };
        if self.skipped.len() + ahead as usize > MAX_SKIPPED as usize {
            return None;
        }
        // At most MAX_SKIPPED, as checked above.
        let derived = self.ahead.len() as u32;
        Some((ahead + 1).saturating_sub(derived))
    }

    /// Discards the steps that [`Self::open`] took for messages that did not open.
    pub fn forget_ahead(&mut self) {
        self.ahead = VecDeque::new();
    }

    /// Opens one message. A failure leaves the state as it was, apart from the cached steps. A
    /// message that was opened before is rejected, as its key is gone, and so is one that would
    /// leave more than [`MAX_SKIPPED`] messages outstanding.
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

    /// Encodes the state: 129 bytes, and 36 for each outstanding message. It contains secrets and
    /// belongs into an encrypted store only (docs/spec/envelope.md#stored-state).
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let size = 1 + EpochHeader::BYTES + 4 + 32 + 4 + 36 * self.skipped.len();
        let mut out = Zeroizing::new(Vec::with_capacity(size));
        out.push(STATE_VERSION);
        self.header.write(&mut out);
        out.extend_from_slice(&self.next_index.to_be_bytes());
        out.extend_from_slice(self.chain.secret().expose());
        // At most MAX_SKIPPED.
        out.extend_from_slice(&(self.skipped.len() as u32).to_be_bytes());
        for (index, seed) in &self.skipped {
            out.extend_from_slice(&index.to_be_bytes());
            out.extend_from_slice(seed.secret().expose());
        }
        out
    }

    /// Decodes [`ReceiveEpoch::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OpenFailed> {
        Self::read(bytes).ok_or(OpenFailed)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != STATE_VERSION {
            return None;
        }
        let header = EpochHeader::read(&mut reader)?;
        let next_index = reader.u32().filter(|index| *index <= MAX_MESSAGES)?;
        let chain = ChainKey::from_secret(Secret::new(reader.array()?));
        let skipped = read_skipped(&mut reader, next_index)?;
        reader.end()?;
        Some(Self {
            header,
            next_index,
            chain,
            skipped,
            ahead: VecDeque::new(),
        })
    }
}

/// Requires strictly increasing indices below `next_index`, so that a state has exactly one
/// encoding.
fn read_skipped(reader: &mut Reader<'_>, next_index: u32) -> Option<BTreeMap<u32, MessageSeed>> {
    let count = reader.u32().filter(|count| *count <= MAX_SKIPPED)?;
    let mut skipped = BTreeMap::new();
    for _ in 0..count {
        let index = reader.u32().filter(|index| *index < next_index)?;
        if skipped
            .last_key_value()
            .is_some_and(|(last, _)| *last >= index)
        {
            return None;
        }
        skipped.insert(
            index,
            MessageSeed::from_secret(Secret::new(reader.array()?)),
        );
    }
    Some(skipped)
}

impl fmt::Debug for ReceiveEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceiveEpoch(..)")
    }
}
