//! A second implementation of level 1, written from docs/spec/envelope.md on labels, RSA and AES
//! alone. It checks the vectors and makes hostile input.

use super::SESSION;
use aes::Aes128;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use m2_crypto::envelope::EpochHeader;
use m2_crypto::{Certificate, Identity, PeerId, label};
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
        kind: u8,
        header: EpochHeader,
        receiver: &Certificate,
        content_key: &[u8],
    ) -> Self {
        Self {
            version: 2,
            kind,
            header,
            session: if kind == 1 { SESSION } else { [0; 8] },
            step: 0,
            receiver_key: label::hash("receiver key", &[receiver.spki_der()]),
            wrapped: receiver
                .wrap(rng, &wrap_label(kind, &header), content_key)
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

pub fn wrap_label(kind: u8, header: &EpochHeader) -> Vec<u8> {
    let purpose = match kind {
        2 => "letter content key",
        _ => "content key",
    };
    let (incarnation, epoch) = (header.incarnation.to_be_bytes(), header.epoch.to_be_bytes());
    let (sender, receiver) = (header.sender.as_bytes(), header.receiver.as_bytes());
    label::encode(purpose, &[sender, receiver, &incarnation, &epoch])
}

/// Returns the next epoch secret of a session, and the share of the current epoch.
pub fn epoch_step(secret: &[u8; 32]) -> ([u8; 32], [u8; 32]) {
    let out = label::derive::<64>(secret, &[], "epoch step", &[]);
    let (next, share) = out.expose().split_at(32);
    (next.try_into().unwrap(), share.try_into().unwrap())
}

/// `keys` is the content key, and the session's share unless the grant is that of a letter.
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
    fn split(out: &[u8; 64]) -> Self {
        Self {
            enc: out[..16].try_into().unwrap(),
            iv: out[16..32].try_into().unwrap(),
            mac: out[32..].try_into().unwrap(),
        }
    }

    pub fn of_message(seed: &[u8; 32]) -> Self {
        Self::split(label::derive::<64>(seed, &[], "message keys", &[]).expose())
    }

    pub fn of_letter(key: &[u8], receiver: &PeerId, wrapped: &[u8]) -> Self {
        let salt = label::hash("wrapped letter key", &[wrapped]);
        let fields = [&receiver.as_bytes()[..]];
        Self::split(label::derive::<64>(key, &salt, "letter keys", &fields).expose())
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

/// Builds the inside of a letter, padded with zeros to `size` minus the outside.
pub fn letter_inner(sender: &PeerId, grant: &[u8], sealed: &[u8], size: usize) -> Vec<u8> {
    let mut inner = vec![1];
    inner.extend(sender.as_bytes());
    inner.extend(grant);
    inner.extend((sealed.len() as u32).to_be_bytes());
    inner.extend(sealed);
    assert!(inner.len() <= size - 544);
    inner.resize(size - 544, 0);
    inner
}

pub fn letter_wrap(
    rng: &mut dyn CryptoRng,
    receiver: &PeerId,
    certificate: &Certificate,
    key: &[u8; 16],
    inner: &[u8],
) -> Vec<u8> {
    let label = label::encode("letter key", &[receiver.as_bytes()]);
    let mut out = certificate.wrap(rng, &label, key).unwrap();
    let keys = Keys::of_letter(key, receiver, &out);
    out.extend(
        cbc::Encryptor::<Aes128>::new(&keys.enc.into(), &keys.iv.into())
            .encrypt_padded_vec::<NoPadding>(inner),
    );
    let tag = label::mac(&keys.mac, "letter", &[receiver.as_bytes(), &out]);
    out.extend(tag);
    out
}

/// Opens a letter's outer seal.
pub fn letter_unwrap(
    rng: &mut dyn CryptoRng,
    identity: &Identity,
    receiver: &PeerId,
    letter: &[u8],
) -> Vec<u8> {
    let label = label::encode("letter key", &[receiver.as_bytes()]);
    let key = identity.unwrap(rng, &label, &letter[..512]).unwrap();
    let keys = Keys::of_letter(&key, receiver, &letter[..512]);
    let (tagged, tag) = letter.split_at(letter.len() - 32);
    assert_eq!(
        label::mac(&keys.mac, "letter", &[receiver.as_bytes(), tagged]),
        tag
    );
    cbc::Decryptor::<Aes128>::new(&keys.enc.into(), &keys.iv.into())
        .decrypt_padded_vec::<NoPadding>(&tagged[512..])
        .unwrap()
}
