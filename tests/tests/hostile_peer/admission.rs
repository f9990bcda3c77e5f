//! Invitations that are no longer valid, and unsolicited answers.

use crate::forge::join;
use crate::scene::Scene;
use crate::strangers::{request, shown};
use m2_crypto::invitation::Invitation;
use m2_net::session::Session;
use m2_net::wire::Message;
use m2_proto::api::v1::CreateInvitationRequest;
use m2_tests::hostile::{Caller, crowd, identity};
use std::time::Duration;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_token_makes_a_plain_request() {
    let scene = Scene::start().await;
    let people = tokio::task::spawn_blocking(|| crowd(3).unwrap());
    let callers: Vec<Caller> = people
        .await
        .unwrap()
        .into_iter()
        .map(|one| Caller::new(one).unwrap())
        .collect();

    let (expired, ends) = of_a_minute(&scene).await;
    // A one-time invitation: the second peer is not admitted; the first may show the token again.
    let single: Invitation = scene
        .alice
        .invite(false, "")
        .await
        .unwrap()
        .parse()
        .unwrap();
    let first = ask(&scene, &callers[0], &single).await;
    scene.contacts(2).await;
    let _second = ask(&scene, &callers[1], &single).await;
    scene.counted("INVITATION_REFUSED", 1).await;
    scene.requests(1).await;
    let again = request("", Some(shown(&first, &single)));
    first.send_frame(again).await.unwrap();
    scene.counted("REQUEST_REPEATED", 1).await;

    tokio::time::sleep_until(ends).await;
    let _third = ask(&scene, &callers[2], &expired).await;
    scene.counted("INVITATION_REFUSED", 2).await;
    scene.requests(2).await;
    scene.contacts(2).await;
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsolicited_answer_changes_nothing() {
    let scene = Scene::start().await;
    let people = tokio::task::spawn_blocking(|| crowd(1).unwrap());
    let stranger = Caller::new(people.await.unwrap().remove(0)).unwrap();
    let answer = |accepted| Message::ContactReply { accepted };

    // The answer of a peer without a request, then of a peer that answers its own request.
    let session = stranger.dial(scene.address, scene.alices_id()).await;
    let session = session.unwrap();
    session.send_frame(answer(true)).await.unwrap();
    scene.counted("NOT_A_CONTACT", 1).await;
    session.send_frame(request("", None)).await.unwrap();
    scene.requests(1).await;
    for (number, accepted) in (1..).zip([true, false]) {
        session.send_frame(answer(accepted)).await.unwrap();
        scene.counted("REPLY_UNASKED", number).await;
        scene.requests(1).await;
        scene.contacts(1).await;
    }

    // A contact that declines, then agrees a second time.
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    session.send_frame(answer(false)).await.unwrap();
    scene.counted("REPLY_UNASKED", 3).await;
    session.send_frame(answer(true)).await.unwrap();
    scene.counted("REPLY_REPEATED", 1).await;
    scene.contacts(2).await;
    scene.holds().await;
}

/// Dials and makes a request with an invitation.
async fn ask(scene: &Scene, caller: &Caller, invitation: &Invitation) -> Session {
    let session = caller.dial(scene.address, scene.alices_id()).await.unwrap();
    let proof = shown(&session, invitation);
    session.send_frame(request("", Some(proof))).await.unwrap();
    session
}

/// An invitation that is valid for one minute, the shortest time, and the moment at which it expires.
async fn of_a_minute(scene: &Scene) -> (Invitation, Instant) {
    let request = CreateInvitationRequest {
        reusable: true,
        valid_for: Some(MINUTE.into()),
        ..Default::default()
    };
    let mut invitations = scene.alice.client().invitations();
    let created = invitations.create_invitation(request).await.unwrap();
    let ends = Instant::now() + MINUTE;
    (created.into_inner().uri.parse().unwrap(), ends)
}
