//! A hidden party never reveals its address: checks every decrypted frame that a contact receives from
//! it.

use super::scene::{Relay, add_line, await_lines, party};
use m2_crypto::address::{Surroundings, Use};
use m2_crypto::handshake::Credential;
use m2_crypto::invitation::{Invitation, PROOF_EXPORT_LABEL, proof};
use m2_crypto::{Circle, Identity};
use m2_net::endpoint::{Endpoint, EndpointConfig};
use m2_net::line::{Carrier, Hop};
use m2_net::session::Session;
use m2_net::wire::line::Line;
use m2_net::wire::{ContactRequest, InviteProof, Message};
use m2_proto::api::v1::ContactState;
use m2_tests::harness::{Daemon, Setup};
use m2_tests::hostile::{identity, places};
use m2_tests::scenario::{Api, PATIENCE};
use prost::Message as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::time::timeout;

/// Alice's addresses: the one her sockets are bound to, and the one she announces in direct mode.
const HERS: [Ipv4Addr; 2] = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(11, 0, 113, 5)];
/// The addresses of the relays.
const RELAYS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 77), Ipv4Addr::new(127, 0, 0, 78)];

#[tokio::test(flavor = "multi_thread")]
async fn no_frame_of_a_hidden_party_holds_its_address() {
    let (first, second) = tokio::join!(relay_at(RELAYS[0]), relay_at(RELAYS[1]));
    let (_daemon, alice) = alice("line-only").await;
    add_line(&alice, &first, false).await;
    let uri = alice.invite(false, "carol").await.unwrap();
    assert_hidden("the invitation", &invitation_bytes(&uri));
    await_lines(&alice, 1).await;
    let carol = Carol::come(&uri).await;
    alice
        .await_state("carol", ContactState::Contact)
        .await
        .unwrap();
    alice.send("carol", "where are you?").await.unwrap();
    add_line(&alice, &second, false).await;
    let frames = carol.hear(&[RELAYS[0], RELAYS[1]]).await;
    for frame in &frames {
        assert_hidden(&format!("{frame:?}"), &bytes_of(frame));
    }
    // Control: the search finds the addresses of her relays, which are offered.
    let offered = |ip| frames.iter().any(|frame| shows(&bytes_of(frame), ip));
    assert!(RELAYS.into_iter().all(offered));
    let there = |kind: fn(&Message) -> bool| frames.iter().any(kind);
    assert!(there(|frame| matches!(
        frame,
        Message::ContactReply { accepted: true }
    )));
    assert!(there(|frame| matches!(frame, Message::Envelope(_))));
}

#[tokio::test]
async fn a_direct_party_names_its_address_in_invitations() {
    let (_daemon, alice) = alice("direct").await;
    let uri = alice.invite(false, "carol").await.unwrap();
    assert!(shows(&invitation_bytes(&uri), HERS[1]));
}

async fn relay_at(ip: Ipv4Addr) -> Relay {
    let listen = format!("listen = [\"{ip}:0\"]");
    Relay::start_as(Setup::new().network(&listen)).await
}

async fn alice(ip: &str) -> (Daemon, Api) {
    let announced = SocketAddr::from((HERS[1], 4_433));
    let setup = party("alice", ip).announce(announced);
    let daemon = Daemon::start(setup).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    (daemon, api)
}

/// A contact in this process, which sees all frames that it receives.
pub struct Carol {
    pub session: Session,
    /// The endpoints and the carrier under the session.
    _way: (Endpoint, Endpoint, Carrier),
}

impl Carol {
    /// Dials over the line of an invitation and becomes a contact.
    pub async fn come(uri: &str) -> Self {
        let invitation: Invitation = uri.parse().unwrap();
        let line = invitation.invited_lines().next().unwrap();
        let carol = identity("carol").unwrap();
        let outside = bind(&carol, vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
        let inside = bind(&carol, Vec::new());
        let here = Surroundings {
            loopback_only: true,
            ..Surroundings::default()
        };
        let named = line.addresses.iter();
        let hop = Hop {
            relay: line.relay,
            addresses: named
                .filter_map(|named| named.admit(&here, Use::Service))
                .collect(),
        };
        let session = outside.dial_relay(&[hop]).await.unwrap();
        let carrier = inside.attach(session).unwrap();
        let place = carrier.join(line.token).await.unwrap();
        let credential = Credential::Identity(carol);
        let session = inside.dial(place, *invitation.peer(), credential).await;
        let session = session.unwrap();
        let key = session.exporter(PROOF_EXPORT_LABEL, &[]).unwrap();
        let invite = Some(InviteProof {
            invite_id: *invitation.id().as_bytes(),
            proof: proof(invitation.token(), &key),
        });
        let name = String::new();
        let request = Message::ContactRequest(ContactRequest { invite, name });
        session.send_frame(request).await.unwrap();
        Self {
            session,
            _way: (outside, inside, carrier),
        }
    }

    /// Receives frames until an envelope and one frame that offers lines at all of these relays have
    /// arrived. Returns all frames.
    async fn hear(mut self, relays: &[Ipv4Addr]) -> Vec<Message> {
        let mut frames = Vec::new();
        let (mut offered, mut written) = (false, false);
        while !(offered && written) {
            let frame = timeout(PATIENCE, self.session.recv_frame()).await;
            let frame = frame.unwrap().unwrap();
            offered |=
                is_offer(&frame) && relays.iter().all(|relay| shows(&bytes_of(&frame), *relay));
            written |= matches!(frame, Message::Envelope(_));
            if matches!(frame, Message::ContactReply { accepted: true }) {
                self.session.send_frame(places(1)).await.unwrap();
            }
            frames.push(frame);
        }
        frames
    }
}

fn bind(identity: &Arc<Identity>, listen: Vec<SocketAddr>) -> Endpoint {
    let mut config = EndpointConfig::new(Circle::public(), Arc::clone(identity));
    config.dials_only = !listen.is_empty();
    config.listen = listen;
    Endpoint::bind(config).unwrap()
}

fn is_offer(frame: &Message) -> bool {
    matches!(frame, Message::Line(line) if matches!(**line, Line::Offer(_)))
}

fn bytes_of(frame: &Message) -> Vec<u8> {
    frame.clone().into_proto().encode_to_vec()
}

fn invitation_bytes(uri: &str) -> Vec<u8> {
    let base32 = uri.strip_prefix("m2://").unwrap().to_uppercase();
    let decoded = data_encoding::BASE32_NOPAD.decode(base32.as_bytes());
    decoded.unwrap()
}

/// Returns whether the bytes contain an address, raw or as text.
fn shows(bytes: &[u8], ip: Ipv4Addr) -> bool {
    let text = format!("{ip}:");
    [&ip.octets()[..], text.as_bytes()]
        .into_iter()
        .any(|form| bytes.windows(form.len()).any(|window| window == form))
}

fn assert_hidden(what: &str, bytes: &[u8]) {
    for ip in HERS {
        assert!(!shows(bytes, ip), "{ip} in {what:.300}");
    }
}
