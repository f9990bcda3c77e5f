//! The stable reasons of the API's errors.
//!
//! Every error of `m2.api.v1` carries a `google.rpc.ErrorInfo` with the domain [`DOMAIN`] and one
//! of these reasons. Programs must branch on the reason; the sentence is for people and may change.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of all reasons in `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "m2.api.v1";

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $text:literal $code:ident $sentence:literal;)*) => {
        /// The reason why a call failed. New versions of the daemon may add reasons.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// All reasons, in the order in which they are documented.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the reason as in `ErrorInfo`, such as `CONTACT_UNKNOWN`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Returns the gRPC code of the reason.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$variant => Code::$code,)* }
            }

            /// Returns a sentence for people: what happened and what to do next.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

reasons! {
    /// The identity is encrypted and not unlocked yet.
    Locked "LOCKED" FailedPrecondition
        "The daemon is locked. Unlock it with the identity's passphrase.";
    /// The daemon is not locked.
    NotLocked "NOT_LOCKED" FailedPrecondition
        "The daemon is not locked, so there is nothing to unlock.";
    /// The passphrase does not open the key file.
    WrongPassphrase "WRONG_PASSPHRASE" PermissionDenied
        "The passphrase is wrong. Check it and try again.";
    /// The daemon is draining before it stops.
    Stopping "STOPPING" Unavailable
        "The daemon is stopping. Try again once it runs again.";
    /// The caller is neither the user that the daemon runs as, nor root, nor a user of `[access]`; or its
    /// access token does not permit the call.
    NotAllowed "NOT_ALLOWED" PermissionDenied
        "Not allowed: only the user that the daemon runs as, and root, may call it.";
    /// The access token is not valid: it is malformed, unknown, expired or revoked.
    TokenInvalid "TOKEN_INVALID" Unauthenticated
        "The access token is not valid: it is unknown, has expired or was revoked. Ask the owner for \
         another one, made with `m2 token create`.";
    /// No access token has this name.
    TokenUnknown "TOKEN_UNKNOWN" NotFound
        "No access token has this name. `m2 token list` shows all.";
    /// A field of the request is not valid. The error's metadata names the `field` and its `limit`.
    InvalidArgument "INVALID_ARGUMENT" InvalidArgument
        "A value in the request is not valid. Check it against the reference of the API.";
    /// The daemon's disk is full.
    DiskFull "DISK_FULL" ResourceExhausted
        "The daemon's disk is full; nothing was stored. Make room and try again.";
    /// The store's file or its file system is read-only.
    StoreReadOnly "STORE_READ_ONLY" FailedPrecondition
        "The daemon's store is read-only; nothing was stored. Make the file and its file system \
         writable and try again.";
    /// The store's file is damaged.
    StoreDamaged "STORE_DAMAGED" DataLoss
        "The daemon's store is damaged. Stop the daemon, find out what is affected with \
         `m2d check`, and restore a backup with `m2d restore`.";
    /// The disk that holds the store reports errors.
    StoreIoError "STORE_IO_ERROR" Internal
        "The disk of the daemon's store reports errors; nothing was stored. Look at the system's \
         log, back up the data directory, and replace the disk.";
    /// The store belongs to another identity.
    StoreWrongKey "STORE_WRONG_KEY" FailedPrecondition
        "The daemon's store does not open with this identity. Put back the identity.pem that \
         belongs to it, or restore a backup with `m2d restore`.";
    /// A limit on the number of contacts, invitations, relays or similar items is reached. The
    /// error's metadata names the limited `field` and its `limit`.
    LimitReached "LIMIT_REACHED" ResourceExhausted
        "A limit on stored items is reached. Remove items that are no longer needed, then try again.";
    /// The daemon's store failed; nothing of the call was stored.
    StoreFailed "STORE_FAILED" Internal
        "The daemon could not write its store; nothing was stored. Its log says why; try again.";
    /// The daemon failed for a reason that the caller can't remedy.
    Internal "INTERNAL" Internal
        "The daemon failed. Read its log for the cause, then try again.";
    /// Another backup is being made.
    BackupRunning "BACKUP_RUNNING" FailedPrecondition
        "Another backup is being made. Wait until it is done and try again.";
    /// The identity's key has no passphrase.
    NoPassphrase "NO_PASSPHRASE" FailedPrecondition
        "The identity has no passphrase that could protect a backup. Choose one for the backup.";
    /// The text is not an invitation.
    InvitationInvalid "INVITATION_INVALID" InvalidArgument
        "Not a valid M2 invitation. Copy it again completely, beginning with m2://.";
    /// The invitation has expired.
    InvitationExpired "INVITATION_EXPIRED" FailedPrecondition
        "This invitation has expired. Ask its sender for a new one.";
    /// The invitation was made by this daemon.
    InvitationOwn "INVITATION_OWN" InvalidArgument
        "This is your own invitation. Send it to the other person, who adds it there.";
    /// No invitation has this id, or it has expired, was used up or was revoked.
    InvitationUnknown "INVITATION_UNKNOWN" NotFound
        "No open invitation has this id: it never existed, has expired, was used or was revoked.";
    /// The invitation was made in another circle.
    OtherCircle "OTHER_CIRCLE" FailedPrecondition
        "This invitation belongs to another circle. Use the daemon of that circle.";
    /// Another contact has this name, or one that looks like it.
    NameTaken "NAME_TAKEN" AlreadyExists
        "Another contact has this name, or a name that looks like it. Choose a different name.";
    /// No contact has this name or id.
    ContactUnknown "CONTACT_UNKNOWN" NotFound
        "No contact has this name or peer id.";
    /// Several contacts match.
    ContactAmbiguous "CONTACT_AMBIGUOUS" InvalidArgument
        "Several contacts match. Give the whole name, or more characters of the peer id.";
    /// The peer is known but is not a contact at present.
    NotAContact "NOT_A_CONTACT" FailedPrecondition
        "This peer is not a contact: both sides must have agreed first.";
    /// The peer has no open request to become a contact.
    NoRequest "NO_REQUEST" FailedPrecondition
        "This peer has no open request to become a contact.";
    /// No mailbox is registered with this provider.
    MailboxUnknown "MAILBOX_UNKNOWN" NotFound
        "No mailbox is registered with this provider.";
    /// Several providers match.
    MailboxAmbiguous "MAILBOX_AMBIGUOUS" InvalidArgument
        "Several providers match. Give more characters of the peer id.";
    /// The relay is not one of this daemon's own relays.
    LineUnknown "LINE_UNKNOWN" NotFound
        "This relay is not one of this daemon's own relays.";
    /// Several relays match.
    LineAmbiguous "LINE_AMBIGUOUS" InvalidArgument
        "Several relays match. Give more characters of the peer id.";
    /// No message has this id.
    MessageUnknown "MESSAGE_UNKNOWN" NotFound
        "There is no such message, it is gone, or it is in another conversation. An id is 32 hexadecimal digits.";
    /// The message was written by the other side.
    NotAuthor "NOT_AUTHOR" PermissionDenied
        "Only the author of a message may do this.";
    /// The content is larger than 48 KiB.
    MessageTooLarge "MESSAGE_TOO_LARGE" InvalidArgument
        "The content is larger than 48 KiB (49,152 bytes). Send it in several messages.";
    /// The idempotency key was used with a different request.
    KeyReused "KEY_REUSED" AlreadyExists
        "This idempotency key was used for a different message. Use a new key for each message.";
    /// The outbox for this contact is full.
    OutboxFull "OUTBOX_FULL" ResourceExhausted
        "Too many messages wait for this contact. Try again when some of them are delivered.";
    /// The cursor is malformed, belongs to another event log, or is of the future.
    CursorInvalid "CURSOR_INVALID" OutOfRange
        "This cursor is not valid: it is malformed or belongs to another event log. Start from the oldest event.";
    /// The client name already has a stream.
    ClientInUse "CLIENT_IN_USE" FailedPrecondition
        "Another listener uses this client name. End it or choose another name.";
    /// The client name is shared by several workers, and the call is for one listener alone, or the other way round.
    ClientModeDiffers "CLIENT_MODE_DIFFERS" FailedPrecondition
        "This client name is used in the other mode: shared by workers, or by one listener alone. Choose another name.";
    /// No client of this name has subscribed.
    ClientUnknown "CLIENT_UNKNOWN" NotFound
        "No front-end of this name has subscribed yet.";
}

impl Reason {
    /// Returns the error with the default sentence.
    #[must_use]
    pub fn status(self) -> Status {
        self.status_with(self.sentence())
    }

    /// Returns the error with a specific sentence. The sentence must not contain a peer, an address
    /// or content (docs/threat-model.md).
    #[must_use]
    pub fn status_with(self, sentence: impl Into<String>) -> Status {
        self.status_about(sentence, HashMap::new())
    }

    /// Returns the error with a specific sentence and with metadata for programs, such as the
    /// invalid `field` of the request and its `limit`.
    #[must_use]
    pub fn status_about(
        self,
        sentence: impl Into<String>,
        metadata: HashMap<String, String>,
    ) -> Status {
        let details = ErrorDetails::with_error_info(self.as_str(), DOMAIN, metadata);
        Status::with_error_details(self.code(), sentence, details)
    }

    /// Returns the reason of an error, or `None` if it is not an M2 error or its reason is unknown
    /// to this version.
    #[must_use]
    pub fn of(status: &Status) -> Option<Self> {
        text_of(status)?.parse().ok()
    }
}

/// Returns the reason of an M2 error as text, also one that is unknown to this version.
#[must_use]
pub fn text_of(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then_some(info.reason)
}

/// Returns the metadata of an M2 error, such as the invalid `field` of the request and its `limit`,
/// sorted by key.
#[must_use]
pub fn metadata_of(status: &Status) -> Vec<(String, String)> {
    let info = status.get_details_error_info();
    let ours = info.filter(|info| info.domain == DOMAIN);
    let mut metadata: Vec<_> = ours
        .map(|info| info.metadata.into_iter().collect())
        .unwrap_or_default();
    metadata.sort();
    metadata
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Reason> for Status {
    fn from(reason: Reason) -> Self {
        reason.status()
    }
}

/// The text is not a reason known to this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this version does not know the reason")]
pub struct UnknownReason;

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == text)
            .ok_or(UnknownReason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_round_trip_through_a_status() {
        for reason in Reason::ALL {
            let status = reason.status();
            assert_eq!(Reason::of(&status), Some(*reason));
            assert_eq!(status.code(), reason.code());
            assert_eq!(status.message(), reason.sentence());
            assert_eq!(reason.as_str().parse::<Reason>(), Ok(*reason));
        }
    }

    #[test]
    fn reasons_are_valid_error_info() {
        for reason in Reason::ALL {
            let text = reason.as_str();
            assert!(text.len() <= 63);
            assert!(text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        }
    }

    #[test]
    fn metadata_round_trips_through_a_status() {
        let metadata = metadata_pairs().into();
        let status = Reason::InvalidArgument.status_about("The limit.", metadata);
        let [limit, field] = metadata_pairs();
        assert_eq!(metadata_of(&status), [field, limit]);
        assert_eq!(metadata_of(&Status::internal("plain")), []);
    }

    fn metadata_pairs() -> [(String, String); 2] {
        [
            ("limit".to_owned(), "1..1000".to_owned()),
            ("field".to_owned(), "limit".to_owned()),
        ]
    }

    #[test]
    fn reasons_of_another_domain_are_ignored() {
        let details = ErrorDetails::with_error_info("LOCKED", "example.org", []);
        let status = Status::with_error_details(Code::Internal, "no", details);
        assert_eq!(Reason::of(&status), None);
        assert_eq!(text_of(&Status::internal("plain")), None);
    }

    #[test]
    fn a_reason_of_a_newer_daemon_can_be_read() {
        let details = ErrorDetails::with_error_info("BRAND_NEW", DOMAIN, []);
        let status = Status::with_error_details(Code::Internal, "no", details);
        assert_eq!(Reason::of(&status), None);
        assert_eq!(text_of(&status).unwrap(), "BRAND_NEW");
    }
}
