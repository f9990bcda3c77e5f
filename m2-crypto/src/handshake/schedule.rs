//! The key schedule: from the secrets of both sides and the transcript to packet keys
//! (docs/spec/handshake.md#key-schedule).

use super::share::SideSecrets;
use super::transcript::TranscriptHash;
use crate::label;
use crate::packet::{DirectionKeys, PacketKey};
use crate::provider::Provider;
use crate::secret::Secret;
use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

/// The input of the key schedule: two AES keys and two secrets of ML-KEM.
type KeyMaterial = Zeroizing<[u8; 96]>;

/// The secrets of the exchange. Data is confidential as long as one of the four is.
#[derive(Debug)]
pub struct SessionKeys {
    /// Sent in KeyReturn.
    pub of_initiator: SideSecrets,
    /// Sent in HelloReply.
    pub of_responder: SideSecrets,
}

impl SessionKeys {
    /// Derives the Handshake space's secrets. `transcript` includes message 3.
    pub fn handshake(&self, transcript: &TranscriptHash) -> SpaceSecrets {
        SpaceSecrets {
            initiator: self.sent_by_initiator("handshake initiator", transcript),
            responder: self.sent_by_responder("handshake responder", transcript),
        }
    }

    /// Derives the data (1-RTT) space's secrets and the exporter. `transcript` includes message 5.
    pub fn data(self, transcript: &TranscriptHash) -> (SpaceSecrets, Exporter) {
        let secrets = SpaceSecrets {
            initiator: self.sent_by_initiator("data initiator", transcript),
            responder: self.sent_by_responder("data responder", transcript),
        };
        let exporter = label::derive(
            self.responders_first().as_slice(),
            transcript,
            "exporter secret",
            &[],
        );
        (secrets, Exporter(exporter))
    }

    /// The initiator's data is keyed from the secrets of the responder first.
    fn sent_by_initiator(&self, purpose: &str, transcript: &TranscriptHash) -> TrafficSecret {
        let ikm = self.responders_first();
        TrafficSecret(label::derive(ikm.as_slice(), transcript, purpose, &[]))
    }

    /// The responder's data is keyed from the secrets of the initiator first.
    fn sent_by_responder(&self, purpose: &str, transcript: &TranscriptHash) -> TrafficSecret {
        let ikm = self.initiators_first();
        TrafficSecret(label::derive(ikm.as_slice(), transcript, purpose, &[]))
    }

    fn responders_first(&self) -> KeyMaterial {
        join(&self.of_responder, &self.of_initiator)
    }

    fn initiators_first(&self) -> KeyMaterial {
        join(&self.of_initiator, &self.of_responder)
    }
}

/// Concatenates the AES keys, then the secrets of ML-KEM, those of `first` before those of `second`.
fn join(first: &SideSecrets, second: &SideSecrets) -> KeyMaterial {
    let parts: [&[u8]; 4] = [
        first.aes.expose(),
        second.aes.expose(),
        first.kem.expose(),
        second.kem.expose(),
    ];
    let mut joined = Zeroizing::new([0; 96]);
    for (to, from) in joined.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    joined
}

/// The secrets of one packet number space, by sender.
#[derive(Debug, Clone)]
pub struct SpaceSecrets {
    /// Protects the initiator's packets.
    pub initiator: TrafficSecret,
    /// Protects the responder's packets.
    pub responder: TrafficSecret,
}

impl SpaceSecrets {
    /// Returns the secrets after a key update.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            initiator: self.initiator.next(),
            responder: self.responder.next(),
        }
    }
}

/// The secret from which the packet keys of one direction derive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficSecret(Secret<32>);

impl TrafficSecret {
    /// Derives the payload and header keys.
    pub fn keys(&self, provider: &dyn Provider) -> DirectionKeys {
        DirectionKeys::derive(&self.0, provider)
    }

    /// Derives the payload key alone, which is the part that a key update replaces.
    pub fn packet_key(&self, provider: &dyn Provider) -> PacketKey {
        PacketKey::derive(&self.0, provider)
    }

    /// Returns the secret after a key update. The current secret can't be derived from it.
    #[must_use]
    pub fn next(&self) -> Self {
        Self(label::derive(self.0.expose(), &[], "key update", &[]))
    }

    /// Returns the secret's bytes, for test vectors.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// Derives secrets that are bound to one session and known only to its two ends.
#[derive(Debug, Clone)]
pub struct Exporter(Secret<32>);

/// More than 8,160 bytes were requested from an [`Exporter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an exporter yields at most 8,160 bytes")]
pub struct ExportTooLong;

impl Exporter {
    /// Fills `out` with bytes derived from the session, `label`, `context` and the length of `out`.
    pub fn export(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportTooLong> {
        let length = u32::try_from(out.len()).map_err(|_| ExportTooLong)?;
        let info = label::encode("exporter", &[label, context, &length.to_be_bytes()]);
        Hkdf::<Sha256>::new(None, self.0.expose())
            .expand(&info, out)
            .map_err(|_| ExportTooLong)
    }

    /// Returns the secret's bytes, for test vectors.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}
