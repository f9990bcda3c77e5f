//! Adapts packet and header keys to quinn's traits.

use crate::sent::Sent;
use bytes::BytesMut;
use m2_crypto::packet::{
    CONFIDENTIALITY_LIMIT, DirectionKeys, HeaderKey, INTEGRITY_LIMIT, PacketKey, SAMPLE_LEN,
    TAG_LEN,
};
use quinn_proto::crypto::{self, CryptoError, KeyPair, Keys};
use std::sync::Arc;

/// Returns the keys of one packet number space, from the sending and the receiving direction.
pub(super) fn space(local: DirectionKeys, remote: DirectionKeys) -> Keys {
    Keys {
        header: KeyPair {
            local: Box::new(QuicHeaderKey(local.header)),
            remote: Box::new(QuicHeaderKey(remote.header)),
        },
        packet: packets(local.packet, remote.packet),
    }
}

/// Returns the payload keys only, for a key update.
pub(super) fn packets(local: PacketKey, remote: PacketKey) -> KeyPair<Box<dyn crypto::PacketKey>> {
    KeyPair {
        local: Box::new(QuicPacketKey(local)),
        remote: Box::new(QuicPacketKey(remote)),
    }
}

/// Returns the same keys, which count the packets sealed with them in `sent`.
pub(super) fn counted(keys: Keys, sent: &Arc<Sent>) -> Keys {
    Keys {
        header: keys.header,
        packet: KeyPair {
            local: Box::new(CountedKey(keys.packet.local, Arc::clone(sent))),
            remote: keys.packet.remote,
        },
    }
}

struct CountedKey(Box<dyn crypto::PacketKey>, Arc<Sent>);

impl crypto::PacketKey for CountedKey {
    fn encrypt(&self, number: u64, buf: &mut [u8], header_len: usize) {
        self.1.count(buf.len());
        self.0.encrypt(number, buf, header_len);
    }

    fn decrypt(
        &self,
        number: u64,
        header: &[u8],
        payload: &mut BytesMut,
    ) -> Result<(), CryptoError> {
        self.0.decrypt(number, header, payload)
    }

    fn tag_len(&self) -> usize {
        self.0.tag_len()
    }

    fn confidentiality_limit(&self) -> u64 {
        self.0.confidentiality_limit()
    }

    fn integrity_limit(&self) -> u64 {
        self.0.integrity_limit()
    }
}

struct QuicHeaderKey(HeaderKey);

impl crypto::HeaderKey for QuicHeaderKey {
    fn decrypt(&self, number_at: usize, packet: &mut [u8]) {
        self.0.unprotect(number_at, packet);
    }

    fn encrypt(&self, number_at: usize, packet: &mut [u8]) {
        self.0.protect(number_at, packet);
    }

    fn sample_size(&self) -> usize {
        SAMPLE_LEN
    }
}

struct QuicPacketKey(PacketKey);

impl crypto::PacketKey for QuicPacketKey {
    /// `buf` is header, payload and room for the tag.
    fn encrypt(&self, number: u64, buf: &mut [u8], header_len: usize) {
        let Some((header, rest)) = buf.split_at_mut_checked(header_len) else {
            return;
        };
        let Some((payload, tag)) = rest.split_last_chunk_mut::<TAG_LEN>() else {
            return;
        };
        *tag = self.0.seal(number, header, payload);
    }

    fn decrypt(
        &self,
        number: u64,
        header: &[u8],
        payload: &mut BytesMut,
    ) -> Result<(), CryptoError> {
        let length = self
            .0
            .open(number, header, payload)
            .map_err(|_| CryptoError)?;
        payload.truncate(length);
        Ok(())
    }

    fn tag_len(&self) -> usize {
        TAG_LEN
    }

    fn confidentiality_limit(&self) -> u64 {
        CONFIDENTIALITY_LIMIT
    }

    fn integrity_limit(&self) -> u64 {
        INTEGRITY_LIMIT
    }
}
