//! The limits of the daemon's store.

use serde::{Deserialize, Serialize};

/// Limits and retention of the daemon's store.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreLimits {
    /// How many days events are kept, 1 to 3650.
    pub event_days: u32,
    /// The maximum number of events, 1,000 or more.
    pub max_events: u64,
    /// The maximum number of messages in the outbox for one contact, 1 to 1,000,000.
    pub max_outbox: u32,
    /// How many days messages are kept, 1 to 36,500; 0 for unlimited.
    pub keep_days: u32,
    /// The maximum bytes of content, 1,048,576 or more; 0 for unlimited.
    pub keep_bytes: u64,
    /// The maximum number of stored messages of one contact, 1,000 or more.
    pub contact_messages: u64,
    /// The maximum stored bytes of content of one contact, 1,048,576 or more.
    pub contact_bytes: u64,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            event_days: 30,
            max_events: 1_000_000,
            max_outbox: 100_000,
            keep_days: 0,
            keep_bytes: 0,
            contact_messages: 5_000_000,
            contact_bytes: 4 << 30,
        }
    }
}
