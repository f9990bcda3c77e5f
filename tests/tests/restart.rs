//! A peer is killed and restarted: how soon the loss is noticed, and how soon messages flow again.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_crypto::invitation::{Invitation, PROOF_EXPORT_LABEL, proof};
use m2_net::session::Session;
use m2_net::wire::{ContactRequest, InviteProof, Message};
use m2_proto::api::v1::{ContactState, MessageState};
use m2_tests::harness::{Daemon, Setup};
use m2_tests::hostile::{Caller, identity, public_id};
use m2_tests::scenario::{Api, Pair, eventually};
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// The timeout of this test's own endpoint, a guard against hangs.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn messages_flow_again_soon_after_a_restart_of_either_side() {
    let mut pair = Pair::start().await.unwrap();
    for round in 0..2 {
        let (alice, _) = pair.apis().await.unwrap();
        pair.bob.kill9().await.unwrap();
        let id = alice.send("bob", &format!("to bob {round}")).await.unwrap();
        comes_back(&mut pair.bob, &alice, &id).await;

        let bob = Api::of(&pair.bob).await.unwrap();
        pair.alice.kill9().await.unwrap();
        let id = bob
            .send("alice", &format!("to alice {round}"))
            .await
            .unwrap();
        comes_back(&mut pair.alice, &bob, &id).await;
    }
    let (alice, bob) = pair.apis().await.unwrap();
    assert_eq!(
        bob.received("alice").await.unwrap(),
        ["to bob 0", "to bob 1"]
    );
    assert_eq!(
        alice.received("bob").await.unwrap(),
        ["to alice 0", "to alice 1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_peer_is_shown_offline_before_its_session_times_out() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    pair.bob.kill9().await.unwrap();
    let start = Instant::now();
    alice.send("bob", "not delivered").await.unwrap();
    eventually("bob to be shown offline", async || {
        let bob = alice.contact("bob").await?;
        Ok((!bob.online && bob.last_failure == "NO_ANSWER").then_some(()))
    })
    .await
    .unwrap();
    println!("offline after {:?}", start.elapsed());
    // The daemon noticed the silence itself: QUIC's idle timeout does not increment this counter.
    let doubted = count(&alice, "SESSION_SILENT").await;
    assert!(doubted >= 1, "{doubted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_peer_continues_without_loss() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    signal(&pair.bob, "STOP");
    let first = alice.send("bob", "while it sleeps").await.unwrap();
    eventually("bob to be shown offline", async || {
        Ok((!alice.contact("bob").await?.online).then_some(()))
    })
    .await
    .unwrap();
    signal(&pair.bob, "CONT");
    let start = Instant::now();
    alice
        .await_message(&first, MessageState::Delivered)
        .await
        .unwrap();
    println!("delivered after {:?}", start.elapsed());
    assert!(alice.contact("bob").await.unwrap().online);
    let back = bob.send("alice", "awake").await.unwrap();
    bob.await_message(&back, MessageState::Delivered)
        .await
        .unwrap();
    assert_eq!(bob.received("alice").await.unwrap(), ["while it sleeps"]);
}

/// Carol lost her sessions and dials no peer: a daemon with a message for her must notice that.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_lost_its_sessions_is_dialled() {
    lost_after(Duration::ZERO).await;
}

/// Like the test above, in a session that has been silent for a while and in which carol never stated
/// her places, so that no message leaves on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_stated_its_places_and_lost_its_sessions_is_dialled() {
    lost_after(Duration::from_secs(5)).await;
}

/// Discards carol's sessions after a silence, and asserts that alice dials her.
async fn lost_after(silence: Duration) {
    let alice = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let api = Api::of(&alice).await.unwrap();
    let address = alice.udp_address().await.unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (carol, session) = tokio::task::block_in_place(|| {
        runtime.block_on(async {
            let carol = Caller::new(identity("carol").unwrap()).unwrap();
            let session = join(&api, &carol, address).await;
            sleep(silence).await;
            (carol, session)
        })
    });
    let at = carol.endpoint().local_addrs()[0];
    // Carol's endpoint no longer runs, and no peer was notified.
    runtime.shutdown_background();
    drop((carol, session));
    let carol = again(at).await;
    let start = Instant::now();
    api.send("carol", "are you there?").await.unwrap();
    let called = timeout(PATIENCE, carol.endpoint().accept()).await;
    println!("dialled after {:?}", start.elapsed());
    let mut session = called.unwrap().unwrap();
    // Alice noticed the silence herself: QUIC's idle timeout does not increment this counter.
    assert_eq!(count(&api, "SESSION_SILENT").await, 1);
    let frame = timeout(PATIENCE, session.recv_frame())
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(frame, Message::Places(_)), "{frame:?}");
}

async fn comes_back(killed: &mut Daemon, sender: &Api, id: &str) {
    killed.restart().await.unwrap();
    let start = Instant::now();
    sender
        .await_message(id, MessageState::Delivered)
        .await
        .unwrap();
    println!("delivered {:?} after the restart", start.elapsed());
}

/// Returns a counter of the daemon's status.
async fn count(api: &Api, name: &str) -> u64 {
    let status = api.status().await.unwrap();
    status.refused.get(name).copied().unwrap_or_default()
}

/// Binds an endpoint of carol to the same address as before, once that is free.
async fn again(at: SocketAddr) -> Caller {
    for _ in 0..600 {
        let carol = Caller::adjusted(identity("carol").unwrap(), |config| {
            config.listen = vec![at]
        });
        if let Ok(carol) = carol {
            return carol;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("the address is still in use");
}

/// Makes carol a contact of alice, under this name.
async fn join(alice: &Api, carol: &Caller, address: SocketAddr) -> Session {
    let uri = alice.invite(false, "carol").await.unwrap();
    let invitation: Invitation = uri.parse().unwrap();
    let peer = public_id(&identity("alice").unwrap());
    let session = carol.dial(address, peer).await.unwrap();
    let key = session.exporter(PROOF_EXPORT_LABEL, &[]).unwrap();
    let invite = InviteProof {
        invite_id: *invitation.id().as_bytes(),
        proof: proof(invitation.token(), &key),
    };
    let request = ContactRequest {
        invite: Some(invite),
        name: String::new(),
    };
    let sent = session.send_frame(Message::ContactRequest(request)).await;
    sent.unwrap();
    let joined = alice.await_state("carol", ContactState::Contact).await;
    joined.unwrap();
    session
}

fn signal(daemon: &Daemon, name: &str) {
    let kill = format!("kill -{name} {}", daemon.pid().unwrap());
    let status = Command::new("sh").arg("-c").arg(kill).status().unwrap();
    assert!(status.success());
}
