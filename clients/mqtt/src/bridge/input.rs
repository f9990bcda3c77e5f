//! What the bridge hears.

/// Something that the bridge hears.
#[derive(Clone, Debug)]
pub enum Input {
    /// The daemon answers; a stream of events is open.
    DaemonUp {
        /// Whether the token permits sending.
        can_send: bool,
    },
    /// The daemon does not answer any more.
    DaemonDown,
    /// All contacts of the daemon that the token reaches.
    Contacts(Vec<Peer>),
    /// An entry of the daemon's event log.
    Event(Happening),
    /// The presence of a contact changed.
    Presence(Peer),
    /// The daemon stored, or did not store, the position that was last given to it.
    Acknowledged(bool),
    /// The daemon's answer to a message that was sent.
    Sent {
        /// The number of the command.
        command: u64,
        /// What became of it.
        result: Sent,
    },
    /// The journal is stored, or could not be.
    Recorded(bool),
    /// The broker accepted a connection.
    BrokerUp {
        /// Whether the broker has kept the session.
        session_present: bool,
        /// The largest packet that the broker takes, in bytes.
        max_packet: usize,
    },
    /// The connection to the broker ended.
    BrokerDown {
        /// Whether the broker ended it because a packet was too large.
        too_large: bool,
    },
    /// The broker's answer to a publication.
    Published {
        /// The number of the publication.
        token: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// A message from the broker.
    Message(Message),
    /// The broker answered a ping.
    Pong,
    /// Some time has passed.
    Tick,
}

/// A contact and its presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The contact's peer id.
    pub peer_id: String,
    /// Its local name.
    pub name: String,
    /// Whether a session with it is up.
    pub online: bool,
    /// The path of that session: `none`, `direct` or `line`.
    pub path: &'static str,
}

/// An entry of the event log.
#[derive(Clone, Debug)]
pub struct Happening {
    /// Its position in the log.
    pub cursor: String,
    /// The contact that it is about; empty for none.
    pub peer_id: String,
    /// The local name of the contact.
    pub name: String,
    /// What happened.
    pub kind: Kind,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A message arrived.
    Message(Content),
    /// The author replaced a message.
    Edited(Content),
    /// The author deleted a message.
    Retracted {
        /// The message.
        id: String,
    },
    /// The time to live of a message ended.
    Expired {
        /// The message.
        id: String,
    },
    /// The contact reacted to a message.
    Reacted {
        /// The message.
        id: String,
        /// The reaction; empty if it was removed.
        text: String,
    },
    /// A sent message changed its state.
    State {
        /// The message.
        id: String,
        /// `delivered`, `read`, `failed` or `expired`.
        state: &'static str,
        /// Why it failed.
        failure: String,
    },
    /// Messages of the contact are missing.
    Missing {
        /// How many.
        count: u64,
    },
    /// The peer became a contact.
    Added,
    /// The contact was removed or blocked.
    Removed,
    /// Events were deleted before the bridge read them.
    Dropped {
        /// How many.
        count: u64,
    },
    /// The stream has come this far, or the event is of no interest.
    Passed,
}

/// The content of a message.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The message's id.
    pub id: String,
    /// Its text; `None` for other media types.
    pub text: Option<String>,
    /// Its media type; empty for plain text.
    pub media_type: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// When it was sent, as in RFC 3339; empty if unknown.
    pub time: String,
    /// The message to which it replies; empty for none.
    pub reply_to: String,
    /// Its thread; empty for none.
    pub thread: String,
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has it.
    Acknowledged,
    /// The broker refuses it for now, or for good.
    Refused,
    /// The broker refuses its content.
    BadContent,
    /// It never left the bridge.
    NotSent,
}

/// What became of a message for a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The daemon stored it.
    Stored,
    /// The daemon can't take it at present.
    Later,
    /// Too many messages wait for the contact.
    Full,
    /// The daemon refuses it for good, for a reason such as `MESSAGE_TOO_LARGE`.
    Refused(&'static str),
}

/// A message from the broker.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Whether the broker has stored it as the topic's retained message.
    pub retain: bool,
    /// Whether the broker has sent it before.
    pub dup: bool,
    /// The packet identifier to acknowledge; `None` for QoS 0.
    pub packet: Option<u16>,
    /// What identifies it, if its publisher says so.
    pub stated_id: Option<Vec<u8>>,
    /// Whether a bridge of this kind published it.
    pub marked: bool,
    /// 16 random bytes.
    pub random: [u8; 16],
}
