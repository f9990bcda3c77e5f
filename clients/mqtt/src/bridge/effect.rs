//! What the bridge does.

use super::journal::Record;

/// Something to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Publish with QoS 1, and report the outcome under the token.
    Publish {
        /// The number of the publication.
        token: u64,
        /// The topic.
        topic: String,
        /// The payload.
        payload: String,
        /// Whether the broker keeps it.
        retain: bool,
    },
    /// Store the position in the event log at the daemon, and report whether that worked.
    Acknowledge(String),
    /// Store these records in place of all others, and report whether that worked.
    Record(Vec<Record>),
    /// Send a text to a contact, and report the result once.
    Send {
        /// The number of the command.
        command: u64,
        /// The contact.
        peer_id: String,
        /// The text.
        text: String,
        /// The idempotency key.
        key: String,
    },
    /// Acknowledge a message to the broker.
    Confirm {
        /// The packet identifier.
        packet: u16,
        /// Whether to say that it was refused.
        refused: bool,
    },
    /// Close the connection to the broker, and open another one.
    Disconnect,
    /// Tell the operator.
    Tell(Notice),
}

/// Something that the operator should know. It names no contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// A retained message on a command topic.
    RetainedCommand,
    /// A command that a bridge had published.
    Loop,
    /// A command for a contact that does not exist.
    UnknownContact,
    /// A command that is empty, too long, or no UTF-8.
    BadCommand,
    /// Too many commands for one contact, or in total.
    Flood,
    /// The token does not permit sending.
    MayNotSend,
    /// The daemon refused a message, for this reason.
    DaemonRefused(&'static str),
    /// The broker refuses publications.
    BrokerRefuses,
    /// The broker took an event only without its text.
    TextLeftOut,
    /// The broker takes no packet that is large enough.
    PacketTooSmall,
    /// The broker acknowledges nothing.
    BrokerSilent,
    /// The journal can't be written.
    JournalFailed,
    /// There are more contacts than devices.
    TooManyContacts,
    /// Events were deleted before they were read.
    EventsDropped,
}
