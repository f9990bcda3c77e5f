//! Two daemons that are contacts.

use super::{Api, eventually};
use crate::harness::{Daemon, Setup};
use m2_proto::api::v1::ContactState;

/// Alice and bob, contacts of each other under these names.
#[derive(Debug)]
pub struct Pair {
    /// The daemon that created the invitation.
    pub alice: Daemon,
    /// The daemon that accepted the invitation and dialled.
    pub bob: Daemon,
}

impl Pair {
    /// Starts both daemons with their test identities and makes them contacts.
    ///
    /// Errors: a daemon does not start, or they do not become contacts.
    pub async fn start() -> anyhow::Result<Self> {
        let setup = |name: &str| Setup::new().identity(name);
        Self::start_as(setup("alice"), setup("bob")).await
    }

    /// Starts both daemons with these setups and makes them contacts.
    ///
    /// Errors: as [`start`](Self::start).
    pub async fn start_as(alice: Setup, bob: Setup) -> anyhow::Result<Self> {
        let (alice, bob) = tokio::try_join!(Daemon::start(alice), Daemon::start(bob))?;
        befriend((&alice, "alice"), (&bob, "bob")).await?;
        Ok(Self { alice, bob })
    }

    /// Connects to the APIs of alice and bob.
    ///
    /// Errors: a daemon does not respond.
    pub async fn apis(&self) -> anyhow::Result<(Api, Api)> {
        Ok((Api::of(&self.alice).await?, Api::of(&self.bob).await?))
    }
}

/// Makes two daemons contacts by an invitation of the first, and waits for a session. Each daemon
/// is given with the name under which the other adds it.
///
/// Errors: a call fails, or they do not become contacts in time.
pub async fn befriend(inviter: (&Daemon, &str), guest: (&Daemon, &str)) -> anyhow::Result<()> {
    let (host, comer) = (Api::of(inviter.0).await?, Api::of(guest.0).await?);
    let uri = host.invite(false, guest.1).await?;
    comer.add(&uri, inviter.1).await?;
    host.await_state(guest.1, ContactState::Contact).await?;
    comer.await_state(inviter.1, ContactState::Contact).await?;
    eventually("a session", async || {
        let contact = comer.contact(inviter.1).await?;
        Ok(contact.online.then_some(()))
    })
    .await
}
