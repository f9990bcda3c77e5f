//! Letters that were collected from this daemon's boxes (`docs/spec/letter.md#opening`).

use crate::refusal::Refusal;
use crate::state::State;
use crate::{conversation, retention, token_giving};
use m2_crypto::deposit::DepositNonce;
use m2_crypto::letter::{LetterSecret, OpenedLetter};
use m2_crypto::one_time_key::OneTimeSeed;
use m2_crypto::{Certificate, PeerId};
use m2_delivery::{MessageId, OpenedMessage};
use m2_store::ContactRowId;
use std::sync::Arc;

/// What opens a letter.
pub struct LetterKeys {
    /// The contact to which the letter's nonce was given.
    pub sender: PeerId,
    /// The certificate of that contact.
    pub certificate: Arc<Certificate>,
    /// The seed of the one-time key.
    pub seed: OneTimeSeed,
    /// The letter secrets of the contact, newest first.
    pub secrets: Vec<LetterSecret>,
}

/// Returns what opens the letter with a nonce; `None` if this daemon did not give the nonce away, the
/// letter was taken before, its contact may not send letters, or is over its quota.
pub(crate) fn keys(
    engine: &mut State,
    nonce: &DepositNonce,
) -> Result<Option<LetterKeys>, Refusal> {
    let Some(issued) = engine.batch.store.issued(nonce)? else {
        engine.batch.counters.count("LETTER_UNKNOWN");
        return Ok(None);
    };
    let contact = issued.contact;
    if !is_wanted(engine, contact) {
        engine.batch.counters.count("LETTER_UNWANTED");
        return Ok(None);
    }
    // Without room the letter stays in its box.
    engine.batch.require_disk()?;
    if retention::is_over_quota(engine, contact)? {
        // The message stays with the sender, which deposits it again.
        return Ok(None);
    }
    let secrets = engine.batch.store.letter_secrets(contact)?;
    let Some(peer_state) = engine.peers.get_mut(&contact) else {
        return Ok(None);
    };
    Ok(Some(LetterKeys {
        sender: peer_state.contact.peer_id,
        certificate: peer_state.certificate()?,
        seed: issued.seed,
        secrets: secrets.opening().into_iter().cloned().collect(),
    }))
}

/// Takes the message of an opened letter, and erases its one-time key in the same transaction.
pub(crate) fn take(
    engine: &mut State,
    nonce: &DepositNonce,
    letter: OpenedLetter,
) -> Result<(), Refusal> {
    let Some(issued) = engine.batch.store.issued(nonce)? else {
        engine.batch.counters.count("LETTER_REPEATED");
        return Ok(());
    };
    let contact = issued.contact;
    if !is_wanted(engine, contact) {
        engine.batch.counters.count("LETTER_UNWANTED");
        return Ok(());
    }
    engine.batch.store.erase_issued(contact, nonce)?;
    engine.batch.store.count_taken_letter(contact)?;
    token_giving::note_erased(engine);
    let message = OpenedMessage {
        incarnation: letter.header.incarnation,
        id: MessageId(letter.header.message_id),
        oldest: letter.header.oldest,
        plaintext: letter.payload,
    };
    let result = conversation::feed(engine, contact, |conversation, cx| {
        conversation.on_letter(cx, message)
    })?;
    if result.is_err() {
        engine.batch.counters.count("LETTER_REFUSED");
    }
    token_giving::give(engine, contact)
}

fn is_wanted(engine: &State, contact: ContactRowId) -> bool {
    engine.peers.is_contact(contact) && engine.mail.policy(contact).grants
}
