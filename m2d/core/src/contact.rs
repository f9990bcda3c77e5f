//! What is known of a peer before any session.

use m2_crypto::address::NamedAddress;
use std::fmt;
use std::net::SocketAddr;

/// The state of the relation to a peer. The numbers are values of the store's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum ContactState {
    /// The local owner asked, and the answer is pending.
    Asked = 1,
    /// The peer asked, and the local owner's answer is pending.
    Request = 2,
    /// Both owners agreed.
    Contact = 3,
    /// The local owner ignores the peer.
    Blocked = 4,
    /// The peer declined.
    Declined = 5,
    /// The peer was a contact, or asked and was declined. The row keeps the conversation's sequence
    /// numbers for a while, and as long as there is history.
    Removed = 6,
}

impl ContactState {
    /// Returns whether a session with the peer is wanted: it is a contact, or was asked to become
    /// one.
    pub const fn is_wanted(self) -> bool {
        matches!(self, Self::Asked | Self::Contact)
    }
}

/// A known address of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownAddress {
    /// A session was established there, in which the contact proved its peer id.
    Proved(SocketAddr),
    /// The contact's invitation named the address.
    Named(NamedAddress),
}

impl fmt::Display for KnownAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proved(address) => address.fmt(f),
            Self::Named(named) => named.fmt(f),
        }
    }
}
