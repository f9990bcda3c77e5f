//! Why the daemon says no to a caller.

use crate::store::{Fault, StoreError};
use m2_proto::reason::Reason;
use std::collections::HashMap;

/// A refusal: a stable reason and a sentence that tells what to do next.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The stable reason that scripts rely on.
    pub reason: Reason,
    /// For a person. Names nothing that the caller did not say itself.
    pub message: String,
    /// The field of the request that the refusal is about, for programs; empty for none.
    pub field: &'static str,
    /// What the field may be, for programs; empty for no limit.
    pub limit: String,
    /// The fault of the store: nothing of the current batch may be taken as done.
    pub fault: Option<Fault>,
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
            field: "",
            limit: String::new(),
            fault: None,
        }
    }

    /// A field of the request that is not acceptable: its name in the API, what it may be, as a
    /// program reads it, and a sentence for a person.
    pub fn argument(
        field: &'static str,
        limit: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            field,
            limit: limit.into(),
            ..Self::because(Reason::InvalidArgument, message)
        }
    }

    /// A bound on the number of stored items: what is bounded, as a program and as a person read
    /// it, and how a person makes room.
    pub fn limit(field: &'static str, limit: usize, items: &str, remedy: &str) -> Self {
        Self {
            field,
            limit: limit.to_string(),
            ..Self::because(
                Reason::LimitReached,
                format!("There are {limit} {items} already, and no more are possible. {remedy}"),
            )
        }
    }

    /// What programs get beside the reason.
    fn metadata(&self) -> HashMap<String, String> {
        let pairs = [("field", self.field), ("limit", self.limit.as_str())];
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        given
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::new(fault.reason())
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let fault = error.fault();
        if fault == Fault::Other {
            // What is told of this fault refers to the log.
            tracing::warn!(%error, "the store failed");
        }
        fault.into()
    }
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        let metadata = refusal.metadata();
        refusal.reason.status_about(refusal.message, metadata)
    }
}
