//! X25519 (RFC 7748), for one-time keys (docs/spec/letter.md#one-time-keys).
//!
//! One implementation serves both crypto providers: its multiplication is constant-time, and a point
//! of low order has the same result in every build.

use crate::error::KeyError;
use crate::secret::Secret;
use curve25519_dalek::MontgomeryPoint;
use subtle::ConstantTimeEq;
use zeroize::Zeroize as _;

/// Bytes of a private key, of a public key and of a shared secret.
pub(crate) const KEY_BYTES: usize = 32;

/// Returns the public half of a private key.
pub(crate) fn public(private: &Secret<KEY_BYTES>) -> [u8; KEY_BYTES] {
    MontgomeryPoint::mul_base_clamped(*private.expose()).to_bytes()
}

/// Returns the secret that `private` shares with the holder of the private half of `public`.
///
/// Errors: [`KeyError::Encoding`] if the secret is zero, which every private key yields for a point
/// of low order.
pub(crate) fn agree(
    private: &Secret<KEY_BYTES>,
    public: &[u8; KEY_BYTES],
) -> Result<Secret<KEY_BYTES>, KeyError> {
    let mut point = MontgomeryPoint(*public).mul_clamped(*private.expose());
    let shared = Secret::filled(|to| *to = *point.as_bytes());
    point.zeroize();
    if shared.expose().ct_eq(&[0; KEY_BYTES]).into() {
        return Err(KeyError::Encoding);
    }
    Ok(shared)
}

/// Checks that a public key is not a point of low order.
///
/// Errors: [`KeyError::Encoding`].
pub(crate) fn check_public(public: &[u8; KEY_BYTES]) -> Result<(), KeyError> {
    agree(&Secret::new([0; KEY_BYTES]), public).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(hex: &str) -> [u8; KEY_BYTES] {
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        bytes.try_into().unwrap()
    }

    /// RFC 7748, section 5.2: each result is the next private key, and the private key the next
    /// point.
    #[test]
    fn iterated_multiplication_is_that_of_the_rfc() {
        let mut base = [0; KEY_BYTES];
        base[0] = 9;
        let (mut private, mut point) = (base, base);
        for round in 1..=1_000 {
            let next = *agree(&Secret::new(private), &point).unwrap().expose();
            point = private;
            private = next;
            if round == 1 {
                let first = "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079";
                assert_eq!(private, key(first));
            }
        }
        let last = "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51";
        assert_eq!(private, key(last));
    }

    #[test]
    fn both_sides_share_a_secret() {
        let (one, other) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let shared = agree(&one, &public(&other)).unwrap();
        assert_eq!(agree(&other, &public(&one)).unwrap(), shared);
        let mut base = [0; KEY_BYTES];
        base[0] = 9;
        assert_eq!(*agree(&one, &base).unwrap().expose(), public(&one));
    }

    #[test]
    fn points_of_low_order_are_rejected() {
        let points = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        for point in points.map(key) {
            let mut high = point;
            high[31] |= 0x80;
            for point in [point, high] {
                assert_eq!(check_public(&point), Err(KeyError::Encoding));
                for private in [[0; 32], [0x77; 32], [0xff; 32]] {
                    let shared = agree(&Secret::new(private), &point);
                    assert_eq!(shared, Err(KeyError::Encoding));
                }
            }
        }
        let mut base = [0; KEY_BYTES];
        base[0] = 9;
        assert_eq!(check_public(&base), Ok(()));
    }
}
