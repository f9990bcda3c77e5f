//! The key of QUIC's stateless resets, which M2 never sends.

use m2_crypto::{Secret, label};
use quinn::crypto::{CryptoError, HmacKey};
use rand_core::UnwrapErr;
use subtle::ConstantTimeEq;

/// The key from which QUIC derives stateless reset tokens. No such token is ever sent.
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
