//! This daemon's boxes at providers, and the grants that let contacts deposit into them
//! (`docs/spec/mailbox.md#tokens`).

use crate::lines::typed_addresses;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::{BoxHealth, State};
use crate::wanted::WantedBox;
use crate::{call, invitation_text, invitations, lines, suites};
use m2_core::resolve::{self, NotFound};
use m2_crypto::address::Use;
use m2_crypto::mailbox::TokenSeed;
use m2_crypto::{PeerId, Secret};
use m2_proto::reason::Reason;
use m2_store::{BoxRowId, ContactRowId, GrantRow, MailboxPolicy, MailboxRow, MailboxState};
use m2_wire::mailbox::{BoxState, MAX_ADDRESSES, MAX_BOXES, Mailbox, OfferedBox};
use m2_wire::{InviteProof, Message};

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
    /// Ask the provider with this peer id or prefix of it to delete a box.
    Remove(String, Reply<()>),
    /// Handle the state of the box in a row, from its provider.
    State(BoxRowId, BoxState, Reply<()>),
    /// Record that a provider registered the tokens of grants.
    TokensRegistered(Vec<GrantRow>, Reply<()>),
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
        MailboxInput::State(row, state, reply) => {
            call::run(engine, reply, |engine| on_box_state(engine, row, &state));
        }
        MailboxInput::TokensRegistered(grants, reply) => {
            call::run(engine, reply, |engine| tokens_registered(engine, &grants));
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
        max_tokens: 0,
        created_ms: engine.batch.now_ms(),
    };
    row.row = engine.batch.store.put_mailbox(&row)?;
    suites::carry_over(engine, &provider)?;
    engine.batch.changed.boxes = true;
    Ok(mailbox_view(engine, row))
}

/// Lists this daemon's boxes.
pub(crate) fn list(engine: &mut State) -> Result<Vec<MailboxView>, Refusal> {
    let rows = engine.batch.store.mailboxes()?.into_iter();
    Ok(rows.map(|row| mailbox_view(engine, row)).collect())
}

/// Returns this daemon's boxes with the grants for them.
pub(crate) fn wanted(engine: &State) -> Result<Vec<WantedBox>, Refusal> {
    let store = &engine.batch.store;
    let boxes = store.mailboxes()?.into_iter().map(|row| {
        let grants = store.grants_of_mailbox(row.row)?;
        Ok(WantedBox { row, grants })
    });
    boxes.collect()
}

/// Asks the provider to delete a box. The request is kept until the provider is reached.
pub(crate) fn remove(engine: &mut State, provider: &str) -> Result<(), Refusal> {
    let mut row = resolve_mailbox(engine, provider)?;
    // A box that the provider refused, or whose removal was already requested, is forgotten at
    // once.
    if row.state == MailboxState::Leaving || row.state == MailboxState::Refused {
        return forget_mailbox(engine, row.row);
    }
    row.state = MailboxState::Leaving;
    engine.batch.store.put_mailbox(&row)?;
    for grant in engine.batch.store.grants_of_mailbox(row.row)? {
        engine.batch.store.delete_grant(&grant)?;
        offer(engine, grant.contact)?;
    }
    engine.batch.changed.boxes = true;
    Ok(())
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

/// Creates or deletes a contact's grants to match its policy.
pub(crate) fn grant_or_withdraw(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    let wanted = engine.mail.policy(contact).grants && engine.peers.is_contact(contact);
    let grants = engine.batch.store.grants_of_contact(contact)?;
    if !wanted {
        for grant in &grants {
            engine.batch.store.delete_grant(grant)?;
        }
        offer(engine, contact)?;
    } else {
        for mailbox in engine.batch.store.mailboxes()? {
            let granted = grants.iter().any(|grant| grant.mailbox == mailbox.row);
            if mailbox.state == MailboxState::Open && !granted {
                engine.batch.store.put_grant(&GrantRow {
                    contact,
                    mailbox: mailbox.row,
                    seed: TokenSeed::random(&mut engine.batch.rng),
                    first: 0,
                    next: 0,
                })?;
            }
        }
    }
    engine.batch.changed.boxes = true;
    Ok(())
}

/// Deletes the grants, offers and letters of a peer that is no contact any more.
pub(crate) fn end_with(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    if engine.mail.policies.remove(&contact).is_some() {
        engine
            .batch
            .store
            .put_mailbox_policy(contact, MailboxPolicy::default())?;
        for grant in engine.batch.store.grants_of_contact(contact)? {
            engine.batch.store.delete_grant(&grant)?;
        }
        engine.batch.changed.boxes = true;
    }
    if engine.mail.offered.remove(&contact) {
        engine.batch.store.replace_offers(contact, &[])?;
    }
    engine.batch.store.delete_letters_to(contact)?;
    engine.mail.failures.remove(&contact);
    Ok(())
}

/// Handles a box state from its provider.
fn on_box_state(engine: &mut State, row: BoxRowId, state: &BoxState) -> Result<(), Refusal> {
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
    mailbox.state = if state.open {
        MailboxState::Open
    } else {
        MailboxState::Refused
    };
    mailbox.max_tokens = state.max_tokens;
    mailbox.invite_token = None;
    engine.batch.store.put_mailbox(&mailbox)?;
    engine.batch.changed.boxes = true;
    if state.open {
        let granting = engine
            .mail
            .policies
            .iter()
            .filter(|(_, policy)| policy.grants);
        let contacts: Vec<ContactRowId> = granting.map(|(contact, _)| *contact).collect();
        for contact in contacts {
            grant_or_withdraw(engine, contact)?;
        }
    }
    Ok(())
}

/// Records that a provider registered the tokens of these grants. Contacts that could not
/// deposit before get an offer.
fn tokens_registered(engine: &mut State, grants: &[GrantRow]) -> Result<(), Refusal> {
    for grant in grants {
        let stored = engine.batch.store.grants_of_contact(grant.contact)?;
        let Some(before) = stored
            .iter()
            .find(|row| row.mailbox == grant.mailbox && row.seed.expose() == grant.seed.expose())
        else {
            continue;
        };
        engine.batch.store.put_grant(grant)?;
        if before.next == 0 {
            offer(engine, grant.contact)?;
        }
    }
    engine.batch.changed.boxes = true;
    Ok(())
}

/// Records the health of a box.
fn set_box_health(engine: &mut State, row: BoxRowId, health: BoxHealth) {
    engine.mail.health.insert(row, health);
}

/// Sends a contact the boxes into which it may deposit, on its session. The offer may be empty.
pub(crate) fn offer(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    let Some(link) = engine.peers.serving(contact) else {
        return Ok(());
    };
    let boxes = engine.batch.store.mailboxes()?;
    let mut offers = Vec::new();
    for grant in engine.batch.store.grants_of_contact(contact)? {
        let mailbox = boxes.iter().find(|mailbox| mailbox.row == grant.mailbox);
        let Some(mailbox) = mailbox.filter(|_| grant.next > 0) else {
            continue;
        };
        let addresses = lines::shareable_addresses(engine, &mailbox.addresses);
        if !addresses.is_empty() {
            offers.push(OfferedBox {
                provider: mailbox.provider,
                addresses,
                seed: grant.seed,
            });
        }
    }
    let frame = Message::Mailbox(Box::new(Mailbox::Offer(offers)));
    engine.batch.push_frame(link.id, frame);
    Ok(())
}

/// Offers boxes in a new session to a contact with a mailbox policy.
pub(crate) fn offer_on_meeting(engine: &mut State, contact: ContactRowId) -> Result<(), Refusal> {
    if engine.mail.policies.contains_key(&contact) {
        offer(engine, contact)?;
    }
    Ok(())
}

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
    let before = engine.batch.store.offers(contact)?;
    let same = before.len() == boxes.len()
        && before
            .iter()
            .zip(&boxes)
            .all(|(row, new)| row.offered == *new);
    if same {
        return Ok(());
    }
    engine.batch.store.replace_offers(contact, &boxes)?;
    // The earlier tokens may be invalid now.
    engine.batch.store.unplace_letters(contact)?;
    if boxes.is_empty() {
        engine.mail.offered.remove(&contact);
        engine.batch.store.delete_letters_to(contact)?;
    } else {
        engine.mail.offered.insert(contact);
        let now = engine.batch.now_ms();
        engine.mail.note(now);
        engine.batch.wake_depositor();
    }
    Ok(())
}

/// Returns whether a peer is a provider of this daemon.
pub(crate) fn is_provider(engine: &mut State, peer: &PeerId) -> Result<bool, Refusal> {
    let boxes = engine.batch.store.mailboxes()?;
    Ok(boxes.iter().any(|row| row.provider == *peer))
}
