//! The contacts that have a device.

use super::input::Peer;
use crate::contact_id::ContactId;
use std::collections::{BTreeMap, BTreeSet};

/// The most contacts that have a device.
pub(super) const MAX_CONTACTS: usize = 1_000;

/// The contacts, by the ids in topics.
#[derive(Debug)]
pub(super) struct Roster {
    prefix: String,
    contacts: BTreeMap<ContactId, Member>,
    /// Set once the daemon has listed its contacts.
    pub(super) loaded: bool,
}

#[derive(Debug)]
pub(super) struct Member {
    peer_id: String,
    pub(super) name: String,
    pub(super) last: Last,
}

/// The message that the topic for the last message shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// That of an earlier run of the bridge.
    Unknown,
    /// This one.
    Message(String),
    /// No message.
    Nothing,
}

impl Roster {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            contacts: BTreeMap::new(),
            loaded: false,
        }
    }

    /// Returns the id of the contact with a peer id, whether or not it has a device.
    pub(super) fn id(&self, peer_id: &str) -> ContactId {
        ContactId::of(&self.prefix, peer_id)
    }

    pub(super) fn has(&self, id: &ContactId) -> bool {
        self.contacts.contains_key(id)
    }

    pub(super) fn get_mut(&mut self, id: &ContactId) -> Option<&mut Member> {
        self.contacts.get_mut(id)
    }

    pub(super) fn peer_id(&self, id: &ContactId) -> Option<&str> {
        let member = self.contacts.get(id)?;
        Some(&member.peer_id)
    }

    /// Returns all contacts with their names.
    pub(super) fn names(&self) -> impl Iterator<Item = (&ContactId, &str)> {
        let contacts = self.contacts.iter();
        contacts.map(|(id, member)| (id, member.name.as_str()))
    }

    /// Adds or renames a contact. Returns its id if that changed something; `None` also if there are too many contacts.
    pub(super) fn put(&mut self, peer_id: &str, name: &str) -> Option<ContactId> {
        let id = self.id(peer_id);
        let is_full = self.contacts.len() >= MAX_CONTACTS;
        match self.contacts.get_mut(&id) {
            Some(member) if member.name == name => return None,
            Some(member) => name.clone_into(&mut member.name),
            None if is_full => return None,
            None => {
                let member = Member {
                    peer_id: peer_id.to_owned(),
                    name: name.to_owned(),
                    last: Last::Unknown,
                };
                self.contacts.insert(id.clone(), member);
            }
        }
        Some(id)
    }

    /// Returns the contacts that a list does not have.
    pub(super) fn missing(&self, list: &[Peer]) -> Vec<ContactId> {
        let listed: BTreeSet<ContactId> = list.iter().map(|peer| self.id(&peer.peer_id)).collect();
        let ids = self.contacts.keys();
        ids.filter(|id| !listed.contains(id)).cloned().collect()
    }

    pub(super) fn remove(&mut self, id: &ContactId) {
        self.contacts.remove(id);
    }
}
