//! Relays and parties.

use m2_proto::api::v1::{
    AddLineRequest, ContactState, GetRelayStatusRequest, GetRelayStatusResponse, IpMode,
    ListLinesRequest, Path,
};
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::{Api, eventually};

/// A daemon that serves as a relay.
pub struct Relay {
    pub daemon: Daemon,
    /// An invitation, which names the relay's id and addresses.
    pub invitation: String,
}

impl Relay {
    pub async fn start() -> Self {
        Self::start_as(Setup::new()).await
    }

    pub async fn start_as(setup: Setup) -> Self {
        let table = "[relay]\nserve = true\nextend_to_private = true\n";
        let setup = setup.network("session_keys = 32").tables(table);
        let daemon = Daemon::start(setup).await.unwrap();
        let invitation = Api::of(&daemon)
            .await
            .unwrap()
            .invite(true, "")
            .await
            .unwrap();
        Self { daemon, invitation }
    }

    pub async fn status(&self) -> GetRelayStatusResponse {
        let api = Api::of(&self.daemon).await.unwrap();
        let mut client = api.client().relay();
        let asked = client.get_relay_status(GetRelayStatusRequest {});
        asked.await.unwrap().into_inner()
    }
}

/// The setup of a party in this mode.
pub fn party(name: &str, ip: &str) -> Setup {
    Setup::new()
        .identity(name)
        .privacy(&format!("ip = \"{ip}\""))
}

pub async fn add_line(api: &Api, relay: &Relay, entry: bool) {
    let request = AddLineRequest {
        invitation: relay.invitation.clone(),
        entry,
    };
    api.client().lines().add_line(request).await.unwrap();
}

/// Waits until at least `open` lines are open in total.
pub async fn await_lines(api: &Api, open: u32) {
    eventually("lines that are open", async || {
        let lines = api.client().lines().list_lines(ListLinesRequest {}).await?;
        let sum: u32 = lines.into_inner().lines.iter().map(|line| line.open).sum();
        Ok((sum >= open).then_some(()))
    })
    .await
    .unwrap();
}

/// Makes `host` and `guest` contacts, each under its name.
pub async fn befriend(host: (&Api, &str), guest: (&Api, &str)) {
    let uri = host.0.invite(false, guest.1).await.unwrap();
    guest.0.add(&uri, host.1).await.unwrap();
    host.0
        .await_state(guest.1, ContactState::Contact)
        .await
        .unwrap();
    guest
        .0
        .await_state(host.1, ContactState::Contact)
        .await
        .unwrap();
}

pub async fn await_path(api: &Api, contact: &str, path: Path) {
    eventually("a session on that path", async || {
        let now = api.contact(contact).await?.path();
        Ok((now == path).then_some(()))
    })
    .await
    .unwrap();
}

/// Sends a message each way and waits for both.
pub async fn talk(alice: &Api, bob: &Api, text: &str) {
    alice.send("bob", &format!("{text} to bob")).await.unwrap();
    bob.send("alice", &format!("{text} to alice"))
        .await
        .unwrap();
    bob.await_text("alice", &format!("{text} to bob"))
        .await
        .unwrap();
    alice
        .await_text("bob", &format!("{text} to alice"))
        .await
        .unwrap();
}

pub async fn set_ip(api: &Api, contact: &str, ip: IpMode) {
    let request = m2_proto::api::v1::SetContactPolicyRequest {
        contact: contact.to_owned(),
        ip: Some(ip.into()),
        ..Default::default()
    };
    api.client()
        .contacts()
        .set_contact_policy(request)
        .await
        .unwrap();
}
