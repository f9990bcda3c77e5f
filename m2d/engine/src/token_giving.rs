//! The contacts that may deposit into this daemon's boxes, and the tokens that they are given
//! (`docs/spec/mailbox.md#tokens`).

use crate::lines;
use crate::refusal::Refusal;
use crate::state::{Session, State};
use m2_crypto::deposit::{BoxKey, DepositNonce, Period};
use m2_crypto::error::KeyError;
use m2_crypto::one_time_key::OneTimeSeed;
use m2_crypto::provider;
use m2_store::{
    BoxRowId, ContactRowId, GrantRow, IssuedRow, IssuedState, MailboxRow, MailboxState,
};
use m2_wire::Message;
use m2_wire::mailbox::{MAX_TOKENS, Mailbox, OfferedBox, Series, TokenWithKey};
use rand_core::Rng;
use std::sync::Arc;

/// How many tokens a contact has at the same time, with equal shares for all boxes, until it has used more
/// than half of them.
const FEW_TOKENS: u32 = 16;
/// How many tokens a contact has at the same time after that.
const MANY_TOKENS: u32 = 64;
/// How many tokens a contact is given in a day at most. A contact that gives up the tokens it got costs this
/// many key pairs, and as many marks at the provider.
const TOKENS_OF_DAY: u32 = 256;
const DAY_S: u64 = 86_400;
/// How long the one-time key of a token that has ended is kept for a letter that waits, in seconds.
const ENDED_KEPT_S: u64 = 8 * 86_400;

/// Creates or deletes a contact's grants to match its policy.
pub(crate) fn grant_or_withdraw(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    let wanted = engine.mail.policy(contact).grants && engine.peers.is_contact(contact);
    let grants = engine.batch.store.grants_of_contact(contact)?;
    if !wanted {
        return withdraw(engine, contact);
    }
    for mailbox in engine.batch.store.mailboxes()? {
        let granted = grants.iter().any(|grant| grant.mailbox == mailbox.row);
        if mailbox.state == MailboxState::Open && !granted {
            begin_series(engine, contact, mailbox.row)?;
        }
    }
    offer(engine, contact)?;
    give(engine, contact)
}

/// Deletes a contact's grants and the keys of its tokens: what still comes is dropped unread.
fn withdraw(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    forget(engine, contact)?;
    offer(engine, contact)
}

/// Deletes the grants of a peer, and the keys of its tokens.
pub(crate) fn forget(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    for grant in engine.batch.store.grants_of_contact(contact)? {
        engine.batch.store.delete_grant(&grant)?;
    }
    engine.batch.store.erase_issued_to(contact)?;
    note_erased(engine);
    Ok(())
}

/// Ends the tokens of a contact for a box. Their keys are kept for letters that wait.
pub(crate) fn end_tokens(
    engine: &mut State,
    contact: ContactRowId,
    mailbox: BoxRowId,
) -> Result<(), Refusal> {
    let now_s = engine.batch.now_ms() / 1_000;
    let until_s = now_s.saturating_add(ENDED_KEPT_S);
    engine.mail.keys_due = 0;
    Ok(engine.batch.store.end_issued(contact, mailbox, until_s)?)
}

/// Begins another series of tokens for a contact and a box, and ends the earlier one.
pub(crate) fn begin_series(
    engine: &mut State,
    contact: ContactRowId,
    mailbox: BoxRowId,
) -> Result<(), Refusal> {
    end_tokens(engine, contact, mailbox)?;
    let mut series = Series([0; 8]);
    engine.batch.rng.fill_bytes(&mut series.0);
    engine.batch.store.put_grant(&GrantRow {
        contact,
        mailbox,
        series,
    })?;
    Ok(())
}

/// Sends a contact the boxes into which it may deposit, on its session. The offer may be empty.
pub(crate) fn offer(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    let Some(link) = engine.peers.serving(contact) else {
        return Ok(());
    };
    if !engine.sessions.has_begun(link.id) {
        // The places come first, and this offer after them.
        return Ok(());
    }
    let offered = offered(engine, contact)?;
    let boxes = offered.into_iter().map(|(_, _, offered)| offered).collect();
    let frame = Message::Mailbox(Box::new(Mailbox::Offer(boxes)));
    engine.batch.push_frame(link.id, frame);
    Ok(())
}

/// Returns the boxes that a contact is offered, with their keys: those whose provider has the key.
fn offered(
    engine: &State,
    contact: ContactRowId,
) -> Result<Vec<(GrantRow, BoxKey, OfferedBox)>, Refusal> {
    let boxes = engine.batch.store.mailboxes()?;
    let mut offered = Vec::new();
    for grant in engine.batch.store.grants_of_contact(contact)? {
        let is_it = |mailbox: &&MailboxRow| mailbox.row == grant.mailbox && mailbox.key_known;
        let Some(mailbox) = boxes.iter().find(is_it) else {
            continue;
        };
        let addresses = lines::shareable_addresses(engine, &mailbox.addresses);
        if let Some(key) = mailbox.key.clone()
            && mailbox.state == MailboxState::Open
            && !addresses.is_empty()
        {
            let series = grant.series;
            let provider = mailbox.provider;
            offered.push((
                grant,
                key,
                OfferedBox {
                    provider,
                    addresses,
                    series,
                },
            ));
        }
    }
    Ok(offered)
}

/// Handles a contact's statement of the series of which it has tokens. It has lost the tokens of others,
/// for example with its store.
pub(crate) fn on_series_held(
    engine: &mut State,
    contact: ContactRowId,
    link: &Arc<Session>,
    held: &[Series],
) -> Result<(), Refusal> {
    let Some(progress) = engine.sessions.progress_mut(link.id) else {
        return Ok(());
    };
    if !progress.takes_series() {
        engine.batch.violation(link.id, "SERIES_REPEATED");
        return Ok(());
    }
    if !engine.mail.policy(contact).grants {
        return Ok(());
    }
    let mut is_new = false;
    for grant in engine.batch.store.grants_of_contact(contact)? {
        let given = engine.batch.store.has_issued(contact, grant.mailbox)?;
        if given && !held.contains(&grant.series) {
            engine.batch.counters.count("TOKENS_LOST_BY_CONTACT");
            begin_series(engine, contact, grant.mailbox)?;
            is_new = true;
        }
    }
    if is_new {
        offer(engine, contact)?;
    }
    give_again(engine, contact, link)?;
    give(engine, contact)
}

/// Gives the tokens again that the contact has not confirmed.
fn give_again(
    engine: &mut State,
    contact: ContactRowId,
    link: &Arc<Session>,
) -> Result<(), Refusal> {
    let unconfirmed = engine.batch.store.unconfirmed(contact)?;
    for (grant, key, offered) in offered(engine, contact)? {
        let of_box = unconfirmed
            .iter()
            .filter(|row| row.mailbox == grant.mailbox);
        let own_id = engine.batch.own_id;
        let tokens = of_box.map(|row| with_key(&own_id, &key, row));
        let tokens = tokens.collect::<Result<Vec<_>, _>>().map_err(no_key)?;
        send(engine, link, offered.series, tokens);
    }
    Ok(())
}

/// Handles a contact's report on its tokens: it has stored some, and gives others up.
pub(crate) fn on_report(
    engine: &mut State,
    contact: ContactRowId,
    taken: &[DepositNonce],
    refused: &[DepositNonce],
) -> Result<(), Refusal> {
    for nonce in taken {
        engine.batch.store.confirm_issued(contact, nonce)?;
    }
    let mut erased = false;
    for nonce in refused {
        erased |= engine.batch.store.erase_issued(contact, nonce)?;
    }
    if erased {
        engine.batch.counters.count("TOKENS_GIVEN_UP_BY_CONTACT");
        note_erased(engine);
        give(engine, contact)?;
    }
    Ok(())
}

/// Gives a contact tokens until it has its share of them for each box that it is offered, if it is connected
/// and takes them.
pub(crate) fn give(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    let Some(link) = engine.peers.serving(contact) else {
        return Ok(());
    };
    let progress = engine.sessions.progress(link.id);
    if !progress.is_some_and(|progress| progress.takes_tokens()) {
        return Ok(());
    }
    let offered = offered(engine, contact)?;
    let now_s = engine.batch.now_ms() / 1_000;
    let outstanding = engine.batch.store.outstanding(contact, now_s)?;
    let boxes = u32::try_from(offered.len()).unwrap_or(u32::MAX).max(1);
    let share = (target(engine, contact)? / boxes).max(1);
    let day = now_s / DAY_S;
    let before = engine.batch.store.tokens_of_day(contact, day)?;
    let mut given = before;
    for (grant, key, offered) in offered {
        let mut of_box = outstanding.iter();
        let has = of_box.find(|it| it.mailbox == grant.mailbox);
        let lacks = share.saturating_sub(has.map_or(0, |it| it.count));
        let lacks = lacks.min(TOKENS_OF_DAY.saturating_sub(given));
        given += lacks;
        let mut tokens = Vec::new();
        for _ in 0..lacks {
            tokens.push(issue(engine, &grant, &key, Period::at(now_s))?);
        }
        send(engine, &link, offered.series, tokens);
    }
    if given > before {
        let store = &engine.batch.store;
        store.put_tokens_of_day(contact, day, given)?;
        engine.mail.keys_due = 0;
    }
    Ok(())
}

/// Returns how many tokens a contact should have.
fn target(engine: &State, contact: ContactRowId) -> Result<u32, Refusal> {
    let taken = engine.batch.store.taken_letters(contact)?;
    Ok(if taken > FEW_TOKENS / 2 {
        MANY_TOKENS
    } else {
        FEW_TOKENS
    })
}

fn issue(
    engine: &mut State,
    grant: &GrantRow,
    key: &BoxKey,
    period: Period,
) -> Result<TokenWithKey, Refusal> {
    let issued = IssuedRow {
        nonce: DepositNonce::random(&mut engine.batch.rng),
        contact: grant.contact,
        mailbox: grant.mailbox,
        period,
        seed: OneTimeSeed::random(&mut engine.batch.rng),
        state: IssuedState::Given,
    };
    engine.batch.store.insert_issued(&issued)?;
    with_key(&engine.batch.own_id, key, &issued).map_err(no_key)
}

/// Returns a token as it is sent.
fn with_key(
    owner: &m2_crypto::PeerId,
    key: &BoxKey,
    issued: &IssuedRow,
) -> Result<TokenWithKey, KeyError> {
    let one_time = issued.seed.key(provider::default())?;
    Ok(TokenWithKey {
        token: key.token(owner, issued.nonce, issued.period),
        key: one_time.public().clone(),
    })
}

fn send(engine: &mut State, link: &Arc<Session>, series: Series, tokens: Vec<TokenWithKey>) {
    for tokens in tokens.chunks(MAX_TOKENS) {
        let tokens = tokens.to_vec();
        let frame = Mailbox::Tokens { series, tokens };
        let frame = Message::Mailbox(Box::new(frame));
        engine.batch.push_frame(link.id, frame);
    }
}

/// Records that keys were erased: the store's log, which may contain them, is emptied soon.
pub(crate) fn note_erased(engine: &mut State) {
    let now = engine.batch.now_ms();
    engine.maintenance.note_freed(now);
}

/// The library refuses no seed: an error here is a defect of it.
fn no_key(_: KeyError) -> Refusal {
    Refusal::new(m2_proto::reason::Reason::Internal)
}
