//! The users of this computer that may use the daemon, by POSIX.

use crate::config::{AccessConfig, ConfigError, UserName};
use nix::unistd::{Gid, Group, Uid, User};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the answer is used to whether a user is in the group. A user that was removed from the group
/// can't make calls after this time.
const REMEMBERED: Duration = Duration::from_secs(10);
/// The most users whose answer is remembered.
const MAX_REMEMBERED: usize = 256;

/// The process at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
}

impl Peer {
    /// Returns a name of the user that no other user has.
    pub fn label(&self) -> String {
        format!("uid:{}", self.uid)
    }
}

/// The users that may use the daemon as its owner may, and whether others may show a token.
#[derive(Debug)]
pub struct Users {
    own: u32,
    listed: Vec<u32>,
    group: Option<Gid>,
    others_show_tokens: bool,
    members: Mutex<HashMap<u32, (bool, Instant)>>,
}

impl Users {
    /// Returns the users of a configuration, for this process.
    ///
    /// Errors: a user or the group does not exist.
    pub fn of_process(config: &AccessConfig) -> Result<Self, ConfigError> {
        Self::new(rustix::process::geteuid().as_raw(), config)
    }

    /// Returns the users of a configuration, for a daemon that runs as the user `own`.
    ///
    /// Errors: a user or the group does not exist.
    pub fn new(own: u32, config: &AccessConfig) -> Result<Self, ConfigError> {
        let listed = config.users.iter().map(uid_of);
        Ok(Self {
            own,
            listed: listed.collect::<Result<_, _>>()?,
            group: config.group.as_deref().map(gid_of).transpose()?,
            others_show_tokens: config.tokens_for_all,
            members: Mutex::default(),
        })
    }

    /// Returns the sentence for a user that may not use the daemon.
    pub fn refusal(&self) -> String {
        format!(
            "this daemon belongs to the user with the id {}. Run the command as that user, as root, or as \
             a user of [access] in its configuration",
            self.own
        )
    }

    /// Returns whether a process is the owner's without being in the group: of the daemon's own user, of root,
    /// or of a listed user.
    pub fn is_named(&self, peer: &Peer) -> bool {
        let uid = peer.uid;
        uid == self.own || uid == 0 || self.listed.contains(&uid)
    }

    /// Returns whether a process may use the daemon as its owner may. Looks the user up in the system's
    /// databases, which can take time.
    pub async fn is_owner(&self, peer: &Peer) -> bool {
        let Peer { uid, gid } = *peer;
        if self.is_named(peer) {
            return true;
        }
        let Some(group) = self.group else {
            return false;
        };
        if group.as_raw() == gid {
            return true;
        }
        if let Some(known) = self.remembered(uid) {
            return known;
        }
        let lookup = tokio::task::spawn_blocking(move || is_member(uid, group));
        let is_member = lookup.await.unwrap_or(false);
        self.remember(uid, is_member);
        is_member
    }

    /// Returns whether users other than the owner may use what a token permits.
    pub const fn others_show_tokens(&self) -> bool {
        self.others_show_tokens
    }

    /// Returns whether the socket is open to users that are not named.
    pub const fn is_shared(&self) -> bool {
        self.others_show_tokens || self.group.is_some()
    }

    /// Returns the mode of the socket: it is as closed as the configuration allows.
    pub fn socket_mode(&self) -> u32 {
        if self.others_show_tokens || !self.listed.is_empty() {
            0o666
        } else if self.group.is_some() {
            0o660
        } else {
            0o600
        }
    }

    /// Returns the group of the socket.
    pub fn socket_group(&self) -> Option<u32> {
        self.group.map(Gid::as_raw)
    }

    fn remembered(&self, uid: u32) -> Option<bool> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_member, at) = members.get(&uid)?;
        (at.elapsed() < REMEMBERED).then_some(*is_member)
    }

    fn remember(&self, uid: u32, is_member: bool) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if members.len() >= MAX_REMEMBERED {
            members.clear();
        }
        members.insert(uid, (is_member, Instant::now()));
    }
}

/// Returns whether the group is the user's own or lists the user.
fn is_member(uid: u32, group: Gid) -> bool {
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else {
        return false;
    };
    let lists = |group: Group| group.mem.contains(&user.name);
    user.gid == group || Group::from_gid(group).is_ok_and(|found| found.is_some_and(lists))
}

fn uid_of(user: &UserName) -> Result<u32, ConfigError> {
    match user {
        UserName::Id(uid) => Ok(*uid),
        UserName::Name(name) => match User::from_name(name) {
            Ok(Some(user)) => Ok(user.uid.as_raw()),
            _ => Err(ConfigError::NoUser { name: name.clone() }),
        },
    }
}

fn gid_of(name: &str) -> Result<Gid, ConfigError> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid),
        _ => Err(ConfigError::NoGroup {
            name: name.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u32 = 1_000;
    const STRANGER: u32 = 54_321;

    fn users(config: &str) -> Result<Users, ConfigError> {
        let config = format!("[access]\n{config}");
        let config = crate::config::Config::parse(&config).unwrap();
        Users::new(OWN, &config.access)
    }

    async fn is_owner(users: &Users, uid: u32, gid: u32) -> bool {
        users.is_owner(&Peer { uid, gid }).await
    }

    #[tokio::test]
    async fn by_default_only_the_daemons_user_and_root_may_call() {
        let users = users("").unwrap();
        assert!(is_owner(&users, OWN, OWN).await && is_owner(&users, 0, 0).await);
        assert!(!is_owner(&users, STRANGER, OWN).await);
        assert!(!users.others_show_tokens() && !users.is_shared());
        assert_eq!((users.socket_mode(), users.socket_group()), (0o600, None));
    }

    #[tokio::test]
    async fn listed_users_are_owners() {
        let users = users("users = [54321, \"root\"]").unwrap();
        assert!(is_owner(&users, STRANGER, STRANGER).await);
        assert!(!is_owner(&users, STRANGER + 1, STRANGER).await);
        assert_eq!(users.socket_mode(), 0o666);
    }

    #[tokio::test]
    async fn only_members_of_the_group_are_owners() {
        let group = Group::from_gid(Gid::from_raw(0)).unwrap().unwrap().name;
        let users = users(&format!("group = \"{group}\"")).unwrap();
        assert_eq!(users.socket_mode(), 0o660);
        assert_eq!(users.socket_group(), Some(0));
        for _ in 0..2 {
            assert!(
                !is_owner(&users, STRANGER, STRANGER).await,
                "the user does not exist"
            );
        }
        users.remember(STRANGER, true);
        assert!(is_owner(&users, STRANGER, STRANGER).await);
        // A service may run in the group under a user that no database knows.
        assert!(is_owner(&users, STRANGER + 1, 0).await);
    }

    #[test]
    fn a_user_that_does_not_exist_is_named() {
        let error = users("users = [\"no-such-user\"]").unwrap_err();
        assert!(error.to_string().contains("no-such-user"), "{error}");
        let error = users("group = \"no-such-group\"").unwrap_err();
        assert!(error.to_string().contains("no-such-group"), "{error}");
    }
}
