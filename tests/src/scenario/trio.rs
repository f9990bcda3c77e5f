//! Two contacts, and a third daemon that keeps letters for one of them.

use super::{Api, befriend, eventually};
use crate::harness::{Daemon, Setup, Wire};
use anyhow::Context as _;
use m2_proto::api::v1::{MailboxServer, SetContactPolicyRequest};

/// Messages go to a mailbox after a second, and at once.
pub const SOON: &str = "[mailbox]\nafter_s = 1\ndelay_s = 0\n";

/// A daemon that is a mailbox.
pub const SERVES: &str = "[mailbox]\nserve = true\n";

/// Alice and bob, contacts under these names, and carol, who has a box for bob.
#[derive(Debug)]
pub struct Trio {
    /// Who writes.
    pub alice: Daemon,
    /// Who has a box.
    pub bob: Daemon,
    /// Who keeps it.
    pub carol: Daemon,
    /// All that alice and bob say to each other without carol.
    pub wire: Wire,
}

impl Trio {
    /// Starts the three, with more for the configuration and environment of who has this name.
    ///
    /// Errors: a daemon does not start, they don't become contacts, or bob gets no box.
    pub async fn start_as(adjust: impl Fn(&str, Setup) -> Setup) -> anyhow::Result<Self> {
        let wire = Wire::new().await?;
        let setup = |name: &str, tables| {
            let setup = Setup::new().identity(name).tables(tables);
            adjust(name, setup)
        };
        let alice = setup("alice", SOON).announce(wire.address());
        let carol = setup("carol", SERVES).network("session_keys = 16");
        let (alice, bob, carol) = tokio::try_join!(
            Daemon::start(alice),
            Daemon::start(setup("bob", SOON)),
            Daemon::start(carol)
        )?;
        wire.aim(alice.udp_address().await?);
        befriend((&alice, "alice"), (&bob, "bob")).await?;
        let trio = Self {
            alice,
            bob,
            carol,
            wire,
        };
        trio.register().await?;
        Ok(trio)
    }

    /// Starts the three.
    ///
    /// Errors: as [`start_as`](Self::start_as).
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_as(|_, setup| setup).await
    }

    /// Has bob register at carol, and waits until the box is open.
    async fn register(&self) -> anyhow::Result<()> {
        let invitation = Api::of(&self.carol).await?.invite(false, "").await?;
        let asked = self.bob.m2(&["mailbox", "register", &invitation]).await?;
        asked.success()?;
        eventually("an open box", async || {
            let list = self.bob.m2(&["--json", "mailbox", "list"]).await?.json()?;
            let mailbox = list.first().context("no box")?;
            let open = mailbox["state"] == "MAILBOX_STATE_OPEN" && mailbox["online"] == true;
            Ok(open.then_some(()))
        })
        .await
    }

    /// The APIs of alice and bob.
    ///
    /// Errors: one does not answer.
    pub async fn apis(&self) -> anyhow::Result<(Api, Api)> {
        Ok((Api::of(&self.alice).await?, Api::of(&self.bob).await?))
    }

    /// Both consent, and alice knows.
    ///
    /// Errors: a call fails, or she does not hear it in time.
    pub async fn consent(&self) -> anyhow::Result<()> {
        let (alice, bob) = self.apis().await?;
        set_policy(&bob, "alice", Some(true), None).await?;
        set_policy(&alice, "bob", None, Some(true)).await?;
        eventually("an offer", async || {
            Ok(alice.contact("bob").await?.mailbox_offered.then_some(()))
        })
        .await
    }

    /// From now on alice and bob can't reach each other, and know it; both run.
    ///
    /// Errors: bob does not come back.
    pub async fn part(&mut self) -> anyhow::Result<()> {
        self.bob.stop().await?;
        self.wire.cut();
        self.bob.restart().await
    }

    /// How carol's mailbox does.
    ///
    /// Errors: she does not answer, or is none.
    pub async fn server(&self) -> anyhow::Result<MailboxServer> {
        let server = self.carol.status().await?.mailbox_server;
        server.context("carol is no mailbox")
    }
}

/// Sets the switches of a contact: whether it may deposit here, whether we deposit with it.
///
/// Errors: the call's.
pub async fn set_policy(
    api: &Api,
    contact: &str,
    grant: Option<bool>,
    uses: Option<bool>,
) -> anyhow::Result<()> {
    let request = SetContactPolicyRequest {
        contact: contact.to_owned(),
        mailbox_grant: grant,
        mailbox_use: uses,
        ..Default::default()
    };
    let mut contacts = api.client().contacts();
    contacts.set_contact_policy(request).await?;
    Ok(())
}
