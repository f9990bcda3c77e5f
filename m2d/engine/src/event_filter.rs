//! The selection of events for one stream.

use m2_crypto::PeerId;
use m2_store::EventKind;

/// The kinds and the contacts that a stream asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    kinds: Option<Vec<EventKind>>,
    contacts: Option<Vec<PeerId>>,
}

impl EventFilter {
    /// Returns the selection of these kinds and contacts; `None` for all of them.
    pub fn new(kinds: Option<Vec<EventKind>>, contacts: Option<Vec<PeerId>>) -> Self {
        let sorted = |mut kinds: Vec<EventKind>| {
            kinds.sort_unstable();
            kinds.dedup();
            kinds
        };
        let sorted_ids = |mut contacts: Vec<PeerId>| {
            contacts.sort_unstable();
            contacts.dedup();
            contacts
        };
        Self {
            kinds: kinds.map(sorted),
            contacts: contacts.map(sorted_ids),
        }
    }

    /// Returns whether an event of this kind about this contact is selected.
    pub fn takes(&self, kind: EventKind, contact: &PeerId) -> bool {
        let kinds = self.kinds.as_ref();
        kinds.is_none_or(|kinds| kinds.binary_search(&kind).is_ok()) && self.takes_contact(contact)
    }

    /// Returns whether notices of this contact are selected.
    pub fn takes_contact(&self, contact: &PeerId) -> bool {
        let contacts = self.contacts.as_ref();
        contacts.is_none_or(|contacts| contacts.binary_search(contact).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: PeerId = PeerId::from_bytes([1; 32]);
    const BEN: PeerId = PeerId::from_bytes([2; 32]);

    #[test]
    fn kinds_and_contacts_select_together() {
        let kinds = vec![EventKind::MessageState, EventKind::MessageReceived];
        let both = EventFilter::new(Some(kinds.clone()), Some(vec![BEN]));
        assert!(both.takes(EventKind::MessageReceived, &BEN));
        assert!(!both.takes(EventKind::MessageReceived, &ANN));
        assert!(!both.takes(EventKind::Gap, &BEN));
        let kinds = EventFilter::new(Some(kinds), None);
        assert!(kinds.takes(EventKind::MessageState, &ANN));
        assert!(!kinds.takes(EventKind::Gap, &ANN));
        assert!(EventFilter::default().takes(EventKind::Gap, &ANN));
    }

    #[test]
    fn no_kind_is_not_every_kind() {
        let nothing = EventFilter::new(Some(Vec::new()), None);
        assert!(!nothing.takes(EventKind::MessageReceived, &ANN));
        assert!(nothing.takes_contact(&ANN));
    }

    #[test]
    fn the_order_of_a_request_does_not_matter() {
        let one = EventFilter::new(None, Some(vec![ANN, BEN, ANN]));
        assert_eq!(one, EventFilter::new(None, Some(vec![BEN, ANN])));
    }
}
