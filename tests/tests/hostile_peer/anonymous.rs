//! An anonymous peer may use lines and mailboxes, but may send nothing that is reserved to contacts.

use crate::scene::Scene;
use crate::strangers::{not_for_strangers, request, shown};
use m2_crypto::handshake::Credential;
use m2_crypto::invitation::Invitation;
use m2_net::dial_error::DialError;
use m2_net::session::{CloseCode, Ended};
use m2_net::wire::Message;
use m2_proto::api::v1::ContactState;
use m2_tests::hostile::{Caller, Noise, identity};

const REFUSED: u64 = CloseCode::Refused as u64;

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_peer_may_not_send_what_contacts_send() {
    let scene = Scene::start().await;
    let caller = Caller::new(identity("carol").unwrap()).unwrap();
    let invitation: Invitation = scene.alice.invite(true, "").await.unwrap().parse().unwrap();
    let mut messages = not_for_strangers(&mut Noise::new(17));
    messages.push(request("nobody", None));
    messages.push(Message::ContactReply { accepted: true });
    // The last iteration sends a valid token.
    for number in 0..=messages.len() {
        let dialled = caller
            .dial_as(Credential::Anonymous, scene.address, scene.alices_id())
            .await;
        scene.counted("ANONYMOUS", number as u64 + 1).await;
        let session = match dialled {
            Ok(session) => session,
            // The session may end before the Hello is read.
            Err(error) => {
                assert_eq!(error, DialError::Refused);
                continue;
            }
        };
        let message = messages.get(number).cloned();
        let message = message.unwrap_or_else(|| request("", Some(shown(&session, &invitation))));
        // The frame may or may not be sent; the session ends in both cases.
        let _ = session.send_frame(message).await;
        assert_eq!(session.closed().await, Ended::ByPeer(REFUSED));
    }
    scene.contacts(1).await;
    let requests = scene.alice.contacts(ContactState::Request).await.unwrap();
    assert!(requests.is_empty());
    assert_eq!(scene.count("NOT_A_CONTACT").await, 0);
    scene.holds().await;
}
