//! Two daemons that are contacts.

use crate::harness::{Daemon, Setup};
use anyhow::{Context as _, bail};
use m2_proto::api::v1::{
    AddContactRequest, ContactState, CreateInvitationRequest, GetContactRequest, GetStatusRequest,
};
use m2_proto::client::Client;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Timeout of each step.
const PATIENCE: Duration = Duration::from_secs(60);

/// Alice, who invites, and Bob, who dials her.
#[derive(Debug)]
pub struct Pair {
    /// Alice's daemon.
    pub alice: Daemon,
    /// Bob's daemon.
    pub bob: Daemon,
    /// Alice's API.
    pub alice_api: Client,
    /// Bob's API.
    pub bob_api: Client,
}

impl Pair {
    /// Starts both daemons and waits until they are contacts and their pools of session keys are
    /// full.
    ///
    /// Errors: one of them does not start, or they don't become contacts.
    pub async fn start(alice: Setup, bob: Setup) -> anyhow::Result<Self> {
        let (alice, bob) = tokio::try_join!(Daemon::start(alice), Daemon::start(bob))?;
        let (alice_api, bob_api) = (alice.client().await?, bob.client().await?);
        become_contacts(&alice_api, &bob_api).await?;
        keys_full(&alice_api).await?;
        keys_full(&bob_api).await?;
        Ok(Self {
            alice,
            bob,
            alice_api,
            bob_api,
        })
    }

    /// Starts a pair with test identities and default settings.
    ///
    /// Errors: as [`Self::start`].
    pub async fn with_test_identities() -> anyhow::Result<Self> {
        Self::start(Setup::new().identity("alice"), Setup::new().identity("bob")).await
    }
}

/// Makes `host` and `guest` contacts by an invitation. `host` names its contact "bob", `guest`
/// names it "alice".
///
/// Errors: an API call fails, or they do not become contacts in time.
pub async fn become_contacts(host: &Client, guest: &Client) -> anyhow::Result<()> {
    let uri = invite(host).await?;
    add(guest, &uri).await?;
    until_contact(host, "bob").await?;
    until_contact(guest, "alice").await
}

/// Creates a reusable invitation for a contact named "bob".
pub(super) async fn invite(host: &Client) -> anyhow::Result<String> {
    let request = CreateInvitationRequest {
        reusable: true,
        contact_name: "bob".into(),
        ..Default::default()
    };
    let created = host.invitations().create_invitation(request).await?;
    Ok(created.into_inner().uri)
}

pub(super) async fn add(guest: &Client, uri: &str) -> anyhow::Result<()> {
    let request = AddContactRequest {
        invitation: uri.into(),
        name: "alice".into(),
    };
    guest.contacts().add_contact(request).await?;
    Ok(())
}

async fn until_contact(api: &Client, name: &str) -> anyhow::Result<()> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let request = GetContactRequest {
            contact: name.into(),
        };
        if let Ok(found) = api.contacts().get_contact(request).await {
            let contact = found.into_inner().contact.context("no contact")?;
            if contact.state() == ContactState::Contact && contact.online {
                return Ok(());
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
    bail!("{name} did not become a contact")
}

/// Waits until the pool of session keys is full, so that key generation does not disturb a
/// measurement.
pub(super) async fn keys_full(api: &Client) -> anyhow::Result<()> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let status = api.daemon().get_status(GetStatusRequest {}).await?;
        let status = status.into_inner();
        if status.session_keys_ready >= status.session_keys_wanted {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    bail!("the pool of session keys does not fill")
}
