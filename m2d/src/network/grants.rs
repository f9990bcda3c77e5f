//! A session's part in the grants of its epochs (docs/spec/envelope.md#session) and in letters.

use bytes::Bytes;
use m2_crypto::Secret;
use m2_crypto::envelope::{EpochSecret, Grant, SESSION_NAME_BYTES};
use m2_crypto::letter::LetterSecret;
use m2_net::session::{SessionError, SessionHandle};

/// Returns the session's name in grants.
pub(super) fn name_in_grants(
    handle: &SessionHandle,
) -> Result<[u8; SESSION_NAME_BYTES], SessionError> {
    let exported = handle.exporter(EpochSecret::EXPORT_OF_NAME, &[])?;
    let name = exported.expose().first_chunk();
    Ok(*name.unwrap_or(&[0; SESSION_NAME_BYTES]))
}

/// Returns the secrets of the epochs of a session: those that this side opens, then the peer's.
pub(super) fn epoch_secrets(
    handle: &SessionHandle,
) -> Result<(EpochSecret, EpochSecret), SessionError> {
    let name = name_in_grants(handle)?;
    let secret = |label| {
        let exported = handle.exporter(label, &[])?;
        Ok::<_, SessionError>(EpochSecret::new(name, exported))
    };
    let of_initiator = secret(EpochSecret::EXPORT_OF_INITIATOR)?;
    let of_responder = secret(EpochSecret::EXPORT_OF_RESPONDER)?;
    Ok(match handle.dialled() {
        true => (of_initiator, of_responder),
        false => (of_responder, of_initiator),
    })
}

/// Returns the secret that a session leaves for letters (docs/spec/letter.md#letter-secrets).
pub(super) fn letter_secret(handle: &SessionHandle) -> Result<LetterSecret, SessionError> {
    let exported = handle.exporter(LetterSecret::EXPORT, &[])?;
    Ok(LetterSecret::new(name_in_grants(handle)?, exported))
}

/// Returns the look-up secrets of a session: this side's, and the peer's.
pub(super) fn lookup_secrets(
    handle: &SessionHandle,
) -> Result<(Secret<32>, Secret<32>), SessionError> {
    let of_initiator = handle.exporter(b"look-up secret of the initiator", &[])?;
    let of_responder = handle.exporter(b"look-up secret of the responder", &[])?;
    Ok(match handle.dialled() {
        true => (of_initiator, of_responder),
        false => (of_responder, of_initiator),
    })
}

/// Opens the grants of a session.
pub(super) struct GrantOpener {
    /// The last grant that was opened, so that copies cost nothing.
    pub(super) last: Bytes,
    /// The secret of the epochs that the peer opens; absent while a grant is opened.
    pub(super) secret: Option<EpochSecret>,
}

impl GrantOpener {
    pub(super) fn new(secret: EpochSecret) -> Self {
        Self {
            last: Bytes::new(),
            secret: Some(secret),
        }
    }

    /// Returns whether a grant was made for another session, or for an epoch that this one has passed.
    pub(super) fn is_of_another_session(&self, grant: &Grant<'_>) -> bool {
        let secret = self.secret.as_ref();
        secret.is_some_and(|secret| grant.check_session(secret).is_err())
    }
}
