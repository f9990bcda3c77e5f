use super::*;
use crate::Engine;
use crate::NewMessage;
use crate::testing::{engine, pass_ms};
use crate::{contact_rows, mailboxes, relations, sending};
use m2_core::ContactState;
use m2_crypto::mailbox::TokenSeed;
use m2_crypto::{Circle, Identity, provider};
use m2_delivery::Content;
use m2_store::{MailboxPolicy, MessageState};
use m2_wire::mailbox::OfferedBox;

const DAY_MS: u64 = 86_400_000;
const STORED: DepositEnd = DepositEnd::Answered(Outcome::Stored);

/// Alice's engine with the contact Bob, who offered a box and is offline.
fn scene() -> (tempfile::TempDir, Engine) {
    let (dir, mut engine) = engine();
    let pem = include_str!("../../../../tests/vectors/identities/bob.pem");
    let bob = Identity::from_pem(pem, None, provider::default()).unwrap();
    let id = bob.peer_id(Circle::public().id());
    let row = relations::begin(&mut engine.state, id, ContactState::Contact, "").unwrap();
    let contact = engine.state.peers.contact_mut(row).unwrap();
    contact.certificate = Some(bob.certificate().spki_der().to_vec());
    contact_rows::save(&mut engine.state, row).unwrap();
    let offer = OfferedBox {
        provider: PeerId::from_bytes([9; 32]),
        addresses: vec!["11.0.0.9:9999".parse().unwrap()],
        seed: TokenSeed::new(Secret::new([7; 32])),
    };
    mailboxes::on_offer(&mut engine.state, row, vec![offer]).unwrap();
    let policy = MailboxPolicy {
        grants: false,
        uses: true,
    };
    engine
        .state
        .batch
        .store
        .put_mailbox_policy(row, policy)
        .unwrap();
    engine.state.mail.policies.insert(row, policy);
    (dir, engine)
}

fn send(engine: &mut Engine, ttl_s: u32) -> [u8; 16] {
    let message = NewMessage {
        contact: engine
            .state
            .peers
            .values()
            .next()
            .unwrap()
            .contact
            .peer_id
            .to_string(),
        content: Content::new("", &b"hello"[..]).unwrap(),
        ttl_s,
        caller: String::new(),
        key: String::new(),
    };
    sending::send(&mut engine.state, &message).unwrap().id
}

/// Returns the deposits that are due after some time.
fn deposits_after(engine: &mut Engine, time: u64) -> Vec<DepositJob> {
    pass_ms(engine, time);
    // The letter waits for its random delay.
    pass_ms(engine, 60_000);
    next_deposits(&mut engine.state, 10).unwrap().0
}

fn state(engine: &Engine, id: &[u8; 16]) -> MessageState {
    engine
        .state
        .batch
        .store
        .message_head(id)
        .unwrap()
        .unwrap()
        .state
}

#[test]
fn an_expired_letter_is_sealed_again_until_its_message_expires() {
    let (_dir, mut engine) = scene();
    let (lasting, passing) = (send(&mut engine, 0), send(&mut engine, 86_400 * 10));
    let first = deposits_after(&mut engine, 60_000);
    assert_eq!(first.len(), 2);
    for job in &first {
        deposit_ended(&mut engine.state, &job.id, STORED).unwrap();
    }
    assert_eq!(state(&engine, &lasting), MessageState::Deposited);
    assert!(deposits_after(&mut engine, 6 * DAY_MS).is_empty());

    // After 7 days both messages get new letters: with other ids, other bytes and unused
    // tokens.
    let again = deposits_after(&mut engine, DAY_MS);
    assert_eq!(again.len(), 2);
    for job in &again {
        assert!(first.iter().all(|old| old.id != job.id
            && old.sealed != job.sealed
            && old.token.expose() != job.token.expose()));
        deposit_ended(&mut engine.state, &job.id, STORED).unwrap();
    }
    assert_eq!(state(&engine, &lasting), MessageState::Deposited);

    // After 14 days only the message that has not expired gets another. The other's SKIP goes
    // by session.
    let third = deposits_after(&mut engine, 7 * DAY_MS);
    assert_eq!(third.len(), 1);
    assert_ne!(state(&engine, &passing), MessageState::Deposited);
}

#[test]
fn an_undeposited_letter_is_sealed_again_before_its_grant_expires() {
    let (_dir, mut engine) = scene();
    send(&mut engine, 0);
    let first = deposits_after(&mut engine, 60_000);
    let failed = DepositEnd::Failed(PathFailure::NoAnswer);
    deposit_ended(&mut engine.state, &first[0].id, failed).unwrap();
    let same = deposits_after(&mut engine, 6 * DAY_MS);
    assert_eq!(same[0].id, first[0].id);
    deposit_ended(&mut engine.state, &same[0].id, failed).unwrap();
    assert!(deposits_after(&mut engine, DAY_MS).is_empty());
    let again = deposits_after(&mut engine, 0);
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].id, first[0].id);
}

#[test]
fn interrupted_deposits_are_due_after_a_restart() {
    let (_dir, mut engine) = scene();
    send(&mut engine, 0);
    let first = deposits_after(&mut engine, 60_000);
    assert_eq!(first.len(), 1);
    assert!(next_deposits(&mut engine.state, 10).unwrap().0.is_empty());
    let now = engine.state.batch.now_ms();
    engine.state.batch.store.resume_letters(now).unwrap();
    assert_eq!(
        next_deposits(&mut engine.state, 10).unwrap().0[0].id,
        first[0].id
    );
}
