//! The AWS-LC provider: constant-time RSA with long-term keys, ML-KEM decapsulation, assembly AES-GCM
//! and AES-CTR.

use super::{Aead, Counter, Ctr, KemCiphertext, KemPrivateKey, Nonce, PrivateKey, Provider, Tag};
use crate::error::{KeyError, OpenFailed};
use crate::secret::Secret;
use aws_lc_rs::aead::{self, LessSafeKey, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::kem::{self, ML_KEM_768};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeyPair, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::RSA_PSS_SHA256;
use ml_kem::{DecapsulationKey, MlKem768};
use rand_core::CryptoRng;
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use zeroize::{Zeroize as _, Zeroizing};

/// AWS-LC through `aws-lc-rs`. It draws its own randomness (blinding, salts) and ignores the `rng`
/// parameter.
#[derive(Debug, Clone, Copy)]
pub struct AwsLc;

impl Provider for AwsLc {
    fn name(&self) -> &'static str {
        "aws-lc"
    }

    fn private_key(&self, key: &RsaPrivateKey) -> Result<Box<dyn PrivateKey>, KeyError> {
        let der = key.to_pkcs8_der().map_err(|_| KeyError::Encoding)?;
        let decrypting =
            PrivateDecryptingKey::from_pkcs8(der.as_bytes()).map_err(|_| KeyError::Library)?;
        let decrypting =
            OaepPrivateDecryptingKey::new(decrypting).map_err(|_| KeyError::Library)?;
        let signing = KeyPair::from_pkcs8(der.as_bytes()).map_err(|_| KeyError::Library)?;
        Ok(Box::new(AwsPrivateKey {
            decrypting,
            signing,
        }))
    }

    /// AWS-LC has no import of seeds, only of the expanded form.
    fn kem_key(
        &self,
        key: &DecapsulationKey<MlKem768>,
    ) -> Result<Box<dyn KemPrivateKey>, KeyError> {
        #[allow(deprecated)]
        let mut expanded = ml_kem::ExpandedKeyEncoding::to_expanded_bytes(key);
        let imported = kem::DecapsulationKey::new(&ML_KEM_768, &expanded);
        expanded.zeroize();
        Ok(Box::new(AwsKemKey(
            imported.map_err(|_| KeyError::Library)?,
        )))
    }

    fn aead(&self, key: &Secret<16>) -> Box<dyn Aead> {
        // The type fixes the length, so the 16-byte key is always accepted.
        #[allow(clippy::expect_used)]
        let key = UnboundKey::new(&aead::AES_128_GCM, key.expose()).expect("16-byte key");
        Box::new(AwsAead(LessSafeKey::new(key)))
    }

    fn ctr(&self, key: &Secret<16>) -> Box<dyn Ctr> {
        // The type fixes the length, so the 16-byte key is always accepted.
        #[allow(clippy::expect_used)]
        let key = UnboundCipherKey::new(&AES_128, key.expose())
            .and_then(EncryptingKey::ctr)
            .expect("16-byte key");
        Box::new(AwsCtr(key))
    }
}

struct AwsPrivateKey {
    decrypting: OaepPrivateDecryptingKey,
    signing: KeyPair,
}

impl PrivateKey for AwsPrivateKey {
    fn unwrap(
        &self,
        _rng: &mut dyn CryptoRng,
        label: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
        let mut buffer = Zeroizing::new(vec![0; self.decrypting.min_output_size()]);
        let length = self
            .decrypting
            .decrypt(
                &OAEP_SHA256_MGF1SHA256,
                ciphertext,
                &mut buffer,
                Some(label),
            )
            .map_err(|_| OpenFailed)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    fn sign(&self, _rng: &mut dyn CryptoRng, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.signing.public_modulus_len()];
        self.signing
            .sign(
                &RSA_PSS_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| KeyError::Library)?;
        Ok(signature)
    }
}

struct AwsKemKey(kem::DecapsulationKey);

impl KemPrivateKey for AwsKemKey {
    fn decapsulate(&self, ciphertext: &KemCiphertext) -> Result<Secret<32>, KeyError> {
        let shared = self.0.decapsulate(ciphertext.as_slice().into());
        let shared = shared.map_err(|_| KeyError::Library)?;
        Secret::from_slice(shared.as_ref()).ok_or(KeyError::Library)
    }
}

struct AwsAead(LessSafeKey);

impl Aead for AwsAead {
    fn seal(&self, nonce: &Nonce, aad: &[u8], in_out: &mut [u8]) -> Tag {
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        // Fails only above 64 GiB; buffers here are far shorter.
        #[allow(clippy::expect_used)]
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, aead::Aad::from(aad), in_out)
            .expect("in_out is shorter than AES-GCM's limit");
        let mut out = [0; 16];
        out.copy_from_slice(tag.as_ref());
        out
    }

    fn open(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        in_out: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenFailed> {
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_in_place_separate_tag(nonce, aead::Aad::from(aad), tag, in_out)
            .map(|_| ())
            .map_err(|_| OpenFailed)
    }
}

struct AwsCtr(EncryptingKey);

impl Ctr for AwsCtr {
    fn apply(&self, counter: &Counter, in_out: &mut [u8]) {
        let counter = EncryptionContext::Iv128(FixedLength::from(counter));
        // Fails only for a counter block of another length, which the type rules out.
        #[allow(clippy::expect_used)]
        self.0
            .less_safe_encrypt(in_out, counter)
            .expect("16-byte counter block");
    }
}
