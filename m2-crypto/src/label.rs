//! Domain separation. All input that is signed, hashed, authenticated or used in key derivation is
//! encoded as `"m2 v1 <purpose>" ‖ 0x00 ‖` length-prefixed fields
//! (docs/spec/conventions.md#labels).

use crate::secret::Secret;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// Encodes a purpose and its fields unambiguously. Each field is preceded by its length as 4 bytes
/// big-endian, so no two purposes and no two field lists have the same encoding.
pub fn encode(purpose: &str, fields: &[&[u8]]) -> Vec<u8> {
    let size = fields.iter().map(|f| f.len() + 4).sum::<usize>();
    let mut out = Vec::with_capacity(size + purpose.len() + 7);
    feed(purpose, fields, |part| out.extend_from_slice(part));
    out
}

/// Computes SHA-256 of [`encode`] without concatenating the fields first.
pub fn hash(purpose: &str, fields: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    feed(purpose, fields, |part| hash.update(part));
    hash.finalize().into()
}

/// Computes HMAC-SHA256 of [`encode`] under `key` without concatenating the fields first.
pub fn mac(key: &[u8], purpose: &str, fields: &[&[u8]]) -> [u8; 32] {
    let mut mac = new_hmac(key);
    feed(purpose, fields, |part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Returns the first 16 bytes of [`mac`].
pub(crate) fn short_mac(key: &[u8], purpose: &str, fields: &[&[u8]]) -> [u8; 16] {
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(mac(key, purpose, fields)) {
        *to = from;
    }
    short
}

/// Passes the parts of [`encode`] to `take` in order.
fn feed(purpose: &str, fields: &[&[u8]], mut take: impl FnMut(&[u8])) {
    take(b"m2 v1 ");
    take(purpose.as_bytes());
    take(&[0]);
    for field in fields {
        // Fields are bounded by the caller's buffers, far below 4 GiB.
        take(&(field.len() as u32).to_be_bytes());
        take(field);
    }
}

fn new_hmac(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes a key of any length; the error type belongs to the trait, not to the algorithm.
    #[allow(clippy::expect_used)]
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC accepts every key length")
}

/// Derives a key with HKDF-SHA256: extract from `ikm` with `salt`, expand with [`encode`] as info.
///
/// `N` is at most 8,160 bytes (HKDF's limit); all uses are 16 to 64.
pub fn derive<const N: usize>(
    ikm: &[u8],
    salt: &[u8],
    purpose: &str,
    fields: &[&[u8]],
) -> Secret<N> {
    const { assert!(N <= 255 * 32, "HKDF-SHA256 yields at most 8,160 bytes") };
    let derived = Secret::filled(|out| derive_into(out, ikm, salt, &encode(purpose, fields)));
    erase_stack();
    derived
}

/// Derives a key of at most 8,160 bytes. It is not inlined, so that [`erase_stack`] reaches its variables.
#[inline(never)]
fn derive_into(out: &mut [u8], ikm: &[u8], salt: &[u8], info: &[u8]) {
    let (mut extracted, hkdf) = Hkdf::<Sha256>::extract(Some(salt), ikm);
    extracted.zeroize();
    #[allow(clippy::expect_used)]
    hkdf.expand(info, out)
        .expect("the length is within HKDF's limit");
}

/// Overwrites the 4 KiB of the stack that the last call may have used: the libraries leave blocks of the
/// derived key there.
#[inline(never)]
fn erase_stack() {
    let mut used = [0_u64; 512];
    used.zeroize();
    std::hint::black_box(&used);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_boundaries_are_unambiguous() {
        assert_ne!(hash("t", &[b"ab", b"c"]), hash("t", &[b"a", b"bc"]));
        assert_ne!(hash("t", &[b"ab"]), hash("t", &[b"ab", b""]));
        assert_ne!(hash("t", &[]), hash("t\0", &[]));
    }
}
