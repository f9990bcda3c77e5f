//! The stable reasons of the API's errors.
//!
//! Every error of `m2.api.v1` carries a `google.rpc.ErrorInfo` with the domain [`DOMAIN`] and
//! one of these reasons. Programs branch on the reason; the sentence is for people and may
//! change.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of every reason here, as in `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "m2.api.v1";

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $text:literal $code:ident $sentence:literal;)*) => {
        /// Why a call failed. New reasons may come with new versions of the daemon.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason, in the order in which they are documented.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The reason as it stands in `ErrorInfo`, such as `CONTACT_UNKNOWN`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The gRPC code that goes with it.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$variant => Code::$code,)* }
            }

            /// What happened and what to do next, for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

reasons! {
    /// The identity is encrypted and was not opened yet.
    Locked "LOCKED" FailedPrecondition
        "The daemon is locked. Unlock it with the identity's passphrase.";
    /// The daemon is not locked.
    NotLocked "NOT_LOCKED" FailedPrecondition
        "The daemon is not locked, so there is nothing to unlock.";
    /// The passphrase does not open the key file.
    WrongPassphrase "WRONG_PASSPHRASE" PermissionDenied
        "The passphrase is wrong. Check it and try again.";
    /// The daemon drains before it stops.
    Stopping "STOPPING" Unavailable
        "The daemon is stopping. Try again once it runs again.";
    /// The caller is another user of the machine than the daemon's.
    NotAllowed "NOT_ALLOWED" PermissionDenied
        "Not allowed: only the user that the daemon runs as may call it.";
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
    /// A bound on the number of contacts, invitations, relays or the like is reached. The error's
    /// metadata names the `field` that is bounded and its `limit`.
    LimitReached "LIMIT_REACHED" ResourceExhausted
        "A limit on stored items is reached. Remove items that are no longer needed, then try again.";
    /// The daemon's store failed; nothing of the call was stored.
    StoreFailed "STORE_FAILED" Internal
        "The daemon could not write its store; nothing was stored. Its log says why; try again.";
    /// The daemon failed in a way that the caller can't mend.
    Internal "INTERNAL" Internal
        "The daemon failed. Look into its log for the cause, then try again.";
    /// Another backup is being made.
    BackupRunning "BACKUP_RUNNING" FailedPrecondition
        "Another backup is being made. Wait until it is done and try again.";
    /// The identity's key has no passphrase.
    NoPassphrase "NO_PASSPHRASE" FailedPrecondition
        "The identity has no passphrase that could protect a backup. Choose one for the backup.";
    /// The text is not an invitation.
    InvitationInvalid "INVITATION_INVALID" InvalidArgument
        "Not a valid M2 invitation. Copy it again completely, beginning with m2://.";
    /// The invitation's time is over.
    InvitationExpired "INVITATION_EXPIRED" FailedPrecondition
        "This invitation has expired. Ask its sender for a new one.";
    /// The invitation is this daemon's own.
    InvitationOwn "INVITATION_OWN" InvalidArgument
        "This is your own invitation. Send it to the other person, who adds it there.";
    /// No such invitation, or it is expired, used up or revoked.
    InvitationUnknown "INVITATION_UNKNOWN" NotFound
        "No open invitation has this id: it never existed, has expired, was used or was revoked.";
    /// The invitation comes from another circle.
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
    /// The peer is known, but is not a contact: not yet, or not any more.
    NotAContact "NOT_A_CONTACT" FailedPrecondition
        "This peer is not a contact: both sides must have agreed first.";
    /// The peer did not ask to become a contact.
    NoRequest "NO_REQUEST" FailedPrecondition
        "This peer has no open request to become a contact.";
    /// No mailbox is registered with such a provider.
    MailboxUnknown "MAILBOX_UNKNOWN" NotFound
        "No mailbox is registered with this provider.";
    /// The relay is not in use.
    LineUnknown "LINE_UNKNOWN" NotFound
        "This daemon does not use such a relay.";
    /// No such message.
    MessageUnknown "MESSAGE_UNKNOWN" NotFound
        "No message has this id. An id is 32 hexadecimal digits.";
    /// The message was written by the other side.
    NotAuthor "NOT_AUTHOR" PermissionDenied
        "Only the author of a message may do this.";
    /// The content is larger than 48 KiB.
    MessageTooLarge "MESSAGE_TOO_LARGE" InvalidArgument
        "The content is larger than 48 KiB (49,152 bytes). Send it in several messages.";
    /// The idempotency key was used with another body.
    KeyReused "KEY_REUSED" AlreadyExists
        "This idempotency key was used for a different message. Use a new key for each message.";
    /// Too much waits for this contact.
    OutboxFull "OUTBOX_FULL" ResourceExhausted
        "Too many messages wait for this contact. Try again when some of them are delivered.";
    /// The cursor is of another log, or older than what is kept.
    CursorInvalid "CURSOR_INVALID" OutOfRange
        "This cursor is not valid: it is malformed, of another event log, or older than the events that are kept. Start from the oldest event.";
    /// The client name has a stream already.
    ClientInUse "CLIENT_IN_USE" FailedPrecondition
        "Another listener uses this client name. End it or choose another name.";
    /// No client of this name has subscribed.
    ClientUnknown "CLIENT_UNKNOWN" NotFound
        "No front-end of this name has listened yet.";
}

impl Reason {
    /// The error with the default sentence.
    #[must_use]
    pub fn status(self) -> Status {
        self.status_with(self.sentence())
    }

    /// The error with a sentence of its own. The sentence must not name a peer, an address or
    /// content (spec §10).
    #[must_use]
    pub fn status_with(self, sentence: impl Into<String>) -> Status {
        self.status_about(sentence, HashMap::new())
    }

    /// The error with a sentence of its own and with metadata for programs, such as the `field` of
    /// the request that is wrong and its `limit`.
    #[must_use]
    pub fn status_about(
        self,
        sentence: impl Into<String>,
        metadata: HashMap<String, String>,
    ) -> Status {
        let details = ErrorDetails::with_error_info(self.as_str(), DOMAIN, metadata);
        Status::with_error_details(self.code(), sentence, details)
    }

    /// The reason of an error, when it is one of ours that this version knows.
    #[must_use]
    pub fn of(status: &Status) -> Option<Self> {
        text_of(status)?.parse().ok()
    }
}

/// The reason of an error as text, also one that this version does not know.
#[must_use]
pub fn text_of(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then_some(info.reason)
}

/// The metadata of an error, such as the `field` of the request that is wrong and its `limit`, in
/// the order of the keys.
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

/// A text that is no reason known to this version.
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
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_reason_survives_a_status() {
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
    fn metadata_survives_a_status() {
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
    fn another_domain_is_not_ours() {
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
