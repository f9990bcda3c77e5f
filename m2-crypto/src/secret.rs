//! Fixed-size secrets.

use rand_core::CryptoRng;
use std::fmt;
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret of `N` bytes: zeroized on drop, redacted in `Debug`, without `Display`, compared in
/// constant time.
///
/// The bytes have one place in memory. A move copies a pointer and leaves nothing behind that is not
/// erased.
#[derive(Clone)]
pub struct Secret<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Takes ownership of secret bytes. The caller must erase its own copy, if it keeps one:
    /// [`Self::filled`] needs none.
    pub fn new(mut bytes: [u8; N]) -> Self {
        let secret = Self::filled(|to| to.copy_from_slice(&bytes));
        bytes.zeroize();
        secret
    }

    /// Lets `fill` write the secret to its place.
    pub fn filled(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut secret = Self(Box::new([0; N]));
        fill(&mut secret.0);
        secret
    }

    /// Draws a random secret.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self::filled(|bytes| rng.fill_bytes(bytes))
    }

    /// Copies a slice of exactly `N` bytes. Returns `None` for another length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; N] = bytes.try_into().ok()?;
        Some(Self::filled(|to| to.copy_from_slice(bytes)))
    }

    /// Copies the `M` bytes from `at` on, which must lie inside this secret.
    pub(crate) fn part<const M: usize>(&self, at: usize) -> Secret<M> {
        Secret::filled(|part| {
            for (to, from) in part.iter_mut().zip(self.0.iter().skip(at)) {
                *to = *from;
            }
        })
    }

    /// Returns the bytes, for the primitive that needs them.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

impl Secret<64> {
    /// Splits into two secrets of 32 bytes.
    pub(crate) fn halves(&self) -> (Secret<32>, Secret<32>) {
        (self.part(0), self.part(32))
    }
}

impl<const N: usize> ConstantTimeEq for Secret<N> {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_no_bytes() {
        assert_eq!(
            format!("{:?}", Secret::new([0xab_u8; 16])),
            "Secret<16>(..)"
        );
    }
}
