//! Which peers get a box.

use crate::people::{SEED, ends_with, groundless};
use crate::scene::{Scene, bob, carol};
use m2_net::dial_error::DialError;
use m2_net::session::CloseCode;
use m2_proto::api::v1::ContactState;

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_invitation_makes_one_box() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let invitation = scene.invite(false).await;

    let mut owner = scene.guest(&bob).await;
    let none = owner.open().await;
    assert!(!none.open && none.reason.is_empty());
    let refused = owner.register_with_nothing().await;
    assert!(!refused.open);
    assert_eq!(refused.reason, "INVITATION_INVALID");
    let state = owner.register(&invitation).await;
    assert!(state.open && state.reason.is_empty());
    assert_eq!((state.max_letters, state.max_bytes), (10_000, 64 << 20));

    // The answer may have been lost, so a repeated registration succeeds with any proof.
    assert!(owner.register(&invitation).await.open);
    let mut again = scene.guest(&bob).await;
    assert!(again.open().await.open);
    assert!(again.register_with_nothing().await.open);

    let mut other = scene.guest(&carol).await;
    assert_eq!(
        other.register(&invitation).await.reason,
        "INVITATION_INVALID"
    );
    assert!(scene.count("MAILBOX_INVITATION_REFUSED").await >= 2);
    // A box makes no peer a contact, and causes no contact request.
    for state in [ContactState::Contact, ContactState::Request] {
        assert!(scene.api.contacts(state).await.unwrap().is_empty());
    }

    // A removed box is gone, and needs another invitation.
    assert!(!again.remove().await.open);
    assert!(!again.open().await.open);
    assert!(!again.register(&invitation).await.open);
    let reusable = scene.invite(true).await;
    assert!(again.register(&reusable).await.open);
    assert!(other.register(&reusable).await.open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_reports_it_and_does_not_use_up_the_invitation() {
    let scene = Scene::with("max_boxes = 1").await;
    let mut first = scene.owner(&bob()).await;
    let invitation = scene.invite(false).await;
    let mut second = scene.guest(&carol()).await;
    assert_eq!(second.register(&invitation).await.reason, "BOXES_FULL");
    assert!(!first.remove().await.open);
    assert!(second.register(&invitation).await.open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_guesses_invitations_is_disconnected() {
    let scene = Scene::start().await;
    let guest = carol();
    let mut guest = scene.guest(&guest).await;
    for _ in 0..8 {
        assert!(!guest.register_with_nothing().await.open);
    }
    guest.say(groundless(SEED)).await;
    ends_with(&guest.session, CloseCode::Misbehaved).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_without_the_role_serves_no_mailbox_session() {
    let scene = Scene::of("").await;
    let (bob, carol) = (bob(), carol());
    for (number, reason) in [(1, "MAILBOX_OFF"), (2, "ANONYMOUS")] {
        let dialled = match number {
            1 => scene.dial_owner(&bob).await,
            _ => scene.dial_anonymous(&carol).await,
        };
        match dialled {
            Ok(session) => ends_with(&session, CloseCode::Refused).await,
            // The session may end before the Hello is read.
            Err(error) => assert_eq!(error, DialError::Refused),
        }
        scene.counted(reason, 1).await;
    }
    assert!(!scene.alice.data().join("mailbox.db").exists());
}
