//! The hash chain of an epoch, with one step for each message (docs/spec/envelope.md#chain).

use super::epoch_secret::EpochShare;
use super::grant::{EpochHeader, grant_hash};
use crate::label;
use crate::secret::Secret;
use zeroize::Zeroizing;

/// The chain key before some message. Callers replace it with the next one, which erases it.
pub(super) struct ChainKey(Secret<32>);

/// The seed from which one message's keys are derived. It is kept instead of the keys while later
/// messages overtake the message.
pub(super) struct MessageSeed(Secret<32>);

/// The keys of one message, or of one letter.
pub(crate) struct MessageKeys {
    pub(crate) enc: Secret<16>,
    pub(crate) mac: Secret<32>,
    pub(crate) iv: Secret<16>,
}

impl ChainKey {
    /// Derives the chain's root: HKDF(content key ‖ share of the session, salt = hash of the whole
    /// signed grant).
    pub(super) fn root(
        content_key: &Secret<16>,
        share: &EpochShare,
        grant: &[u8],
        header: &EpochHeader,
    ) -> Self {
        let mut keys = Zeroizing::new(Vec::with_capacity(48));
        keys.extend_from_slice(content_key.expose());
        keys.extend_from_slice(share.share.expose());
        let salt = grant_hash(grant);
        let parties = [&header.sender.as_bytes()[..], header.receiver.as_bytes()];
        Self(label::derive(&keys, &salt, "chain root", &parties))
    }

    /// Returns the seed of the current message, and the chain key before the next one.
    pub(super) fn step(&self) -> (MessageSeed, Self) {
        let out: Secret<64> = label::derive(self.0.expose(), &[], "chain step", &[]);
        let (next, seed) = out.halves();
        (MessageSeed(seed), Self(next))
    }
}

impl MessageSeed {
    /// Derives the message's cipher key, IV and MAC key.
    pub(super) fn keys(&self) -> MessageKeys {
        MessageKeys::split(&label::derive(self.0.expose(), &[], "message keys", &[]))
    }
}

impl MessageKeys {
    /// Splits into cipher key (16 bytes) ‖ IV (16 bytes) ‖ MAC key (32 bytes).
    pub(crate) fn split(out: &Secret<64>) -> Self {
        Self {
            enc: out.part(0),
            iv: out.part(16),
            mac: out.part(32),
        }
    }
}
