//! The user's policy for a contact.

use crate::contact_view::ContactView;
use crate::effect::Effect;
use crate::refusal::Refusal;
use crate::state::State;
use crate::{
    contact_boxes, contact_rows, contact_view, dialling, greeting, lines, mail, paths, retention,
    token_giving, withdrawal,
};
use m2_core::{ContactState, IpMode};
use m2_proto::reason::Reason;
use m2_store::{ContactRowId, MailboxPolicy};
use m2_wire::CloseCode;

/// Changes to a contact's policy. `None` leaves a setting as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct PolicyChange {
    /// True if the contact may deposit into this daemon's boxes (`docs/spec/mailbox.md`).
    pub mailbox_grant: Option<bool>,
    /// True if letters are deposited into the contact's boxes (`docs/spec/mailbox.md`).
    pub mailbox_use: Option<bool>,
    /// The contact's mode; `Some(None)` for the profile's
    /// (`docs/spec/line.md#which-relays-a-session-passes`).
    pub ip: Option<Option<IpMode>>,
    /// Retention time of the contact's messages in seconds; 0 for the profile's.
    pub keep_s: Option<u64>,
}

impl PolicyChange {
    const fn is_of_mailboxes(&self) -> bool {
        self.mailbox_grant.is_some() || self.mailbox_use.is_some()
    }
}

/// Sets the policy of a contact. All changes are applied, or none of them is.
pub(crate) fn set(
    engine: &mut State,
    contact: &str,
    change: PolicyChange,
) -> Result<ContactView, Refusal> {
    let row = engine.peers.resolve(contact)?;
    let state = engine.peers.contact_mut(row)?.state;
    let is_asked = state == ContactState::Asked && !change.is_of_mailboxes();
    if state != ContactState::Contact && !is_asked {
        return Err(Refusal::new(Reason::NotAContact));
    }
    if let Some(Some(mode)) = change.ip
        && mode < lines::profile_mode(engine)
    {
        return Err(Refusal::argument(
            "ip",
            "not weaker than [privacy] ip",
            "A contact's mode can only be stricter than [privacy] ip in the configuration. \
             Change the configuration to weaken it.",
        ));
    }
    if change.is_of_mailboxes() {
        set_mailbox_policy(engine, row, change)?;
    }
    if let Some(mode) = change.ip {
        set_ip(engine, row, mode)?;
    }
    if let Some(seconds) = change.keep_s {
        retention::set_keep(engine, row, seconds)?;
    }
    contact_view::view(engine, row)
}

fn set_mailbox_policy(
    engine: &mut State,
    row: ContactRowId,
    change: PolicyChange,
) -> Result<(), Refusal> {
    let before = engine.mail.policy(row);
    let policy = MailboxPolicy {
        grants: change.mailbox_grant.unwrap_or(before.grants),
        uses: change.mailbox_use.unwrap_or(before.uses),
    };
    engine.batch.store.put_mailbox_policy(row, policy)?;
    engine.mail.policies.insert(row, policy);
    token_giving::grant_or_withdraw(engine, row)?;
    if policy.uses {
        let now = engine.batch.now_ms();
        engine.mail.note(now);
    } else {
        withdrawal::withdraw_all(engine, row)?;
    }
    let Some(link) = engine.peers.serving(row) else {
        return Ok(());
    };
    let progress = engine.sessions.progress(link.id);
    if !progress.is_some_and(|progress| progress.greeted) {
        return greeting::greet(engine, row, &link);
    }
    if policy.uses && !before.uses {
        contact_boxes::ask_for_tokens(engine, row, &link)?;
    }
    Ok(())
}

/// Closes sessions that are not allowed any more, and dials by the remaining paths at once.
fn set_ip(engine: &mut State, row: ContactRowId, mode: Option<IpMode>) -> Result<(), Refusal> {
    engine.peers.contact_mut(row)?.ip = mode;
    contact_rows::save(engine, row)?;
    if lines::ip_mode(engine, row) == IpMode::LineOnly {
        withdrawal::withdraw_all(engine, row)?;
    } else if mail::may_deposit(engine, row) {
        let now = engine.batch.now_ms();
        engine.mail.note(now);
    }
    for link in engine.peers.links(row) {
        if lines::ip_mode(engine, row) != IpMode::Direct {
            engine.batch.effect(Effect::AllowPunch(link.id, false));
        }
        if lines::forbids(engine, row, link.path) {
            let why = "the contact's mode forbids its path";
            engine.batch.close(link.id, CloseCode::Refused, why);
        } else if engine.peers.serves(row, &link) {
            paths::seek_direct(engine, row, &link);
        }
    }
    engine.batch.wake_lookup();
    dialling::dial(engine, row)
}
