//! The users of this computer that may use the daemon, by security identifiers.

use crate::config::{AccessConfig, ConfigError, UserName};
use m2_windows::{Descriptor, Sid, Token};
use std::io;

/// The process at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The user.
    sid: Sid,
    /// Whether the process may use the daemon as its owner may.
    is_owner: bool,
}

impl Peer {
    /// Returns a name of the user that no other user has.
    pub fn label(&self) -> String {
        format!("sid:{}", self.sid)
    }
}

/// The accounts that may use the daemon as its owner may, and whether others may show a token.
#[derive(Debug)]
pub struct Users {
    own: Sid,
    /// The listed users and the group.
    listed: Vec<Sid>,
    others_show_tokens: bool,
}

impl Users {
    /// Returns the users of a configuration, for this process.
    ///
    /// Errors: a user or the group does not exist.
    pub fn of_process(config: &AccessConfig) -> Result<Self, ConfigError> {
        let own = Token::of_process().and_then(|token| token.user());
        let own = own.map_err(|source| ConfigError::OwnUser { source })?;
        let users = config.users.iter().map(sid_of_user);
        let mut listed = users.collect::<Result<Vec<_>, _>>()?;
        if let Some(group) = &config.group {
            let sid = Sid::of_account(group);
            listed.push(sid.map_err(|_| ConfigError::NoGroup {
                name: group.clone(),
            })?);
        }
        Ok(Self {
            own,
            listed,
            others_show_tokens: config.tokens_for_all,
        })
    }

    /// Returns the process whose rights a token has.
    ///
    /// Errors: those of the system.
    pub(crate) fn peer(&self, token: &Token) -> io::Result<Peer> {
        let sid = token.user()?;
        let mut is_owner = sid == self.own;
        for account in self.owners() {
            is_owner = is_owner || token.is_member_of(account)?;
        }
        Ok(Peer { sid, is_owner })
    }

    /// Returns the descriptor of the pipe: it is as closed as the configuration allows.
    ///
    /// Errors: those of the system.
    pub(crate) fn descriptor(&self) -> io::Result<Descriptor> {
        let mut clients: Vec<_> = self.owners().cloned().collect();
        if self.others_show_tokens {
            clients.push(Sid::AUTHENTICATED);
        }
        Descriptor::of_pipe(&self.own, &clients)
    }

    /// Returns the accounts other than the daemon's own that are the owner.
    fn owners(&self) -> impl Iterator<Item = &Sid> {
        [&Sid::SYSTEM, &Sid::ADMINISTRATORS]
            .into_iter()
            .chain(&self.listed)
    }

    /// Returns the sentence for a user that may not use the daemon.
    pub fn refusal(&self) -> String {
        format!(
            "this daemon belongs to the user {}. Run the command as that user, as administrator, or as a \
             user of [access] in its configuration",
            self.own
        )
    }

    /// Returns whether a process is the owner's.
    pub fn is_named(&self, peer: &Peer) -> bool {
        peer.is_owner
    }

    /// Returns whether a process may use the daemon as its owner may.
    #[allow(clippy::unused_async, reason = "other systems look the user up")]
    pub async fn is_owner(&self, peer: &Peer) -> bool {
        peer.is_owner
    }

    /// Returns whether users other than the owner may use what a token permits.
    pub const fn others_show_tokens(&self) -> bool {
        self.others_show_tokens
    }

    /// Returns whether the pipe is open to users that are not named.
    pub const fn is_shared(&self) -> bool {
        self.others_show_tokens
    }
}

fn sid_of_user(user: &UserName) -> Result<Sid, ConfigError> {
    let name = match user {
        UserName::Name(name) => name.clone(),
        // Windows has no user numbers.
        UserName::Id(number) => number.to_string(),
    };
    Sid::of_account(&name).map_err(|_| ConfigError::NoUser { name })
}
