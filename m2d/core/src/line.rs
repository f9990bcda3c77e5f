//! The lines of contacts.

use m2_crypto::PeerId;
use m2_crypto::address::NamedAddress;
use m2_crypto::line::JoinToken;

/// A line on which a contact can be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactLine {
    /// The relay at which the contact listens.
    pub relay: PeerId,
    /// The addresses of the relay, as named by the contact.
    pub addresses: Vec<NamedAddress>,
    /// The join tokens.
    pub tokens: LineTokens,
}

/// The join tokens of a contact's line (docs/spec/line.md#tokens).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineTokens {
    /// One token for every day, from an invitation. It is valid as long as the invitation.
    Always(JoinToken),
    /// One token for each day.
    Daily {
        /// The UTC day of the first token, as days since 1970.
        first_day: u32,
        /// The tokens of consecutive days.
        tokens: Vec<JoinToken>,
    },
}

impl LineTokens {
    /// Returns the token of a UTC day, given as days since 1970.
    pub fn of_day(&self, day: u32) -> Option<JoinToken> {
        match self {
            Self::Always(token) => Some(*token),
            Self::Daily { first_day, tokens } => {
                let place = usize::try_from(day.checked_sub(*first_day)?).ok()?;
                tokens.get(place).copied()
            }
        }
    }
}
