//! The engine's in-memory state of mailboxes: policies, offers and the health of providers.

use super::{Effect, Engine};
use m2_core::IpMode;
use m2_store::{MailboxPolicy, Store, StoreError};
use std::collections::{HashMap, HashSet};

/// The engine's mailbox state.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// Policies of contacts with at least one switch on.
    pub policies: HashMap<i64, MailboxPolicy>,
    /// Contacts that offered boxes.
    pub offered: HashSet<i64>,
    /// When each contact's last session ended, in Unix milliseconds. A missing entry means
    /// `started`.
    pub offline_since: HashMap<i64, u64>,
    /// When the daemon started, in Unix milliseconds.
    pub started: u64,
    /// The health of own boxes, by row.
    pub health: HashMap<i64, BoxHealth>,
    /// Why the last deposit for a contact failed, as a stable reason.
    pub failures: HashMap<i64, &'static str>,
    /// When a message may next need a letter, in Unix milliseconds.
    pub due: u64,
}

/// The health of one of this daemon's boxes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BoxHealth {
    /// True while a session with the provider is up.
    pub online: bool,
    /// Letters collected since the start.
    pub taken: u64,
    /// Sessions in which all waiting letters were collected.
    pub rounds: u64,
    /// Sessions that failed.
    pub failures: u64,
    /// Why there is no session, as a stable reason; empty if there is one.
    pub failure: &'static str,
}

impl Mail {
    /// Loads policies and offers from the store.
    pub(super) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        self.policies = store.mailbox_policies()?.into_iter().collect();
        self.offered = store.contacts_with_offers()?.into_iter().collect();
        self.due = 0;
        Ok(())
    }

    /// Handles a set clock: no recorded time may stay in the future.
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

    /// Schedules mailbox upkeep at a time, if it is not due earlier.
    pub(super) fn note(&mut self, at: u64) {
        self.due = self.due.min(at);
    }

    pub(super) fn offline_since(&self, contact: i64) -> u64 {
        let since = self.offline_since.get(&contact).copied();
        since.unwrap_or(self.started)
    }
}

impl Engine {
    /// Returns whether letters for a contact may be deposited: both sides consent
    /// (`docs/spec/delivery.md#by-letter`), and the mode allows the providers it named to learn
    /// this daemon's address.
    pub(super) fn may_deposit(&self, contact: i64) -> bool {
        self.mail.policy(contact).uses
            && self.mail.offered.contains(&contact)
            && self.ip_mode(contact) != IpMode::LineOnly
    }

    /// Records that a contact's last session ended. After a delay its messages go by letter.
    pub(super) fn note_offline(&mut self, contact: i64) {
        let now = self.now_ms();
        self.mail.offline_since.insert(contact, now);
        if self.may_deposit(contact) {
            self.mail.note(now.saturating_add(self.mailbox.after_ms));
        }
    }

    /// Records that a message was queued. If its contact stays away, it goes by letter after a
    /// delay.
    pub(super) fn note_queued(&mut self, contact: i64) {
        if self.may_deposit(contact) {
            let at = self.now_ms().saturating_add(self.mailbox.after_ms);
            self.mail.note(at);
        }
    }

    /// Wakes the task that keeps sessions with providers, once this batch is on disk.
    pub(super) fn wake_collectors(&mut self) {
        self.effect(Effect::WakeCollectors);
    }

    /// Wakes the task that deposits letters, once this batch is on disk.
    pub(super) fn wake_depositor(&mut self) {
        self.effect(Effect::WakeDepositor);
    }
}
