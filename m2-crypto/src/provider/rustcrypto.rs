//! The pure-Rust provider.

use super::{Aead, Counter, Ctr, KemCiphertext, KemPrivateKey, Nonce, PrivateKey, Provider, Tag};
use crate::error::{KeyError, OpenFailed};
use crate::secret::Secret;
use aes::Aes128Enc;
use aes::cipher::{InnerIvInit, StreamCipherCore};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, KeyInit};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use ml_kem::array::Array;
use ml_kem::kem::Decapsulate;
use ml_kem::{DecapsulationKey, MlKem768};
use rand_core::CryptoRng;
use rsa::pss::SigningKey;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use rsa::{Oaep, RsaPrivateKey};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

/// RustCrypto's `rsa`, `ml-kem`, `aes-gcm` and `ctr`.
#[derive(Debug, Clone, Copy)]
pub struct RustCrypto;

impl Provider for RustCrypto {
    fn name(&self) -> &'static str {
        "rustcrypto"
    }

    fn private_key(&self, key: &RsaPrivateKey) -> Result<Box<dyn PrivateKey>, KeyError> {
        Ok(Box::new(RustPrivateKey(key.clone())))
    }

    fn kem_key(
        &self,
        key: &DecapsulationKey<MlKem768>,
    ) -> Result<Box<dyn KemPrivateKey>, KeyError> {
        Ok(Box::new(RustKemKey(key.clone())))
    }

    fn aead(&self, key: &Secret<16>) -> Box<dyn Aead> {
        Box::new(RustAead(Aes128Gcm::new(key.expose().into())))
    }

    fn ctr(&self, key: &Secret<16>) -> Box<dyn Ctr> {
        Box::new(RustCtr(Aes128Enc::new(key.expose().into())))
    }
}

struct RustPrivateKey(RsaPrivateKey);

impl PrivateKey for RustPrivateKey {
    fn unwrap(
        &self,
        mut rng: &mut dyn CryptoRng,
        label: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
        let padding = Oaep::<Sha256>::new_with_label(label);
        self.0
            .decrypt_blinded(&mut rng, padding, ciphertext)
            .map(Zeroizing::new)
            .map_err(|_| OpenFailed)
    }

    fn sign(&self, mut rng: &mut dyn CryptoRng, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        SigningKey::<Sha256>::new(self.0.clone())
            .try_sign_with_rng(&mut rng, message)
            .map(|signature| signature.to_vec())
            .map_err(|_| KeyError::Library)
    }
}

struct RustKemKey(DecapsulationKey<MlKem768>);

impl KemPrivateKey for RustKemKey {
    fn decapsulate(&self, ciphertext: &KemCiphertext) -> Result<Secret<32>, KeyError> {
        let mut shared = self.0.decapsulate(&Array::from(*ciphertext));
        let secret = Secret::new(shared.into());
        shared.zeroize();
        Ok(secret)
    }
}

struct RustAead(Aes128Gcm);

impl Aead for RustAead {
    fn seal(&self, nonce: &Nonce, aad: &[u8], in_out: &mut [u8]) -> Tag {
        // Fails only above 64 GiB; buffers here are far shorter.
        #[allow(clippy::expect_used)]
        self.0
            .encrypt_inout_detached(nonce.into(), aad, in_out.into())
            .expect("in_out is shorter than AES-GCM's limit")
            .into()
    }

    fn open(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        in_out: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenFailed> {
        self.0
            .decrypt_inout_detached(nonce.into(), aad, in_out.into(), tag.into())
            .map_err(|_| OpenFailed)
    }
}

struct RustCtr(Aes128Enc);

impl Ctr for RustCtr {
    fn apply(&self, counter: &Counter, in_out: &mut [u8]) {
        CtrCore::<&Aes128Enc, Ctr128BE>::inner_iv_init(&self.0, counter.into())
            .apply_keystream_partial(in_out.into());
    }
}
