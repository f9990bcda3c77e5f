//! The refusal of a front-end's request.

use m2_proto::reason::Reason;
use m2_sqlite::Fault;
use m2_store::StoreError;
use std::collections::HashMap;

/// A refusal: a stable reason and a sentence that says what to do next.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The stable reason, on which scripts rely.
    pub reason: Reason,
    /// The sentence for the user. It contains nothing that was not in the request.
    pub message: String,
    /// The field of the request that caused the refusal, for programs. Empty if there is none.
    pub field: &'static str,
    /// The permitted values of the field, for programs. Empty if there is no limit.
    pub limit: String,
    /// The fault of the store, if there is one: the whole current batch must be treated as not
    /// done.
    pub fault: Option<Fault>,
}

impl Refusal {
    /// Returns a refusal with the default sentence of the reason.
    pub fn new(reason: Reason) -> Self {
        Self::because(reason, reason.sentence())
    }

    /// Returns a refusal with a specific sentence.
    pub fn because(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            field: "",
            limit: String::new(),
            fault: None,
        }
    }

    /// Returns a refusal of a request field: the field's name in the API, its permitted values for
    /// programs, and a sentence for the user.
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

    /// Returns a refusal for a bound on the number of stored items: the field, the bound, the name
    /// of the items, and how the user can make room.
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

    /// Returns the metadata that programs get in addition to the reason.
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
            // The sentence for this fault refers to the log.
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
