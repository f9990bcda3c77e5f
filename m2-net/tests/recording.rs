//! Records sessions of two endpoints, and opens them with the decoder that reads the vectors
//! (tests/vectors/README.md). With `M2_WRITE_VECTORS=1` a recording becomes one of the repository if
//! that is missing there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
#[allow(dead_code)]
#[path = "../../m2-crypto/tests/session/decoder/mod.rs"]
mod decoder;

use common::*;
use decoder::bytes::hex;
use m2_crypto::envelope::{EpochHeader, EpochSecret, SendEpoch};
use m2_crypto::handshake::Credential;
use m2_crypto::provider::{Aead, Ctr, KemPrivateKey, PrivateKey, Provider, default};
use m2_crypto::{Circle, Identity, KeyError, PeerId, Secret, invitation, label};
use m2_net::clock::Clock;
use m2_net::endpoint::{Endpoint, EndpointConfig};
use m2_net::session::{CloseCode, Session};
use m2_net::wire::{Ack, ContactRequest, Envelope, InviteProof, Message, Places};
use m2_proto::wire::v1 as proto;
use ml_kem::{DecapsulationKey, MlKem768};
use prost::Message as _;
use rand_core::UnwrapErr;
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A timeout for busy machines.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time after which no more datagrams of a closed session arrive.
const REST: Duration = Duration::from_millis(300);
const CIRCLE_SECRET: [u8; 32] = [0x17; 32];
const TOKEN: [u8; 16] = [0x32; 16];
const INCARNATIONS: [u64; 2] = [0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00];

/// The default provider. Keeps the private keys that an endpoint generates.
#[derive(Debug, Default)]
struct Keeping {
    rsa: Mutex<Vec<RsaPrivateKey>>,
    kem: Mutex<Vec<DecapsulationKey<MlKem768>>>,
}

impl Provider for Keeping {
    fn name(&self) -> &'static str {
        "keeping"
    }

    fn private_key(&self, key: &RsaPrivateKey) -> Result<Box<dyn PrivateKey>, KeyError> {
        self.rsa.lock().unwrap().push(key.clone());
        default().private_key(key)
    }

    fn kem_key(
        &self,
        key: &DecapsulationKey<MlKem768>,
    ) -> Result<Box<dyn KemPrivateKey>, KeyError> {
        self.kem.lock().unwrap().push(key.clone());
        default().kem_key(key)
    }

    fn aead(&self, key: &Secret<16>) -> Box<dyn Aead> {
        default().aead(key)
    }

    fn ctr(&self, key: &Secret<16>) -> Box<dyn Ctr> {
        default().ctr(key)
    }
}

/// One side: an endpoint, and the keys that it generated.
struct Side {
    endpoint: Endpoint,
    kept: &'static Keeping,
}

impl Side {
    fn new(identity: Arc<Identity>, change: impl FnOnce(&mut EndpointConfig)) -> Self {
        let kept: &'static Keeping = Box::leak(Box::default());
        let mut config = config(identity);
        config.circle = home();
        config.provider = kept;
        config.key_pool_size = 2;
        change(&mut config);
        let endpoint = Endpoint::bind(config).unwrap();
        Self { endpoint, kept }
    }

    /// Returns every session key that the endpoint may have used.
    fn session_keys(&self) -> Vec<Value> {
        let seeds = self.kept.kem.lock().unwrap();
        let seed = hex(&seeds.last().unwrap().to_seed().unwrap());
        let keys = self.kept.rsa.lock().unwrap();
        let value = |key: &RsaPrivateKey| {
            let der = key.to_pkcs8_der().unwrap();
            json!({ "rsa": hex(der.as_bytes()), "kemSeed": seed })
        };
        keys.iter().map(value).collect()
    }
}

fn home() -> Circle {
    Circle::private("home", &Secret::new(CIRCLE_SECRET))
}

fn peer_id(identity: &Identity) -> PeerId {
    identity.peer_id(home().id())
}

/// Records a session from its first datagram to the last one after its end. `talk` is what the two
/// ends say.
async fn record(
    sides: &[Side; 2],
    credential: Credential,
    talk: impl AsyncFnOnce(&mut Session, &mut Session),
) -> (Value, Value) {
    let [caller, called] = [&sides[0].endpoint, &sides[1].endpoint];
    keys_ready(caller).await;
    keys_ready(called).await;
    let tap = Tap::new(address(called)).await;
    let identified = matches!(credential, Credential::Identity(_));
    let dial = caller.dial(tap.address, peer_id(&bob()), credential);
    let (dialled, accepted) = tokio::join!(dial, called.accept());
    let (mut dialled, mut accepted) = (dialled.unwrap(), accepted.unwrap());
    talk(&mut dialled, &mut accepted).await;
    let exported = exported(&dialled);
    assert_eq!(exported, self::exported(&accepted));
    dialled.close(CloseCode::Done);
    timeout(PATIENCE, accepted.closed()).await.unwrap();
    sleep(REST).await;
    let sent: Vec<_> = tap.both.lock().unwrap().iter().map(sent).collect();
    let given = |initiator: &Value, responder: &Value| {
        json!({
            "circle": { "name": "home", "secret": hex(&CIRCLE_SECRET) },
            "initiatorIdentity": identified.then_some("identities/alice.pem"),
            "responderIdentity": "identities/bob.pem",
            "day": Clock::system().day(),
            "initiatorSessionKey": initiator,
            "responderSessionKey": responder,
            "invitationToken": identified.then_some(hex(&TOKEN)),
        })
    };
    let mut failures = Vec::new();
    for initiator in sides[0].session_keys() {
        for responder in sides[1].session_keys() {
            let file = json!({ "given": given(&initiator, &responder), "sent": sent });
            match decoder::decode(&file, default()) {
                Ok(decoded) => return (decoded, exported),
                Err(bad) => failures.push(bad),
            }
        }
    }
    panic!("no session keys open the recording: {failures:?}");
}

fn sent((to_called, datagram): &(bool, Vec<u8>)) -> Value {
    let from = if *to_called { "initiator" } else { "responder" };
    json!({ "from": from, "datagram": hex(datagram) })
}

/// Returns the secrets of a live session, in the form of the recording.
fn exported(session: &Session) -> Value {
    let export = |label: &str| hex(session.exporter(label.as_bytes(), &[]).unwrap().expose());
    json!({
        "invitationProof": export("invitation proof"),
        "lookUpSecretOfInitiator": export("look-up secret of the initiator"),
        "lookUpSecretOfResponder": export("look-up secret of the responder"),
        "sessionName": export("session name"),
        "epochSecretOfInitiator": export("epoch secret of the initiator"),
        "epochSecretOfResponder": export("epoch secret of the responder"),
        "letterSecret": export("letter secret"),
    })
}

async fn say(from: &Session, to: &mut Session, message: Message) {
    from.send_frame(message.clone()).await.unwrap();
    let got = timeout(PATIENCE, to.recv_frame()).await.unwrap();
    assert_eq!(got.unwrap(), message);
}

fn request(session: &Session) -> Message {
    let token = Secret::new(TOKEN);
    let exporter = session.exporter(b"invitation proof", &[]).unwrap();
    let id = label::hash("invitation id", &[token.expose()]);
    Message::ContactRequest(ContactRequest {
        invite: Some(InviteProof {
            invite_id: id[..16].try_into().unwrap(),
            proof: invitation::proof(&token, &exporter),
        }),
        name: "Alice".into(),
    })
}

fn places(side: usize) -> Message {
    Message::Places(Box::new(Places {
        following: 0,
        following_epoch: 0,
        expected: 0,
        newest_grant: Vec::new().into(),
        incarnation: INCARNATIONS[side],
        epoch: 0,
        oldest: 1,
        next: 1,
        settled: Vec::new(),
    }))
}

/// Opens the first epoch of the dialling side.
fn epoch(session: &Session) -> SendEpoch {
    let export = |label: &[u8]| session.exporter(label, &[]).unwrap();
    let name = export(EpochSecret::EXPORT_OF_NAME);
    let mut secret = EpochSecret::new(
        name.expose()[..8].try_into().unwrap(),
        export(EpochSecret::EXPORT_OF_INITIATOR),
    );
    let header = EpochHeader {
        sender: peer_id(&alice()),
        receiver: peer_id(&bob()),
        incarnation: INCARNATIONS[0],
        epoch: 1,
        created_s: Clock::system().unix_s(),
    };
    let rng = &mut UnwrapErr(getrandom::SysRng);
    let bob = bob();
    SendEpoch::open(
        rng,
        &alice(),
        bob.certificate(),
        header,
        &secret.next_share(),
    )
    .unwrap()
}

/// Seals a text as the message with this number. Returns the acknowledgement, too.
fn text(epoch: &mut SendEpoch, sequence: u64, text: &str) -> (Message, Message) {
    let content = proto::Content {
        media_type: "text/plain".into(),
        data: text.as_bytes().to_vec().into(),
        ..Default::default()
    };
    let payload = |sequence, sent_ms| {
        let body = Some(proto::payload::Body::Content(content.clone()));
        let payload = proto::Payload {
            sequence,
            sent_ms,
            ttl_s: 0,
            body,
        };
        payload.encode_to_vec()
    };
    let message_id = [sequence as u8; 16];
    let sealed = epoch.seal(&message_id, &payload(sequence, Clock::system().unix_ms()));
    let envelope = Message::Envelope(Envelope {
        grant: epoch.grant().to_vec().into(),
        sealed: sealed.unwrap().into(),
    });
    let ack = Message::Acks(vec![Ack {
        message_id,
        content_hash: label::hash("content", &[&message_id, &payload(0, 0)]),
    }]);
    (envelope, ack)
}

/// Two peers become contacts by an invitation, and exchange messages before and after a key update.
async fn talk(dialled: &mut Session, accepted: &mut Session) {
    say(dialled, accepted, request(dialled)).await;
    say(accepted, dialled, Message::ContactReply { accepted: true }).await;
    say(accepted, dialled, places(1)).await;
    say(dialled, accepted, places(0)).await;
    let mut epoch = epoch(dialled);
    let (envelope, ack) = text(&mut epoch, 1, "Hello, Bob");
    say(dialled, accepted, envelope).await;
    say(accepted, dialled, ack).await;
    epoch.confirm();
    // QUIC probes the path at first; the update is delayed until it is quiet.
    sleep(REST).await;
    dialled.connection().force_key_update();
    let (envelope, ack) = text(&mut epoch, 2, "Under new keys");
    say(dialled, accepted, envelope).await;
    say(accepted, dialled, ack).await;
    sleep(REST).await;
}

/// Stores a recording if there is none. Otherwise derives the values of the stored one again.
fn keep(name: &str, decoded: Value) {
    if std::env::var_os("M2_WRITE_VECTORS").is_none() {
        return;
    }
    let path = format!("{}/../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let kept = std::fs::read_to_string(&path).map_or(decoded, |kept| {
        let kept = serde_json::from_str(&kept).unwrap();
        decoder::decode(&kept, default()).unwrap()
    });
    let text = serde_json::to_string_pretty(&kept).unwrap() + "\n";
    std::fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passive_decoder_with_the_private_keys_opens_a_session() {
    let sides = [Side::new(alice(), |_| {}), Side::new(bob(), |_| {})];
    let as_alice = Credential::Identity(alice());
    let (decoded, exported) = record(&sides, as_alice, talk).await;
    assert_eq!(decoded["exported"], exported);
    assert_eq!(decoded["message"]["messages"].as_array().unwrap().len(), 2);
    keep("session.json", decoded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passive_decoder_opens_a_session_after_a_retry() {
    let under_load = Side::new(bob(), |config| config.limits.retry_above = 0);
    let sides = [Side::new(alice(), |_| {}), under_load];
    let nothing = async |_: &mut Session, _: &mut Session| sleep(REST).await;
    let (decoded, exported) = record(&sides, Credential::Anonymous, nothing).await;
    assert_eq!(decoded["exported"], exported);
    assert!(decoded["retry"].is_object());
    keep("session_retry.json", decoded);
}
