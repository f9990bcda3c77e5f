//! What the engine keeps in memory of mailboxes: switches, offers, and how providers are doing.

use super::Engine;
use super::effect::Effect;
use crate::config::IpMode;
use crate::mailbox::Wake;
use crate::store::{MailboxPolicy, Store, StoreError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The mailboxes' side of the engine.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// Contacts of whom not both switches are off.
    pub policies: HashMap<i64, MailboxPolicy>,
    /// Contacts that offered boxes.
    pub offered: HashSet<i64>,
    /// Since when a contact has no session, Unix milliseconds; since the start where it is missing.
    pub offline_since: HashMap<i64, u64>,
    /// When the daemon started.
    pub started: u64,
    /// How our boxes are doing, by row.
    pub health: HashMap<i64, BoxHealth>,
    /// Why the last deposit for a contact did not succeed.
    pub failures: HashMap<i64, &'static str>,
    /// When a message may want a letter.
    pub due: u64,
    /// Whom to tell of work.
    pub wake: Arc<Wake>,
}

/// How a box of ours is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BoxHealth {
    /// A session with its provider is up.
    pub online: bool,
    /// Letters taken since the start.
    pub taken: u64,
    /// Sessions in which everything that waited was collected.
    pub rounds: u64,
    /// Sessions that failed.
    pub failures: u64,
    /// Why there is no session, or empty.
    pub failure: &'static str,
}

impl Mail {
    /// Reads what is stored.
    pub(super) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        self.policies = store.mailbox_policies()?.into_iter().collect();
        self.offered = store.contacts_with_offers()?.into_iter().collect();
        self.due = 0;
        Ok(())
    }

    /// The clock was set: nothing that was noted waits for a moment that may be far off now.
    pub(super) fn restart(&mut self, now: u64) {
        self.due = 0;
        self.started = self.started.min(now);
        for since in self.offline_since.values_mut() {
            *since = (*since).min(now);
        }
    }

    pub(super) fn policy(&self, contact: i64) -> MailboxPolicy {
        self.policies.get(&contact).copied().unwrap_or_default()
    }

    /// Something may have to be sealed then.
    pub(super) fn note(&mut self, at: u64) {
        self.due = self.due.min(at);
    }

    pub(super) fn offline_since(&self, contact: i64) -> u64 {
        let since = self.offline_since.get(&contact).copied();
        since.unwrap_or(self.started)
    }
}

impl Engine {
    /// Whether letters for a contact may be deposited: both consent (spec §9), and no provider
    /// that it names learns our address unless itself may (spec §7).
    pub(super) fn may_deposit(&self, contact: i64) -> bool {
        self.mail.policy(contact).uses
            && self.mail.offered.contains(&contact)
            && self.ip_mode(contact) != IpMode::LineOnly
    }

    /// The last session with a contact ended: after a while its messages go by letter.
    pub(super) fn note_offline(&mut self, contact: i64) {
        let now = self.now_ms();
        self.mail.offline_since.insert(contact, now);
        if self.may_deposit(contact) {
            self.mail.note(now.saturating_add(self.mailbox.after_ms()));
        }
    }

    /// A message was queued: if its contact is away, it goes by letter after a while.
    pub(super) fn note_queued(&mut self, contact: i64) {
        if self.may_deposit(contact) {
            let at = self.now_ms().saturating_add(self.mailbox.after_ms());
            self.mail.note(at);
        }
    }

    /// Tells the task that keeps sessions with providers, once this batch is on disk.
    pub(super) fn wake_collectors(&mut self) {
        self.effects.push(Effect::WakeCollectors);
    }

    /// Tells the task that deposits, once this batch is on disk.
    pub(super) fn wake_depositor(&mut self) {
        self.effects.push(Effect::WakeDepositor);
    }

    /// Whom the tasks of the mailboxes wait for.
    pub fn mailbox_wake(&self) -> Arc<Wake> {
        self.mail.wake.clone()
    }
}
