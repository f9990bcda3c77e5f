//! The parameters of the tools, as the agent sees them.

use rmcp::schemars;
use schemars::JsonSchema;
use serde::Deserialize;

/// A message to send.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SendArguments {
    /// The name or the peer id of a contact.
    pub(crate) contact: String,
    /// The text.
    pub(crate) text: String,
    /// The id of the message that this one answers.
    pub(crate) reply_to: Option<String>,
    /// A key of your choice: the same key never sends two messages.
    pub(crate) key: Option<String>,
}

/// A question.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AskArguments {
    /// The name or the peer id of a contact.
    pub(crate) contact: String,
    /// The question.
    pub(crate) text: String,
    /// How many seconds to wait for the answer: 1 to 3600, 120 if absent.
    pub(crate) timeout_seconds: Option<u64>,
}

/// A wait for messages.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ReceiveArguments {
    /// How many seconds to wait if there is no message: 0 to 3600, 0 if absent.
    pub(crate) timeout_seconds: Option<u64>,
}

/// A page of a conversation.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct HistoryArguments {
    /// The name or the peer id of a contact.
    pub(crate) contact: String,
    /// The most messages: 1 to 100, 20 if absent.
    pub(crate) limit: Option<u32>,
    /// The `next` of the previous page.
    pub(crate) before: Option<String>,
}
