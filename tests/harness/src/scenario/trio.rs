//! Two contacts, and a third daemon that is the provider of one of them.

use super::{Api, befriend, eventually};
use crate::harness::{Daemon, Setup, Wire};
use anyhow::Context as _;
use m2_proto::api::v1::{MailboxServer, SetContactPolicyRequest};

/// Settings under which undelivered messages are deposited after one second, without a random
/// delay.
pub const SOON: &str = "[mailbox]\nafter_s = 1\ndelay_s = 0\n";

/// More than half of the tokens that a contact gets at first.
const USED: u32 = 9;

/// Settings of a provider.
pub const SERVES: &str = "[mailbox]\nserve = true\n";

/// Alice and bob, contacts of each other under these names, and carol, the provider of bob's
/// mailbox.
#[derive(Debug)]
pub struct Trio {
    /// The sender.
    pub alice: Daemon,
    /// The recipient, who owns the mailbox.
    pub bob: Daemon,
    /// The provider.
    pub carol: Daemon,
    /// The network between alice and bob. Traffic through carol's mailbox does not pass it.
    pub wire: Wire,
}

impl Trio {
    /// Starts the three daemons. `adjust` may change the setup of each, by its name.
    ///
    /// Errors: a daemon does not start, they do not become contacts, or bob's mailbox does not
    /// open.
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

    /// Starts the three daemons.
    ///
    /// Errors: as [`start_as`](Self::start_as).
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_as(|_, setup| setup).await
    }

    /// Registers bob with carol, and waits until his mailbox is open.
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

    /// Connects to the APIs of alice and bob.
    ///
    /// Errors: a daemon does not respond.
    pub async fn apis(&self) -> anyhow::Result<(Api, Api)> {
        Ok((Api::of(&self.alice).await?, Api::of(&self.bob).await?))
    }

    /// Makes both contacts consent to letters from alice to bob, and waits until alice has
    /// tokens for bob's mailbox.
    ///
    /// Errors: a call fails, or the tokens do not arrive in time.
    pub async fn consent(&self) -> anyhow::Result<()> {
        let (alice, bob) = self.apis().await?;
        set_policy(&bob, "alice", Some(true), None).await?;
        set_policy(&alice, "bob", None, Some(true)).await?;
        eventually("tokens", async || {
            let tokens = alice.contact("bob").await?.mailbox_tokens;
            Ok((tokens > 0).then_some(()))
        })
        .await
    }

    /// Lets alice use more than half of her first 16 tokens, so that she has 64 afterwards. Alice and bob
    /// are connected when this returns.
    ///
    /// Errors: a call fails, or the letters do not arrive in time.
    pub async fn use_tokens(&mut self) -> anyhow::Result<()> {
        self.part().await?;
        let (alice, bob) = self.apis().await?;
        for number in 0..USED {
            alice.send("bob", &format!("token {number}")).await?;
        }
        bob.await_text("alice", &format!("token {}", USED - 1))
            .await?;
        self.wire.pass_all();
        self.bob.stop().await?;
        self.bob.restart().await?;
        alice.await_empty_outbox().await
    }

    /// Cuts the network between alice and bob, and restarts bob so that both notice. Both are
    /// running when this returns.
    ///
    /// Errors: bob does not stop or does not start again.
    pub async fn part(&mut self) -> anyhow::Result<()> {
        self.bob.stop().await?;
        self.wire.cut();
        self.bob.restart().await
    }

    /// Returns the status of carol's mailbox server.
    ///
    /// Errors: carol does not respond, or does not serve mailboxes.
    pub async fn server(&self) -> anyhow::Result<MailboxServer> {
        let server = self.carol.status().await?.mailbox_server;
        server.context("carol serves no mailboxes")
    }
}

/// Sets a contact's mailbox policy: `grant` allows the contact to deposit letters in our mailboxes,
/// `uses` allows us to deposit letters in its mailboxes. `None` leaves a setting unchanged.
///
/// Errors: the call fails.
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
