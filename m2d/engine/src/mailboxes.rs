//! This daemon's boxes at providers, and their keys (`docs/spec/mailbox.md#tokens`).

use crate::lines::typed_addresses;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::{BoxHealth, State};
use crate::wanted::WantedBox;
use crate::{call, invitation_text, invitations, suites, token_giving, withdrawal};
use m2_core::resolve::{self, NotFound};
use m2_crypto::deposit::BoxKey;
use m2_crypto::letter::LetterSecrets;
use m2_crypto::{PeerId, Secret};
use m2_proto::reason::Reason;
use m2_store::{BoxRowId, ContactRowId, MailboxPolicy, MailboxRow, MailboxState, StoreError};
use m2_wire::InviteProof;
use m2_wire::mailbox::{BoxState, MAX_ADDRESSES, MAX_BOXES};

/// A box of this daemon as front-ends see it.
#[derive(Debug, Clone)]
pub struct MailboxView {
    /// The stored row.
    pub row: MailboxRow,
    /// The current health.
    pub health: BoxHealth,
}

/// A request about a box of this daemon, or a report on one.
pub enum MailboxInput {
    /// Ask the provider that made an invitation for a box.
    Register(String, Reply<MailboxView>),
    /// Ask the provider with this peer id or prefix of it to delete a box. The answer is true if the box was forgotten
    /// at once, without the provider.
    Remove(String, Reply<bool>),
    /// Draw a new key for the box at the provider with this peer id or prefix of it.
    Rekey(String, Reply<MailboxView>),
    /// Handle the state of the box in a row, from its provider, which was told this key.
    State(BoxRowId, BoxState, Option<BoxKey>, Reply<()>),
    /// Record the health of the box in a row.
    Health(BoxRowId, BoxHealth),
    /// Count a use of the invitation that a proof shows, in a session with this proof key, for a box
    /// at this daemon.
    UseInvitation {
        /// The session's proof key.
        proof_key: Secret<32>,
        /// The proof.
        proof: InviteProof,
        /// False if the invitation is not open.
        reply: Reply<bool>,
    },
}

/// Handles a request about a box, or a report on one.
pub(crate) fn handle(engine: &mut State, input: MailboxInput) {
    match input {
        MailboxInput::Register(invitation, reply) => {
            call::run(engine, reply, |engine| register(engine, &invitation));
        }
        MailboxInput::Remove(provider, reply) => {
            call::run(engine, reply, |engine| remove(engine, &provider));
        }
        MailboxInput::Rekey(provider, reply) => {
            call::run(engine, reply, |engine| rekey(engine, &provider));
        }
        MailboxInput::State(row, state, key, reply) => {
            call::run(engine, reply, |engine| {
                on_box_state(engine, row, &state, key)
            });
        }
        MailboxInput::Health(row, health) => set_box_health(engine, row, health),
        MailboxInput::UseInvitation {
            proof_key,
            proof,
            reply,
        } => call::run(engine, reply, |engine| {
            invitations::use_invitation(engine, &proof_key, proof)
        }),
    }
}

/// Stores a request for a box at the provider that made an invitation.
fn register(engine: &mut State, text: &str) -> Result<MailboxView, Refusal> {
    let invitation = invitation_text::parse_invitation(text)?;
    invitation_text::check_invitation(engine, &invitation)?;
    let provider = *invitation.peer();
    let boxes = engine.batch.store.mailboxes()?;
    let known = boxes.iter().find(|row| row.provider == provider);
    if known.is_none() && boxes.len() >= MAX_BOXES {
        return Err(Refusal::limit(
            "mailboxes",
            MAX_BOXES,
            "mailboxes",
            "Remove one of them first.",
        ));
    }
    let mut addresses = typed_addresses(&invitation);
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() {
        return Err(Refusal::because(
            Reason::InvitationInvalid,
            "The invitation names no address of the provider. Ask its operator for a new one.",
        ));
    }
    let mut row = MailboxRow {
        row: BoxRowId::default(),
        provider,
        addresses,
        invite_token: Some(invitation.token().clone()),
        state: MailboxState::Asked,
        key: None,
        key_known: false,
        created_ms: engine.batch.now_ms(),
    };
    row.row = engine.batch.store.put_mailbox(&row)?;
    // A box that was registered before may be another one by now: earlier tokens end.
    let row = draw_key(engine, row)?;
    suites::carry_over(engine, &provider)?;
    engine.batch.changed.boxes = true;
    Ok(mailbox_view(engine, row))
}

/// Lists this daemon's boxes.
pub(crate) fn list(engine: &mut State) -> Result<Vec<MailboxView>, Refusal> {
    let rows = engine.batch.store.mailboxes()?.into_iter();
    Ok(rows.map(|row| mailbox_view(engine, row)).collect())
}

/// Returns this daemon's boxes.
pub(crate) fn wanted(engine: &State) -> Result<Vec<WantedBox>, Refusal> {
    let rows = engine.batch.store.mailboxes()?.into_iter();
    Ok(rows.map(|row| WantedBox { row }).collect())
}

/// Draws a key for each box that has none, as after a restore.
pub(crate) fn draw_keys(engine: &mut State) -> Result<(), StoreError> {
    for mut row in engine.batch.store.mailboxes()? {
        if row.key.is_none() {
            row.key = Some(BoxKey::random(&mut engine.batch.rng));
            engine.batch.store.put_mailbox(&row)?;
        }
    }
    Ok(())
}

/// Draws a new key for a box, which ends all tokens for it. The provider learns it in the next session.
fn rekey(engine: &mut State, provider: &str) -> Result<MailboxView, Refusal> {
    let row = resolve_mailbox(engine, provider)?;
    let row = draw_key(engine, row)?;
    Ok(mailbox_view(engine, row))
}

/// Draws new keys for all boxes, as a store that went back does not know which tokens it gave.
pub(crate) fn rekey_all(engine: &mut State) -> Result<(), Refusal> {
    for row in engine.batch.store.mailboxes()? {
        draw_key(engine, row)?;
    }
    Ok(())
}

fn draw_key(engine: &mut State, mut row: MailboxRow) -> Result<MailboxRow, Refusal> {
    row.key = Some(BoxKey::random(&mut engine.batch.rng));
    row.key_known = false;
    engine.batch.store.put_mailbox(&row)?;
    for grant in engine.batch.store.grants_of_mailbox(row.row)? {
        token_giving::begin_series(engine, grant.contact, row.row)?;
        token_giving::offer(engine, grant.contact)?;
    }
    engine.batch.changed.boxes = true;
    Ok(row)
}

/// Asks the provider to delete a box. The request is kept until the provider is reached.
pub(crate) fn remove(engine: &mut State, provider: &str) -> Result<bool, Refusal> {
    let mut row = resolve_mailbox(engine, provider)?;
    // A box that the provider refused, or whose removal was already requested, is forgotten at
    // once.
    if row.state == MailboxState::Leaving || row.state == MailboxState::Refused {
        forget_mailbox(engine, row.row)?;
        return Ok(true);
    }
    row.state = MailboxState::Leaving;
    engine.batch.store.put_mailbox(&row)?;
    for grant in engine.batch.store.grants_of_mailbox(row.row)? {
        token_giving::end_tokens(engine, grant.contact, row.row)?;
        engine.batch.store.delete_grant(&grant)?;
        token_giving::offer(engine, grant.contact)?;
    }
    engine.batch.changed.boxes = true;
    Ok(false)
}

fn forget_mailbox(engine: &mut State, row: BoxRowId) -> Result<(), Refusal> {
    engine.batch.store.delete_mailbox(row)?;
    engine.mail.health.remove(&row);
    engine.batch.changed.boxes = true;
    Ok(())
}

fn mailbox_view(engine: &State, row: MailboxRow) -> MailboxView {
    let health = engine
        .mail
        .health
        .get(&row.row)
        .copied()
        .unwrap_or_default();
    MailboxView { row, health }
}

/// Returns the box at the provider with this peer id or prefix of it.
fn resolve_mailbox(engine: &State, text: &str) -> Result<MailboxRow, Refusal> {
    let boxes = engine.batch.store.mailboxes()?.into_iter();
    let found = resolve::by_prefix(text, boxes.map(|row| (row.provider, row)));
    found.map_err(|error| match error {
        NotFound::Unknown => Refusal::new(Reason::MailboxUnknown),
        NotFound::Ambiguous => Refusal::new(Reason::MailboxAmbiguous),
    })
}

/// Deletes the grants, offers, letters and keys for letters of a peer that is no contact any more.
pub(crate) fn end_with(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    if engine.mail.policies.remove(&contact).is_some() {
        engine
            .batch
            .store
            .put_mailbox_policy(contact, MailboxPolicy::default())?;
    }
    withdrawal::withdraw_all(engine, contact)?;
    token_giving::forget(engine, contact)?;
    engine.mail.offered.remove(&contact);
    engine.batch.store.replace_offers(contact, &[])?;
    let none = LetterSecrets::default();
    engine.batch.store.put_letter_secrets(contact, &none)?;
    engine.mail.failures.remove(&contact);
    Ok(())
}

/// Handles a box state from its provider, which was told `key`.
fn on_box_state(
    engine: &mut State,
    row: BoxRowId,
    state: &BoxState,
    key: Option<BoxKey>,
) -> Result<(), Refusal> {
    let boxes = engine.batch.store.mailboxes()?;
    let Some(mut mailbox) = boxes.into_iter().find(|mailbox| mailbox.row == row) else {
        return Ok(());
    };
    if mailbox.state == MailboxState::Leaving {
        return if state.open {
            Ok(())
        } else {
            forget_mailbox(engine, row)
        };
    }
    let before = (mailbox.state, mailbox.key_known);
    mailbox.state = if state.open {
        MailboxState::Open
    } else {
        MailboxState::Refused
    };
    // A key that was drawn in the meantime is told in the next session.
    mailbox.key_known = state.open && key.is_some() && key == mailbox.key;
    mailbox.invite_token = None;
    engine.batch.store.put_mailbox(&mailbox)?;
    engine.batch.changed.boxes = true;
    if before == (mailbox.state, mailbox.key_known) {
        return Ok(());
    }
    let granting = engine
        .mail
        .policies
        .iter()
        .filter(|(_, policy)| policy.grants);
    let contacts: Vec<ContactRowId> = granting.map(|(contact, _)| *contact).collect();
    for contact in contacts {
        token_giving::grant_or_withdraw(engine, contact)?;
    }
    Ok(())
}

/// Records the health of a box.
fn set_box_health(engine: &mut State, row: BoxRowId, health: BoxHealth) {
    engine.mail.health.insert(row, health);
}

/// Returns whether a peer is a provider of this daemon.
pub(crate) fn is_provider(engine: &mut State, peer: &PeerId) -> Result<bool, Refusal> {
    let boxes = engine.batch.store.mailboxes()?;
    Ok(boxes.iter().any(|row| row.provider == *peer))
}

/// Returns whether letters are not deposited at a provider because it keeps a box of this daemon: it could
/// link the two by the address.
pub(crate) fn is_avoided(engine: &mut State, provider: &PeerId) -> Result<bool, Refusal> {
    Ok(!engine.mail.settings.at_own_provider && is_provider(engine, provider)?)
}
