//! Domain separation: everything that is signed, hashed, authenticated or derived is
//! `"m2 v1 <purpose>" ‖ 0x00 ‖` length-prefixed fields (spec §1).

use crate::secret::Secret;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The unambiguous encoding of a purpose and its fields. Each field is preceded by its length
/// in bytes, 4 bytes big-endian, so no two purposes and no two field lists can collide.
pub fn encode(purpose: &str, fields: &[&[u8]]) -> Vec<u8> {
    let size = fields.iter().map(|f| f.len() + 4).sum::<usize>();
    let mut out = Vec::with_capacity(size + purpose.len() + 7);
    out.extend_from_slice(b"m2 v1 ");
    out.extend_from_slice(purpose.as_bytes());
    out.push(0);
    for field in fields {
        // Fields are bounded by the caller's buffers, far below 4 GiB.
        out.extend_from_slice(&(field.len() as u32).to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

/// SHA-256 of [`encode`].
pub fn hash(purpose: &str, fields: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(encode(purpose, fields)).into()
}

/// HMAC-SHA256 of [`encode`] under `key`.
pub fn mac(key: &[u8], purpose: &str, fields: &[&[u8]]) -> [u8; 32] {
    mac_raw(key, &[&encode(purpose, fields)])
}

/// HMAC-SHA256 over the concatenation of `parts`, for callers whose input is already
/// unambiguous.
pub(crate) fn mac_raw(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = new_hmac(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn new_hmac(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes a key of any length; the error type is the trait's, not the algorithm's.
    #[allow(clippy::expect_used)]
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC accepts every key length")
}

/// HKDF-SHA256: extract from `ikm` with `salt`, expand with [`encode`] as info.
///
/// `N` is at most 8,160 bytes (HKDF's limit); all uses are 16 to 64.
pub fn derive<const N: usize>(
    ikm: &[u8],
    salt: &[u8],
    purpose: &str,
    fields: &[&[u8]],
) -> Secret<N> {
    const { assert!(N <= 255 * 32, "HKDF-SHA256 yields at most 8,160 bytes") };
    let mut out = [0; N];
    #[allow(clippy::expect_used)]
    Hkdf::<Sha256>::new(Some(salt), ikm)
        .expand(&encode(purpose, fields), &mut out)
        .expect("N is within HKDF's limit");
    Secret::new(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_borders_matter() {
        assert_ne!(hash("t", &[b"ab", b"c"]), hash("t", &[b"a", b"bc"]));
        assert_ne!(hash("t", &[b"ab"]), hash("t", &[b"ab", b""]));
        assert_ne!(hash("t", &[]), hash("t\0", &[]));
    }
}
