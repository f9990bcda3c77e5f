//! The text of an access token.

use m2_crypto::{Secret, label};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// The beginning of every token, by which scanners for leaked secrets find it.
const PREFIX: &str = "m2t_";
const SELECTOR_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
/// The length of the text: the prefix, the selector, an underscore and the secret, in hexadecimal digits.
const LENGTH: usize = PREFIX.len() + 2 * SELECTOR_BYTES + 1 + 2 * SECRET_BYTES;
const LABEL: &str = "access token";

/// The part of a token under which the daemon finds its entry. Not secret.
pub type Selector = [u8; SELECTOR_BYTES];

/// An access token: `m2t_`, 16 hexadecimal digits that select it, `_`, and 64 that are secret.
#[derive(Clone)]
pub struct AccessToken {
    selector: Selector,
    secret: Secret<SECRET_BYTES>,
}

impl AccessToken {
    /// Draws a token.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut selector = Selector::default();
        rng.fill_bytes(&mut selector);
        Self {
            selector,
            secret: Secret::random(rng),
        }
    }

    /// Parses the text of a token. Returns `None` if it is not exactly in the form of
    /// [`Self::to_text`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        let (selector, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let selector = data_encoding::HEXLOWER.decode(selector.as_bytes()).ok()?;
        let secret = data_encoding::HEXLOWER.decode(secret.as_bytes()).ok()?;
        let secret = Zeroizing::new(secret);
        Some(Self {
            selector: selector.try_into().ok()?,
            secret: Secret::from_slice(&secret)?,
        })
    }

    /// Returns the text of the token.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        text.push_str(PREFIX);
        data_encoding::HEXLOWER.encode_append(&self.selector, &mut text);
        text.push('_');
        data_encoding::HEXLOWER.encode_append(self.secret.expose(), &mut text);
        text
    }

    /// Returns the part under which the daemon finds the token's entry.
    #[must_use]
    pub const fn selector(&self) -> Selector {
        self.selector
    }

    /// Returns what the daemon stores of the secret. The secret has 256 bits, so a plain hash can't be
    /// searched.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        label::hash(LABEL, &[&self.selector, self.secret.expose()])
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AccessToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text() {
        let token = AccessToken::random(&mut rand::rng());
        let text = token.to_text();
        assert_eq!(text.len(), LENGTH);
        let parsed = AccessToken::parse(&text).unwrap();
        assert_eq!(parsed.selector(), token.selector());
        assert_eq!(parsed.hash(), token.hash());
        let other = AccessToken::random(&mut rand::rng());
        assert_ne!(other.hash(), token.hash());
    }

    #[test]
    fn another_text_is_no_token() {
        let token = AccessToken::random(&mut rand::rng());
        let text = token.to_text();
        let upper = text.to_uppercase();
        let longer = format!("{}0", text.as_str());
        let spaced = format!(" {}", text.as_str());
        let moved = text.replacen('_', "", 1) + "_";
        let wide = format!("m2t_{}", "é".repeat(40));
        for wrong in [
            "",
            "m2t_",
            &text[1..],
            &upper,
            &longer,
            &spaced,
            &moved,
            &wide,
        ] {
            assert!(AccessToken::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        let token = AccessToken::random(&mut rand::rng());
        assert_eq!(format!("{token:?}"), "AccessToken(redacted)");
    }
}
