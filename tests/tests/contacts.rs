//! How peers become contacts, and how they stop being contacts.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::{
    AcceptContactRequest, BlockContactRequest, ContactState, DeclineContactRequest,
    ListInvitationsRequest, MessageState, RemoveContactRequest, RenameContactRequest,
    RevokeInvitationRequest, VerifyContactRequest,
};
use m2_proto::reason::Reason;
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::{Api, Pair, eventually};
use tonic::Status;

#[tokio::test]
async fn both_sides_show_the_same_verification_code() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let here = verify(&alice, "bob", None).await;
    let there = verify(&bob, "alice", None).await;
    assert_eq!(here, there);
    assert!(!here.1);
    let groups: Vec<&str> = here.0.split_whitespace().collect();
    assert_eq!(groups.len(), 12, "{}", here.0);
    let digits = |group: &&str| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit());
    assert!(groups.iter().all(digits), "{}", here.0);
    assert!(verify(&alice, "bob", Some(true)).await.1);
    assert!(alice.contact("bob").await.unwrap().verified);
    // Each side records its own verification.
    assert!(!bob.contact("alice").await.unwrap().verified);
    assert!(!verify(&alice, "bob", Some(false)).await.1);
}

#[tokio::test]
async fn a_contact_is_renamed() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    rename(&alice, "bob", "Robert the Builder").await.unwrap();
    alice
        .send("robert the builder", "by any case")
        .await
        .unwrap();
    let gone = alice.send("bob", "no more").await.unwrap_err();
    assert_eq!(Reason::of(&gone), Some(Reason::ContactUnknown));
    let peer = alice.contact("Robert the Builder").await.unwrap().peer_id;
    alice.send(&peer, "by its id").await.unwrap();
    alice
        .send(&peer[..12], "by the beginning of it")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_one_time_invitation_makes_one_contact_and_then_requests() {
    let [alice, bob, carol] = three().await;
    let [a, b, c] = [api(&alice).await, api(&bob).await, api(&carol).await];
    let uri = a.invite(false, "bob").await.unwrap();
    b.add(&uri, "alice").await.unwrap();
    a.await_state("bob", ContactState::Contact).await.unwrap();
    assert_eq!(open_invitations(&a).await.len(), 0);

    c.add(&uri, "alice").await.unwrap();
    let request = request_at(&a).await;
    assert_eq!(
        c.contact("alice").await.unwrap().state(),
        ContactState::Asked
    );
    let not_yet = c.send("alice", "too early").await.unwrap_err();
    assert_eq!(Reason::of(&not_yet), Some(Reason::NotAContact));
    let not_yet = a.send(&request, "too early").await.unwrap_err();
    assert_eq!(Reason::of(&not_yet), Some(Reason::NotAContact));

    accept(&a, &request, "carol").await.unwrap();
    c.await_state("alice", ContactState::Contact).await.unwrap();
    talk(&a, "carol", &c, "alice").await;
    let twice = accept(&a, "carol", "").await.unwrap_err();
    assert_eq!(Reason::of(&twice), Some(Reason::NoRequest));
}

#[tokio::test]
async fn a_reusable_invitation_makes_many_contacts_until_it_is_revoked() {
    let [alice, bob, carol] = three().await;
    let [a, b, c] = [api(&alice).await, api(&bob).await, api(&carol).await];
    let uri = a.invite(true, "").await.unwrap();
    b.add(&uri, "alice").await.unwrap();
    b.await_state("alice", ContactState::Contact).await.unwrap();
    let open = open_invitations(&a).await;
    assert_eq!(open.len(), 1);
    let id = open[0].clone();
    revoke(&a, &id).await.unwrap();
    let twice = revoke(&a, &id).await.unwrap_err();
    assert_eq!(Reason::of(&twice), Some(Reason::InvitationUnknown));
    // Bob stays a contact. Carol is too late for the invitation, so her attempt becomes a request.
    talk(&b, "alice", &a, &b.status().await.unwrap().peer_id).await;
    c.add(&uri, "alice").await.unwrap();
    let request = request_at(&a).await;
    decline(&a, &request).await.unwrap();
    c.await_state("alice", ContactState::Declined)
        .await
        .unwrap();
    assert_eq!(a.contacts(ContactState::Request).await.unwrap().len(), 0);
    // A declined peer may ask again, and a new invitation makes it a contact.
    let uri = a.invite(true, "carol").await.unwrap();
    c.add(&uri, "alice").await.unwrap();
    c.await_state("alice", ContactState::Contact).await.unwrap();
    talk(&a, "carol", &c, "alice").await;
}

#[tokio::test]
async fn a_reusable_invitation_makes_two_contacts() {
    let [alice, bob, carol] = three().await;
    let [a, b, c] = [api(&alice).await, api(&bob).await, api(&carol).await];
    let uri = a.invite(true, "").await.unwrap();
    for api in [&b, &c] {
        api.add(&uri, "alice").await.unwrap();
        api.await_state("alice", ContactState::Contact)
            .await
            .unwrap();
    }
    assert_eq!(a.contacts(ContactState::Contact).await.unwrap().len(), 2);
    let to_bob = b.status().await.unwrap().peer_id;
    let to_carol = c.status().await.unwrap().peer_id;
    a.send(&to_bob, "for bob").await.unwrap();
    a.send(&to_carol, "for carol").await.unwrap();
    b.await_text("alice", "for bob").await.unwrap();
    c.await_text("alice", "for carol").await.unwrap();
    assert_eq!(b.received("alice").await.unwrap(), ["for bob"]);
}

#[tokio::test]
async fn two_peers_that_request_each_other_become_contacts() {
    let [alice, bob, _] = three().await;
    let [a, b] = [api(&alice).await, api(&bob).await];
    // Both invitations are revoked before use, so that each peer only makes a request.
    let to_alice = a.invite(false, "").await.unwrap();
    let to_bob = b.invite(false, "").await.unwrap();
    for api in [&a, &b] {
        revoke(api, &open_invitations(api).await[0]).await.unwrap();
    }
    b.add(&to_alice, "alice").await.unwrap();
    a.add(&to_bob, "bob").await.unwrap();
    a.await_state("bob", ContactState::Contact).await.unwrap();
    b.await_state("alice", ContactState::Contact).await.unwrap();
    talk(&a, "bob", &b, "alice").await;
}

#[tokio::test]
async fn a_blocked_peer_gets_no_session_and_no_answer() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    alice.send("bob", "hello").await.unwrap();
    bob.await_text("alice", "hello").await.unwrap();
    block(&alice, "bob").await;
    assert_eq!(
        alice.contact("bob").await.unwrap().state(),
        ContactState::Blocked
    );
    let refused = alice.send("bob", "more").await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::NotAContact));
    let mut events = alice.all_events().await.unwrap();
    let told = events.until(|kind| matches!(kind, Kind::ContactRemoved(_)).then_some(()));
    told.await.unwrap();

    eventually("the session to end", async || {
        Ok((!bob.contact("alice").await?.online).then_some(()))
    })
    .await
    .unwrap();
    let id = bob.send("alice", "are you there?").await.unwrap();
    // A blocked peer is refused even with a valid invitation.
    let uri = alice.invite(true, "").await.unwrap();
    bob.add(&uri, "alice").await.unwrap();
    eventually("bob to be turned away", async || {
        let refused = alice.status().await?.refused;
        Ok((refused.get("BLOCKED").copied().unwrap_or(0) >= 1).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(alice.status().await.unwrap().sessions, Some(0));
    assert_eq!(alice.received("bob").await.unwrap(), Vec::<String>::new());
    let state = bob.message(&id).await.unwrap().state();
    assert_ne!(state, MessageState::Delivered);
}

#[tokio::test]
async fn a_removed_contact_loses_its_outbox_and_may_be_invited_again() {
    let mut pair = Pair::start().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    let kept = alice.send("bob", "before").await.unwrap();
    alice
        .await_message(&kept, MessageState::Delivered)
        .await
        .unwrap();
    pair.bob.kill9().await.unwrap();
    let waiting = alice.send("bob", "waiting").await.unwrap();
    remove(&alice, "bob", false).await.unwrap();
    let failed = alice.message(&waiting).await.unwrap();
    assert_eq!(failed.state(), MessageState::Failed);
    assert_eq!(failed.failure, "CONTACT_REMOVED");
    let gone = alice.contact("bob").await.unwrap_err();
    assert_eq!(Reason::of(&gone), Some(Reason::ContactUnknown));
    // Bob does not know of the removal yet. His messages are not taken.
    pair.bob.restart().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    let unheard = bob.send("alice", "hello?").await.unwrap();

    let uri = alice.invite(false, "bob").await.unwrap();
    bob.add(&uri, "alice").await.unwrap();
    alice
        .await_state("bob", ContactState::Contact)
        .await
        .unwrap();
    talk(&alice, "bob", &bob, "alice").await;
    bob.await_message(&unheard, MessageState::Delivered)
        .await
        .unwrap();
    assert!(
        !bob.received("alice")
            .await
            .unwrap()
            .contains(&"waiting".to_owned())
    );
}

#[tokio::test]
async fn a_removed_contact_that_is_online_may_be_invited_again() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    talk(&alice, "bob", &bob, "alice").await;
    remove(&alice, "bob", true).await.unwrap();
    remove(&bob, "alice", true).await.unwrap();
    let uri = bob.invite(false, "alice").await.unwrap();
    alice.add(&uri, "bob").await.unwrap();
    alice
        .await_state("bob", ContactState::Contact)
        .await
        .unwrap();
    bob.await_state("alice", ContactState::Contact)
        .await
        .unwrap();
    talk(&alice, "bob", &bob, "alice").await;
    // The removal deleted the history.
    assert_eq!(shown(&alice, "bob").await, ["there", "and back"]);
    assert_eq!(alice.search("there").await.unwrap().len(), 1);
}

#[tokio::test]
async fn another_identity_at_the_address_receives_nothing() {
    let mut pair = Pair::start().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    let address = pair.alice.udp_address().await.unwrap();
    // Stopped rather than killed: bob is notified and dials again at once.
    assert!(pair.alice.stop().await.unwrap().success());
    let listen = format!("listen = [\"{address}\"]");
    let carol = Setup::new().identity("carol").network(&listen);
    let mut carol = Daemon::start(carol).await.unwrap();
    let id = bob.send("alice", "for alice alone").await.unwrap();
    // Carol cannot even read the first packet: it is keyed by the id of the dialled peer
    // (docs/spec/packet.md#initial-packets).
    let reason = eventually("the dial to fail", async || {
        let contact = bob.contact("alice").await?;
        let failed = !contact.online && !contact.last_failure.is_empty();
        Ok(failed.then_some(contact.last_failure))
    });
    assert_eq!(reason.await.unwrap(), "NO_ANSWER");
    let status = carol.status().await.unwrap();
    assert_eq!(status.sessions, Some(0));
    assert_ne!(
        bob.message(&id).await.unwrap().state(),
        MessageState::Delivered
    );

    carol.kill9().await.unwrap();
    pair.alice.restart().await.unwrap();
    bob.await_message(&id, MessageState::Delivered)
        .await
        .unwrap();
    assert_eq!(bob.contact("alice").await.unwrap().last_failure, "");
}

/// Waits until the contact's last failure is `reason` and its problem text contains `word`.
async fn told(api: &Api, contact: &str, reason: &str, word: &str) {
    eventually(&format!("{reason} to be reported"), async || {
        let contact = api.contact(contact).await?;
        let known = contact.last_failure == reason && contact.problem.contains(word);
        Ok(known.then_some(()))
    })
    .await
    .unwrap();
}

/// Returns whether `m2 status` warns that some contacts do not have this identity as a contact.
async fn warned(api: &Api) -> bool {
    let warnings = api.status().await.unwrap().warnings;
    warnings.iter().any(|one| one.contains("m2 contact list"))
}

#[tokio::test]
async fn a_removed_contact_is_told_the_cause_and_the_remedy() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    talk(&alice, "bob", &bob, "alice").await;
    remove(&bob, "alice", false).await.unwrap();
    told(&alice, "bob", "NOT_A_CONTACT", "m2 invite create").await;
    assert!(warned(&alice).await);
    let send = [
        "send",
        "bob",
        "still",
        "--wait",
        "delivered",
        "--timeout",
        "1s",
    ];
    let output = pair.alice.m2(&send).await.unwrap();
    assert!(output.stderr.contains("m2 invite create"), "{output:?}");
    let list = pair.alice.m2(&["contact", "list"]).await.unwrap();
    let list = list.success().unwrap();
    assert!(
        list.contains("! bob: It does not have this identity"),
        "{list}"
    );

    // Also in a session that is established after the removal.
    pair.alice.stop().await.unwrap();
    pair.alice.restart().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    told(&alice, "bob", "NOT_A_CONTACT", "m2 invite create").await;

    let uri = bob.invite(false, "alice").await.unwrap();
    alice.add(&uri, "bob").await.unwrap();
    let contact = ContactState::Contact;
    bob.await_state("alice", contact).await.unwrap();
    bob.await_text("alice", "still").await.unwrap();
    told(&alice, "bob", "", "").await;
    assert!(!warned(&alice).await);
}

#[tokio::test]
async fn a_contacts_lost_store_is_reported_and_a_block_is_not_revealed() {
    // A fixed address, which bob keeps without his store.
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = [\"{}\"]", free.local_addr().unwrap());
    drop(free);
    let bob = Setup::new().identity("bob").network(&listen);
    let pair = Pair::start_as(Setup::new().identity("alice"), bob).await;
    let mut pair = pair.unwrap();
    pair.bob.stop().await.unwrap();
    for file in ["store.db", "store.db-wal", "store.db-shm"] {
        let _ = std::fs::remove_file(pair.bob.data().join(file));
    }
    pair.bob.restart().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    alice.send("bob", "are you there?").await.unwrap();
    told(&alice, "bob", "NOT_A_CONTACT", "its store was lost").await;
    block(&bob, &alice.status().await.unwrap().peer_id).await;
    alice.send("bob", "and now?").await.unwrap();
    told(&alice, "bob", "REFUSED", "ends sessions").await;
    let problem = alice.contact("bob").await.unwrap().problem;
    assert!(!problem.contains("block"), "{problem}");
}

async fn block(api: &Api, contact: &str) {
    let contact = contact.to_owned();
    let request = BlockContactRequest { contact };
    let mut contacts = api.client().contacts();
    contacts.block_contact(request).await.unwrap();
}

/// Sends a message each way and waits for both.
async fn talk(one: &Api, other_name: &str, other: &Api, one_name: &str) {
    one.send(other_name, "there").await.unwrap();
    other.await_text(one_name, "there").await.unwrap();
    other.send(one_name, "and back").await.unwrap();
    one.await_text(other_name, "and back").await.unwrap();
}

async fn three() -> [Daemon; 3] {
    let start = |name: &str| Daemon::start(Setup::new().identity(name));
    let (alice, bob, carol) =
        tokio::try_join!(start("alice"), start("bob"), start("carol")).unwrap();
    [alice, bob, carol]
}

async fn api(daemon: &Daemon) -> Api {
    Api::of(daemon).await.unwrap()
}

/// Waits for a contact request. Returns the peer id of the requester.
async fn request_at(api: &Api) -> String {
    eventually("a request", async || {
        let requests = api.contacts(ContactState::Request).await?;
        Ok(requests.into_iter().next().map(|request| request.peer_id))
    })
    .await
    .unwrap()
}

async fn open_invitations(api: &Api) -> Vec<String> {
    let mut service = api.client().invitations();
    let listed = service.list_invitations(ListInvitationsRequest {}).await;
    let open = listed.unwrap().into_inner().invitations.into_iter();
    open.map(|invitation| invitation.invitation_id).collect()
}

async fn revoke(api: &Api, id: &str) -> Result<(), Status> {
    let invitation_id = id.to_owned();
    let request = RevokeInvitationRequest { invitation_id };
    let answer = api.client().invitations().revoke_invitation(request).await;
    answer.map(|_| ())
}

async fn accept(api: &Api, contact: &str, name: &str) -> Result<(), Status> {
    let request = AcceptContactRequest {
        contact: contact.to_owned(),
        name: name.to_owned(),
    };
    api.client()
        .contacts()
        .accept_contact(request)
        .await
        .map(|_| ())
}

async fn decline(api: &Api, contact: &str) -> Result<(), Status> {
    let contact = contact.to_owned();
    let request = DeclineContactRequest { contact };
    api.client()
        .contacts()
        .decline_contact(request)
        .await
        .map(|_| ())
}

async fn remove(api: &Api, contact: &str, history: bool) -> Result<(), Status> {
    let contact = contact.to_owned();
    let request = RemoveContactRequest { contact, history };
    api.client()
        .contacts()
        .remove_contact(request)
        .await
        .map(|_| ())
}

async fn rename(api: &Api, contact: &str, name: &str) -> Result<(), Status> {
    let request = RenameContactRequest {
        contact: contact.to_owned(),
        name: name.to_owned(),
    };
    api.client()
        .contacts()
        .rename_contact(request)
        .await
        .map(|_| ())
}

async fn verify(api: &Api, contact: &str, matched: Option<bool>) -> (String, bool) {
    let contact = contact.to_owned();
    let request = VerifyContactRequest { contact, matched };
    let answer = api.client().contacts().verify_contact(request).await;
    let answer = answer.unwrap().into_inner();
    (answer.code, answer.verified)
}

/// The texts of a conversation that are not deleted, oldest first.
async fn shown(api: &Api, contact: &str) -> Vec<String> {
    let messages = api.conversation(contact).await.unwrap();
    let texts = messages.into_iter().map(|message| message.text);
    texts.filter(|text| !text.is_empty()).collect()
}

#[tokio::test]
async fn a_removed_contact_may_ask_and_be_accepted_again() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    talk(&alice, "bob", &bob, "alice").await;
    let uri = alice.invite(false, "").await.unwrap();
    revoke(&alice, &open_invitations(&alice).await[0])
        .await
        .unwrap();
    remove(&alice, "bob", false).await.unwrap();
    let unheard = bob.send("alice", "hello?").await.unwrap();
    // The invitation is revoked, so adding it makes a request.
    bob.add(&uri, "alice").await.unwrap();
    let request = request_at(&alice).await;
    accept(&alice, &request, "bob").await.unwrap();
    bob.await_message(&unheard, MessageState::Delivered)
        .await
        .unwrap();
    talk(&alice, "bob", &bob, "alice").await;
}
