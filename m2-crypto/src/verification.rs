//! Verification codes, which two people compare by voice
//! (docs/spec/identity.md#verification-codes).

use crate::certificate::Certificate;
use crate::circle::CircleId;
use crate::label;
use sha2::{Digest, Sha512_256};
use std::fmt;

/// How often each certificate is hashed. It raises the cost of searching for a certificate with a
/// similar code by this factor.
const ITERATIONS: usize = 5200;

/// Digits of one certificate's half.
const HALF_DIGITS: usize = 30;
const GROUP_DIGITS: usize = 5;

/// A code of 60 digits derived from both certificates and the circle, equal on both sides.
/// `Display` prints 12 groups of 5 digits.
#[derive(Clone, PartialEq, Eq)]
pub struct VerificationCode(String);

impl VerificationCode {
    /// Computes the code of two certificates in one circle, in either order. Takes about 10 ms.
    pub fn of(circle: &CircleId, one: &Certificate, other: &Certificate) -> Self {
        let mut halves = [half(circle, one), half(circle, other)];
        halves.sort_unstable();
        Self(halves.concat())
    }

    /// Returns the 60 digits without spaces.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, digit) in self.0.chars().enumerate() {
            if at > 0 && at % GROUP_DIGITS == 0 {
                f.write_str(" ")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerificationCode(..)")
    }
}

/// Computes the 30 digits of one certificate: six times 5 bytes of the digest, modulo 100,000.
fn half(circle: &CircleId, certificate: &Certificate) -> String {
    let mut digest = *circle.as_bytes();
    for _ in 0..ITERATIONS {
        let input = label::encode("verification", &[&digest, certificate.spki_der()]);
        digest = Sha512_256::digest(input).into();
    }
    digest
        .chunks_exact(GROUP_DIGITS)
        .take(HALF_DIGITS / GROUP_DIGITS)
        .map(|chunk| {
            let number = chunk
                .iter()
                .fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
            format!("{:05}", number % 100_000)
        })
        .collect()
}
