//! Signatures as in Standard Webhooks (<https://www.standardwebhooks.com>).

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// How the text of a secret begins.
const PREFIX: &str = "whsec_";
/// The lengths of a secret, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// The most secrets of a webhook: the current one and its successor.
const MOST: usize = 4;

/// The secrets that a webhook shares with its receiver. Each signs, so that a receiver can change to another one.
pub(super) struct Secrets(Vec<Zeroizing<Vec<u8>>>);

impl Secrets {
    /// Parses the lines of a secret file: `whsec_` and 24 to 64 bytes in Base64. Returns nothing if they are not valid.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Option<Vec<_>> = lines.map(secret).collect();
        let secrets = secrets.filter(|it| !it.is_empty() && it.len() <= MOST)?;
        Some(Self(secrets))
    }

    /// Returns the value of the header `webhook-signature`.
    pub(super) fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let signatures: Vec<String> = self
            .0
            .iter()
            .filter_map(|secret| signature(secret, id, seconds, body))
            .collect();
        signatures.join(" ")
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrets(redacted)")
    }
}

fn secret(line: &str) -> Option<Zeroizing<Vec<u8>>> {
    let base64 = line.strip_prefix(PREFIX)?;
    let bytes = Zeroizing::new(BASE64.decode(base64.as_bytes()).ok()?);
    LENGTHS.contains(&bytes.len()).then_some(bytes)
}

fn signature(secret: &[u8], id: &str, seconds: u64, body: &[u8]) -> Option<String> {
    // HMAC accepts a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    let sum = BASE64.encode(&mac.finalize().into_bytes());
    Some(format!("v1,{sum}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn signed(secrets: &str) -> String {
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = br#"{"test": 2432232314}"#;
        Secrets::parse(secrets)
            .unwrap()
            .sign(id, 1_614_265_330, body)
    }

    #[test]
    fn the_example_of_the_specification_has_its_signature() {
        assert_eq!(signed(SECRET), SIGNED);
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let both = signed(&format!("{SECRET}\n{other}\n"));
        assert_eq!(both, format!("{SIGNED} {}", signed(other)));
    }

    #[test]
    fn weak_and_malformed_secrets_are_refused() {
        for wrong in [
            "",
            "\n",
            "secret",
            "whsec_",
            "whsec_AAAA",
            "whsec_!",
            &SECRET[6..],
        ] {
            assert!(Secrets::parse(wrong).is_none(), "{wrong:?}");
        }
        let long = format!("whsec_{}", "A".repeat(88));
        assert!(Secrets::parse(&long).is_none());
        assert!(Secrets::parse(&format!("{SECRET}\n").repeat(5)).is_none());
        assert_eq!(
            format!("{:?}", Secrets::parse(SECRET)),
            "Some(Secrets(redacted))"
        );
    }
}
