//! Many strangers at once, each with a different identity.

use crate::scene::Scene;
use crate::strangers::{request, shown};
use m2_crypto::handshake::Credential;
use m2_crypto::invitation::Invitation;
use m2_crypto::{Identity, PeerId};
use m2_net::session::{CloseCode, Ended, Session};
use m2_proto::api::v1::{ContactState, DeclineContactRequest};
use m2_tests::harness::Setup;
use m2_tests::hostile::{Caller, crowd, identity, public_id};
use std::sync::Arc;
use std::time::Duration;

/// Sessions that strangers of one network may have: three quarters of the total.
const STRANGERS: usize = 48;
/// Requests that are kept from one network: three quarters of the total.
const REQUESTS: usize = 75;
/// An address of this machine that counts as another network.
const ELSEWHERE: [u8; 4] = [127, 0, 9, 1];
/// The number of strangers in excess of each bound.
const TOO_MANY: usize = 6;
/// The timeout of a dial among many on a loaded machine.
const PATIENT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_strangers_is_bounded_and_excludes_no_other_peer() {
    let people = tokio::task::spawn_blocking(|| crowd(REQUESTS + TOO_MANY + 1).unwrap());
    // A stranger that asks nothing may stay for half a minute. On a slow machine, keys for all of them can't
    // be generated in that time.
    let keys = format!("session_keys = {}", 2 * (STRANGERS + TOO_MANY));
    let alice = Setup::new().identity("alice").network(&keys);
    let scene = Scene::start_with(alice).await;
    let people = people.await.unwrap();
    let caller = Caller::adjusted(identity("carol").unwrap(), |config| {
        config.limits.handshake = PATIENT;
        config.key_pool_size = STRANGERS + TOO_MANY;
    })
    .unwrap();
    caller.keys_ready().await;
    scene.keys_ready().await;

    // All are connected and silent: the oldest sessions are replaced.
    let (foreign, people) = people.split_last().unwrap();
    let (first, later) = people.split_at(STRANGERS + TOO_MANY);
    let mut sessions = Vec::new();
    for one in first {
        sessions.push(dial_as_one(&scene, &caller, one).await);
    }
    scene.counted("STRANGERS_TOO_MANY", TOO_MANY as u64).await;
    for gone in sessions.drain(..TOO_MANY) {
        assert_eq!(
            gone.closed().await,
            Ended::ByPeer(CloseCode::Replaced as u64)
        );
    }
    // The strangers' sessions and bob's.
    let open = scene.alice.status().await.unwrap().sessions();
    assert!(open <= STRANGERS as u32 + 3, "{open}");

    // All make requests: the last ones are not kept.
    for session in &sessions {
        session.send_frame(request("one", None)).await.unwrap();
    }
    scene.requests(STRANGERS).await;
    for one in first[..TOO_MANY].iter().chain(later) {
        let session = dial_as_one(&scene, &caller, one).await;
        session.send_frame(request("one more", None)).await.unwrap();
        sessions.push(session);
    }
    scene.counted("REQUESTS_TOO_MANY", TOO_MANY as u64).await;
    scene.requests(REQUESTS).await;

    // A stranger from another network can still make a request.
    let elsewhere = Caller::adjusted(foreign.clone(), |config| {
        config.listen = vec![(ELSEWHERE, 0).into()];
        config.limits.handshake = PATIENT;
    })
    .unwrap();
    let session = dial_as_one(&scene, &elsewhere, foreign).await;
    session.send_frame(request("foreign", None)).await.unwrap();
    scene.requests(REQUESTS + 1).await;

    // An invited peer is still admitted, and a declined request makes room for another one.
    let invited = scene.alice.invite(false, "carol").await.unwrap();
    let invited: Invitation = invited.parse().unwrap();
    let session = caller.dial(scene.address, scene.alices_id()).await.unwrap();
    let proof = shown(&session, &invited);
    session.send_frame(request("", Some(proof))).await.unwrap();
    let joined = scene.alice.await_state("carol", ContactState::Contact);
    joined.await.unwrap();
    decline_one(&scene, public_id(foreign)).await;
    let last = sessions.last().unwrap();
    last.send_frame(request("at last", None)).await.unwrap();
    scene.requests(REQUESTS + 1).await;
    scene.holds().await;
}

async fn dial_as_one(scene: &Scene, caller: &Caller, who: &Arc<Identity>) -> Session {
    let credential = Credential::Identity(who.clone());
    let dialled = caller.dial_as(credential, scene.address, scene.alices_id());
    dialled.await.unwrap()
}

/// Declines one request, but not that of `spared`.
async fn decline_one(scene: &Scene, spared: PeerId) {
    let requests = scene.alice.contacts(ContactState::Request).await.unwrap();
    let of_crowd = requests
        .iter()
        .find(|one| one.peer_id != spared.to_string());
    let contact = of_crowd.unwrap().peer_id.clone();
    let mut contacts = scene.alice.client().contacts();
    let decline = DeclineContactRequest { contact };
    contacts.decline_contact(decline).await.unwrap();
    scene.requests(REQUESTS).await;
}
