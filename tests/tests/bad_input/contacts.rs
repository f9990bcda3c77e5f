//! Invalid contacts, invitations and names.

use super::scene::{Scene, refused};
use m2_crypto::address::NamedAddress;
use m2_crypto::invitation::{Invitation, Offer};
use m2_crypto::{Circle, PeerId, Secret};
use m2_proto::api::v1::*;
use m2_proto::reason::Reason;
use rand_core::UnwrapErr;

#[tokio::test]
async fn unknown_and_ambiguous_contacts_are_refused() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    for name in ["nobody", "", "bo", "m21", &scene.bob_id[..9]] {
        refused(alice.send(name, "x").await, Reason::ContactUnknown);
        refused(alice.contact(name).await, Reason::ContactUnknown);
        refused(alice.page(name, 1, "").await, Reason::ContactUnknown);
    }
    // Two peers whose ids share a prefix.
    let mut bytes = [7; 32];
    let one = PeerId::from_bytes(bytes).to_string();
    bytes[31] = 8;
    let two = PeerId::from_bytes(bytes).to_string();
    for contact in [&one, &two] {
        let contact = contact.clone();
        let request = BlockContactRequest { contact };
        alice
            .client()
            .contacts()
            .block_contact(request)
            .await
            .unwrap();
    }
    let begin = &one[..20];
    assert!(two.starts_with(begin));
    refused(alice.send(begin, "x").await, Reason::ContactAmbiguous);
    refused(alice.send(&one, "x").await, Reason::NotAContact);
    let send = ["--json", "send", begin, "x"];
    let sent = scene.pair.alice.m2(&send).await.unwrap();
    assert_eq!(sent.code, Some(1));
    assert!(sent.stderr.contains("CONTACT_AMBIGUOUS"), "{}", sent.stderr);
    let contact = "bob".to_owned();
    let request = AcceptContactRequest {
        contact,
        name: String::new(),
    };
    refused(
        alice.client().contacts().accept_contact(request).await,
        Reason::NoRequest,
    );
    scene.end().await;
}

#[tokio::test]
async fn malformed_invitations_are_rejected() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let own = alice.invite(false, "").await.unwrap();
    refused(alice.add(&own, "").await, Reason::InvitationOwn);
    let good = invitation(&Circle::public(), u64::MAX / 2_000);
    let mut changed = good.clone().into_bytes();
    let middle = changed.len() / 2;
    changed[middle] = if changed[middle] == b'q' { b'p' } else { b'q' };
    let changed = String::from_utf8(changed).unwrap();
    let broken = [
        "",
        "hello",
        "m2://",
        "m2://q",
        "https://example.org/",
        &good[..good.len() - 1],
        &good[1..],
        &changed,
        &format!("{good}q"),
        &"m2://".repeat(100_000),
    ]
    .map(str::to_owned);
    for text in broken {
        refused(alice.add(&text, "x").await, Reason::InvitationInvalid);
    }
    let expired = invitation(&Circle::public(), 1_000_000_000);
    refused(alice.add(&expired, "").await, Reason::InvitationExpired);
    let other = Circle::private("home", &Secret::new([9; 32]));
    let other = invitation(&other, u64::MAX / 2_000);
    refused(alice.add(&other, "").await, Reason::OtherCircle);
    refused(alice.add(&good, "bob").await, Reason::NameTaken);
    refused(
        alice.add(&good, "two\nlines").await,
        Reason::InvalidArgument,
    );
    // No rejected invitation left a contact behind.
    let request = ListContactsRequest::default();
    let all = alice.client().contacts().list_contacts(request).await;
    assert_eq!(all.unwrap().into_inner().contacts.len(), 1);
    let unknown = RevokeInvitationRequest {
        invitation_id: "00112233445566778899aabbccddeeff".to_owned(),
    };
    let revoked = alice
        .client()
        .invitations()
        .revoke_invitation(unknown)
        .await;
    refused(revoked, Reason::InvitationUnknown);
    scene.end().await;
}

#[tokio::test]
async fn invalid_and_taken_names_are_refused() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let long = "x".repeat(65);
    for name in [
        "",
        " ",
        " x",
        "x ",
        "a\u{1b}[31m",
        "m21abc",
        "M21ABC",
        &long,
    ] {
        let request = RenameContactRequest {
            contact: "bob".to_owned(),
            name: name.to_owned(),
        };
        let renamed = alice.client().contacts().rename_contact(request).await;
        refused(renamed, Reason::InvalidArgument);
    }
    // Names are compared without regard to case.
    let contact = PeerId::from_bytes([7; 32]).to_string();
    let request = BlockContactRequest {
        contact: contact.clone(),
    };
    alice
        .client()
        .contacts()
        .block_contact(request)
        .await
        .unwrap();
    let request = RenameContactRequest {
        contact,
        name: "BOB".to_owned(),
    };
    let renamed = alice.client().contacts().rename_contact(request).await;
    refused(renamed, Reason::NameTaken);
    refused(alice.invite(false, "Bob").await, Reason::NameTaken);
    scene.end().await;
}

/// A valid invitation from a peer that is never online.
pub(super) fn good_invitation() -> String {
    invitation(&Circle::public(), u64::MAX / 2_000)
}

fn invitation(circle: &Circle, expires_s: u64) -> String {
    let offer = Offer {
        reusable: false,
        expires_s,
        addresses: vec![NamedAddress::new(([127, 0, 0, 1], 9).into())],
        lines: Vec::new(),
    };
    let mut rng = UnwrapErr(getrandom::SysRng);
    let peer = PeerId::from_bytes([3; 32]);
    let made = Invitation::create(&mut rng, peer, circle.id(), offer).unwrap();
    made.to_uri().to_string()
}
