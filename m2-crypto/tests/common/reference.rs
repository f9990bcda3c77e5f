//! A second implementation of level 1, written from docs/spec/envelope.md on labels, RSA and AES
//! alone. It checks the vectors and makes hostile input.

use super::SESSION;
use aes::Aes128;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use m2_crypto::envelope::EpochHeader;
use m2_crypto::{Certificate, Identity, label};
use rand_core::CryptoRng;

/// All fields of a grant. `sign` signs them, whether or not they are valid.
#[derive(Clone)]
pub struct GrantFields {
    pub version: u8,
    pub kind: u8,
    pub header: EpochHeader,
    pub session: [u8; 8],
    pub step: u32,
    pub receiver_key: [u8; 32],
    pub wrapped: Vec<u8>,
}

impl GrantFields {
    pub fn new(
        rng: &mut dyn CryptoRng,
        header: EpochHeader,
        receiver: &Certificate,
        content_key: &[u8],
    ) -> Self {
        Self {
            version: 2,
            kind: 1,
            header,
            session: SESSION,
            step: 0,
            receiver_key: label::hash("receiver key", &[receiver.spki_der()]),
            wrapped: receiver
                .wrap(rng, &wrap_label(&header), content_key)
                .unwrap(),
        }
    }

    pub fn sign(&self, rng: &mut dyn CryptoRng, identity: &Identity) -> Vec<u8> {
        let mut grant = vec![self.version, self.kind];
        grant.extend(self.header.sender.as_bytes());
        grant.extend(self.header.receiver.as_bytes());
        grant.extend(self.header.incarnation.to_be_bytes());
        grant.extend(self.header.epoch.to_be_bytes());
        grant.extend(self.header.created_s.to_be_bytes());
        grant.extend(self.session);
        grant.extend(self.step.to_be_bytes());
        grant.extend(self.receiver_key);
        grant.extend(&self.wrapped);
        let signature = identity
            .sign(rng, &label::encode("grant", &[&grant]))
            .unwrap();
        grant.extend(signature);
        grant
    }
}

pub fn wrap_label(header: &EpochHeader) -> Vec<u8> {
    let (incarnation, epoch) = (header.incarnation.to_be_bytes(), header.epoch.to_be_bytes());
    let (sender, receiver) = (header.sender.as_bytes(), header.receiver.as_bytes());
    label::encode("content key", &[sender, receiver, &incarnation, &epoch])
}

/// Returns the next epoch secret of a session, and the share of the current epoch.
pub fn epoch_step(secret: &[u8; 32]) -> ([u8; 32], [u8; 32]) {
    let out = label::derive::<64>(secret, &[], "epoch step", &[]);
    let (next, share) = out.expose().split_at(32);
    (next.try_into().unwrap(), share.try_into().unwrap())
}

/// `keys` is the content key and the session's share.
pub fn chain_root(keys: &[&[u8]], grant: &[u8]) -> [u8; 32] {
    let salt = label::hash("signed grant", &[grant]);
    let parties = [&grant[2..34], &grant[34..66]];
    *label::derive::<32>(&keys.concat(), &salt, "chain root", &parties).expose()
}

/// Returns the next chain key, and the seed of the current message.
pub fn chain_step(chain: &[u8; 32]) -> ([u8; 32], [u8; 32]) {
    let out = label::derive::<64>(chain, &[], "chain step", &[]);
    let (next, seed) = out.expose().split_at(32);
    (next.try_into().unwrap(), seed.try_into().unwrap())
}

/// A message's cipher key, IV and MAC key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub enc: [u8; 16],
    pub iv: [u8; 16],
    pub mac: [u8; 32],
}

impl Keys {
    pub fn split(out: &[u8; 64]) -> Self {
        Self {
            enc: out[..16].try_into().unwrap(),
            iv: out[16..32].try_into().unwrap(),
            mac: out[32..].try_into().unwrap(),
        }
    }

    pub fn of_message(seed: &[u8; 32]) -> Self {
        Self::split(label::derive::<64>(seed, &[], "message keys", &[]).expose())
    }
}

pub fn seal(
    keys: &Keys,
    epoch: &EpochHeader,
    index: u32,
    message_id: &[u8; 16],
    plaintext: &[u8],
) -> Vec<u8> {
    let padding = 16 - plaintext.len() % 16;
    let padded = [plaintext, &vec![padding as u8; padding]].concat();
    seal_blocks(keys, epoch, index, message_id, &padded)
}

/// Seals whole blocks, whatever their padding.
pub fn seal_blocks(
    keys: &Keys,
    epoch: &EpochHeader,
    index: u32,
    message_id: &[u8; 16],
    padded: &[u8],
) -> Vec<u8> {
    let mut out = vec![1];
    out.extend(epoch.incarnation.to_be_bytes());
    out.extend(epoch.epoch.to_be_bytes());
    out.extend(index.to_be_bytes());
    out.extend(message_id);
    out.extend(
        cbc::Encryptor::<Aes128>::new(&keys.enc.into(), &keys.iv.into())
            .encrypt_padded_vec::<NoPadding>(padded),
    );
    out.extend(sealed_tag(keys, epoch, &out));
    out
}

pub fn sealed_tag(keys: &Keys, epoch: &EpochHeader, tagged: &[u8]) -> [u8; 32] {
    let (incarnation, number) = (epoch.incarnation.to_be_bytes(), epoch.epoch.to_be_bytes());
    let (sender, receiver) = (epoch.sender.as_bytes(), epoch.receiver.as_bytes());
    let fields = [&sender[..], receiver, &incarnation, &number, tagged];
    label::mac(&keys.mac, "sealed message", &fields)
}
