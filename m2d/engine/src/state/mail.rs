//! The mailboxes of this daemon and of its contacts, as far as they are in memory.

use crate::settings::LetterSettings;
use m2_core::PathFailure;
use m2_store::{BoxRowId, ContactRowId, MailboxPolicy, Store, StoreError};
use std::collections::{HashMap, HashSet};

/// The engine's mailbox state.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    /// When and where letters are deposited.
    pub settings: LetterSettings,
    /// Policies of contacts with at least one switch on.
    pub policies: HashMap<ContactRowId, MailboxPolicy>,
    /// Contacts that offered boxes.
    pub offered: HashSet<ContactRowId>,
    /// When each contact's last session ended, in Unix milliseconds. A missing entry means
    /// `started`.
    pub offline_since: HashMap<ContactRowId, u64>,
    /// When the daemon started, in Unix milliseconds.
    pub started: u64,
    /// The health of own boxes, by row.
    pub health: HashMap<BoxRowId, BoxHealth>,
    /// Why the last deposit for a contact failed.
    pub failures: HashMap<ContactRowId, PathFailure>,
    /// When a message may next need a letter, in Unix milliseconds.
    pub due: u64,
    /// When the next key for letters ends, in Unix milliseconds.
    pub keys_due: u64,
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
    /// Why there is no session, `None` if there is one.
    pub failure: Option<PathFailure>,
}

impl Mail {
    /// Returns the state of a daemon that starts now, in Unix milliseconds.
    pub(crate) fn new(settings: LetterSettings, started: u64) -> Self {
        Self {
            settings,
            started,
            ..Self::default()
        }
    }

    /// Loads policies and offers from the store.
    pub(crate) fn load(&mut self, store: &Store) -> Result<(), StoreError> {
        self.policies = store.mailbox_policies()?.into_iter().collect();
        self.offered = store.contacts_with_offers()?.into_iter().collect();
        self.due = 0;
        self.keys_due = 0;
        Ok(())
    }

    /// Handles a set clock: no recorded time may stay in the future.
    pub(crate) fn restart(&mut self, now: u64) {
        self.due = 0;
        self.keys_due = 0;
        self.started = self.started.min(now);
        for since in self.offline_since.values_mut() {
            *since = (*since).min(now);
        }
    }

    pub(crate) fn policy(&self, contact: ContactRowId) -> MailboxPolicy {
        self.policies.get(&contact).copied().unwrap_or_default()
    }

    /// Schedules mailbox upkeep at a time, if it is not due earlier.
    pub(crate) fn note(&mut self, at: u64) {
        self.due = self.due.min(at);
    }

    pub(crate) fn offline_since(&self, contact: ContactRowId) -> u64 {
        let since = self.offline_since.get(&contact).copied();
        since.unwrap_or(self.started)
    }
}
