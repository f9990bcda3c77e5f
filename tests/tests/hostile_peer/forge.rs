//! Frames of a hostile contact: its own envelopes, valid and invalid.

use crate::scene::Scene;
use crate::strangers::{request, shown};
use bytes::Bytes;
use m2_crypto::envelope::{EpochHeader, EpochSecret, EpochShare, SendEpoch};
use m2_crypto::invitation::Invitation;
use m2_crypto::{Certificate, Identity};
use m2_delivery::{Body, Content, MessageId, Payload, Time};
use m2_net::clock::Clock;
use m2_net::session::Session;
use m2_net::wire::{Envelope, Message};
use m2_proto::api::v1::ContactState;
use m2_tests::hostile::{Caller, identity, places, public_id};
use std::sync::{Arc, LazyLock};

/// The receiver of all forged frames. Read once, because that takes a tenth of a second.
static ALICE: LazyLock<Arc<Identity>> = LazyLock::new(|| identity("alice").unwrap());

/// The incarnation of all forged envelopes.
const INCARNATION: u64 = 5;

/// Makes `caller` a contact of alice under this name.
pub async fn join(scene: &Scene, caller: &Caller, name: &str) -> Session {
    let uri = scene.alice.invite(false, name).await.unwrap();
    let invitation: Invitation = uri.parse().unwrap();
    let session = caller.dial(scene.address, scene.alices_id()).await.unwrap();
    let proof = shown(&session, &invitation);
    session.send_frame(request("", Some(proof))).await.unwrap();
    let joined = scene.alice.await_state(name, ContactState::Contact);
    joined.await.unwrap();
    session.send_frame(first_frame()).await.unwrap();
    session
}

/// The first frame of a contact in every session.
pub fn first_frame() -> Message {
    places(INCARNATION)
}

/// A valid header for an epoch towards alice.
pub fn header(sender: &Identity, epoch: u64) -> EpochHeader {
    EpochHeader {
        sender: public_id(sender),
        receiver: public_id(&ALICE),
        incarnation: INCARNATION,
        epoch,
        created_s: Clock::system().unix_s(),
    }
}

/// Opens an epoch towards alice in a session that its sender dialled. Epoch n is the session's n-th.
pub fn open(session: &Session, sender: &Identity, epoch: u64) -> SendEpoch {
    open_as(session, sender, header(sender, epoch), epoch - 1)
}

/// Opens an epoch for alice with an arbitrary header, after `step` others in the session.
pub fn open_as(session: &Session, sender: &Identity, header: EpochHeader, step: u64) -> SendEpoch {
    open_for(session, sender, ALICE.certificate(), header, step)
}

/// Opens an epoch for the holder of any certificate.
pub fn open_for(
    session: &Session,
    sender: &Identity,
    receiver: &Certificate,
    header: EpochHeader,
    step: u64,
) -> SendEpoch {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let share = share(session, step);
    SendEpoch::open(&mut rng, sender, receiver, header, &share).unwrap()
}

/// The session's share in the epoch after `step` others.
fn share(session: &Session, step: u64) -> EpochShare {
    let export = |label| session.exporter(label, &[]).unwrap();
    let name = export(EpochSecret::EXPORT_OF_NAME);
    let name = *name.expose().first_chunk().unwrap();
    let mut secret = EpochSecret::new(name, export(EpochSecret::EXPORT_OF_INITIATOR));
    for _ in 0..step {
        secret.next_share();
    }
    secret.next_share()
}

/// A body with this text.
pub fn text(text: &str) -> Body {
    Body::Content(Content::new("", text.to_owned()).unwrap())
}

/// Seals a message. The envelope includes the epoch's grant.
pub fn seal(epoch: &mut SendEpoch, sequence: u64, id: [u8; 16], body: Body) -> Message {
    let payload = Payload {
        sequence,
        sent: Time(u64::MAX),
        ttl_s: 0,
        body,
        as_sent: None,
    };
    seal_bytes(epoch, id, &payload.encode())
}

/// Seals arbitrary bytes in a valid envelope.
pub fn seal_bytes(epoch: &mut SendEpoch, id: [u8; 16], plaintext: &[u8]) -> Message {
    let sealed = epoch.seal(&id, plaintext).unwrap();
    Message::Envelope(Envelope {
        grant: Bytes::copy_from_slice(epoch.grant()),
        sealed: sealed.into(),
    })
}

/// Parses a message id in the API's hexadecimal form.
pub fn message_id(hex: &str) -> MessageId {
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    MessageId(bytes.try_into().unwrap())
}
