//! A daemon's identity: the private half of its user certificate, and its key file
//! (docs/spec/identity.md#the-key-file).

use crate::certificate::Certificate;
use crate::circle::CircleId;
use crate::error::{KeyError, OpenFailed};
use crate::label;
use crate::line::LineKey;
use crate::peer_id::PeerId;
use crate::provider::{PrivateKey, Provider};
use crate::secret::Secret;
use rand_core::CryptoRng;
use rsa::RsaPrivateKey;
use rsa::pkcs8::pkcs5::{self, pbes2, scrypt};
use rsa::pkcs8::{
    self, DecodePrivateKey, EncodePrivateKey, EncryptedPrivateKeyInfoRef, LineEnding,
    PrivateKeyInfoRef, SecretDocument,
};
use rsa::traits::PrivateKeyParts;
use std::fmt;
use zeroize::Zeroizing;

const PLAIN_LABEL: &str = "PRIVATE KEY";
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// scrypt's cost: N = 2^14, r = 8, p = 5. N is the largest that `openssl pkey` opens with its
/// default memory limit; p makes up for it.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;

/// The private key of a [`Certificate`].
pub struct Identity {
    certificate: Certificate,
    key: RsaPrivateKey,
    private: Box<dyn PrivateKey>,
}

impl Identity {
    /// Generates an RSA-4096 identity. Takes about a second.
    pub fn generate<R: CryptoRng + ?Sized>(
        rng: &mut R,
        provider: &dyn Provider,
    ) -> Result<Self, KeyError> {
        let key = RsaPrivateKey::new(rng, 4096).map_err(|_| KeyError::Library)?;
        Self::from_key(key, provider)
    }

    fn from_key(key: RsaPrivateKey, provider: &dyn Provider) -> Result<Self, KeyError> {
        Ok(Self {
            certificate: Certificate::from_key(key.to_public_key())?,
            private: provider.private_key(&key)?,
            key,
        })
    }

    /// Reads a PKCS#8 PEM file, either unencrypted or encrypted with PBES2.
    ///
    /// Errors: [`KeyError::PassphraseNeeded`] if the file is encrypted and `passphrase` is `None`,
    /// [`KeyError::Passphrase`] if the passphrase does not open it, otherwise the reason why the
    /// key is not acceptable.
    pub fn from_pem(
        pem: &str,
        passphrase: Option<&[u8]>,
        provider: &dyn Provider,
    ) -> Result<Self, KeyError> {
        let (pem_label, document) =
            SecretDocument::from_pem(pem).map_err(|_| KeyError::Encoding)?;
        let document = match (pem_label, passphrase) {
            (PLAIN_LABEL, _) => document,
            (ENCRYPTED_LABEL, None) => return Err(KeyError::PassphraseNeeded),
            (ENCRYPTED_LABEL, Some(passphrase)) => decrypt(&document, passphrase)?,
            _ => return Err(KeyError::Encoding),
        };
        let key =
            RsaPrivateKey::from_pkcs8_der(document.as_bytes()).map_err(|_| KeyError::Encoding)?;
        Self::from_key(key, provider)
    }

    /// Encodes the key as PKCS#8 PEM. With a passphrase it is encrypted with scrypt and
    /// AES-256-CBC, which `openssl pkey` can read.
    pub fn to_pem<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
        passphrase: Option<&[u8]>,
    ) -> Result<Zeroizing<String>, KeyError> {
        let Some(passphrase) = passphrase else {
            return self
                .key
                .to_pkcs8_pem(LineEnding::LF)
                .map_err(|_| KeyError::Encoding);
        };
        encrypt(&self.key, rng, passphrase)?
            .to_pem(ENCRYPTED_LABEL, LineEnding::LF)
            .map_err(|_| KeyError::Encoding)
    }

    /// Returns the public half.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Returns this identity's peer id in `circle`.
    pub fn peer_id(&self, circle: &CircleId) -> PeerId {
        self.certificate.peer_id(circle)
    }

    /// Signs `message` with PSS-SHA256.
    pub fn sign(&self, rng: &mut dyn CryptoRng, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.private.sign(rng, message)
    }

    /// Unwraps a secret that was wrapped under the certificate with the same `label`.
    pub fn unwrap(
        &self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
        self.private.unwrap(rng, label, wrapped)
    }

    /// Derives the key of the daemon's store, so that the store can be read only by a party that
    /// can unlock the identity. The key depends on the private key, not on its encoding.
    pub fn store_key(&self) -> Secret<32> {
        self.derive_key("store key")
    }

    /// Derives the key of the store in which a provider keeps letters (docs/spec/mailbox-store.md).
    pub fn mailbox_key(&self) -> Secret<32> {
        self.derive_key("mailbox store key")
    }

    /// Derives the key from which the secrets of the daemon's lines follow
    /// (docs/spec/line.md#tokens).
    pub fn line_key(&self) -> LineKey {
        LineKey::new(self.derive_key("line key"))
    }

    /// Derives the key for backups that the identity's passphrase unlocks
    /// (docs/spec/backup.md#layout).
    pub fn backup_key(&self) -> Secret<32> {
        self.derive_key("backup key")
    }

    fn derive_key(&self, purpose: &str) -> Secret<32> {
        // Key files may list the primes in either order, and libraries may pad them.
        let mut primes: Vec<_> = self.key.primes().iter().collect();
        primes.sort_unstable();
        let mut material = Zeroizing::new(Vec::with_capacity(1024));
        for prime in primes {
            let bytes = Zeroizing::new(prime.to_be_bytes());
            material.extend(bytes.iter().skip_while(|byte| **byte == 0));
        }
        label::derive(&material, self.certificate.spki_der(), purpose, &[])
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

fn decrypt(document: &SecretDocument, passphrase: &[u8]) -> Result<SecretDocument, KeyError> {
    let opened = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|_| KeyError::Encoding)?
        .decrypt(passphrase)
        .map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(
                pkcs5::Error::UnsupportedAlgorithm { .. }
                | pkcs5::Error::NoPbes1CryptSupport
                | pkcs5::Error::AlgorithmParametersInvalid { .. },
            ) => KeyError::Encoding,
            _ => KeyError::Passphrase,
        })?;
    // One wrong passphrase in 256 decrypts to valid padding.
    PrivateKeyInfoRef::try_from(opened.as_bytes()).map_err(|_| KeyError::Passphrase)?;
    Ok(opened)
}

fn encrypt<R: CryptoRng + ?Sized>(
    key: &RsaPrivateKey,
    rng: &mut R,
    passphrase: &[u8],
) -> Result<SecretDocument, KeyError> {
    let der = key.to_pkcs8_der().map_err(|_| KeyError::Encoding)?;
    let info = PrivateKeyInfoRef::try_from(der.as_bytes()).map_err(|_| KeyError::Encoding)?;
    let mut salt = [0; 16];
    let mut iv = [0; 16];
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut iv);
    let cost =
        scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).map_err(|_| KeyError::Library)?;
    let params = pbes2::Parameters::generate_scrypt_aes256cbc(cost, &salt, iv)
        .map_err(|_| KeyError::Library)?;
    info.encrypt_with_params(params, passphrase)
        .map_err(|_| KeyError::Encoding)
}
