//! Why the daemon says no to a caller.

use crate::store::StoreError;
use m2_proto::reason::Reason;

/// A refusal: a stable reason and a sentence that tells what to do next.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The stable reason that scripts rely on.
    pub reason: Reason,
    /// For a person. Names nothing that the caller did not say itself.
    pub message: String,
    /// The store failed: nothing of the current batch may be taken as done.
    pub store_failed: bool,
}

impl Refusal {
    /// A refusal with the reason's own sentence.
    pub fn new(reason: Reason) -> Self {
        Self::because(reason, reason.sentence())
    }

    /// A refusal with a sentence for this case.
    pub fn because(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            store_failed: false,
        }
    }

    /// An argument that is not acceptable.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::because(Reason::InvalidArgument, message)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let reason = if error.is_full() {
            Reason::DiskFull
        } else {
            Reason::StoreFailed
        };
        Self {
            store_failed: true,
            ..Self::new(reason)
        }
    }
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        refusal.reason.status_with(refusal.message)
    }
}
