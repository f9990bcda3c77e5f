//! What an access token permits.

/// A set of calls that an access token permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Receive and acknowledge events.
    Events,
    /// Send, edit and retract messages, react to them, and mark them as read.
    Send,
    /// Read messages.
    History,
    /// Add, accept, rename, block and remove contacts, and make invitations.
    Contacts,
    /// Everything but what only the owner may do: unlock, back up, and manage tokens.
    Admin,
    /// Read the daemon's state and its counters, which name no contact.
    Status,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 6] = [
        Self::Events,
        Self::Send,
        Self::History,
        Self::Contacts,
        Self::Admin,
        Self::Status,
    ];

    const fn bit(self) -> u32 {
        match self {
            Self::Events => 1,
            Self::Send => 2,
            Self::History => 4,
            Self::Contacts => 8,
            Self::Admin => 16,
            Self::Status => 32,
        }
    }

    /// Returns whether the scope can be limited to a list of contacts.
    #[must_use]
    pub const fn is_about_contacts(self) -> bool {
        matches!(self, Self::Events | Self::Send | Self::History)
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u32);

impl Scopes {
    /// Returns the set of these scopes.
    #[must_use]
    pub const fn of(scopes: &[Scope]) -> Self {
        let mut bits = 0;
        let mut rest = scopes;
        while let [first, others @ ..] = rest {
            bits |= first.bit();
            rest = others;
        }
        Self(bits)
    }

    /// Returns the set that is stored as `bits`, or `None` if it has an unknown scope.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::of(&Scope::ALL).0 == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// Returns the set in the form in which it is stored.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether the set holds the scope itself.
    #[must_use]
    pub const fn holds(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Returns whether a token with these scopes may make a call that asks for one of `asked`.
    #[must_use]
    pub const fn permit(self, asked: Self) -> bool {
        self.holds(Scope::Admin) || self.0 & asked.0 != 0
    }

    /// Returns the scopes of the set.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.holds(*scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scope_makes_a_stored_set_unusable() {
        let all = Scopes::of(&Scope::ALL);
        assert_eq!(Scopes::from_bits(all.bits()), Some(all));
        assert_eq!(Scopes::from_bits(64), None);
        assert_eq!(Scopes::from_bits(65), None);
    }

    #[test]
    fn only_the_administrator_may_do_what_it_was_not_given() {
        for has in Scope::ALL {
            for asked in Scope::ALL {
                let permitted = Scopes::of(&[has]).permit(Scopes::of(&[asked]));
                assert_eq!(permitted, has == asked || has == Scope::Admin);
            }
        }
        assert!(!Scopes::default().permit(Scopes::of(&Scope::ALL)));
    }

    #[test]
    fn a_set_lists_what_it_holds() {
        let set = Scopes::of(&[Scope::History, Scope::Send]);
        let listed: Vec<Scope> = set.iter().collect();
        assert_eq!(listed, [Scope::Send, Scope::History]);
        assert!(Scopes::default().is_empty());
    }
}
