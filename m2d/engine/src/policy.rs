//! The user's policy for a contact.

use super::{ContactView, Effect, Engine};
use crate::refusal::Refusal;
use m2_core::ContactState;
use m2_core::IpMode;
use m2_delivery::Path;
use m2_proto::reason::Reason;
use m2_store::MailboxPolicy;
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

impl Engine {
    /// Sets the policy of a contact. All changes are applied, or none of them is.
    pub(crate) fn set_policy(
        &mut self,
        contact: &str,
        change: PolicyChange,
    ) -> Result<ContactView, Refusal> {
        let row = self.resolve(contact)?;
        let state = self.contact_mut(row)?.state;
        let is_asked = state == ContactState::Asked && !change.is_of_mailboxes();
        if state != ContactState::Contact && !is_asked {
            return Err(Refusal::new(Reason::NotAContact));
        }
        if let Some(Some(mode)) = change.ip
            && mode < self.profile_mode()
        {
            return Err(Refusal::argument(
                "ip",
                "not weaker than [privacy] ip",
                "A contact's mode can only be stricter than [privacy] ip in the configuration. \
                 Change the configuration to weaken it.",
            ));
        }
        if change.is_of_mailboxes() {
            self.set_mailbox_policy(row, change)?;
        }
        if let Some(mode) = change.ip {
            self.set_ip(row, mode)?;
        }
        if let Some(seconds) = change.keep_s {
            self.set_keep(row, seconds)?;
        }
        self.view(row)
    }

    fn set_mailbox_policy(&mut self, row: i64, change: PolicyChange) -> Result<(), Refusal> {
        let before = self.mail.policy(row);
        let policy = MailboxPolicy {
            grants: change.mailbox_grant.unwrap_or(before.grants),
            uses: change.mailbox_use.unwrap_or(before.uses),
        };
        self.store.put_mailbox_policy(row, policy)?;
        self.mail.policies.insert(row, policy);
        self.grant_or_withdraw(row)?;
        if policy.uses {
            let now = self.now_ms();
            self.mail.note(now);
        } else {
            self.store.delete_letters_to(row)?;
        }
        Ok(())
    }

    /// Closes sessions that are not allowed any more, and dials by the remaining paths at once.
    fn set_ip(&mut self, row: i64, mode: Option<IpMode>) -> Result<(), Refusal> {
        self.contact_mut(row)?.ip = mode;
        self.save_contact(row)?;
        if self.ip_mode(row) == IpMode::LineOnly {
            self.store.delete_letters_to(row)?;
        } else if self.may_deposit(row) {
            let now = self.now_ms();
            self.mail.note(now);
        }
        let links = self
            .peers
            .get(&row)
            .map(|peer_state| peer_state.links.clone());
        for link in links.unwrap_or_default() {
            if self.ip_mode(row) != IpMode::Direct {
                self.effect(Effect::AllowPunch(link.id, false));
            }
            if self.forbids(row, link.path) {
                self.effect(Effect::Close(link.id, CloseCode::Refused));
            } else if self.serves(row, &link) {
                self.seek_direct(row, &link);
            }
        }
        self.wake_lookup();
        self.dial(row)
    }

    /// Returns whether sessions with a contact may not use a path.
    pub(super) fn forbids(&self, row: i64, path: Path) -> bool {
        path == Path::Direct && self.ip_mode(row) == IpMode::LineOnly
    }
}
