//! The boxes of contacts into which this daemon may deposit, and the tokens for them
//! (`docs/spec/mailbox.md#tokens`).

use crate::refusal::Refusal;
use crate::state::{Session, State};
use crate::{lines, mailboxes, withdrawal};
use m2_core::PathFailure;
use m2_crypto::address::Use;
use m2_crypto::deposit::Period;
use m2_store::ContactRowId;
use m2_wire::Message;
use m2_wire::mailbox::{MAX_REPORTED, Mailbox, OfferedBox, Series, TokenWithKey};
use std::sync::Arc;

/// The most unused tokens of a contact that are kept, for all its boxes.
const MAX_UNUSED: u32 = 256;
/// The most tokens that are reported as given up in a session.
const MAX_GIVEN_UP: usize = 512;
/// How long after its deposit a letter can't be taken any more, in seconds: the 7 days in its box, and a
/// day for clocks.
const EXPIRED_S: u64 = 8 * 86_400;

/// Stores the boxes that a contact offers.
pub(crate) fn on_offer(
    engine: &mut State,
    contact: ContactRowId,
    mut boxes: Vec<OfferedBox>,
) -> Result<(), Refusal> {
    for offered in &mut boxes {
        let named = std::mem::take(&mut offered.addresses);
        offered.addresses = lines::usable(engine, named, Use::Service);
    }
    boxes.retain(|offered| !offered.addresses.is_empty());
    // As they are stored.
    boxes.sort_by_key(|offered| offered.provider);
    if engine.batch.store.offers(contact)? == boxes {
        return Ok(());
    }
    engine.batch.store.replace_offers(contact, &boxes)?;
    if boxes.is_empty() {
        engine.mail.offered.remove(&contact);
        return withdrawal::withdraw_all(engine, contact);
    }
    engine.mail.offered.insert(contact);
    hasten(engine, contact)
}

/// Forgets the boxes of a peer with which this daemon becomes a contact again.
pub(crate) fn forget(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    withdrawal::withdraw_all(engine, contact)?;
    engine.mail.offered.remove(&contact);
    Ok(engine.batch.store.replace_offers(contact, &[])?)
}

/// Stores the tokens that a contact gives for one of its boxes, and confirms them.
pub(crate) fn on_tokens(
    engine: &mut State,
    contact: ContactRowId,
    link: &Arc<Session>,
    series: Series,
    tokens: &[TokenWithKey],
) -> Result<(), Refusal> {
    let offers = engine.batch.store.offers(contact)?;
    if !offers.iter().any(|offered| offered.series == series) {
        engine.batch.counters.count("TOKENS_OF_UNKNOWN_SERIES");
        return Ok(());
    }
    let now = Period::at(engine.batch.now_ms() / 1_000).number();
    let mut taken = Vec::new();
    for given in tokens {
        let store = &engine.batch.store;
        if given.token.period().number().abs_diff(now) > 1 {
            engine.batch.counters.count("TOKENS_OF_OTHER_TIMES");
            continue;
        }
        if store.hold_token(contact, series, given, MAX_UNUSED)? {
            taken.push(*given.token.nonce());
        } else {
            engine.batch.counters.count("TOKENS_TOO_MANY");
        }
    }
    let refused = Vec::new();
    let report = Mailbox::TokenReport { taken, refused };
    engine
        .batch
        .push_frame(link.id, Message::Mailbox(Box::new(report)));
    engine.mail.keys_due = 0;
    hasten(engine, contact)
}

/// Tells a contact of which series this side has tokens, and which tokens it gave up, so that the contact
/// gives others.
pub(crate) fn ask_for_tokens(
    engine: &mut State,
    contact: ContactRowId,
    link: &Arc<Session>,
) -> Result<(), Refusal> {
    if !engine.mail.policy(contact).uses {
        return Ok(());
    }
    let says = engine
        .sessions
        .progress_mut(link.id)
        .is_some_and(|progress| progress.may_say_series());
    if !says {
        return Ok(());
    }
    let now_s = engine.batch.now_ms() / 1_000;
    let store = &engine.batch.store;
    store.give_up_lost_tokens(contact, now_s, now_s.saturating_sub(EXPIRED_S))?;
    let held = store.held_series(contact)?;
    let refused = store.given_up_tokens(contact, MAX_GIVEN_UP)?;
    let held = Message::Mailbox(Box::new(Mailbox::SeriesHeld(held)));
    engine.batch.push_frame(link.id, held);
    for refused in refused.chunks(MAX_REPORTED) {
        let (taken, refused) = (Vec::new(), refused.to_vec());
        let report = Mailbox::TokenReport { taken, refused };
        let report = Message::Mailbox(Box::new(report));
        engine.batch.push_frame(link.id, report);
    }
    Ok(())
}

/// Drops the tokens of all contacts and asks for others, as a store that went back does not know which of
/// them it used.
pub(crate) fn ask_for_all_tokens(engine: &mut State) -> Result<(), Refusal> {
    engine.batch.store.drop_all_tokens()?;
    for row in engine.peers.rows() {
        if let Some(link) = engine.peers.serving(row) {
            ask_for_tokens(engine, row, &link)?;
        }
    }
    Ok(())
}

/// Returns the boxes of a contact into which a letter can be deposited now.
///
/// Errors: why there is none. An error of the store comes first.
pub(crate) fn usable(
    engine: &mut State,
    contact: ContactRowId,
) -> Result<Result<Vec<OfferedBox>, PathFailure>, Refusal> {
    if engine
        .batch
        .store
        .letter_secrets(contact)?
        .sealing()
        .is_none()
    {
        return Ok(Err(PathFailure::NoToken));
    }
    let mut boxes = Vec::new();
    let mut is_own = false;
    for offered in engine.batch.store.offers(contact)? {
        if !engine.batch.store.has_token(contact, offered.series)? {
            continue;
        }
        if mailboxes::is_avoided(engine, &offered.provider)? {
            is_own = true;
            continue;
        }
        boxes.push(offered);
    }
    Ok(match (boxes.is_empty(), is_own) {
        (false, _) => Ok(boxes),
        (true, true) => Err(PathFailure::OwnProvider),
        (true, false) => Err(PathFailure::NoToken),
    })
}

/// Makes the letters to a contact due now, as it has other boxes or more tokens. What prevented them does not
/// count any more.
fn hasten(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    engine.batch.store.hasten_letters(contact)?;
    let failure = engine.mail.failures.get(&contact);
    if matches!(
        failure,
        Some(PathFailure::NoToken | PathFailure::OwnProvider)
    ) {
        engine.mail.failures.remove(&contact);
    }
    let now = engine.batch.now_ms();
    engine.mail.note(now);
    engine.batch.wake_depositor();
    Ok(())
}
