//! Retry tokens: under load, a caller proves with one that it receives at its address
//! (docs/spec/obfuscation.md#calls-under-load). QUIC defines their contents; this module provides
//! their key and the rule that each is good for one accepted attempt.

use crate::clock::Clock;
use crate::replay_memory::ReplayMemory;
use m2_crypto::initial::MAX_CID_LEN;
use m2_crypto::provider::{Aead, Tag};
use m2_crypto::{Provider, Secret, label};
use quinn::crypto::{AeadKey, CryptoError, HandshakeTokenKey};
use rand_core::{Rng, UnwrapErr};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long a Retry may be answered.
pub(crate) const LIFETIME: Duration = Duration::from_secs(15);
/// The lifetime configured in QUIC. It is longer, so that QUIC never finds a token expired that
/// passed the check here: it would answer with a close.
pub(crate) const LIFETIME_IN_QUIC: Duration = Duration::from_secs(120);

const NONCE_BYTES: usize = 16;
/// The number of bytes of padding inside a token is below this. A Hello with the longest token fits into
/// two packets.
const PADDING: u32 = 128;
/// The first byte of a Retry token's plaintext, and the type bytes of the addresses in it.
const RETRY_TYPE: u8 = 0;
const IPV4_TYPE: u8 = 0;
const IPV6_TYPE: u8 = 1;

/// Seals and opens the Retry tokens of one run.
pub(crate) struct RetryTokens {
    secret: Secret<32>,
    provider: &'static dyn Provider,
    clock: Clock,
    replay: Arc<ReplayMemory>,
}

/// The contents of a Retry token of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryToken {
    /// The address to which the Retry was sent.
    pub(crate) address: SocketAddr,
    /// The destination id of the attempt's first packet.
    pub(crate) original_id: [u8; MAX_CID_LEN],
    issued_s: u64,
}

impl RetryTokens {
    /// Generates the key. A token is spent once `replay` has recorded its attempt as accepted.
    pub(crate) fn random(
        provider: &'static dyn Provider,
        clock: Clock,
        replay: Arc<ReplayMemory>,
    ) -> Arc<Self> {
        Arc::new(Self {
            secret: Secret::random(&mut UnwrapErr(getrandom::SysRng)),
            provider,
            clock,
            replay,
        })
    }

    /// Opens a token. Returns `None` if it was not issued by this run or is too old.
    pub(crate) fn open(&self, token: &[u8]) -> Option<RetryToken> {
        let (sealed, nonce) = token.split_last_chunk::<NONCE_BYTES>()?;
        let mut sealed = sealed.to_vec();
        let plain = unseal(&*self.aead(nonce), &[], &mut sealed)?;
        RetryToken::parse(unpadded(plain)?).filter(|token| self.is_in_time(token))
    }

    /// Returns whether the attempt of this token was accepted.
    pub(crate) fn is_spent(&self, token: &RetryToken) -> bool {
        self.replay.is_repeat(&token.original_id)
    }

    fn is_in_time(&self, token: &RetryToken) -> bool {
        let good_until = token.issued_s.saturating_add(LIFETIME.as_secs());
        self.clock.unix_s() <= good_until
    }

    fn aead(&self, nonce: &[u8]) -> Box<dyn Aead> {
        let key = label::derive(self.secret.expose(), nonce, "address token", &[]);
        self.provider.aead(&key)
    }
}

impl RetryToken {
    fn parse(plain: &[u8]) -> Option<Self> {
        let (kind, rest) = plain.split_first()?;
        let (family, rest) = rest.split_first()?;
        let (ip, rest): (IpAddr, _) = match *family {
            IPV4_TYPE => rest
                .split_first_chunk::<4>()
                .map(|(ip, rest)| ((*ip).into(), rest))?,
            IPV6_TYPE => rest
                .split_first_chunk::<16>()
                .map(|(ip, rest)| ((*ip).into(), rest))?,
            _ => return None,
        };
        let (port, rest) = rest.split_first_chunk::<2>()?;
        let (length, rest) = rest.split_first()?;
        let (original_id, rest) = rest.split_first_chunk::<MAX_CID_LEN>()?;
        let issued_s = u64::from_be_bytes(rest.try_into().ok()?);
        let fits = *kind == RETRY_TYPE && usize::from(*length) == MAX_CID_LEN;
        fits.then_some(Self {
            address: SocketAddr::new(ip, u16::from_be_bytes(*port)),
            original_id: *original_id,
            issued_s,
        })
    }
}

/// The token key for QUIC: it opens only tokens that may still be used.
pub(crate) struct TokenKey(pub(crate) Arc<RetryTokens>);

impl HandshakeTokenKey for TokenKey {
    fn aead_from_hkdf(&self, nonce: &[u8]) -> Box<dyn AeadKey> {
        Box::new(TokenAead {
            aead: self.0.aead(nonce),
            tokens: Arc::clone(&self.0),
        })
    }
}

/// The key of one token. It seals one plaintext, so its AEAD nonce is fixed.
struct TokenAead {
    aead: Box<dyn Aead>,
    tokens: Arc<RetryTokens>,
}

impl AeadKey for TokenAead {
    fn seal(&self, data: &mut Vec<u8>, additional_data: &[u8]) -> Result<(), CryptoError> {
        pad(data, UnwrapErr(getrandom::SysRng).next_u32() % PADDING);
        let tag = self.aead.seal(&[0; 12], additional_data, data);
        data.extend_from_slice(&tag);
        Ok(())
    }

    fn open<'a>(
        &self,
        data: &'a mut [u8],
        additional_data: &[u8],
    ) -> Result<&'a mut [u8], CryptoError> {
        let plain = unseal(&*self.aead, additional_data, data).ok_or(CryptoError)?;
        let plain = unpadded(plain).ok_or(CryptoError)?;
        let token = RetryToken::parse(plain).filter(|token| self.tokens.is_in_time(token));
        match token {
            Some(token) if !self.tokens.is_spent(&token) => Ok(plain),
            _ => Err(CryptoError),
        }
    }
}

/// Appends zeros and their number, so that Retry packets have no typical size.
fn pad(plain: &mut Vec<u8>, zeros: u32) {
    let zeros = zeros % PADDING;
    plain.resize(plain.len() + zeros as usize, 0);
    // Below 128.
    plain.push(zeros as u8);
}

/// Removes what [`pad`] appended. Returns `None` if that is not possible.
fn unpadded(padded: &mut [u8]) -> Option<&mut [u8]> {
    let (zeros, rest) = padded.split_last_mut()?;
    let length = rest.len().checked_sub(usize::from(*zeros))?;
    rest.get_mut(..length)
}

fn unseal<'a>(aead: &dyn Aead, aad: &[u8], data: &'a mut [u8]) -> Option<&'a mut [u8]> {
    let (plain, tag) = data.split_last_chunk_mut::<{ size_of::<Tag>() }>()?;
    aead.open(&[0; 12], aad, plain, tag).ok()?;
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay_memory::Remembered;
    use m2_crypto::provider;

    const ISSUED: u64 = 1_800_000_000;
    const NONCE: [u8; NONCE_BYTES] = [1; NONCE_BYTES];

    fn tokens_at(now_s: u64) -> Arc<RetryTokens> {
        Arc::new(RetryTokens {
            secret: Secret::new([4; 32]),
            provider: provider::default(),
            clock: Clock::new(move || now_s * 1000),
            replay: Arc::new(ReplayMemory::load(None, 100, now_s).unwrap()),
        })
    }

    fn sealed(tokens: &Arc<RetryTokens>, plain: &[u8]) -> Vec<u8> {
        let mut token = plain.to_vec();
        let key = TokenKey(Arc::clone(tokens)).aead_from_hkdf(&NONCE);
        key.seal(&mut token, &[]).unwrap();
        [token, NONCE.to_vec()].concat()
    }

    fn plain(kind: u8) -> Vec<u8> {
        let mut token = vec![kind, IPV4_TYPE, 127, 0, 0, 1, 1, 2, 20];
        token.extend_from_slice(&[8; 20]);
        token.extend_from_slice(&ISSUED.to_be_bytes());
        token
    }

    fn opens_in_quic(tokens: &Arc<RetryTokens>, token: &[u8]) -> bool {
        let (sealed, nonce) = token.split_last_chunk::<NONCE_BYTES>().unwrap();
        let key = TokenKey(Arc::clone(tokens)).aead_from_hkdf(nonce);
        key.open(&mut sealed.to_vec(), &[]).is_ok()
    }

    #[test]
    fn a_token_opens_until_its_attempt_is_accepted_or_it_expires() {
        let tokens = tokens_at(ISSUED + 15);
        let token = sealed(&tokens, &plain(RETRY_TYPE));
        let opened = tokens.open(&token).unwrap();
        assert_eq!(opened.address, "127.0.0.1:258".parse().unwrap());
        assert_eq!(opened.original_id, [8; 20]);
        // Opening a token does not spend it.
        assert!(opens_in_quic(&tokens, &token) && opens_in_quic(&tokens, &token));
        assert!(!tokens.is_spent(&opened));
        let remembered = tokens.replay.remember(&[8; 20], ISSUED);
        assert_eq!(remembered, Remembered::Fresh);
        assert!(tokens.is_spent(&opened));
        assert!(!opens_in_quic(&tokens, &token));
        let late = tokens_at(ISSUED + 16);
        assert_eq!(late.open(&token), None);
        assert!(!opens_in_quic(&late, &token));
    }

    #[test]
    fn altered_tokens_and_other_kinds_do_not_open() {
        let tokens = tokens_at(ISSUED);
        let token = sealed(&tokens, &plain(RETRY_TYPE));
        for at in 0..token.len() {
            let mut altered = token.clone();
            altered[at] ^= 1;
            assert_eq!(tokens.open(&altered), None);
            assert_eq!(tokens.open(&token[..at]), None);
        }
        let of_a_session = sealed(&tokens, &plain(1));
        assert!(!opens_in_quic(&tokens, &of_a_session));
        let longer = sealed(&tokens, &[&plain(RETRY_TYPE)[..], &[0]].concat());
        assert!(!opens_in_quic(&tokens, &longer));
    }

    #[test]
    fn tokens_have_many_lengths_and_open_at_each() {
        let tokens = tokens_at(ISSUED);
        let mut lengths = std::collections::BTreeSet::new();
        for _ in 0..500 {
            let token = sealed(&tokens, &plain(RETRY_TYPE));
            assert!(opens_in_quic(&tokens, &token) && tokens.open(&token).is_some());
            lengths.insert(token.len());
        }
        assert!(lengths.len() > 64, "{}", lengths.len());
        let shortest = plain(RETRY_TYPE).len() + 1 + size_of::<Tag>() + NONCE_BYTES;
        let all = shortest..shortest + PADDING as usize;
        assert!(lengths.iter().all(|length| all.contains(length)));
    }

    #[test]
    fn padding_of_a_wrong_length_does_not_come_off() {
        assert_eq!(unpadded(&mut []), None);
        assert_eq!(unpadded(&mut [7, 2]), None);
        assert_eq!(unpadded(&mut [7, 0, 1]), Some(&mut [7][..]));
        for zeros in [0, 1, PADDING - 1] {
            let mut plain = vec![7; 5];
            pad(&mut plain, zeros);
            assert_eq!(plain.len(), 6 + zeros as usize);
            assert_eq!(unpadded(&mut plain), Some(&mut [7; 5][..]));
        }
    }
}
