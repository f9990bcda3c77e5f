//! Letters to contacts that are offline: planned, sealed once a session with the provider is up, and
//! deposited (`docs/spec/delivery.md#by-letter`).

use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::{PeerState, State};
use crate::withdrawal::{unseal, withdraw};
use crate::{call, collected, contact_boxes, conversation, mail, mailboxes};
use bytes::Bytes;
use m2_core::PathFailure;
use m2_crypto::PeerId;
use m2_crypto::address::NamedAddress;
use m2_crypto::deposit::{DepositNonce, DepositToken};
use m2_crypto::letter::{LetterHeader, OpenedLetter, Recipient};
use m2_delivery::{MessageId, Payload};
use m2_store::{
    AHEAD_MS, ContactRowId, LetterRow, MessageRowId, OutboxPayload, Patience, SealedLetter,
    WaitingSince,
};
use m2_wire::mailbox::{KEPT_MS, OfferedBox, Outcome, TokenWithKey};
use rand_core::Rng;

/// The most letters to a contact that are planned in one step.
const PLAN_STEP: u32 = 64;
/// How long a deposit may be in progress before it is retried, in milliseconds.
const LEASE_MS: u64 = 180_000;
/// The first and the longest pause after a failed deposit, in milliseconds.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 2_000..=1_800_000;
/// The shortest time for which a letter waits for a session key, in milliseconds.
const KEY_PAUSE_MS: u64 = 200;
/// How many times the random delay of a deposit passes before a letter whose token was refused is
/// deposited under another one.
const REFUSED_DELAYS: u64 = 10;
/// After this time a deposited letter has expired in its box, and its message gets another letter. A
/// letter that could not be deposited for this time is sealed again, as the secrets for opening it are
/// not kept much longer. In milliseconds.
const LETTER_LIFE_MS: u64 = KEPT_MS;

/// A letter to deposit with a provider. It is sealed by [`LetterInput::Seal`].
#[derive(Debug)]
pub struct DepositJob {
    /// The row of the message in it.
    pub message: MessageRowId,
    /// The owner of the box.
    pub owner: PeerId,
    /// The provider that keeps the box.
    pub provider: PeerId,
    /// The provider's addresses.
    pub addresses: Vec<NamedAddress>,
}

/// What is deposited.
#[derive(Debug)]
pub struct SealedDeposit {
    /// The token that admits the letter.
    pub token: DepositToken,
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
    /// No session key was ready: nothing was sent.
    NoKey,
}

/// A step in the delivery of a letter.
pub enum LetterInput {
    /// Return the letters that are due, at most this number, and the time when the next is due, in Unix
    /// milliseconds.
    NextDeposits(u32, Reply<(Vec<DepositJob>, Option<u64>)>),
    /// Seal the letter with the message in a row for the box at a provider, with which a session is up.
    /// Without an answer there is nothing to deposit, and no outcome is reported.
    Seal(MessageRowId, PeerId, Reply<Option<SealedDeposit>>),
    /// Handle the outcome of the deposit of the message in a row, of a letter with this nonce if it was
    /// sealed.
    DepositEnded(MessageRowId, Option<DepositNonce>, DepositEnd, Reply<()>),
    /// Return what opens the collected letter with a nonce; `None` if it is not wanted.
    Keys(DepositNonce, Reply<Option<collected::LetterKeys>>),
    /// Take the message of the collected letter with a nonce.
    Take(DepositNonce, OpenedLetter, Reply<()>),
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
        LetterInput::Seal(message, provider, reply) => {
            call::run(engine, reply, |engine| seal(engine, message, &provider));
        }
        LetterInput::DepositEnded(message, nonce, end, reply) => {
            call::run(engine, reply, |engine| {
                deposit_ended(engine, message, nonce, end)
            });
        }
        LetterInput::Keys(nonce, reply) => {
            call::run(engine, reply, |engine| collected::keys(engine, &nonce));
        }
        LetterInput::Take(nonce, letter, reply) => {
            call::run(engine, reply, |engine| {
                collected::take(engine, &nonce, letter)
            });
        }
    }
}

/// Plans letters for messages that have waited long enough.
pub(crate) fn upkeep(engine: &mut State, now: u64) -> Result<(), Refusal> {
    engine.mail.due = u64::MAX;
    let contacts: Vec<ContactRowId> = engine.mail.offered.iter().copied().collect();
    for contact in contacts {
        if may_be_written_to(engine, contact) {
            plan(engine, contact, now)?;
        }
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

/// Plans letters to a contact: at most as many as there are tokens for them.
fn plan(engine: &mut State, contact: ContactRowId, now: u64) -> Result<(), Refusal> {
    let after = engine.mail.settings.after_ms;
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
    let waiting = engine.batch.store.undeposited(contact, since, PLAN_STEP)?;
    let room = match contact_boxes::usable(engine, contact)? {
        Ok(_) => engine.batch.store.tokens_to_spare(contact)?,
        Err(reason) => {
            if !waiting.is_empty() {
                engine.mail.failures.insert(contact, reason);
            }
            0
        }
    };
    // More tokens, or another box, make the plan due again.
    let planned = waiting.iter().take(room as usize);
    let mut is_planned = false;
    for message in planned {
        is_planned = true;
        let due = now.saturating_add(deposit_delay(engine));
        engine.batch.store.insert_letter(*message, contact, due)?;
    }
    if is_planned {
        engine.batch.wake_depositor();
    }
    if waiting.len() > room as usize {
        let failures = &mut engine.mail.failures;
        failures.entry(contact).or_insert(PathFailure::NoToken);
        engine.mail.note(now.saturating_add(*PAUSE_MS.end()));
        return Ok(());
    }
    let patience = Patience {
        queued_ms: after,
        deposited_ms: LETTER_LIFE_MS,
    };
    let next = engine
        .batch
        .store
        .next_undeposited(contact, patience, latest_ms)?;
    if let Some(next) = next {
        engine.mail.note(next.max(now));
    }
    Ok(())
}

/// Returns a random delay in milliseconds, so that the time of a deposit does not reveal when
/// the message was written.
fn deposit_delay(engine: &mut State) -> u64 {
    let most = engine.mail.settings.delay_ms;
    if most == 0 {
        0
    } else {
        engine.batch.rng.next_u64() % most
    }
}

/// Returns the letters that are due, each with a box, and the time when the next is due. A letter
/// becomes due again unless [`deposit_ended`] is called in time.
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
            withdraw(engine, &letter)?;
            let again = now.saturating_add(engine.mail.settings.after_ms);
            engine.mail.note(again);
            continue;
        }
        jobs.extend(choose_box(engine, letter, now)?);
    }
    Ok((jobs, engine.batch.store.next_letter_due()?))
}

/// Chooses a box for a letter. A sealed letter keeps its box for as long as it is young and the box is
/// offered.
fn choose_box(
    engine: &mut State,
    mut letter: LetterRow,
    now: u64,
) -> Result<Option<DepositJob>, Refusal> {
    let is_old = |sealed: &SealedLetter| sealed.sealed_ms.saturating_add(LETTER_LIFE_MS) <= now;
    if letter.sealed.as_ref().is_some_and(is_old) {
        tracing::debug!("a letter is sealed again: it is too old for its provider");
        unseal(engine, &mut letter)?;
    }
    if let Some(sealed) = &letter.sealed {
        let offers = engine.batch.store.offers(letter.contact)?;
        let mut offers = offers.into_iter();
        match offers.find(|offered| offered.provider == sealed.provider) {
            Some(offered) => return job(engine, &letter, offered, now).map(Some),
            None => unseal(engine, &mut letter)?,
        }
    }
    match contact_boxes::usable(engine, letter.contact)? {
        Ok(mut boxes) => {
            let turn = letter.attempts as usize % boxes.len().max(1);
            let offered = boxes.swap_remove(turn);
            job(engine, &letter, offered, now).map(Some)
        }
        Err(reason) => {
            tracing::debug!(%reason, "a letter is put off");
            engine.mail.failures.insert(letter.contact, reason);
            // More tokens, or another box, make it due at once.
            let due = now.saturating_add(*PAUSE_MS.end());
            engine.batch.store.update_letter(&letter, due)?;
            Ok(None)
        }
    }
}

fn job(
    engine: &State,
    letter: &LetterRow,
    offered: OfferedBox,
    now: u64,
) -> Result<DepositJob, Refusal> {
    let (store, due) = (&engine.batch.store, now.saturating_add(LEASE_MS));
    store.update_letter(letter, due)?;
    store.lease_letter(letter.message, due)?;
    let peer_state = engine.peers.get(&letter.contact).ok_or_else(unknown)?;
    Ok(DepositJob {
        message: letter.message,
        owner: peer_state.contact.peer_id,
        provider: offered.provider,
        addresses: offered.addresses,
    })
}

/// Seals a letter for the box at a provider, unless it is sealed.
fn seal(
    engine: &mut State,
    message: MessageRowId,
    provider: &PeerId,
) -> Result<Option<SealedDeposit>, Refusal> {
    let Some(mut letter) = engine.batch.store.letter(message)? else {
        return Ok(None);
    };
    if !may_be_written_to(engine, letter.contact) || mailboxes::is_avoided(engine, provider)? {
        withdraw(engine, &letter)?;
        return Ok(None);
    }
    if letter.sealed.is_none() {
        letter.sealed = seal_for(engine, &letter, provider)?;
        let due = engine.batch.now_ms().saturating_add(LEASE_MS);
        engine.batch.store.update_letter(&letter, due)?;
        engine.batch.store.lease_letter(message, due)?;
    }
    let sealed = letter.sealed.filter(|sealed| sealed.provider == *provider);
    Ok(sealed.map(|sealed| SealedDeposit {
        token: sealed.token,
        sealed: sealed.bytes,
    }))
}

/// Uses a token for the box at a provider and seals the letter under it. `None` if there is no token any
/// more, or nothing to seal.
fn seal_for(
    engine: &mut State,
    letter: &LetterRow,
    provider: &PeerId,
) -> Result<Option<SealedLetter>, Refusal> {
    let id = engine.batch.store.message_id(letter.message)?;
    let OutboxPayload::There(payload) = engine.batch.store.outbox_payload(&MessageId(id))? else {
        return Ok(None);
    };
    let offers = engine.batch.store.offers(letter.contact)?;
    let Some(offered) = offers.iter().find(|it| it.provider == *provider) else {
        return Ok(None);
    };
    let token = engine
        .batch
        .store
        .use_token(letter.contact, offered.series)?;
    let Some(given) = token else {
        return Ok(None);
    };
    match seal_under(engine, letter.contact, id, &payload, &given)? {
        Some(bytes) => Ok(Some(SealedLetter {
            provider: *provider,
            token: given.token,
            bytes,
            sealed_ms: engine.batch.now_ms(),
        })),
        None => {
            engine.batch.counters.count("LETTER_NOT_SEALED");
            let (nonce, now_s) = (given.token.nonce(), engine.batch.now_ms() / 1_000);
            let store = &engine.batch.store;
            store.give_up_token(letter.contact, nonce, now_s)?;
            Ok(None)
        }
    }
}

fn seal_under(
    engine: &mut State,
    contact: ContactRowId,
    message_id: [u8; 16],
    payload: &[u8],
    given: &TokenWithKey,
) -> Result<Option<Vec<u8>>, Refusal> {
    let secrets = engine.batch.store.letter_secrets(contact)?;
    let parsed = Payload::parse(Bytes::copy_from_slice(payload));
    let (Some(secret), Ok(parsed)) = (secrets.sealing(), parsed) else {
        return Ok(None);
    };
    let (incarnation, oldest) = conversation::feed(engine, contact, |conversation, cx| {
        conversation.letter_place(cx)
    })?;
    let header = LetterHeader {
        sender: engine.batch.own_id,
        incarnation,
        created_s: engine.batch.now_ms() / 1_000,
        oldest: oldest.clamp(1, parsed.sequence),
        message_id,
    };
    let peer_state = engine.peers.get_mut(&contact).ok_or_else(unknown)?;
    let certificate = peer_state.certificate()?;
    let recipient = Recipient {
        certificate: &certificate,
        peer_id: &peer_state.contact.peer_id,
        nonce: given.token.nonce(),
        key: &given.key,
        secret,
    };
    let (rng, own) = (&mut engine.batch.rng, &engine.batch.identity);
    Ok(recipient.seal(rng, own, &header, payload).ok())
}

/// Handles the outcome of a deposit.
fn deposit_ended(
    engine: &mut State,
    message: MessageRowId,
    nonce: Option<DepositNonce>,
    end: DepositEnd,
) -> Result<(), Refusal> {
    let Some(letter) = engine.batch.store.letter(message)? else {
        return Ok(());
    };
    let sealed_nonce = letter.sealed.as_ref().map(|sealed| *sealed.token.nonce());
    if nonce.is_some() && nonce != sealed_nonce {
        // The letter was withdrawn in the meantime, and its message has another one.
        return Ok(());
    }
    let reason = match end {
        DepositEnd::Answered(Outcome::Stored) => return on_stored(engine, &letter),
        DepositEnd::Answered(Outcome::Refused) => PathFailure::MailboxRefused,
        DepositEnd::Answered(Outcome::BoxFull) => PathFailure::MailboxFull,
        DepositEnd::Answered(Outcome::ServerFull) => PathFailure::MailboxServerFull,
        DepositEnd::Failed(reason) => reason,
        DepositEnd::NoKey => return put_off(engine, &letter),
    };
    engine.batch.counters.count("DEPOSIT_FAILED");
    engine.mail.failures.insert(letter.contact, reason);
    try_later(engine, letter, end)
}

/// Draws another delay for a letter that had to wait for a session key. Letters that wait together would be deposited
/// together, as keys become ready, and the provider could take them for letters of one sender.
fn put_off(engine: &mut State, letter: &LetterRow) -> Result<(), Refusal> {
    let delay = deposit_delay(engine).max(KEY_PAUSE_MS);
    let due = engine.batch.now_ms().saturating_add(delay);
    engine.batch.counters.count("DEPOSIT_PUT_OFF");
    engine.batch.store.update_letter(letter, due)?;
    engine.batch.wake_depositor();
    Ok(())
}

fn on_stored(engine: &mut State, letter: &LetterRow) -> Result<(), Refusal> {
    let id = MessageId(engine.batch.store.message_id(letter.message)?);
    let now = engine.batch.now_ms();
    if let Some(sealed) = &letter.sealed {
        let nonce = sealed.token.nonce();
        let store = &engine.batch.store;
        store.spend_token(letter.contact, nonce, now / 1_000)?;
    }
    engine.batch.store.delete_letter(letter.message)?;
    engine.batch.store.note_deposit(letter, now)?;
    engine.mail.failures.remove(&letter.contact);
    // Messages for which there was no token are planned again, or reported again.
    engine.mail.note(now);
    conversation::feed(engine, letter.contact, |conversation, cx| {
        conversation.on_deposited(cx, id);
    })
}

/// Schedules a retry. A letter whose token was refused is sealed again, after a longer time: the provider
/// could link the two. One that its provider could not take at the first attempt is sealed again if the
/// contact has another box, and stays there.
fn try_later(engine: &mut State, mut letter: LetterRow, end: DepositEnd) -> Result<(), Refusal> {
    let refused = end == DepositEnd::Answered(Outcome::Refused);
    if let Some(sealed) = &letter.sealed {
        let boxes = contact_boxes::usable(engine, letter.contact)?.unwrap_or_default();
        let has_other = boxes.iter().any(|it| it.provider != sealed.provider);
        if refused || (has_other && letter.attempts == 0) {
            unseal(engine, &mut letter)?;
        }
    }
    letter.attempts = letter.attempts.saturating_add(1);
    let doublings = letter.attempts.saturating_sub(1).min(16);
    let pause = (PAUSE_MS.start() << doublings).min(*PAUSE_MS.end());
    let jitter = engine.batch.rng.next_u64() % (pause / 2);
    let hidden = match refused {
        true => deposit_delay(engine).saturating_mul(REFUSED_DELAYS),
        false => 0,
    };
    let due = engine
        .batch
        .now_ms()
        .saturating_add(pause / 2 + jitter + hidden);
    engine.batch.store.update_letter(&letter, due)?;
    engine.batch.wake_depositor();
    Ok(())
}

fn unknown() -> Refusal {
    Refusal::new(m2_proto::reason::Reason::ContactUnknown)
}
