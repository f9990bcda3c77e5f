//! What a hostile contact makes: envelopes of its own, in order and out of it.

use crate::scene::Scene;
use crate::strangers::{request, shown};
use bytes::Bytes;
use m2_crypto::Identity;
use m2_crypto::envelope::{EpochHeader, SendEpoch};
use m2_crypto::invitation::Invitation;
use m2_net::clock::Clock;
use m2_net::delivery::{Body, Content, MessageId, Payload, Time};
use m2_net::session::Session;
use m2_net::wire::{Envelope, Message};
use m2_proto::api::v1::ContactState;
use m2_tests::hostile::{Caller, identity, places, public_id};
use std::sync::{Arc, LazyLock};

/// Who all of it is for. Read once: that takes a tenth of a second.
static ALICE: LazyLock<Arc<Identity>> = LazyLock::new(|| identity("alice").unwrap());

/// The incarnation of all that is forged.
const INCARNATION: u64 = 5;

/// Becomes alice's contact under a name.
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

/// What a contact says first in every session.
pub fn first_frame() -> Message {
    places(INCARNATION)
}

/// What an epoch towards alice says of itself when all is well.
pub fn header(sender: &Identity, epoch: u64) -> EpochHeader {
    EpochHeader {
        sender: public_id(sender),
        receiver: public_id(&ALICE),
        incarnation: INCARNATION,
        epoch,
        created_s: Clock::system().unix_s(),
    }
}

/// An epoch towards alice.
pub fn open(sender: &Identity, epoch: u64) -> SendEpoch {
    open_as(sender, header(sender, epoch))
}

/// An epoch wrapped for alice that says anything of itself.
pub fn open_as(sender: &Identity, header: EpochHeader) -> SendEpoch {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    SendEpoch::open(&mut rng, sender, ALICE.certificate(), header).unwrap()
}

/// A text.
pub fn text(text: &str) -> Body {
    Body::Content(Content::new("", text.to_owned()).unwrap())
}

/// A message in an envelope, with its grant.
pub fn seal(epoch: &mut SendEpoch, sequence: u64, id: [u8; 16], body: Body) -> Message {
    let payload = Payload {
        sequence,
        sent: Time(u64::MAX),
        ttl_s: 0,
        body,
        oldest: 0,
    };
    seal_bytes(epoch, id, &payload.encode())
}

/// Any bytes in an envelope that opens.
pub fn seal_bytes(epoch: &mut SendEpoch, id: [u8; 16], plaintext: &[u8]) -> Message {
    let sealed = epoch.seal(&id, plaintext).unwrap();
    Message::Envelope(Envelope {
        grant: Bytes::copy_from_slice(epoch.grant()),
        sealed: sealed.into(),
    })
}

/// The id that the API names in hexadecimal digits.
pub fn message_id(hex: &str) -> MessageId {
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    MessageId(bytes.try_into().unwrap())
}
