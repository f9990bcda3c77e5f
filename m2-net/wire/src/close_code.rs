//! The codes with which sessions are closed.

/// The reason for which a side closes a session, as sent to the other side
/// (docs/spec/wire.md#the-end).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// The session is no longer needed.
    Done = 0,
    /// The daemon stops.
    ShuttingDown = 1,
    /// Another session between the same peers replaces it.
    Replaced = 2,
    /// The other side broke the protocol.
    Misbehaved = 3,
    /// The other side is not allowed to talk to this one.
    Refused = 4,
    /// No Hello came in time.
    NoHello = 5,
    /// The session's purpose can't be served at present: worth another try later.
    Unavailable = 6,
    /// The other side behaves as a contact, but is not a contact of this side.
    NotAContact = 7,
}

impl CloseCode {
    /// Returns the name of a code in debug lines.
    pub const fn name(code: u64) -> &'static str {
        match code {
            0 => "done",
            1 => "shutting down",
            2 => "replaced by another session",
            3 => "protocol violation",
            4 => "refused",
            5 => "no Hello",
            6 => "unavailable",
            7 => "not a contact",
            _ => "a code of a newer version",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_name() {
        let named = [
            (CloseCode::Done, "done"),
            (CloseCode::Replaced, "replaced by another session"),
            (CloseCode::NotAContact, "not a contact"),
        ];
        for (code, name) in named {
            assert_eq!(CloseCode::name(code as u64), name);
        }
        assert_eq!(CloseCode::name(8), "a code of a newer version");
    }
}
