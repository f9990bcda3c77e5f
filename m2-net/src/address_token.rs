//! Address tokens: how a caller proves that it receives at its address, by a Retry or by a token
//! from an earlier session (spec §3). QUIC defines what they hold; here are their keys and the
//! rule that each is good once.

use crate::clock::Clock;
use m2_crypto::provider::{Aead, Tag};
use m2_crypto::{Provider, Secret, label};
use quinn::crypto::{AeadKey, CryptoError, HandshakeTokenKey, HmacKey};
use quinn::{TokenLog, TokenReuseError};
use rand_core::UnwrapErr;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use subtle::ConstantTimeEq;

/// For how long a Retry may be answered.
pub(crate) const RETRY_LIFETIME: Duration = Duration::from_secs(15);
/// For how long a token from an earlier session is good.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(3 * 86_400);

/// Used tokens that are remembered; the oldest are forgotten first.
const USED_CAPACITY: usize = 1 << 16;
/// Calls that are remembered to have come back after a Retry.
const RETRIED_CAPACITY: usize = 1 << 10;

/// The first byte of a Retry token's plaintext.
const RETRY_TYPE: u8 = 0;
const ORIGINAL_ID_BYTES: usize = m2_crypto::initial::MAX_CID_LEN;

/// Seals tokens under a key of this run, and opens each Retry token once.
///
/// QUIC answers a Retry token that is too old or comes from elsewhere with a close, before it
/// authenticated the packet. A token that was used, or is too old, does not open here, so that
/// a recorded packet gets no such answer.
pub(crate) struct TokenKey {
    secret: Secret<32>,
    provider: &'static dyn Provider,
    clock: Clock,
    used: Arc<UsedTokens>,
}

impl TokenKey {
    pub(crate) fn random(
        provider: &'static dyn Provider,
        clock: Clock,
        used: Arc<UsedTokens>,
    ) -> Self {
        Self {
            secret: Secret::random(&mut UnwrapErr(getrandom::SysRng)),
            provider,
            clock,
            used,
        }
    }
}

impl HandshakeTokenKey for TokenKey {
    fn aead_from_hkdf(&self, nonce: &[u8]) -> Box<dyn AeadKey> {
        let key = label::derive(self.secret.expose(), nonce, "address token", &[]);
        Box::new(TokenAead {
            aead: self.provider.aead(&key),
            nonce: nonce.try_into().map_or(0, u128::from_le_bytes),
            now_s: self.clock.unix_s(),
            used: Arc::clone(&self.used),
        })
    }
}

/// The key of one token. It seals one plaintext, so its AEAD nonce is fixed.
struct TokenAead {
    aead: Box<dyn Aead>,
    nonce: u128,
    now_s: u64,
    used: Arc<UsedTokens>,
}

impl AeadKey for TokenAead {
    fn seal(&self, data: &mut Vec<u8>, additional_data: &[u8]) -> Result<(), CryptoError> {
        let tag = self.aead.seal(&[0; 12], additional_data, data);
        data.extend_from_slice(&tag);
        Ok(())
    }

    fn open<'a>(
        &self,
        data: &'a mut [u8],
        additional_data: &[u8],
    ) -> Result<&'a mut [u8], CryptoError> {
        let (plain, tag) = data
            .split_last_chunk_mut::<{ size_of::<Tag>() }>()
            .ok_or(CryptoError)?;
        self.aead
            .open(&[0; 12], additional_data, plain, tag)
            .map_err(|_| CryptoError)?;
        if plain.first() == Some(&RETRY_TYPE) {
            self.check_retry(plain).ok_or(CryptoError)?;
        }
        Ok(plain)
    }
}

impl TokenAead {
    /// A Retry token ends in the length and bytes of the original destination id, and Unix
    /// seconds.
    fn check_retry(&self, plain: &[u8]) -> Option<()> {
        let (rest, issued_s) = plain.split_last_chunk::<8>()?;
        let (_, original) = rest.split_last_chunk::<ORIGINAL_ID_BYTES>()?;
        let good_until = u64::from_be_bytes(*issued_s).checked_add(RETRY_LIFETIME.as_secs())?;
        if good_until < self.now_s || !self.used.insert(self.nonce) {
            return None;
        }
        self.used.remember_retried(*original);
        Some(())
    }
}

/// The tokens that were used, and the calls that came back after a Retry. Bounded.
#[derive(Default)]
pub(crate) struct UsedTokens(Mutex<Used>);

#[derive(Default)]
struct Used {
    nonces: HashSet<u128>,
    order: VecDeque<u128>,
    retried: VecDeque<[u8; ORIGINAL_ID_BYTES]>,
}

impl UsedTokens {
    /// Whether the address of this call was proved by a Retry alone, not by a token from an
    /// earlier session.
    pub(crate) fn was_retried(&self, original_id: &[u8]) -> bool {
        self.with(|used| used.retried.iter().any(|id| id == original_id))
    }

    fn insert(&self, nonce: u128) -> bool {
        self.with(|used| {
            if !used.nonces.insert(nonce) {
                return false;
            }
            used.order.push_back(nonce);
            if used.order.len() > USED_CAPACITY
                && let Some(oldest) = used.order.pop_front()
            {
                used.nonces.remove(&oldest);
            }
            true
        })
    }

    fn remember_retried(&self, original_id: [u8; ORIGINAL_ID_BYTES]) {
        self.with(|used| {
            used.retried.push_back(original_id);
            if used.retried.len() > RETRIED_CAPACITY {
                used.retried.pop_front();
            }
        });
    }

    fn with<T>(&self, action: impl FnOnce(&mut Used) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TokenLog for UsedTokens {
    fn check_and_insert(
        &self,
        nonce: u128,
        _issued: SystemTime,
        _lifetime: Duration,
    ) -> Result<(), TokenReuseError> {
        if self.insert(nonce) {
            Ok(())
        } else {
            Err(TokenReuseError)
        }
    }
}

/// The key from which QUIC derives stateless reset tokens. None is ever sent.
pub(crate) struct ResetKey(Secret<32>);

impl ResetKey {
    pub(crate) fn random() -> Self {
        Self(Secret::random(&mut UnwrapErr(getrandom::SysRng)))
    }

    fn mac(&self, data: &[u8]) -> [u8; 32] {
        label::mac(self.0.expose(), "stateless reset", &[data])
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        for (to, from) in signature_out.iter_mut().zip(self.mac(data)) {
            *to = from;
        }
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        if self.mac(data).ct_eq(signature).into() {
            Ok(())
        } else {
            Err(CryptoError)
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;
    use m2_crypto::provider;

    const ISSUED: u64 = 1_800_000_000;

    fn key_at(now_s: u64) -> TokenKey {
        let mut key = TokenKey::random(
            provider::default(),
            Clock::new(move || now_s * 1000),
            Arc::default(),
        );
        key.secret = Secret::new([4; 32]);
        key
    }

    fn sealed(key: &TokenKey, kind: u8) -> Vec<u8> {
        let mut token = vec![kind, 4, 127, 0, 0, 1, 1, 2, 20];
        token.extend_from_slice(&[8; 20]);
        token.extend_from_slice(&ISSUED.to_be_bytes());
        key.aead_from_hkdf(&[1; 16]).seal(&mut token, &[]).unwrap();
        token
    }

    fn opens(key: &TokenKey, token: &[u8]) -> bool {
        key.aead_from_hkdf(&[1; 16])
            .open(&mut token.to_vec(), &[])
            .is_ok()
    }

    #[test]
    fn a_retry_token_opens_once_and_soon() {
        let key = key_at(ISSUED + 15);
        let token = sealed(&key, RETRY_TYPE);
        assert!(!key.used.was_retried(&[8; 20]));
        assert!(opens(&key, &token));
        assert!(key.used.was_retried(&[8; 20]));
        assert!(!opens(&key, &token));
        assert!(!opens(&key_at(ISSUED + 16), &token));
    }

    #[test]
    fn an_altered_token_does_not_open() {
        let key = key_at(ISSUED);
        let token = sealed(&key, 1);
        assert!(opens(&key, &token));
        for at in 0..token.len() {
            let mut altered = token.clone();
            altered[at] ^= 1;
            assert!(!opens(&key, &altered));
            assert!(!opens(&key, &token[..at]));
        }
    }
}
