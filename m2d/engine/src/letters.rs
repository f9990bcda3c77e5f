//! Letters: sealed for offline contacts, and opened when collected from a box
//! (`docs/spec/letter.md`).

use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::{PeerState, State};
use crate::{call, conversation, mail, retention};
use bytes::Bytes;
use m2_core::PathFailure;
use m2_crypto::address::NamedAddress;
use m2_crypto::envelope::{EpochHeader, Letter, MAX_GRANT_AGE_S, OpenedLetter};
use m2_crypto::{Certificate, PeerId, Secret};
use m2_delivery::{MessageId, OpenedMessage, Payload};
use m2_store::{
    AHEAD_MS, ContactRowId, LetterRow, OutboxPayload, Patience, Undeposited, WaitingSince,
};
use m2_wire::mailbox::KEPT_MS;
use m2_wire::mailbox::{LetterId, Outcome};
use rand_core::Rng;
use std::sync::Arc;

/// Letters sealed in one step: each costs an RSA signature of some milliseconds.
const SEAL_STEP: u32 = 4;
/// How long a deposit may be in progress before it is retried, in milliseconds.
const LEASE_MS: u64 = 180_000;
/// The first and the longest pause after a failed deposit, in milliseconds.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 2_000..=1_800_000;
/// After this time a deposited letter has expired in its box, and its message gets another letter.
/// A letter that could not be deposited for this time is sealed again, so that its grant does not
/// expire in the box. In milliseconds.
const LETTER_LIFE_MS: u64 = KEPT_MS;
/// How long the numbers of collected letters are remembered, in milliseconds: a day longer than
/// their grants are valid.
const TAKEN_KEPT_MS: u64 = (MAX_GRANT_AGE_S + 86_400) * 1_000;

/// A letter to deposit with a provider.
#[derive(Debug)]
pub struct DepositJob {
    /// The letter's id.
    pub id: LetterId,
    /// The owner of the box.
    pub owner: PeerId,
    /// The provider that keeps the box.
    pub provider: PeerId,
    /// The provider's addresses.
    pub addresses: Vec<NamedAddress>,
    /// The deposit token that admits the letter.
    pub token: Secret<32>,
    /// The sealed letter.
    pub sealed: Vec<u8>,
}

/// The outcome of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepositEnd {
    /// The provider's answer.
    Answered(Outcome),
    /// The provider could not be reached, for this reason.
    Failed(PathFailure),
}

/// A step in the delivery of a letter.
pub enum LetterInput {
    /// Return the letters that are due, at most this number, and the time when the next is due, in Unix
    /// milliseconds.
    NextDeposits(u32, Reply<(Vec<DepositJob>, Option<u64>)>),
    /// Handle the outcome of a deposit.
    DepositEnded(LetterId, DepositEnd, Reply<()>),
    /// Return the certificate that opens a collected letter; `None` if it is not wanted.
    Sender(EpochHeader, Reply<Option<Arc<Certificate>>>),
    /// Take the message of a collected letter.
    Take(OpenedLetter, Reply<()>),
}

/// Resumes the deposits that a restart interrupted. With a full disk these letters wait a little
/// longer.
pub(crate) fn resume(engine: &mut State) {
    let now = engine.mail.started;
    let store = &engine.batch.store;
    let resumed = store.resume_letters(now);
    if let Err(error) = resumed.and_then(|()| store.restart_letters(now)) {
        tracing::debug!(%error, "letters can't be resumed");
    }
}

/// Handles a step in the delivery of a letter.
pub(crate) fn handle(engine: &mut State, input: LetterInput) {
    match input {
        LetterInput::NextDeposits(limit, reply) => {
            call::run(engine, reply, |engine| next_deposits(engine, limit));
        }
        LetterInput::DepositEnded(id, end, reply) => {
            call::run(engine, reply, |engine| deposit_ended(engine, &id, end));
        }
        LetterInput::Sender(header, reply) => {
            call::run(engine, reply, |engine| letter_sender(engine, &header))
        }
        LetterInput::Take(letter, reply) => {
            call::run(engine, reply, |engine| take_letter(engine, letter))
        }
    }
}

/// Seals letters for messages that have waited long enough, and prunes old letter numbers.
pub(crate) fn upkeep(engine: &mut State, now: u64) -> Result<(), Refusal> {
    engine.mail.due = u64::MAX;
    let contacts: Vec<ContactRowId> = engine.mail.offered.iter().copied().collect();
    for contact in contacts {
        if may_be_written_to(engine, contact) {
            seal_letters(engine, contact, now)?;
        }
    }
    if engine.batch.clock.unsettled().is_none() {
        let kept_since = now.saturating_sub(TAKEN_KEPT_MS);
        engine.batch.store.prune_letters(kept_since)?;
    }
    Ok(())
}

/// Returns whether letters may be deposited for a contact, which must be offline.
fn may_be_written_to(engine: &State, contact: ContactRowId) -> bool {
    let away = |peer_state: &PeerState| peer_state.links.is_empty();
    mail::may_deposit(engine, contact)
        && engine.peers.is_contact(contact)
        && conversation::is_giving_up(engine, contact).is_ok_and(|it| !it)
        && engine.peers.get(&contact).is_some_and(away)
}

fn seal_letters(engine: &mut State, contact: ContactRowId, now: u64) -> Result<(), Refusal> {
    let after = engine.mail.times.after_ms;
    let away_since = engine.mail.offline_since(contact);
    if away_since.saturating_add(after) > now {
        engine.mail.note(away_since.saturating_add(after));
        return Ok(());
    }
    let latest_ms = now.saturating_add(AHEAD_MS);
    let since = WaitingSince {
        latest_ms,
        queued_ms: now.saturating_sub(after),
        deposited_ms: now.saturating_sub(LETTER_LIFE_MS),
    };
    let waiting = engine.batch.store.undeposited(contact, since, SEAL_STEP)?;
    for message in &waiting {
        seal_letter(engine, contact, message, now)?;
    }
    if !waiting.is_empty() {
        engine.batch.wake_depositor();
    }
    let patience = Patience {
        queued_ms: after,
        deposited_ms: LETTER_LIFE_MS,
    };
    if let Some(next) = engine
        .batch
        .store
        .next_undeposited(contact, patience, latest_ms)?
    {
        engine.mail.note(next.max(now));
    }
    Ok(())
}

fn seal_letter(
    engine: &mut State,
    contact: ContactRowId,
    message: &Undeposited,
    now: u64,
) -> Result<(), Refusal> {
    let OutboxPayload::There(payload) = engine.batch.store.outbox_payload(&message.id)? else {
        return Ok(());
    };
    let (incarnation, oldest) = conversation::feed(engine, contact, |conversation, cx| {
        conversation.letter_place(cx)
    })?;
    let payload = with_oldest(payload, oldest);
    let peer_state = engine.peers.get_mut(&contact).ok_or_else(unknown)?;
    let header = EpochHeader {
        sender: engine.batch.own_id,
        receiver: peer_state.contact.peer_id,
        incarnation,
        // A counter would repeat a number after the store was restored.
        epoch: engine.batch.rng.next_u64() >> 1,
        created_s: now / 1_000,
    };
    let certificate = peer_state.certificate()?;
    let (rng, own) = (&mut engine.batch.rng, &engine.batch.identity);
    let sealed = Letter::seal(rng, own, &certificate, header, &message.id.0, &payload);
    let Ok(sealed) = sealed else {
        engine.batch.counters.count("LETTER_NOT_SEALED");
        return Ok(());
    };
    let mut id = LetterId([0; 16]);
    engine.batch.rng.fill_bytes(&mut id.0);
    let due = now.saturating_add(deposit_delay(engine));
    engine
        .batch
        .store
        .insert_letter(message, contact, id, &sealed, (now, due))?;
    Ok(())
}

/// Returns a random delay in milliseconds, so that the time of a deposit does not reveal when
/// the message was written.
fn deposit_delay(engine: &mut State) -> u64 {
    let most = engine.mail.times.delay_ms;
    if most == 0 {
        0
    } else {
        engine.batch.rng.next_u64() % most
    }
}

/// Returns the letters that are due, each with a box and a token, and the time when the next is
/// due. A letter becomes due again unless [`deposit_ended`] is called in time.
fn next_deposits(
    engine: &mut State,
    limit: u32,
) -> Result<(Vec<DepositJob>, Option<u64>), Refusal> {
    let now = engine.batch.now_ms();
    let mut jobs = Vec::new();
    for letter in engine.batch.store.due_letters(now, limit)? {
        if !may_be_written_to(engine, letter.contact) {
            // The contact is online and gets the message in a session, or consent has ended.
            tracing::debug!("a letter is put off: the contact is online, or consent has ended");
            engine.batch.store.delete_letter(letter.message)?;
            let again = now.saturating_add(engine.mail.times.after_ms);
            engine.mail.note(again);
            continue;
        }
        if letter.sealed_ms.saturating_add(LETTER_LIFE_MS) <= now {
            tracing::debug!("a letter is sealed again: it is too old for its providers");
            engine.batch.store.delete_letter(letter.message)?;
            engine.mail.note(now);
            continue;
        }
        jobs.extend(place(engine, letter, now)?);
    }
    Ok((jobs, engine.batch.store.next_letter_due()?))
}

/// Assigns a box and a token to a letter, once for each box that is tried.
fn place(
    engine: &mut State,
    mut letter: LetterRow,
    now: u64,
) -> Result<Option<DepositJob>, Refusal> {
    let offers = engine.batch.store.offers(letter.contact)?;
    let known = |provider: &PeerId| {
        let mut offers = offers.iter();
        offers.find(|row| row.offered.provider == *provider)
    };
    let place = letter
        .place
        .filter(|(provider, _)| known(provider).is_some());
    let (provider, number) = match place {
        Some(place) => place,
        None => {
            let turn = letter.attempts as usize % offers.len().max(1);
            let Some(offer) = offers.get(turn) else {
                tracing::debug!("a letter is put off: the contact offers no mailbox");
                return Ok(None);
            };
            let provider = offer.offered.provider;
            let next = engine.batch.store.next_token(letter.contact, &provider)?;
            (provider, next.unwrap_or(0))
        }
    };
    letter.place = Some((provider, number));
    engine
        .batch
        .store
        .update_letter(&letter, now.saturating_add(LEASE_MS))?;
    let peer_state = engine.peers.get(&letter.contact).ok_or_else(unknown)?;
    let owner = peer_state.contact.peer_id;
    Ok(known(&provider).map(|row| DepositJob {
        id: letter.id,
        owner,
        provider,
        addresses: row.offered.addresses.clone(),
        token: row.offered.seed.token(&owner, number),
        sealed: letter.sealed,
    }))
}

/// Handles the outcome of a deposit.
fn deposit_ended(engine: &mut State, id: &LetterId, end: DepositEnd) -> Result<(), Refusal> {
    let Some(letter) = engine.batch.store.letter(id)? else {
        return Ok(());
    };
    let reason = match end {
        DepositEnd::Answered(Outcome::Stored) => return on_stored(engine, &letter),
        DepositEnd::Answered(Outcome::Refused) => PathFailure::MailboxRefused,
        DepositEnd::Answered(Outcome::BoxFull) => PathFailure::MailboxFull,
        DepositEnd::Answered(Outcome::ServerFull) => PathFailure::MailboxServerFull,
        DepositEnd::Failed(reason) => reason,
    };
    engine.batch.counters.count("DEPOSIT_FAILED");
    engine.mail.failures.insert(letter.contact, reason);
    try_later(engine, letter, end)
}

fn on_stored(engine: &mut State, letter: &LetterRow) -> Result<(), Refusal> {
    let id = MessageId(engine.batch.store.message_id(letter.message)?);
    engine.batch.store.delete_letter(letter.message)?;
    let now = engine.batch.now_ms();
    engine.batch.store.note_deposit(letter, now)?;
    engine.mail.note(now.saturating_add(LETTER_LIFE_MS));
    engine.mail.failures.remove(&letter.contact);
    conversation::feed(engine, letter.contact, |conversation, cx| {
        conversation.on_deposited(cx, id);
    })
}

/// Schedules a retry, with another box if there is one. A token that was refused is kept for
/// its box, as the owner may not have registered it yet.
fn try_later(engine: &mut State, mut letter: LetterRow, end: DepositEnd) -> Result<(), Refusal> {
    let others = engine.batch.store.offers(letter.contact)?.len() > 1;
    if others && end != DepositEnd::Answered(Outcome::Refused) {
        letter.place = None;
    }
    letter.attempts = letter.attempts.saturating_add(1);
    let doublings = letter.attempts.saturating_sub(1).min(16);
    let pause = (PAUSE_MS.start() << doublings).min(*PAUSE_MS.end());
    let jitter = engine.batch.rng.next_u64() % (pause / 2);
    let due = engine.batch.now_ms().saturating_add(pause / 2 + jitter);
    engine.batch.store.update_letter(&letter, due)?;
    engine.batch.wake_depositor();
    Ok(())
}

/// Returns the certificate that opens a letter; `None` if its sender is unknown, it was taken
/// before, or the contact is over its quota.
fn letter_sender(
    engine: &mut State,
    header: &EpochHeader,
) -> Result<Option<Arc<Certificate>>, Refusal> {
    let Some(contact) = engine
        .peers
        .row_of(&header.sender)
        .filter(|row| engine.peers.is_contact(*row))
    else {
        engine.batch.counters.count("LETTER_OF_STRANGER");
        return Ok(None);
    };
    let (incarnation, number) = (header.incarnation, header.epoch);
    if engine
        .batch
        .store
        .letter_was_taken(contact, incarnation, number)?
    {
        engine.batch.counters.count("LETTER_REPEATED");
        return Ok(None);
    }
    if retention::is_over_quota(engine, contact)? {
        // The message stays with the sender, which deposits it again.
        return Ok(None);
    }
    let peer_state = engine.peers.get_mut(&contact).ok_or_else(unknown)?;
    Ok(Some(peer_state.certificate()?))
}

/// Takes the message of a letter. Its effects are durable once the batch is committed.
fn take_letter(engine: &mut State, letter: OpenedLetter) -> Result<(), Refusal> {
    let header = letter.header;
    let Some(contact) = engine
        .peers
        .row_of(&header.sender)
        .filter(|row| engine.peers.is_contact(*row))
    else {
        return Ok(());
    };
    let now = engine.batch.now_ms();
    let (incarnation, number) = (header.incarnation, header.epoch);
    if !engine
        .batch
        .store
        .take_letter(contact, incarnation, number, now)?
    {
        engine.batch.counters.count("LETTER_REPEATED");
        return Ok(());
    }
    let message = OpenedMessage {
        incarnation,
        id: MessageId(letter.message_id),
        plaintext: letter.plaintext,
    };
    let result = conversation::feed(engine, contact, |conversation, cx| {
        conversation.on_letter(cx, message)
    })?;
    if result.is_err() {
        engine.batch.counters.count("LETTER_REFUSED");
    }
    Ok(())
}

/// Returns the payload with the oldest place that is still offered, as letters carry it.
fn with_oldest(encoded: Vec<u8>, oldest: u64) -> Vec<u8> {
    match Payload::parse(Bytes::from(encoded.clone())) {
        Ok(payload) => Payload {
            oldest: oldest.min(payload.sequence),
            ..payload
        }
        .encode(),
        Err(_) => encoded,
    }
}

fn unknown() -> Refusal {
    Refusal::new(m2_proto::reason::Reason::ContactUnknown)
}

#[cfg(test)]
mod tests;
